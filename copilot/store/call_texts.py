"""What was said in ended calls and what after-call work made of it, many calls at a time: for the search index and its answers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot import codec
from copilot.domain.artifacts import Artifact
from copilot.domain.events import UtteranceFinal
from copilot.domain.ids import CallId, OrgId
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.call_list import ListedCall, listed
from copilot.store.database import Database
from copilot.store.keyring import CallCipher, KeyRing, call_context
from copilot.store.sealed import open_artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class CallText:
    """An ended call. ``artifacts``: the newest version of each kind that has words: summary, ticket, keywords."""

    listed: ListedCall
    changed_at: datetime | None
    utterances: tuple[UtteranceFinal, ...]
    artifacts: tuple[Artifact, ...]


_KINDS = ("summary", "ticket", "keywords")


class SqlCallTexts:
    """Synchronous and thread-safe. It checks no person's scope: ask it for calls that were found to be in it."""

    def __init__(self, database: Database, keyring: KeyRing) -> None:
        self._database = database
        self._keyring = keyring

    def read(self, org_id: OrgId, call_ids: Collection[CallId]) -> dict[CallId, CallText]:
        """Those of these calls that have ended and were not erased."""
        if not call_ids:
            return {}
        with self._database.read() as connection:
            ciphers = self._ciphers(connection, org_id, call_ids)
            query = sa.select(t.calls).where(_these(t.calls, org_id, ciphers), t.calls.c.phase == "ended")
            calls = {CallId(row["call_id"]): row for row in connection.execute(query).mappings()}
            said = _utterances(connection, org_id, {call_id: ciphers[call_id] for call_id in calls})
            made = _artifacts(connection, org_id, {call_id: ciphers[call_id] for call_id in calls})
        return {
            call_id: CallText(
                listed=listed(row),
                changed_at=row["changed_at"],
                utterances=tuple(said.get(call_id, ())),
                artifacts=tuple(made.get(call_id, ())),
            )
            for call_id, row in calls.items()
        }

    def utterances(self, org_id: OrgId, call_ids: Collection[CallId]) -> Mapping[CallId, list[UtteranceFinal]]:
        """What was said, in the order of the events; nothing of calls that were erased."""
        with self._database.read() as connection:
            return _utterances(connection, org_id, self._ciphers(connection, org_id, call_ids))

    def summaries(self, org_id: OrgId, call_ids: Collection[CallId]) -> Mapping[CallId, Artifact]:
        """The newest summaries."""
        with self._database.read() as connection:
            made = _artifacts(connection, org_id, self._ciphers(connection, org_id, call_ids))
        return {call_id: item for call_id, items in made.items() for item in items if item.kind == "summary"}

    def _ciphers(self, connection: Connection, org_id: OrgId, call_ids: Collection[CallId]) -> dict[CallId, CallCipher]:
        found = {}
        for row in connection.execute(sa.select(t.call_keys).where(_these(t.call_keys, org_id, call_ids))).mappings():
            context = call_context(org_id, row["call_id"])
            found[CallId(row["call_id"])] = CallCipher(self._keyring.unwrap(row["key_id"], row["wrapped_key"], context), context)
        return found


def _these(table: sa.Table, org_id: OrgId, call_ids: Collection[CallId]) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.org_id == org_id, table.c.call_id.in_(sorted(call_ids)))


def _utterances(connection: Connection, org_id: OrgId, ciphers: Mapping[CallId, CallCipher]) -> dict[CallId, list[UtteranceFinal]]:
    if not ciphers:
        return {}
    event, content = t.call_events.c, t.call_contents.c
    same = sa.and_(content.org_id == event.org_id, content.call_id == event.call_id, content.seq == event.seq)
    query = (
        sa.select(event.call_id, event.seq, event.payload, event.schema_version, content.ciphertext)
        .join_from(t.call_events, t.call_contents, same)
        .where(_these(t.call_events, org_id, ciphers.keys()), event.type == "utterance_final")
        .order_by(event.call_id, event.seq)
    )
    found: dict[CallId, list[UtteranceFinal]] = {}
    for row in connection.execute(query).mappings():
        call_id = CallId(row["call_id"])
        words = json.loads(ciphers[call_id].open(row["ciphertext"], rows.place("call_contents", row["seq"])))
        words.pop("words", None)  # with their times, which nobody asks for here: half the work of reading
        words.pop("corrections", None)
        found.setdefault(call_id, []).append(cast("UtteranceFinal", codec.join(row["payload"], words, row["schema_version"])))
    return found


def _artifacts(connection: Connection, org_id: OrgId, ciphers: Mapping[CallId, CallCipher]) -> dict[CallId, list[Artifact]]:
    if not ciphers:
        return {}
    query = sa.select(t.artifacts).where(_these(t.artifacts, org_id, ciphers.keys()), t.artifacts.c.kind.in_(_KINDS))
    newest = {}
    for row in connection.execute(query.order_by(t.artifacts.c.version)).mappings():
        newest[row["call_id"], row["kind"]] = row
    found: dict[CallId, list[Artifact]] = {}
    for (call_id, _), row in sorted(newest.items()):
        found.setdefault(CallId(call_id), []).append(open_artifact(ciphers[CallId(call_id)], row))
    return found
