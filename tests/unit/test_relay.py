"""The outbox relay over a real store, in virtual time: sent, sent again, told, given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from copilot.domain.artifacts import (
    ARTIFACT_KINDS,
    Artifact,
    Keywords,
    ListeningCopy,
    MoodReport,
    QaScorecard,
    Summary,
    TicketClassification,
)
from copilot.domain.errors import EngineError
from copilot.domain.events import ArtifactFailed, CallEnded
from copilot.domain.ports.store import Job
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from postcall.relay import MOST_LOSSES, Relay
from tests.fakes.stores import AT, CALL, ORG, make_store, said, sqlite_url, started

pytestmark = pytest.mark.anyio
BODIES = {
    "summary": Summary(language="zh", overall="好"),
    "ticket": TicketClassification(level1="a", level2="b", confidence=0.5, taxonomy_version="1"),
    "qa": QaScorecard(rubric_version="1", score=100, fatal=False),
    "mood": MoodReport(
        points=(),
        trend="steady",
        complaint_risk=0.0,
        risk_evidence=(),
        pace=(),
        silence_ms=0,
        longest_silence_ms=0,
        longest_silence_at_ms=0,
        overtalk_ms=0,
    ),
    "keywords": Keywords(language="zh"),
    "recording": ListeningCopy(
        folder="f",
        sample_rate_hz=8000,
        channels=("customer",),
        duration_ms=5000,
        complete=True,
        original_bytes=0,
        masked_bytes=0,
        block_bytes=1,
        through_seq=3,
    ),
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = make_store(sqlite_url(tmp_path), tmp_path, clock)
    yield opened
    opened.close()


async def call_ended(store: Store, clock: ManualClock) -> None:
    """A call whose jobs are all due: the recording's comes two seconds after the others."""
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(ORG, opened, [started(), said("卡丢了"), CallEnded(reason="hangup", duration_ms=5000)])
    clock.advance(2)


def finish(store: Store, job: Job) -> bool:
    return store.outbox.finish(job.job_id, Artifact(kind=job.kind, version=1, body=BODIES[job.kind]))


class Sent:
    """What was sent, and a broker that can be down."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.down = False

    def __call__(self, job: Job) -> None:
        if self.down:
            raise ConnectionRefusedError
        self.jobs.append(job)


async def test_a_job_is_sent_once_while_its_lease_lasts_and_again_when_it_is_over(store: Store, clock: ManualClock) -> None:
    sent = Sent()
    relay = Relay(store.outbox, sent, clock, lease_s=60)
    await relay.look()
    assert sent.jobs == []
    await call_ended(store, clock)
    await relay.look()
    await relay.look()
    assert sorted(job.kind for job in sent.jobs) == sorted(ARTIFACT_KINDS)
    count = len(ARTIFACT_KINDS)
    assert relay.open_jobs == count
    finish(store, sent.jobs[0])
    clock.advance(60)
    await relay.look()
    again = sent.jobs[count:]
    assert sorted(job.job_id for job in again) == sorted(job.job_id for job in sent.jobs[1:count])


async def test_who_watches_is_told_when_another_process_has_finished(store: Store, clock: ManualClock) -> None:
    sent, told = Sent(), []
    relay = Relay(store.outbox, sent, clock, on_changed=lambda org, call: told.append((org, call)))
    await call_ended(store, clock)
    await relay.look()
    await relay.look()
    assert told == []
    for job in sent.jobs:
        finish(store, job)
    await relay.look()
    assert told == [(ORG, CALL)]
    await relay.look()
    assert told == [(ORG, CALL)]


async def test_jobs_wait_for_a_worker_that_is_not_ready_without_losing_attempts(store: Store, clock: ManualClock) -> None:
    sent, ready = Sent(), [False]
    relay = Relay(store.outbox, sent, clock, ready=lambda: ready[0])
    await call_ended(store, clock)
    for _ in range(5):
        await relay.look()
        clock.advance(100)
    assert sent.jobs == []
    ready[0] = True
    await relay.look()
    assert {(job.attempts, job.losses) for job in sent.jobs} == {(0, 0)}


async def test_a_broker_that_is_down_costs_nothing_but_time(store: Store, clock: ManualClock) -> None:
    sent = Sent()
    sent.down = True
    relay = Relay(store.outbox, sent, clock)
    await call_ended(store, clock)
    for _ in range(3600 // 6):  # an hour
        await relay.look()
        clock.advance(6)
    await relay.look()
    assert {(job.state, job.error) for job in store.outbox.open_jobs()} == {
        ("queued", "The job queue could not be reached (ConnectionRefusedError).")
    }
    sent.down = False
    await relay.look()
    assert sent.jobs == []
    clock.advance(5)
    await relay.look()
    assert {(job.attempts, job.losses) for job in sent.jobs} == {(0, 0)}
    assert len(sent.jobs) == len(ARTIFACT_KINDS)


async def test_a_worker_that_is_away_for_days_costs_nothing_but_time(store: Store, clock: ManualClock) -> None:
    sent = Sent()
    relay = Relay(store.outbox, sent, clock)
    await call_ended(store, clock)
    for _ in range(100):
        await relay.look()
        clock.advance(3600)
    assert len(store.outbox.open_jobs()) == len(ARTIFACT_KINDS)
    assert all(finish(store, job) for job in sent.jobs[-len(ARTIFACT_KINDS) :])


async def test_a_job_that_kills_its_worker_every_time_fails_for_good_and_visibly(store: Store, clock: ManualClock) -> None:
    told: list[str] = []
    sent = Sent()
    relay = Relay(store.outbox, sent, clock, on_changed=lambda _org, call: told.append(call))
    await call_ended(store, clock)
    for _ in range(MOST_LOSSES + 1):
        assert len(store.outbox.open_jobs()) == len(ARTIFACT_KINDS)
        sent.jobs.clear()
        await relay.look()
        for job in sent.jobs:
            store.outbox.begin(job.job_id, 60)
        clock.advance(60)
    assert store.outbox.open_jobs() == []
    failures = [envelope.event for envelope in store.calls.events(ORG, CALL) if isinstance(envelope.event, ArtifactFailed)]
    assert len(failures) == len(ARTIFACT_KINDS)
    assert "run the job again" in failures[0].reason
    assert told == [CALL]


async def test_the_doorbell_wakes_a_sleeping_relay_from_any_thread(store: Store, clock: ManualClock) -> None:
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def send(_job: Job) -> None:
        loop.call_soon_threadsafe(arrived.set)

    relay = Relay(store.outbox, send, clock, idle_s=3600)
    relay.ring()  # before it runs: no fault, and nothing is lost, as its first look shows
    task = asyncio.create_task(relay.run())
    await settled(lambda: relay._loop is not None)
    await call_ended(store, clock)
    await asyncio.to_thread(relay.ring)
    async with asyncio.timeout(20):
        await arrived.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def settled(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  another task, which rings no bell
            await asyncio.sleep(0)


async def test_a_store_that_fails_does_not_end_the_relay(store: Store, clock: ManualClock) -> None:
    class Faulty:
        def __init__(self) -> None:
            self.looks = 0

        def lease(self, *_arguments: object, **_named: object) -> list[Job]:
            self.looks += 1
            if self.looks < 3:
                raise EngineError("The database is busy.", retryable=True)
            return []

        def open_jobs(self, *, background: bool = True) -> list[Job]:
            return []

    outbox = Faulty()
    relay = Relay(outbox, Sent(), clock, idle_s=0.001)  # type: ignore[arg-type]
    task = asyncio.create_task(relay.run())
    await settled(lambda: outbox.looks >= 4)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
