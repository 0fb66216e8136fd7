"""Numbers written, said and written again are the same."""

from datetime import date

import cn2an
from hypothesis import given
from hypothesis import strategies as st

from streaming.asr.finishing import finisher
from streaming.asr.itn import find_itn
from streaming.asr.spoken import say_digits, say_integer, spoken

finish = finisher(find_itn)


def written_again(text):
    return finish(spoken(text), (), "zh").text


def amount(value, unit):
    """As amounts are written: round ten thousands keep 万."""
    for size, name in ((10**8, "亿"), (10**4, "万")):
        if value and value % size == 0 and value // size < 10**4:
            return f"{value // size}{name}{unit}"
    return f"{value}{unit}"


@given(st.integers(0, 10**12 - 1))
def test_a_quantity_means_what_it_says(value):
    assert cn2an.cn2an(say_integer(value), "normal") == value


@given(st.integers(10, 10**8 - 1), st.sampled_from(["元", "块钱", "美元"]))
def test_amounts(value, unit):
    text = f"一共{amount(value, unit)}。"
    assert not any(character.isdigit() for character in spoken(text))
    assert written_again(text) == text


@given(st.integers(10, 99_999), st.integers(1, 9))
def test_amounts_with_tenths(whole, tenth):
    text = f"收了{whole}.{tenth}元"
    assert written_again(text) == text


@given(st.integers(0, 99), st.text("0123456789", max_size=2))
def test_percentages_and_yearly_rates(whole, fraction):
    number = f"{whole}.{fraction}" if fraction else str(whole)
    for text in (f"年化利率是{number}%", f"打{number}%的折"):
        assert written_again(text) == text


@given(st.dates(date(1990, 1, 1), date(2099, 12, 31)), st.sampled_from("日号"))
def test_dates(day, unit):
    text = f"在{day.year}年{day.month}月{day.day}{unit}到期"
    assert written_again(text) == text


@given(st.text("0123456789", min_size=4, max_size=4), st.sampled_from(["尾号", "尾号是", "后四位是"]))
def test_card_tails(digits, before):
    text = f"{before}{digits}的卡"
    assert written_again(text) == text


@given(st.text("0123456789", min_size=7, max_size=11))
def test_telephone_numbers_are_said_with_yao(digits):
    text = f"打{digits}吧"
    assert "1" not in digits or "幺" in spoken(text)
    assert written_again(text) == text


@given(st.text("0123456789", min_size=3, max_size=11))
def test_groups_of_digits_are_one_number(digits):
    said = "，".join(say_digits(digits[i : i + 3], telephone=True) for i in range(0, len(digits), 3))
    assert finish(f"卡号是{said}", (), "zh").text == f"卡号是{digits}"


@given(st.text("一二三四五六七八九十百千万亿零点块元毛号月日年第个万分之 ，我转了", max_size=14))
def test_any_jumble_is_finished_and_finishing_again_changes_nothing(text):
    once = finish(text, (), "zh").text
    assert finish(once, (), "zh").text == once
