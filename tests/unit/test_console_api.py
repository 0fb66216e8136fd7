"""Review and console over HTTP: who may, what does not exist, what a list and an export say, what is audited."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot.cli.reference import openapi
from copilot.domain.artifacts import Artifact, QaItem, QaScorecard, TicketClassification
from tests.e2e.test_api_contract import BODIES, PARAMETERS
from tests.fakes.api_bench import ApiBench
from tests.fakes.stores import ORG, said

pytestmark = pytest.mark.anyio
PREFIX = "/api/v1"
OURS = sorted(
    (method, path.removeprefix(PREFIX))
    for path, methods in openapi()["paths"].items()
    for method in methods
    if path.startswith((f"{PREFIX}/qa/", f"{PREFIX}/console/", f"{PREFIX}/notices"))
)
QA = Artifact(
    kind="qa",
    version=1,
    body=QaScorecard(
        rubric_version="1",
        score=40.0,
        fatal=False,
        items=(
            QaItem(item_id="greet", section="s", answer="pass", points=4, max_points=4),
            QaItem(item_id="verify", section="s", answer="fail", points=0, max_points=6),
        ),
    ),
)
TICKET = Artifact(kind="ticket", version=1, body=TicketClassification(level1="card", level2="loss", confidence=0.8, taxonomy_version="1"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ApiBench]:
    made = ApiBench(tmp_path)
    made.join("ann", "agent", teams=("t1",))
    made.join("ben", "agent", teams=("t2",))
    made.join("lead", "team_lead", teams=("t1",))
    made.join("qi", "inspector")
    yield made
    made.close()


async def scored(bench: ApiBench, call: str, agent: str) -> None:
    await bench.call(call, agent, said("卡丢了"), ended=True)
    bench.finish(call, QA, TICKET)
    bench.review.rounds.run(ORG)


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: PARAMETERS[match.group(1)], path)


def test_all_routes_are_looked_at() -> None:
    assert len(OURS) >= 24


@pytest.mark.parametrize(("method", "path"), OURS)
async def test_without_sign_in_nothing_is_told(bench: ApiBench, method: str, path: str) -> None:
    answer = await bench.ask(None, method, filled(path), BODIES.get(PREFIX + path))
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


@pytest.mark.parametrize(("method", "path"), [route for route in OURS if "{" in route[1]])
async def test_what_does_not_exist_is_not_found(bench: ApiBench, method: str, path: str) -> None:
    assert (await bench.ask("qi", method, filled(path), BODIES.get(PREFIX + path))).status_code == 404


async def test_the_list_has_the_facts_and_every_facet_narrows_it(bench: ApiBench) -> None:
    await scored(bench, "c1", "ann")
    await scored(bench, "c2", "ben")
    answer = (await bench.ask("qi", "GET", "/console/calls?count=true")).json()
    assert [call["call_id"] for call in answer["calls"]] == ["c2", "c1"]
    assert answer["count"] == {"calls": 2, "more_than": False}
    first = answer["calls"][1]
    assert (first["agent_name"], first["ticket_level2"], first["qa_score"], first["qa_state"]) == ("Ann", "loss", 40.0, "machine")
    for query, expected in {
        "team=t1": 1,
        "ticket=card": 2,
        "ticket=card/loss": 2,
        "ticket=/loss": 2,
        "ticket=loan": 0,
        "score=0": 2,
        "score=95": 0,
        "state=reviewed": 0,
        "risk=high": 0,
        "phase=live": 0,
        "since=2026-03-01&until=2026-03-01": 2,
        "since=2026-03-02": 0,
    }.items():
        found = (await bench.ask("qi", "GET", f"/console/calls?{query}")).json()["calls"]
        assert len(found) == expected, query
    assert [call["call_id"] for call in (await bench.ask("lead", "GET", "/console/calls")).json()["calls"]] == ["c1"]
    assert [call["call_id"] for call in (await bench.ask("ben", "GET", "/console/calls")).json()["calls"]] == ["c2"]
    paged = (await bench.ask("qi", "GET", "/console/calls?limit=1")).json()
    rest = (await bench.ask("qi", "GET", f"/console/calls?limit=1&cursor={paged['next_cursor']}")).json()
    assert ([call["call_id"] for call in rest["calls"]], rest["next_cursor"]) == (["c1"], None)
    for wrong in ("cursor=nonsense", "score=50", "risk=x", "since=soon", "limit=0"):
        assert (await bench.ask("qi", "GET", f"/console/calls?{wrong}")).status_code == 422, wrong


async def test_figures_and_facets_follow_the_scope(bench: ApiBench) -> None:
    await scored(bench, "c1", "ann")
    await scored(bench, "c2", "ben")
    found = (await bench.ask("qi", "GET", "/console/overview?days=1")).json()
    assert (found["total"]["calls"], found["total"]["scored"], found["total"]["mean_score"], found["total"]["below60"]) == (2, 2, 40.0, 2)
    assert found["topics"] == [{"key": "loss", "calls": 2, "before": 0, "high_risk": 0}]
    own = (await bench.ask("lead", "GET", "/console/overview?days=1")).json()
    assert own["total"]["calls"] == 1
    teams = (await bench.ask("lead", "GET", "/console/teams?days=1")).json()
    assert ([team["key"] for team in teams["teams"]], [agent["name"] for agent in teams["agents"]]) == (["t1"], ["Ann"])
    facets = (await bench.ask("qi", "GET", "/console/facets?since=2026-03-01&until=2026-03-01")).json()
    assert [(team["key"], team["calls"]) for team in facets["teams"]] == [("t1", 1), ("t2", 1)]
    for path in ("/console/overview", "/console/teams", "/console/calls/export"):
        assert (await bench.ask("ann", "GET", path)).status_code == 403


async def test_an_export_is_what_the_list_shows_and_is_audited(bench: ApiBench) -> None:
    await scored(bench, "c1", "ann")
    await scored(bench, "c2", "ben")
    answer = await bench.ask("qi", "GET", "/console/calls/export?team=t1&format=csv&locale=en")
    head, row = csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    assert (head[0], row[0], row[3], row[9]) == ("Call", "c1", "Ann", "40")
    assert row[1] == "2026-03-01 17:00:00", "the bank's clock"
    assert "卡丢了" not in answer.text
    assert (await bench.ask("qi", "GET", "/console/calls/export?format=xlsx")).content[:2] == b"PK"
    printed = await bench.ask("qi", "GET", "/console/calls/export?format=html")
    assert printed.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    exports = [(entry.target, entry.detail) for entry in bench.audited() if entry.action == "calls.export"]
    assert exports == [("csv", "team=t1"), ("xlsx", ""), ("html", "")]


async def test_a_review_over_http_is_masked_counted_and_told(bench: ApiBench) -> None:
    await scored(bench, "c1", "ann")
    review = (await bench.ask("qi", "POST", "/qa/reviews", {"call_id": "c1"})).json()
    path = f"/qa/reviews/{review['review_id']}"
    assert (await bench.ask("ann", "POST", f"{path}/claim")).status_code == 403
    assert (await bench.ask("qi", "POST", f"{path}/claim")).json()["assigned_name"] == "Qi"
    sheet = (await bench.ask("qi", "GET", path)).json()
    assert (sheet["qa_version"], sheet["machine"]["score"]) == (1, 40.0)
    body = {"qa_version": 1, "answers": [{"item_id": "verify", "answer": "pass", "reason": "回拨 13800138000 核实"}], "comment": ""}
    verdict = (await bench.ask("qi", "POST", f"{path}/submit", body)).json()
    assert (verdict["score"], verdict["reviewer_name"]) == (100.0, "Qi")
    history = (await bench.ask("ann", "GET", "/qa/calls/c1/history")).json()
    assert "13800138000" not in str(history)
    assert history["appeal_until"] is not None
    assert (await bench.ask("ben", "GET", "/qa/calls/c1/history")).status_code == 404
    told = (await bench.ask("ann", "GET", "/notices")).json()
    assert (told["unread"], told["notices"][0]["kind"]) == (1, "score.reviewed")
    assert (await bench.ask("ann", "POST", "/notices/read", {"ids": None})).json() == {"read": 1}
    assert (await bench.ask("qi", "POST", "/notices/read", {"ids": None})).json() == {"read": 0}
    assert (await bench.ask("qi", "GET", "/console/calls?state=reviewed")).json()["calls"][0]["qa_score"] == 100.0
