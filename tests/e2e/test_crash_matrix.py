"""kill -9 of a worker at every kind of task, brokers that go away, a store that is locked: each artifact of each call is there once.

One kind, and the locked store, run with every test; the rest of the matrix and the brokers that are servers are slow.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from copilot.domain.artifacts import ARTIFACT_KINDS
from copilot.domain.events import ArtifactReady
from copilot.domain.ports.store import Job
from copilot.store.store import Store
from copilot.telemetry.clock import SystemClock
from loadtest.brokers import Broker, Missing, broker_of
from postcall.relay import Relay
from postcall.tasks import make_celery, send_job
from postcall.worker_process import WorkerProcess
from tests.e2e.test_worker_process import CALL, ORG, ROOT, WORKER, call_ended, store, tail, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
__all__ = ["store"]  # the fixture
LEASE_S = 2.0


def each_once(opened: Store) -> bool:
    made = Counter(item.event.kind for item in opened.calls.events(ORG, CALL) if isinstance(item.event, ArtifactReady))
    versions = {artifact.kind: artifact.version for artifact in opened.calls.artifacts(ORG, CALL)}
    return made == Counter(ARTIFACT_KINDS) and versions == dict.fromkeys(ARTIFACT_KINDS, 1)


class Bench:
    """The relay here, the worker as a child, a broker between them."""

    def __init__(self, opened: Store, directory: Path, broker: str) -> None:
        self.store, self.directory, self.broker = opened, directory, broker
        self.log = directory / "worker.log"
        environment = {**os.environ, "PANGTING_DATA_DIR": str(directory), "PYTHONPATH": str(ROOT), "PANGTING_JOBS__URL": broker}
        self.worker = WorkerProcess([sys.executable, *WORKER], environment, self.log, first_wait_s=0.05)
        celery = make_celery(broker, directory)

        def send(job: Job) -> None:
            send_job(celery, job)

        self.relay = Relay(opened.outbox, send, SystemClock(), ready=lambda: self.worker.running, lease_s=LEASE_S)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Bench:
        await self.worker.start()
        self._task = asyncio.create_task(self.relay.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.worker.stop()

    async def until(self, true: Callable[[], bool], what: str) -> None:
        await until(true, what, self.log, timeout_s=240)

    async def finished(self) -> None:
        await self.until(lambda: not self.store.outbox.open_jobs(), "every job is done")
        assert each_once(self.store), tail(self.log)


def kinds() -> list[object]:
    return [pytest.param(kind, marks=() if kind == "ticket" else pytest.mark.slow) for kind in ARTIFACT_KINDS]


@pytest.mark.parametrize("kind", kinds())
async def test_a_worker_killed_in_a_task_of_any_kind(store: Store, tmp_path: Path, kind: str) -> None:
    (tmp_path / f"hold-{kind}").touch()
    async with Bench(store, tmp_path, f"filesystem://{tmp_path / 'broker'}") as bench:
        await call_ended(store)
        await bench.until((tmp_path / f"begun-{kind}").exists, f"the {kind} has begun")
        first = bench.worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        (tmp_path / f"hold-{kind}").unlink()
        await bench.until(lambda: bench.worker.running and bench.worker.pid != first, "the worker is there again")
        await bench.finished()
    (lost,) = [line.job for line in store.jobs.of_call(_inspector(), CALL) if line.job.kind == kind]
    # A second message of the job may be there already; then the next worker begins it before its lease is over, and no loss is counted.
    assert (lost.state, lost.attempts >= 2, lost.losses <= 1) == ("done", True, True)


async def test_a_store_that_is_locked_for_a_while(store: Store, tmp_path: Path) -> None:
    async with Bench(store, tmp_path, f"filesystem://{tmp_path / 'broker'}") as bench:
        await bench.until(lambda: bench.worker.running, "the worker is there")
        (tmp_path / "hold-summary").touch()
        await call_ended(store)
        await bench.until((tmp_path / "begun-summary").exists, "the summary has begun")
        blocker = sqlite3.connect(tmp_path / "pangting.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        (tmp_path / "hold-summary").unlink()
        await asyncio.sleep(7)  # longer than the busy timeout: the worker's write is refused
        blocker.execute("ROLLBACK")
        blocker.close()
        await bench.finished()


def _inspector():
    from tests.fakes.stores import scope

    return scope("i", "inspector")


# --- brokers that are servers -----------------------------------------------------------------------------------------------------------


@contextmanager
def _broker(kind: str, directory: Path) -> Iterator[Broker]:
    try:
        with broker_of(kind, directory) as broker:
            yield broker
    except Missing as error:
        pytest.skip(f"{error} (ITS RESTART IS NOT TESTED HERE)")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
async def test_a_broker_that_is_killed_with_everything_it_held(store: Store, tmp_path: Path, kind: str) -> None:
    with _broker(kind, tmp_path) as broker:
        (tmp_path / "hold-summary").touch()
        async with Bench(store, tmp_path, broker.url) as bench:
            await bench.until(lambda: bench.worker.running, "the worker is there")
            await call_ended(store)
            await bench.until((tmp_path / "begun-summary").exists, "the summary has begun")
            broker.kill()
            (tmp_path / "hold-summary").unlink()
            await asyncio.sleep(3)
            broker.start()
            await bench.until(broker.listening, "the broker listens again")
            await bench.finished()
    attempts = {line.job.kind: line.job.attempts for line in store.jobs.of_call(_inspector(), CALL)}
    assert max(attempts.values()) <= 3, "a broker that is away costs no attempts"
