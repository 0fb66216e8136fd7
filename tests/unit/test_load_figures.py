"""Statistics, excerpts, accounts and verdicts of a load measurement, on hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

from loadtest.bench import highest, lanes_of, search
from loadtest.excerpts import Scenario, Utterance, excerpt, find_scenarios, lane
from loadtest.records import CallRecord
from loadtest.sampling import increase, parse_metrics, thread_cpu_seconds
from loadtest.statistics import median_difference, paired_rate_difference, quantile, sign_test, theil_sen
from loadtest.summary import account, measured


def scenario(tmp_path, name="s", turns=6):
    utterances = tuple(
        Utterance(channel=("agent", "customer")[n % 2], start_ms=1000 + 10_000 * n, end_ms=9000 + 10_000 * n, text="甲乙")
        for n in range(turns)
    )
    return Scenario(
        name=name, audio=tmp_path / "call.wav", utterances=utterances, language="zh", duration_ms=10_000 * turns + 1000, channels=2
    )


def test_quantiles_are_linear_and_of_nothing_none():
    assert quantile([0.0, 10.0], 0.25) == pytest.approx(2.5)
    assert quantile([], 0.5) is None


def test_a_paired_interval_knows_that_the_same_utterances_are_hard():
    hard_and_easy = [(5, 5, 10), (0, 0, 10)] * 40
    assert paired_rate_difference(hard_and_easy) == (0.0, 0.0, 0.0)
    worse = [(errors + 2, errors, 10) for errors, _, _ in hard_and_easy]
    difference, low, high = paired_rate_difference(worse)
    assert difference == pytest.approx(0.2)
    assert low == pytest.approx(0.2)
    assert high == pytest.approx(0.2)
    assert paired_rate_difference([]) is None


def test_a_drift_is_told_from_chance():
    rng = np.random.default_rng(3)
    same, slower = rng.normal(600, 80, 200), rng.normal(700, 80, 200)
    _, low, high = median_difference(same, rng.normal(600, 80, 200))
    assert low < 0 < high
    difference, low, _ = median_difference(same, slower)
    assert difference == pytest.approx(100, abs=40)
    assert low > 0
    assert median_difference([], [1.0]) is None


def test_a_robust_slope_forgets_spikes():
    times = list(range(100))
    values = [500.0 + 0.5 * t for t in times]
    values[10:20] = [5000.0] * 10
    assert theil_sen(times, values) == pytest.approx(0.5, abs=0.05)
    assert theil_sen([1.0], [2.0]) == 0.0
    assert theil_sen([1.0, 1.0], [2.0, 3.0]) == 0.0


def test_an_excerpt_holds_whole_turns_in_its_own_time(tmp_path):
    taken = excerpt(scenario(tmp_path), 2, 25)
    assert (taken.from_ms, taken.to_ms) == (20_700, 39_900)
    assert [(item.start_ms, item.end_ms) for item in taken.utterances] == [(300, 8300), (10_300, 18_300)]
    assert taken.speech_ratio() == pytest.approx(16_000 / (2 * 19_200))
    one_side = excerpt(scenario(tmp_path), 2, 25, channel=0)
    assert [item.channel for item in one_side.utterances] == ["customer"]
    assert one_side.legs == 1


def test_lanes_are_out_of_step_and_long_enough(tmp_path):
    scenarios = [scenario(tmp_path, "a"), scenario(tmp_path, "b", turns=3)]
    lanes = [lane(scenarios, number, 60) for number in range(6)]
    assert len({(calls[0].scenario.name, calls[0].from_ms) for calls in lanes}) == 6
    for calls in lanes:
        assert 40 <= sum(call.duration_ms for call in calls) / 1000 <= 75


def test_an_odd_number_of_channels_is_refused(tmp_path):
    with pytest.raises(ValueError, match="two-channel"):
        lanes_of(3, [scenario(tmp_path)], 60)


def test_excerpts_of_a_committed_call_can_be_written(tmp_path):
    import soundfile

    (short,) = find_scenarios(["short"])
    taken = excerpt(short, 1, 14, channel=0)
    info = soundfile.info(str(taken.write(tmp_path)))
    assert (info.channels, info.samplerate, info.subtype) == (1, 8000, "ULAW")
    assert info.frames == taken.duration_ms * 8
    with pytest.raises(ValueError, match="No scenario"):
        find_scenarios(["no such call"])


def test_metrics_are_read_and_subtracted():
    before = parse_metrics('# HELP a b\nreplies_total 2.0\naudio{outcome="gap"} 1.5\n')
    after = parse_metrics('replies_total 5.0\naudio{outcome="gap"} 1.5\nnew 1e3\n')
    assert increase(before, after) == {"replies_total": 3.0, 'audio{outcome="gap"}': 0.0, "new": 1000.0}


def test_threads_of_this_process_are_found():
    import os

    groups = thread_cpu_seconds(os.getpid())
    assert sum(groups.values()) > 0


def sent(tmp_path, sent_ms):
    record = CallRecord(call_id="c", error=("Overloaded", "no room"), sent_ms=sent_ms)
    return measured([(excerpt(scenario(tmp_path), 0, 60), record)])


def test_audio_is_accounted_for_or_not(tmp_path):
    prefix = "pangting_call_audio_seconds_total"
    counters = {f'{prefix}{{outcome="speech"}}': 30.0, f'{prefix}{{outcome="silence"}}': 89.9, f'{prefix}{{outcome="skipped"}}': 0.0}
    assert account(counters, sent(tmp_path, 60_000))["complete"]
    lost = account({**counters, f'{prefix}{{outcome="silence"}}': 85.0}, sent(tmp_path, 60_000))
    assert not lost["complete"]
    assert lost["unaccounted_s"] == pytest.approx(5.0)
    skipped = account({f'{prefix}{{outcome="speech"}}': 100.0, f'{prefix}{{outcome="skipped"}}': 20.0}, sent(tmp_path, 60_000))
    assert not skipped["complete"]


@pytest.mark.anyio
@pytest.mark.parametrize("capacity", [0, 2, 6, 8, 20, 30, 64])
async def test_the_search_finds_the_highest_level(capacity):
    async def level(channels):
        return {"channels": channels, "kept_up": channels <= capacity}

    rows = await search(level)
    assert capacity - 2 < highest(rows) <= capacity
    assert len(rows) <= 9


def test_a_lucky_level_above_a_failed_one_does_not_count():
    assert highest([{"channels": 8, "kept_up": True}, {"channels": 12, "kept_up": False}, {"channels": 16, "kept_up": True}]) == 8


def test_a_level_fails_on_missed_utterances_only_beyond_chance():
    assert sign_test(0, 0) == 1.0
    assert sign_test(1, 0) == 0.5
    assert sign_test(5, 0) == pytest.approx(1 / 32)
    assert sign_test(3, 2) == 0.5
    assert sign_test(0, 5) == 1.0
