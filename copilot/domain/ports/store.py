"""Store ports. Synchronous repositories; the call node reaches them through ``CallJournal``, whose writer groups commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from copilot.domain.artifacts import Artifact, ArtifactKind
from copilot.domain.calls import Call
from copilot.domain.events import CallEvent, EventEnvelope
from copilot.domain.ids import CallId, JobId, OrgId, UserId
from copilot.domain.people import AuditEntry, Scope

JobState = Literal["queued", "leased", "done", "failed", "discarded"]
"""``failed``: a dead letter, waits for a person; ``discarded``: a person, or the erasure of the call, decided that it is not to be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of the outbox: makes ``version`` of an artifact. ``lease_until``: after it, an unfinished job is sent again.

    ``attempts``: how often a worker began it; ``losses``: how often that worker was never heard of again. ``background``: a job of a call
    that was brought in, done when nothing fresher waits.
    """

    job_id: JobId
    org_id: OrgId
    call_id: CallId
    kind: ArtifactKind
    state: JobState
    attempts: int
    lease_until: datetime | None = None
    error: str = ""
    version: int = 1
    losses: int = 0
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedCall:
    """Ownership of a call: ``epoch`` must accompany every append; ``last_seq`` is the last event already stored."""

    call_id: CallId
    epoch: int
    last_seq: int


class CallJournal(Protocol):
    """Asynchronous, group-committed writing for the call node."""

    async def open(self, org_id: OrgId, call_id: CallId, owner: str, *, new: bool = False) -> OpenedCall:
        """Takes ownership with a new epoch, creating the call (and its key) if it is new.

        Raises Conflict when the call has ended, or is live with a living owner on this node; with ``new`` also when it is live anywhere,
        and then its owner keeps it.
        """
        ...

    async def append(self, org_id: OrgId, opened: OpenedCall, events: Sequence[CallEvent]) -> list[EventEnvelope]:
        """Compare-and-append under the epoch; durable when it returns. A ``CallEnded`` queues the after-call jobs in the same transaction.

        Events of one call appended concurrently get their seq in the order of the calls to append. Raises Conflict when the epoch is stale.
        """
        ...

    async def rewrite(self, org_id: OrgId, opened: OpenedCall, rewritten: Mapping[int, CallEvent]) -> list[EventEnvelope]:
        """Replaces the contents of stored events, by seq (personal information was found late), and appends ``Redacted``; durable when it
        returns. Raises Conflict when the epoch is stale, NotFound for a seq that does not exist.
        """
        ...

    def release(self, org_id: OrgId, call_id: CallId) -> None:
        """Gives the call up without ending it, so that it can be opened again on this node."""
        ...

    async def put_secrets(self, org_id: OrgId, call_id: CallId, values: dict[str, str], *, epoch: int | None = None) -> None:
        """Vault: token → value, encrypted with the call's key. Durable when it returns. Raises Conflict when ``epoch`` is stale."""
        ...


class CallReader(Protocol):
    """Scoped reading. Synchronous: call it from a worker thread."""

    def events(self, org_id: OrgId, call_id: CallId, after_seq: int = 0, limit: int = 1000) -> list[EventEnvelope]: ...

    def call(self, scope: Scope, call_id: CallId) -> Call:
        """Raises NotFound also when the scope does not reach the call."""
        ...

    def calls(
        self,
        scope: Scope,
        *,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
        phase: str | None = None,
        agent_id: UserId | None = None,
    ) -> list[Call]:
        """Newest first; ``before`` = (started_at, call_id) of the last row of the previous page."""
        ...

    def secrets(self, scope: Scope, call_id: CallId) -> dict[str, str]:
        """Vault values, for the owning agent only. Raises Forbidden."""
        ...

    def artifacts(self, org_id: OrgId, call_id: CallId) -> list[Artifact]:
        """The newest version of each kind."""
        ...


class Outbox(Protocol):
    """After-call jobs. Synchronous."""

    def lease(self, now: datetime, lease_s: float, limit: int = 20, *, most_background: int | None = None) -> list[Job]:
        """Queued jobs and expired leases become ``leased``: to be sent. Fresh ones first; of others at most ``most_background`` at once.

        A lease that expired after the job was begun is one more loss. Sending costs no attempt.
        """
        ...

    def unsend(self, job_id: JobId, reason: str, *, retry_at: datetime) -> None:
        """The lease was not delivered (the broker is away): queued again, as if it had never been leased."""
        ...

    def begin(self, job_id: JobId, lease_s: float) -> Job:
        """A worker begins: one more attempt, and a lease from now on. The job as it is when it is not leased. Raises NotFound."""
        ...

    def finish(self, job_id: JobId, artifact: Artifact) -> bool:
        """Stores the artifact, appends ``ArtifactReady`` and closes the job in one transaction. False: closed already (no effect)."""
        ...

    def fail(self, job_id: JobId, reason: str, *, retry_at: datetime | None) -> None:
        """Back to the queue at ``retry_at``, or, when None, failed for good with ``ArtifactFailed`` appended."""
        ...

    def renew(self, job_id: JobId, until: datetime) -> bool:
        """Lengthens the lease of a worker that is still at it. False: the job is not leased any more (done, failed, its call erased)."""
        ...

    def job(self, job_id: JobId) -> Job: ...

    def open_jobs(self, *, background: bool = True) -> list[Job]:
        """Queued and leased ones, oldest first; without ``background``, those of fresh calls only."""
        ...

    def has_background(self) -> bool:
        """Whether jobs of calls that were brought in are still open."""
        ...


class AuditTrail(Protocol):
    """Append-only, tamper-evident."""

    def record(self, entry: AuditEntry) -> None: ...

    def entries(self, scope: Scope, limit: int = 100) -> list[AuditEntry]: ...
