"""After-call work through a real Celery worker: SQLite store, filesystem broker, relay, supervised child process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from copilot.domain.artifacts import ARTIFACT_KINDS
from copilot.domain.events import ArtifactReady, CallEnded, CallStarted, EventEnvelope, UtteranceFinal
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.store import Job
from copilot.store.keyring import KeyRing
from copilot.store.store import Store, open_store
from copilot.telemetry.clock import SystemClock
from postcall.relay import Relay
from postcall.tasks import make_celery, send_job
from postcall.turns import turns_from_json
from postcall.worker_process import WorkerProcess

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]
ORG, CALL = OrgId("default"), CallId("after-call-1")
KINDS = sorted(ARTIFACT_KINDS)
LINES = json.loads((ROOT / "loadtest/scenarios/demo/gold.json").read_text(encoding="utf-8"))["turns"]
WORKER = ["-m", "celery", "-A", "tests.fakes.celery_target", "worker", "--pool=solo", "--without-gossip", "--without-mingle"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'pangting.db'}", KeyRing.open(tmp_path / "master.key"), SystemClock())
    yield opened
    opened.close()


def worker_process(data_dir: Path) -> WorkerProcess:
    env = {**os.environ, "PANGTING_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)}
    return WorkerProcess([sys.executable, *WORKER], env, data_dir / "worker.log", first_wait_s=0.05)


@asynccontextmanager
async def relaying(store: Store, data_dir: Path, worker: WorkerProcess, lease_s: float = 60.0) -> AsyncIterator[list[str]]:
    changed: list[str] = []
    celery = make_celery(f"filesystem://{data_dir / 'broker'}", data_dir)

    def send(job: Job) -> None:
        send_job(celery, job)

    relay = Relay(
        store.outbox, send, SystemClock(), on_changed=lambda _org, call: changed.append(call), ready=lambda: worker.running, lease_s=lease_s
    )
    task = asyncio.create_task(relay.run())
    try:
        yield changed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def call_ended(store: Store) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    started = CallStarted(external_id="x", protocol="raw", legs=(), language="zh", started_at=SystemClock().now())
    finals = [
        UtteranceFinal(
            utterance_id=turn.utterance_id,
            channel=turn.channel,
            start_ms=turn.start_ms,
            end_ms=turn.end_ms,
            language="zh",
            confidence=0.9,
            text=turn.text,
        )
        for turn in turns_from_json(LINES)
    ]
    await store.journal.append(ORG, opened, [started, *finals, CallEnded(reason="hangup", duration_ms=163_230)])


async def until(true: Callable[[], bool], what: str, log: Path, timeout_s: float = 60.0) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while not true():  # noqa: ASYNC110  other processes ring no bell here
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {timeout_s:.0f} s: {what}\n{tail(log)}")


def tail(log: Path) -> str:
    return log.read_text(encoding="utf-8")[-3000:] if log.exists() else ""


def ready_events(store: Store) -> list[EventEnvelope]:
    return [envelope for envelope in store.calls.events(ORG, CALL) if isinstance(envelope.event, ArtifactReady)]


async def test_a_call_that_ended_gets_each_artifact_once(store: Store, tmp_path: Path) -> None:
    worker = worker_process(tmp_path)
    await worker.start()
    try:
        async with relaying(store, tmp_path, worker) as changed:
            await call_ended(store)
            await until(lambda: not store.outbox.open_jobs(), "the jobs are done", tmp_path / "worker.log")
            await until(lambda: CALL in changed, "the server is told", tmp_path / "worker.log")
    finally:
        await worker.stop()
    assert worker.state == "stopped"
    artifacts = {artifact.kind: artifact for artifact in store.calls.artifacts(ORG, CALL)}
    assert set(artifacts) == set(ARTIFACT_KINDS)
    assert artifacts["ticket"].body.level2 == "card-fraud-dispute"  # type: ignore[union-attr]
    assert sorted(envelope.event.kind for envelope in ready_events(store)) == KINDS  # type: ignore[union-attr]


async def test_a_worker_killed_in_the_middle_of_a_job_loses_nothing_and_does_nothing_twice(store: Store, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    worker = worker_process(tmp_path)
    await worker.start()
    log = tmp_path / "worker.log"
    try:
        async with relaying(store, tmp_path, worker, lease_s=1.5):
            await call_ended(store)
            await until((tmp_path / "begun").exists, "a job has begun", log)
            first = worker.pid
            assert first is not None
            assert ready_events(store) == []
            os.kill(first, signal.SIGKILL)
            (tmp_path / "hold").unlink()
            await until(lambda: worker.running and worker.pid != first, "the worker is started again", log)
            await until(lambda: not store.outbox.open_jobs(), "the jobs are done", log)
    finally:
        await worker.stop()
    assert worker.starts == 2
    assert sorted(envelope.event.kind for envelope in ready_events(store)) == KINDS  # type: ignore[union-attr]
    assert {artifact.version for artifact in store.calls.artifacts(ORG, CALL)} == {1}


async def test_the_worker_goes_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = f"""
import asyncio, os, sys
from pathlib import Path
from postcall.worker_process import WorkerProcess
async def main():
    worker = WorkerProcess([sys.executable, *{WORKER!r}], dict(os.environ), Path({str(tmp_path / "worker.log")!r}))
    await worker.start()
    print(await worker.wait_ready(60), worker.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    env = {**os.environ, "PANGTING_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, env=env, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    ready, pid = (await process.stdout.readline()).decode().split()
    assert ready == "True", (tmp_path / "worker.log").read_text(encoding="utf-8")
    assert os.getpriority(os.PRIO_PROCESS, int(pid)) == 10
    process.kill()
    await process.wait()

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    await until(gone, "the worker has ended", tmp_path / "worker.log", timeout_s=30)


async def test_a_worker_that_cannot_start_is_a_visible_crash_loop(tmp_path: Path) -> None:
    worker = WorkerProcess([sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ), tmp_path / "worker.log", first_wait_s=0.01)
    await worker.start()
    await until(lambda: worker.state == "crash_loop", "the crash loop is seen", tmp_path / "worker.log")
    assert not worker.running
    assert worker.starts >= 4
    await worker.stop()
    assert worker.state == "stopped"
