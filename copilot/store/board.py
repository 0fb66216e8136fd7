"""Rows of the live board, read from the log: all that are running, or one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot.domain.board import BOARD_EVENTS, BoardRow, apply_event
from copilot.domain.ids import CallId, TeamId, UserId
from copilot.domain.people import Scope
from copilot.store import tables as t
from copilot.store.calls import reaches
from copilot.store.database import Database

MAX_ROWS = 1000


class SqlBoard:
    """Synchronous and thread-safe. Bounded by the caller's scope like every list of calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, scope: Scope, call_id: CallId | None = None) -> dict[CallId, BoardRow]:
        """The running calls that the scope reaches, newest first, at most ``MAX_ROWS``; of ``call_id`` only, if given."""
        call = t.calls.c
        query = sa.select(t.calls).where(reaches(scope), call.phase == "live", call.started_at.is_not(None))
        if call_id is not None:
            query = query.where(call.call_id == call_id)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(call.started_at.desc()).limit(MAX_ROWS)).mappings().all()
            rows = {
                CallId(item["call_id"]): BoardRow(
                    call_id=CallId(item["call_id"]),
                    started_at=item["started_at"],
                    agent_id=UserId(item["agent_id"]) if item["agent_id"] else None,
                    team_id=TeamId(item["team_id"]) if item["team_id"] else None,
                    language=item["language"],
                    direction=item["direction"],
                    skill=item["skill"],
                    alerts={},
                )
                for item in found
            }
            for known, payload, at, seq in _events(connection, scope, rows):
                rows[known] = apply_event(rows[known], payload, at, seq)
        return rows


_CHUNK = 200


def _events(connection: Connection, scope: Scope, rows: dict[CallId, BoardRow]) -> list[tuple[CallId, dict[str, Any], datetime, int]]:
    """Payloads that matter to the rows, oldest first within a call; contents are never opened."""
    event, out = t.call_events.c, []
    ids = list(rows)
    for start in range(0, len(ids), _CHUNK):
        query = (
            sa.select(event.call_id, event.payload, event.at, event.seq)
            .where(event.org_id == scope.org_id, event.call_id.in_(ids[start : start + _CHUNK]), event.type.in_(BOARD_EVENTS))
            .order_by(event.call_id, event.seq)
        )
        out += [(CallId(row.call_id), row.payload, row.at, row.seq) for row in connection.execute(query)]
    return out
