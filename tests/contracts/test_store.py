"""The store's contract, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from copilot.domain.artifacts import ARTIFACT_KINDS, Artifact, Statement, Summary, TicketClassification
from copilot.domain.calls import fold
from copilot.domain.errors import Conflict, EngineError, Forbidden, InvalidInput, NotFound
from copilot.domain.events import ArtifactReady, CallEnded, EventEnvelope, Redacted, SuggestionFeedback
from copilot.domain.ids import JobId
from copilot.domain.knowledge import Article
from copilot.domain.people import AuditEntry
from copilot.store import tables as t
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from tests.fakes.stores import AT, CALL, ORG, make_store, new_database, offered, postgres_server, said, scope, sqlite_url, started

pytestmark = pytest.mark.anyio
HANGUP = CallEnded(reason="hangup", duration_ms=60_000)
SUMMARY = Artifact(
    kind="summary",
    version=1,
    body=Summary(language="zh", overall="客户挂失", problems=(Statement(text="丢卡", utterance_ids=("customer-1",)),)),
)
TICKET = Artifact(kind="ticket", version=1, body=TicketClassification(level1="card", level2="loss", confidence=0.8, taxonomy_version="1"))
REVIEWER = scope("boss", "inspector")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


@pytest.fixture
def rung() -> list[EventEnvelope]:
    return []


@pytest.fixture
def store(url: str, tmp_path: Path, clock: ManualClock, rung: list[EventEnvelope]) -> Iterator[Store]:
    opened = make_store(url, tmp_path, clock, rung)
    yield opened
    opened.close()


async def ended_call(store: Store, call_id: str = CALL, agent: str | None = "u1", at: object = AT, protocol: str = "raw") -> None:
    opened = await store.journal.open(ORG, call_id, "node")
    begun = replace(started(agent, at), protocol=protocol)  # type: ignore[arg-type]
    await store.journal.append(ORG, opened, [begun, said("卡丢了"), offered(), HANGUP])


# --- the log --------------------------------------------------------------------------------------------------------------------------


async def test_what_was_appended_is_read_back_in_order(store: Store, rung: list[EventEnvelope]) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    assert (opened.epoch, opened.last_seq) == (1, 0)
    first = await store.journal.append(ORG, opened, [started(), said("你好")])
    second = await store.journal.append(ORG, opened, [said("卡丢了", 2)])
    assert [item.seq for item in first + second] == [1, 2, 3]
    assert store.calls.events(ORG, CALL) == first + second == rung
    assert store.calls.events(ORG, CALL, after_seq=2) == second
    assert store.calls.events(ORG, CALL, after_seq=1, limit=1) == first[1:]
    assert store.calls.events("other", CALL) == []


async def test_concurrent_appends_of_one_call_keep_their_order_and_share_commits(store: Store) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(ORG, opened, [started()])
    before = store.journal.commits
    results = await asyncio.gather(*[store.journal.append(ORG, opened, [said(str(number), number)]) for number in range(1, 101)])
    assert [[item.event.text for item in result] for result in results] == [[str(number)] for number in range(1, 101)]
    assert [item.seq for result in results for item in result] == list(range(2, 102))
    assert store.journal.commits - before < 50


async def test_taking_over_raises_the_epoch_and_stops_the_old_writer(store: Store, url: str, tmp_path: Path) -> None:
    opened = await store.journal.open(ORG, CALL, "node-a")
    await store.journal.append(ORG, opened, [started(), said("一")])
    other = make_store(url, tmp_path)
    taken = await other.journal.open(ORG, CALL, "node-b")
    assert (taken.epoch, taken.last_seq) == (2, 2)
    with pytest.raises(Conflict, match="epoch 2"):
        await store.journal.append(ORG, opened, [said("旧", 2)])
    (envelope,) = await other.journal.append(ORG, taken, [said("新", 2)])
    assert (envelope.seq, envelope.epoch) == (3, 2)
    assert [item.event.text for item in store.calls.events(ORG, CALL, after_seq=1)] == ["一", "新"]
    other.close()


async def test_a_call_live_on_this_node_or_ended_cannot_be_opened(store: Store) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    with pytest.raises(Conflict, match="live"):
        await store.journal.open(ORG, CALL, "node")
    store.journal.release(ORG, CALL)
    opened = await store.journal.open(ORG, CALL, "node")
    assert opened.epoch == 2
    await store.journal.append(ORG, opened, [started(), HANGUP])
    with pytest.raises(Conflict, match="ended"):
        await store.journal.open(ORG, CALL, "node")
    with pytest.raises(Conflict, match="ended"):
        await store.journal.append(ORG, opened, [HANGUP])


async def test_two_opens_at_once_leave_one_owner(store: Store) -> None:
    results = await asyncio.gather(*[store.journal.open(ORG, CALL, "node") for _ in range(5)], return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 4 + ["OpenedCall"]


async def test_two_nodes_opening_a_new_call_at_once_leave_one_owner(store: Store, url: str, tmp_path: Path) -> None:
    nodes = [store, *[make_store(url, tmp_path) for _ in range(3)]]
    for number in range(5):
        opened = await asyncio.gather(*[node.journal.open(ORG, f"c{number}", "node") for node in nodes])
        assert sorted(item.epoch for item in opened) == [1, 2, 3, 4]
        for node, item in zip(nodes, opened, strict=True):
            if item.epoch == 4:
                await node.journal.append(ORG, item, [started()])
            else:
                with pytest.raises(Conflict):
                    await node.journal.append(ORG, item, [started()])
    for node in nodes[1:]:
        node.close()


async def test_one_bad_request_of_a_batch_harms_no_other(store: Store) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    stale = await store.journal.open(ORG, "c2", "node")
    await store.journal.append(ORG, opened, [started()])
    store.journal.release(ORG, "c2")
    await store.journal.open(ORG, "c2", "node")

    def breaks(connection: sa.Connection) -> None:
        connection.execute(sa.insert(t.kv).values(org_id=ORG, key="half", value="x"))
        connection.execute(sa.insert(t.kv).values(org_id=ORG, key="half", value="x"))

    results = await asyncio.gather(
        store.journal.append(ORG, opened, [said("一")]),
        store.journal.append(ORG, stale, [started()]),
        store.journal._submit(breaks),
        store.journal.append(ORG, opened, [said("二", 2)]),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == ["list", "Conflict", "EngineError", "list"]
    assert [item.event.text for item in store.calls.events(ORG, CALL, after_seq=1)] == ["一", "二"]
    with store.database.read() as connection:
        assert connection.execute(sa.select(t.kv)).all() == []


async def test_a_cancelled_caller_leaves_the_log_whole(store: Store) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(ORG, opened, [started()])
    tasks = [asyncio.create_task(store.journal.append(ORG, opened, [said(str(number), number)])) for number in range(1, 21)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.journal.append(ORG, opened, [said("last", 99)])
    events = store.calls.events(ORG, CALL)
    assert [item.seq for item in events] == list(range(1, len(events) + 1))
    said_texts = [item.event.text for item in events[1:]]
    assert set(map(str, range(2, 21, 2))) <= set(said_texts)


async def test_a_closed_store_refuses_and_keeps_what_it_had(store: Store, url: str, tmp_path: Path) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    pending = [asyncio.create_task(store.journal.append(ORG, opened, [event])) for event in (started(), said("一"))]
    await asyncio.sleep(0)
    await asyncio.to_thread(store.close)
    await asyncio.gather(*pending)
    with pytest.raises(EngineError, match="closed"):
        await store.journal.append(ORG, opened, [said("二", 2)])
    again = make_store(url, tmp_path)
    assert len(again.calls.events(ORG, CALL)) == 2
    again.close()


async def test_a_broken_doorbell_is_no_failed_write(url: str, tmp_path: Path, store: Store) -> None:
    store.journal._doorbell._on_committed = lambda _: 1 / 0
    opened = await store.journal.open(ORG, CALL, "node")
    assert len(await store.journal.append(ORG, opened, [started()])) == 1


# --- projections ----------------------------------------------------------------------------------------------------------------------


async def test_the_projection_equals_the_fold_and_can_be_rebuilt(store: Store) -> None:
    rng = random.Random(7)
    for number in range(5):
        opened = await store.journal.open(ORG, f"c{number}", "node")
        await store.journal.append(ORG, opened, [started(at=AT + timedelta(minutes=number))])
        for _ in range(rng.randrange(5)):
            await store.journal.append(ORG, opened, rng.choices([said("x"), offered(), Redacted(seqs=(1,))], k=3))
    calls = store.calls.calls(REVIEWER)
    assert calls == [fold(ORG, call.call_id, store.calls.events(ORG, call.call_id)) for call in calls]
    assert store.calls.rebuild_projections() == 0
    with store.database.write() as connection:
        connection.execute(sa.update(t.calls).values(utterances=99, phase="ended", intents=["wrong"]))
    assert store.calls.rebuild_projections() == 5
    assert store.calls.calls(REVIEWER) == calls


async def test_lists_are_newest_first_paged_and_filtered(store: Store) -> None:
    # Two calls share a start time, so the call id must break the tie.
    for number in range(7):
        at = AT + timedelta(minutes=number // 2)
        await ended_call(store, f"c{number}", "u1" if number % 2 else "u2", at)
    live = await store.journal.open(ORG, "live", "node")
    await store.journal.append(ORG, live, [started("u1", AT - timedelta(days=1))])
    await store.journal.open(ORG, "new", "node")
    found, before = [], None
    while page := store.calls.calls(REVIEWER, limit=3, before=before):
        found += [call.call_id for call in page]
        assert page[-1].started_at is not None
        before = (page[-1].started_at, page[-1].call_id)
    assert found == ["c6", "c5", "c4", "c3", "c2", "c1", "c0", "live"]
    assert [call.call_id for call in store.calls.calls(REVIEWER, phase="live")] == ["live"]
    assert [call.call_id for call in store.calls.calls(REVIEWER, agent_id="u1", phase="ended")] == ["c5", "c3", "c1"]


async def test_scope_bounds_every_read(store: Store) -> None:
    store.people.ensure_org(ORG)
    for team in ("t1", "t2"):
        store.people.create_team(ORG, team, team)
    for user, team in (("a1", "t1"), ("a2", "t2")):
        store.people.create_user(ORG, user, user, ["agent"], [team], user_id=user)
    await ended_call(store, "one", "a1")
    await ended_call(store, "two", "a2")

    def seen(who: object) -> set[str]:
        listed = {call.call_id for call in store.calls.calls(who)}  # type: ignore[arg-type]
        for call_id in ("one", "two"):
            if call_id in listed:
                assert store.calls.call(who, call_id).call_id == call_id  # type: ignore[arg-type]
            else:
                with pytest.raises(NotFound):
                    store.calls.call(who, call_id)  # type: ignore[arg-type]
        return listed

    assert seen(scope("a1", "agent")) == {"one"}
    assert seen(scope("lead", "team_lead", teams=("t2",))) == {"two"}
    assert seen(scope("a1", "team_lead", teams=("t2",))) == {"one", "two"}
    assert seen(scope("lead", "team_lead")) == set()
    assert seen(REVIEWER) == {"one", "two"}
    assert seen(scope("admin", "sys_admin")) == set()
    assert seen(scope("boss", "inspector", org="other")) == set()


# --- privacy --------------------------------------------------------------------------------------------------------------------------


async def test_secrets_are_for_the_owning_agent_alone(store: Store) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(ORG, opened, [started("u1")])
    await store.journal.put_secrets(ORG, CALL, {"【卡号#1】": "6222", "【尾号#1】": "3678"})
    await store.journal.put_secrets(ORG, CALL, {"【卡号#1】": "6223"})
    assert store.calls.secrets(scope("u1", "agent"), CALL) == {"【卡号#1】": "6223", "【尾号#1】": "3678"}
    with pytest.raises(Forbidden):
        store.calls.secrets(REVIEWER, CALL)
    with pytest.raises(NotFound):
        store.calls.secrets(scope("u2", "agent"), CALL)


async def test_nothing_that_was_said_is_in_the_database_in_clear(store: Store) -> None:
    await ended_call(store)
    await store.journal.put_secrets(ORG, CALL, {"【卡号#1】": "6222020200000000"})
    (job,) = [job for job in store.outbox.lease(AT, 60) if job.kind == "summary"]
    store.outbox.finish(job.job_id, SUMMARY)
    store.calls.append(ORG, CALL, SuggestionFeedback(suggestion_id="s1", action="rejected", user_id="u1", reason="答非所问"))
    with store.database.read() as connection:
        dump = repr([connection.execute(sa.select(table)).all() for table in t.metadata.sorted_tables])
    for clear in ("卡丢了", "6222020200000000", "客户挂失", "丢卡", "挂失", "答非所问", "手机号"):
        assert clear not in dump
        assert clear.encode("unicode_escape").decode() not in dump


async def test_erasing_a_call_leaves_what_happened_but_not_what_was_said(store: Store, clock: ManualClock) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(ORG, opened, [started(), said("卡丢了"), offered()])
    await store.journal.put_secrets(ORG, CALL, {"【卡号#1】": "6222"})
    with pytest.raises(Conflict, match="live"):
        store.calls.erase_call(ORG, CALL, "admin")
    await store.journal.append(ORG, opened, [HANGUP])
    job = store.outbox.lease(clock.now(), 60)[0]
    sealed = store.call_cipher(ORG, CALL).seal(b"audio")
    before = store.calls.call(REVIEWER, CALL)

    store.calls.erase_call(ORG, CALL, "admin")

    events = store.calls.events(ORG, CALL)
    assert [item.event.type for item in events] == ["call_started", "utterance_final", "suggestion_offered", "call_ended"]
    assert (events[1].event.text, events[1].event.end_ms) == ("", 1900)
    assert (events[0].event.metadata, events[2].event.title) == ({}, "")
    assert store.calls.call(REVIEWER, CALL) == before
    assert store.calls.secrets(scope("u1", "agent"), CALL) == {}
    assert store.calls.artifacts(ORG, CALL) == []
    assert store.calls.rebuild_projections() == 0
    for call in (
        lambda: store.call_cipher(ORG, CALL).open(sealed),
        lambda: store.outbox.finish(job.job_id, Artifact(kind=job.kind, version=1, body=SUMMARY.body)),
        lambda: store.outbox.rerun(ORG, CALL, "summary"),
    ):
        with pytest.raises(NotFound, match="erased"):
            call()
    assert store.outbox.open_jobs() == []
    (entry,) = store.audit.entries(scope("x", "auditor"))
    assert (entry.actor, entry.action, entry.target) == ("admin", "call.erase", CALL)


async def test_late_pii_rewrites_the_content_and_says_so(store: Store, rung: list[EventEnvelope]) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(ORG, opened, [started(), said("六二二二"), said("零二一二", 2)])
    envelope = store.calls.rewrite(ORG, CALL, {2: said("【卡号#1】"), 3: said("", 2)})
    assert envelope.event == Redacted(seqs=(2, 3))
    assert rung[-1] == envelope
    assert [getattr(item.event, "text", None) for item in store.calls.events(ORG, CALL)] == [None, "【卡号#1】", "", None]
    with pytest.raises(InvalidInput, match="content"):
        store.calls.rewrite(ORG, CALL, {2: said("x", 5)})
    with pytest.raises(NotFound):
        store.calls.rewrite(ORG, CALL, {77: said("x")})
    assert len(store.calls.events(ORG, CALL)) == 4


async def test_the_recording_of_an_ended_call_is_made_again_when_pii_is_found_in_it(store: Store, clock: ManualClock) -> None:
    await ended_call(store)

    def recordings() -> list[tuple[int, str]]:
        return sorted((job.version, job.state) for job in store.outbox.open_jobs() if job.kind == "recording")

    def find() -> None:
        (seq,) = [item.seq for item in store.calls.events(ORG, CALL) if item.event.type == "utterance_final"][:1]
        store.calls.rewrite(ORG, CALL, {seq: store.calls.events(ORG, CALL, seq - 1, 1)[0].event})

    find()
    assert recordings() == [(1, "queued")], "the one that waits will know"
    clock.advance(2)
    store.outbox.lease(clock.now(), 60)
    find()
    find()
    assert recordings() == [(1, "leased"), (2, "queued")], "the one that runs may have begun without it"


async def test_a_ciphertext_does_not_open_in_another_place(store: Store) -> None:
    await ended_call(store, "c1")
    with store.database.write() as connection:
        connection.execute(sa.update(t.call_contents).where(t.call_contents.c.seq == 2).values(seq=77))
        connection.execute(sa.update(t.call_contents).where(t.call_contents.c.seq == 3).values(seq=2))
    with pytest.raises(EngineError, match="damaged"):
        store.calls.events(ORG, "c1")


# --- feedback and interruption --------------------------------------------------------------------------------------------------------


async def test_feedback_is_recorded_once(store: Store) -> None:
    await ended_call(store)
    used = SuggestionFeedback(suggestion_id="s1", action="used", user_id="u1")
    assert store.calls.record_feedback(ORG, CALL, used) is not None
    assert store.calls.record_feedback(ORG, CALL, used) is None
    copied = SuggestionFeedback(suggestion_id="s1", action="copied", user_id="u1")
    assert store.calls.record_feedback(ORG, CALL, copied) is not None
    assert store.calls.call(REVIEWER, CALL).suggestions_used == 2
    with pytest.raises(NotFound, match="s9"):
        store.calls.record_feedback(ORG, CALL, SuggestionFeedback(suggestion_id="s9", action="used", user_id="u1"))
    with pytest.raises(NotFound):
        store.calls.record_feedback(ORG, "nope", used)


async def test_calls_cut_off_by_a_crash_are_closed_at_the_next_start(store: Store, url: str, tmp_path: Path) -> None:
    opened = await store.journal.open(ORG, CALL, "node-a")
    await store.journal.append(ORG, opened, [started(), said("卡丢了", 4)])
    elsewhere = await store.journal.open(ORG, "c2", "node-b")
    await store.journal.append(ORG, elsewhere, [started()])
    again = make_store(url, tmp_path)
    assert again.calls.interrupted_calls("node-a") == [(ORG, CALL)]
    (envelope,) = again.calls.close_interrupted("node-a")
    assert envelope.event == CallEnded(reason="interrupted", duration_ms=4900)
    assert envelope.epoch == 2
    assert again.calls.close_interrupted("node-a") == []
    assert {(job.call_id, job.kind) for job in again.outbox.open_jobs()} == {(CALL, kind) for kind in ARTIFACT_KINDS}
    with pytest.raises(Conflict):
        await store.journal.append(ORG, opened, [said("too late")])
    assert again.calls.call(REVIEWER, "c2").phase == "live"
    again.close()


# --- outbox ---------------------------------------------------------------------------------------------------------------------------


async def test_the_end_of_a_call_queues_its_jobs_and_the_recording_comes_last(store: Store, clock: ManualClock) -> None:
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(ORG, opened, [started()])
    assert store.outbox.open_jobs() == []
    await store.journal.append(ORG, opened, [HANGUP])
    assert sorted(job.kind for job in store.outbox.open_jobs()) == sorted(ARTIFACT_KINDS)
    assert sorted(job.kind for job in store.outbox.lease(clock.now(), 60)) == ["qa", "summary", "ticket"]
    clock.advance(0.3)
    assert sorted(job.kind for job in store.outbox.lease(clock.now(), 60)) == ["keywords", "mood"]
    clock.advance(1.7)
    assert [job.kind for job in store.outbox.lease(clock.now(), 60)] == ["recording"]


async def test_a_lease_excludes_others_until_it_expires(store: Store, clock: ManualClock) -> None:
    await ended_call(store)
    first = store.outbox.lease(clock.now(), 60, limit=2)
    second = store.outbox.lease(clock.now(), 60)
    assert (len(first), len(second)) == (2, 1)
    assert {job.job_id for job in first}.isdisjoint(job.job_id for job in second)
    assert store.outbox.lease(clock.now(), 60) == []
    assert store.outbox.begin(first[0].job_id, 60).attempts == 1
    clock.advance(61)
    again = {job.job_id: job for job in store.outbox.lease(clock.now(), 60)}
    assert len(again) == len(ARTIFACT_KINDS)
    assert (again[first[0].job_id].attempts, again[first[0].job_id].losses) == (1, 1), "begun, and the worker was never heard of again"
    rest = [job for name, job in again.items() if name != first[0].job_id]
    assert {(job.attempts, job.losses) for job in rest} == {(0, 0)}, "sending costs nothing"


async def test_a_worker_that_is_still_at_it_keeps_its_lease(store: Store, clock: ManualClock) -> None:
    await ended_call(store)
    job = store.outbox.lease(clock.now(), 60, limit=1)[0]
    assert store.outbox.renew(job.job_id, clock.now() + timedelta(seconds=100))
    clock.advance(61)
    assert job.job_id not in {other.job_id for other in store.outbox.lease(clock.now(), 600)}
    clock.advance(40)
    assert [other.job_id for other in store.outbox.lease(clock.now(), 60)] == [job.job_id]
    store.calls.erase_call(ORG, CALL, "admin")
    assert not store.outbox.renew(job.job_id, clock.now() + timedelta(seconds=100))
    assert store.outbox.job(job.job_id).state == "discarded", "nobody is asked about the jobs of an erased call"


async def test_finishing_stores_the_artifact_once(store: Store, clock: ManualClock, rung: list[EventEnvelope]) -> None:
    await ended_call(store)
    jobs = {job.kind: job for job in store.outbox.lease(clock.now(), 60)}
    assert store.outbox.finish(jobs["summary"].job_id, SUMMARY) is True
    assert store.outbox.finish(jobs["summary"].job_id, SUMMARY) is False
    assert store.calls.artifacts(ORG, CALL) == [SUMMARY]
    assert rung[-1].event == ArtifactReady(kind="summary", version=1)
    assert store.calls.call(REVIEWER, CALL).artifacts == ("summary",)
    assert store.outbox.job(jobs["summary"].job_id).state == "done"
    with pytest.raises(Conflict, match="makes a ticket"):
        store.outbox.finish(jobs["ticket"].job_id, SUMMARY)
    assert [item.event.type for item in store.calls.events(ORG, CALL)].count("artifact_ready") == 1


async def test_a_failed_job_is_tried_again_later_or_given_up(store: Store, clock: ManualClock) -> None:
    await ended_call(store)
    job = store.outbox.lease(clock.now(), 60, limit=1)[0]
    store.outbox.fail(job.job_id, "EngineError", retry_at=clock.now() + timedelta(seconds=30))
    assert job.job_id not in {other.job_id for other in store.outbox.lease(clock.now(), 600)}
    clock.advance(31)
    assert job.job_id in {other.job_id for other in store.outbox.lease(clock.now(), 600)}
    store.outbox.fail(job.job_id, "EngineError", retry_at=None)
    store.outbox.fail(job.job_id, "EngineError", retry_at=None)
    assert store.outbox.job(job.job_id).state == "failed"
    assert [item.event.type for item in store.calls.events(ORG, CALL)].count("artifact_failed") == 1


async def test_running_again_makes_the_next_version(store: Store, clock: ManualClock) -> None:
    await ended_call(store)
    jobs = {job.kind: job for job in store.outbox.lease(clock.now(), 60)}
    assert store.outbox.rerun(ORG, CALL, "ticket").job_id == jobs["ticket"].job_id
    store.outbox.finish(jobs["ticket"].job_id, TICKET)
    job = store.outbox.rerun(ORG, CALL, "ticket")
    assert job.job_id != jobs["ticket"].job_id
    store.outbox.finish(job.job_id, TICKET)
    (ticket,) = store.calls.artifacts(ORG, CALL)
    assert (ticket.version, ticket.body) == (2, TICKET.body)
    live = await store.journal.open(ORG, "live", "node")
    await store.journal.append(ORG, live, [started()])
    with pytest.raises(Conflict, match="not ended"):
        store.outbox.rerun(ORG, "live", "ticket")
    with pytest.raises(NotFound):
        store.outbox.rerun(ORG, "nope", "ticket")


async def test_beginning_counts_and_a_late_message_begins_nothing(store: Store, clock: ManualClock) -> None:
    await ended_call(store)
    job = store.outbox.lease(clock.now(), 60, limit=1)[0]
    assert (job.attempts, job.state) == (0, "leased")
    clock.advance(50)
    assert store.outbox.begin(job.job_id, 60).attempts == 1
    clock.advance(50)
    assert job.job_id not in {other.job_id for other in store.outbox.lease(clock.now(), 60)}, "the lease runs from the beginning"
    store.outbox.fail(job.job_id, "EngineError", retry_at=clock.now() + timedelta(seconds=30))
    late = store.outbox.begin(job.job_id, 60)
    assert (late.state, late.attempts) == ("queued", 1)
    with pytest.raises(NotFound):
        store.outbox.begin(JobId("none"), 60)


async def test_a_lease_that_could_not_be_sent_leaves_no_trace_but_its_reason(store: Store, clock: ManualClock) -> None:
    await ended_call(store)
    job = store.outbox.lease(clock.now(), 60, limit=1)[0]
    store.outbox.unsend(job.job_id, "The broker is away.", retry_at=clock.now() + timedelta(seconds=5))
    back = store.outbox.job(job.job_id)
    assert (back.state, back.attempts, back.losses, back.error) == ("queued", 0, 0, "The broker is away.")
    assert job.job_id not in {other.job_id for other in store.outbox.lease(clock.now(), 60)}
    clock.advance(5)
    assert job.job_id in {other.job_id for other in store.outbox.lease(clock.now(), 60)}


async def test_calls_that_were_brought_in_wait_behind_fresh_ones(store: Store, clock: ManualClock) -> None:
    for number in range(3):
        await ended_call(store, f"file-{number}", protocol="import")
    await ended_call(store)
    clock.advance(3)
    fresh = store.outbox.lease(clock.now(), 60, limit=len(ARTIFACT_KINDS), most_background=4)
    assert {job.call_id for job in fresh} == {CALL}
    assert not any(job.background for job in fresh)
    brought_in = store.outbox.lease(clock.now(), 60, most_background=4)
    assert len(brought_in) == 4
    assert all(job.background for job in brought_in)
    assert store.outbox.lease(clock.now(), 60, most_background=4) == [], "not more than four at once"
    assert store.outbox.has_background()
    assert {job.call_id for job in store.outbox.open_jobs(background=False)} == {CALL}
    clock.advance(61)
    assert len(store.outbox.lease(clock.now(), 60, 100, most_background=4)) == len(ARTIFACT_KINDS) + 4


async def test_dead_letters_are_listed_run_again_and_discarded_with_an_audit_line(store: Store, clock: ManualClock) -> None:
    await ended_call(store)
    jobs = {job.kind: job for job in store.outbox.lease(clock.now(), 60)}
    for job in jobs.values():
        store.outbox.begin(job.job_id, 60)
        store.outbox.fail(job.job_id, "The index is busy.", retry_at=None)
    lead = scope("lead", "inspector")
    assert {line.job.kind for line in store.jobs.page(lead, ("failed",))} == {"summary", "ticket", "qa"}
    assert store.jobs.counts(lead) == {"queued": 3, "leased": 0, "done": 0, "failed": 3, "discarded": 0}
    (first, second), (third,) = (
        store.jobs.page(lead, ("failed",), limit=2),
        store.jobs.page(lead, ("failed",), before=(clock.now(), store.jobs.page(lead, ("failed",), limit=2)[1].job.job_id)),
    )
    assert len({first.job.job_id, second.job.job_id, third.job.job_id}) == 3
    again = store.jobs.run_again(lead, jobs["summary"].job_id)
    assert (again.state, again.attempts, again.error, again.version) == ("queued", 0, "", 1)
    assert store.jobs.run_again(lead, jobs["summary"].job_id).state == "queued"
    assert store.jobs.discard(lead, jobs["ticket"].job_id).state == "discarded"
    assert [line.job.kind for line in store.jobs.page(lead, ("failed",))] == ["qa"]
    with pytest.raises(Conflict):
        store.jobs.discard(lead, jobs["summary"].job_id)
    (due,) = [job for job in store.outbox.lease(clock.now(), 60) if job.kind == "summary"]
    assert store.outbox.finish(due.job_id, SUMMARY)
    assert store.calls.artifacts(ORG, CALL) == [SUMMARY]
    with pytest.raises(Conflict):
        store.jobs.run_again(lead, jobs["summary"].job_id)
    actions = [(entry.action, entry.actor, entry.target) for entry in store.audit.entries(scope("a", "auditor"))]
    assert [action for action in actions if action[0].startswith("job.")] == [("job.discard", "lead", CALL), ("job.rerun", "lead", CALL)]


async def test_jobs_are_those_of_calls_that_one_may_see(store: Store, clock: ManualClock) -> None:
    await ended_call(store)
    job = store.outbox.lease(clock.now(), 60)[0]
    store.outbox.fail(job.job_id, "x", retry_at=None)
    for stranger in (scope("u2", "agent"), scope("lead", "team_lead", teams=("t9",)), scope("i", "inspector", org="other")):
        assert store.jobs.page(stranger, ("failed",)) == []
        assert store.jobs.of_call(stranger, CALL) == []
        for act in (store.jobs.run_again, store.jobs.discard):
            with pytest.raises(NotFound):
                act(stranger, job.job_id)
    assert len(store.jobs.of_call(scope("u1", "agent"), CALL)) == len(ARTIFACT_KINDS)


async def test_running_a_failed_artifact_again_takes_its_job_up_once_more(store: Store, clock: ManualClock) -> None:
    await ended_call(store)
    job = next(job for job in store.outbox.lease(clock.now(), 60) if job.kind == "ticket")
    store.outbox.fail(job.job_id, "x", retry_at=None)
    again = store.outbox.rerun(ORG, CALL, "ticket")
    assert (again.job_id, again.version, again.state) == (job.job_id, 1, "queued")


async def test_workers_leasing_at_once_never_share_a_job(store: Store, clock: ManualClock) -> None:
    for number in range(4):
        await ended_call(store, f"c{number}")
    leased = await asyncio.gather(*[asyncio.to_thread(store.outbox.lease, clock.now(), 60, 3) for _ in range(6)])
    ids = [job.job_id for jobs in leased for job in jobs]
    assert len(ids) == len(set(ids))
    clock.advance(2)
    rest = store.outbox.lease(clock.now(), 60, 100)
    assert len(ids) + len(rest) == 4 * len(ARTIFACT_KINDS)


# --- audit ----------------------------------------------------------------------------------------------------------------------------


def entry(action: str, org: str = ORG) -> AuditEntry:
    return AuditEntry(org_id=org, at=AT, actor="u1", action=action, target="c1", detail="原因")


async def test_the_trail_is_chained_per_organisation_and_readable_by_auditors(store: Store) -> None:
    for action in ("a", "b", "c"):
        store.audit.record(entry(action))
    store.audit.record(entry("x", "other"))
    assert [line.action for line in store.audit.entries(scope("x", "auditor"))] == ["c", "b", "a"]
    assert store.audit.entries(scope("x", "auditor"), limit=1) == [entry("c")]
    assert store.audit.first_broken(ORG) is None
    assert store.audit.head(ORG)[0] == 3
    with pytest.raises(Forbidden):
        store.audit.entries(scope("x", "agent"))


async def test_the_database_refuses_to_change_the_trail(store: Store) -> None:
    store.audit.record(entry("a"))
    for statement in (sa.update(t.audit).values(action="b"), sa.delete(t.audit)):
        with pytest.raises(EngineError, match="append-only"), store.database.write() as connection:
            connection.execute(statement)
    assert store.audit.entries(scope("x", "auditor")) == [entry("a")]


async def test_a_changed_or_missing_line_breaks_the_chain(store: Store) -> None:
    for action in ("a", "b", "c", "d"):
        store.audit.record(entry(action))
    triggers = ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"]
    with store.database.write() as connection:
        for drop in triggers if store.database.is_sqlite else ["DROP TRIGGER audit_append_only ON audit"]:
            connection.execute(sa.text(drop))
        connection.execute(sa.update(t.audit).where(t.audit.c.seq == 3).values(actor="somebody else"))
    assert store.audit.first_broken(ORG) == 3
    with store.database.write() as connection:
        connection.execute(sa.delete(t.audit).where(t.audit.c.seq == 2))
    assert store.audit.first_broken(ORG) == 2


async def test_lines_recorded_at_once_all_fit_the_chain(store: Store) -> None:
    await asyncio.gather(*[asyncio.to_thread(store.audit.record, entry(str(number))) for number in range(20)])
    assert store.audit.head(ORG)[0] == 20
    assert store.audit.first_broken(ORG) is None


# --- articles -------------------------------------------------------------------------------------------------------------------------


def article(answer: str = "您好", *, state: str = "published", language: str = "zh", article_id: str = "card-loss") -> Article:
    return Article(
        article_id=article_id,
        version=1,
        language=language,
        domain="cards",
        title="挂失",
        body="正文",
        answer=answer,
        questions=("卡丢了",),
        valid_from=AT.date(),
        state=state,  # type: ignore[arg-type]
    )


async def test_articles_are_versioned_by_content(store: Store) -> None:
    articles = store.articles(ORG)
    assert articles.watermark() == 0
    assert articles.upsert([article(), article(language="en")]) == 2
    assert articles.upsert([article(), article(language="en")]) == 0
    mark = articles.watermark()
    assert mark > 0
    assert articles.upsert([article("新答案")]) == 1
    assert articles.watermark() > mark
    assert [(item.language, item.version, item.answer) for item in articles.published()] == [("en", 1, "您好"), ("zh", 2, "新答案")]
    assert articles.article("card-loss", "zh", version=1).answer == "您好"
    assert articles.article("card-loss", "zh").version == 2
    with pytest.raises(NotFound):
        articles.article("card-loss", "zh", version=9)
    assert store.articles("other").published() == []


async def test_what_is_held_and_has_not_changed_is_given_back_as_it_is(store: Store) -> None:
    articles = store.articles(ORG)
    articles.upsert([article("一"), article("one", language="en"), article("其他", article_id="other")])
    held = {(one.article_id, one.language): one for one in articles.published()}
    articles.upsert([article("二")])
    found = articles.published(None, held)
    assert [one.answer for one in found] == ["one", "二", "其他"] == [one.answer for one in articles.published()]
    assert [any(one is old for old in held.values()) for one in found] == [True, False, True]
    later = articles.today() + timedelta(days=3)
    articles.upsert([replace(article("三"), valid_from=later)])
    now = {one.answer: one for one in articles.published(None, {(one.article_id, one.language): one for one in found})}
    assert now["二"].valid_to == later - timedelta(days=1), "what ends meanwhile is not given back unended"
    assert now["one"] is found[0]


async def test_a_draft_does_not_replace_what_is_published_but_retirement_does(store: Store) -> None:
    articles = store.articles(ORG)
    articles.upsert([article("一")])
    articles.upsert([article("二", state="draft")])
    assert [item.answer for item in articles.published()] == ["一"]
    articles.upsert([article("二", state="retired")])
    assert articles.published() == []


async def test_packs_are_versioned_by_content(store: Store) -> None:
    articles = store.articles(ORG)
    assert articles.pack("intents") is None
    assert articles.put_pack("intents", "zh", "a: 1") is True
    assert articles.put_pack("intents", "zh", "a: 1") is False
    assert articles.put_pack("intents", "zh", "a: 2") is True
    assert articles.pack("intents") == (2, "a: 2")
    assert store.articles("other").pack("intents") is None
