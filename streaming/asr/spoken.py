"""Written numbers as they are said in Mandarin: the inverse of ``streaming.asr.itn``, for voices and for round trips in tests. PURE.

``find_itn`` applied to ``spoken(text)`` gives ``text`` back for the amounts, dates, percentages, decimals, card tails and telephone
numbers that ``find_itn`` writes.
"""

from __future__ import annotations

import re

_DIGITS = "零一二三四五六七八九"
_UNITS = ("", "十", "百", "千")
_MAX = 10**12

_TAIL = re.compile(r"(尾号|后四位|末四位|后六位|验证码|密码|卡号|账号|号码)([是为：:，,]{0,2})(\d{3,})")
_YEAR = re.compile(r"(\d{4})(?=年)")
_NUMBER = re.compile(r"(\d+)(?:\.(\d+))?(%)?")


def say_digits(digits: str, *, telephone: bool = False) -> str:
    """Digit by digit; ``telephone``: 幺 for 1, as numbers are given over a line."""
    said = "".join(_DIGITS[int(digit)] for digit in digits)
    return said.replace("一", "幺") if telephone else said


def say_integer(value: int) -> str:
    """0 ≤ value < 10¹² as a quantity: 35000 → 三万五千, 200 → 两百, 105 → 一百零五. Raises ValueError outside that range."""
    if not 0 <= value < _MAX:
        raise ValueError(f"{value} is not a quantity that is said in one number: 0 to {_MAX - 1}")
    if value < 10:
        return _DIGITS[value]
    parts: list[str] = []
    pending_zero = False
    for unit, name in ((10**8, "亿"), (10**4, "万"), (1, "")):
        group, value = divmod(value, unit)
        if not group:
            pending_zero = bool(parts)
            continue
        if pending_zero or (parts and group < 1000):
            parts.append("零")
        pending_zero = False
        said = _say_group(group, leading=not parts)
        parts.append(("两" if group == 2 and name else said) + name)
    return "".join(parts)


def _say_group(group: int, *, leading: bool) -> str:
    """1 to 9999. At the beginning of a number 一十 is said 十."""
    said, zero = "", False
    for power in (3, 2, 1, 0):
        digit = group // 10**power % 10
        if not digit:
            zero = bool(said)
            continue
        if zero:
            said, zero = said + "零", False
        name = "两" if digit == 2 and power >= 2 else _DIGITS[digit]
        said += name + _UNITS[power]
    return said.removeprefix("一") if leading and 10 <= group < 20 else said


def spoken(text: str) -> str:
    """The text with its numbers as a speaker would say them; everything else is left."""
    text = _TAIL.sub(lambda match: match[1] + match[2] + say_digits(match[3], telephone=True), text)
    text = _YEAR.sub(lambda match: say_digits(match[1]), text)
    return _NUMBER.sub(_say, text)


def _say(match: re.Match[str]) -> str:
    whole, fraction, percent = match[1], match[2], match[3]
    unit = match.string[match.end() : match.end() + 1]
    is_quantity = fraction or percent or unit in {"万", "亿", "元", "块", "角", "毛", "美", "欧", "英", "港", "日", "人", "月", "号"}
    if not is_quantity and (len(whole) >= 5 or (len(whole) > 1 and whole[0] == "0")):
        return say_digits(whole, telephone=True)
    said = say_integer(int(whole))
    if len(whole) == 1 and whole == "2" and unit and unit in "万亿":
        said = "两"
    said += "点" + say_digits(fraction) if fraction else ""
    return f"百分之{said}" if percent else said
