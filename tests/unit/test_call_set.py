"""The labelled calls: what is committed follows from its sources, the labels point at what is there, and the split is by scenario."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import yaml

from copilot.llm.grounding import numbers_in
from loadtest import call_set
from loadtest.call_labels import BY_CLOCK, ITEMS, OUTCOMES, adjudicated, differences, parse_answers, parse_sheets, points_agree, sheet_of
from loadtest.call_scripts import Confusions, misheard, parse_scripts, timed
from loadtest.scoring import cer
from postcall.turns import turns_from_json

CALLS = call_set.load("calls")
GOLD = {gold["id"]: gold for gold in call_set.load("gold")}
NAMES = [call["id"] for call in CALLS]
PARENTS = call_set.parents()


def test_the_committed_calls_and_gold_follow_from_their_sources() -> None:
    assert call_set.build_calls() == CALLS
    assert call_set.build_gold() == list(GOLD.values())


def test_size_and_split() -> None:
    scenarios = {split: {call["scenario"] for call in CALLS if call["split"] == split} for split in ("dev", "test")}
    assert len(CALLS) >= 36
    assert len(scenarios["dev"] | scenarios["test"]) >= 12
    assert not scenarios["dev"] & scenarios["test"]
    assert set(GOLD) == set(NAMES)
    assert len(set(NAMES)) == len(NAMES)
    for split in ("dev", "test"):
        spoilt = [call["asr_errors"] for call in CALLS if call["split"] == split]
        assert sum(spoilt) * 2 == len(spoilt)
    assert {call["language"] for call in CALLS} == {"zh", "en"}


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
def test_a_transcript_is_one_that_after_call_work_reads_in_the_same_order(call: dict[str, Any]) -> None:
    utterances = call["utterances"]
    assert 20 <= len(utterances) <= 60
    turns = turns_from_json(utterances)
    assert [turn.text for turn in turns] == [utterance["text"] for utterance in utterances]
    for earlier, later in pairwise(utterances):
        assert earlier["start_ms"] < later["start_ms"]
        if earlier["channel"] == later["channel"]:
            assert earlier["end_ms"] <= later["start_ms"]


@pytest.mark.parametrize("call", [call for call in CALLS if call["asr_errors"]], ids=lambda call: call["id"])
def test_errors_leave_the_numbers_and_are_as_many_as_a_recogniser_makes(call: dict[str, Any]) -> None:
    errors = length = 0.0
    for utterance in call["utterances"]:
        assert numbers_in(utterance["asr_text"]) == numbers_in(utterance["text"])
        assert 0.4 <= utterance["confidence"] <= 0.97
        rate, size = cer(utterance["text"], utterance["asr_text"])
        errors, length = errors + rate * size, length + size
    assert 0.02 < errors / length < 0.2


def test_only_half_of_the_calls_have_a_second_text() -> None:
    for call in CALLS:
        assert all(("asr_text" in utterance) == call["asr_errors"] for utterance in call["utterances"])


@pytest.mark.parametrize("name", NAMES)
def test_labels_point_at_what_is_in_the_call(name: str) -> None:
    call = next(call for call in CALLS if call["id"] == name)
    gold = GOLD[name]
    count = len(call["utterances"])
    said = frozenset().union(*(numbers_in(utterance["text"]) for utterance in call["utterances"]))
    assert gold["outcome"] in OUTCOMES
    assert not said & set(gold["wrong_numbers"]), "a wrong number that the call does say"
    assert gold["wrong_numbers"]
    for ticket in (gold["ticket"], *gold["ticket_acceptable"]):
        assert PARENTS[ticket["level2"]] == ticket["level1"]
    assert {point["kind"] for point in gold["points"]} >= {"need"}
    assert len(gold["points"]) >= 3
    for point in gold["points"]:
        assert all(1 <= number <= count for number in point["utterances"])
        assert point["terms"] or point.get("act"), "a key point that any text would satisfy"
        assert (point["kind"] == "commitment") <= bool(point.get("owner") and point.get("due"))
    for item in gold["qa"].values():
        assert all(1 <= number <= count for number in item["evidence"])
        assert not (item["answer"] == "na" and item["evidence"])


def test_every_item_of_the_rubric_is_answered_and_the_evidence_is_on_its_side() -> None:
    rubric = {item["id"]: item for item in yaml.safe_load((call_set.BANK / "rubric.yaml").read_text(encoding="utf-8"))["items"]}
    assert set(ITEMS.values()) == set(rubric)
    calls = {call["id"]: call for call in CALLS}
    for name, gold in GOLD.items():
        assert set(gold["qa"]) == set(rubric)
        for item, judged in gold["qa"].items():
            on = {calls[name]["utterances"][number - 1]["channel"] for number in judged["evidence"]}
            assert on <= {"agent"}, (name, item)
            if judged["answer"] == "pass" and rubric[item]["check"]["kind"] not in ("not_said", "interruptions", "speech_rate"):
                assert judged["evidence"], (name, item)
            if judged["answer"] == "fail" and rubric[item]["check"]["kind"] == "not_said":
                assert judged["evidence"], (name, item)


def test_agents_fail_in_a_natural_share() -> None:
    answers = Counter(item["answer"] for gold in GOLD.values() for name, item in gold["qa"].items())
    assert 0.08 < answers["fail"] / (answers["pass"] + answers["fail"]) < 0.35
    failed = {name for gold in GOLD.values() for name, item in gold["qa"].items() if item["answer"] == "fail"}
    assert len(failed) >= 22


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
def test_what_the_clock_answers_is_labelled_as_the_clock_says(call: dict[str, Any]) -> None:
    """The two items of arithmetic, computed here anew from the rubric's definitions."""
    from loadtest.call_scripts import units

    language = call["language"]
    agent = [u for u in call["utterances"] if u["channel"] == "agent" and u["end_ms"] - u["start_ms"] > 1000]
    per_minute = 60_000 * sum(units(u["text"], language) for u in agent) / sum(u["end_ms"] - u["start_ms"] for u in agent)
    least, most = {"zh": (120, 340), "en": (90, 190)}[language]
    assert GOLD[call["id"]]["qa"]["speech-rate"]["answer"] == ("pass" if least <= per_minute <= most else "fail")
    cut_in = [
        number
        for number, u in enumerate(call["utterances"], start=1)
        if u["channel"] == "agent"
        and any(
            c["channel"] == "customer" and c["end_ms"] - c["start_ms"] > 1500 and c["start_ms"] + 300 <= u["start_ms"] <= c["end_ms"] - 700
            for c in call["utterances"]
        )
    ]
    judged = GOLD[call["id"]]["qa"]["no-interruption"]
    assert (judged["answer"], judged["evidence"]) == (("fail", cut_in) if len(cut_in) > 2 else ("pass", []))


