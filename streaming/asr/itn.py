"""Inverse text normalisation for Mandarin, conservative: amounts, percentages, dates and spoken digit strings become digits. PURE.

What may be an idiom, a name or an ordinary word (一下, 三心二意, 万一, 一块儿) stays as it was said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import cn2an

from streaming.asr.finishing import Edit

_DIGITS = dict(zip("零〇一二三四五六七八九幺两", "0012345678912", strict=True))
_DIGIT = "[零〇一二三四五六七八九幺]"
_NUMBER = "[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?"
_UNITS = "块钱|元钱|万元|亿元|美元|欧元|英镑|港币|港元|日元|人民币|块|元|角|毛钱"

_PERCENT = re.compile(rf"百分之({_NUMBER})")
_YEAR = re.compile(r"([一二][零〇一二三四五六七八九]{3})年")
_DAY = re.compile(
    r"(?<![零〇一二两三四五六七八九十百千万])(十[一二]?|[一二三四五六七八九])月(?:份)?(三十一?|二?十[一二三四五六七八九]?|[一二三四五六七八九])(?=[日号])"
)
_AMOUNT = re.compile(rf"({_NUMBER})(?={_UNITS})")
_TAIL = re.compile(
    rf"(尾号|后四位|末四位|后六位|验证码|密码|卡号|账号|号码)((?:[是为：:，,]|就是){{0,2}})({_DIGIT}(?:[ ，,、]?{_DIGIT}){{2,}})"
)
_RUN = re.compile(rf"(?<!{_DIGIT}){_DIGIT}(?:[ ，,、]?{_DIGIT}){{4,}}(?!{_DIGIT})")
_YAO = re.compile(rf"(?<!{_DIGIT})(?={_DIGIT}*幺){_DIGIT}{{3,}}(?!{_DIGIT})")


def find_itn(text: str, language: str) -> list[Edit]:
    """Edits for the numbers of a Chinese text; none for other languages (Whisper writes English numbers itself)."""
    if not language.startswith("zh"):
        return []
    edits: list[Edit] = []
    for edit in _candidates(text):
        if not any(edit.start < other.end and other.start < edit.end for other in edits):
            edits.append(edit)
    return sorted(edits, key=lambda edit: edit.start)


def _candidates(text: str) -> Iterator[Edit]:
    """Best first: a later candidate that overlaps an earlier one is ignored."""
    for match in _PERCENT.finditer(text):
        value = _value(match[1])
        if value is not None:
            yield _edit(match.start(), match.end(), f"{value}%")
    for match in _TAIL.finditer(text):
        yield _edit(match.start(3), match.end(3), _spell(match[3]))
    for match in _YEAR.finditer(text):
        yield _edit(match.start(1), match.end(1), _spell(match[1]))
    for match in _DAY.finditer(text):
        month, day = _value(match[1]), _value(match[2])
        if month and day:
            yield _edit(match.start(1), match.end(1), month)
            yield _edit(match.start(2), match.end(2), day)
    for pattern in (_RUN, _YAO):
        for match in pattern.finditer(text):
            yield _edit(match.start(), match.end(), _spell(match[0]))
    for match in _AMOUNT.finditer(text):
        written = _amount(match[1])
        rest = text[match.end() :]
        # 一块 is "together" or "a piece" as often as an amount; a lone digit needs an unmistakable unit.
        certain = len(match[1]) > 1 or rest.startswith(("块钱", "元", "美元", "欧元", "英镑", "港币"))
        if written is not None and certain:
            yield _edit(match.start(1), match.end(1), written)


def _edit(start: int, end: int, replacement: str) -> Edit:
    return Edit(start=start, end=end, replacement=replacement, reason="itn")


def _spell(digits: str) -> str:
    return "".join(_DIGITS[character] for character in digits if character in _DIGITS)


def _amount(number: str) -> str | None:
    """三万五千 → 35000, but a round 三百万 → 300万, as amounts are written."""
    for unit in ("亿", "万"):
        head = number.removesuffix(unit)
        if head != number and head and "万" not in head and "亿" not in head:
            value = _value(head)
            return None if value is None else value + unit
    return _value(number)


def _value(number: str) -> str | None:
    """The number in digits; None if it is not one well-formed number (三五十, 万万)."""
    whole, _, fraction = number.partition("点")
    if not whole or not any(character in "零〇一二两三四五六七八九十" for character in whole):
        return None
    if len(whole) > 1 and not any(character in "十百千万亿" for character in whole):
        return None
    try:
        value = str(int(cn2an.cn2an(whole.replace("〇", "零"), "normal")))
    except (ValueError, TypeError, KeyError):
        return None
    return f"{value}.{_spell(fraction)}" if fraction else value
