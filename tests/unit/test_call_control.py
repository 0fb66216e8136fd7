"""Hold, resume and transfer of a live call on a real store and bus, as the screens of both agents see them."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from copilot.api import feed_ws
from copilot.assembly.observe import Observer
from copilot.bus.local import LocalBus
from copilot.domain.audio import CallStart, LegFormat
from copilot.domain.errors import Forbidden, NotFound
from copilot.domain.ids import CallId, OrgId, UtteranceId
from copilot.domain.intents import IntentPrediction
from copilot.domain.people import Scope, scope_of
from copilot.domain.ports.live import Integration
from copilot.domain.transcript import AsrTimings, TranscriptFinal, TranscriptPartial
from copilot.live.desk import BankRules, LiveDesk
from copilot.live.services import LiveServices
from copilot.privacy.masker import Masker
from copilot.store.keyring import KeyRing
from copilot.store.store import open_store
from copilot.telemetry.clock import SystemClock
from copilot.telemetry.metrics import Metrics
from tests.fakes.screens import Screen

pytestmark = pytest.mark.anyio
ORG = OrgId("default")
CALL = CallId("call-1")
INTEGRATION = Integration(org_id=ORG, name="pbx", protocol="raw")
METADATA = {
    "agent": "lin", "ani": "+86 139 0000 1111", "dnis": "95588", "customer_id": "C-7788", "skill": "loans", "direction": "outbound",
}  # fmt: skip
START = CallStart(external_id=CALL, legs=(LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8000),), metadata=METADATA)


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Nothing:
    """A knowledge base that finds nothing."""

    def search(self, query):
        return ()

    def classify(self, text, language, context=()):
        return IntentPrediction(intent="unknown", confidence=0.0)


class Bench:
    def __init__(self, tmp_path) -> None:
        self.bus = LocalBus()
        metrics = Metrics(CollectorRegistry())
        observer = Observer(self.bus, metrics)
        self.store = open_store(
            f"sqlite:///{tmp_path}/test.db", KeyRing.open(tmp_path / "master.key"), SystemClock(), on_committed=observer.committed
        )
        people = self.store.people
        people.ensure_org(ORG)
        self.users = {name: people.create_user(ORG, name, name.title(), frozenset({"agent"})) for name in ("lin", "zhou")}
        self.audits = []
        knowledge = Nothing()
        services = LiveServices(
            journal=self.store.journal, bus=self.bus, clock=SystemClock(), executor=ThreadPoolExecutor(1), knowledge=knowledge,
            intents=knowledge,
        )  # fmt: skip

        async def give(value):
            return value

        async def find_agent(org_id, name):
            user = await asyncio.to_thread(people.user_by_name, org_id, name)
            return user.user_id if user is not None else None

        async def audit(entry):
            self.audits.append(entry)

        self.desk = LiveDesk(
            node="n1",
            services=lambda _org: give(services),
            rules=lambda _org: give(BankRules()),
            masker=Masker,
            find_agent=find_agent,
            audit=audit,
            past=lambda _org, _call: give(([], {})),
        )
        self.context = SimpleNamespace(calls=self.store.calls, bus=self.bus, metrics=metrics, clock=SystemClock(), heartbeat_s=3600)

    @asynccontextmanager
    async def screen(self, name, resume=None):
        screen = Screen()
        serving = asyncio.create_task(feed_ws._serve(screen, self.context, self.users[name], resume or {}))
        await screen.until("welcome")
        try:
            yield screen
        finally:
            screen.leave()
            await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.store.close()


def said(number: int, text: str) -> TranscriptFinal:
    return TranscriptFinal(
        channel="customer", utterance_id=UtteranceId(f"customer-{number}"), start_ms=1000 * number, end_ms=1000 * number + 900, text=text,
        language="zh", confidence=0.9, timings=AsrTimings(),
    )  # fmt: skip


async def test_what_the_telephone_system_says_is_in_the_call_and_personal_values_only_in_the_vault(bench):
    handle = await bench.desk.open_call(START, INTEGRATION)
    lin = bench.users["lin"]
    call = bench.store.calls.call(scope_of(lin), CALL)
    assert (call.agent_id, call.direction, call.dnis, call.skill) == (lin.user_id, "outbound", "95588", "loans")
    assert (call.ani, call.customer_id) == ("【手机号#1】", "【客户号#1】")
    assert bench.store.calls.secrets(scope_of(lin), CALL) == {"【手机号#1】": "8613900001111", "【客户号#1】": "C-7788"}
    stored = json.dumps([str(item) for item in bench.store.calls.events(ORG, CALL)], ensure_ascii=False)
    assert "1111" not in stored
    assert "C-7788" not in stored
    await handle.end("hangup", 1000)


async def test_hold_and_resume_are_said_once_audited_and_over_with_the_call(bench):
    handle = await bench.desk.open_call(START, INTEGRATION)
    scope = scope_of(bench.users["lin"])
    await handle.hold(held=False, at_ms=50)
    await handle.hold(held=True, at_ms=100)
    await handle.hold(held=True, at_ms=200)
    assert bench.store.calls.call(scope, CALL).held
    await handle.hold(held=False, at_ms=900)
    assert not bench.store.calls.call(scope, CALL).held
    await handle.hold(held=True, at_ms=1000)
    events = [(item.event.type, item.event.at_ms) for item in bench.store.calls.events(ORG, CALL) if item.event.type != "call_started"]
    assert events == [("call_held", 100), ("call_resumed", 900), ("call_held", 1000)]
    assert [(entry.actor, entry.action, entry.target) for entry in bench.audits] == [
        ("integration:pbx", "call.hold", CALL),
        ("integration:pbx", "call.resume", CALL),
        ("integration:pbx", "call.hold", CALL),
    ]
    await handle.end("hangup", 2000)
    assert not bench.store.calls.call(scope, CALL).held
    with pytest.raises(NotFound):
        await handle.hold(held=False, at_ms=2000)


async def test_a_transfer_moves_the_call_from_one_screen_to_the_other_with_everything_said(bench):
    lin, zhou = bench.users["lin"], bench.users["zhou"]
    async with bench.screen("lin") as first, bench.screen("zhou") as second:
        handle = await bench.desk.open_call(START, INTEGRATION)
        await handle.final(said(1, "我的手机号是13800138000"))
        await first.until("utterance_final")
        assert first.saw("13800138000"), "the agent of the call sees the values"
        assert second.told[1:] == []
        await handle.transfer("zhou", at_ms=2000, reason="转给贷款专席，客户电话13700137000")
        (moved,) = await second.until("call_transferred")
        assert (moved["agent_id"], moved["from_agent_id"], moved["at_ms"]) == (zhou.user_id, lin.user_id, 2000)
        assert "13700137000" not in moved["reason"]
        assert [item["text"] for item in await second.until("utterance_final")] == ["我的手机号是【手机号#2】"]
        await second.until("secrets")
        assert second.saw("13800138000"), "so does the next one, from the beginning"
        (released,) = await first.until("call_released")
        assert (released["call_id"], released["reason"]) == (CALL, "transferred")
        before = len(first.told)
        await handle.final(said(3, "我的卡号是6222021234567890"))
        await second.until("utterance_final", 2)
        await handle.end("hangup", 5000)
        await second.until("call_ended")
        assert first.told[before:] == [], "nothing of it reaches the first agent any more"
    with pytest.raises(NotFound):
        bench.store.calls.call(scope_of(lin), CALL)
    seer = Scope(org_id=ORG, user_id=lin.user_id, roles=frozenset({"inspector"}))
    with pytest.raises(Forbidden):
        bench.store.calls.secrets(seer, CALL)
    assert bench.store.calls.secrets(scope_of(zhou), CALL)["【手机号#2】"] == "13800138000"
    (entry,) = [entry for entry in bench.audits if entry.action == "call.transfer"]
    assert (entry.actor, entry.detail) == ("integration:pbx", f"{lin.user_id} → {zhou.user_id}")


async def test_a_screen_that_was_away_during_the_transfer_is_told_to_forget(bench):
    handle = await bench.desk.open_call(START, INTEGRATION)
    await handle.transfer("zhou", at_ms=10, reason="")
    async with bench.screen("lin", resume={CALL: 1}) as screen:
        (released,) = await screen.until("call_released")
        assert released["reason"] == "out_of_scope"
        assert not [item for item in screen.told if item["type"] == "event"]
    await handle.end("hangup", 100)


async def test_a_call_that_comes_back_is_shown_from_its_beginning_without_letting_go(bench):
    handle = await bench.desk.open_call(START, INTEGRATION)
    for agent in ("zhou", "lin", "lin"):
        await handle.transfer(agent, at_ms=10, reason="")
    async with bench.screen("lin") as screen:
        assert len(await screen.until("call_transferred", 2)) == 2, "the third was no change"
        await handle.hold(held=True, at_ms=50)
        await screen.until("call_held")
        assert not [item for item in screen.told if item["type"] == "call_released"]
    await handle.end("hangup", 100)


async def test_an_unknown_agent_changes_nothing(bench):
    handle = await bench.desk.open_call(START, INTEGRATION)
    with pytest.raises(NotFound, match="username"):
        await handle.transfer("wang", at_ms=10, reason="")
    assert bench.store.calls.call(scope_of(bench.users["lin"]), CALL).agent_id == bench.users["lin"].user_id
    assert bench.audits == []
    await handle.end("hangup", 100)


async def test_a_screen_that_does_not_read_holds_up_neither_the_call_nor_another_screen(bench):
    """Its socket takes nothing from the first event on. Afterwards it gets every event once and in order; partials it may have lost."""
    stuck, reads = Screen(), asyncio.Event()
    take = stuck.send_text

    async def send_text(text: str) -> None:
        if '"type":"event"' in text:
            await reads.wait()
        await take(text)

    stuck.send_text = send_text
    serving = asyncio.create_task(feed_ws._serve(stuck, bench.context, bench.users["lin"], {}))
    await stuck.until("welcome")
    count = 400
    async with bench.screen("lin") as quick:
        handle = await bench.desk.open_call(START, INTEGRATION)
        async with asyncio.timeout(60):
            for number in range(1, count + 1):
                for _ in range(5):
                    handle.partial(
                        TranscriptPartial(
                            channel="customer", utterance_id=UtteranceId(f"customer-{number}"), start_ms=0, end_ms=10, stable="嗯",
                            unstable="", language="zh",
                        )
                    )  # fmt: skip
                await handle.final(said(number, "嗯"))
        await quick.until("utterance_final", count)
        assert not [item for item in stuck.told if item["type"] == "event"]
        reads.set()
        await stuck.until("utterance_final", count)
        seqs = [item["envelope"]["seq"] for item in stuck.told if item["type"] == "event"]
        assert seqs == list(range(1, len(seqs) + 1))
        await handle.end("hangup", 1000)
    stuck.leave()
    await asyncio.gather(serving, return_exceptions=True)
