"""Notes on calls, one a person and call, sealed with the call's key; and what people prefer."""

from __future__ import annotations

from typing import Any, cast, get_args

import sqlalchemy as sa

from copilot.domain.clock import Clock
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.suggestions import ReplyStyle
from copilot.domain.wrapup import Note
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.database import Database
from copilot.store.keyring import KeyRing


class SqlNotes:
    """Synchronous and thread-safe. Whether a person may see the call is the caller's to check."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    def notes(self, org_id: OrgId, call_id: CallId) -> list[Note]:
        """Oldest change first."""
        query = sa.select(t.call_notes).where(rows.is_call(t.call_notes, org_id, call_id)).order_by(t.call_notes.c.updated_at)
        with self._database.read() as connection:
            found = connection.execute(query).mappings().all()
            cipher = rows.find_cipher(connection, self._keyring, org_id, call_id) if found else None
            if cipher is None:
                return []
            return [
                Note(
                    user_id=UserId(row["user_id"]),
                    text=cipher.open(row["ciphertext"], rows.place("call_notes", row["user_id"])).decode(),
                    updated_at=row["updated_at"],
                )
                for row in found
            ]

    def write(self, org_id: OrgId, call_id: CallId, user_id: UserId, text: str) -> Note:
        """Replaces the person's note; an empty one goes away. Raises NotFound when the call was erased or never was."""
        now = self._clock.now()
        with self._database.write() as connection:
            rows.lock_call(connection, org_id, call_id)
            cipher = rows.need_cipher(connection, self._keyring, org_id, call_id)
            mine = sa.and_(rows.is_call(t.call_notes, org_id, call_id), t.call_notes.c.user_id == user_id)
            connection.execute(sa.delete(t.call_notes).where(mine))
            if text:
                sealed = cipher.seal(text.encode(), rows.place("call_notes", user_id))
                row = {"org_id": org_id, "call_id": call_id, "user_id": user_id, "ciphertext": sealed, "updated_at": now}
                connection.execute(sa.insert(t.call_notes).values(**row))
        return Note(user_id=user_id, text=text, updated_at=now)


class SqlPreferences:
    """A small JSON object a person: shortcuts, style. Synchronous and thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def read(self, org_id: OrgId, user_id: UserId) -> dict[str, Any]:
        """Empty when the person has changed nothing."""
        query = sa.select(t.preferences.c.value).where(t.preferences.c.org_id == org_id, t.preferences.c.user_id == user_id)
        with self._database.read() as connection:
            return cast("dict[str, Any]", connection.execute(query).scalar_one_or_none() or {})

    def style(self, org_id: OrgId, user_id: UserId) -> ReplyStyle:
        """How this person wants generated replies worded."""
        wanted = self.read(org_id, user_id).get("style")
        return cast("ReplyStyle", wanted) if wanted in get_args(ReplyStyle) else "standard"

    def write(self, org_id: OrgId, user_id: UserId, value: dict[str, Any]) -> None:
        with self._database.write() as connection:
            mine = sa.and_(t.preferences.c.org_id == org_id, t.preferences.c.user_id == user_id)
            connection.execute(sa.delete(t.preferences).where(mine))
            row = {"org_id": org_id, "user_id": user_id, "value": value, "updated_at": self._clock.now()}
            connection.execute(sa.insert(t.preferences).values(**row))
