"""The scorer that judges every server by the text on show: what it calls late, missed and wrong."""

from __future__ import annotations

import pytest

from loadtest.alignment import Outcome
from loadtest.excerpts import Utterance
from loadtest.screen_score import Heard, State, pieces, score, summarise

FIRST = Utterance(channel="customer", start_ms=1_000, end_ms=3_000, text="我想查一下余额")
SECOND = Utterance(channel="customer", start_ms=6_000, end_ms=8_000, text="卡号是三六七八")


def shown(*states: tuple[float, str, str]) -> list[State]:
    return [State(at_ms=at, committed=committed, tail=tail) for at, committed, tail in states]


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
    assert (first.first_partial_ms, first.final_ms, first.outcome.errors) == (1_100, 600, 0)
    assert (second.first_partial_ms, second.final_ms, second.outcome.errors) == (1_000, 900, 0)


def test_a_final_is_as_late_as_its_last_right_character():
    (only,) = score([FIRST], shown((2_000, "我想", ""), (3_500, "我想查一下", ""), (9_000, "我想查一下余额", "")))
    assert only.final_ms == 6_000


def test_text_that_is_rewritten_arrives_when_it_stood_for_good():
    assert [
        (piece.text, piece.at_ms) for piece in pieces(shown((1_000, "我想插", ""), (1_500, "我想插", "一"), (2_000, "我想查一下", "")))
    ] == [
        ("我想", 1_000),
        ("查一下", 2_000),
    ]
    assert pieces(shown((1_000, "我", ""), (2_000, "", ""))) == []


def test_no_character_belongs_to_an_utterance_that_had_not_begun():
    same = Utterance(channel="customer", start_ms=20_000, end_ms=22_000, text=FIRST.text)
    first, second = score([FIRST, same], shown((4_000, FIRST.text + FIRST.text, "")))
    assert first.outcome.right == 7
    assert second.outcome.missed
    assert second.final_ms is None
    assert second.first_partial_ms is None
    assert first.outcome.errors + second.outcome.errors == 14


def test_under_half_is_missed_and_half_is_not():
    (missed,) = score([FIRST], shown((4_000, "我想查", "")))
    (found,) = score([FIRST], shown((4_000, "我想查一", "")))
    assert missed.outcome.missed
    assert missed.final_ms is None
    assert found.final_ms == 1_000


def test_what_is_only_ever_shown_as_tail_is_no_final():
    (only,) = score([FIRST], shown((2_500, "", "我想查一下"), (3_500, "", FIRST.text)))
    assert only.first_partial_ms == 1_500
    assert only.final_ms is None
    assert only.outcome.missed


def test_one_right_character_is_chance_and_no_first_partial():
    (only,) = score([FIRST], shown((1_500, "", "我"), (1_900, "", "我们"), (2_300, "", "我们想查")))
    assert only.first_partial_ms == 1_300


def test_invented_text_is_charged_and_silence_costs_every_character():
    (wrong,) = score([FIRST], shown((4_000, FIRST.text + "谢谢观看", "")))
    (silent,) = score([FIRST], [])
    assert wrong.outcome.errors == 4
    assert silent.outcome.errors == silent.outcome.characters == 7


def line(final_ms: float | None, errors: int = 0, characters: int = 10) -> Heard:
    right = 0 if final_ms is None else characters - errors
    outcome = Outcome(characters=characters, right=right, errors=errors, last_right_ms=final_ms)
    return Heard(outcome=outcome, first_partial_ms=None, final_ms=final_ms)


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


def test_waits_are_summed_up_over_what_came():
    summary = summarise([[line(400), line(600), line(None, 10)]])
    assert summary.missed == 1
    assert summary.final_ms == (pytest.approx(500), pytest.approx(590))
    assert summary.first_partial_ms is None
    with pytest.raises(ValueError, match="nothing"):
        summarise([])
