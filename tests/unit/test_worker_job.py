"""One job in a worker: done once, retried with growing waits, failed with a reason, never an end of the worker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kombu import Connection

from copilot.domain.artifacts import ARTIFACT_KINDS
from copilot.domain.errors import ConfigError, EngineError, InvalidInput, NotFound
from copilot.domain.events import ArtifactFailed, ArtifactReady, CallEnded
from copilot.domain.ids import JobId, OrgId
from copilot.domain.ports.store import Job
from copilot.store.media import open_media
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from postcall.recording import CopyMaker
from postcall.run import Tools
from postcall.services import PostcallServices
from postcall.tasks import QUEUE, TASK, make_celery, send_job
from postcall.work import MOST_ATTEMPTS, read_events, retry_wait_s, work_on
from tests.fakes.celery_target import sample_packs
from tests.fakes.stores import AT, CALL, ORG, make_store, said, sqlite_url, started

pytestmark = pytest.mark.anyio
TOOLS = Tools(packs=sample_packs())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = make_store(sqlite_url(tmp_path), tmp_path, clock)
    yield opened
    opened.close()


def services(store: Store, clock: ManualClock, tools: Callable[[OrgId], Tools] = lambda _org: TOOLS) -> PostcallServices:
    copies = CopyMaker(open_media(f"memory://{CALL}"), store.call_cipher, store.calls, store.outbox, clock)
    return PostcallServices(outbox=store.outbox, calls=store.calls, copies=copies, tools=tools, clock=clock)


async def jobs_of_a_call(store: Store, clock: ManualClock, utterances: int = 1) -> list[Job]:
    opened = await store.journal.open(ORG, CALL, "node")
    spoken = [said("我的信用卡丢了，要挂失", number) for number in range(1, utterances + 1)]
    await store.journal.append(ORG, opened, [started(), *spoken, CallEnded(reason="hangup", duration_ms=5000)])
    return store.outbox.lease(clock.now(), 60)


def refusing(error: Exception) -> Callable[[OrgId], Tools]:
    def tools(_org: OrgId) -> Tools:
        raise error

    return tools


async def test_each_job_makes_its_artifact_and_a_second_delivery_does_nothing(store: Store, clock: ManualClock) -> None:
    jobs = await jobs_of_a_call(store, clock)
    assert [work_on(job.job_id, services(store, clock)) for job in jobs] == ["done"] * 3
    assert [work_on(job.job_id, services(store, clock)) for job in jobs] == ["already_done"] * 3
    ready = [envelope for envelope in store.calls.events(ORG, CALL) if isinstance(envelope.event, ArtifactReady)]
    assert len(ready) == 3
    ticket = next(artifact for artifact in store.calls.artifacts(ORG, CALL) if artifact.kind == "ticket")
    assert ticket.body.level2 == "card-loss-replacement"  # type: ignore[union-attr]


async def test_long_calls_are_read_page_by_page(store: Store, clock: ManualClock) -> None:
    await jobs_of_a_call(store, clock, utterances=1500)
    assert [envelope.seq for envelope in read_events(store.calls, ORG, CALL)] == list(range(1, 1503))


async def test_a_fault_that_may_pass_is_tried_again_later_and_at_last_given_up(store: Store, clock: ManualClock) -> None:
    job = (await jobs_of_a_call(store, clock))[0]
    failing = services(store, clock, refusing(EngineError("The index is busy.", retryable=True)))
    for attempt in range(1, MOST_ATTEMPTS):
        assert work_on(job.job_id, failing) == "retry"
        assert work_on(job.job_id, failing) == "not_due", "the same message once more"
        assert store.outbox.job(job.job_id).error == "The index is busy."
        clock.advance(retry_wait_s(attempt) - 0.5)
        assert job.job_id not in {due.job_id for due in store.outbox.lease(clock.now(), 600)}
        clock.advance(0.5)
        assert {due.job_id: due.attempts for due in store.outbox.lease(clock.now(), 600)}[job.job_id] == attempt
    assert work_on(job.job_id, failing) == "failed"
    failed = [envelope.event for envelope in store.calls.events(ORG, CALL) if isinstance(envelope.event, ArtifactFailed)]
    assert [(event.kind, event.reason) for event in failed] == [(job.kind, "The index is busy.")]
    assert work_on(job.job_id, services(store, clock)) == "already_done"


@pytest.mark.parametrize("error", [InvalidInput("The pack is broken."), ConfigError("No model."), EngineError("Wrong model.")])
async def test_a_fault_that_will_stay_fails_at_once(store: Store, clock: ManualClock, error: Exception) -> None:
    job = (await jobs_of_a_call(store, clock))[0]
    assert work_on(job.job_id, services(store, clock, refusing(error))) == "failed"


async def test_packs_that_are_not_loaded_yet_are_waited_for(store: Store, clock: ManualClock) -> None:
    job = (await jobs_of_a_call(store, clock))[0]
    assert work_on(job.job_id, services(store, clock, refusing(NotFound("Load the packs.")))) == "retry"
    assert store.outbox.job(job.job_id).error == "Load the packs."


async def test_a_fault_of_the_program_is_named_without_what_was_said(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    job = (await jobs_of_a_call(store, clock))[0]
    assert work_on(job.job_id, services(store, clock, refusing(ValueError("我的密码是一二三")))) == "retry"
    assert "ValueError" in store.outbox.job(job.job_id).error
    assert "密码" not in store.outbox.job(job.job_id).error + caplog.text


async def test_a_job_of_an_erased_call_is_gone(store: Store, clock: ManualClock) -> None:
    assert work_on(JobId("none"), services(store, clock)) == "gone"


def test_waits_grow_and_are_bounded() -> None:
    waits = [retry_wait_s(attempt) for attempt in range(1, 50)]
    assert waits[:4] == [2, 4, 8, 16]
    assert max(waits) == 60
    assert waits == sorted(waits)


# --- the queue ------------------------------------------------------------------------------------------------------------------------


async def test_a_job_on_the_filesystem_queue_names_nothing_but_its_id(store: Store, clock: ManualClock, tmp_path: Path) -> None:
    job = (await jobs_of_a_call(store, clock))[0]
    celery = make_celery(f"filesystem://{tmp_path / 'broker'}", tmp_path)
    send_job(celery, job)
    (message,) = (tmp_path / "broker" / "queue").iterdir()
    assert message.stat().st_mode & 0o077 == 0
    assert re.fullmatch(r"\d+_[0-9a-f-]{36}\.postcall\.msg", message.name), "a time and a random name"
    with celery.connection_for_read() as connection:
        received = connection.default_channel.basic_get(QUEUE, no_ack=True)
    assert received is not None
    assert received.headers["task"] == TASK
    assert json.loads(received.body)[0] == [job.job_id]
    assert list((tmp_path / "broker" / "queue").iterdir()) == []


async def test_a_recording_may_take_longer_than_a_summary(store: Store, clock: ManualClock, tmp_path: Path) -> None:
    celery = make_celery(f"filesystem://{tmp_path / 'broker'}", tmp_path)
    jobs = [*await jobs_of_a_call(store, clock), *leased_later(store, clock)]
    assert {job.kind for job in jobs} == set(ARTIFACT_KINDS)
    limits = {}
    for job in jobs:
        send_job(celery, job)
        with celery.connection_for_read() as connection:
            received = connection.default_channel.basic_get(QUEUE, no_ack=True)
        assert received is not None
        hard, soft = received.headers["timelimit"]
        limits[job.kind] = (hard or celery.conf.task_time_limit, soft or celery.conf.task_soft_time_limit)
    assert limits["summary"] == limits["ticket"] == limits["qa"] < (60, 60), "within the lease of the relay"
    assert limits["recording"] > (1800, 600)


def leased_later(store: Store, clock: ManualClock) -> list[Job]:
    clock.advance(2)
    return store.outbox.lease(clock.now(), 60)


def test_a_half_written_message_is_never_read(tmp_path: Path) -> None:
    options = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path), "control_folder": str(tmp_path / "control")}
    with Connection("localhost", transport="postcall.broker:Transport", transport_options=options) as connection:
        queue = connection.SimpleQueue("q")
        (tmp_path / "000000000000_x.q.msg.draft").write_bytes(b'{"half')
        for number in range(3):
            queue.put({"number": number})
        got = []
        for _ in range(3):
            message = queue.get(block=False)
            got.append(message.payload["number"])
            message.ack()
        assert got == [0, 1, 2]
        with pytest.raises(queue.Empty):
            queue.get(block=False)
        queue.close()


@pytest.mark.parametrize("url", ["", "sqs://x", "memory://"])
def test_a_broker_that_is_not_supported_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"jobs\.url"):
        make_celery(url, tmp_path)
