"""Contents of stored events replaced because personal information was found in them late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot import codec
from copilot.domain.errors import Conflict, InvalidInput, NotFound
from copilot.domain.events import CallEvent, EventEnvelope, Redacted
from copilot.domain.ids import CallId, OrgId
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.keyring import KeyRing


def rewrite(
    connection: Connection,
    keyring: KeyRing,
    org_id: OrgId,
    call_id: CallId,
    rewritten: Mapping[int, CallEvent],
    *,
    at: datetime,
    epoch: int | None = None,
) -> list[EventEnvelope]:
    """Seals the new contents in place of the old ones, by seq, and appends ``Redacted``, which it returns. Of an ended call, the listening
    copy is made anew.

    ``epoch``: the writer's, None for one that does not own the call. Raises, before anything is written, Conflict when the epoch is stale,
    NotFound for a seq that does not exist, InvalidInput when more than fields named in ``CONTENT`` differ.
    """
    row = rows.lock_call(connection, org_id, call_id)
    if epoch is not None and epoch != row["epoch"]:
        raise Conflict(f"Call {call_id} now belongs to epoch {row['epoch']}; this writer has {epoch} and must stop.")
    cipher = rows.need_cipher(connection, keyring, org_id, call_id)
    first, last = min(rewritten), max(rewritten)
    stored = {item.seq: item for item in rows.read(connection, keyring, org_id, call_id, first - 1, last - first + 1)}
    contents = []
    for seq, event in rewritten.items():
        if seq not in stored:
            raise NotFound(f"Call {call_id} has no event {seq}.")
        payload, content = codec.split(event)
        if payload != codec.split(stored[seq].event)[0]:
            raise InvalidInput(f"Event {seq} may only change in its content fields.")
        if content:
            contents.append({"org_id": org_id, "call_id": call_id, "seq": seq, **rows.sealed_content(cipher, seq, event.type, content)})
    at_rows = sa.and_(rows.is_call(t.call_contents, org_id, call_id), t.call_contents.c.seq.in_(rewritten))
    connection.execute(sa.delete(t.call_contents).where(at_rows))
    if contents:
        connection.execute(sa.insert(t.call_contents), contents)
    envelopes = rows.append(connection, keyring, row, [Redacted(seqs=tuple(sorted(rewritten)))], at=at)
    if row["phase"] == "ended":
        # The masked listening copy must hide what was found; one that is being made now began without it.
        rows.queue_again(connection, org_id, call_id, "recording", at, unless={"queued"})
    return envelopes
