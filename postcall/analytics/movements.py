"""Trends, emerging issues, complaint drivers and coaching points, from counts. Pure; the tests are in ``postcall.analytics.statistics``."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np

from copilot.domain.insights import CoachingPoint, Counted, Driver, Kind, Movement, Verdict
from postcall.analytics.statistics import adjusted, clumping, more_often_p, rate_ratios, share_ratio, wilson

ALPHA = 0.05
"""Share of false discoveries that is accepted among what is called a finding, of each kind."""
LEAST_CALLS = 8
"""Calls in both windows together under which a key is not tested: no rise of a few calls is worth a supervisor's minute."""
LEAST_RATIO = 1.5
"""A share must have grown by half at least to be called rising (or fallen to its inverse): with many calls every ripple is significant."""
LEAST_UPSET = 5
LEAST_LIFT = 1.3
LEAST_ASKED, LEAST_FAILED = 5, 3
MOST_EMERGING = MOST_DRIVERS = 30

Key = tuple[Kind, str]
Daily = Mapping[Key, Mapping[str, Counted]]
"""Key → day → calls, upset ones."""


def counted(daily: Daily, days: Collection[str]) -> dict[Key, Counted]:
    """The sums over some of the days, of the keys that have calls in them."""
    found = {}
    for key, by_day in daily.items():
        parts = [by_day[day] for day in days if day in by_day]
        if any(part.calls for part in parts):
            found[key] = Counted(calls=sum(part.calls for part in parts), upset=sum(part.upset for part in parts))
    return found


def movements(daily: Daily, totals: Mapping[str, int], first: str) -> list[Movement]:
    """Every key, the most calls first. ``totals``: day → all calls, of both windows; the window begins at ``first``.

    Without a call in one of the windows nothing can be tested.
    """
    days = sorted(totals)
    split = sum(day < first for day in days)
    found: list[Movement] = []
    for _, group in groupby(sorted(daily), key=lambda key: key[0]):
        found += _of_a_kind({key: daily[key] for key in group}, days, split, totals)
    return sorted(found, key=lambda one: (-one.now, -one.before, one.kind, one.key))


_Tested = tuple[float | None, float | None, float, float | None]
_UNTESTED: _Tested = (None, None, 0.0, None)


def _of_a_kind(rows: Daily, days: Sequence[str], split: int, totals: Mapping[str, int]) -> list[Movement]:
    exposures = np.array([totals[day] for day in days], np.float64)
    counts = np.array([[by_day[day].calls if day in by_day else 0 for day in days] for by_day in rows.values()], np.float64)
    now, before = counts[:, split:].sum(axis=1), counts[:, :split].sum(axis=1)
    total_now, total_before = float(exposures[split:].sum()), float(exposures[:split].sum())
    testable = total_now > 0 and total_before > 0
    tested = np.flatnonzero((now + before >= LEAST_CALLS) & testable)
    known: dict[int, _Tested] = {}
    if len(tested):
        effect = 1 + clumping(counts[tested], exposures, split) * counts[tested].mean(axis=1)
        p_values, lows, highs = rate_ratios(now[tested] / effect, before[tested] / effect, total_now, total_before)
        for row, p, q, low, high in zip(tested, p_values, adjusted(p_values.tolist()), lows, highs, strict=True):
            known[int(row)] = (float(p), q, float(low), float(high) if math.isfinite(high) else None)
    found = []
    for number, ((kind, key), by_day) in enumerate(rows.items()):
        a, b = int(now[number]), int(before[number])
        ratio = (a / total_now) / (b / total_before) if testable and b else None
        tested_as = known.get(number, _UNTESTED)
        upset = sum(by_day[day].upset for day in days[split:] if day in by_day)
        verdict = _verdict(a, b, ratio, tested_as[1])
        found.append(
            Movement(
                kind=kind,
                key=key,
                now=a,
                before=b,
                upset=upset,
                ratio=ratio,
                verdict=verdict,
                p=tested_as[0],
                q=tested_as[1],
                low=tested_as[2],
                high=tested_as[3],
            )
        )
    return found


def _verdict(now: int, before: int, ratio: float | None, q: float | None) -> Verdict:
    if q is None:
        return "few"
    if q > ALPHA:
        return "steady"
    if before == 0:
        return "new"
    if now == 0 or (ratio is not None and ratio <= 1 / LEAST_RATIO):
        return "falling"
    return "rising" if ratio is not None and ratio >= LEAST_RATIO else "steady"


