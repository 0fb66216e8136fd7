"""Character and word error rates with the normalisation that spoken text needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cn2an

_MARKS = re.compile(r"[^\w%]+|_+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[万亿])?%?")
_CN_DIGITS = "零一二三四五六七八九"


@lru_cache(maxsize=1)
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def normalise(text: str) -> str:
    """Simplified characters, lower case, no marks or spaces; 幺→一, 〇→零, 两→二, and digits as they are spoken one by one (3 → 三)."""
    text = _converter().convert(text).casefold()
    text = _MARKS.sub("", text.replace("．", "."))
    text = text.replace("幺", "一").replace("〇", "零").replace("两", "二")
    return "".join(_CN_DIGITS[int(character)] if character.isascii() and character.isdigit() else character for character in text)


def readings(number: str) -> tuple[str, ...]:
    """How a written number may have been said, normalised: by digits or as a quantity (3000 → 三零零零, 三千; 15 → 一五, 一十五, 十五)."""
    plain, percent = number.removesuffix("%"), "百分之" if number.endswith("%") else ""
    unit = plain[-1] if plain[-1] in "万亿" else ""
    plain = plain.removesuffix(unit)
    said = [plain.replace(".", "点")]
    try:
        quantity = str(cn2an.an2cn(plain, "low"))
    except (ValueError, TypeError):
        quantity = said[0]
    said.append(quantity)
    if quantity.startswith("一十"):
        said.append(quantity[1:])
    return tuple(dict.fromkeys(normalise(percent + words + unit) for words in said))


def lattice(text: str) -> list[tuple[str, ...]]:
    """``text`` normalised, as a chain of pieces each of which has one or several readings."""
    pieces: list[tuple[str, ...]] = []
    position = 0
    for match in _NUMBER.finditer(text):
        pieces += [(normalise(text[position : match.start()]),), readings(match[0])]
        position = match.end()
    return [*pieces, (normalise(text[position:]),)]


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Levenshtein distance between two sequences."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(hypothesis, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != got))
    return row[-1]


def cer(reference: str, hypothesis: str) -> tuple[float, int]:
    """(character error rate, characters of the normalised reference).

    Each number of the hypothesis counts in the reading that fits best; the reference in whichever of its readings (all digits one by
    one, or all as quantities) fits best. An empty reference gives rate 0 for an empty hypothesis and 1 otherwise.
    """
    outcomes: list[tuple[float, int]] = []
    for choice in (0, 1):
        wanted = "".join(piece[min(choice, len(piece) - 1)] for piece in lattice(reference))
        if not wanted:
            return (1.0 if normalise(hypothesis) else 0.0), 0
        outcomes.append((_lattice_distance(wanted, lattice(hypothesis)) / len(wanted), len(wanted)))
    return min(outcomes)


def _lattice_distance(wanted: str, pieces: list[tuple[str, ...]]) -> int:
    """Levenshtein distance to the nearest path through the readings: a row over the reference, the best of each piece carried on."""
    row = list(range(len(wanted) + 1))
    for piece in pieces:
        rows = []
        for reading in piece:
            current = row
            for got in reading:
                following = [current[0] + 1]
                for j, character in enumerate(wanted, start=1):
                    following.append(min(current[j] + 1, following[j - 1] + 1, current[j - 1] + (character != got)))
                current = following
            rows.append(current)
        row = [min(costs) for costs in zip(*rows, strict=True)]
    return row[-1]


def wer(reference: str, hypothesis: str) -> tuple[float, int]:
    """(word error rate, words of the reference), case and marks ignored."""
    wanted, got = re.findall(r"[\w']+", reference.casefold()), re.findall(r"[\w']+", hypothesis.casefold())
    if not wanted:
        return (1.0 if got else 0.0), 0
    return edit_distance(wanted, got) / len(wanted), len(wanted)
