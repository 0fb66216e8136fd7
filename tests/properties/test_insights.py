"""Tests, intervals and findings of analytics: what must hold for any counts, and planted patterns that must be found or stay silent."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from copilot.domain.insights import Counted
from loadtest.insights_eval import DRIVER, FIRST, NEW, RISING, WINDOW, draw, figures, judged
from postcall.analytics.movements import coaching, counted, drivers, emerging, movements
from postcall.analytics.statistics import adjusted, clumping, more_often_p, rate_ratios, share_ratio, wilson

COUNT = st.integers(0, 400)
EXPOSURE = st.integers(1, 100_000)
P = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@settings(deadline=None)
@given(COUNT, COUNT, EXPOSURE, EXPOSURE)
def test_the_exact_test_is_scipys_and_agrees_with_its_interval(now: int, before: int, exposure_now: int, exposure_before: int) -> None:
    (p,), (low,), (high,) = rate_ratios(np.array([now]), np.array([before]), exposure_now, exposure_before)
    assert 0 <= p <= 1
    assert 0 <= low <= high
    share = exposure_now / (exposure_now + exposure_before)
    if now + before:
        tails = [stats.binomtest(now, now + before, share, alternative=side).pvalue for side in ("less", "greater")]
        assert math.isclose(p, min(1.0, 2 * min(tails)), rel_tol=1e-6, abs_tol=1e-9)
    if before:
        assert low <= (now / exposure_now) / (before / exposure_before) * (1 + 1e-9)
    if abs(p - 0.05) > 1e-6 and now + before:
        assert (low <= 1 <= high) == (p > 0.05)
    (mirrored,), _, _ = rate_ratios(np.array([before]), np.array([now]), exposure_before, exposure_now)
    assert math.isclose(p, mirrored, rel_tol=1e-6, abs_tol=1e-12)


@settings(deadline=None)
@given(P)
def test_adjusted_p_values_are_scipys_and_keep_the_order(p_values: list[float]) -> None:
    found = adjusted(p_values)
    assert np.allclose(found, stats.false_discovery_control(p_values))
    assert all(q >= p - 1e-12 for p, q in zip(p_values, found, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert all(a <= b + 1e-12 for a, b in zip(np.array(found)[order], np.array(found)[order][1:], strict=False))


@settings(deadline=None)
@given(COUNT, COUNT, COUNT, COUNT)
def test_shares_lie_in_their_intervals(hits: int, misses: int, other_hits: int, other_misses: int) -> None:
    total, others = hits + misses, other_hits + other_misses
    low, high = wilson(hits, total)
    assert 0 <= low <= high <= 1
    if not total or not others:
        return
    assert low <= hits / total + 1e-9
    assert high >= hits / total - 1e-9
    ratio, below, above = share_ratio(hits, total, other_hits, others)
    assert 0 < below <= ratio <= above
    (p,) = more_often_p([hits], [total], [other_hits], [others])
    table = [[hits, misses], [other_hits, other_misses]]
    assert math.isclose(p, stats.fisher_exact(table, alternative="greater").pvalue, rel_tol=1e-6, abs_tol=1e-12)


def test_clumping_is_none_by_chance_and_the_variance_beyond_it() -> None:
    rng = np.random.default_rng(1)
    exposures = np.full(14, 1000.0)
    by_chance = rng.poisson(40, (60, 14)).astype(float)
    assert clumping(by_chance, exposures, 7) < 0.005
    moved = rng.poisson(40 * rng.gamma(1 / 0.09, 0.09, (60, 14))).astype(float)
    assert clumping(moved, exposures, 7) == pytest.approx(0.09, abs=0.02)
    assert clumping(moved[:, :2], exposures[:2], 1) == 0.0, "one day on each side tells nothing of days"


DAYS = ("d1", "d2", "d3", "d4")
BY_DAY = st.dictionaries(st.sampled_from(DAYS), st.tuples(st.integers(1, 60), st.floats(0, 1)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(st.sampled_from(["topic", "term"]), st.sampled_from("abcdefgh")), BY_DAY, max_size=12), st.integers(1, 3))
def test_findings_keep_to_their_counts_whatever_comes(given_: dict, split: int) -> None:
    daily = {key: {day: Counted(calls=n, upset=int(n * share)) for day, (n, share) in by_day.items()} for key, by_day in given_.items()}
    totals = {day: 80 + 7 * number for number, day in enumerate(DAYS)}
    moved = movements(daily, totals, DAYS[split])
    assert {(one.kind, one.key) for one in moved} == set(daily)
    for one in moved:
        by_day = daily[one.kind, one.key]
        assert one.now == sum(counts.calls for day, counts in by_day.items() if day >= DAYS[split])
        assert one.before == sum(counts.calls for day, counts in by_day.items() if day < DAYS[split])
        assert (one.q is None) == (one.verdict == "few")
        assert one.verdict != "new" or one.before == 0
        assert one.q is None or one.p is None or one.q >= one.p - 1e-12
    assert all(one.verdict in ("new", "rising") for one in emerging(moved))
    window = counted(daily, DAYS)
    total = Counted(calls=sum(totals.values()), upset=sum(one.upset for one in window.values()) + 3)
    for found in drivers(window, total):
        assert found.share == found.upset / found.calls
        assert found.low <= found.lift <= found.high
        assert found.q <= 0.05
    assert drivers(window, total, leave_out=window.keys()) == []


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), st.tuples(st.integers(0, 40), st.integers(0, 40))))
def test_coaching_points_are_of_enough_calls_and_compare_with_the_others(given_: dict) -> None:
    asked = {key: (total, min(total, failed)) for key, (total, failed) in given_.items()}
    found = coaching(asked)
    assert len({(one.agent_id, one.item_id) for one in found}) == len(found)
    for one in found:
        assert (one.asked, one.failed) == asked[one.agent_id, one.item_id]
        assert one.failed >= 3
        assert one.low - 1e-9 <= one.share <= one.high + 1e-9
        others = [counts for (agent, item), counts in asked.items() if item == one.item_id and agent != one.agent_id]
        total, failed = sum(n for n, _ in others), sum(n for _, n in others)
        assert one.peers_share == (failed / total if total else None)


def test_planted_patterns_are_found_and_what_is_not_there_is_not() -> None:
    """At 10,000 calls a week; docs/explanation/analytics.md has the figures of more sizes and 400 draws each."""
    seeds = range(20)
    planted = figures([judged(draw(seed, 10_000, planted=True), planted=True) for seed in seeds])
    assert planted["new_found"] == planted["driver_found"] == 1.0
    assert planted["rising_found"] >= 0.95
    assert planted["emerging_fdr"] <= 0.05
    assert planted["drivers_fdr"] <= 0.1  # 0.05 and what 20 draws may be off by
    for clumped in (False, True):
        silent = figures([judged(draw(seed, 10_000, planted=False, clumped=clumped), planted=False) for seed in seeds])
        # Two kinds are tested at 5 % each: at most 10 % of the draws, and what 20 draws may be off by.
        assert silent["draws_with_false_emerging"] <= 0.2
        assert silent["draws_with_false_drivers"] <= 0.2


def test_what_is_found_is_the_planted_first() -> None:
    made = draw(5, 20_000, planted=True)
    totals = {day: counts.calls for day, counts in made.totals.items()}
    moved = movements(made.daily, totals, FIRST)
    first = emerging(moved)
    assert {one.key for one in first[:2]} == {NEW, RISING}
    assert next(one for one in first if one.key == NEW).verdict == "new"
    total = Counted(calls=sum(made.totals[day].calls for day in WINDOW), upset=sum(made.totals[day].upset for day in WINDOW))
    best = drivers(counted(made.daily, WINDOW), total)[0]
    assert best.key == DRIVER
    assert 2.4 < best.lift < 3.6
