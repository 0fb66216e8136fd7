"""One report from the counts of a window and of the one before it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from copilot.domain.insights import Cluster, Counted, InsightFilter, InsightReport
from postcall.analytics.movements import Daily, Key, coaching, counted, drivers, emerging, movements
from postcall.mood import tells_mood

MOST_COACHING = 200


def report(
    chosen: InsightFilter,
    *,
    daily: Daily,
    totals: Mapping[str, Counted],
    clusters: Sequence[Cluster],
    leads: Mapping[str, int],
    answers: Mapping[tuple[str, str], tuple[int, int]],
    defining: Collection[str],
) -> InsightReport:
    """``daily`` and ``totals``: of both windows; ``defining``: topics that make a call an upset one by themselves."""
    first = chosen.first.isoformat()
    every = _days(chosen.before.first, chosen.last)
    window = [day for day in every if day >= first]
    moved = movements(daily, {day: totals.get(day, Counted()).calls for day in every}, first)
    risen = emerging(moved)
    total, before = _sum(totals, window), _sum(totals, [day for day in every if day < first])
    seen = {one.key for one in moved if one.kind == "cluster" and one.now}
    return InsightReport(
        chosen=chosen,
        total=total,
        before=before,
        days={day: totals.get(day, Counted()) for day in window},
        movements=moved,
        emerging=risen,
        drivers=drivers(counted(daily, window), total, _circular(daily, defining)),
        clusters=[one for one in clusters if one.cluster_id in seen],
        leads=dict(sorted(leads.items(), key=lambda item: (-item[1], item[0]))),
        coaching=coaching(answers)[:MOST_COACHING],
        by_day={f"{one.kind}/{one.key}": {day: daily[one.kind, one.key].get(day, Counted()).calls for day in every} for one in risen},
    )


def _circular(daily: Daily, defining: Collection[str]) -> set[Key]:
    """What makes the risk by definition: categories of complaints, and words of anger."""
    return {
        (kind, key)
        for kind, key in daily
        if (kind == "topic" and key in defining) or (kind == "term" and (tells_mood(key, "zh") or tells_mood(key, "en")))
    }


def _sum(totals: Mapping[str, Counted], days: Sequence[str]) -> Counted:
    parts = [totals[day] for day in days if day in totals]
    return Counted(calls=sum(part.calls for part in parts), upset=sum(part.upset for part in parts))


def _days(first: date, last: date) -> list[str]:
    return [date.fromordinal(day).isoformat() for day in range(first.toordinal(), last.toordinal() + 1)]
