"""Latency and quality under load, scored on hand-made calls."""

from __future__ import annotations

import pytest

from loadtest.alignment import Outcome, Shown, align
from loadtest.excerpts import Utterance
from loadtest.measures import common, measure, score_offline
from loadtest.records import CallRecord


def said(start_ms, end_ms, text, channel="customer"):
    return Utterance(channel=channel, start_ms=start_ms, end_ms=end_ms, text=text)


def test_the_last_right_character_dates_an_utterance():
    (outcome,) = align([said(0, 2000, "我的卡丢了。")], [Shown(text="我的", at_ms=900), Shown(text="卡丢了", at_ms=2600)])
    assert outcome == Outcome(characters=5, right=5, errors=0, last_right_ms=2600)


def test_a_wrong_character_does_not_date_it():
    (outcome,) = align([said(0, 2000, "我的卡丢了")], [Shown(text="我的卡", at_ms=1500), Shown(text="对啦", at_ms=2600)])
    assert (outcome.right, outcome.errors, outcome.last_right_ms) == (3, 2, 1500)


def test_no_character_belongs_to_an_utterance_that_had_not_begun():
    # The recogniser dreams 春夏秋冬 at 1 s; it is said from 5 s on.
    early, late = align(
        [said(0, 800, "东南西北"), said(5000, 6000, "春夏秋冬")],
        [Shown(text="东南西北春夏秋冬", at_ms=1000), Shown(text="秋冬", at_ms=6500)],
    )
    assert (early.right, early.last_right_ms) == (4, 1000)
    assert (late.right, late.last_right_ms) == (2, 6500)
    # Four characters too many somewhere, two missing in the second: dreaming is no gain.
    assert early.errors + late.errors == 6


def test_under_half_right_is_missed_and_half_is_not():
    half, less = align(
        [said(0, 900, "甲乙丙丁"), said(1000, 1900, "子丑寅卯")], [Shown(text="甲乙", at_ms=950), Shown(text="子", at_ms=2000)]
    )
    assert not half.missed
    assert less.missed


@pytest.mark.parametrize("written", ["9点", "九点", "九點"])
def test_numbers_count_in_the_reading_that_fits(written):
    (outcome,) = align([said(0, 1000, "上午九点")], [Shown(text=f"上午{written}", at_ms=1200)])
    assert (outcome.right, outcome.errors) == (4, 0)


def test_a_quantity_counts_whole():
    (outcome,) = align([said(0, 1000, "三千五百块")], [Shown(text="3500块", at_ms=1200)])
    assert (outcome.right, outcome.errors) == (5, 0)


def test_errors_add_up_to_the_edit_distance():
    outcomes = align(
        [said(0, 900, "甲乙丙丁"), said(1000, 1900, "子丑寅卯")], [Shown(text="甲丙丁丁", at_ms=950), Shown(text="子丑寅卯辰", at_ms=2000)]
    )
    assert sum(outcome.errors for outcome in outcomes) == 3


def test_nothing_heard_and_nothing_said():
    (outcome,) = align([said(0, 900, "甲乙")], [])
    assert outcome == Outcome(characters=2, right=0, errors=2, last_right_ms=None)
    assert outcome.missed
    assert align([], [Shown(text="甲", at_ms=1)]) == []


def test_common_subsequence():
    assert common("甲乙丙丁", "乙丁戊") == 2
    assert common("", "甲") == 0


# ------------------------------------------------------------------ a call on the feed

T0 = 100.0


def at(ms):
    """The monotonic moment of ``ms`` on the reference's clock: its zero is one frame before the first was sent."""
    return T0 - 0.020 + ms / 1000


def partial(ms, stable, unstable, end_ms, utterance="customer-1", channel="customer"):
    body = {"channel": channel, "utterance_id": utterance, "start_ms": 1000, "end_ms": end_ms, "stable": stable, "unstable": unstable}
    return at(ms), {"type": "partial", "call_id": "c", "partial": body}


def event(ms, **body):
    return at(ms), {"type": "event", "call_id": "c", "envelope": {"seq": 1, "event": body}}


def final(ms, text, end_ms, utterance="customer-1", channel="customer"):
    timings = {"queue_ms": 30.0, "decode_ms": 200.0, "endpoint_ms": 450.0, "after_speech_ms": 600.0}
    return event(
        ms,
        type="utterance_final",
        channel=channel,
        utterance_id=utterance,
        start_ms=1000,
        end_ms=end_ms,
        text=text,
        timings=timings,
    )


def record(*messages, stored=None):
    return CallRecord(call_id="c", playing_at=T0, messages=list(messages), stored_finals=stored, ended=True)


CUSTOMER = said(1000, 3000, "我的卡丢了")


def test_waits_of_one_utterance():
    measures = measure(
        record(partial(1900, "", "喂", 1700), partial(2300, "", "我的", 2200), final(3650, "我的卡丢了。", 2980), stored=1), [CUSTOMER]
    )
    (item,) = measures.utterances
    assert item.first_ms == pytest.approx(900)
    assert item.two_right_ms == pytest.approx(1300)
    assert item.final_ms == pytest.approx(650)
    assert item.spoken_at == pytest.approx(at(3000))
    assert [round(lag) for _, lag in measures.lags] == [200, 100]
    assert [round(ms) for _, ms in measures.stages["publish"]] == [70]
    assert (measures.finals, measures.finals_lost, measures.unfinished) == (1, 0, 0)


