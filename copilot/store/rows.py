"""The event log as rows: compare-and-append and reading back. Functions on an open connection, so that callers choose the transaction."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot import codec
from copilot.domain.artifacts import ARTIFACT_KINDS, ArtifactKind
from copilot.domain.calls import IMPORTED, Call, apply
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.events import SCHEMA_VERSION, CallEnded, CallEvent, CallStarted, EventEnvelope
from copilot.domain.ids import CallId, OrgId
from copilot.store import suggestions
from copilot.store import tables as t
from copilot.store.announcements import announce
from copilot.store.data_classes import content_class
from copilot.store.database import insert_if_new
from copilot.store.keyring import CallCipher, KeyRing, call_context, new_call_key

CALL_FIELDS = tuple(field.name for field in dataclasses.fields(Call))
_PROJECTED = tuple(name for name in CALL_FIELDS if name not in ("org_id", "call_id"))
_LATER: Mapping[str, timedelta] = {
    "mood": timedelta(milliseconds=300),
    "keywords": timedelta(milliseconds=300),
    "recording": timedelta(seconds=2),
}
"""Jobs that leave the agent's own (summary, ticket) the first turn at the worker; the last segments are sealed meanwhile."""
FRESH, BACKGROUND = 0, 5
"""Priorities of jobs: of calls that somebody waits for, and of calls that were brought in."""


def is_call(table: sa.Table, org_id: str, call_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.org_id == org_id, table.c.call_id == call_id)


def call_of(row: RowMapping | Mapping[str, Any]) -> Call:
    """The projection row as the domain's ``Call``."""
    values = {name: row[name] for name in CALL_FIELDS}
    values["intents"] = tuple(values["intents"])
    values["artifacts"] = tuple(values["artifacts"])
    return Call(**values)


def projection(call: Call) -> dict[str, Any]:
    """The columns of ``calls`` that a fold decides."""
    values: dict[str, Any] = {name: getattr(call, name) for name in _PROJECTED}
    values["intents"] = list(call.intents)
    values["artifacts"] = list(call.artifacts)
    return values


def lock_call(connection: Connection, org_id: OrgId, call_id: CallId) -> RowMapping:
    """The call's row, held until the transaction ends. Raises NotFound."""
    # SQLite has no row locks and ignores FOR UPDATE: its write transaction is exclusive already.
    row = connection.execute(sa.select(t.calls).where(is_call(t.calls, org_id, call_id)).with_for_update()).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no call {call_id}.")
    return row


def create_call(connection: Connection, keyring: KeyRing, org_id: OrgId, call_id: CallId, owner: str) -> bool:
    """A new call in phase ``new`` with epoch 1 and a key of its own. False if it exists, whoever made it."""
    empty = projection(Call(org_id=org_id, call_id=call_id))
    if not insert_if_new(connection, t.calls, org_id=org_id, call_id=call_id, epoch=1, owner=owner, team_id=None, **empty):
        return False
    key_id, wrapped = keyring.wrap(new_call_key(), call_context(org_id, call_id))
    connection.execute(sa.insert(t.call_keys).values(org_id=org_id, call_id=call_id, key_id=key_id, wrapped_key=wrapped))
    return True


def find_cipher(connection: Connection, keyring: KeyRing, org_id: OrgId, call_id: CallId) -> CallCipher | None:
    """The call's cipher; None when the call was erased."""
    row = connection.execute(sa.select(t.call_keys).where(is_call(t.call_keys, org_id, call_id))).mappings().one_or_none()
    if row is None:
        return None
    context = call_context(org_id, call_id)
    return CallCipher(keyring.unwrap(row["key_id"], row["wrapped_key"], context), context)


def need_cipher(connection: Connection, keyring: KeyRing, org_id: OrgId, call_id: CallId) -> CallCipher:
    """The call's cipher. Raises NotFound when the call was erased or never was."""
    cipher = find_cipher(connection, keyring, org_id, call_id)
    if cipher is None:
        raise NotFound(f"The content of call {call_id} was erased; nothing more can be added to it.")
    return cipher


