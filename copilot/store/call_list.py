"""The list of calls with its facets. Every facet is an equality, and an index leads from each to its calls in the order of time, so that a
page is read from the newest row on and nothing is sorted; a test looks at the query plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from copilot.domain.calls import Call
from copilot.domain.ids import CallId
from copilot.domain.people import Scope
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.database import Database

MOST_COUNTED = 10_000
_EXPORT_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """What to list; None: whatever. ``ticket``: ``level1`` or ``level1/level2``. Times: [since, until)."""

    team: str | None = None
    agent: str | None = None
    intent: str | None = None
    ticket: str | None = None
    score: str | None = None
    risk: str | None = None
    state: str | None = None
    phase: str | None = None
    language: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    call_ids: tuple[str, ...] | None = None
    """Only these: the hits of a search."""


FACETS = tuple(field.name for field in fields(CallFilter) if field.name not in ("since", "until", "call_ids"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCall:
    """A call with the facts that a list shows of it."""

    call: Call
    team_id: str | None
    ticket_level1: str
    ticket_level2: str
    qa_state: str
    qa_score: float | None
    qa_fatal: bool
    risk: int
    score_band: str = ""
    risk_band: str = ""


class SqlCallList:
    """Synchronous and thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, scope: Scope, chosen: CallFilter, *, before: tuple[datetime, str] | None = None, limit: int = 50) -> list[ListedCall]:
        """Newest first; ``before``: (started_at, call_id) of the last row of the page before."""
        with self._database.read() as connection:
            found = connection.execute(self.query(scope, chosen, before=before, limit=limit)).mappings()
            return [listed(row) for row in found]

    def query(self, scope: Scope, chosen: CallFilter, *, before: tuple[datetime, str] | None, limit: int) -> sa.Select[Any]:
        """The statement behind ``page``, for looking at its plan."""
        c = t.calls.c
        query = sa.select(t.calls).where(*_conditions(scope, chosen))
        if before is not None:
            query = query.where(
                sa.tuple_(c.started_at, c.call_id) < sa.tuple_(*map(sa.literal, before, (c.started_at.type, c.call_id.type)))
            )
        return query.order_by(c.started_at.desc(), c.call_id.desc()).limit(limit)

    def count(self, scope: Scope, chosen: CallFilter) -> int:
        """How many there are, counted to ``MOST_COUNTED`` + 1 at most."""
        inner = sa.select(t.calls.c.call_id).where(*_conditions(scope, chosen)).limit(MOST_COUNTED + 1).subquery()
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(inner)).scalar_one()

    def every(self, scope: Scope, chosen: CallFilter, most: int) -> Iterator[ListedCall]:
        """All of them, page by page, newest first, ``most`` at most: for exports."""
        before: tuple[datetime, str] | None = None
        left = most
        while left > 0:
            page = self.page(scope, chosen, before=before, limit=min(_EXPORT_PAGE, left))
            yield from page
            left -= len(page)
            if len(page) < _EXPORT_PAGE or page[-1].call.started_at is None:
                return
            before = (page[-1].call.started_at, page[-1].call.call_id)

    def visible(self, scope: Scope, call_ids: Sequence[CallId]) -> Mapping[str, ListedCall]:
        """Those of these calls that the scope reaches."""
        query = sa.select(t.calls).where(_reach(scope), t.calls.c.call_id.in_(list(call_ids)))
        with self._database.read() as connection:
            return {row["call_id"]: listed(row) for row in connection.execute(query).mappings()}


def _reach(scope: Scope) -> sa.ColumnElement[bool]:
    """As ``copilot.store.calls.reaches``, written so that one index can be used: a lead who takes calls has a team for them too."""
    c = t.calls.c
    in_org = c.org_id == scope.org_id
    if scope.sees_all_calls:
        return in_org
    if scope.sees_team_calls and len(scope.team_ids) == 1:
        return sa.and_(in_org, c.team_id == next(iter(scope.team_ids)))
    if scope.sees_team_calls:
        return sa.and_(in_org, sa.or_(c.agent_id == scope.user_id, c.team_id.in_(sorted(scope.team_ids))))
    return sa.and_(in_org, c.agent_id == scope.user_id)


def _conditions(scope: Scope, chosen: CallFilter) -> list[sa.ColumnElement[bool]]:
    c = t.calls.c
    columns = {
        c.team_id: chosen.team,
        c.agent_id: chosen.agent,
        c.intent: chosen.intent,
        c.score_band: chosen.score,
        c.risk_band: chosen.risk,
        c.qa_state: chosen.state,
        c.phase: chosen.phase,
        c.language: chosen.language,
    }
    found = [_reach(scope), c.started_at.is_not(None)]
    found += [column == value for column, value in columns.items() if value is not None]
    if chosen.ticket is not None:
        level1, _, level2 = chosen.ticket.partition("/")
        found.append(c.ticket_level2 == level2 if level2 else c.ticket_level1 == level1)
    if chosen.since is not None:
        found.append(c.started_at >= chosen.since)
    if chosen.until is not None:
        found.append(c.started_at < chosen.until)
    if chosen.call_ids is not None:
        found.append(c.call_id.in_(chosen.call_ids))
    return found


def listed(row: RowMapping) -> ListedCall:
    """A row of ``calls``."""
    names = ("team_id", "ticket_level1", "ticket_level2", "qa_state", "qa_score", "qa_fatal", "risk", "score_band", "risk_band")
    return ListedCall(call=rows.call_of(row), **{name: row[name] for name in names})
