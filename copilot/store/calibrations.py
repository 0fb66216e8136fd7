"""Calibration sessions: several inspectors answer the same calls, each without seeing the others or the machine."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.ids import CallId, OrgId
from copilot.store import tables as t
from copilot.store.database import Database
from copilot.store.reviews import Review, SqlReviews, new_review


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    session_id: str
    name: str
    created_by: str
    created_at: datetime
    due_at: datetime
    closed_at: datetime | None = None


class SqlCalibrations:
    """Synchronous and thread-safe."""

    def __init__(self, database: Database, clock: Clock, reviews: SqlReviews) -> None:
        self._database = database
        self._clock = clock
        self._reviews = reviews

    def open(self, org_id: OrgId, actor: str, name: str, due_at: datetime, calls: Sequence[CallId], inspectors: Sequence[str]) -> Session:
        """A session with one task for every inspector and call. Audited; the inspectors are told."""
        now, session_id = self._clock.now(), uuid.uuid4().hex
        session = Session(session_id=session_id, name=name, created_by=actor, created_at=now, due_at=due_at)
        with self._database.write() as connection:
            values = {field: getattr(session, field) for field in Session.__dataclass_fields__}
            connection.execute(sa.insert(t.calibrations).values(org_id=org_id, **values))
            self._reviews.audit(
                connection, org_id, actor, "calibration.open", session_id, f"{len(calls)} calls, {len(inspectors)} inspectors"
            )
        tasks = [
            new_review(
                call_id, "calibration", now=now, due_at=due_at, review_id=uuid.uuid4().hex, session_id=session_id, assigned_to=inspector
            )
            for call_id in calls
            for inspector in inspectors
        ]
        self._reviews.add(org_id, tasks, actor)
        return session

    def sessions(self, org_id: OrgId, limit: int = 50) -> list[Session]:
        """Newest first."""
        table = t.calibrations.c
        query = sa.select(t.calibrations).where(table.org_id == org_id).order_by(table.created_at.desc()).limit(limit)
        with self._database.read() as connection:
            return [_session(row) for row in connection.execute(query).mappings()]

    def session(self, org_id: OrgId, session_id: str) -> tuple[Session, list[Review]]:
        """With its tasks. Raises NotFound."""
        key = sa.and_(t.calibrations.c.org_id == org_id, t.calibrations.c.session_id == session_id)
        tasks = sa.select(t.reviews).where(t.reviews.c.org_id == org_id, t.reviews.c.session_id == session_id)
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.calibrations).where(key)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"There is no calibration {session_id}.")
            found = connection.execute(tasks.order_by(t.reviews.c.call_id, t.reviews.c.assigned_to)).mappings().all()
        return _session(row), [Review(**{name: item[name] for name in Review.__dataclass_fields__}) for item in found]

    def close(self, org_id: OrgId, session_id: str, actor: str) -> Session:
        """Ends it: what was not answered is cancelled and the results can be seen. Raises NotFound, Conflict when it is closed."""
        now = self._clock.now()
        key = sa.and_(t.calibrations.c.org_id == org_id, t.calibrations.c.session_id == session_id)
        with self._database.write() as connection:
            open_one = sa.and_(key, t.calibrations.c.closed_at.is_(None))
            if connection.execute(sa.update(t.calibrations).where(open_one).values(closed_at=now)).rowcount != 1:
                if connection.execute(sa.select(t.calibrations.c.session_id).where(key)).first() is None:
                    raise NotFound(f"There is no calibration {session_id}.")
                raise Conflict("This calibration is closed already.")
            waiting = sa.and_(
                t.reviews.c.org_id == org_id, t.reviews.c.session_id == session_id, t.reviews.c.state.in_(("open", "claimed"))
            )
            connection.execute(sa.update(t.reviews).where(waiting).values(state="cancelled"))
            self._reviews.audit(connection, org_id, actor, "calibration.close", session_id)
            return _session(connection.execute(sa.select(t.calibrations).where(key)).mappings().one())


def _session(row: RowMapping) -> Session:
    return Session(**{name: row[name] for name in Session.__dataclass_fields__})
