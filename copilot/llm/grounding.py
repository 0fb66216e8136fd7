"""Does a text say only numbers that its sources say? Pure; for generated and for extracted text alike.

Numbers are compared by value, so ``3000``, ``3,000`` and ``三千`` are the same; digits read one by one (``六零二八``) count as written.
A lone 一 is a number only before a unit of money or time (not in 一下, 一定, 一张); numerals inside fixed words such as 万一 and 十分 are
none. PII tokens such as ``【卡号#1】`` are compared as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from copilot.domain.numerals import CHINESE, CHINESE_DIGITS, ENGLISH_WORDS, canonical, chinese_value, english_value

_TOKEN = re.compile(r"【[^】#]{1,12}#\d+】")
_DIGITS = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_CHINESE = re.compile(rf"[{CHINESE}]+(?:点[{CHINESE_DIGITS}]+)?")
_FIXED = re.compile(
    rf"(?<![{CHINESE}\d])(?:万一|十分(?!钟)|千万(?=别|不|要))"
    rf"|(?:(?<=[^十百千万亿])|^)一(?:定|下|致|样|直|般|些|点(?![\d{CHINESE_DIGITS}])|起|共|旦|会儿?|边|律|切)|二维码|三方|第一时间|统一|唯一|另一"
)
_LONE_ONE = re.compile(r"一(?=元|块|毛|角|天|日|号|年|周|期|个?(?:工作日|小时|钟头|月|星期))")
_NOT_ALONE = frozenset("一半万千百亿零")


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
    found |= {canonical(match[0]) for match in _DIGITS.finditer(text)}
    plain = _FIXED.sub(" ", _DIGITS.sub(" ", text))
    for match in _CHINESE.finditer(plain):
        if match[0] not in _NOT_ALONE or _LONE_ONE.match(plain, match.start()):
            found.add(chinese_value(match[0]))
    for match in ENGLISH_WORDS.finditer(plain):
        if match[0].casefold() != "one":
            found.add(english_value(match[0]))
    return frozenset(found)


def unsupported_numbers(text: str, sources: Iterable[str]) -> frozenset[str]:
    """Numbers (and PII tokens) of ``text`` that no source holds: empty for a grounded text."""
    known: set[str] = set()
    for source in sources:
        known |= numbers_in(source)
    return numbers_in(text) - known