def place(table: str, *key: object) -> bytes:
    """Where a ciphertext belongs, so that one cannot be put in another's row."""
    return "\0".join([table, *map(str, key)]).encode()


def append(
    connection: Connection,
    keyring: KeyRing,
    row: RowMapping | Mapping[str, Any],
    events: Sequence[CallEvent],
    *,
    at: datetime,
    epoch: int | None = None,
) -> list[EventEnvelope]:
    """Appends to the locked call ``row``: events, contents, projection, and the after-call jobs if one of them ends the call.

    ``epoch``: the writer's; None for a writer that is not the owner (feedback, after-call work), who may add but not own.
    Raises Conflict, before anything is written, when the epoch is stale or the call has ended already.
    """
    org_id, call_id = OrgId(row["org_id"]), CallId(row["call_id"])
    if epoch is not None and epoch != row["epoch"]:
        raise Conflict(f"Call {call_id} now belongs to epoch {row['epoch']}; this writer has {epoch} and must stop.")
    before = call_of(row)
    call, envelopes = before, []
    for event in events:
        if isinstance(event, CallEnded) and call.phase == "ended":
            raise Conflict(f"Call {call_id} has ended already.")
        if isinstance(event, CallStarted) and call.phase != "new":
            raise Conflict(f"Call {call_id} has started already.")
        envelope = EventEnvelope(org_id=org_id, call_id=call_id, seq=call.last_seq + 1, epoch=row["epoch"], at=at, event=event)
        call = apply(call, envelope)
        envelopes.append(envelope)
    if not envelopes:
        return []
    event_rows, contents = [], []
    for envelope in envelopes:
        payload, content = codec.split(envelope.event)
        key = {"org_id": org_id, "call_id": call_id, "seq": envelope.seq}
        kind = envelope.event.type
        event_rows.append({**key, "epoch": row["epoch"], "type": kind, "schema_version": SCHEMA_VERSION, "at": at, "payload": payload})
        if content:
            contents.append((key, envelope.seq, kind, content))
    content_rows = []
    if contents:
        cipher = need_cipher(connection, keyring, org_id, call_id)
        content_rows = [{**key, **sealed_content(cipher, seq, kind, content)} for key, seq, kind, content in contents]
    connection.execute(sa.insert(t.call_events), event_rows)
    if content_rows:
        connection.execute(sa.insert(t.call_contents), content_rows)
    suggestions.follow(connection, envelopes)
    values = projection(call)
    values |= {"changed_at": at, "intent": call.intents[0] if call.intents else ""}
    if call.agent_id != before.agent_id and call.agent_id is not None:
        values["team_id"] = _team_of(connection, org_id, call.agent_id)
    connection.execute(sa.update(t.calls).where(is_call(t.calls, org_id, call_id)).values(**values))
    announce(connection, envelopes, before, call, at)
    if call.phase == "ended" and before.phase != "ended":
        priority = BACKGROUND if call.protocol == IMPORTED else FRESH
        jobs = [
            job_row(org_id, call_id, kind, 1, at, not_before=at + _LATER.get(kind, timedelta()), priority=priority)
            for kind in ARTIFACT_KINDS
        ]
        connection.execute(sa.insert(t.jobs), jobs)
    return envelopes


