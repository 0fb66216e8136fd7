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
from copilot.store.keyring import KeyRing


class SqlOutbox:
    """``copilot.domain.ports.store.Outbox``. Synchronous and thread-safe."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock, doorbell: Doorbell) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._doorbell = doorbell

    def lease(self, now: datetime, lease_s: float, limit: int = 20) -> list[Job]:
        job = t.jobs.c
        due = sa.or_(sa.and_(job.state == "queued", job.not_before <= now), sa.and_(job.state == "leased", job.lease_until <= now))
        query = sa.select(t.jobs).where(due).order_by(job.not_before, job.job_id).limit(limit).with_for_update(skip_locked=True)
        leased = {"state": "leased", "lease_until": now + timedelta(seconds=lease_s)}
        with self._database.write() as connection:
            found = connection.execute(query).mappings().all()
            if found:
                ids = [row["job_id"] for row in found]
                connection.execute(sa.update(t.jobs).where(job.job_id.in_(ids)).values(attempts=job.attempts + 1, **leased))
        return [_job({**row, **leased, "attempts": row["attempts"] + 1}) for row in found]

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
            _close(connection, job_id, "done", "")
            ready = ArtifactReady(kind=artifact.kind, version=version)
            envelopes = rows.append(connection, self._keyring, call_row, [ready], at=now)
        self._doorbell.ring(envelopes)
        return True

    def fail(self, job_id: JobId, reason: str, *, retry_at: datetime | None) -> None:
        """``reason`` is stored and shown: it names the fault, never what was said. No effect on a job that is done or failed already."""
        envelopes = []
        with self._database.write() as connection:
            call_row, job = self._locked(connection, job_id)
            if job["state"] in {"done", "failed"}:
                return
            if retry_at is None:
                _close(connection, job_id, "failed", reason)
                failed = ArtifactFailed(kind=job["kind"], reason=reason)
                envelopes = rows.append(connection, self._keyring, call_row, [failed], at=self._clock.now())
            else:
                again = {"state": "queued", "not_before": retry_at, "lease_until": None, "error": reason}
                connection.execute(sa.update(t.jobs).where(t.jobs.c.job_id == job_id).values(**again))
        self._doorbell.ring(envelopes)

    def rerun(self, org_id: OrgId, call_id: CallId, kind: ArtifactKind) -> Job:
        """A job for the artifact's next version; the open one if there is one already. Raises NotFound, Conflict while the call is live."""
        with self._database.write() as connection:
            if rows.lock_call(connection, org_id, call_id)["phase"] != "ended":
                raise Conflict(f"Call {call_id} has not ended yet; its artifacts are made when it has.")
            rows.need_cipher(connection, self._keyring, org_id, call_id)
            return _job(rows.queue_again(connection, org_id, call_id, kind, self._clock.now(), unless={"queued", "leased"}))

    def renew(self, job_id: JobId, until: datetime) -> bool:
        mine = sa.and_(t.jobs.c.job_id == job_id, t.jobs.c.state == "leased")
        with self._database.write() as connection:
            return connection.execute(sa.update(t.jobs).where(mine).values(lease_until=until)).rowcount == 1

    def job(self, job_id: JobId) -> Job:
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.jobs).where(t.jobs.c.job_id == job_id)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no job {job_id}.")
        return _job(row)

    def open_jobs(self) -> list[Job]:
        query = sa.select(t.jobs).where(t.jobs.c.state.in_(("queued", "leased"))).order_by(t.jobs.c.created_at, t.jobs.c.job_id)
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def _locked(self, connection: Connection, job_id: JobId) -> tuple[RowMapping, RowMapping]:
        # Always the call before its job, so that two writers cannot wait for each other.
        job = connection.execute(sa.select(t.jobs).where(t.jobs.c.job_id == job_id)).mappings().one_or_none()
        if job is None:
            raise NotFound(f"There is no job {job_id}.")
        call_row = rows.lock_call(connection, job["org_id"], job["call_id"])
        return call_row, connection.execute(sa.select(t.jobs).where(t.jobs.c.job_id == job_id).with_for_update()).mappings().one()


def _close(connection: Connection, job_id: str, state: str, error: str) -> None:
    connection.execute(sa.update(t.jobs).where(t.jobs.c.job_id == job_id).values(state=state, lease_until=None, error=error))


def _job(row: RowMapping | Mapping[str, Any]) -> Job:
    return Job(
        job_id=JobId(row["job_id"]),
        org_id=OrgId(row["org_id"]),
        call_id=CallId(row["call_id"]),
        kind=cast("ArtifactKind", row["kind"]),
        version=row["version"],
        state=row["state"],
        attempts=row["attempts"],
        lease_until=row["lease_until"],
        error=row["error"],
    )
