"""After-call jobs as people see them: progress, dead letters, and what was decided about those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.ids import CallId, JobId
from copilot.domain.people import AuditEntry, Scope
from copilot.domain.ports.store import Job, JobState
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.audit import append_entry
from copilot.store.calls import reaches
from copilot.store.database import Database
from copilot.store.outbox import job_of

OPEN: tuple[JobState, ...] = ("queued", "leased")
MAX_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """A job with its times. ``begun_at``: when the worker that has it now began; None while it waits."""

    job: Job
    created_at: datetime
    not_before: datetime
    begun_at: datetime | None
    closed_at: datetime | None


class SqlJobs:
    """Jobs of the calls that a person may see. Synchronous and thread-safe; every change leaves an audit line in its own transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def counts(self, scope: Scope) -> Mapping[JobState, int]:
        """How many jobs are in each state."""
        query = _reached(sa.select(t.jobs.c.state, sa.func.count().label("jobs")), scope).group_by(t.jobs.c.state)
        with self._database.read() as connection:
            found: dict[str, int] = {row["state"]: row["jobs"] for row in connection.execute(query).mappings()}
        states: tuple[JobState, ...] = ("queued", "leased", "done", "failed", "discarded")
        return {state: found.get(state, 0) for state in states}

    def of_call(self, scope: Scope, call_id: CallId) -> list[JobLine]:
        """Every job of a call, in the order in which they were queued."""
        query = _reached(sa.select(t.jobs), scope).where(t.jobs.c.call_id == call_id)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(t.jobs.c.created_at, t.jobs.c.kind, t.jobs.c.version)).mappings()
            return [_line(row) for row in found]

    def page(
        self,
        scope: Scope,
        states: tuple[JobState, ...],
        *,
        kind: str | None = None,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
    ) -> list[JobLine]:
        """Newest first; ``before`` = (created_at, job_id) of the last line of the previous page."""
        job = t.jobs.c
        query = _reached(sa.select(t.jobs), scope).where(job.state.in_(states))
        if kind is not None:
            query = query.where(job.kind == kind)
        if before is not None:
            last = sa.tuple_(sa.literal(before[0], job.created_at.type), sa.literal(before[1], job.job_id.type))
            query = query.where(sa.tuple_(job.created_at, job.job_id) < last)
        query = query.order_by(job.created_at.desc(), job.job_id.desc()).limit(max(1, min(limit, MAX_PAGE + 1)))
        with self._database.read() as connection:
            return [_line(row) for row in connection.execute(query).mappings()]

    def run_again(self, scope: Scope, job_id: JobId) -> Job:
        """A dead letter, or one that was discarded, is queued as if it had never been tried; an open one is left alone.

        Raises NotFound (also when its call was erased), Conflict when it is done, or a later version was made since.
        """
        with self._database.write() as connection:
            row = self._locked(connection, scope, job_id)
            if row["state"] in OPEN:
                return job_of(row)
            if row["state"] == "done" or rows.overtaken(connection, row):
                raise Conflict("This was made already; run the artifact again at its call for a new version.")
            if (
                connection.execute(sa.select(t.call_keys.c.key_id).where(rows.is_call(t.call_keys, row["org_id"], row["call_id"]))).first()
                is None
            ):
                raise NotFound("The call of this job was erased.")
            again = rows.fresh_start(self._clock.now())
            connection.execute(sa.update(t.jobs).where(t.jobs.c.job_id == job_id).values(**again))
            self._audit(connection, scope, "job.rerun", row)
        return job_of({**row, **again})

    def discard(self, scope: Scope, job_id: JobId) -> Job:
        """A dead letter that nobody needs leaves the list. Raises NotFound, Conflict for a job that did not fail."""
        with self._database.write() as connection:
            row = self._locked(connection, scope, job_id)
            if row["state"] == "discarded":
                return job_of(row)
            if row["state"] != "failed":
                raise Conflict("Only a job that failed can be discarded.")
            connection.execute(sa.update(t.jobs).where(t.jobs.c.job_id == job_id).values(state="discarded"))
            self._audit(connection, scope, "job.discard", row)
        return job_of({**row, "state": "discarded"})

    def _locked(self, connection: Connection, scope: Scope, job_id: JobId) -> RowMapping:
        found = connection.execute(_reached(sa.select(t.jobs), scope).where(t.jobs.c.job_id == job_id)).mappings().one_or_none()
        if found is None:
            raise NotFound("There is no such job that you may see.")
        rows.lock_call(connection, found["org_id"], found["call_id"])
        return connection.execute(sa.select(t.jobs).where(t.jobs.c.job_id == job_id).with_for_update()).mappings().one()

    def _audit(self, connection: Connection, scope: Scope, action: str, row: RowMapping) -> None:
        detail = f"{row['kind']} v{row['version']} {row['job_id']}"
        entry = AuditEntry(
            org_id=scope.org_id, at=self._clock.now(), actor=scope.user_id, action=action, target=row["call_id"], detail=detail
        )
        append_entry(connection, entry)


def _reached(query: sa.Select[Any], scope: Scope) -> sa.Select[Any]:
    same = sa.and_(t.calls.c.org_id == t.jobs.c.org_id, t.calls.c.call_id == t.jobs.c.call_id)
    return query.select_from(t.jobs).join(t.calls, same).where(t.jobs.c.org_id == scope.org_id, reaches(scope))


def _line(row: RowMapping) -> JobLine:
    return JobLine(
        job=job_of(row),
        created_at=row["created_at"],
        not_before=row["not_before"],
        begun_at=row["begun_at"],
        closed_at=row["closed_at"],
    )
