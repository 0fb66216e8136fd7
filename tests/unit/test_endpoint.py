import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.vad.endpoint import WINDOW_SAMPLES, Capped, Ended, EndpointConfig, Endpointer, Paused, Resumed, Started

W = WINDOW_SAMPLES


def run(probabilities, config=None):
    endpointer = Endpointer(config or EndpointConfig())
    return [(i, event) for i, p in enumerate(probabilities) for event in endpointer.push(p, i * W)]


def test_one_loud_window_is_a_click_not_speech():
    assert run([0, 0.9, 0, 0, 0.9, 0]) == []


def test_two_windows_start_and_silence_ends_where_it_began():
    events = run([0, 0, *[0.9] * 10, *[0.1] * 20])
    assert events == [(3, Started(at=2 * W)), (18, Paused(at=12 * W)), (26, Ended(at=12 * W))]


def test_a_short_pause_is_resumed_and_the_next_speculation_waits_longer():
    events = run([*[0.9] * 5, *[0.1] * 8, *[0.9] * 5, *[0.1] * 20])
    kinds = [type(event) for _, event in events]
    assert kinds == [Started, Paused, Resumed, Paused, Ended]
    first, second = [index for index, event in events if isinstance(event, Paused)]
    assert first - 5 + 1 == 7  # 7 windows are the first 200 ms or more
    assert second - 18 + 1 == 9  # 260 ms after one false pause


def test_windows_between_the_thresholds_neither_begin_nor_break_silence():
    assert [type(e) for _, e in run([*[0.9] * 5, *[0.4] * 60])] == [Started]
    ended = run([*[0.9] * 5, *[0.1, 0.4] * 30])
    assert Ended(at=5 * W) in [event for _, event in ended]


def test_the_cap_cuts_at_the_least_voiced_recent_window():
    probabilities = [0.9] * 800
    probabilities[600] = 0.4
    cuts = [event.at for _, event in run(probabilities) if isinstance(event, Capped)]
    assert cuts == [600 * W]


def test_the_cap_leaves_both_sides_something_to_hear_beyond_the_cut():
    probabilities = [0.9] * 700
    probabilities[680] = 0.4  # the least voiced of all, but nearly the last
    ((seen, cut),) = [(index, event.at) for index, event in run(probabilities) if isinstance(event, Capped)]
    assert (seen + 1) * W - cut >= 400 * 16


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=1500))
def test_events_alternate_and_no_utterance_outlives_the_cap(probabilities):
    config = EndpointConfig(cap_ms=3_000, cap_search_ms=1_000)
    speaking, start, paused = False, 0, False
    for index, event in run(probabilities, config):
        position = (index + 1) * W
        match event:
            case Started(at=at):
                assert not speaking
                speaking, start, paused = True, at, False
            case Paused():
                assert speaking
                assert not paused
                paused = True
            case Resumed():
                assert paused
                paused = False
            case Ended(at=at):
                assert speaking
                assert start < at < position
                assert at - start <= 3_000 * 16
                speaking = False
            case Capped(at=at):
                assert speaking
                assert not paused
                assert start < at < position
                start = at


@pytest.mark.parametrize("bad", [{"end_probability": 0.6}, {"speculate_ms": 500}, {"cap_ms": 29_000}])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError):
        EndpointConfig(**bad)
