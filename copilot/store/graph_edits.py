"""Editors' decisions about the knowledge graph of one organisation. The graph itself is not stored: it is read from the articles."""

from __future__ import annotations

import sqlalchemy as sa

from copilot import codec
from copilot.domain.article_life import check_role
from copilot.domain.clock import Clock
from copilot.domain.errors import InvalidInput
from copilot.domain.graph import EditKind, GraphEdit, check_edit
from copilot.domain.ids import OrgId
from copilot.domain.people import AuditEntry, User
from copilot.store import tables as t
from copilot.store.audit import append_entry
from copilot.store.database import Database, insert_if_new

_MARK = "graph.mark"
MAX_EDITS = 20_000
"""Of one organisation: beyond it the graph is not what it is meant to be."""


class SqlGraphEdits:
    """Synchronous and thread-safe. Every change leaves an audit line."""

    def __init__(self, database: Database, clock: Clock, org_id: OrgId) -> None:
        self._database = database
        self._clock = clock
        self._org_id = org_id

    def all(self) -> list[GraphEdit]:
        """In the order in which they were made."""
        table = t.graph_edits
        query = sa.select(table).where(table.c.org_id == self._org_id).order_by(table.c.at, table.c.kind, table.c.target)
        with self._database.read() as connection:
            return [
                GraphEdit(kind=row.kind, target=row.target, language=row.language, body=row.body, author=row.author, at=row.at)
                for row in connection.execute(query)
            ]

    def mark(self) -> int:
        """Grows with every change."""
        query = sa.select(t.kv.c.value).where(t.kv.c.org_id == self._org_id, t.kv.c.key == _MARK)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one_or_none() or 0)

    def put(self, edit: GraphEdit, user: User) -> GraphEdit:
        """In the place of an earlier one of the same kind and target. Raises InvalidInput, Forbidden."""
        check_role(user)
        check_edit(edit)
        table, now = t.graph_edits, self._clock.now()
        key = {"org_id": self._org_id, "language": edit.language, "kind": edit.kind, "target": edit.target}
        values = {"body": dict(edit.body), "author": user.user_id, "at": now}
        with self._database.write() as connection:
            self._advance(connection)
            here = sa.and_(*(table.c[name] == value for name, value in key.items()))
            if connection.execute(sa.update(table).where(here).values(**values)).rowcount == 0:
                count = sa.select(sa.func.count()).select_from(table).where(table.c.org_id == self._org_id)
                if connection.execute(count).scalar_one() >= MAX_EDITS:
                    raise InvalidInput(f"There are {MAX_EDITS} changes to the graph already; take some back first.")
                connection.execute(sa.insert(table).values(**key, **values))
            self._audit(connection, user, f"graph.{edit.kind}", edit.language, edit.target, codec.dumps(dict(edit.body)))
        return GraphEdit(kind=edit.kind, target=edit.target, language=edit.language, body=edit.body, author=user.user_id, at=now)

    def take_back(self, language: str, kind: EditKind, target: str, user: User) -> bool:
        """False if there was none. Raises Forbidden."""
        check_role(user)
        table = t.graph_edits
        key = {"org_id": self._org_id, "language": language, "kind": kind, "target": target}
        with self._database.write() as connection:
            self._advance(connection)
            here = sa.and_(*(table.c[name] == value for name, value in key.items()))
            gone = connection.execute(sa.delete(table).where(here)).rowcount > 0
            if gone:
                self._audit(connection, user, "graph.take_back", language, target, kind)
        return gone

    def _advance(self, connection: sa.Connection) -> None:
        """Also the lock of the organisation's edits until the transaction ends."""
        insert_if_new(connection, t.kv, org_id=self._org_id, key=_MARK, value="0")
        here = sa.and_(t.kv.c.org_id == self._org_id, t.kv.c.key == _MARK)
        value = connection.execute(sa.select(t.kv.c.value).where(here).with_for_update()).scalar_one()
        connection.execute(sa.update(t.kv).where(here).values(value=str(int(value) + 1)))

    def _audit(self, connection: sa.Connection, user: User, action: str, language: str, target: str, detail: str) -> None:
        line = AuditEntry(
            org_id=self._org_id, at=self._clock.now(), actor=user.user_id, action=action, target=f"{language}:{target}", detail=detail[:500]
        )
        append_entry(connection, line)
