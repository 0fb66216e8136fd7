"""Dry runs of drafts over stored calls: what changes, agreement with people, live against after the call; in a process of its own too."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from copilot.assembly import dry_runs
from copilot.assembly.after_call import worker_environment
from copilot.assembly.dry_runs import DryRunner, calls_of
from copilot.domain.artifacts import Artifact, TicketClassification
from copilot.domain.errors import InvalidInput
from copilot.domain.events import CallEnded, ComplianceAlerted, IntentDetected, WrapUpSubmitted
from copilot.domain.people import User
from copilot.live.rule_monitor import evaluate
from copilot.live.rules import parse_compliance
from copilot.review.agreement import agreement
from copilot.review.scorecard import HumanAnswer
from copilot.settings import Settings
from copilot.store.store import Store
from loadtest.call_set import BANK
from postcall.dry_run import Case, Judgement, Tally, by_taxonomy
from postcall.packs import parse_taxonomy
from postcall.run import Tools, produce
from postcall.turns import Transcript, transcript_of, turns_from_json
from tests.fakes.api_bench import ApiBench
from tests.fakes.celery_target import sample_packs
from tests.fakes.stores import ORG, said, sqlite_url, started

pytestmark = pytest.mark.anyio
RUBRIC, RULES, TAXONOMY, SOP = ((BANK / f"{name}.yaml").read_text(encoding="utf-8") for name in ("rubric", "compliance", "taxonomy", "sop"))
TOOLS = Tools(packs=sample_packs())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def go_on(_done: int, _total: int) -> bool:
    return True


# Pure


def judged(answers: dict[str, str], score: float | None = None, **evidence: tuple[str, ...]) -> Judgement:
    return Judgement(answers=answers, evidence=evidence, score=score)  # type: ignore[arg-type]


def case(**more: Any) -> Case:
    return Case(call_id="c", transcript=Transcript(language="zh", turns=()), **more)  # type: ignore[arg-type]


def test_answers_that_change_are_counted_and_equal_ones_are_not() -> None:
    tally = Tally(pack="rubric")
    assert tally.add(case(), judged({"a": "pass", "b": "na"}, 100.0), judged({"a": "pass", "b": "na"}, 100.0)) is None
    change = tally.add(case(), judged({"a": "pass"}, 100.0, a=("u1",)), judged({"a": "fail", "new": "pass"}, 40.0))
    assert change == {
        "before_score": 100.0,
        "after_score": 40.0,
        "changes": [
            {"key": "a", "before": "pass", "after": "fail", "before_evidence": ["u1"], "after_evidence": []},
            {"key": "new", "before": None, "after": "pass", "before_evidence": [], "after_evidence": []},
        ],
    }
    found = tally.result()
    assert (found["calls"], found["changed"]) == (2, 1)
    lines = {line["key"]: line for line in found["lines"]}
    assert lines["a"] == {"key": "a", "before": {"pass": 2}, "after": {"pass": 1, "fail": 1}, "changed": 1}
    assert lines["b"]["changed"] == 0
    assert found["score"] == {"before": 100.0, "after": 70.0, "lower": 1, "higher": 0}
    assert found["agreement"] is None, "nobody has reviewed these calls"


def test_a_question_that_counts_otherwise_has_changed_though_its_answer_has_not() -> None:
    tally = Tally(pack="rubric")
    before = Judgement(answers={"a": "fail", "b": "pass"}, evidence={}, score=50.0, stakes={"a": (4.0, False, 0.0), "b": (4.0, False, 0.0)})
    after = replace(before, score=0.0, stakes={"a": (4.0, True, 0.0), "b": (4.0, False, 0.0)})
    change = tally.add(case(), before, after)
    assert change is not None
    ((one),) = change["changes"]
    assert (one["key"], one["before"], one["after"]) == ("a", "fail", "fail")
    assert (one["before_stake"]["fatal"], one["after_stake"]["fatal"]) == (False, True)
    assert {line["key"]: line["changed"] for line in tally.result()["lines"]} == {"a": 1, "b": 0}


def test_agreement_with_people_is_that_of_the_review_package() -> None:
    tally = Tally(pack="rubric")
    people = ["pass", "fail", "fail", "pass", "na"]
    before = ["pass", "pass", "fail", "pass", "na"]
    after = ["pass", "fail", "fail", "fail", "na"]
    for person, old, new in zip(people, before, after, strict=True):
        tally.add(case(human={"a": person, "gone": "pass"}), judged({"a": old}, 1.0), judged({"a": new}, 1.0))
    found = tally.result()["agreement"]
    assert found["calls"] == 5
    for side, answers in (("before", before), ("after", after)):
        wanted = agreement(list(zip(answers, people, strict=True)))
        assert found["questions"]["a"][side]["kappa"] == wanted.kappa
        assert found["questions"]["a"][side]["percent"] == wanted.percent == found["overall"][side]["percent"]
    assert found["questions"]["gone"]["after"]["pairs"] == 0, "a question that the draft no longer asks is compared with nobody"


def test_alerts_live_and_after_the_call_add_up() -> None:
    tally = Tally(pack="compliance")
    same = judged({"r": "2", "s": "0"}, r=("u1", "u2"))
    tally.add(case(live={"r": frozenset({"u2", "u3"}), "old": frozenset({"u9"})}), same, same)  # type: ignore[dict-item]
    tally.add(case(), judged({"r": "1"}, r=("u1",)), judged({"r": "1"}, r=("u5",)))
    found = tally.result()
    lines = {line["key"]: line for line in found["live"]}
    wanted = {"live": 2, "after": 3, "both": 1, "only_live": 1, "only_after": 2, "calls": 2, "calls_differing": 2}
    assert lines["r"] == {"key": "r", **wanted}
    assert (lines["old"]["only_live"], lines["old"]["after"]) == (1, 0), "a rule that is gone still alerted"
    assert lines["s"]["calls"] == 0
    assert found["changed"] == 1, "as many alerts at another place are a change"
    for line in found["live"]:
        assert line["live"] == line["both"] + line["only_live"]
        assert line["after"] == line["both"] + line["only_after"]


def test_a_ticket_leaves_one_category_and_enters_another() -> None:
    lost = [{"channel": "customer", "start_ms": 0, "end_ms": 3000, "text": "我的信用卡丢了，要挂失"}]
    transcript = Transcript(language="zh", turns=tuple(turns_from_json(lost)))
    held = replace(case(), transcript=transcript)
    judgement = by_taxonomy(parse_taxonomy(TAXONOMY))(held)
    leaf = judgement.answers["level2"]
    moved = by_taxonomy(parse_taxonomy(TAXONOMY.replace(f"id: {leaf}", "id: somewhere_else", 1)))(held)
    tally = Tally(pack="taxonomy")
    change = tally.add(replace(held, human={"level2": leaf}), judgement, moved)
    assert change is not None
    assert [(one["key"], one["before"], one["after"]) for one in change["changes"]] == [("level2", leaf, "somewhere_else")]
    lines = {line["key"]: line for line in tally.result()["lines"]}
    assert (lines[f"level2/{leaf}"]["before"], lines[f"level2/{leaf}"]["after"]) == ({"calls": 1}, {})
    assert lines["level2/somewhere_else"]["after"] == {"calls": 1}
    figures = tally.result()["agreement"]["questions"]["level2"]
    assert (figures["before"]["percent"], figures["after"]["percent"]) == (1.0, 0.0)


@pytest.mark.parametrize("choice", [{"limit": 0}, {"limit": 1001}, {"limit": "9"}])
def test_a_choice_is_bounded(choice: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        calls_of(choice)


# On a store


class Bank:
    """A store with three calls: one that says the wrong thing, one that does not, one that nobody spoke in."""

    def __init__(self, directory: Path) -> None:
        self.bench = ApiBench(directory)
        self.store: Store = self.bench.store
        self.settings = Settings(data_dir=directory)
        self.inspector: User = self.bench.join("qi", "inspector")
        self.bench.join("ann", "agent")
        articles = self.store.articles(ORG)
        for name, text in (("rubric", RUBRIC), ("compliance", RULES), ("taxonomy", TAXONOMY), ("sop", SOP)):
            articles.put_pack(name, "*", text)

    async def fill(self) -> None:
        agent = self.bench.people["ann"].user_id
        promise = replace(said("您放心，稳赚不赔，保本保收益"), utterance_id="agent-1", channel="agent", start_ms=4000, end_ms=7000)
        calls = {"promise": [said("信用卡丢了怎么挂失"), promise], "fine": [said("信用卡丢了怎么挂失")], "silent": []}
        for number, (name, lines) in enumerate(calls.items()):
            opened = await self.store.journal.open(ORG, name, "node")  # type: ignore[arg-type]
            understood = IntentDetected(utterance_id="customer-1", intent="card_loss", confidence=0.9, alternatives=(), why=())  # type: ignore[arg-type]
            heard = [understood] if lines else []
            live = evaluate(parse_compliance(RULES, 1), [], "zh", end_ms=1)
            live += [replace(ALERT, utterance_id="agent-1")] if name == "promise" else []
            await self.store.journal.append(
                ORG, opened, [started(agent, self.bench.clock.now()), *lines, *heard, *live, CallEnded(reason="hangup", duration_ms=9000)]
            )
            self.bench.clock.advance(3)
            for job in self.store.outbox.lease(self.bench.clock.now(), 60, 100):
                if job.kind in ("ticket", "qa"):
                    body = produce(job.kind, transcript_of(self.store.calls.events(ORG, job.call_id)), TOOLS)
                    self.store.outbox.finish(job.job_id, Artifact(kind=job.kind, version=1, body=body))
            self.bench.clock.advance(60 * (number + 1))


ALERT = ComplianceAlerted(rule_id="old-rule", kind="forbidden", severity="warn", channel="agent", utterance_id="agent-1")  # type: ignore[arg-type]


@pytest.fixture
async def bank(tmp_path: Path) -> Any:
    made = Bank(tmp_path)
    await made.fill()
    yield made
    made.store.close()


async def test_a_rule_taken_out_no_longer_alerts_and_nothing_is_stored_at_the_calls(bank: Bank) -> None:
    rules = parse_compliance(RULES)
    hit = evaluate(rules, turns_from_json(LINES), "zh", end_ms=9000)[0].rule_id
    draft = RULES.replace(f"id: {hit}", "id: renamed", 1)
    before = [bank.store.calls.events(ORG, name) for name in ("promise", "fine")]  # type: ignore[arg-type]
    result, changed = DryRunner(bank.settings, bank.store, ORG).run("compliance", RULES, draft, {"limit": 10}, go_on)
    assert (result["calls"], result["skipped"], result["changed"]) == (2, 1, 1)
    ((call, body),) = changed
    moves = {one["key"]: (one["before"], one["after"], one["before_evidence"] or one["after_evidence"]) for one in body["changes"]}
    assert call == "promise"
    assert moves == {hit: ("1", None, ["agent-1"]), "renamed": (None, "1", ["agent-1"])}
    live = {line["key"]: line for line in result["live"]}
    assert (live["old-rule"]["only_live"], live[hit]["only_after"]) == (1, 1)
    assert [bank.store.calls.events(ORG, name) for name in ("promise", "fine")] == before  # type: ignore[arg-type]


LINES = [{"channel": "agent", "start_ms": 4000, "end_ms": 7000, "text": "您放心，稳赚不赔，保本保收益"}]


async def test_a_rubric_is_compared_with_what_people_answered(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_runs, "postcall_tools", lambda *_: TOOLS)
    desk, qi = bank.bench.review.desk, bank.inspector
    review = desk.add(qi, "promise")  # type: ignore[arg-type]
    desk.claim(qi, review.review_id)
    card = desk.sheet(qi, review.review_id).questions
    wrong = next(item for item in card.items if item.answer == "fail")
    desk.submit(qi, review.review_id, 1, [HumanAnswer(item_id=wrong.item_id, answer="pass", reason="ok")], "")
    runner = DryRunner(bank.settings, bank.store, ORG)
    same, none = runner.run("rubric", RUBRIC, RUBRIC, {"limit": 10}, go_on)
    assert (same["changed"], none) == (0, [])
    assert same["agreement"]["calls"] == 1
    assert same["agreement"]["questions"][wrong.item_id]["before"]["percent"] == 0.0
    without = "\n".join(_without(RUBRIC, wrong.item_id))
    result, changed = runner.run("rubric", RUBRIC, without, {"limit": 10, "state": "reviewed"}, go_on)
    assert result["calls"] == 1, "only what people have reviewed"
    assert [one["key"] for _, body in changed for one in body["changes"]] == [wrong.item_id]
    assert result["agreement"]["questions"][wrong.item_id]["after"]["pairs"] == 0


def _without(text: str, item: str) -> Iterator[str]:
    """The rubric's lines without one item."""
    inside = False
    for line in text.splitlines():
        if line.startswith("  - id: "):
            inside = line == f"  - id: {item}"
        if not inside:
            yield line


