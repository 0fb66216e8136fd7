"""One after-call job: load, produce, save. Synchronous; does not know what delivered the job."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Literal

from copilot.domain.artifacts import Artifact, ArtifactKind
from copilot.domain.errors import ConfigError, CopilotError, EngineError, InvalidInput, NotFound
from copilot.domain.events import EventEnvelope
from copilot.domain.ids import CallId, JobId, OrgId
from copilot.domain.ports.store import Job
from postcall.run import produce
from postcall.services import CallEvents, PostcallServices
from postcall.turns import transcript_of

_log = logging.getLogger(__name__)
Outcome = Literal["done", "already_done", "not_due", "gone", "retry", "failed"]
LEASE_S = 60.0
"""From when a worker begins; longer than the time limit of its task."""
MOST_ATTEMPTS = 5
MOST_ATTEMPTS_AT_RECORDINGS = 24
"""Some four hours: a media store may be away for longer than a model."""
_FIRST_WAIT_S, _LONGEST_WAIT_S, _LONGEST_WAIT_FOR_RECORDINGS_S = 2.0, 60.0, 900.0
_PAGE = 1000


def retry_wait_s(attempts: int, kind: ArtifactKind = "summary") -> float:
    """Seconds before the next attempt, after ``attempts`` of them (from 1): 2, 4, 8, 16 …, at most 60; of a recording at most 900."""
    longest = _LONGEST_WAIT_FOR_RECORDINGS_S if kind == "recording" else _LONGEST_WAIT_S
    return min(longest, _FIRST_WAIT_S * 2.0 ** max(0, min(attempts, 16) - 1))


def work_on(job_id: JobId, services: PostcallServices) -> Outcome:
    """Does a job, as often as it is delivered but with one effect. Never raises for a fault of the job itself."""
    try:
        job = services.outbox.begin(job_id, LEASE_S)
    except NotFound:
        return "gone"
    if job.state != "leased":
        return "already_done" if job.state != "queued" else "not_due"
    try:
        if job.kind == "recording":
            copy = services.copies.make(job, read_events(services.calls, job.org_id, job.call_id))
            finished = services.copies.finish(job, copy)
        else:
            tools = services.tools(job.org_id)
            transcript = transcript_of(read_events(services.calls, job.org_id, job.call_id))
            body = produce(job.kind, transcript, tools)
            finished = services.outbox.finish(job_id, Artifact(kind=job.kind, version=job.version, body=body))
    except Exception as error:  # a worker must survive whatever one call holds; the job says what happened
        return _failed(job, error, services)
    return "done" if finished else "already_done"


def read_events(calls: CallEvents, org_id: OrgId, call_id: CallId) -> list[EventEnvelope]:
    """All events of a call, page by page."""
    events: list[EventEnvelope] = []
    while page := calls.events(org_id, call_id, events[-1].seq if events else 0, _PAGE):
        events += page
    return events


def _failed(job: Job, error: Exception, services: PostcallServices) -> Outcome:
    lasting = isinstance(error, InvalidInput | ConfigError) or (isinstance(error, EngineError) and not error.retryable)
    final = lasting or job.attempts >= (MOST_ATTEMPTS_AT_RECORDINGS if job.kind == "recording" else MOST_ATTEMPTS)
    # A message of ours names the fault; one of a library may quote what was said.
    reason = str(error) if isinstance(error, CopilotError) else f"After-call work failed ({type(error).__name__}); see the worker's log."
    _log.warning("job %s (%s) failed at attempt %d: %s", job.job_id, job.kind, job.attempts, type(error).__name__)
    if not isinstance(error, CopilotError):
        _log.debug("job %s", job.job_id, exc_info=error)
    retry_at = None if final else services.clock.now() + timedelta(seconds=retry_wait_s(job.attempts, job.kind))
    try:
        services.outbox.fail(job.job_id, reason, retry_at=retry_at)
    except NotFound:
        return "gone"
    return "failed" if final else "retry"
