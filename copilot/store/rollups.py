"""Figures by day, rolled up from ``calls``: what a dashboard reads instead of a million rows.

A day is rolled up whole, again whenever one of its calls has changed (``copilot.review.rounds`` follows the marks); doing it twice or on
two nodes at once gives the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from copilot.domain.ids import OrgId
from copilot.domain.people import Scope
from copilot.store import tables as t
from copilot.store.database import Database
from copilot.store.facts import HIGH_RISK, REVIEWED

Dimension = Literal["all", "ticket", "intent", "agent"]
_COLUMNS = {"ticket": t.calls.c.ticket_level2, "intent": t.calls.c.intent, "agent": t.calls.c.agent_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Sums over calls. ``belowN``: scored below N, fatal ones too. ``score_sum``: of the scored ones."""

    calls: int = 0
    scored: int = 0
    reviewed: int = 0
    fatal: int = 0
    below60: int = 0
    below75: int = 0
    below85: int = 0
    below95: int = 0
    high_risk: int = 0
    alerts: int = 0
    duration_ms: int = 0
    score_sum: float = 0.0


MEASURES = tuple(field.name for field in fields(Figures))


class SqlRollups:
    """Synchronous and thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def roll(self, org_id: OrgId, day: str, begin: datetime, end: datetime) -> None:
        """Makes the rows of ``day``, which lasts from ``begin`` to ``end``, anew."""
        c = t.calls.c
        inside = sa.and_(c.org_id == org_id, c.started_at >= begin, c.started_at < end)
        team = sa.func.coalesce(c.team_id, "")
        with self._database.write() as connection:
            connection.execute(sa.delete(t.call_days).where(t.call_days.c.org_id == org_id, t.call_days.c.day == day))
            for dimension in ("all", *_COLUMNS):
                key = sa.func.coalesce(_COLUMNS[dimension], "") if dimension in _COLUMNS else sa.literal("")
                query = sa.select(team.label("team_id"), key.label("key"), *_sums()).where(inside).group_by(sa.text("1"), sa.text("2"))
                found = connection.execute(query).mappings().all()
                rows = [{**row, "org_id": org_id, "day": day, "dimension": dimension} for row in found]
                if rows:
                    connection.execute(sa.insert(t.call_days), rows)

    def by_day(self, scope: Scope, first: str, last: str, team_id: str | None = None) -> dict[str, Figures]:
        """Day → figures, of the days from ``first`` to ``last`` that had calls."""
        return self._grouped(scope, t.call_days.c.day, "all", first, last, team_id)

    def by_key(self, scope: Scope, dimension: Dimension, first: str, last: str, team_id: str | None = None) -> dict[str, Figures]:
        """Key of the dimension → figures. Of agents the caller sees those of their teams."""
        return self._grouped(scope, t.call_days.c.key, dimension, first, last, team_id)

    def by_team(self, scope: Scope, first: str, last: str) -> dict[str, Figures]:
        return self._grouped(scope, t.call_days.c.team_id, "all", first, last, None)

    def _grouped(
        self, scope: Scope, by: sa.ColumnElement[str], dimension: Dimension, first: str, last: str, team_id: str | None
    ) -> dict[str, Figures]:
        c = t.call_days.c
        query = sa.select(by.label("by"), *(sa.func.sum(c[name]).label(name) for name in MEASURES))
        query = query.where(c.org_id == scope.org_id, c.dimension == dimension, c.day >= first, c.day <= last, _teams(scope))
        if team_id is not None:
            query = query.where(c.team_id == team_id)
        with self._database.read() as connection:
            return {row["by"]: _figures(row) for row in connection.execute(query.group_by(by)).mappings()}

    def live(self, scope: Scope) -> int:
        """Calls that are going on now, in scope."""
        c = t.calls.c
        query = sa.select(sa.func.count()).where(c.org_id == scope.org_id, c.phase == "live")
        if not scope.sees_all_calls:
            query = query.where(sa.or_(c.agent_id == scope.user_id, c.team_id.in_(sorted(scope.team_ids))))
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()


def _teams(scope: Scope) -> sa.ColumnElement[bool]:
    if scope.sees_all_calls:
        return sa.true()
    return t.call_days.c.team_id.in_(sorted(scope.team_ids) if scope.sees_team_calls else [])


def _sums() -> Sequence[sa.ColumnElement[int]]:
    c = t.calls.c

    def count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    below = [count(c.qa_score < limit).label(f"below{limit}") for limit in (60, 75, 85, 95)]
    return (
        sa.func.count().label("calls"),
        count(c.qa_score.is_not(None)).label("scored"),
        count(c.qa_state == REVIEWED).label("reviewed"),
        count(c.qa_fatal).label("fatal"),
        *below,
        count(c.risk >= HIGH_RISK).label("high_risk"),
        sa.func.coalesce(sa.func.sum(c.alerts), 0).label("alerts"),
        sa.func.coalesce(sa.func.sum(c.duration_ms), 0).label("duration_ms"),
        sa.func.coalesce(sa.func.sum(c.qa_score), 0.0).label("score_sum"),
    )


def _figures(row: sa.RowMapping) -> Figures:
    whole: dict[str, int] = {name: int(row[name]) for name in MEASURES if name != "score_sum"}
    return Figures(**whole, score_sum=float(row["score_sum"]))


def total(figures: Sequence[Figures]) -> Figures:
    """Their sum."""
    return Figures(**{name: sum(getattr(one, name) for one in figures) for name in MEASURES})