async def test_a_ticket_is_compared_with_the_one_handed_in(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_runs, "postcall_tools", lambda *_: TOOLS)
    bank.store.calls.append(ORG, "fine", WrapUpSubmitted(user_id=bank.bench.people["ann"].user_id, versions={"ticket": 1}))  # type: ignore[arg-type]
    stored = next(one.body for one in bank.store.calls.versions(ORG, "fine", {"ticket": 1}))  # type: ignore[arg-type]
    assert isinstance(stored, TicketClassification)
    result, _ = DryRunner(bank.settings, bank.store, ORG).run("taxonomy", TAXONOMY, TAXONOMY, {"limit": 10}, go_on)
    assert result["agreement"]["questions"]["level2"]["before"]["pairs"] == 1
    assert result["agreement"]["questions"]["level2"]["before"]["percent"] == 1.0


async def test_steps_of_a_checklist_before_and_after(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_runs, "postcall_tools", lambda *_: TOOLS)
    result, changed = DryRunner(bank.settings, bank.store, ORG).run("sop", SOP, SOP.replace("id: verify", "id: verify-first"), {}, go_on)
    keys = {one["key"] for _, body in changed for one in body["changes"]}
    assert any(key.endswith("/verify") for key in keys)
    assert any(key.endswith("/verify-first") for key in keys)
    assert all(set(line["before"]) <= {"done", "open"} for line in result["lines"])


async def test_a_run_that_is_told_to_stop_stops(bank: Bank) -> None:
    asked: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> bool:
        asked.append((done, total))
        return done < 1

    result, _ = DryRunner(bank.settings, bank.store, ORG).run("compliance", RULES, RULES, {"limit": 10}, stop)
    assert asked[:2] == [(0, 3), (1, 3)]
    assert result["calls"] + result["skipped"] == 1


async def test_a_process_of_its_own_carries_a_run_out(bank: Bank) -> None:
    runs = bank.store.dry_runs
    made = runs.create(ORG, "compliance", 1, 1, 1, RULES, {"limit": 10}, "qi", "node")
    argv = [sys.executable, "-m", "copilot", "packs", "carry-out", ORG, made.run_id]
    env = {**worker_environment(bank.settings), "PANGTING_STORE__URL": sqlite_url(bank.settings.data_dir)}
    child = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE, env=env)
    assert await asyncio.wait_for(child.wait(), 120) == 0
    done = runs.run(ORG, made.run_id)
    assert (done.state, done.done, done.total) == ("done", 3, 3)
    assert done.result is not None
    assert done.result["calls"] == 2
