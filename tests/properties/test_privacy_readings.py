"""A number is found in whatever way it is read out; an amount, a rate, a date or an order number never is."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from copilot.domain.ids import UtteranceId
from copilot.domain.transcript import TranscriptFinal
from copilot.privacy.cues import HOTLINE
from copilot.privacy.find import find_pii
from copilot.privacy.masker import Masker

ZH = dict(zip("0123456789", "零幺二三四五六七八九", strict=True))
EN = dict(zip("0123456789", ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True))
PAUSES_ZH = ["", "，", " ", "、", "，嗯，", " 呃 ", "，然后，", "，那个，"]
PAUSES_EN = [" ", ", ", " - ", ", um, ", " uh "]
CARD = st.text("0123456789", min_size=16, max_size=19)
MOBILE = st.tuples(st.sampled_from("3456789"), st.text("0123456789", min_size=9, max_size=9)).map(lambda parts: "1" + "".join(parts))


@st.composite
def groups(draw: st.DrawFn, digits: str) -> list[str]:
    """The digits in groups of two to six, as people breathe; the last may be longer than a breath."""
    found = []
    while len(digits) > 3:
        size = draw(st.integers(2, min(6, len(digits))))
        size = len(digits) if len(digits) - size == 1 else size
        found.append(digits[:size])
        digits = digits[size:]
    return [*found, digits] if digits else found


@st.composite
def read_zh(draw: st.DrawFn, digits: str) -> str:
    """``digits`` as somebody reads them in Chinese: 幺 or 一, 两个三, or some groups as a recogniser writes them."""
    said = []
    for group in draw(groups(digits)):
        style = draw(st.sampled_from(["spoken", "spoken", "written", "repeats"]))
        if style == "written":
            said.append(group)
        elif style == "repeats":
            said.append(_repeats(group))
        else:
            said.append("".join(ZH[digit] for digit in group))
    pause = draw(st.sampled_from(PAUSES_ZH))
    return pause.join(said)


def _repeats(group: str) -> str:
    out, at = "", 0
    while at < len(group):
        run = 1
        while at + run < len(group) and group[at + run] == group[at] and run < 4:
            run += 1
        out += ZH[group[at]] if run == 1 else f"{'两三四'[run - 2]}个{ZH[group[at]]}"
        at += run
    return out


@st.composite
def read_en(draw: st.DrawFn, digits: str) -> str:
    """``digits`` as somebody reads them in English: oh or zero, double five, with pauses."""
    said, at = [], 0
    while at < len(digits):
        twice = digits[at : at + 2] == 2 * digits[at] and draw(st.booleans())
        word = "oh" if digits[at] == "0" and draw(st.booleans()) else EN[digits[at]]
        said.append(f"double {word}" if twice else word)
        at += 2 if twice else 1
    pause = draw(st.sampled_from(PAUSES_EN))
    return pause.join(" ".join(said[first : first + 4]) for first in range(0, len(said), 4))


def covered(text: str, start: int, end: int, **context: object) -> bool:
    spans = find_pii(text, **context)  # type: ignore[arg-type]
    return all(any(span.start <= at < span.end for span in spans) for at in range(start, end) if text[at].isalnum())


@settings(deadline=None)
@given(st.data())
def test_a_card_number_in_any_reading_is_found_whole(data: st.DataObject) -> None:
    digits = data.draw(CARD)
    before = data.draw(st.sampled_from(["", "卡号是", "我的卡号，", "嗯，你记一下，", "转到这张卡上，"]))
    said = data.draw(read_zh(digits))
    after = data.draw(st.sampled_from(["", "，对吧", "。然后呢", "，余额多少"]))
    assert covered(before + said + after, len(before), len(before) + len(said)), before + said + after


@settings(deadline=None)
@given(st.data())
def test_a_mobile_number_in_any_reading_is_found_whole(data: st.DataObject) -> None:
    digits = data.draw(MOBILE)
    before = data.draw(st.sampled_from(["", "手机号是", "打我电话", "预留的是"]))
    said = data.draw(read_zh(digits))
    assert covered(before + said, len(before), len(before) + len(said)), before + said


@settings(deadline=None)
@given(st.data())
def test_an_english_reading_is_found_whole(data: st.DataObject) -> None:
    digits = data.draw(CARD)
    before = data.draw(st.sampled_from(["my card number is ", "it's ", "sure, ", "the account number, "]))
    said = data.draw(read_en(digits))
    assert covered(before + said, len(before), len(before) + len(said)), before + said


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_number_over_several_utterances_is_masked_in_all_of_them(data: st.DataObject) -> None:
    kind, question, digits = data.draw(
        st.sampled_from(
            [
                ("card", "请报一下您的卡号", data.draw(CARD)),
                ("phone", "请问您的手机号是多少", data.draw(MOBILE)),
                ("id", "麻烦报一下身份证号", data.draw(st.text("0123456789", min_size=18, max_size=18))),
            ]
        )
    )
    masker, asked = Masker(), data.draw(st.booleans())
    lines = [("agent", question)] if asked else []
    pieces = [piece for piece in data.draw(groups(digits)) if piece]
    # What is no answer to a question is told from amounts by more than two digits a breath.
    assume(asked or all(len(piece) >= 3 for piece in pieces))
    assume(all(HOTLINE.fullmatch(piece) is None for piece in pieces))
    for piece in pieces:
        style = data.draw(st.booleans())
        lines.append(("customer", "".join(ZH[digit] for digit in piece) if style else piece))
        if data.draw(st.booleans()):
            lines.append(("agent", data.draw(st.sampled_from(["嗯", "好的", "请继续", "您说"]))))
    shown: dict[str, str] = {}
    for number, (channel, text) in enumerate(lines):
        final = TranscriptFinal(
            channel=channel,  # type: ignore[arg-type]
            utterance_id=UtteranceId(f"{channel}-{number}"),
            start_ms=number,
            end_ms=number + 1,
            text=text,
            language="zh",
            confidence=1.0,
        )
        shown[final.utterance_id] = masker.final(final)[0].text
        shown |= {late.final.utterance_id: late.final.text for late in masker.take_rewritten()}
    for utterance, text in shown.items():
        if utterance.startswith("customer"):
            assert text.startswith("【"), (kind, lines, shown)
            assert text.endswith("】"), (kind, lines, shown)


AMOUNTS = st.one_of(
    st.integers(1, 99_999_999).map(lambda value: f"{value}元"),
    st.integers(1, 9_999).map(lambda value: f"{value}块钱"),
    st.decimals("0.01", "999999", places=2).map(lambda value: f"{value}元"),
    st.integers(1_000, 99_999_999).map(lambda value: f"¥{value:,}"),
    st.integers(1, 9).map(lambda value: f"{'零一二三四五六七八九'[value]}万{'一二三四五六七八九'[value - 1]}千块"),
    st.decimals("0.01", "36", places=2).map(lambda value: f"{value}%"),
    st.tuples(st.integers(2000, 2030), st.integers(1, 12), st.integers(1, 28)).map(lambda day: "{}年{}月{}日".format(*day)),
    st.tuples(st.integers(2000, 2030), st.integers(1, 12), st.integers(1, 28)).map(lambda day: "{:04}-{:02}-{:02}".format(*day)),
    st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda time: "{:02}:{:02}".format(*time)),
    st.integers(1, 99_999).map(lambda value: f"{value} dollars"),
    st.integers(1, 48).map(lambda value: f"{value}期"),
    st.sampled_from(["95588", "400-812-3123", "110", "96110", "12378"]).map(lambda number: f"打{number}"),
)


@settings(deadline=None, max_examples=300)
@given(
    AMOUNTS,
    st.sampled_from(["", "我转了", "金额是", "手续费", "一共", "上个月还了", "I paid "]),
    st.sampled_from(["", "，对吗", "是怎么算的", " please"]),
    st.sampled_from([None, "卡号", "手机号", "身份证", "验证码"]),
)
def test_amounts_dates_rates_and_hotlines_stay(amount: str, before: str, after: str, expected: str | None) -> None:
    text = before + amount + after
    assert [text[span.start : span.end] for span in find_pii(text, expected)] == []  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    st.sampled_from(
        ["订单号", "工单号是", "快递单号", "流水号：", "受理编号", "产品代码", "合同号是", "my order number is ", "reference number "]
    ),
    st.text("0123456789", min_size=5, max_size=16),
    st.sampled_from(["", "GD", "TS"]),
)
def test_numbers_of_orders_and_the_like_stay(cue: str, digits: str, letters: str) -> None:
    text = cue + letters + digits
    assert find_pii(text) == [], text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_ending_of_a_line_is_masked_without_an_error(language: str) -> None:
    line = {
        "zh": "我叫王小明，住在杭州市文三路十二号三栋四零二室，车牌浙A幺二三I五，邮箱xm点wang艾特example点com，卡号六二二二两个零",
        "en": "my name is Tobias Fenwick, 42 Alder Lane, flat 3, t dot fenwick at example dot com, card six double two oh",
    }[language]
    for end in range(len(line) + 1):
        for span in find_pii(line[:end]):
            assert 0 <= span.start < span.end <= end