def test_decisions_are_made_where_the_passes_differ() -> None:
    first, second = call_set.sheets("first"), call_set.sheets("second")
    assert len(second) >= 12
    assert set(second) <= set(first)
    loaded = yaml.safe_load((call_set.CALLS / "labels" / "adjudication.yaml").read_text(encoding="utf-8"))
    assert not set(loaded["sweep"]) & set(second)
    for difference in differences(first, second):
        gold = GOLD[difference.call]
        decided = gold["ticket"]["level2"] if difference.question == "ticket" else gold["qa"][difference.question]["answer"]
        assert decided in (difference.first, difference.second)
        assert difference.call in loaded["differences"], difference


def test_a_sheet_says_what_it_names_and_defaults_the_rest() -> None:
    answers = parse_answers("og=1,3 sn=F hc=na nb=F9 ms=P")
    assert (answers["opening-greeting"].answer, answers["opening-greeting"].evidence) == ("pass", (1, 3))
    assert (answers["staff-number"].answer, answers["staff-number"].evidence) == ("fail", ())
    assert (answers["no-blaming"].answer, answers["no-blaming"].evidence) == ("fail", (9,))
    assert answers["hold-courtesy"].answer == "na"
    assert answers["no-mis-selling"].answer == "pass"
    assert answers["no-abuse"].answer == "pass", "what must not be said was not said"
    assert answers["soothing"].answer == "na"
    for wrong in ("xx=1", "og", "og=", "og=1 og=2", "og=na3", "og=P3", "og=0x"):
        with pytest.raises(ValueError, match="answer"):
            parse_answers(wrong)


def test_passes_are_compared_and_decided() -> None:
    def sheet(qa: str, ticket: str, points: list[dict[str, Any]]) -> dict[str, Any]:
        return {"outcome": "resolved", "ticket": [ticket], "points": points, "qa": qa}

    one = parse_sheets({"a": sheet("og=1 ni=F2 li=2", "card-loss-replacement", [{"k": "need", "u": [2], "s": "x"}])})
    two = parse_sheets({"a": sheet("og=1 li=F", "card-billing", [{"k": "need", "u": [2, 3], "s": "x"}, {"k": "info", "u": [5], "s": "y"}])})
    found = [(entry.question, entry.first, entry.second) for entry in differences(one, two)]
    assert found == [("listening", "pass", "fail"), ("ticket", "card-loss-replacement", "card-billing")]
    assert "no-interruption" in BY_CLOCK
    assert points_agree(one["a"].points, two["a"].points) == (2, 3)
    decided = adjudicated(one["a"], {"qa": {"li=F": "why"}, "ticket": ["card-billing"]})
    assert (decided.qa["listening"].answer, decided.qa["opening-greeting"].answer, decided.ticket) == ("fail", "pass", ("card-billing",))


def test_gold_reads_back_as_written() -> None:
    decided = call_set.decisions()
    for name, sheet in call_set.sheets("first").items():
        assert sheet_of(GOLD[name]) == adjudicated(sheet, decided.get(name, {}))


def test_a_script_is_read_and_timed() -> None:
    script = parse_scripts("== a-b-1 zh fast\n1A 您好。\n2C 我的信用卡昨天被人刷了三千块不是我刷的\n3A! 等一下\n4A.. 好了")[0]
    assert (script.name, script.scenario, script.pace) == ("a-b-1", "a-b", "fast")
    one, two, three, four = timed(script)
    assert two["end_ms"] - three["start_ms"] == 1200
    assert four["start_ms"] - max(two["end_ms"], three["end_ms"]) >= 8_000
    assert timed(script) == [one, two, three, four]
    for wrong in ("1A 您好", "== a-1 zh\n2A 您好", "== a-1 zh\n1B 您好", "== a-1 fr\n1A x"):
        with pytest.raises(ValueError, match="Line"):
            parse_scripts(wrong)


def test_errors_never_touch_tokens_or_numbers() -> None:
    import random

    table = Confusions(words={"冻结": ("动结",)}, characters={"的": "得", "号": "好"}, fillers=("嗯",))
    for seed in range(200):
        heard, confidence = misheard("冻结【卡号#1】的三千块，十五天。", "zh", table, random.Random(seed))
        assert "【卡号#1】" in heard
        assert numbers_in(heard) == {"【卡号#1】", "3000", "15"}
        assert 0.4 <= confidence <= 0.97
