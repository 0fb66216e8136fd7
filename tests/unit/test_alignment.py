"""The scorer that judges every server: what it calls late, missed and wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.alignment import Shown, Utterance, UtteranceScore, align, arrivals, percentile, score, summarise
from loadtest.scoring import edit_distance

FIRST = Utterance(start_ms=1_000, end_ms=3_000, text="我想查一下余额")
SECOND = Utterance(start_ms=6_000, end_ms=8_000, text="卡号是三六七八")


def shown(*states: tuple[float, str, str]) -> list[Shown]:
    return [Shown(at_ms=at, committed=committed, tail=tail) for at, committed, tail in states]


def test_a_perfect_listener_is_timed_by_what_it_showed():
    first, second = score(
        [FIRST, SECOND],
        shown(
            (1_700, "", "我"),
            (2_100, "", "我想查"),
            (3_600, "我想查一下余额。", ""),
            (7_000, "我想查一下余额。", "卡号"),
            (8_900, "我想查一下余额。卡号是3678。", ""),
        ),
    )
    assert (first.first_partial_ms, first.final_ms, first.errors, first.missed) == (1_100, 600, 0, False)
    assert (second.first_partial_ms, second.final_ms, second.errors, second.missed) == (1_000, 900, 0, False)


def test_a_final_is_as_late_as_its_last_right_character():
    (only,) = score([FIRST], shown((2_000, "我想", ""), (3_500, "我想查一下", ""), (9_000, "我想查一下余额", "")))
    assert only.final_ms == 6_000


def test_text_that_is_rewritten_arrives_when_it_stood_for_good():
    text, times = arrivals(shown((1_000, "我想插", ""), (2_000, "我想查一下", "")), "")
    assert text == "我想查一下"
    assert times == [1_000, 1_000, 2_000, 2_000, 2_000]


def test_no_character_belongs_to_an_utterance_that_had_not_begun():
    same = Utterance(start_ms=20_000, end_ms=22_000, text=FIRST.text)
    first, second = score([FIRST, same], shown((4_000, FIRST.text + FIRST.text, "")))
    assert first.matched == 7
    assert second.matched == 0
    assert second.missed
    assert second.final_ms is None
    assert second.first_partial_ms is None
    assert first.errors + second.errors == 14


def test_under_half_is_missed_and_half_is_not():
    (missed,) = score([FIRST], shown((4_000, "我想查", "")))
    (found,) = score([FIRST], shown((4_000, "我想查一", "")))
    assert missed.missed
    assert missed.final_ms is None
    assert not found.missed
    assert found.final_ms == 1_000


def test_what_is_only_ever_shown_as_tail_is_no_final():
    (only,) = score([FIRST], shown((2_500, "", "我想查一下"), (3_500, "", FIRST.text)))
    assert only.first_partial_ms == 1_500
    assert only.final_ms is None
    assert only.missed


def test_invented_text_is_charged_and_silence_costs_every_character():
    (wrong,) = score([FIRST], shown((4_000, FIRST.text + "谢谢观看", "")))
    (silent,) = score([FIRST], [])
    assert wrong.errors == 4
    assert silent.errors == silent.characters == 7


def test_traditional_characters_marks_and_written_numbers_are_no_errors():
    (only,) = score(
        [Utterance(start_ms=0, end_ms=1, text="银行卡少了三千块，尾号是三六七八")], shown((10, "銀行卡 少了3000塊, 尾號是3678！", ""))
    )
    assert only.errors == 0


@given(st.text("甲乙丙丁", max_size=12), st.text("甲乙丙丁", max_size=12))
def test_the_path_is_the_cheapest_one(reference: str, hypothesis: str):
    path = align([(character, 0.0) for character in reference], hypothesis, [1.0] * len(hypothesis))
    assert sum(kind != 0 for kind, _, _ in path) == edit_distance(reference, hypothesis)
    assert [i for kind, i, _ in path if kind != 2] == list(range(len(reference)))
    assert [j for kind, _, j in path if kind != 3] == list(range(len(hypothesis)))


def line(final_ms: float | None, errors: int = 0, characters: int = 10) -> UtteranceScore:
    matched = 0 if final_ms is None else characters - errors
    return UtteranceScore(characters=characters, errors=errors, matched=matched, first_partial_ms=None, final_ms=final_ms)


def test_keeping_up_needs_both_the_last_final_and_nearly_all_of_them():
    assert summarise([[line(500)] * 30 + [line(2_900)]]).kept_up
    assert not summarise([[line(500)] * 30 + [line(3_100)]]).kept_up
    assert not summarise([[line(4_000)] * 5 + [line(500)] * 10]).kept_up
    assert not summarise([[line(500)] * 10, [line(500), line(None, 10)]]).kept_up, "one channel lost its end"


def test_the_error_rate_is_weighted_by_length_and_has_an_interval():
    summary = summarise([[line(500, 5, 10), line(500, 0, 90)] * 10])
    assert summary.cer == pytest.approx(0.05)
    low, high = summary.cer_interval
    assert low < 0.05 < high
    assert summarise([[line(500, 5, 10), line(500, 0, 90)] * 10]) == summary, "the same every time"


def test_percentiles_lie_between_neighbours():
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert percentile([7.0], 0.95) == 7.0
    with pytest.raises(ValueError, match="No values"):
        percentile([], 0.5)