def emerging(found: Iterable[Movement]) -> list[Movement]:
    """What is new or rising, the surest first."""
    risen = [one for one in found if one.verdict in ("new", "rising")]
    return sorted(risen, key=lambda one: (one.q if one.q is not None else 1.0, -one.now, one.kind, one.key))[:MOST_EMERGING]


def drivers(now: Mapping[Key, Counted], total: Counted, leave_out: Collection[Key] = ()) -> list[Driver]:
    """What goes with upset calls significantly and by ``LEAST_LIFT`` or more, the strongest (lower end of the interval) first.

    ``leave_out``: keys that make a call an upset one by definition; that they go together says nothing.
    """
    found: list[Driver] = []
    kept = {key: one for key, one in sorted(now.items()) if key not in leave_out and _fits(one, total)}
    for _, group in groupby(kept, key=lambda key: key[0]):
        found += _drivers_of_a_kind({key: kept[key] for key in group}, total)
    return sorted(found, key=lambda one: (-one.low, one.kind, one.key))[:MOST_DRIVERS]


def _fits(one: Counted, total: Counted) -> bool:
    """A part of the whole, and not all of it. Sums by day are made anew a moment after their calls change: until then one may not fit."""
    return one.calls < total.calls and one.upset <= total.upset and one.calls - one.upset <= total.calls - total.upset


def _drivers_of_a_kind(rows: Mapping[Key, Counted], total: Counted) -> list[Driver]:
    # What is tested is chosen by the number of calls alone: choosing by the outcome would make the share of false discoveries a lie.
    tested = [key for key, one in rows.items() if one.calls >= LEAST_CALLS]
    if not tested:
        return []
    upset, calls = [rows[key].upset for key in tested], [rows[key].calls for key in tested]
    p_values = more_often_p(upset, calls, [total.upset - n for n in upset], [total.calls - n for n in calls]).tolist()
    found = []
    for (kind, key), p, q in zip(tested, p_values, adjusted(p_values), strict=True):
        one = rows[kind, key]
        others_upset, others = total.upset - one.upset, total.calls - one.calls
        lift, low, high = share_ratio(one.upset, one.calls, others_upset, others)
        if q <= ALPHA and lift >= LEAST_LIFT and one.upset >= LEAST_UPSET:
            share, others_share = one.upset / one.calls, others_upset / others
            found.append(
                Driver(
                    kind=kind,
                    key=key,
                    calls=one.calls,
                    upset=one.upset,
                    share=share,
                    others_share=others_share,
                    lift=lift,
                    low=low,
                    high=high,
                    p=p,
                    q=q,
                )
            )
    return found


def coaching(asked: Mapping[tuple[str, str], tuple[int, int]]) -> list[CoachingPoint]:
    """(agent, question) → (asked, failed) of every agent in the scope: what each agent's calls failed at least ``LEAST_FAILED`` times.

    What differs from the other agents first, then by the lower end of the share.
    """
    sums: dict[str, tuple[int, int]] = {}
    for (_, item), (total, failed) in asked.items():
        known = sums.get(item, (0, 0))
        sums[item] = (known[0] + total, known[1] + failed)
    rows = [(agent, item, *counts) for (agent, item), counts in sorted(asked.items()) if counts[0] >= LEAST_ASKED]
    others = [(sums[item][0] - total, sums[item][1] - failed) for _, item, total, failed in rows]
    peers = [number for number, (total, _) in enumerate(others) if total]
    p_values: list[float] = []
    if peers:
        mine = [rows[n][3] for n in peers], [rows[n][2] for n in peers]
        p_values = more_often_p(*mine, [others[n][1] for n in peers], [others[n][0] for n in peers]).tolist()
    compared = dict(zip(peers, zip(p_values, adjusted(p_values), strict=True), strict=True))
    found = []
    for number, (agent, item, total, failed) in enumerate(rows):
        if failed < LEAST_FAILED:
            continue
        low, high = wilson(failed, total)
        p, q = compared.get(number, (None, None))
        found.append(
            CoachingPoint(
                agent_id=agent,
                item_id=item,
                asked=total,
                failed=failed,
                share=failed / total,
                low=low,
                high=high,
                peers_share=others[number][1] / others[number][0] if others[number][0] else None,
                p=p,
                q=q,
            )
        )
    return sorted(found, key=lambda one: (one.q is None or one.q > ALPHA, -one.low, one.agent_id, one.item_id))
