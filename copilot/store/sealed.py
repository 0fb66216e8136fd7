"""Artifacts as rows: sealed with their call's key."""

from __future__ import annotations

import json
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot import codec
from copilot.domain.artifacts import Artifact, ArtifactKind
from copilot.domain.ids import CallId, OrgId
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.keyring import CallCipher, KeyRing


def newest_artifacts(connection: Connection, keyring: KeyRing, org_id: OrgId, call_id: CallId) -> list[Artifact]:
    """The newest version of each kind; none when the call was erased."""
    table = t.artifacts
    newest = (
        sa.select(table.c.kind, sa.func.max(table.c.version).label("version"))
        .where(rows.is_call(table, org_id, call_id))
        .group_by(table.c.kind)
        .subquery()
    )
    query = (
        sa.select(table)
        .join(newest, sa.and_(table.c.kind == newest.c.kind, table.c.version == newest.c.version))
        .where(rows.is_call(table, org_id, call_id))
        .order_by(table.c.kind)
    )
    found = connection.execute(query).mappings().all()
    cipher = rows.find_cipher(connection, keyring, org_id, call_id) if found else None
    return [] if cipher is None else [open_artifact(cipher, row) for row in found]


def open_artifact(cipher: CallCipher, row: RowMapping) -> Artifact:
    kind, version = cast("ArtifactKind", row["kind"]), row["version"]
    body = json.loads(cipher.open(row["ciphertext"], rows.place("artifacts", kind, version)))
    return codec.decode_artifact({"kind": kind, "version": version, "body": body})
