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


_UNITS = {
    "元": r"元|块钱|块|圆|人民币|yuan\b|rmb\b",
    "%": r"%|％|个百分点|percent\b|per cent\b",
    "工作日": r"个?(?:工作日|交易日)|(?:working|business|banking) days?\b",
    "日": r"[天日号](?!元)|(?:calendar )?days?\b",
    "周": r"个?(?:星期|礼拜)|周|weeks?\b",
    "月": r"个?月|months?\b",
    "年": r"年|years?\b",
    "时": r"个?(?:小时|钟头)|hours?\b",
    "分": r"分钟|minutes?\b",
    "岁": r"周?岁",
    "次": r"[次笔]|times?\b",
    "期": r"期|instal?lments?\b",
    "倍": r"倍",
}
_UNIT_AFTER = re.compile(
    r"[ -]{0,2}(?:" + "|".join(f"(?P<u{at}>{pattern})" for at, pattern in enumerate(_UNITS.values())) + ")", re.IGNORECASE
)
_UNIT_NAMES = tuple(_UNITS)
_AMOUNT = re.compile(rf"(?P<of>百分之)?(?:(?P<digits>\d+(?:,\d{{3}})*(?:\.\d+)?)\s*(?P<scale>[万亿千百])?|(?P<han>{_CHINESE.pattern}))")


def quantities_in(text: str) -> frozenset[tuple[str, str]]:
    """(number, unit) for every number with a known unit of money, time, share or count behind it: ``("15", "元")``.

    Of a range (5到7个工作日) only the end that carries the unit.
    """
    found: set[tuple[str, str]] = set()
    text = ENGLISH_WORDS.sub(lambda match: english_value(match[0]), _FIXED.sub(lambda match: "·" * len(match[0]), _TOKEN.sub(" ", text)))
    for match in _AMOUNT.finditer(text):
        if match["digits"]:
            scale = {"百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000, None: 1}[match["scale"]]
            value = canonical(f"{float(match['digits'].replace(',', '')) * scale:.6f}")
        else:
            value = chinese_value(match["han"])
        unit = _UNIT_AFTER.match(text, match.end())
        if match["of"]:
            found.add((value, "%"))
        elif unit is not None:
            found.add((value, next(name for at, name in enumerate(_UNIT_NAMES) if unit[f"u{at}"])))
    return frozenset(found)


def unsupported_numbers(text: str, sources: Iterable[str]) -> frozenset[str]:
    """Numbers (and PII tokens) of ``text`` that no source holds: empty for a grounded text."""
    known: set[str] = set()
    for source in sources:
        known |= numbers_in(source)
    return numbers_in(text) - known
