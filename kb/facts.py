"""What an answer claims that can be compared: amounts, rates, durations, counts, and claims such as "is free" or "is possible". Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from kb.wordings import wordings

_DIGITS = {char: number for number, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_NUMBER_ZH = r"(?:\d+(?:,\d{3})*(?:\.\d+)?[万亿千百]?|[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?)"
_COUNT_EN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_WORDS_EN = {word: number for number, word in enumerate(_COUNT_EN)} | {
    "twenty": 20,
    "thirty": 30,
    "fifty": 50,
    "hundred": 100,
    "once": 1,
    "twice": 2,
}
_NUMBER_EN = r"(?:\d+(?:,\d{3})*(?:\.\d+)?|\b(?:" + "|".join(_WORDS_EN) + r")\b)"
_PART_OF = {"百分之": 0.01, "千分之": 0.001, "万分之": 0.0001}

_UNITS_ZH: tuple[tuple[str, str, float], ...] = (
    ("usd", "美元|美金", 1),
    ("money", "元钱?|块钱?|人民币", 1),
    ("percent", "%|个百分点", 0.01),
    ("days", "个?工作日|天|日(?!起|后第)", 1),
    ("days", "个?星期|周(?![一二三四五六日末天])", 7),
    ("months", "个月|月(?!\\d)", 1),
    ("months", "年(?!费|\\d)", 12),
    ("minutes", "分钟", 1),
    ("minutes", "小时", 60),
    ("clock", "点(?:钟)?|时(?!间)", 1),
    ("times", "次|笔|回", 1),
    ("terms", "期", 1),
    ("points", "积分|分(?!期|钟|之)", 1),
    ("age", "周?岁", 1),
)
_UNITS_EN: tuple[tuple[str, str, float], ...] = (
    ("money", "dollars?|usd|rmb|yuan", 1),
    ("percent", "%|percent", 0.01),
    ("days", "(?:business |working )?days?", 1),
    ("days", "weeks?", 7),
    ("months", "months?", 1),
    ("months", "quarters?", 3),
    ("months", "years?", 12),
    ("minutes", "minutes?", 1),
    ("minutes", "hours?", 60),
    ("times", "times?|wrong \\w+|tries", 1),
)
_EVERY_EN = {"day": ("days", 1.0), "week": ("days", 7.0), "month": ("months", 1.0), "quarter": ("months", 3.0), "year": ("months", 12.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """``value`` in the unit's base (元, share of one, days, months, minutes, o'clock, times …) at ``text[start:end]``."""

    unit: str
    value: float
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """A claim (``fee_charged``, ``possible`` …) made (True) or denied, where it is said first."""

    claim: str
    made: bool
    start: int
    end: int


def quantities(text: str, language: str) -> tuple[Quantity, ...]:
    """Numbers with their units, in order. Telephone numbers and bare numbers are not quantities."""
    folded = _folded(text)
    found = _chinese(folded) if language == "zh" else _english(folded)
    return tuple(sorted(found, key=lambda quantity: quantity.start))


def stances(text: str, language: str) -> dict[str, Stance]:
    """Claim → what the text says of it first."""
    folded, found = _folded(text), {}
    for claim, (made, denied) in wordings(language).stances.items():
        hits = [(match, False) for pattern in denied for match in pattern.finditer(folded)]
        taken = [match.span() for match, _ in hits]
        # "不能" holds a "能": what denies a claim does not also make it.
        hits += [
            (match, True)
            for pattern in made
            for match in pattern.finditer(folded)
            if all(match.end() <= start or match.start() >= end for start, end in taken)
        ]
        if hits:
            first, is_made = min(hits, key=lambda hit: hit[0].start())
            found[claim] = Stance(claim=claim, made=is_made, start=first.start(), end=first.end())
    return found


def _folded(text: str) -> str:
    """Full-width forms as ASCII, one character for one, so that places stay."""
    return "".join(folded if len(folded := unicodedata.normalize("NFKC", char)) == 1 else char for char in text)


def _chinese(text: str) -> list[Quantity]:
    found: list[Quantity] = []
    for match in re.finditer(rf"({'|'.join(_PART_OF)})({_NUMBER_ZH})", text):
        found.append(_quantity("percent", _chinese_number(match.group(2)) * _PART_OF[match.group(1)], match))
    for match in re.finditer(r"T\+(\d+)", text):
        found.append(_quantity("days", float(match.group(1)), match))
    for match in re.finditer(r"(?:周|星期|礼拜)([一二三四五六日天])", text):
        found.append(_quantity("weekday", min(7.0, "一二三四五六日天".index(match.group(1)) + 1), match))
    for unit, pattern, scale in _UNITS_ZH:
        for match in re.finditer(rf"(?<![\d.])(?<!\d,)({_NUMBER_ZH})\s*(?:{pattern})", text):
            if all(match.end() <= other.start or match.start() >= other.end for other in found):
                found.append(_quantity(unit, _chinese_number(match.group(1)) * scale, match))
    return found


def _english(text: str) -> list[Quantity]:
    found: list[Quantity] = []
    for match in re.finditer(r"(?:\$|usd |rmb )\s?(\d+(?:,\d{3})*(?:\.\d+)?)", text, re.IGNORECASE):
        found.append(_quantity("money", _english_number(match.group(1)), match))
    for unit, pattern, scale in _UNITS_EN:
        for match in re.finditer(rf"({_NUMBER_EN})[\s-]*(?:{pattern})(?![a-z])", text, re.IGNORECASE):
            if all(match.end() <= other.start or match.start() >= other.end for other in found):
                found.append(_quantity(unit, _english_number(match.group(1)) * scale, match))
    for match in re.finditer(r"\b(?:a|an|per|each|every|of each)\s(day|week|month|quarter|year)\b", text, re.IGNORECASE):
        unit, value = _EVERY_EN[match.group(1).lower()]
        if all(match.end() <= other.start or match.start() >= other.end for other in found):
            found.append(_quantity(f"every_{unit}", value, match))
    return found


def _quantity(unit: str, value: float, match: re.Match[str]) -> Quantity:
    return Quantity(unit=unit, value=round(value, 8), start=match.start(), end=match.end())


def _english_number(text: str) -> float:
    known = _WORDS_EN.get(text.lower())
    return float(known) if known is not None else float(text.replace(",", ""))


def _chinese_number(text: str) -> float:
    """``5万``, ``五十万``, ``零点六``, ``1,000``."""
    plain = re.fullmatch(r"(\d+(?:,\d{3})*(?:\.\d+)?)([万亿千百]?)", text)
    if plain:
        scale = {"": 1.0, "百": 1e2, "千": 1e3, "万": 1e4, "亿": 1e8}[plain.group(2)]
        return float(plain.group(1).replace(",", "")) * scale
    whole, _, fraction = text.partition("点")
    total = section = digit = 0
    for char in whole:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char in _SMALL:
            section += (digit or 1) * _SMALL[char]
            digit = 0
        else:
            total = (total + section + digit or 1) * (10_000 if char == "万" else 100_000_000)
            section = digit = 0
    value = float(total + section + digit)
    return value + float("0." + "".join(str(_DIGITS[char]) for char in fraction)) if fraction else value
