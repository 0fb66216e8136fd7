"""Which stretches of a recording are hidden: by the times of masked words, by whole utterances where those are unknown, and where nobody
heard what was said."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.artifacts import HiddenSpan
from copilot.domain.audio import ChannelName
from copilot.domain.events import CallEnded, CallEvent, Degraded, EventEnvelope, MediaGapRecorded, Redacted, UtteranceFinal
from copilot.domain.ids import utterance_id
from copilot.domain.transcript import TranscriptFinal, Word
from copilot.privacy.masker import Masker
from streaming.recording.masking import FOREVER_MS, PAD_MS, hidden_spans, hide, merged
from tests.fakes.stores import AT, CALL, ORG

END = CallEnded(reason="hangup", duration_ms=60_000)
LEGS: tuple[ChannelName, ...] = ("customer", "agent")


def log(*events: CallEvent) -> list[EventEnvelope]:
    return [EventEnvelope(org_id=ORG, call_id=CALL, seq=n, epoch=1, at=AT, event=event) for n, event in enumerate(events, 1)]


def final(text: str, start_ms: int, end_ms: int, words: tuple[Word, ...] = (), channel: ChannelName = "customer") -> UtteranceFinal:
    return UtteranceFinal(
        utterance_id=utterance_id(channel, start_ms + 1),
        channel=channel,
        start_ms=start_ms,
        end_ms=end_ms,
        language="zh",
        confidence=0.9,
        text=text,
        words=words,
    )


def word(text: str, start_ms: int, end_ms: int) -> Word:
    return Word(text=text, start_ms=start_ms, end_ms=end_ms, confidence=0.9)


def spans(*events: CallEvent, channel: ChannelName | None = None) -> list[tuple[int, int]]:
    """The spans on every leg; with ``channel`` those on that one alone."""
    return [(span.start_ms, span.end_ms) for span in hidden_spans(log(*events), LEGS) if span.channel == channel]


def test_a_masked_word_is_hidden_with_its_padding_and_nothing_else_is() -> None:
    words = (word("尾号", 1000, 1400), word("【尾号#1】", 1500, 2600), word("的卡", 2700, 3000))
    assert spans(final("尾号【尾号#1】的卡", 900, 3100, words), END) == [(1500 - PAD_MS, 2600 + PAD_MS)]
    assert spans(final("您好", 0, 900, (word("您好", 0, 900),)), END) == []


def test_what_no_word_claims_beside_a_token_goes_with_it() -> None:
    words = (word("尾号", 1000, 1400), word("【尾号#1】", 1900, 2600), word("的卡", 3300, 3800))
    assert spans(final("尾号【尾号#1】的卡", 900, 4000, words), END) == [(1400, 3300)]
    alone = (word("【尾号#1】", 1900, 2600),)
    assert spans(final("【尾号#1】", 900, 4000, alone), END) == [(900 - PAD_MS, 4000 + PAD_MS)]
    late = (word("是", 1000, 1900), word("【尾号#1】", 1900, 4100))
    assert spans(final("是【尾号#1】", 900, 4000, late), END) == [(1900 - PAD_MS, 4100 + PAD_MS)]


def test_what_the_masker_itself_leaves_in_a_final_is_enough() -> None:
    digits = [word(digit, 2000 + 200 * n, 2180 + 200 * n) for n, digit in enumerate("13900005678")]
    said = TranscriptFinal(
        channel="customer",
        utterance_id=utterance_id("customer", 1),
        start_ms=900,
        end_ms=5000,
        text="我的手机号是13900005678",
        language="zh",
        confidence=0.9,
        words=(*(word(char, 1000 + 100 * n, 1090 + 100 * n) for n, char in enumerate("我的手机号是")), *digits),
    )
    masked, _ = Masker().final(said)
    assert spans(final(masked.text, 900, 5000, masked.words), END) == [(min(1590, 2000 - PAD_MS), 5000 + PAD_MS)]


@pytest.mark.parametrize(
    "words",
    [
        (),
        (word("卡号是", 1000, 1500),),
        (word("卡号是", 1000, 1500), word("【卡号#2】", 1600, 2000)),
        (word("【卡号#1】", 1000, 1500), word("【卡号#1】", 1600, 2000)),
    ],
    ids=["none", "without-the-token", "another-token", "too-many"],
)
def test_an_utterance_whose_words_do_not_say_where_is_hidden_whole(words: tuple[Word, ...]) -> None:
    assert spans(final("卡号是【卡号#1】", 1000, 4000, words), END) == [(1000 - PAD_MS, 4000 + PAD_MS)]


def test_a_span_before_the_beginning_begins_there_and_touching_spans_are_one() -> None:
    words = (word("【姓名#1】", 50, 400), word("【卡号#1】", 600, 900))
    assert spans(final("【姓名#1】【卡号#1】", 0, 1000, words), END) == [(0, 1000 + PAD_MS)]


def test_pii_found_late_is_hidden_too() -> None:
    first = final("六二【卡号#1】", 1000, 2000, (word("六二", 1000, 1400), word("【卡号#1】", 1400, 2000)))
    emptied = final("", 3000, 4000)
    untouched = final("好的", 5000, 6000)
    found = [(1400 - PAD_MS, 2000 + PAD_MS), (3000 - PAD_MS, 4000 + PAD_MS)]
    assert spans(first, emptied, untouched, END, Redacted(seqs=(1, 2))) == found


DOWN, UP = (Degraded(part="recognition", state=state) for state in ("down", "up"))


def test_speech_that_recognition_missed_is_hidden_on_its_leg() -> None:
    ours = final("您好", 1000, 2000), final("再见", 9000, 9500)
    theirs = final("请说", 500, 800, channel="agent"), final("好", 9600, 9900, channel="agent")
    missed = [ours[0], theirs[0], DOWN, UP, ours[1], theirs[1], END]
    assert spans(*missed, channel="customer") == [(2000, 9000)]
    assert spans(*missed, channel="agent") == [(800, 9600)]
    lasting = [ours[0], DOWN, ours[1], END]
    assert spans(*lasting, channel="customer") == [(2000, 9000), (9500, FOREVER_MS)], "it never came back"
    assert spans(*lasting, channel="agent") == [(0, FOREVER_MS)]
    assert hidden_spans(log(*ours, *theirs, END), LEGS) == ()
    assert hidden_spans(log(ours[0], Degraded(part="generation", state="down"), ours[1], END), LEGS) == ()


def test_a_final_heard_while_recognition_is_behind_does_not_end_what_is_missed() -> None:
    ours = [final("嗯", 1000, 2000), final("嗯", 5000, 6000), final("嗯", 9000, 9500), final("嗯", 12_000, 12_500)]
    assert spans(ours[0], DOWN, ours[1], UP, ours[2], ours[3], END, channel="customer") == [(2000, 5000), (6000, 9000)]


def test_what_only_the_first_node_of_a_call_recorded_is_hidden() -> None:
    def gap(reason: str) -> MediaGapRecorded:
        return MediaGapRecorded(channel="agent", start_ms=3000, duration_ms=1500, reason=reason)

    assert spans(final("您好", 0, 900), gap("reconnect"), END, channel="agent") == [(3000, 4500)]
    assert hidden_spans(log(final("您好", 0, 900), gap("silence_suppressed"), gap("paused"), END), LEGS) == ()


def test_of_a_running_call_what_has_no_final_yet_is_hidden() -> None:
    said = final("您好", 0, 900), final("您好", 1000, 2000, channel="agent")
    assert spans(*said, channel="customer") == [(900, FOREVER_MS)]
    assert spans(*said, channel="agent") == [(2000, FOREVER_MS)]


SPAN = st.tuples(st.integers(0, 1200), st.integers(0, 400), st.sampled_from([None, "customer", "agent"]))


@given(st.lists(SPAN, max_size=5), st.integers(0, 3000), st.integers(0, 4000), st.sampled_from([8000, 16_000, 11_025]))
def test_hiding_changes_every_sample_of_a_span_and_no_other(
    times: list[tuple[int, int, ChannelName | None]], first: int, count: int, rate: int
) -> None:
    hidden = [HiddenSpan(start_ms=start, end_ms=start + length, channel=channel) for start, length, channel in times]
    spoken = 20_000
    samples = np.full((count, 2), spoken, np.int16)
    hide(samples, first, rate, hidden, LEGS)
    at_ms = (np.arange(count) + first) * 1000 / rate
    for side, leg in enumerate(LEGS):
        inside, edges = np.zeros(count, bool), np.zeros(count, bool)
        for span in hidden:
            if span.channel in (None, leg):
                inside |= (at_ms >= span.start_ms) & (at_ms < span.end_ms)
                # A whole ms may be hidden for a part of it.
                edges |= (at_ms > span.start_ms - 1) & (at_ms < span.end_ms + 1)
        heard = samples[:, side] == spoken
        assert not heard[inside].any()
        assert heard[~edges].all()
        assert np.abs(samples[inside, side]).max(initial=0) < 1000


@given(st.lists(SPAN, max_size=8))
def test_merging_hides_the_same(times: list[tuple[int, int, ChannelName | None]]) -> None:
    hidden = [HiddenSpan(start_ms=start, end_ms=start + length, channel=channel) for start, length, channel in times]
    one, other = (np.full((1700, 2), 20_000, np.int16) for _ in range(2))
    hide(one, 0, 1000, hidden, LEGS)
    hide(other, 0, 1000, merged(hidden), LEGS)
    assert np.array_equal(one, other)
    for leg in (None, *LEGS):
        ends = [(span.start_ms, span.end_ms) for span in merged(hidden) if span.channel == leg]
        assert all(before[1] < after[0] for before, after in pairwise(ends))
