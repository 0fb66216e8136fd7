"""Does a text say only numbers that its sources say? Pure; for generated and for extracted text alike.

Numbers are compared by value, so ``3000``, ``3,000`` and ``三千`` are the same; digits read one by one (``六零二八``) count as written.
A lone 一 is a number only before a unit of money or time (not in 一下, 一定, 一张); numerals inside fixed words such as 万一 and 十分 are
none. PII tokens such as ``【卡号#1】`` are compared as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"【[^】#]{1,12}#\d+】")
_DIGITS = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_NUMERALS = "零〇一二两三四五六七八九十百千万亿幺半"
_CHINESE = re.compile(rf"[{_NUMERALS}]+(?:点[零〇一二三四五六七八九]+)?")
_FIXED = re.compile(
    rf"(?<![{_NUMERALS}\d])(?:万一|十分(?!钟)|千万(?=别|不|要))"
    r"|(?:(?<=[^十百千万亿])|^)一(?:定|下|致|样|直|般|些|点(?!\d)|起|共|旦|会儿?|边|律|切)|二维码|三方|第一时间|统一|唯一|另一"
)
_LONE_ONE = re.compile(r"一(?=元|块|毛|角|天|日|号|年|周|期|个?(?:工作日|小时|钟头|月|星期))")
_VALUE = {"零": 0, "〇": 0, "一": 1, "幺": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_NOT_ALONE = frozenset("一半万千百亿零")
_UNIT = {"十": 10, "百": 100, "千": 1000}
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"),
    *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ENGLISH = {word: value for value, word in enumerate(_ONES)} | {word: 10 * tens for tens, word in enumerate(_TENS, start=2)}
_SCALE = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_WORDS = re.compile(
    rf"\b(?:{'|'.join([*_ENGLISH, *_SCALE])})(?:(?:[ -]|\band\b| and )+(?:{'|'.join([*_ENGLISH, *_SCALE])}))*\b", re.IGNORECASE
)


def _chinese(text: str) -> str:
    """The value of a run of Chinese numerals in canonical form."""
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
        # 三千五 is 3500: a last digit without a unit counts in the next lower one.
        total += section + (digit * last // 10 if last > 10 else digit)
        value = str(total)
    return _canonical(f"{value}.{''.join(str(_VALUE[character]) for character in fraction)}" if fraction else value)


def _canonical(text: str) -> str:
    text = text.replace(",", "")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text


def _english(text: str) -> set[str]:
    words = [word for word in re.split(r"[ -]+", text.casefold()) if word != "and"]
    if len(words) > 1 and all(_ENGLISH.get(word, 10) < 10 for word in words):
        return {"".join(str(_ENGLISH[word]) for word in words)}
    total = section = 0
    for word in words:
        if word in _SCALE:
            section = max(1, section) * _SCALE[word]
            if _SCALE[word] >= 1000:
                total, section = total + section, 0
        else:
            section += _ENGLISH[word]
    return {str(total + section)}


def numbers_in(text: str) -> frozenset[str]:
    """The numbers of a text in canonical form, and its PII tokens as they stand."""
    found = set(_TOKEN.findall(text))
    text = _TOKEN.sub(" ", text)
    # 3万 and 1.2亿: digits before a Chinese scale are one number with it.
    text = re.sub(
        r"(\d+(?:\.\d+)?)\s*([万亿千百])",
        lambda match: f" {float(match[1]) * {'百': 100, '千': 1000, '万': 10_000, '亿': 100_000_000}[match[2]]:.2f} ",
        text,
    )
    found |= {_canonical(match[0]) for match in _DIGITS.finditer(text)}
    plain = _FIXED.sub(" ", _DIGITS.sub(" ", text))
    for match in _CHINESE.finditer(plain):
        if match[0] not in _NOT_ALONE or _LONE_ONE.match(plain, match.start()):
            found.add(_chinese(match[0]))
    for match in _WORDS.finditer(plain):
        if match[0].casefold() != "one":
            found |= _english(match[0])
    return frozenset(found)


def unsupported_numbers(text: str, sources: Iterable[str]) -> frozenset[str]:
    """Numbers (and PII tokens) of ``text`` that no source holds: empty for a grounded text."""
    known: set[str] = set()
    for source in sources:
        known |= numbers_in(source)
    return numbers_in(text) - known
