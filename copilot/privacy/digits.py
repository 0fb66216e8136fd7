"""Digit strings as people write and say them: 6222 0212, 六二二二, 幺三八, "six two two two", "double three". Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ZH = {**dict(zip("零〇一二三四五六七八九", "00123456789", strict=True)), "幺": "1"}
_WIDE = dict(zip("０１２３４５６７８９", "0123456789", strict=True))
_EN = {name: str(value) for value, name in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])} | {
    "oh": "0"
}
_TIMES = {"double": 2, "triple": 3}

_ITEM = re.compile(
    r"(?P<ascii>[0-9０-９]+)|(?P<zh>[零〇一二三四五六七八九幺]+)"
    r"|(?<![A-Za-z])(?P<en>(?:(?:double|triple)\s+)?(?:zero|oh|one|two|three|four|five|six|seven|eight|nine))(?![A-Za-z])",
    re.IGNORECASE,
)
# What may stand between the groups of one number: spaces, dashes, pauses that recognition wrote as commas, and hesitation.
_GAP = re.compile(r"[\s\-–—_·,，、]{0,3}(?:(?:嗯|呃|额|啊|哦|uh|um|and|然后)[\s,，、]{0,2})?", re.IGNORECASE)
# 一 here is a word or part of one, not a digit.
_NOT_ONE = frozenset("共下个些次起样般直定点位张笔种家天会边旦致切律概半样")
_SCALE = frozenset("十百千万亿")


@dataclass(frozen=True, slots=True)
class Run:
    """One digit string: where it stands in the text, and its digits as ASCII."""

    start: int
    end: int
    digits: str


def runs(text: str) -> list[Run]:
    """Every digit string of ``text``, groups joined, in order. A single digit counts."""
    found: list[Run] = []
    script = ""
    for start, end, digits, kind in _items(text):
        last = found[-1] if found else None
        if last is not None and _GAP.fullmatch(text, last.end, start) and _goes_on(text, last, script, digits, kind, start):
            found[-1] = Run(last.start, end, last.digits + digits)
        else:
            found.append(Run(start, end, digits))
        script = kind
    return found


def _items(text: str) -> Iterator[tuple[int, int, str, str]]:
    for match in _ITEM.finditer(text):
        start, end, kind = match.start(), match.end(), str(match.lastgroup)
        piece = match.group()
        if kind == "zh":
            # The last character may begin the next word: 一共, 三千.
            after = text[end : end + 1]
            if after and (after in _SCALE or (piece[-1] == "一" and after in _NOT_ONE)):
                end -= 1
                piece = piece[:-1]
            if not piece:
                continue
            yield start, end, "".join(_ZH[char] for char in piece), kind
        elif kind == "en":
            words = piece.lower().split()
            yield start, end, _EN[words[-1]] * _TIMES.get(words[0], 1), kind
        else:
            yield start, end, "".join(_WIDE.get(char, char) for char in piece), kind


def _goes_on(text: str, last: Run, script: str, digits: str, kind: str, start: int) -> bool:
    if script == kind == "en":
        return True
    if text[last.end : start].strip() == "" and len(digits) > 1:
        return True
    # Across a comma or another script, one lone Chinese digit is more often a word (一) than a digit of the same number.
    if script != kind:
        return len(digits) > 1
    # "3,000,000" is one amount; "1, 2, 3" is a list. Both are told apart later by their length and surroundings.
    return True
