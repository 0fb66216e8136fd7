"""Reading calls, and the few writes that do not belong to a call's owner."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot.domain.artifacts import Artifact, ArtifactKind
from copilot.domain.calls import Call, fold
from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, Forbidden, NotFound
from copilot.domain.events import CallEnded, CallEvent, EventEnvelope, SuggestionFeedback
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.people import AuditEntry, Scope, may_hear_values
from copilot.store import rows, suggestions
from copilot.store import tables as t
from copilot.store.audit import append_entry
from copilot.store.database import Database
from copilot.store.doorbell import Doorbell
from copilot.store.keyring import CallCipher, KeyRing
from copilot.store.redaction import rewrite
from copilot.store.sealed import newest_artifacts, open_artifact

MAX_PAGE = 1000


class SqlCalls:
    """``copilot.domain.ports.store.CallReader``, and more. Synchronous and thread-safe."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock, doorbell: Doorbell) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._doorbell = doorbell

    # -- reading -----------------------------------------------------------------------------------------------------------------------

    def events(self, org_id: OrgId, call_id: CallId, after_seq: int = 0, limit: int = 1000) -> list[EventEnvelope]:
        with self._database.read() as connection:
            return rows.read(connection, self._keyring, org_id, call_id, after_seq, min(limit, MAX_PAGE))

    def call(self, scope: Scope, call_id: CallId) -> Call:
        with self._database.read() as connection:
            return rows.call_of(visible(connection, scope, call_id))

    def calls(
        self,
        scope: Scope,
        *,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
        phase: str | None = None,
        agent_id: UserId | None = None,
    ) -> list[Call]:
        table = t.calls.c
        query = sa.select(t.calls).where(reaches(scope), table.started_at.is_not(None))
        if before is not None:
            query = query.where(sa.tuple_(table.started_at, table.call_id) < sa.tuple_(*map(sa.literal, before, _KEY_TYPES)))
        if phase is not None:
            query = query.where(table.phase == phase)
        if agent_id is not None:
            query = query.where(table.agent_id == agent_id)
        query = query.order_by(table.started_at.desc(), table.call_id.desc()).limit(max(1, min(limit, MAX_PAGE)))
        with self._database.read() as connection:
            return [rows.call_of(row) for row in connection.execute(query).mappings()]

    def secrets(self, scope: Scope, call_id: CallId) -> dict[str, str]:
        with self._database.read() as connection:
            row = visible(connection, scope, call_id)
            if not may_hear_values(scope.user_id, row["agent_id"]):
                raise Forbidden("Only the agent of this call may see the values behind its tokens.")
            return _open_vault(connection, self._keyring, scope.org_id, call_id)

    def artifacts(self, org_id: OrgId, call_id: CallId) -> list[Artifact]:
        with self._database.read() as connection:
            return newest_artifacts(connection, self._keyring, org_id, call_id)

    def artifact_made_at(self, org_id: OrgId, call_id: CallId, kind: ArtifactKind) -> datetime:
        """When the newest version was stored. Raises NotFound."""
        query = sa.select(sa.func.max(t.artifacts.c.created_at)).where(
            rows.is_call(t.artifacts, org_id, call_id), t.artifacts.c.kind == kind
        )
        with self._database.read() as connection:
            made: datetime | None = connection.execute(query).scalar()
        if made is None:
            raise NotFound(f"Call {call_id} has no {kind}.")
        return made

    def projected(self, org_id: OrgId, call_id: CallId) -> Call:
        """The call, for parts of the program that act for no person. Raises NotFound."""
        with self._database.read() as connection:
            query = sa.select(t.calls).where(rows.is_call(t.calls, org_id, call_id))
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no call {call_id}.")
        return rows.call_of(row)

    def versions(self, org_id: OrgId, call_id: CallId, subject: Mapping[str, int]) -> list[Artifact]:
        """These versions of these kinds; for an empty ``subject`` the first of each kind. Raises NotFound when the call was erased."""
        here = rows.is_call(t.artifacts, org_id, call_id)
        with self._database.read() as connection:
            cipher = rows.need_cipher(connection, self._keyring, org_id, call_id)
            found = connection.execute(sa.select(t.artifacts).where(here).order_by(t.artifacts.c.kind, t.artifacts.c.version)).mappings()
            chosen: dict[str, RowMapping] = {}
            for row in found:
                if not subject or subject.get(row["kind"]) == row["version"]:
                    chosen.setdefault(row["kind"], row)
            return [open_artifact(cipher, row) for row in chosen.values()]

    def call_cipher(self, org_id: OrgId, call_id: CallId) -> CallCipher:
        """Seals and opens what belongs to this call outside the database (recordings). Raises NotFound when it was erased or never was."""
        with self._database.read() as connection:
            return rows.need_cipher(connection, self._keyring, org_id, call_id)

    def vault(self, org_id: OrgId, call_id: CallId) -> dict[str, str]:
        """Every token of the call with its value, for the masker that goes on with the call: never for a person (see ``secrets``)."""
        with self._database.read() as connection:
            return _open_vault(connection, self._keyring, org_id, call_id)

    def interrupted_calls(self, owner: str) -> list[tuple[OrgId, CallId]]:
        """Calls that are live under ``owner``: after a restart of that node, those it was cut off from."""
        query = sa.select(t.calls.c.org_id, t.calls.c.call_id).where(t.calls.c.owner == owner, t.calls.c.phase == "live")
        with self._database.read() as connection:
            return [(OrgId(row.org_id), CallId(row.call_id)) for row in connection.execute(query.order_by(t.calls.c.started_at))]

    def readable(self, org_id: OrgId, call_ids: Collection[CallId]) -> frozenset[str]:
        """Those of ``call_ids`` whose contents can still be read: the others were erased."""
        query = sa.select(t.call_keys.c.call_id).where(t.call_keys.c.org_id == org_id, t.call_keys.c.call_id.in_(sorted(call_ids)))
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def unerased_before(self, before: datetime, limit: int) -> list[tuple[OrgId, CallId]]:
        """Ended calls that began before ``before`` and still have their key, oldest first."""
        call = t.calls.c
        same = sa.and_(t.call_keys.c.org_id == call.org_id, t.call_keys.c.call_id == call.call_id)
        query = (
            sa.select(call.org_id, call.call_id)
            .join_from(t.calls, t.call_keys, same)
            .where(call.phase == "ended", call.started_at < before)
            .order_by(call.started_at)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [(OrgId(row.org_id), CallId(row.call_id)) for row in connection.execute(query)]

    # -- writing -----------------------------------------------------------------------------------------------------------------------

    def append(self, org_id: OrgId, call_id: CallId, event: CallEvent) -> EventEnvelope:
        """Adds an event from outside the call's owner. Raises NotFound."""
        with self._database.write() as connection:
            row = rows.lock_call(connection, org_id, call_id)
            envelopes = rows.append(connection, self._keyring, row, [event], at=self._clock.now())
        self._doorbell.ring(envelopes)
        return envelopes[0]

    def record_feedback(self, org_id: OrgId, call_id: CallId, feedback: SuggestionFeedback) -> EventEnvelope | None:
        """Adds feedback once: None if this user did the same to this suggestion before. Raises NotFound for a suggestion never offered."""
        with self._database.write() as connection:
            row = rows.lock_call(connection, org_id, call_id)
            kinds = ("suggestion_offered", "suggestion_feedback")
            known = connection.execute(
                sa.select(t.call_events.c.type, t.call_events.c.payload).where(
                    rows.is_call(t.call_events, org_id, call_id), t.call_events.c.type.in_(kinds)
                )
            ).all()
            about = [(kind, payload) for kind, payload in known if payload["suggestion_id"] == feedback.suggestion_id]
            if not any(kind == "suggestion_offered" for kind, _ in about):
                raise NotFound(f"Call {call_id} has no suggestion {feedback.suggestion_id}.")
            same = (feedback.action, feedback.user_id)
            if any(kind == "suggestion_feedback" and (payload["action"], payload["user_id"]) == same for kind, payload in about):
                return None
            envelopes = rows.append(connection, self._keyring, row, [feedback], at=self._clock.now())
        self._doorbell.ring(envelopes)
        return envelopes[0]

    def close_interrupted(self, owner: str) -> list[EventEnvelope]:
        """Ends the calls that were live under ``owner`` when its process died; their after-call work is queued. To be called at start."""
        closed = []
        for org_id, call_id in self.interrupted_calls(owner):
            with self._database.write() as connection:
                row = rows.lock_call(connection, org_id, call_id)
                if row["phase"] != "live" or row["owner"] != owner:
                    continue
                epoch = row["epoch"] + 1  # should the old owner still write somewhere, it is refused
                connection.execute(sa.update(t.calls).where(rows.is_call(t.calls, org_id, call_id)).values(epoch=epoch))
                ended = CallEnded(reason="interrupted", duration_ms=row["duration_ms"])
                closed += rows.append(connection, self._keyring, {**row, "epoch": epoch}, [ended], at=self._clock.now())
        self._doorbell.ring(closed)
        return closed

    def rewrite(self, org_id: OrgId, call_id: CallId, rewritten: Mapping[int, CallEvent]) -> EventEnvelope:
        """Replaces the contents of events (PII was found late) and appends ``Redacted``; of an ended call, the listening copy is made anew.

        Only fields named in ``CONTENT`` may differ; raises InvalidInput otherwise, NotFound for a seq that does not exist.
        """
        with self._database.write() as connection:
            envelopes = rewrite(connection, self._keyring, org_id, call_id, rewritten, at=self._clock.now())
        self._doorbell.ring(envelopes)
        return envelopes[0]

    def erase_call(self, org_id: OrgId, call_id: CallId, actor: str) -> None:
        """Destroys the call's key: contents, artifacts, vault and recordings can never be read again; what happened when stays.

        Audited. The sealed rows go too; recordings are the media store's to delete. Raises NotFound, Conflict while the call is live.
        """
        with self._database.write() as connection:
            if rows.lock_call(connection, org_id, call_id)["phase"] == "live":
                raise Conflict(f"Call {call_id} is live; it can be erased when it has ended.")
            for table in (
                t.call_keys,
                t.vault,
                t.call_contents,
                t.artifacts,
                t.artifact_drafts,
                t.call_notes,
                t.review_notes,
                t.call_digests,
            ):
                connection.execute(sa.delete(table).where(rows.is_call(table, org_id, call_id)))
            waiting = sa.and_(rows.is_call(t.jobs, org_id, call_id), t.jobs.c.state.in_(("queued", "leased")))
            now = self._clock.now()
            discarded = {"state": "discarded", "lease_until": None, "closed_at": now, "error": "erased"}
            connection.execute(sa.update(t.jobs).where(waiting).values(**discarded))
            connection.execute(sa.update(t.calls).where(rows.is_call(t.calls, org_id, call_id)).values(changed_at=now))
            append_entry(connection, AuditEntry(org_id=org_id, at=now, actor=actor, action="call.erase", target=call_id))
        self._database.scrub()

    def rebuild_projections(self, org_id: OrgId | None = None) -> int:
        """Folds every call and its cards again from the events; of how many calls something was wrong.

        Ownership (epoch, owner, team) is left alone.
        """
        changed = 0
        query = sa.select(t.calls.c.org_id, t.calls.c.call_id)
        with self._database.read() as connection:
            keys = connection.execute(query if org_id is None else query.where(t.calls.c.org_id == org_id)).all()
        for key in keys:
            with self._database.write() as connection:
                row = rows.lock_call(connection, key.org_id, key.call_id)
                events = rows.read(connection, self._keyring, key.org_id, key.call_id)
                call = fold(key.org_id, key.call_id, events)
                # Of an erased call the events no longer say which article a card was of; its rows do, and stay.
                readable = rows.find_cipher(connection, self._keyring, key.org_id, key.call_id) is not None
                cards_were_wrong = readable and suggestions.rebuild(connection, key.org_id, key.call_id, events)
                changed += cards_were_wrong or call != rows.call_of(row)
                if call != rows.call_of(row):
                    here = rows.is_call(t.calls, key.org_id, key.call_id)
                    connection.execute(sa.update(t.calls).where(here).values(**rows.projection(call)))
        return changed


_KEY_TYPES = (t.calls.c.started_at.type, t.calls.c.call_id.type)


def _open_vault(connection: Connection, keyring: KeyRing, org_id: OrgId, call_id: CallId) -> dict[str, str]:
    found = connection.execute(sa.select(t.vault).where(rows.is_call(t.vault, org_id, call_id))).mappings().all()
    if not found:
        return {}
    cipher = rows.need_cipher(connection, keyring, org_id, call_id)
    return {item["token"]: cipher.open(item["ciphertext"], rows.place("vault", item["token"])).decode() for item in found}


def reaches(scope: Scope) -> sa.ColumnElement[bool]:
    """Which rows of ``calls`` the scope may see: every query of calls carries it."""
    table = t.calls.c
    mine = table.agent_id == scope.user_id
    in_org = table.org_id == scope.org_id
    if scope.sees_all_calls:
        return in_org
    if scope.sees_team_calls:
        return sa.and_(in_org, sa.or_(mine, table.team_id.in_(sorted(scope.team_ids))))
    return sa.and_(in_org, mine)


def visible(connection: Connection, scope: Scope, call_id: CallId) -> RowMapping:
    """The call's row. Raises NotFound also when the scope does not reach it."""
    row = connection.execute(sa.select(t.calls).where(reaches(scope), t.calls.c.call_id == call_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no call {call_id} that you may see.")
    return row
