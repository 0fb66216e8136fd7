"""Slots of a turn: sums, days, card tails, products and channels, written, spoken and misheard."""

from __future__ import annotations

from datetime import date

import pytest

from copilot.live.slots import slots

FRIDAY = date(2026, 11, 27)


def found(text: str, name: str, language: str = "zh") -> list[str]:
    return [slot.value for slot in slots(text, "customer-1", day=FRIDAY, language=language) if slot.name == name]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("刷了三千块", ["3000.00"]),
        ("转了一万二", ["12000.00"]),
        ("花了两百来块", ["200.00"]),
        ("大概三千多", ["3000.00"]),
        ("就3k", ["3000.00"]),
        ("借他1.2w", ["12000.00"]),
        ("房贷还有40万，想还10万", ["400000.00", "100000.00"]),
        ("扣了二十五", ["25.00"]),
        ("一百二十块五", ["120.50"]),
        ("十几万", ["100000.00"]),
        ("5,000元", ["5000.00"]),
        ("三块钱，一百块以上才提醒", ["3.00", "100.00"]),
        ("那笔两千六的", ["2600.00"]),
        ("换一千块钱零钱，全要五块的", ["1000.00"]),
    ],
)
def test_sums_of_money(text: str, amounts: list[str]) -> None:
    assert found(text, "amount") == amounts


@pytest.mark.parametrize(
    "text",
    [
        "百分之三点五",
        "九十天的产品",
        "三年定期",
        "二类户",
        "尾号四四一九",
        "十一点以后",
        "一千积分",
        "万一丢了",
        "分十二期",
        "我都七十了",
        "第三次了",
        "千万别",
        "五个工作日",
        "打八折",
        "R2",
        "一点都不好",
        "二十号",
    ],
)
def test_what_is_no_money(text: str) -> None:
    assert found(text, "amount") == []


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("two thousand six hundred on my card", ["2600.00"]),
        ("I paid $1,200.50", ["1200.50"]),
        ("about fifty pounds", ["50.00"]),
        ("three thousand points", []),
        ("it's 5k", ["5000.00"]),
        ("four four one nine", []),
    ],
)
def test_english_sums(text: str, amounts: list[str]) -> None:
    assert found(text, "amount", "en") == amounts


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("十一月二十二号", ["2026-11-22"]),
        ("11月22日", ["2026-11-22"]),
        ("上个月底", ["2026-10-31"]),
        ("上个月十五号", ["2026-10-15"]),
        ("月底还行吗", ["2026-11-30"]),
        ("去年八月份", ["2025-08"]),
        ("去年开的", ["2025"]),
        ("二零二五年三月", ["2025-03"]),
        ("上周四", ["2026-11-19"]),
        ("下周一", ["2026-11-30"]),
        ("周六开门吗", ["2026-11-28"]),
        ("大前天", ["2026-11-24"]),
        ("昨晚十一点", ["2026-11-26"]),
        ("近天就得给人家", ["2026-11-27"]),
        ("三天前", ["2026-11-24"]),
        ("一月五号", ["2027-01-05"]),
        ("有效期零一二七", ["2027-01"]),
        ("我二十号就到家了", ["2026-11-20"]),
        ("改成二十号行吗，我十五号才发工资", []),
        ("每个月五号还款", []),
        ("三个月", []),
        ("二月三十号", []),
        ("两个礼拜了", []),
    ],
)
def test_days(text: str, days: list[str]) -> None:
    assert found(text, "date") == days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("on Sunday", ["2026-11-29"]),
        ("last Thursday", ["2026-11-19"]),
        ("yesterday", ["2026-11-26"]),
        ("last month", ["2026-10"]),
        ("the fifteenth of October", ["2026-10-15"]),
        ("October 3rd, 2025", ["2025-10-03"]),
        ("last August", ["2026-08"]),
        ("may I ask", []),
        ("who won last night", ["2026-11-26"]),
    ],
)
def test_english_days(text: str, days: list[str]) -> None:
    assert found(text, "date", "en") == days


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("信用卡还有储续卡", "product", ["credit_card", "debit_card"]),
        ("公积金怎么提", "product", []),
        ("U盾插上没反应", "product", ["ukey"]),
        ("收记上能弄吗，还是去网点", "channel", ["app", "branch"]),
        ("柜员机取的", "channel", ["atm"]),
        ("卡丢了", "product", []),
        ("尾号【尾号#1】，卡号【卡号#2】", "card", ["【尾号#1】", "【卡号#2】"]),
        ("我叫【姓名#1】", "card", []),
    ],
)
def test_products_channels_and_tokens(text: str, name: str, values: list[str]) -> None:
    assert found(text, name) == values


def test_the_order_is_that_of_the_words_and_the_spoken_form_is_kept() -> None:
    all_of_them = slots("昨天信用卡刷了三千块", "customer-1", day=FRIDAY, language="zh")  # type: ignore[arg-type]
    assert [(slot.name, slot.spoken) for slot in all_of_them] == [("date", "昨天"), ("product", "信用卡"), ("amount", "三千块")]