def test_turns_without_a_pause_between_them_are_one_run_of_speech():
    """The agent says 嗯 in the middle of the customer's sentence: the gold has two turns, the channel has one run of speech."""
    first, close, apart = said(1000, 3000, "我的卡丢了"), said(3200, 5000, "昨天在超市"), said(5600, 6500, "请帮我查")
    heard = record(
        partial(1900, "", "我的", 1800), final(5700, "我的卡丢了昨天在超市", 4980), final(7100, "请帮我查", 6480, "customer-2"), stored=2
    )
    run = measure(heard, [first, close, apart]).utterances
    assert [item.final_ms for item in run] == [None, pytest.approx(700), pytest.approx(600)]
    assert [item.first_ms for item in run] == [pytest.approx(900), None, pytest.approx(1500)]
    lost = measure(record(final(5700, "我的卡丢了", 2980), stored=1), [first, close]).utterances
    assert [item.final_ms for item in lost] == [None, None]
    assert lost[1].outcome.missed


def test_the_final_of_a_short_utterance_is_its_first_text():
    measures = measure(record(final(3650, "我的卡丢了", 2980), stored=1), [CUSTOMER])
    assert measures.utterances[0].first_ms == pytest.approx(2650)


def test_the_other_side_and_other_turns_do_not_count():
    later = said(9000, 9900, "春夏秋冬")
    measures = measure(record(partial(1500, "", "我的卡", 1400, channel="agent", utterance="agent-1"), stored=0), [CUSTOMER, later])
    assert all(item.first_ms is None and item.final_ms is None for item in measures.utterances)


def test_text_cannot_be_right_before_it_is_said():
    # Both last characters at a tenth of the utterance: by chance.
    measures = measure(record(partial(1200, "", "丢了", 1150), final(3500, "我的卡丢了", 2980), stored=1), [CUSTOMER])
    assert measures.utterances[0].first_ms == pytest.approx(200)
    assert measures.utterances[0].two_right_ms == pytest.approx(2500)


def test_erased_characters_and_the_promise_of_stable_text():
    measures = measure(
        record(partial(1900, "我", "地卡", 1800), partial(2300, "我的", "卡丢", 2200), final(3600, "我的卡丢了", 2980), stored=1),
        [CUSTOMER],
    )
    # 我|地卡 → 我|的卡丢: two erased, three new; then one new.
    assert (measures.erased_characters, measures.shown_characters) == (2, 3 + 3 + 1)
    assert measures.stable_retracted == 0
    retracted = measure(record(partial(1900, "我的", "", 1800), partial(2300, "你的", "卡", 2200), stored=0), [CUSTOMER])
    assert retracted.stable_retracted == 1
    assert retracted.unfinished == 1


def test_committed_text_that_turns_out_to_be_private_is_hidden_and_not_taken_back():
    said = [partial(1900, "尾号三", "", 1800), partial(2300, "尾号【尾号#1】", "对", 2200)]
    assert measure(record(*said, stored=0), [CUSTOMER]).stable_retracted == 0
    other = [partial(1900, "尾号三", "", 1800), partial(2300, "微号【尾号#1】", "对", 2200)]
    assert measure(record(*other, stored=0), [CUSTOMER]).stable_retracted == 1


def test_a_withdrawn_utterance_is_not_an_unfinished_one():
    measures = measure(record(partial(1900, "", "嗯", 1800), partial(2300, "", "", 2200), stored=0), [CUSTOMER])
    assert (measures.withdrawn, measures.unfinished, measures.stable_retracted) == (1, 0, 0)


def test_a_final_of_the_record_that_no_screen_got_is_lost():
    assert measure(record(final(3600, "我的卡丢了", 2980), stored=2), [CUSTOMER]).finals_lost == 1


def test_tokens_are_read_as_the_own_agent_reads_them():
    secrets = (at(3500), {"type": "secrets", "call_id": "c", "values": {"【姓名#1】": "卡丢了"}})
    measures = measure(record(final(3600, "我的【姓名#1】", 2980), secrets, stored=1), [CUSTOMER])
    assert measures.utterances[0].outcome.errors == 0


def test_a_degraded_part_is_told():
    measures = measure(record(event(2000, type="degraded", part="recognition", state="down", reason="")), [CUSTOMER])
    assert measures.degraded == ["recognition"]


def test_offline_outcomes_are_found_by_channel_and_start():
    finals = [{"channel": "customer", "start_ms": 1000, "text": "我的卡"}, {"channel": "agent", "start_ms": 0, "text": "您好"}]
    outcomes = score_offline([said(0, 900, "您好", "agent"), CUSTOMER], finals)
    assert outcomes["agent", 0].errors == 0
    assert outcomes["customer", 1000].errors == 2
