"""Inverse text normalisation for Mandarin, conservative: amounts, percentages, dates and spoken digit strings become digits. PURE.

What may be an idiom, a name or an ordinary word (一下, 三心二意, 万一, 一块儿, 二百五) stays as it was said, and so do vague quantities
(三五百, 十来个, 上个月底). ``streaming.asr.spoken`` is the way back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import cn2an

from copilot.domain.transcript import Word
from streaming.asr.finishing import Edit

_DIGITS = dict(zip("零〇一二三四五六七八九幺两", "0012345678912", strict=True))
_DIGIT = "[零〇一二三四五六七八九幺]"
_PLAIN = "零〇一二三四五六七八九"
_QUANTITY = "零〇一二两三四五六七八九十百千万亿"
_NUMBER = f"[{_QUANTITY}]+(?:点[{_PLAIN}]+)?"
_UNITS = "块钱|元钱|万元|亿元|美元|欧元|英镑|港币|港元|日元|人民币|块|元|角|毛钱"
_CERTAIN = ("块钱", "元", "美元", "欧元", "英镑", "港币", "港元", "日元", "人民币")

_PERCENT = re.compile(rf"百分之({_NUMBER})")
_YEAR = re.compile(rf"([一二][{_PLAIN}]{{3}})年")
_DAYS = "三十一?|二?十[一二三四五六七八九]?|[一二三四五六七八九]"
_DAY = re.compile(rf"(?<![{_QUANTITY}])(十[一二]?|[一二三四五六七八九])月(?:份)?({_DAYS})(?=[日号])")
_DAY_OF = re.compile(rf"(?:上个?月|这个?月|下个?月|本月|当月|每个?月)(?:的)?({_DAYS})(?=[日号])")
_AMOUNT = re.compile(rf"({_NUMBER})(?=[来多]?(?:{_UNITS}))")
# 一百二十块五, 三块五毛: the digit after 块 is tenths. 一块五个人 is not money.
_TENTHS = re.compile(
    rf"(?<![{_QUANTITY}点])([{_QUANTITY}]+)块([一二三四五六七八九])(?:(?:毛|角)(?!\w*[分])|(?=钱|[的了吧吗呢啊，。？！,.?!]|$))"
)
# 一万二, 三千五: a digit after the unit counts the next lower one. Before a counter it begins the next phrase (一万一年).
_SHORT = re.compile(
    rf"(?<![{_QUANTITY}点第])([一二两三四五六七八九](?:[{_QUANTITY}]*[一二三四五六七八九十百千])?)([万千百])([一二三四五六七八九])"
    rf"(?=块|元|左右|以[上下内]|到|[的了吧吗呢啊呀，。？！、；：,.?!;:]|$)"
)
_RATE = re.compile(
    rf"(利率|年化|汇率|收益率|费率|净值|折算)((?:[是为到在了约：:，,]|大概|现在|目前|今天|只有){{0,3}})({_NUMBER})(?![{_QUANTITY}分刻半])"
)
_DECIMAL = re.compile(rf"(?<![{_QUANTITY}点])([{_QUANTITY}]+点[{_PLAIN}]{{2,}})(?![{_QUANTITY}点分刻半多来几])")
_TAIL = re.compile(
    rf"(尾号|后四位|末四位|后六位|验证码|密码|卡号|账号|号码)((?:[是为：:，,]|就是){{0,2}})({_DIGIT}(?:[ ，,、]?{_DIGIT}){{2,}})"
)
_RUN = re.compile(rf"(?<!{_DIGIT}){_DIGIT}(?:[ ，,、]?{_DIGIT}){{4,}}(?!{_DIGIT})")
_YAO = re.compile(rf"(?<!{_DIGIT})(?={_DIGIT}*幺){_DIGIT}{{3,}}(?!{_DIGIT})")
_SAYINGS = frozenset({"二百五"})


def find_itn(text: str, language: str, _words: Sequence[Word] = ()) -> list[Edit]:
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
    yield from _days(text)
    for pattern in (_RUN, _YAO):
        for match in pattern.finditer(text):
            yield _edit(match.start(), match.end(), _spell(match[0]))
    yield from _amounts(text)
    for match in _RATE.finditer(text):
        value = _value(match[3]) if "点" in match[3] else None
        if value is not None:
            yield _edit(match.start(3), match.end(3), value)
    for match in _DECIMAL.finditer(text):
        value = _value(match[1])
        if value is not None:
            yield _edit(match.start(), match.end(), value)


def _days(text: str) -> Iterator[Edit]:
    for match in _DAY.finditer(text):
        month, day = _value(match[1]), _value(match[2])
        if month and day:
            yield _edit(match.start(1), match.end(1), month)
            yield _edit(match.start(2), match.end(2), day)
    for match in _DAY_OF.finditer(text):
        day = _value(match[1])
        if day:
            yield _edit(match.start(1), match.end(1), day)


def _amounts(text: str) -> Iterator[Edit]:
    for match in _TENTHS.finditer(text):
        value = _value(match[1])
        if value is not None:
            yield _edit(match.start(), match.end(), f"{value}.{_spell(match[2])}块")
    for match in _SHORT.finditer(text):
        value = _value(match[1] + match[2])
        if value is not None and match[0] not in _SAYINGS:
            step = {"万": 1000, "千": 100, "百": 10}[match[2]]
            yield _edit(match.start(), match.end(), str(int(value) + step * int(_spell(match[3]))))
    for match in _AMOUNT.finditer(text):
        written = _amount(match[1])
        # 一块 is "together" or "a piece" as often as an amount; a lone digit needs an unmistakable unit.
        certain = len(match[1]) > 1 or text.startswith(_CERTAIN, match.end())
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
