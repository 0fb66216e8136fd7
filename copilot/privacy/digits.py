"""Digit strings as people write and say them: 6222 0212, 六二二二, 幺三八, 两个七, "six two two two", "double three". Pure.

A run is one number: groups of digits with nothing but pauses, dashes and hesitation between them. Characters that only sound like a digit
(久 for 九) belong to a run when digits stand around them; at its edges they are kept apart, since 是 or 要 is more often a word there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from copilot.privacy import homophones

_ZH = {**dict(zip("零〇一二三四五六七八九", "00123456789", strict=True)), "幺": "1", "洞": "0", "拐": "7", "勾": "9"}
_COUNTS = {
    "两": 2,
    "双": 2,
    **{char: value for value, char in enumerate("二三四五六七八九", 2)},
    **{str(value): value for value in range(2, 10)},
}
_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_EN = {name: str(value) for value, name in enumerate(_ONES)} | {"oh": "0", "nought": "0", "naught": "0", "nil": "0"}
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_TIMES = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_ONE_WORD = "|".join(_EN)
_DIGIT = "零〇一二三四五六七八九幺"
_SOUND = "".join(homophones.DIGITS_BY_SOUND)

_ITEM = re.compile(
    rf"(?P<times>(?:[两二三四五六七八九2-9]个|双)(?P<of>[{_DIGIT}0-9{_SOUND}])(?![十百千万亿个月年天]))"
    r"|(?P<ascii>[0-9０-９]+)"
    rf"|(?P<zh>(?:(?![二三四五六七八九]个[{_DIGIT}{_SOUND}])[{_DIGIT}])+)"
    rf"|(?<![A-Za-z])(?:(?P<tens>(?:{'|'.join(_TENS)})(?:[\s-]+(?:{'|'.join(_ONES[1:])}))?|{'|'.join(_TEENS)}"
    rf"|(?:{'|'.join(_ONES[1:])})\s+hundred(?=\s*(?:[,.]|$)|\s+(?:{_ONE_WORD}|double)))"
    rf"|(?P<en>(?:(?:double|triple|treble|quadruple)[\s-]+)?(?:{_ONE_WORD})s?|(?:double|triple|treble|quadruple)\s+[0-9])"
    rf"|(?P<ensound>{'|'.join(homophones.ENGLISH)}))(?![A-Za-z'’])"
    rf"|(?P<sound>[{_SOUND}洞拐勾])",
    re.IGNORECASE,
)
_HESITATION = r"嗯+|呃+|额+|啊|哦|噢|那个|这个|然后|再|接着|接下来|横?杠|空格|uh+|um+|er+m?|and|then|dash|hyphen|space|so|okay"
_GAP = re.compile(rf"[\s\-–—_·,，、()（）]{{0,3}}(?:(?:{_HESITATION})[\s,，、]{{0,3}}){{0,2}}", re.IGNORECASE)
# 一 here is a word or part of one, not a digit.
_NOT_ONE = frozenset("共下个些次起样般直定点位张笔种家天会边旦致切律概遍块句声路度时段份名本式批圈")
_QUANTITY = re.compile(
    r"[0-9]+(?:\.[0-9]+)?\s?[十百千万亿]+"
    r"|(?:[一二三四五六七八九两几]?[十百千万亿]+[零〇]?)+[一二三四五六七八九]?(?![零〇一二三四五六七八九幺])"
    r"|(?:[一二三四五六七八九两几]?[十百千万亿]+[零〇]?)+"
)
_NOT_DIGITS = re.compile(
    # 2026-11-22, 10:30, 3,000,000.50, 2.81, 三点一四, three point seven
    r"(?<!\d)(?:19|20)\d{2}[-/.年](?:0?[1-9]|1[0-2])[-/.月](?:0?[1-9]|[12]\d|3[01])(?!\d)|(?<!\d)\d{1,2}[:：]\d{2}(?::\d{2})?(?!\d)"
    r"|(?<![\d,])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|(?<![\d.])\d+\.\d+(?![\d.])"
    r"|(?:january|february|march|april|may|june|july|august|september|october|november|december)\s+(?:\d{1,2}(?:st|nd|rd"
    r"|th)?,?\s+)?(?:19|20)\d{2}"
    rf"|(?:last|first)\s+(?:{_ONE_WORD})(?![A-Za-z])"
    rf"|(?:the|this|that|which|another|no|any|every)(?:\s+[a-z]+)?\s+one(?=\s*(?:[,.;?!]|$)|\s+(?!{_ONE_WORD}|double|triple)[a-z])"
    rf"|[{_DIGIT}十百两]+点[{_DIGIT}十{_SOUND}]*[{_DIGIT}十]|(?:{_ONE_WORD}"
    rf"|{'|'.join(_TENS)})\s+point(?:\s+(?:{_ONE_WORD}))+",
    re.IGNORECASE,
)
_ANY = re.compile(rf"[0-9０-９{_DIGIT}]|\b(?:{_ONE_WORD}|{'|'.join(_TENS)}|{'|'.join(_TEENS)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Group:
    """Digits said or written in one breath. ``sure``: no part of it is a guess by sound. ``tens``: said as "forty two"."""

    start: int
    end: int
    digits: str
    kind: str
    sure: bool = True
    tens: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One digit string: where it stands in the text, its digits as ASCII, and the groups that it was said in."""

    start: int
    end: int
    digits: str
    groups: tuple[Group, ...] = ()
    lead: tuple[Group, ...] = ()
    """What stands right before and may be its first digits, misheard."""
    tail: tuple[Group, ...] = ()
    """What stands right behind and may be its last digits, misheard."""

    @property
    def tens(self) -> bool:
        """Whether a part was said as "forty two"."""
        return any(group.tens for group in self.groups)


