"""The live board: who sees which calls, what a row says, and that it is right whatever the bus loses."""

from __future__ import annotations

import json

import pytest

from copilot.bus.local import LocalBus
from copilot.domain.events import CallHeld, CallResumed, CallTransferred, ComplianceAlerted, IntentDetected, MoodChanged
from copilot.domain.ids import CallId
from copilot.domain.people import scope_of
from tests.fakes.api_bench import ApiBench
from tests.fakes.stores import ORG, said

pytestmark = pytest.mark.anyio


def alert(severity: str, number: int = 1) -> ComplianceAlerted:
    return ComplianceAlerted(
        rule_id=f"rule-{number}", kind="forbidden", severity=severity, channel="agent", utterance_id="agent-1", quote="一定能追回"
    )


def mood(name: str, risk: float, turn: int = 1) -> MoodChanged:
    return MoodChanged(
        customer_turn=turn, utterance_id="customer-1", at_ms=1000, mood=name, confidence=0.8, trend="rising", complaint_risk=risk
    )


@pytest.fixture
def bench(tmp_path):
    bench = ApiBench(tmp_path)
    bench.join("lin", "agent", teams=("cards",))
    bench.join("zhou", "agent", teams=("loans",))
    bench.join("lead", "team_lead", teams=("cards",))
    bench.join("inspector", "inspector")
    yield bench
    bench.close()


def shown(screen) -> dict[str, dict]:
    """The board as the screen has it after every message so far."""
    rows: dict[str, dict] = {}
    for message in screen.told:
        if message["type"] == "board":
            if message["reset"]:
                rows.clear()
            rows |= {row["call_id"]: row for row in message["rows"]}
            for call_id in message["gone"]:
                rows.pop(call_id, None)
    return rows


async def until(screen, true) -> dict[str, dict]:
    count = 0
    while not true(shown(screen)):
        count += 1
        await screen.until("board", count)
    return shown(screen)


async def test_a_board_shows_the_running_calls_of_its_scope_and_what_happens_to_them(bench):
    await bench.call("c1", "lin", mood("calm", 0.1), alert("warn"))
    await bench.call("over", "lin", ended=True)
    await bench.call("l1", "zhou")
    async with bench.screen("lead") as screen:
        screen.say(type="board", on=True)
        rows = await until(screen, lambda rows: rows)
        assert set(rows) == {"c1"}, "neither another team's nor one that is over"
        assert (rows["c1"]["mood"], rows["c1"]["alerts"], rows["c1"]["agent_name"]) == ("calm", {"warn": 1}, "Lin")
        before = rows["c1"]["risk"]

        calls = bench.store.calls
        for event in (mood("angry", 0.7, 2), alert("critical", 2), CallHeld(at_ms=5000)):
            calls.append(ORG, CallId("c1"), event)
        rows = await until(screen, lambda rows: rows["c1"]["held_since"] is not None)
        row = rows["c1"]
        assert (row["mood"], row["mood_trend"], row["alerts"], row["last_rule"]) == (
            "angry",
            "rising",
            {"warn": 1, "critical": 1},
            "rule-2",
        )
        assert row["risk"] == pytest.approx(1 - 0.3 * 0.75 * 0.4 * 0.85, abs=0.001)
        assert row["risk"] > before
        calls.append(ORG, CallId("c1"), CallResumed(at_ms=9000))
        calls.append(ORG, CallId("c1"), IntentDetected(utterance_id="customer-1", intent="card_fraud", confidence=0.9))
        rows = await until(screen, lambda rows: rows["c1"]["intent"] == "card_fraud")
        assert rows["c1"]["held_since"] is None

        await bench.call("c2", "lin")
        await until(screen, lambda rows: "c2" in rows)
        await bench.call("l2", "zhou")
        # Goes to another team: gone here. Comes from another team: here from now on.
        calls.append(ORG, CallId("c2"), CallTransferred(agent_id=bench.people["zhou"].user_id, from_agent_id=None, at_ms=1))
        calls.append(ORG, CallId("l1"), CallTransferred(agent_id=bench.people["lin"].user_id, from_agent_id=None, at_ms=1))
        rows = await until(screen, lambda rows: "l1" in rows and "c2" not in rows)
        assert set(rows) == {"c1", "l1"}
        bench.store.calls.close_interrupted("node")
        await until(screen, lambda rows: not rows)
        assert not screen.saw("一定能追回"), "nothing that was said is on the board"


async def test_the_board_is_for_supervisors_and_leaves_an_audit_line(bench):
    async with bench.screen("lin") as screen:
        screen.say(type="board", on=True)
        [refused] = await screen.until("problem")
        assert refused["title"] == "Forbidden"
    await bench.call("c1", "lin")
    await bench.call("l1", "zhou")
    async with bench.screen("inspector") as screen:
        screen.say(type="board", on=True)
        assert set(await until(screen, lambda rows: rows)) == {"c1", "l1"}
        screen.say(type="board", on=False)
        screen.say(type="watch", call_id="c1", after_seq=0)
        await screen.until("call_opened")
        count = len([item for item in screen.told if item["type"] == "board"])
        bench.store.calls.append(ORG, CallId("c1"), alert("critical"))
        await screen.until("compliance_alerted")
        assert len([item for item in screen.told if item["type"] == "board"]) == count
    opened = [entry.actor for entry in bench.audited() if entry.action == "board.opened"]
    assert opened == [bench.people["inspector"].user_id]


async def test_what_the_bus_loses_is_read_from_the_store(tmp_path):
    """A queue of two messages, and a screen that reads slowly: alerts are counted once each all the same."""
    bench = ApiBench(tmp_path, bus=LocalBus(queue_size=2))
    bench.join("lin", "agent")
    bench.join("inspector", "inspector")
    await bench.call("c1", "lin")
    async with bench.screen("inspector") as screen:
        screen.say(type="board", on=True)
        await until(screen, lambda rows: rows)
        for number in range(30):
            bench.store.calls.append(ORG, CallId("c1"), alert("info", number))
            bench.store.calls.append(ORG, CallId("c1"), said("嗯", number + 1))
        rows = await until(screen, lambda rows: rows["c1"]["alerts"].get("info", 0) >= 30)
        assert rows["c1"]["alerts"] == {"info": 30}
    bench.close()


async def test_rows_of_the_store_and_rows_kept_from_the_bus_are_the_same(bench):
    await bench.call("c1", "lin", mood("anxious", 0.4), alert("warn"), CallHeld(at_ms=1))
    async with bench.screen("inspector") as screen:
        screen.say(type="board", on=True)
        await until(screen, lambda rows: rows)
        for event in (CallResumed(at_ms=2), alert("critical"), mood("calm", 0.2, 2)):
            bench.store.calls.append(ORG, CallId("c1"), event)
        kept = (await until(screen, lambda rows: rows["c1"]["mood"] == "calm"))["c1"]
    from copilot.codec import to_json

    stored = to_json(bench.store.board.rows(scope_of(bench.people["inspector"]))[CallId("c1")])
    assert {key: kept[key] for key in stored} == json.loads(json.dumps(stored))
