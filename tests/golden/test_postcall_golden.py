"""After-call work on the committed gold transcripts: ticket exact, the named rubric items with their evidence, the summary's points."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.gold import check_qa
from postcall.run import Tools, run_all
from postcall.turns import turns_from_json
from tests.fakes.celery_target import sample_packs

SCENARIOS = Path(__file__).resolve().parents[2] / "loadtest" / "scenarios"
GOLD = sorted(path for path in SCENARIOS.glob("*/gold.json"))
TOOLS = Tools(packs=sample_packs())


def gold_of(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def result_of(gold: dict[str, Any]) -> dict[str, Any]:
    return run_all(turns_from_json(gold["turns"]), gold["language"], TOOLS)


@pytest.mark.parametrize("path", GOLD, ids=lambda path: path.parent.name)
def test_the_ticket_and_the_named_items_are_those_of_the_gold(path: Path) -> None:
    gold = gold_of(path)
    result = result_of(gold)
    assert {key: result["ticket"][key] for key in ("level1", "level2")} == gold["ticket"]
    checks = check_qa(gold, result["scorecard"])
    assert len(checks) == len(gold["qa"])
    assert [check for check in checks if not check.passed] == []


@pytest.mark.parametrize("path", GOLD, ids=lambda path: path.parent.name)
def test_every_need_of_the_gold_is_a_problem_of_the_summary(path: Path) -> None:
    gold = gold_of(path)
    turns = turns_from_json(gold["turns"])
    by_start = {turn.start_ms: turn.utterance_id for turn in turns}
    wanted = {by_start[gold["turns"][need["turn"]]["start_ms"]] for need in gold["needs"]}
    cited = {name for problem in result_of(gold)["summary"]["problems"] for name in problem["utterance_ids"]}
    assert wanted <= cited


def test_the_demo_summary_covers_what_happened() -> None:
    summary = result_of(gold_of(SCENARIOS / "demo" / "gold.json"))["summary"]
    told = {
        part: "；".join(statement["text"] for statement in summary[part]) for part in ("problems", "actions", "commitments", "follow_ups")
    }
    assert all(words in told["problems"] for words in ("刷了三千块", "征信", "境外交易", "短信提醒"))
    assert all(words in told["actions"] for words in ("核实客户身份：姓名、卡号、预留手机号", "冻结", "登记", "先不还", "三块钱"))
    assert "五到七个工作日" in told["commitments"]
    assert all(words in told["follow_ups"] for words in ("短信通知", "夜间锁"))
    assert "追回" not in str(summary)
    assert len(summary["overall"]) < 250


def test_another_call_gives_another_result() -> None:
    results = [result_of(gold_of(path)) for path in GOLD]
    assert len({result["ticket"]["level2"] for result in results}) == len(GOLD) > 1
    assert len({result["summary"]["overall"] for result in results}) == len(GOLD)
