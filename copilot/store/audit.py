"""The audit trail: append-only (the database refuses changes) and chained (each line's hash covers the one before it).

A changed, removed or reordered line breaks the chain from there on. Who can rewrite the whole table can also recompute the chain; keep the
newest hash somewhere else (``head``) to notice even that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot.domain.errors import Forbidden
from copilot.domain.ids import OrgId
from copilot.domain.people import AuditEntry, Role, Scope
from copilot.store import tables as t
from copilot.store.database import Database

GENESIS = "0" * 64
READERS: frozenset[Role] = frozenset({"auditor", "sys_admin"})
_LOCK = 0x61756474


class SqlAudit:
    """``copilot.domain.ports.store.AuditTrail``. Synchronous and thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, entry: AuditEntry) -> None:
        with self._database.write() as connection:
            append_entry(connection, entry)

    def entries(self, scope: Scope, limit: int = 100) -> list[AuditEntry]:
        """Newest first. Raises Forbidden for roles other than auditor and system administrator."""
        if not scope.roles & READERS:
            raise Forbidden("Only auditors and system administrators may read the audit trail.")
        query = sa.select(t.audit).where(t.audit.c.org_id == scope.org_id).order_by(t.audit.c.seq.desc()).limit(limit)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def head(self, org_id: OrgId) -> tuple[int, str]:
        """(number of lines, hash of the newest)."""
        with self._database.read() as connection:
            return _head(connection, org_id)

    def first_broken(self, org_id: OrgId) -> int | None:
        """The number of the first line whose place in the chain does not fit; None if the whole trail is as it was written."""
        previous, expected = GENESIS, 1
        query = sa.select(t.audit).where(t.audit.c.org_id == org_id).order_by(t.audit.c.seq)
        with self._database.read() as connection:
            for row in connection.execute(query).mappings():
                if row["seq"] != expected or row["prev_hash"] != previous or row["hash"] != _hash(previous, expected, _entry(row)):
                    return expected
                previous, expected = row["hash"], expected + 1
        return None


def append_entry(connection: Connection, entry: AuditEntry) -> None:
    """One more line, in the caller's transaction."""
    if connection.dialect.name == "postgresql":
        # Writers of the trail take turns; SQLite's write transaction is exclusive already.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    seq, previous = _head(connection, entry.org_id)
    connection.execute(
        sa.insert(t.audit).values(
            org_id=entry.org_id,
            seq=seq + 1,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            target=entry.target,
            detail=entry.detail,
            prev_hash=previous,
            hash=_hash(previous, seq + 1, entry),
        )
    )


def _head(connection: Connection, org_id: str) -> tuple[int, str]:
    query = sa.select(t.audit.c.seq, t.audit.c.hash).where(t.audit.c.org_id == org_id).order_by(t.audit.c.seq.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return (row.seq, row.hash) if row is not None else (0, GENESIS)


def _entry(row: Mapping[Any, Any]) -> AuditEntry:
    return AuditEntry(
        org_id=row["org_id"], at=row["at"], actor=row["actor"], action=row["action"], target=row["target"], detail=row["detail"]
    )


def _hash(previous: str, seq: int, entry: AuditEntry) -> str:
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    line = [previous, seq, entry.org_id, at, entry.actor, entry.action, entry.target, entry.detail]
    return hashlib.sha256(json.dumps(line, ensure_ascii=False).encode()).hexdigest()
