"""The after-call side of a server: the outbox relay, and the Celery worker as a supervised child process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.bus import jobs_topic
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.domain.clock import Clock
    from copilot.domain.ports.bus import Bus
    from copilot.store.store import Store
    from postcall.worker_process import WorkerProcess


class AfterCall:
    """``on_changed(org, call)`` is called when another process has written events of a call."""

    def __init__(self, settings: Settings, store: Store, bus: Bus, clock: Clock, on_changed: Callable[[OrgId, CallId], None]) -> None:
        from postcall.relay import Relay
        from postcall.tasks import make_celery, send_job
        from postcall.worker_process import WorkerProcess

        celery = make_celery(settings.jobs_url, settings.data_dir)
        self._bus = bus
        self._tasks: list[asyncio.Task[None]] = []
        self.worker: WorkerProcess | None = None
        self._relay = Relay(store.outbox, lambda job: send_job(celery, job), clock, on_changed=on_changed, ready=self._worker_ready)
        if settings.jobs.worker:
            self.worker = WorkerProcess(worker_arguments(settings), worker_environment(settings), settings.data_dir / "worker.log")

    def _worker_ready(self) -> bool:
        """With a worker of our own, jobs wait for it; workers elsewhere take them when they can."""
        return self.worker is None or self.worker.running

    @property
    def open_jobs(self) -> int:
        return self._relay.open_jobs

    async def start(self) -> None:
        if self.worker is not None:
            await self.worker.start()
        self._tasks = [
            asyncio.create_task(self._relay.run(), name="outbox-relay"),
            asyncio.create_task(self._listen(), name="outbox-doorbell"),
        ]

    async def _listen(self) -> None:
        async with self._bus.subscribe(jobs_topic()) as subscription:
            async for _ in subscription:
                self._relay.ring()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self.worker is not None:
            await self.worker.stop()


def worker_arguments(settings: Settings) -> list[str]:
    """The Celery command line: one process for one concurrency, so that the default costs no second copy of the models."""
    jobs = settings.jobs
    pool = ["--pool=solo"] if jobs.concurrency == 1 else ["--pool=prefork", f"--concurrency={jobs.concurrency}"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
    return [sys.executable, "-m", "celery", "-A", "copilot.worker", "worker", *pool, *quiet]


def worker_environment(settings: Settings) -> dict[str, str]:
    """The same settings for the child, whatever told them to us."""
    return {**os.environ, "PANGTING_DATA_DIR": str(settings.data_dir.resolve()), "PANGTING_MODELS__DIR": str(settings.models_dir.resolve())}