def run_of(groups: tuple[Group, ...]) -> Run:
    """The run of ``groups``, at least one."""
    return Run(groups[0].start, groups[-1].end, "".join(group.digits for group in groups), groups)


def has_digits(text: str) -> bool:
    """Whether ``text`` holds a digit at all, however written."""
    return _ANY.search(text) is not None


def runs(text: str) -> list[Run]:
    """Every digit string of ``text``, groups joined, in order. A single digit counts. Amounts, times and dates with their signs do not."""
    items = _items(text)
    chains: list[list[Group]] = []
    for item in items:
        if chains and _follows(text, chains[-1][-1], item):
            chains[-1].append(item)
        else:
            chains.append([item])
    found = []
    for chain in chains:
        sure = [at for at, group in enumerate(chain) if group.sure]
        if sure:
            first, last = sure[0], sure[-1] + 1
            run = run_of(tuple(chain[first:last]))
            found.append(replace(run, lead=_touching(chain[:first], run.start, -1), tail=_touching(chain[last:], run.end, 1)))
    return found


def _touching(groups: list[Group], edge: int, way: int) -> tuple[Group, ...]:
    kept: list[Group] = []
    for group in reversed(groups) if way < 0 else groups:
        if (group.end if way < 0 else group.start) - edge not in {0, way}:
            break
        kept.append(group)
        edge = group.start if way < 0 else group.end
    return tuple(reversed(kept)) if way < 0 else tuple(kept)


def _items(text: str) -> list[Group]:
    amounts = [match.span() for match in _QUANTITY.finditer(text)] + [match.span() for match in _NOT_DIGITS.finditer(text)]
    found = []
    for match in _ITEM.finditer(text):
        group = _group(text, match)
        if group is not None and all(group.end <= start or group.start >= end for start, end in amounts):
            found.append(group)
    return found


def _group(text: str, match: re.Match[str]) -> Group | None:
    start, end, kind, piece = match.start(), match.end(), str(match.lastgroup), match.group()
    if kind == "ascii":
        return Group(start, end, "".join(str(int(char)) for char in piece), "ascii")
    if kind in {"times", "of"}:
        return Group(start, end, _digit(piece[-1]) * _COUNTS[piece[0]], "zh", sure=piece[-1] not in homophones.DIGITS_BY_SOUND)
    if kind == "zh":
        # The last character may begin the next word: 一共, 一下.
        if piece[-1] == "一" and text[end : end + 1] in _NOT_ONE:
            end, piece = end - 1, piece[:-1]
        return Group(start, end, "".join(_ZH[char] for char in piece), "zh") if piece else None
    if kind == "en":
        words = re.split(r"[\s-]+", piece.lower())
        last = words[-1] if words[-1] in _EN else words[-1].removesuffix("s")
        digit = last if last.isdigit() else _EN.get(last)
        return Group(start, end, digit * _TIMES.get(words[0], 1), "en") if digit else None
    if kind == "tens":
        words = re.split(r"[\s-]+", piece.lower())
        if words[-1] == "hundred":
            return Group(start, end, f"{_ONES.index(words[0])}00", "en", tens=True)
        value = 10 + _TEENS.index(words[0]) if words[0] in _TEENS else 10 * (2 + _TENS.index(words[0])) + sum(map(_ONES.index, words[1:]))
        return Group(start, end, str(value), "en", tens=True)
    if kind == "ensound":
        return Group(start, end, homophones.ENGLISH[piece.lower()], "en", sure=False)
    return Group(start, end, _ZH.get(piece) or homophones.DIGITS_BY_SOUND[piece], "zh", sure=False)


def _digit(char: str) -> str:
    return _ZH.get(char) or homophones.DIGITS_BY_SOUND.get(char) or str(int(char))


def _follows(text: str, last: Group, item: Group) -> bool:
    gap = text[last.end : item.start]
    if not _GAP.fullmatch(gap):
        return False
    if last.sure and item.sure:
        return _goes_on(text, gap, last, item)
    # A guess by sound touches its neighbours; an everyday word without anything between them.
    if last.kind == item.kind == "en":
        return gap.strip(" ,-") == ""
    everyday = any(not group.sure and text[group.start : group.end] in homophones.TOUCHING for group in (last, item))
    return gap == "" or (not everyday and gap.strip(" ，,、-") == "")


def _goes_on(text: str, gap: str, last: Group, item: Group) -> bool:
    if gap == "" or last.kind == item.kind == "en":
        return True
    if gap.strip() == "" and (len(item.digits) > 1 or (item.kind != "zh" and (last.kind != "zh" or len(last.digits) > 1))):
        return True
    # Across a comma or another script, one lone Chinese digit is more often a word (一) than a digit of the same number.
    return last.kind == item.kind or len(item.digits) > 1 or text[item.start] not in "一oO"
