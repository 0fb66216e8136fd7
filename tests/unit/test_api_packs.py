"""Packs over HTTP: who sees, writes and publishes; faults and conflicts as a page needs them; dry runs with the words they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from copilot.assembly.dry_runs import carry_out
from copilot.live.packs import RulesCache
from copilot.settings import Settings
from loadtest.call_set import BANK
from postcall.packs import parse_packs
from postcall.qa.score import score
from tests.fakes.api_bench import ApiBench
from tests.fakes.stores import ORG, said

pytestmark = pytest.mark.anyio
RULES = (BANK / "compliance.yaml").read_text(encoding="utf-8")
DRAFT = RULES.replace("severity: warn", "severity: critical", 1)
READERS = {"qi", "qa", "qa2", "ed", "lead", "aud"}
WRITERS = {"qi", "qa", "qa2", "ed"}
CALL_READERS = {"qi", "qa", "qa2"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ApiBench]:
    made = ApiBench(tmp_path)
    roles = {"ann": "agent", "qi": "inspector", "qa": "qa_lead", "qa2": "qa_lead", "ed": "editor", "lead": "team_lead", "aud": "auditor"}
    for name, role in roles.items():
        made.join(name, role)  # type: ignore[arg-type]
    made.store.articles(ORG).put_pack("compliance", "*", RULES)
    yield made
    made.close()


async def ok(bench: ApiBench, who: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await bench.ask(who, method, path, body)
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [
        ("GET", "/packs", None, READERS),
        ("GET", "/packs/compliance/versions", None, READERS),
        ("GET", "/packs/compliance/versions/1", None, READERS),
        ("GET", "/packs/compliance/versions/1/diff", None, READERS),
        ("POST", "/packs/compliance/check", {"text": RULES}, READERS),
        ("POST", "/packs/compliance/drafts", {"text": DRAFT}, WRITERS),
        ("GET", "/packs/compliance/dry-runs", None, CALL_READERS),
        ("POST", "/packs/compliance/versions/1/dry-runs", {}, CALL_READERS),
    ],
)
async def test_who_may(bench: ApiBench, method: str, path: str, body: Any, allowed: set[str]) -> None:
    for who in bench.people:
        answer = await bench.ask(who, method, path, body)
        assert (answer.status_code < 400) == (who in allowed), f"{who}: {answer.text}"
        assert answer.status_code < 400 or answer.status_code == 403


async def test_from_a_draft_to_what_new_calls_are_judged_by(bench: ApiBench) -> None:
    rules = RulesCache(bench.store.articles(ORG))
    assert {rule.pack_version for rule in rules.current().compliance} == {1}
    draft = await ok(bench, "qi", "POST", "/packs/compliance/drafts", {"text": RULES, "note": "stricter"}, 201)
    assert (draft["version"], draft["state"], draft["author_name"], draft["may_publish"]) == (2, "draft", "Qi", False)
    at = "/packs/compliance/versions/2"
    saved = await ok(bench, "qi", "POST", f"{at}/save", {"text": DRAFT, "note": "stricter", "revision": 1, "base_version": 1})
    assert saved["revision"] == 2
    stale = await bench.ask("qi", "POST", f"{at}/save", {"text": RULES, "revision": 1, "base_version": 1})
    assert (stale.status_code, stale.json()["stored"]["revision"]) == (409, 2)
    diff = await ok(bench, "qa", "GET", f"{at}/diff")
    assert [(piece["op"], piece["text"]) for piece in diff["pieces"] if piece["op"] != "same"] == [
        ("removed", "warn"),
        ("added", "critical"),
    ]
    overview = await ok(bench, "qa", "GET", "/packs")
    (row,) = [pack for pack in overview["packs"] if pack["name"] == "compliance"]
    assert (row["published"]["version"], [found["version"] for found in row["drafts"]], row["may_publish"]) == (1, [2], True)
    assert (await ok(bench, "qa", "GET", at))["version"]["may_publish"]
    assert (await bench.ask("qi", "POST", f"{at}/publish", {"revision": 2})).status_code == 403
    published = await ok(bench, "qa", "POST", f"{at}/publish", {"revision": 2})
    assert (published["state"], published["publisher_name"]) == ("published", "Qa")
    assert {rule.pack_version for rule in rules.current().compliance} == {2}, "the next call is judged by it, without a restart"
    listed = (await ok(bench, "aud", "GET", "/packs/compliance/versions"))["versions"]
    assert [(found["version"], found["state"], found["note"]) for found in listed] == [(2, "published", "stricter"), (1, "superseded", "")]
    assert [entry.action for entry in bench.audited()][-2:] == ["pack.draft", "pack.publish"]


async def test_a_draft_with_faults_is_kept_but_neither_published_nor_tried(bench: ApiBench) -> None:
    broken = RULES.replace("severity: warn", "severity: loud", 1)
    found = await ok(bench, "qi", "POST", "/packs/compliance/check", {"text": broken})
    (fault,) = found["faults"]
    assert (fault["line"] > 1, fault["column"], fault["path"][0]) == (True, 5, "rules")
    assert found["outline"] == []
    whole = (await ok(bench, "qi", "POST", "/packs/compliance/check", {"text": RULES}))["outline"]
    assert RULES.splitlines()[whole[0]["line"] - 1] == f"  - id: {whole[0]['id']}"
    await ok(bench, "qi", "POST", "/packs/compliance/drafts", {"text": broken}, 201)
    for path, body in (("publish", {"revision": 1}), ("dry-runs", {})):
        answer = await bench.ask("qa", "POST", f"/packs/compliance/versions/2/{path}", body)
        assert (answer.status_code, answer.json()["faults"]) == (422, found["faults"])
    await ok(bench, "qi", "POST", "/packs/compliance/versions/2/discard")
    assert (await bench.ask("qa", "POST", "/packs/compliance/versions/2/publish", {"revision": 1})).status_code in (409, 422)
    assert (await bench.ask("qa", "POST", "/packs/compliance/versions/2/dry-runs", {})).status_code in (409, 422)


async def test_a_dry_run_with_progress_result_and_the_words_it_rests_on(bench: ApiBench, tmp_path: Path) -> None:
    promise = replace(said("您放心，稳赚不赔，保本保收益"), utterance_id="agent-1", channel="agent")
    await bench.call("c1", "ann", promise, ended=True)
    await bench.call("c2", "ann", said("你好"), ended=True)
    lines = [line for line in RULES.splitlines() if line.startswith("  - id: promise")]
    draft = RULES
    for number, line in enumerate(lines):
        draft = draft.replace(f"{line}\n", f"  - id: other-{number}\n", 1)
    await ok(bench, "qi", "POST", "/packs/compliance/drafts", {"text": draft}, 201)
    at = "/packs/compliance/versions/2"
    run = await ok(bench, "qi", "POST", f"{at}/dry-runs", {"limit": 50, "since": "2026-02-01", "language": "zh"}, 202)
    assert (run["state"], run["choice"]["limit"], run["choice"]["language"]) == ("queued", 50, "zh")
    assert "T16:00:00" in run["choice"]["since"], "days are the bank's"
    carry_out(Settings(data_dir=tmp_path), bench.store, ORG, run["run_id"])
    done = await ok(bench, "qa", "GET", f"/dry-runs/{run['run_id']}")
    assert (done["state"], done["done"], done["result"]["calls"], done["result"]["changed"]) == ("done", 2, 2, 1)
    page = await ok(bench, "qa", "GET", f"/dry-runs/{run['run_id']}/calls")
    (call,) = page["calls"]
    assert (call["call_id"], call["agent_name"], page["next"]) == ("c1", "Ann", None)
    places = {place for change in call["changes"] for place in (*change["before_evidence"], *change["after_evidence"])}
    assert places == {"agent-1"}
    assert call["words"]["agent-1"]["text"] == promise.text
    key = call["changes"][0]["key"]
    assert len((await ok(bench, "qa", "GET", f"/dry-runs/{run['run_id']}/calls?key={key}"))["calls"]) == 1
    assert (await ok(bench, "qa", "GET", f"/dry-runs/{run['run_id']}/calls?key=nothing"))["calls"] == []
    bench.store.calls.erase_call(ORG, "c1", "cli")  # type: ignore[arg-type]
    assert all(not row["words"] for row in (await ok(bench, "qa", "GET", f"/dry-runs/{run['run_id']}/calls"))["calls"])
    assert (await bench.ask("qa", "POST", f"/dry-runs/{run['run_id']}/cancel")).status_code == 409
    second = await ok(bench, "qi", "POST", f"{at}/dry-runs", {}, 202)
    assert (await ok(bench, "qa", "POST", f"/dry-runs/{second['run_id']}/cancel"))["state"] == "cancelled"
    carry_out(Settings(data_dir=tmp_path), bench.store, ORG, second["run_id"])
    assert (await ok(bench, "qa", "GET", f"/dry-runs/{second['run_id']}"))["result"] is None
    runs = (await ok(bench, "qa", "GET", "/packs/compliance/dry-runs"))["runs"]
    assert {found["run_id"] for found in runs} == {run["run_id"], second["run_id"]}
    assert all("result" not in found for found in runs)
    actions = [entry.action for entry in bench.audited() if entry.action.startswith("pack.dry_run")]
    assert actions == ["pack.dry_run", "pack.dry_run", "pack.dry_run_cancel"]


@pytest.mark.parametrize("body", [{"limit": 1001}, {"limit": 0}, {"language": "fr"}, {"since": "soon"}])
async def test_a_choice_that_is_none(bench: ApiBench, body: dict[str, Any]) -> None:
    assert (await bench.ask("qa", "POST", "/packs/compliance/versions/1/dry-runs", body)).status_code == 422


def test_what_is_judged_says_by_which_version() -> None:
    texts = [(BANK / f"{name}.yaml").read_text(encoding="utf-8") for name in ("taxonomy", "rubric", "intents")]
    packs = parse_packs(*texts, versions={"rubric": 7, "taxonomy": 3})
    assert score(packs.rubric, [], "zh", ()).pack_version == 7
    assert packs.taxonomy.pack_version == 3
