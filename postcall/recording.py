"""The recording's after-call job: the listening copy, original and masked, joined from the sealed segments. Synchronous."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol
from uuid import uuid4

from copilot.domain.artifacts import Artifact, ListeningCopy
from copilot.domain.clock import Clock
from copilot.domain.errors import CopilotError, EngineError, NotFound
from copilot.domain.events import CallStarted, EventEnvelope
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.media import MediaStore
from copilot.domain.ports.store import Job, Outbox
from streaming.recording.listening import copies_path, write_copies
from streaming.recording.masking import hidden_spans
from streaming.recording.reader import RecordingReader
from streaming.recording.segment import BlobCipher

_log = logging.getLogger(__name__)
PATIENT_ATTEMPTS = 8
"""So often (four minutes) a recording that is not sealed to its end is waited for; then the copy is made of what is there."""
_LEASE_S = 60.0
_RENEW_S = 15.0


class CallArtifacts(Protocol):
    """The part of ``CallReader`` that knows which copy is there already."""

    def artifacts(self, org_id: OrgId, call_id: CallId) -> list[Artifact]: ...


class CopyMaker:
    """Makes the listening copy of a job. Each attempt writes into a folder of its own, so that no two can mix."""

    def __init__(
        self,
        media: MediaStore,
        cipher: Callable[[OrgId, CallId], BlobCipher],
        calls: CallArtifacts,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._media = media
        self._cipher = cipher
        self._calls = calls
        self._outbox = outbox
        self._clock = clock

    def make(self, job: Job, events: Sequence[EventEnvelope]) -> ListeningCopy:
        """Raises EngineError (retryable while the recording is not sealed, or the media store is away), NotFound when the call was erased.

        What was written is removed when it raises. Otherwise ``keep`` or ``discard`` must follow.
        """
        cipher = self._cipher(job.org_id, job.call_id)
        reader = RecordingReader(self._media, job.org_id, job.call_id, cipher)
        started = next((item.event for item in events if isinstance(item.event, CallStarted)), None)
        announced = {leg.channel for leg in started.legs} if started is not None else set()
        sealed = {recording.leg.channel for recording in reader.legs() if recording.complete}
        missing = announced - sealed
        if missing and job.attempts < PATIENT_ATTEMPTS:
            raise EngineError("The recording is not sealed to its end yet.", retryable=True)
        channels = [recording.leg.channel for recording in reader.legs()]
        place = self._place(job, uuid4().hex)
        try:
            spans = hidden_spans(events, channels)
            copy = write_copies(reader, self._media, cipher, place, spans, events[-1].seq if events else 0, self._keep_on(job))
        except BaseException:
            self._remove(place)
            raise
        return replace(copy, complete=copy.complete and not missing)

    def finish(self, job: Job, copy: ListeningCopy) -> bool:
        """Stores the artifact; removes the copy that is not the newest: an earlier one, or this one. False: the job was done already."""
        before = self._newest(job)
        finished = False
        try:
            finished = self._outbox.finish(job.job_id, Artifact(kind="recording", version=job.version, body=copy))
        finally:
            if not finished or (before is not None and before.version > job.version):
                self._remove(self._place(job, copy.folder))
        if before is not None and before.version < job.version and isinstance(before.body, ListeningCopy):
            self._remove(self._place(job, before.body.folder))
        return finished

    def _newest(self, job: Job) -> Artifact | None:
        return next((item for item in self._calls.artifacts(job.org_id, job.call_id) if item.kind == "recording"), None)

    def _place(self, job: Job, folder: str) -> str:
        return f"{copies_path(job.org_id, job.call_id)}/{folder}"

    def _remove(self, place: str) -> None:
        try:
            self._media.delete(place)
        except CopilotError as error:  # what is left is sealed, and goes with its call
            _log.warning("a listening copy that nobody needs could not be removed (%s)", type(error).__name__)

    def _keep_on(self, job: Job) -> Callable[[], None]:
        """Renews the lease of a long job from time to time; raises NotFound when the job is not ours to do any more."""
        renewed = self._clock.monotonic()

        def keep_on() -> None:
            nonlocal renewed
            now = self._clock.monotonic()
            if now - renewed < _RENEW_S:
                return
            renewed = now
            if not self._outbox.renew(job.job_id, self._clock.now() + timedelta(seconds=_LEASE_S)):
                raise NotFound("The job is not open any more: its call was erased, or another worker was quicker.")

        return keep_on