def sealed_content(cipher: CallCipher, seq: int, event_type: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The ``data_class`` and ``ciphertext`` of a content row."""
    data = codec.dumps(content).encode()
    return {"data_class": content_class(event_type, content), "ciphertext": cipher.seal(data, place("call_contents", seq))}


def queue_again(
    connection: Connection, org_id: OrgId, call_id: CallId, kind: ArtifactKind, at: datetime, *, unless: Collection[str]
) -> RowMapping | Mapping[str, Any]:
    """The row of a new job for the artifact's next version; the newest job itself if its state is one of ``unless``.

    A newest job that came to nothing is queued once more: its version was never made.
    """
    query = sa.select(t.jobs).where(is_call(t.jobs, org_id, call_id), t.jobs.c.kind == kind)
    newest = connection.execute(query.order_by(t.jobs.c.version.desc()).limit(1)).mappings().one_or_none()
    if newest is not None and newest["state"] in unless:
        return newest
    if newest is not None and newest["state"] in {"failed", "discarded"} and not overtaken(connection, newest):
        again = fresh_start(at)
        connection.execute(sa.update(t.jobs).where(t.jobs.c.job_id == newest["job_id"]).values(**again))
        return {**newest, **again}
    row = job_row(org_id, call_id, kind, next_version(connection, org_id, call_id, kind), at, not_before=at)
    connection.execute(sa.insert(t.jobs).values(**row))
    return row


def next_version(connection: Connection, org_id: OrgId, call_id: CallId, kind: str) -> int:
    """The number of an artifact's next version: none that is stored, and none that a job is to make."""
    taken = [
        connection.execute(sa.select(sa.func.max(table.c.version)).where(is_call(table, org_id, call_id), table.c.kind == kind)).scalar()
        for table in (t.jobs, t.artifacts)
    ]
    return 1 + max(version or 0 for version in taken)


def overtaken(connection: Connection, job: RowMapping | Mapping[str, Any]) -> bool:
    """Whether the artifact of a job has its version, or a later one, already: made by another job, or by a person."""
    artifact = t.artifacts.c
    known = sa.and_(is_call(t.artifacts, job["org_id"], job["call_id"]), artifact.kind == job["kind"], artifact.version >= job["version"])
    return connection.execute(sa.select(artifact.version).where(known).limit(1)).first() is not None


def fresh_start(at: datetime) -> dict[str, Any]:
    """What a job has that was never tried; one that was closed and is to be done after all is set back to it."""
    return {
        "state": "queued",
        "attempts": 0,
        "losses": 0,
        "not_before": at,
        "begun_at": None,
        "lease_until": None,
        "closed_at": None,
        "error": "",
    }


def job_row(
    org_id: OrgId, call_id: CallId, kind: str, version: int, at: datetime, *, not_before: datetime, priority: int = FRESH
) -> dict[str, Any]:
    return {
        **fresh_start(at),
        "job_id": uuid.uuid4().hex,
        "org_id": org_id,
        "call_id": call_id,
        "kind": kind,
        "version": version,
        "priority": priority,
        "created_at": at,
        "not_before": not_before,
    }


def _team_of(connection: Connection, org_id: str, user_id: str) -> str | None:
    # A call belongs to one team; an agent of several gives it to the first by id.
    return connection.execute(
        sa.select(sa.func.min(t.user_teams.c.team_id)).where(t.user_teams.c.org_id == org_id, t.user_teams.c.user_id == user_id)
    ).scalar()


def read(
    connection: Connection, keyring: KeyRing, org_id: OrgId, call_id: CallId, after_seq: int = 0, limit: int | None = None
) -> list[EventEnvelope]:
    """Events after ``after_seq`` in order, with their contents (neutral defaults where the call was erased)."""
    query = (
        sa.select(t.call_events, t.call_contents.c.ciphertext)
        .outerjoin(
            t.call_contents,
            sa.and_(
                t.call_contents.c.org_id == t.call_events.c.org_id,
                t.call_contents.c.call_id == t.call_events.c.call_id,
                t.call_contents.c.seq == t.call_events.c.seq,
            ),
        )
        .where(is_call(t.call_events, org_id, call_id), t.call_events.c.seq > after_seq)
        .order_by(t.call_events.c.seq)
        .limit(limit)
    )
    rows = connection.execute(query).mappings().all()
    cipher = find_cipher(connection, keyring, org_id, call_id) if any(row["ciphertext"] is not None for row in rows) else None
    return list(_envelopes(rows, cipher))


def _envelopes(rows: Iterable[RowMapping], cipher: CallCipher | None) -> Iterable[EventEnvelope]:
    for row in rows:
        content = None
        if cipher is not None and row["ciphertext"] is not None:
            content = json.loads(cipher.open(row["ciphertext"], place("call_contents", row["seq"])))
        yield EventEnvelope(
            org_id=row["org_id"],
            call_id=row["call_id"],
            seq=row["seq"],
            epoch=row["epoch"],
            at=row["at"],
            event=codec.join(row["payload"], content, row["schema_version"]),
        )
