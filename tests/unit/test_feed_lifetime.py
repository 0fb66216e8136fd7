"""How long a screen may watch: until its session ends; ended calls give way to new ones. Watching leaves a line in the audit trail."""

from __future__ import annotations

import asyncio

import pytest

from copilot.api import feed_ws
from copilot.domain.errors import Unauthenticated
from copilot.domain.ids import CallId
from copilot.domain.people import scope_of
from tests.fakes.api_bench import ApiBench
from tests.fakes.stores import ORG, said

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path):
    bench = ApiBench(tmp_path)
    bench.join("lin", "agent", teams=("cards",))
    bench.join("lead", "team_lead", teams=("cards",))
    yield bench
    bench.close()


async def ended_by(screen) -> BaseException:
    """What the feed ended with."""
    async with asyncio.timeout(20):
        with pytest.raises(BaseExceptionGroup) as caught:
            await screen.serving
    return caught.value.exceptions[0]


async def test_signing_out_closes_the_screens_of_that_session_and_no_other(bench):
    await bench.call("c1", "lin")
    async with bench.screen("lin") as first:
        bench.sessions["again"] = bench.store.signin.start_session(bench.people["lin"])
        bench.people["again"] = bench.people["lin"]
        async with bench.screen("again") as second:
            assert (await bench.ask("lin", "POST", "/auth/logout")).status_code == 204
            assert isinstance(await ended_by(first), Unauthenticated)
            bench.store.calls.append(ORG, CallId("c1"), said("还在吗"))
            await second.until("utterance_final")


async def test_a_heartbeat_finds_out_what_nobody_said_here(bench, monkeypatch):
    object.__setattr__(bench.context, "heartbeat_s", 0.05)
    async with bench.screen("lin") as screen:
        await screen.until("heartbeat")
        bench.store.signin.logout_everywhere(ORG, bench.people["lin"].user_id, actor="admin")
        assert isinstance(await ended_by(screen), Unauthenticated)


async def test_watching_another_persons_call_leaves_one_audit_line_a_screen(bench):
    await bench.call("c1", "lin")
    async with bench.screen("lin"), bench.screen("lead") as screen:
        for _ in range(2):
            screen.say(type="watch", call_id="c1", after_seq=0)
        await screen.until("call_opened", 2)
    lines = [(entry.actor, entry.target) for entry in bench.audited() if entry.action == "call.watched"]
    assert lines == [(bench.people["lead"].user_id, "c1")]


async def test_ended_calls_give_way_and_live_ones_do_not(bench, monkeypatch):
    monkeypatch.setattr(feed_ws, "MAX_WATCHED", 2)
    await bench.call("old", "lin", ended=True)
    await bench.call("live", "lin")
    await bench.call("new", "lin")
    await bench.call("more", "lin")
    async with bench.screen("lead") as screen:
        screen.say(type="watch", call_id="old", after_seq=0)
        screen.say(type="watch", call_id="live", after_seq=0)
        screen.say(type="watch", call_id="new", after_seq=0)
        [released] = await screen.until("call_released")
        assert (released["call_id"], released["reason"]) == ("old", "ended")
        screen.say(type="watch", call_id="more", after_seq=0)
        [refused] = await screen.until("problem")
        assert "stop watching" in refused["detail"]
        # One of the two ends: there is room again.
        opened = {call.call_id: call for call in bench.store.calls.calls(scope_of(bench.people["lead"]))}
        assert opened["live"].phase == "live"
        bench.store.calls.close_interrupted("node")
        await screen.until("call_ended", 2)
        screen.say(type="watch", call_id="more", after_seq=0)
        await screen.until("call_released", 2)


async def test_a_new_call_of_a_full_screen_takes_the_place_of_an_ended_one(bench, monkeypatch):
    monkeypatch.setattr(feed_ws, "MAX_WATCHED", 3)
    async with bench.screen("lin") as screen:
        for number in range(8):
            call_id = await bench.call(f"c{number}", "lin", ended=True)
            bench.bus.publish(f"agent/{ORG}/{bench.people['lin'].user_id}", f'{{"call_id":"{call_id}"}}')
            await screen.until("call_ended", number + 1)
    opened = [item["call"]["call_id"] for item in screen.told if item["type"] == "call_opened"]
    assert opened == [f"c{number}" for number in range(8)]
