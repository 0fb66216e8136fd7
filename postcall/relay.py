"""From the outbox to the queue, and back to whoever watches the call.

The outbox is the truth. A queued job is leased and sent; a lease that expires (worker killed, message lost) is sent again; what a worker
finished or gave up is noticed by its leaving the open jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import timedelta

from copilot.domain.clock import Clock
from copilot.domain.errors import CopilotError
from copilot.domain.ids import CallId, JobId, OrgId
from copilot.domain.ports.store import Job, Outbox

_log = logging.getLogger(__name__)
Send = Callable[[Job], None]
OnChanged = Callable[[OrgId, CallId], None]
_IDLE_S = 1.0
_OPEN_S = 0.2
_BATCH = 20
_SEND_AGAIN_S = 5.0
MOST_LOSSES = 5
"""A job that took so many workers with it does it every time: it fails for good and can be run again. Waiting for a worker, or for a
broker that is away, costs a job nothing but time."""
MOST_BACKGROUND = 4
"""Jobs of calls that were brought in which are with the broker at once: so few may stand before the job of a call that just ended."""


class Relay:
    """``run`` until cancelled; ``ring`` from any thread when a job may be there. ``send`` and the outbox block: both run in threads."""

    def __init__(
        self,
        outbox: Outbox,
        send: Send,
        clock: Clock,
        *,
        on_changed: OnChanged = lambda _org_id, _call_id: None,
        ready: Callable[[], bool] = lambda: True,
        lease_s: float = 60.0,
        idle_s: float = _IDLE_S,
        open_s: float = _OPEN_S,
    ) -> None:
        """``ready``: False while no worker can take jobs, so that attempts are not spent on waiting (a supervised worker that starts)."""
        self._outbox = outbox
        self._send = send
        self._clock = clock
        self._on_changed = on_changed
        self._ready = ready
        self._lease_s = lease_s
        self._idle_s, self._open_s = idle_s, open_s
        self._doorbell = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[JobId, tuple[OrgId, CallId]] = {}
        self._background = False

    @property
    def open_jobs(self) -> int:
        """Jobs of fresh calls that were not finished at the last look."""
        return len(self._open)

    def ring(self) -> None:
        """A job may have been queued. Thread-safe; without a running relay it does nothing (the first look finds the job)."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._doorbell.set)

    async def run(self) -> None:
        """Relays until cancelled; a failing store or broker is tried again at the next look."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._doorbell.clear()
            try:
                await self.look()
            except CopilotError as error:
                _log.warning("the outbox cannot be read: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._open_s if self._open or self._background else self._idle_s):
                    await self._doorbell.wait()

    async def look(self) -> None:
        """One look: send what is due, tell what has changed."""
        if self._ready():
            now = self._clock.now()
            for job in await asyncio.to_thread(lambda: self._outbox.lease(now, self._lease_s, _BATCH, most_background=MOST_BACKGROUND)):
                await self._dispatch(job)
        if self._background:
            self._background = await asyncio.to_thread(self._outbox.has_background)
        jobs = await asyncio.to_thread(lambda: self._outbox.open_jobs(background=False))
        now_open = {job.job_id: (job.org_id, job.call_id) for job in jobs}
        closed = {call for job_id, call in self._open.items() if job_id not in now_open}
        self._open = now_open
        for org_id, call_id in sorted(closed):
            self._on_changed(org_id, call_id)

    async def _dispatch(self, job: Job) -> None:
        self._open[job.job_id] = (job.org_id, job.call_id)
        self._background = self._background or job.background
        if job.losses >= MOST_LOSSES:
            reason = "The worker died each time at this job; see its log, then run the job again."
            await asyncio.to_thread(self._outbox.fail, job.job_id, reason, retry_at=None)
            return
        try:
            await asyncio.to_thread(self._send, job)
        except Exception as error:  # whatever the broker's library raises: the job goes back and the relay lives on
            _log.warning("job %s could not be sent (%s); it is tried again", job.job_id, type(error).__name__)
            again = self._clock.now() + timedelta(seconds=_SEND_AGAIN_S)
            reason = f"The job queue could not be reached ({type(error).__name__})."
            await asyncio.to_thread(lambda: self._outbox.unsend(job.job_id, reason, retry_at=again))
