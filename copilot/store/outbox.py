"""After-call jobs: queued in the transaction that ends the call, leased to workers, finished exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot import codec
from copilot.domain.artifacts import Artifact, ArtifactKind
from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.events import ArtifactFailed, ArtifactReady
from copilot.domain.ids import CallId, JobId, OrgId
from copilot.domain.ports.store import Job
from copilot.store import data_classes, rows
from copilot.store import tables as t
from copilot.store.database import Database
from copilot.store.doorbell import Doorbell
from copilot.store.facts import facts_of, write_facts
from copilot.store.keyring import KeyRing

CLOSED = frozenset({"done", "failed", "discarded"})
_OPEN = t.jobs.c.state.in_(("queued", "leased"))


class SqlOutbox:
    """``copilot.domain.ports.store.Outbox``. Synchronous and thread-safe."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock, doorbell: Doorbell) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._doorbell = doorbell

    def lease(self, now: datetime, lease_s: float, limit: int = 20, *, most_background: int | None = None) -> list[Job]:
        job = t.jobs.c
        due = sa.or_(sa.and_(job.state == "queued", job.not_before <= now), sa.and_(job.state == "leased", job.lease_until <= now))
        query = sa.select(t.jobs).where(due).order_by(job.priority, job.not_before, job.job_id)
        begun = {"state": "leased", "lease_until": now + timedelta(seconds=lease_s), "begun_at": None}
        with self._database.write() as connection:

            def take(which: sa.ColumnElement[bool], most: int) -> list[RowMapping]:
                taken = query.where(which).limit(most).with_for_update(skip_locked=True)
                return list(connection.execute(taken).mappings()) if most > 0 else []

            found = take(job.priority < rows.BACKGROUND, limit)
            room = limit - len(found)
            if most_background is not None and room > 0:
                out = sa.and_(job.state == "leased", job.lease_until > now, job.priority >= rows.BACKGROUND)
                running = connection.execute(sa.select(sa.func.count()).select_from(t.jobs).where(out)).scalar_one()
                room = min(room, most_background - running)
            found += take(job.priority >= rows.BACKGROUND, room)
            lost = {row["job_id"] for row in found if row["begun_at"] is not None}
            for ids, more in ((lost, 1), ({row["job_id"] for row in found} - lost, 0)):
                if ids:
                    changed = sa.update(t.jobs).where(job.job_id.in_(ids)).values(losses=job.losses + more, **begun)
                    connection.execute(changed)
        return [job_of({**row, **begun, "losses": row["losses"] + (row["job_id"] in lost)}) for row in found]

    def unsend(self, job_id: JobId, reason: str, *, retry_at: datetime) -> None:
        again = {"state": "queued", "not_before": retry_at, "lease_until": None, "error": reason}
        with self._database.write() as connection:
            connection.execute(sa.update(t.jobs).where(t.jobs.c.job_id == job_id, t.jobs.c.state == "leased").values(**again))

    def begin(self, job_id: JobId, lease_s: float) -> Job:
        now = self._clock.now()
        leased = sa.and_(t.jobs.c.job_id == job_id, t.jobs.c.state == "leased")
        begun = {"attempts": t.jobs.c.attempts + 1, "begun_at": now, "lease_until": now + timedelta(seconds=lease_s)}
        with self._database.write() as connection:
            connection.execute(sa.update(t.jobs).where(leased).values(**begun))
            row = connection.execute(sa.select(t.jobs).where(t.jobs.c.job_id == job_id)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no job {job_id}.")
        return job_of(row)

    def finish(self, job_id: JobId, artifact: Artifact) -> bool:
        """The artifact is stored under the version the job was made for, whatever its own says. Raises NotFound if the call was erased."""
        now = self._clock.now()
        with self._database.write() as connection:
            call_row, job = self._locked(connection, job_id)
            if job["state"] == "done":
                return False
            if artifact.kind != job["kind"]:
                raise Conflict(f"Job {job_id} makes a {job['kind']}, not a {artifact.kind}.")
            org_id, call_id, version = job["org_id"], job["call_id"], job["version"]
            cipher = rows.need_cipher(connection, self._keyring, org_id, call_id)
            if job["state"] == "discarded":  # what failed too early may still be made, what nobody wants may not
                return False
            body = codec.dumps(codec.to_json(artifact.body)).encode()
            connection.execute(
                sa.insert(t.artifacts).values(
                    org_id=org_id,
                    call_id=call_id,
                    kind=artifact.kind,
                    version=version,
                    data_class=data_classes.ARTIFACT.get(artifact.kind, "restricted"),
                    ciphertext=cipher.seal(body, rows.place("artifacts", artifact.kind, version)),
                    created_at=now,
                )
            )
            _close(connection, job_id, "done", "", now)
            ready = ArtifactReady(kind=artifact.kind, version=version)
            envelopes = rows.append(connection, self._keyring, call_row, [ready], at=now)
            write_facts(connection, org_id, call_id, facts_of(artifact.body), now)
        self._doorbell.ring(envelopes)
        return True

    def fail(self, job_id: JobId, reason: str, *, retry_at: datetime | None) -> None:
        """``reason`` is stored and shown: it names the fault, never what was said. No effect on a job that is done or failed already."""
        envelopes = []
        now = self._clock.now()
        with self._database.write() as connection:
            call_row, job = self._locked(connection, job_id)
            if job["state"] in CLOSED:
                return
            if retry_at is None:
                _close(connection, job_id, "failed", reason, now)
                failed = ArtifactFailed(kind=job["kind"], reason=reason)
                envelopes = rows.append(connection, self._keyring, call_row, [failed], at=now)
            else:
                again = {"state": "queued", "not_before": retry_at, "begun_at": None, "lease_until": None, "error": reason}
                connection.execute(sa.update(t.jobs).where(t.jobs.c.job_id == job_id).values(**again))
        self._doorbell.ring(envelopes)

    def rerun(self, org_id: OrgId, call_id: CallId, kind: ArtifactKind) -> Job:
        """A job for the artifact's next version; the open one if there is one already, the one that failed or was discarded if there is.

        Raises NotFound, Conflict while the call is live.
        """
        with self._database.write() as connection:
            if rows.lock_call(connection, org_id, call_id)["phase"] != "ended":
                raise Conflict(f"Call {call_id} has not ended yet; its artifacts are made when it has.")
            rows.need_cipher(connection, self._keyring, org_id, call_id)
            return job_of(rows.queue_again(connection, org_id, call_id, kind, self._clock.now(), unless={"queued", "leased"}))

    def renew(self, job_id: JobId, until: datetime) -> bool:
        mine = sa.and_(t.jobs.c.job_id == job_id, t.jobs.c.state == "leased")
        with self._database.write() as connection:
            return connection.execute(sa.update(t.jobs).where(mine).values(lease_until=until)).rowcount == 1

    def job(self, job_id: JobId) -> Job:
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.jobs).where(t.jobs.c.job_id == job_id)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no job {job_id}.")
        return job_of(row)

    def open_jobs(self, *, background: bool = True) -> list[Job]:
        query = sa.select(t.jobs).where(_OPEN).order_by(t.jobs.c.created_at, t.jobs.c.job_id)
        if not background:
            query = query.where(t.jobs.c.priority < rows.BACKGROUND)
        with self._database.read() as connection:
            return [job_of(row) for row in connection.execute(query).mappings()]

    def has_background(self) -> bool:
        query = sa.select(sa.literal(1)).where(_OPEN, t.jobs.c.priority >= rows.BACKGROUND).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def _locked(self, connection: Connection, job_id: JobId) -> tuple[RowMapping, RowMapping]:
        # Always the call before its job, so that two writers cannot wait for each other.
        job = connection.execute(sa.select(t.jobs).where(t.jobs.c.job_id == job_id)).mappings().one_or_none()
        if job is None:
            raise NotFound(f"There is no job {job_id}.")
        call_row = rows.lock_call(connection, job["org_id"], job["call_id"])
        return call_row, connection.execute(sa.select(t.jobs).where(t.jobs.c.job_id == job_id).with_for_update()).mappings().one()


def _close(connection: Connection, job_id: str, state: str, error: str, at: datetime) -> None:
    closed = {"state": state, "lease_until": None, "closed_at": at, "error": error}
    connection.execute(sa.update(t.jobs).where(t.jobs.c.job_id == job_id).values(**closed))


def job_of(row: RowMapping | Mapping[str, Any]) -> Job:
    """A row of ``jobs`` as the domain's ``Job``."""
    return Job(
        job_id=JobId(row["job_id"]),
        org_id=OrgId(row["org_id"]),
        call_id=CallId(row["call_id"]),
        kind=cast("ArtifactKind", row["kind"]),
        version=row["version"],
        state=row["state"],
        attempts=row["attempts"],
        losses=row["losses"],
        background=row["priority"] >= rows.BACKGROUND,
        lease_until=row["lease_until"],
        error=row["error"],
    )
