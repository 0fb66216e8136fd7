"""The value of numbers as people say them, Chinese and English. Pure.

Chinese: 三千五 is 3500 (a last digit without a unit counts in the next lower one), 一万二 12000, 四四一九 the digits one by one, 三点五 a
decimal. English: "two thousand six hundred", "four four one nine".
"""

from __future__ import annotations

import re

CHINESE = "零〇一二两三四五六七八九十百千万亿幺半"
"""Characters of a Chinese numeral."""
CHINESE_DIGITS = "零〇一二三四五六七八九"
_VALUE = {"零": 0, "〇": 0, "一": 1, "幺": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_UNIT = {"十": 10, "百": 100, "千": 1000}
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"),
    *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ENGLISH = {word: value for value, word in enumerate(_ONES)} | {word: 10 * tens for tens, word in enumerate(_TENS, start=2)}
"""English number words below a hundred → value."""
SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_WORD = "|".join([*ENGLISH, *SCALES])
ENGLISH_WORDS = re.compile(rf"\b(?:{_WORD})(?:(?:[ -]|\band\b| and )+(?:{_WORD}))*\b", re.IGNORECASE)
"""A run of English number words."""


def chinese_value(text: str) -> str:
    """The value of a run of Chinese numerals (``CHINESE``, perhaps with 点 and digits) as plain decimal digits."""
    whole, _, fraction = text.partition("点")
    if not any(character in "十百千万亿" for character in whole):
        value = "".join("5" if character == "半" else str(_VALUE[character]) for character in whole)
    else:
        total = section = digit = 0
        last = 1
        for character in whole:
            if character in _VALUE:
                digit = _VALUE[character]
                last = 1 if character in "零〇" else last
            elif character in _UNIT:
                section += (digit or 1) * _UNIT[character]
                digit, last = 0, _UNIT[character]
            elif character in "万亿":
                size = 10_000 if character == "万" else 100_000_000
                total = (total + section + digit or 1) * size
                section = digit = 0
                last = size
        total += section + (digit * last // 10 if last > 10 else digit)
        value = str(total)
    return canonical(f"{value}.{''.join(str(_VALUE[character]) for character in fraction)}" if fraction else value)


def english_value(text: str) -> str:
    """The value of a run that ``ENGLISH_WORDS`` matches; single digits in a row are spelled digits."""
    words = [word for word in re.split(r"[ -]+", text.casefold()) if word not in ("and", "")]
    if len(words) > 1 and all(ENGLISH.get(word, 10) < 10 for word in words):
        return "".join(str(ENGLISH[word]) for word in words)
    total = section = 0
    for word in words:
        if word in SCALES:
            section = max(1, section) * SCALES[word]
            if SCALES[word] >= 1000:
                total, section = total + section, 0
        else:
            section += ENGLISH[word]
    return str(total + section)


def canonical(text: str) -> str:
    """Digits without thousands separators and without empty decimals."""
    text = text.replace(",", "")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text
