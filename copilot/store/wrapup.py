"""The after-call form: drafts saved as typed, handed in as new versions with their author, and taken back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot import codec
from copilot.domain.artifacts import Artifact
from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, Forbidden
from copilot.domain.events import WrapUpReopened, WrapUpSubmitted
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.people import AuditEntry, Scope
from copilot.domain.wrapup import EDITABLE_KINDS, ArtifactVersion, Draft, EditableKind
from copilot.store import data_classes, rows
from copilot.store import tables as t
from copilot.store.audit import append_entry
from copilot.store.calls import visible
from copilot.store.database import Database
from copilot.store.doorbell import Doorbell
from copilot.store.facts import facts_of, write_facts
from copilot.store.keyring import CallCipher, KeyRing
from copilot.store.sealed import open_artifact

_NOT_YOURS = "Only the agent of a call fills in its after-call form."


class SqlWrapUp:
    """Synchronous and thread-safe. Only the agent of the call writes; ``scope`` is the caller's."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock, doorbell: Doorbell) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._doorbell = doorbell

    def handed_in(self, org_id: OrgId, call_id: CallId) -> bool:
        """Whether the form of this call is handed in, and was not taken back."""
        with self._database.read() as connection:
            return self._handed_in(connection, org_id, call_id)

    def drafts(self, scope: Scope, call_id: CallId) -> dict[EditableKind, Draft]:
        """The caller's own open drafts. Raises NotFound."""
        with self._database.read() as connection:
            visible(connection, scope, call_id)
            found = connection.execute(sa.select(t.artifact_drafts).where(_mine(scope, call_id))).mappings().all()
            cipher = rows.find_cipher(connection, self._keyring, scope.org_id, call_id) if found else None
            return {} if cipher is None else {row["kind"]: _open_draft(cipher, row) for row in found}

    def save_draft(self, scope: Scope, call_id: CallId, artifact: Artifact, base_version: int) -> None:
        """Replaces the caller's draft of this kind.

        Raises NotFound, Forbidden, Conflict while the call is live or the form is handed in.
        """
        with self._database.write() as connection:
            cipher = self._own(connection, scope, call_id)
            if self._handed_in(connection, scope.org_id, call_id):
                raise Conflict("The form was handed in; take it back to change it.")
            self._put_draft(connection, cipher, scope, call_id, artifact, base_version, self._clock.now())

    def submit(self, scope: Scope, call_id: CallId) -> Mapping[str, int]:
        """Hands the form in: drafts become versions, artifacts without a draft are taken as they are. kind → version.

        Raises NotFound, Forbidden, Conflict when it is handed in already or nothing is ready yet.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            cipher = self._own(connection, scope, call_id)
            row = rows.lock_call(connection, scope.org_id, call_id)
            if self._handed_in(connection, scope.org_id, call_id):
                raise Conflict("The form was handed in already.")
            drafts = connection.execute(sa.select(t.artifact_drafts).where(_mine(scope, call_id))).mappings().all()
            versions = self._newest(connection, scope.org_id, call_id)
            for found in drafts:
                draft, kind = _open_draft(cipher, found), str(found["kind"])
                version = rows.next_version(connection, scope.org_id, call_id, kind)
                edited = replace(draft.artifact, version=version)
                self._put_version(connection, cipher, scope, call_id, edited, draft.base_version, now)
                versions[kind] = version
                detail = f"{kind} {draft.base_version} → {version}"
                append_entry(connection, _entry(scope, now, "artifact.edit", call_id, detail))
            if not versions:
                raise Conflict("Nothing is ready to be handed in yet.")
            connection.execute(sa.delete(t.artifact_drafts).where(_mine(scope, call_id)))
            submitted = WrapUpSubmitted(user_id=scope.user_id, versions=versions)
            envelopes = rows.append(connection, self._keyring, row, [submitted], at=now)
            append_entry(connection, _entry(scope, now, "wrap_up.submit", call_id))
        self._doorbell.ring(envelopes)
        return versions

    def reopen(self, scope: Scope, call_id: CallId) -> None:
        """Takes the form back; what was handed in stays as versions. Raises NotFound, Forbidden, Conflict when it is not handed in."""
        now = self._clock.now()
        with self._database.write() as connection:
            self._own(connection, scope, call_id)
            row = rows.lock_call(connection, scope.org_id, call_id)
            if not self._handed_in(connection, scope.org_id, call_id):
                raise Conflict("The form was not handed in.")
            envelopes = rows.append(connection, self._keyring, row, [WrapUpReopened(user_id=scope.user_id)], at=now)
            append_entry(connection, _entry(scope, now, "wrap_up.reopen", call_id))
        self._doorbell.ring(envelopes)

    def versions(self, scope: Scope, call_id: CallId, kind: EditableKind) -> list[ArtifactVersion]:
        """Every version of an artifact, oldest first. Raises NotFound."""
        here = sa.and_(rows.is_call(t.artifacts, scope.org_id, call_id), t.artifacts.c.kind == kind)
        with self._database.read() as connection:
            visible(connection, scope, call_id)
            found = connection.execute(sa.select(t.artifacts).where(here).order_by(t.artifacts.c.version)).mappings().all()
            cipher = rows.find_cipher(connection, self._keyring, scope.org_id, call_id) if found else None
            if cipher is None:
                return []
            return [
                ArtifactVersion(
                    artifact=open_artifact(cipher, row),
                    author=UserId(row["author"]) if row["author"] else None,
                    base_version=row["base_version"],
                    created_at=row["created_at"],
                )
                for row in found
            ]

    # -- inside a transaction ----------------------------------------------------------------------------------------------------------

    def _own(self, connection: Connection, scope: Scope, call_id: CallId) -> CallCipher:
        row = visible(connection, scope, call_id)
        if row["agent_id"] != scope.user_id:
            raise Forbidden(_NOT_YOURS)
        if row["phase"] != "ended":
            raise Conflict(f"Call {call_id} has not ended yet; its form comes when it has.")
        return rows.need_cipher(connection, self._keyring, scope.org_id, call_id)

    def _handed_in(self, connection: Connection, org_id: OrgId, call_id: CallId) -> bool:
        kinds = ("wrap_up_submitted", "wrap_up_reopened")
        query = (
            sa.select(t.call_events.c.type)
            .where(rows.is_call(t.call_events, org_id, call_id), t.call_events.c.type.in_(kinds))
            .order_by(t.call_events.c.seq.desc())
            .limit(1)
        )
        return connection.execute(query).scalar_one_or_none() == "wrap_up_submitted"

    def _newest(self, connection: Connection, org_id: OrgId, call_id: CallId) -> dict[str, int]:
        table = t.artifacts.c
        query = (
            sa.select(table.kind, sa.func.max(table.version))
            .where(rows.is_call(t.artifacts, org_id, call_id), table.kind.in_(EDITABLE_KINDS))
            .group_by(table.kind)
        )
        return {str(kind): int(version) for kind, version in connection.execute(query).all()}

    def _put_draft(
        self, connection: Connection, cipher: CallCipher, scope: Scope, call_id: CallId, artifact: Artifact, base_version: int, at: datetime
    ) -> None:
        body = codec.dumps(codec.to_json(artifact.body)).encode()
        sealed = cipher.seal(body, rows.place("artifact_drafts", artifact.kind, scope.user_id))
        connection.execute(sa.delete(t.artifact_drafts).where(_mine(scope, call_id), t.artifact_drafts.c.kind == artifact.kind))
        connection.execute(
            sa.insert(t.artifact_drafts).values(
                org_id=scope.org_id,
                call_id=call_id,
                kind=artifact.kind,
                user_id=scope.user_id,
                base_version=base_version,
                ciphertext=sealed,
                updated_at=at,
            )
        )

    def _put_version(
        self, connection: Connection, cipher: CallCipher, scope: Scope, call_id: CallId, artifact: Artifact, base_version: int, at: datetime
    ) -> None:
        body = codec.dumps(codec.to_json(artifact.body)).encode()
        connection.execute(
            sa.insert(t.artifacts).values(
                org_id=scope.org_id,
                call_id=call_id,
                kind=artifact.kind,
                version=artifact.version,
                data_class=data_classes.ARTIFACT.get(artifact.kind, "restricted"),
                ciphertext=cipher.seal(body, rows.place("artifacts", artifact.kind, artifact.version)),
                created_at=at,
                author=scope.user_id,
                base_version=base_version,
            )
        )
        write_facts(connection, scope.org_id, call_id, facts_of(artifact.body), at)


def _mine(scope: Scope, call_id: CallId) -> sa.ColumnElement[bool]:
    return sa.and_(rows.is_call(t.artifact_drafts, scope.org_id, call_id), t.artifact_drafts.c.user_id == scope.user_id)


def _open_draft(cipher: CallCipher, row: RowMapping) -> Draft:
    body: Any = json.loads(cipher.open(row["ciphertext"], rows.place("artifact_drafts", row["kind"], row["user_id"])))
    artifact = codec.decode_artifact({"kind": row["kind"], "version": row["base_version"], "body": body})
    return Draft(artifact=artifact, base_version=cast("int", row["base_version"]), updated_at=row["updated_at"])


def _entry(scope: Scope, at: datetime, action: str, call_id: CallId, detail: str = "") -> AuditEntry:
    return AuditEntry(org_id=scope.org_id, at=at, actor=scope.user_id, action=action, target=call_id, detail=detail)
