"""What a final is decoded with for context, and that nothing of it comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.transcript import Lead, Word
from streaming.asr.lead import SAMPLES_PER_MS, SEAM_MS, TOTAL_MS, Past, Spoken, cut, fitting, plausible

MS = SAMPLES_PER_MS


def spoken(start_ms, end_ms, text="好"):
    size = (end_ms - start_ms) * MS
    return Spoken(start=start_ms * MS, end=end_ms * MS, pcm16=bytes([1, 0]) * size, text=text)


def words(*items):
    return [Word(text=text, start_ms=start, end_ms=start + 200, confidence=0.9) for text, start in items]


def test_the_past_is_given_in_order_with_seams_where_it_does_not_touch():
    past = Past(20_000)
    past.add(spoken(0, 1000, "一"))
    past.add(spoken(5000, 6000, "二"))
    first, second = past.before(6000 * MS)
    assert (first.text, second.text) == ("一", "二")
    assert len(first.pcm16) == 2 * MS * (1000 + SEAM_MS)
    assert len(second.pcm16) == 2 * MS * 1000  # what follows continues it


def test_audio_that_the_utterance_has_itself_is_cut_off_the_lead():
    past = Past(20_000)
    past.add(spoken(0, 1000))
    (lead,) = past.before(700 * MS)
    assert len(lead.pcm16) == 2 * MS * 700
    assert past.before(0) == ()


def test_the_past_forgets():
    past = Past(2000)
    for second in range(5):
        past.add(spoken(1000 * second, 1000 * second + 1000, str(second)))
    assert [lead.text for lead in past.before(5000 * MS)] == ["3", "4"]
    nothing = Past(0)
    nothing.add(spoken(0, 1000))
    assert nothing.before(2000 * MS) == ()


@given(
    sizes=st.lists(st.integers(0, 9000), max_size=8),
    audio_ms=st.integers(0, 30_000),
    economy=st.sampled_from([0, 1, 2]),
)
def test_leads_fit_and_are_the_latest(sizes, audio_ms, economy):
    leads = [Lead(pcm16=bytes(2 * MS * size), text=str(index)) for index, size in enumerate(sizes)]
    taken = fitting(leads, audio_ms, economy)
    total = audio_ms + sum(len(lead.pcm16) for lead in taken) // (2 * MS)
    assert list(taken) == leads[len(leads) - len(taken) :]
    assert not taken or total <= TOTAL_MS[economy]
    if economy == 2:
        assert not any(lead.pcm16 for lead in taken)


def test_the_cut_is_where_the_new_speech_begins():
    heard = words(("我叫", 100), ("吴海涛，", 400), ("大海", 2000), ("的海。", 2300))
    assert cut(heard, 1500, "我叫吴海涛") == 2
    assert cut(heard, 0, "") == 0
    assert cut([], 100, "我") == 0


@pytest.mark.parametrize("boundary", [950, 1100, 1250, 1350, 1500])
def test_a_boundary_a_little_off_is_put_right_by_the_published_text(boundary):
    heard = words(("说", 100), ("没", 400), ("看到，", 800), ("他", 1200), ("说", 1600), ("他", 2000))
    assert cut(heard, boundary, "说没看到") == 3


def test_what_lies_clearly_before_the_boundary_is_of_the_lead_whatever_was_published():
    heard = words(("不", 100), ("可", 400), ("能。", 700), ("我", 2500), ("想", 2800))
    assert cut(heard, 1800, "不可") == 3
    assert cut(heard, 1800, "不可能我") == 3


def test_little_text_for_much_speech_is_not_believed():
    assert plausible("好", 1500)
    assert not plausible("", 1500)
    assert plausible("我想问一下", 4000)
    assert not plausible("我", 6000)
