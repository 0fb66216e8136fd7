"""Live alerts beside those of the finished transcript: what both found, what one found alone, in a call that is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from copilot.domain.errors import Conflict, NotFound
from copilot.domain.events import CallEnded
from copilot.live.rule_monitor import evaluate
from copilot.live.rules import parse_compliance
from copilot.review.rule_comparison import RuleComparison, compared, finished
from loadtest import call_set
from postcall.turns import turns_from_json
from tests.fakes.stores import ORG, make_store, said, sqlite_url, started

pytestmark = pytest.mark.anyio
LINES = [
    {"channel": "customer", "start_ms": 0, "end_ms": 3000, "text": "这个理财会不会亏"},
    {"channel": "agent", "start_ms": 3500, "end_ms": 6000, "text": "您放心，稳赚不赔，保本保收益"},
]
END = CallEnded(reason="hangup", duration_ms=8000)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def rules_text() -> str:
    return (call_set.BANK / "compliance.yaml").read_text(encoding="utf-8")


def test_what_both_found_and_what_one_found_alone() -> None:
    alerts = evaluate(parse_compliance(rules_text()), turns_from_json(LINES), "zh", end_ms=8000)
    assert alerts
    rule, place = alerts[0].rule_id, alerts[0].utterance_id
    assert all(one.both and not one.live and not one.after for one in compared(alerts, alerts))
    (only_live,) = compared(alerts[:1], [])
    assert (only_live.rule_id, only_live.live, only_live.both, only_live.after) == (rule, (place,), (), ())
    (only_after,) = compared([], [*alerts[:1], *alerts[:1]])
    assert only_after.after == (place,)
    moved = replace(alerts[0], utterance_id="agent-9")
    first = compared([alerts[0], *alerts[1:]], [moved, *alerts[1:]])[0]
    assert (first.rule_id, first.live, first.after) == (rule, (place,), ("agent-9",)), "what differs comes first"
    assert compared([], []) == ()


async def test_a_stored_call_is_compared_for_those_who_may_see_it_when_it_is_over(tmp_path: Path) -> None:
    store = make_store(sqlite_url(tmp_path), tmp_path)
    people = {
        name: store.people.create_user(ORG, name, name, [role], user_id=name)  # type: ignore[list-item, arg-type]
        for name, role in (("u1", "agent"), ("u2", "agent"), ("qi", "inspector"))
    }
    store.articles(ORG).put_pack("compliance", "*", rules_text())
    comparison = RuleComparison(store.calls, store.articles)
    opened = await store.journal.open(ORG, "c", "node")  # type: ignore[arg-type]
    promise = replace(said("您放心，稳赚不赔，保本保收益"), utterance_id="agent-1", channel="agent")
    await store.journal.append(ORG, opened, [started("u1", datetime(2026, 3, 1, tzinfo=UTC)), promise])
    with pytest.raises(Conflict, match="live"):
        comparison.of_call(people["qi"], "c")  # type: ignore[arg-type]
    await store.journal.append(ORG, opened, [END])
    outcomes = comparison.of_call(people["qi"], "c")  # type: ignore[arg-type]
    assert outcomes
    assert {(one.after, one.live, one.both) for one in outcomes if one.rule_id.startswith("promise")} == {(("agent-1",), (), ())}
    assert comparison.of_call(people["u1"], "c") == outcomes  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        comparison.of_call(people["u2"], "c")  # type: ignore[arg-type]
    language, turns, holds, end_ms = finished(store.calls.events(ORG, "c"))  # type: ignore[arg-type]
    assert (language, len(turns), holds, end_ms) == ("zh", 1, [], 8000)
    store.close()
