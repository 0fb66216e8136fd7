"""Versions of one organisation's packs: drafts with optimistic concurrency, publication by another person, every step with an audit line.

One version of a pack is published; publishing the next makes it superseded, in one transaction. A version that was published is never
changed again. Imports and commands publish at once, by the same statements (``publish_text``).
"""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, InvalidInput, NotFound
from copilot.domain.ids import OrgId
from copilot.domain.packs import (
    MOST_CHARACTERS,
    MOST_NOTE,
    PUBLISHERS,
    PackVersion,
    check_known,
    check_publication,
    check_writer,
    saved,
)
from copilot.domain.people import AuditEntry, User
from copilot.store import tables as t
from copilot.store.audit import append_entry
from copilot.store.database import Database

_HEAD = (
    t.packs.c.name,
    t.packs.c.version,
    t.packs.c.state,
    t.packs.c.author,
    t.packs.c.note,
    t.packs.c.base_version,
    t.packs.c.revision,
    t.packs.c.created_at,
    t.packs.c.changed_at,
    t.packs.c.published_by,
    t.packs.c.published_at,
)
_MOST_LISTED = 200


class SqlPacks:
    """Synchronous and thread-safe. What a text must be is checked by the caller; who may do what is checked here."""

    def __init__(self, database: Database, clock: Clock, org_id: OrgId) -> None:
        self._database = database
        self._clock = clock
        self._org_id = org_id

    # -- reading -----------------------------------------------------------------------------------------------------------------------

    def in_force(self) -> list[PackVersion]:
        """The published version of every pack that people write."""
        return self._list(t.packs.c.state == "published", t.packs.c.name.in_(list(PUBLISHERS)))

    def numbers_in_force(self) -> tuple[tuple[str, int], ...]:
        """(name, version) of every pack in force, also of those that commands make: changes when one is published."""
        c = t.packs.c
        query = sa.select(c.name, c.version).where(c.org_id == self._org_id, c.state == "published").order_by(c.name)
        with self._database.read() as connection:
            return tuple((row.name, row.version) for row in connection.execute(query))

    def drafts(self) -> list[PackVersion]:
        """Every open draft, newest first."""
        return self._list(t.packs.c.state == "draft")

    def versions(self, name: str) -> list[PackVersion]:
        """Newest first, at most 200."""
        check_known(name)
        return self._list(t.packs.c.name == name)

    def version(self, name: str, version: int) -> tuple[PackVersion, str]:
        """One version and its text. Raises NotFound."""
        with self._database.read() as connection:
            return self._one(connection, name, version)

    def published(self, name: str) -> tuple[PackVersion, str]:
        """The version in force and its text. Raises NotFound."""
        check_known(name)
        with self._database.read() as connection:
            number = current_version(connection, self._org_id, name)
            if number == 0:
                raise NotFound(f"No {name} is published yet.")
            return self._one(connection, name, number)

    def _list(self, *conditions: sa.ColumnElement[bool]) -> list[PackVersion]:
        query = sa.select(*_HEAD).where(t.packs.c.org_id == self._org_id, *conditions)
        query = query.order_by(t.packs.c.version.desc(), t.packs.c.name).limit(_MOST_LISTED)
        with self._database.read() as connection:
            return [_version(row) for row in connection.execute(query).mappings()]

    # -- writing -----------------------------------------------------------------------------------------------------------------------

    def begin(self, name: str, text: str, note: str, user: User) -> PackVersion:
        """A new draft on top of what is published. Raises Conflict when this person has one open, InvalidInput, Forbidden."""
        check_known(name)
        check_writer(user)
        _check_size(text, note)
        with self._database.write() as connection:
            lock_packs(connection, self._org_id)
            mine = connection.execute(self._mine(name, user)).scalar()
            if mine is not None:
                raise Conflict(f"You have a draft of this file open already (version {mine}); go on with that one.")
            now = self._clock.now()
            number = _newest(connection, self._org_id, name) + 1
            current = current_version(connection, self._org_id, name)
            row = _row(self._org_id, name, number, text, now, state="draft", author=user.user_id, note=note, base_version=current)
            connection.execute(sa.insert(t.packs).values(**row))
            self._audit(connection, user.user_id, "pack.draft", name, number, f"from version {current}")
            return self._one(connection, name, number)[0]

    def save(self, name: str, version: int, revision: int, text: str, note: str, base_version: int, user: User) -> PackVersion:
        """Saves one's own draft. ``base_version``: the published version whose changes its author has seen.

        Raises NotFound, Forbidden, Conflict, PackConflict, InvalidInput.
        """
        check_writer(user)
        _check_size(text, note)
        with self._database.write() as connection:
            lock_packs(connection, self._org_id)
            known, _ = self._one(connection, name, version)
            if base_version not in (known.base_version, current_version(connection, self._org_id, name)):
                raise InvalidInput(f"Version {base_version} is not the published one; read it again.")
            draft = saved(known, user.user_id, revision, base_version)
            values = {"body": text, "sha256": _sha256(text), "note": note, "revision": draft.revision, "base_version": base_version}
            connection.execute(sa.update(t.packs).where(*self._here(name, version)).values(**values, changed_at=self._clock.now()))
            return self._one(connection, name, version)[0]

    def discard(self, name: str, version: int, user: User) -> PackVersion:
        """Gives a draft of one's own up; who may publish may discard those of others. Raises NotFound, Forbidden, Conflict."""
        check_writer(user)
        with self._database.write() as connection:
            lock_packs(connection, self._org_id)
            known, _ = self._one(connection, name, version)
            if not user.roles & PUBLISHERS[name]:
                saved(known, user.user_id, known.revision, known.base_version)
            elif known.state != "draft":
                raise Conflict(f"Version {version} is no draft any more.")
            connection.execute(sa.update(t.packs).where(*self._here(name, version)).values(state="discarded", changed_at=self._clock.now()))
            self._audit(connection, user.user_id, "pack.discard", name, version)
            return dataclasses.replace(known, state="discarded")

    def publish(self, name: str, version: int, revision: int, user: User) -> PackVersion:
        """Puts a draft in force. Raises NotFound, Forbidden (also for its author), Conflict when another one was published meanwhile."""
        with self._database.write() as connection:
            lock_packs(connection, self._org_id)
            draft, _ = self._one(connection, name, version)
            check_publication(draft, revision, current_version(connection, self._org_id, name), user)
            _put_in_force(connection, self._org_id, name, version, user.user_id, self._clock.now())
            self._audit(connection, user.user_id, "pack.publish", name, version, f"over version {draft.base_version}")
            return self._one(connection, name, version)[0]

    def put(self, name: str, text: str, note: str, actor: str) -> PackVersion:
        """Publishes a text at once, as an import does; what is published already stays as it is."""
        check_known(name)
        _check_size(text, note)
        with self._database.write() as connection:
            lock_packs(connection, self._org_id)
            publish_text(connection, self._org_id, name, "*", text, note=note, actor=actor, now=self._clock.now())
            return self._one(connection, name, current_version(connection, self._org_id, name))[0]

    # -- parts -------------------------------------------------------------------------------------------------------------------------

    def _mine(self, name: str, user: User) -> sa.Select[Any]:
        c = t.packs.c
        return sa.select(c.version).where(c.org_id == self._org_id, c.name == name, c.state == "draft", c.author == user.user_id)

    def _here(self, name: str, version: int) -> tuple[sa.ColumnElement[bool], ...]:
        return t.packs.c.org_id == self._org_id, t.packs.c.name == name, t.packs.c.version == version

    def _one(self, connection: Connection, name: str, version: int) -> tuple[PackVersion, str]:
        check_known(name)
        row = connection.execute(sa.select(*_HEAD, t.packs.c.body).where(*self._here(name, version))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no version {version} of {name}.")
        return _version(row), row["body"]

    def _audit(self, connection: Connection, actor: str, action: str, name: str, version: int, detail: str = "") -> None:
        _audit(connection, self._org_id, actor, action, name, version, self._clock.now(), detail)


def publish_text(
    connection: Connection, org_id: OrgId, name: str, language: str, text: str, *, note: str, actor: str, now: datetime
) -> bool:
    """A new version, in force at once; False if just this text is in force already. To be called under ``lock_packs``."""
    current = current_version(connection, org_id, name)
    here = (t.packs.c.org_id == org_id, t.packs.c.name == name, t.packs.c.version == current)
    known = connection.execute(sa.select(t.packs.c.sha256, t.packs.c.language).where(*here)).one_or_none()
    if known is not None and (known.sha256, known.language) == (_sha256(text), language):
        return False
    number = _newest(connection, org_id, name) + 1
    row = _row(org_id, name, number, text, now, state="draft", author=actor, note=note, base_version=current)
    connection.execute(sa.insert(t.packs).values(**{**row, "language": language}))
    _put_in_force(connection, org_id, name, number, actor, now)
    _audit(connection, org_id, actor, "pack.publish", name, number, now, f"over version {current}")
    return True


def current_version(connection: Connection, org_id: OrgId, name: str) -> int:
    """The number of the version in force, 0 without one."""
    c = t.packs.c
    query = sa.select(sa.func.max(c.version)).where(c.org_id == org_id, c.name == name, c.state == "published")
    return int(connection.execute(query).scalar_one() or 0)


def lock_packs(connection: Connection, org_id: OrgId) -> None:
    """Who writes a pack waits for who writes an article: one lock for what the bank's staff keep."""
    from copilot.store.articles import lock_articles

    lock_articles(connection, org_id)


def _newest(connection: Connection, org_id: OrgId, name: str) -> int:
    query = sa.select(sa.func.max(t.packs.c.version)).where(t.packs.c.org_id == org_id, t.packs.c.name == name)
    return int(connection.execute(query).scalar_one() or 0)


def _put_in_force(connection: Connection, org_id: OrgId, name: str, version: int, actor: str, now: datetime) -> None:
    c = t.packs.c
    mine = (c.org_id == org_id, c.name == name)
    connection.execute(sa.update(t.packs).where(*mine, c.state == "published").values(state="superseded"))
    values = {"state": "published", "published_by": actor, "published_at": now}
    connection.execute(sa.update(t.packs).where(*mine, c.version == version).values(**values))


def _row(org_id: OrgId, name: str, version: int, text: str, now: datetime, **more: Any) -> dict[str, Any]:
    row = {"org_id": org_id, "name": name, "version": version, "language": "*", "sha256": _sha256(text), "body": text}
    return {**row, "created_at": now, "changed_at": now, "revision": 1, **more}


def _audit(
    connection: Connection, org_id: OrgId, actor: str, action: str, name: str, version: int, now: datetime, detail: str = ""
) -> None:
    append_entry(connection, AuditEntry(org_id=org_id, at=now, actor=actor, action=action, target=f"{name}@{version}", detail=detail))


def _check_size(text: str, note: str) -> None:
    if not text.strip():
        raise InvalidInput("The text is empty.")
    if len(text) > MOST_CHARACTERS or len(note) > MOST_NOTE:
        raise InvalidInput(f"A pack may have at most {MOST_CHARACTERS} characters and its note {MOST_NOTE}.")


def _version(row: RowMapping) -> PackVersion:
    fields = {column.name: row[column.name] for column in _HEAD}
    return PackVersion(**{**fields, "changed_at": row["changed_at"] or row["created_at"]})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
