"""Dry runs of packs over past calls: what was chosen, how far it is, what would change. Ids and answers only; nothing that was said."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, NotFound, Overloaded
from copilot.domain.ids import CallId, OrgId
from copilot.domain.people import AuditEntry
from copilot.store import tables as t
from copilot.store.audit import append_entry
from copilot.store.database import Database

Json = dict[str, Any]
DryRunState = Literal["queued", "running", "done", "failed", "cancelled"]
OPEN: tuple[DryRunState, ...] = ("queued", "running")
MOST_CALLS, MOST_WAITING, MOST_KEPT = 1000, 10, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """``choice``: which calls (see docs/reference/packs.md). ``base_version``: the version in force that it is compared with."""

    org_id: OrgId
    run_id: str
    pack: str
    version: int
    revision: int
    base_version: int
    choice: Mapping[str, Any]
    state: DryRunState
    actor: str
    created_at: datetime
    ended_at: datetime | None
    done: int
    total: int
    error: str
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedCall:
    """What would change in one call; ``changes`` is ``{before_score, after_score, changes: [{key, before, after, …_evidence}]}``."""

    number: int
    call_id: CallId
    changes: Mapping[str, Any]


class SqlDryRuns:
    """Synchronous and thread-safe. Who may is decided above."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self, org_id: OrgId, pack: str, version: int, revision: int, base_version: int, body: str, choice: Json, actor: str, node: str
    ) -> DryRun:
        """A queued run; the oldest that ended are dropped. Raises Overloaded when too many wait."""
        c, run_id = t.dry_runs.c, uuid.uuid4().hex
        with self._database.write() as connection:
            waiting = sa.select(sa.func.count()).where(c.org_id == org_id, c.state.in_(OPEN))
            if connection.execute(waiting).scalar_one() >= MOST_WAITING:
                raise Overloaded("Too many dry runs are waiting; try again when some of them are done.")
            old = sa.select(c.run_id).where(c.org_id == org_id, c.state.not_in(OPEN)).order_by(c.created_at.desc()).offset(MOST_KEPT - 1)
            for name in connection.execute(old.limit(1000)).scalars().all():
                for table in (t.dry_run_calls, t.dry_runs):
                    connection.execute(sa.delete(table).where(table.c.org_id == org_id, table.c.run_id == name))
            row = {"org_id": org_id, "run_id": run_id, "pack": pack, "version": version, "revision": revision}
            row |= {"base_version": base_version, "body": body, "choice": choice, "state": "queued", "actor": actor, "node": node}
            row |= {"created_at": self._clock.now(), "done": 0, "total": 0, "error": ""}
            connection.execute(sa.insert(t.dry_runs).values(**row))
            self._audit(connection, org_id, actor, "pack.dry_run", f"{pack}@{version}", run_id)
            return self._one(connection, org_id, run_id)

    def run(self, org_id: OrgId, run_id: str) -> DryRun:
        """Raises NotFound."""
        with self._database.read() as connection:
            return self._one(connection, org_id, run_id)

    def text(self, org_id: OrgId, run_id: str) -> str:
        """The draft as it was when the run was asked for."""
        with self._database.read() as connection:
            return str(connection.execute(sa.select(t.dry_runs.c.body).where(*_here(org_id, run_id))).scalar_one())

    def runs(self, org_id: OrgId, pack: str, limit: int = 20) -> list[DryRun]:
        """Newest first."""
        c = t.dry_runs.c
        query = sa.select(t.dry_runs).where(c.org_id == org_id, c.pack == pack).order_by(c.created_at.desc(), c.run_id).limit(limit)
        with self._database.read() as connection:
            return [_run(row) for row in connection.execute(query).mappings()]

    def of_node(self, node: str, states: Sequence[DryRunState]) -> list[tuple[OrgId, str]]:
        """Oldest first."""
        c = t.dry_runs.c
        query = sa.select(c.org_id, c.run_id).where(c.node == node, c.state.in_(states)).order_by(c.created_at)
        with self._database.read() as connection:
            return [(OrgId(row.org_id), row.run_id) for row in connection.execute(query)]

    def begin(self, org_id: OrgId, run_id: str) -> bool:
        """False if it was cancelled meanwhile. What an earlier try left is dropped."""
        with self._database.write() as connection:
            here = (*_here(org_id, run_id), t.dry_runs.c.state.in_(OPEN))
            if connection.execute(sa.update(t.dry_runs).where(*here).values(state="running", done=0, total=0)).rowcount == 0:
                return False
            c = t.dry_run_calls.c
            connection.execute(sa.delete(t.dry_run_calls).where(c.org_id == org_id, c.run_id == run_id))
            return True

    def progress(self, org_id: OrgId, run_id: str, done: int, total: int) -> bool:
        """False when it is to stop."""
        with self._database.write() as connection:
            here = (*_here(org_id, run_id), t.dry_runs.c.state == "running")
            return connection.execute(sa.update(t.dry_runs).where(*here).values(done=done, total=total)).rowcount > 0

    def finish(self, org_id: OrgId, run_id: str, result: Json, changed: Sequence[tuple[CallId, Json]]) -> None:
        """Done, unless it was cancelled."""
        with self._database.write() as connection:
            here = (*_here(org_id, run_id), t.dry_runs.c.state == "running")
            values = {"state": "done", "result": result, "ended_at": self._clock.now()}
            if connection.execute(sa.update(t.dry_runs).where(*here).values(**values)).rowcount == 0:
                return
            rows = [
                {"org_id": org_id, "run_id": run_id, "number": number, "call_id": call_id, "changes": body}
                for number, (call_id, body) in enumerate(changed)
            ]
            if rows:
                connection.execute(sa.insert(t.dry_run_calls), rows)

    def fail(self, org_id: OrgId, run_id: str, error: str) -> None:
        with self._database.write() as connection:
            here = (*_here(org_id, run_id), t.dry_runs.c.state.in_(OPEN))
            values = {"state": "failed", "error": error, "ended_at": self._clock.now()}
            connection.execute(sa.update(t.dry_runs).where(*here).values(**values))

    def cancel(self, org_id: OrgId, run_id: str, actor: str) -> DryRun:
        """Raises NotFound, Conflict when it has ended."""
        with self._database.write() as connection:
            found = self._one(connection, org_id, run_id)
            here = (*_here(org_id, run_id), t.dry_runs.c.state.in_(OPEN))
            values = {"state": "cancelled", "ended_at": self._clock.now()}
            if connection.execute(sa.update(t.dry_runs).where(*here).values(**values)).rowcount == 0:
                raise Conflict("This dry run has ended already.")
            self._audit(connection, org_id, actor, "pack.dry_run_cancel", f"{found.pack}@{found.version}", run_id)
            return self._one(connection, org_id, run_id)

    def changed(self, org_id: OrgId, run_id: str, key: str | None, after: int, limit: int) -> list[ChangedCall]:
        """Calls in which something (``key``: this) would change, from ``number`` > ``after`` on."""
        c = t.dry_run_calls.c
        query = sa.select(t.dry_run_calls).where(c.org_id == org_id, c.run_id == run_id, c.number > after).order_by(c.number)
        found = []
        with self._database.read() as connection:
            for row in connection.execute(query).mappings():
                if key is None or any(key in _keys(change) for change in row["changes"]["changes"]):
                    found.append(ChangedCall(number=row["number"], call_id=row["call_id"], changes=row["changes"]))
                if len(found) >= limit:
                    break
        return found

    def _one(self, connection: Connection, org_id: OrgId, run_id: str) -> DryRun:
        row = connection.execute(sa.select(t.dry_runs).where(*_here(org_id, run_id))).mappings().one_or_none()
        if row is None:
            raise NotFound("There is no such dry run; old ones are dropped.")
        return _run(row)

    def _audit(self, connection: Connection, org_id: OrgId, actor: str, action: str, target: str, detail: str) -> None:
        entry = AuditEntry(org_id=org_id, at=self._clock.now(), actor=actor, action=action, target=target, detail=detail)
        append_entry(connection, entry)


def _keys(change: Mapping[str, Any]) -> set[str]:
    """By what a change is found: its key, and of a ticket the categories it leaves and enters."""
    return {change["key"], *(f"{change['key']}/{change[side]}" for side in ("before", "after") if change[side])}


def _here(org_id: OrgId, run_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return t.dry_runs.c.org_id == org_id, t.dry_runs.c.run_id == run_id


def _run(row: RowMapping) -> DryRun:
    return DryRun(**{name: row[name] for name in DryRun.__dataclass_fields__})
