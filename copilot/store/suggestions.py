"""What became of the cards: a row for each, kept in the transaction of the events that tell of it; lists and sums over them.

A row holds no words: which article in which version, when, how long it took, and whether the agent said it or what was done with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot.domain.events import EventEnvelope, ReplyRefused, SuggestionFeedback, SuggestionOffered, SuggestionOutcome, SuggestionWithdrawn
from copilot.domain.ids import CallId, OrgId
from copilot.domain.people import Scope
from copilot.domain.suggestions import Stage
from copilot.store import tables as t
from copilot.store.database import Database, insert_if_new

MAX_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionRow:
    """One card. ``outcome`` "": not known. ``feedback``: each action once. ``refused``: why a reply beside it was not shown."""

    call_id: str
    suggestion_id: str
    at: datetime
    at_ms: int
    kind: str
    intent: str
    article_id: str
    article_version: int
    confidence: float
    generated: bool
    model: str
    replaces: str
    stages: tuple[Stage, ...]
    total_ms: float
    outcome: str
    outcome_confidence: float
    coverage: float
    feedback: tuple[str, ...]
    refused: str
    withdrawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleUse:
    """Of one article (``article_id`` "" where nothing reliable was found) and intent: how often it was offered and what came of it."""

    article_id: str
    intent: str
    offered: int
    said: int
    partly: int
    not_said: int
    used: int
    rejected: int


def follow(connection: Connection, envelopes: Sequence[EventEnvelope]) -> None:
    """Brings the rows to what these events say; called where events are appended, in their transaction."""
    for envelope in envelopes:
        match envelope.event:
            case SuggestionOffered() as event:
                row = _row(envelope, event)
                if not insert_if_new(connection, t.suggestions, **row):  # offered again under its id: nothing has come of it yet
                    _change(connection, envelope, event.suggestion_id, row)
            case SuggestionOutcome() as event:
                changed = {"outcome": event.outcome, "outcome_confidence": event.confidence, "coverage": event.coverage}
                _change(connection, envelope, event.suggestion_id, changed)
            case SuggestionFeedback() as event:
                known = connection.execute(sa.select(t.suggestions.c.feedback).where(_is(envelope, event.suggestion_id))).scalar()
                if known is not None and event.action not in known:
                    _change(connection, envelope, event.suggestion_id, {"feedback": [*known, event.action]})
            case ReplyRefused() as event:
                _change(connection, envelope, event.suggestion_id, {"refused": event.reason})
            case SuggestionWithdrawn() as event:
                _change(connection, envelope, event.suggestion_id, {"withdrawn": True})
            case _:
                pass


def rebuild(connection: Connection, org_id: OrgId, call_id: CallId, envelopes: Sequence[EventEnvelope]) -> bool:
    """Writes the rows of one call again from all its events; whether they were wrong."""
    table = t.suggestions
    mine = sa.and_(table.c.org_id == org_id, table.c.call_id == call_id)
    rows = sa.select(table).where(mine).order_by(table.c.suggestion_id)
    before = connection.execute(rows).all()
    connection.execute(sa.delete(table).where(mine))
    follow(connection, envelopes)
    return before != connection.execute(rows).all()


def _is(envelope: EventEnvelope, suggestion_id: str) -> sa.ColumnElement[bool]:
    table = t.suggestions.c
    return sa.and_(table.org_id == envelope.org_id, table.call_id == envelope.call_id, table.suggestion_id == suggestion_id)


def _change(connection: Connection, envelope: EventEnvelope, suggestion_id: str, values: Mapping[str, Any]) -> None:
    connection.execute(sa.update(t.suggestions).where(_is(envelope, suggestion_id)).values(**values))


def _row(envelope: EventEnvelope, event: SuggestionOffered) -> dict[str, Any]:
    source = event.citations[0] if event.citations else None
    return {
        "org_id": envelope.org_id,
        "call_id": envelope.call_id,
        "suggestion_id": event.suggestion_id,
        "at": envelope.at,
        "at_ms": event.at_ms,
        "kind": event.kind,
        "intent": event.intent,
        "article_id": source.article_id if source is not None else "",
        "article_version": source.version if source is not None else 0,
        "confidence": event.confidence,
        "generated": event.generated,
        "model": event.model,
        "replaces": event.replaces or "",
        "stages": [{"name": stage.name, "ms": round(stage.ms, 1)} for stage in event.stages],
        "total_ms": round(event.total_ms, 1),
        "outcome": "",
        "outcome_confidence": 0.0,
        "coverage": 0.0,
        "feedback": [],
        "refused": "",
        "withdrawn": False,
    }


class SqlSuggestions:
    """Reading the rows. Synchronous and thread-safe; every query is bounded by the caller's scope."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(
        self,
        scope: Scope,
        *,
        since: datetime,
        call_id: str | None = None,
        outcome: str | None = None,
        article_id: str | None = None,
        limit: int = 100,
    ) -> list[SuggestionRow]:
        """Newest first."""
        table = t.suggestions.c
        query = self._reached(sa.select(t.suggestions), scope, since)
        for column, value in ((table.call_id, call_id), (table.outcome, outcome), (table.article_id, article_id)):
            if value is not None:
                query = query.where(column == value)
        query = query.order_by(table.at.desc(), table.call_id, table.suggestion_id.desc()).limit(max(1, min(limit, MAX_PAGE)))
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(query).mappings()]

    def use(self, scope: Scope, *, since: datetime, limit: int = 200) -> list[ArticleUse]:
        """Sums by article and intent, most often offered first; a card that another replaced is not counted again."""
        table = t.suggestions.c

        def times(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
            return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

        feedback = sa.cast(table.feedback, sa.Text)
        columns = [
            table.article_id,
            table.intent,
            sa.func.count().label("offered"),
            *(times(table.outcome == name).label(name) for name in ("said", "partly", "not_said")),
            times(sa.or_(*(feedback.like(f'%"{action}"%') for action in ("used", "copied", "edited")))).label("used"),
            times(feedback.like('%"rejected"%')).label("rejected"),
        ]
        replaced = t.suggestions.alias("replaced")
        newer = sa.exists().where(
            replaced.c.org_id == table.org_id, replaced.c.call_id == table.call_id, replaced.c.replaces == table.suggestion_id
        )
        query = self._reached(sa.select(*columns), scope, since).where(~newer).group_by(table.article_id, table.intent)
        query = query.order_by(sa.desc("offered"), table.article_id, table.intent).limit(max(1, min(limit, MAX_PAGE)))
        with self._database.read() as connection:
            return [ArticleUse(**row) for row in connection.execute(query).mappings()]

    def _reached(self, query: sa.Select[Any], scope: Scope, since: datetime) -> sa.Select[Any]:
        table, call = t.suggestions.c, t.calls.c
        query = query.join(t.calls, sa.and_(call.org_id == table.org_id, call.call_id == table.call_id))
        query = query.where(table.org_id == scope.org_id, table.at >= since)
        if scope.sees_all_calls:
            return query
        if scope.sees_team_calls:
            return query.where(sa.or_(call.team_id.in_(scope.team_ids), call.agent_id == scope.user_id))
        return query.where(call.agent_id == scope.user_id)


def _read(row: RowMapping) -> SuggestionRow:
    values = {name: row[name] for name in SuggestionRow.__dataclass_fields__}
    values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
    values["feedback"] = tuple(values["feedback"])
    return SuggestionRow(**values)
