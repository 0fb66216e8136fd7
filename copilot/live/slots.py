"""What a turn names: sums of money, days, card tails, products and channels, brought to one form. Pure.

Values: ``amount`` a decimal with two places; ``date`` a day YYYY-MM-DD, a month YYYY-MM or a year YYYY, from the day of the call;
``card`` a PII token, never digits; ``product`` and ``channel`` ids of ``copilot.live.slot_words``. Written and spoken numbers are read
alike; words of dates, products and channels also when a recogniser wrote other characters of the same sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from copilot.domain.events import SlotFilled
from copilot.domain.ids import UtteranceId
from copilot.domain.numerals import CHINESE, ENGLISH_WORDS, canonical, chinese_value, english_value
from copilot.live import slot_dates, slot_words

_TOKEN = re.compile(r"【[^】#]{1,12}#\d+】")
_TAIL = re.compile(r"【(?:尾号|卡号)#\d+】")
_CURRENCY = "块钱|元钱|美元|美金|欧元|英镑|港币|港元|日元|人民币|元|块"
_LARGE = {"十": 10, "百": 100, "千": 1_000, "k": 1_000, "K": 1_000, "万": 10_000, "w": 10_000, "W": 10_000, "亿": 100_000_000}
# 3万, 1.2w, 3k, 5,000元; the unit may be missing where a currency follows.
_WRITTEN = re.compile(
    rf"(?<![\d.A-Za-z])(?P<number>\d[\d,]*(?:\.\d+)?)\s*(?P<unit>[百千万亿kKwW](?![A-Za-z]))?(?P<more>[来多几]{{0,2}})\s*"
    rf"(?P<currency>{_CURRENCY})?(?P<tenth>[1-9](?!\d))?"
)
_SAID = re.compile(
    rf"(?P<number>[{CHINESE}]+)(?P<more>[来多几余])?(?P<unit>[万千百])?(?P<currency>{_CURRENCY})?"
    rf"(?:(?P<tenth>[一二三四五六七八九])(?=毛|角|[，。？！,.?!的了吧吗呢啊]|$))?"
)
_ENGLISH_MONEY = re.compile(
    r"(?:(?P<sign>[$¥£€])\s*)?(?P<number>\d[\d,]*(?:\.\d+)?)\s*(?P<unit>k|thousand|million)?\b\s*"
    r"(?P<currency>yuan|rmb|dollars?|pounds?|euros?|quid)?",
    re.IGNORECASE,
)
_ENGLISH_CURRENCY = re.compile(r"\s*(?:yuan|rmb|dollars?|pounds?|euros?|quid)\b", re.IGNORECASE)
_ENGLISH_COUNTER = re.compile(r"\s*(?:points?|times|people|years?|days?|miles)\b", re.IGNORECASE)
_ENGLISH_SCALE = {"k": 1_000, "thousand": 1_000, "million": 1_000_000}
# What a number counts when it is no money: "九十天", "三年期", "二类", "三点五个点".
_COUNTER = re.compile(
    r"[来多几]?(?:个|天|年|月|日|号|点|分(?!钱)|秒|小时|钟|周|星期|礼拜|次|遍|回|趟|张|笔|期|类|级|岁|人|位|名|家|股|份|倍|折|成|楼|层|路|米|公里|平|斤|积分|"
    r"条|件|台|部|套|间|种|步|代|届|本|封|页|%|％|时|刻|度|辆|只|下|样|起|共|定|直|些|般|会|旦|切|边)"
)
_BEFORE_NO_MONEY = re.compile(
    r"(?:第|百分之|尾号|号码|验证码|密码|星期|礼拜|周|积分|编号|工号|代码|利率|年化|净值)$|[点零〇一二三四五六七八九]$"
)
# After these verbs a small bare number is a sum too: "扣了二十五".
_MONEY_VERB = re.compile(
    r"(?:扣|收|花|刷|转|取|存|还|退|充|付|交|欠|赔|少|汇|打|借|贷|买|投|亏|赚|补|领)(?:了|我|我了|了我|走|走了|掉|掉了|的是|出去|过去|进去|给我|给他)*$"
)
_NOTES = re.compile(r"(?:零钱|零票|硬币|新钞|面额|面值|换|全要|都要|全部要|钞)")


@dataclass(frozen=True, slots=True)
class _Found:
    start: int
    name: str
    value: str
    spoken: str


def slots(text: str, utterance: UtteranceId, *, day: date, language: str) -> list[SlotFilled]:
    """The slots of one utterance in the order they were said. ``day``: the day of the call, from which dates are worked out."""
    found: list[_Found] = [_Found(token.start(), "card", token.group(0), token.group(0)) for token in _TAIL.finditer(text)]
    # Tokens keep their length, so that places stay places.
    plain = _TOKEN.sub(lambda token: "\0" * len(token.group(0)), text)
    dated = slot_dates.dates(plain, day, language)
    found += [_Found(item.start, "date", item.value, plain[item.start : item.end]) for item in dated]
    for item in dated:
        plain = plain[: item.start] + "\0" * (item.end - item.start) + plain[item.end :]
    found += _amounts(plain, language)
    found += [_Found(word.start, word.slot, word.value, word.spoken) for word in slot_words.words(plain, language)]
    return [
        SlotFilled(utterance_id=utterance, name=item.name, value=item.value, spoken=item.spoken)
        for item in sorted(found, key=lambda item: item.start)
    ]


def _amounts(text: str, language: str) -> Iterator[_Found]:
    if language != "zh":
        yield from _english_amounts(text)
        return
    taken: list[tuple[int, int]] = []
    for match in _WRITTEN.finditer(text):
        value = _decimal(match["number"])
        if value is None:
            continue
        value *= _LARGE[match["unit"]] if match["unit"] else 1
        if match["currency"] in ("块", "元") and match["tenth"]:
            value += Decimal(match["tenth"]) / 10
        end = match.end() if match["currency"] else max(match.end("number"), match.end("unit"), match.end("more"))
        if _is_money(text, match.start(), end, value, bool(match["currency"]), bool(match["unit"])):
            taken.append((match.start(), end))
            yield _Found(match.start(), "amount", f"{value:.2f}", text[match.start() : end])
    for match in _SAID.finditer(text):
        if any(start < match.end() and match.start() < end for start, end in taken):
            continue
        yield from _said(text, match)


def _said(text: str, match: re.Match[str]) -> Iterator[_Found]:
    number = match["number"].rstrip("半") if match["number"] != "半" else ""
    # 十来万, 几十万: what stands between a number and its unit does not change what it is about.
    unit = match["unit"] if match["more"] else None
    in_row = len(number) > 1 and not re.search(r"[十百千万亿]", number)
    if not number or number in ("百", "千", "千万") or number[0] in "万亿" or in_row:
        return  # 万一 and 千万 are words, and digits one by one are no sum
    value = Decimal(chinese_value(number)) * (_LARGE[unit] if unit else 1)
    currency = match["currency"]
    if currency in ("块", "元") and match["tenth"]:
        value += Decimal(chinese_value(match["tenth"])) / 10
    end = match.end() if currency else match.end("unit") if unit else max(match.end("number"), match.end("more"))
    if _is_money(text, match.start(), end, value, bool(currency), bool(re.search(r"[百千万亿]", number)) or bool(unit)):
        yield _Found(match.start(), "amount", f"{value:.2f}", text[match.start() : end])


def _is_money(text: str, start: int, end: int, value: Decimal, currency: bool, large: bool) -> bool:
    """Money by its currency, by its size (百, 千, 万), or by the verb before it; never what counts something else."""
    before, after = text[max(0, start - 8) : start], text[end : end + 4]
    if _BEFORE_NO_MONEY.search(before) or value == 0:
        return False
    if currency:
        # 换五块的: the notes are of that kind, it is no sum.
        return not (after.startswith("的") and value <= 100 and _NOTES.search(text[max(0, start - 14) : start]))
    if _COUNTER.match(after):
        return False
    if large:
        return True
    # A small number after such a verb ("扣了二十五"); below ten only at the end of a phrase.
    return _MONEY_VERB.search(before) is not None and (value >= 10 or (value >= 2 and not re.match(r"[一-鿿]", after)))


def _english_amounts(text: str) -> Iterator[_Found]:
    for match in _ENGLISH_MONEY.finditer(text):
        value = _decimal(match["number"])
        if value is not None and (match["sign"] or match["currency"] or match["unit"]):
            value *= _ENGLISH_SCALE[match["unit"].casefold()] if match["unit"] else 1
            yield _Found(match.start(), "amount", f"{value:.2f}", match[0].strip())
    for match in ENGLISH_WORDS.finditer(text):
        words = match[0].casefold()
        priced = _ENGLISH_CURRENCY.match(text, match.end())
        if not priced and (not re.search(r"hundred|thousand|million", words) or _ENGLISH_COUNTER.match(text, match.end())):
            continue
        value = _decimal(english_value(words))
        if value:
            end = priced.end() if priced else match.end()
            yield _Found(match.start(), "amount", f"{value:.2f}", text[match.start() : end])


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(canonical(text))
    except InvalidOperation:
        return None
