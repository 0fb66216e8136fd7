"""The language of rules: what each condition finds, and errors that name the place and the way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from copilot.domain.artifacts import Turn
from copilot.domain.events import ComplianceAlerted
from copilot.domain.ids import UtteranceId
from copilot.live.compliance import ticks
from copilot.live.rule_monitor import evaluate
from copilot.live.rules import compliance_faults, parse_checklists, parse_compliance

BANK = Path(__file__).parents[2] / "kb/samples/bank"
COMMON = {"id": "r", "severity": "warn", "kind": "forbidden", "channel": "agent", "name": {"zh": "x", "en": "x"}}


def line(number: int, at_s: float, text: str, channel: str = "agent", seconds: float = 2.0) -> Turn:
    start, end = int(at_s * 1000), int((at_s + seconds) * 1000)
    return Turn(utterance_id=UtteranceId(f"{channel}-{number}"), channel=channel, start_ms=start, end_ms=end, text=text)  # type: ignore[arg-type]


def found(when: dict[str, Any], *turns: Turn, end_s: float = 120, **more: Any) -> list[ComplianceAlerted]:
    rules = parse_compliance(json.dumps({"rules": [{**COMMON, "when": when}]}))
    return evaluate(rules, turns, "zh", end_ms=int(end_s * 1000), **more)


@pytest.mark.parametrize(
    ("says", "text", "hit"),
    [
        ({"patterns": {"zh": ["保证.{0,2}赚"]}}, "我保 证你赚", True),
        ({"words": {"zh": ["稳赚"]}}, "这个稳赚的", True),
        ({"sounds": ["稳赚不赔"]}, "文转不陪的", True),
        ({"sounds": ["稳赚不赔"]}, "稳转不", False),
        ({"patterns": {"zh": ["保证收益"]}, "negation": True}, "我们不能保证收益", False),
        ({"patterns": {"zh": ["保证收益"]}, "negation": True}, "不急，我保证收益", True),
        ({"patterns": {"zh": ["保证收益"]}}, "我们不能保证收益", True),
        ({"patterns": {"zh": ["一定批"]}, "unless": {"zh": ["不一定"]}}, "不一定批", False),
    ],
)
def test_what_is_said(says: dict[str, Any], text: str, hit: bool) -> None:
    assert bool(found({"says": says}, line(1, 0, text))) is hit


def test_only_the_channel_counts() -> None:
    assert found({"says": {"words": {"zh": ["稳赚"]}}}, line(1, 0, "稳赚吗", "customer")) == []


def test_a_sentence_of_the_same_meaning_counts_from_the_similarity_given() -> None:
    when = {"says": {"like": {"zh": ["绝对亏不了"]}, "at_least": 0.9}}
    turn = line(1, 0, "放一百个心，不会赔钱的")
    (alert,) = found(when, turn, alike={turn.utterance_id: {"绝对亏不了": 0.91}})
    assert alert.quote == turn.text
    assert found(when, turn, alike={turn.utterance_id: {"绝对亏不了": 0.89}}) == []


def test_a_sequence_needs_both_in_order_and_in_time() -> None:
    when = {
        "then": {
            "first": {"channel": "customer", "words": {"zh": ["公安"]}},
            "next": {"channel": "any", "words": {"zh": ["转账"]}},
            "within_s": 30,
        }
    }
    police, transfer = line(1, 0, "公安打来的", "customer"), line(2, 20, "要转账", "customer")
    (alert,) = found(when, police, transfer)
    assert (alert.evidence, alert.at_ms) == (("customer-1", "customer-2"), 22_000)
    assert found(when, police, line(2, 40, "要转账", "customer")) == []
    assert found(when, line(1, 30, "公安打来的", "customer"), transfer) == []


def test_what_is_expected_and_does_not_come_in_time() -> None:
    when = {
        "without": {"after": {"channel": "customer", "words": {"zh": ["投诉"]}}, "expected": {"words": {"zh": ["抱歉"]}}, "within_s": 10}
    }
    complaint = line(1, 0, "我要投诉", "customer")
    (alert,) = found(when, complaint, line(2, 20, "抱歉"))
    assert (alert.utterance_id, alert.at_ms, alert.quote) == ("customer-1", 12_000, "投诉")
    assert found(when, complaint, line(2, 5, "抱歉")) == []


def test_what_is_expected_before_something_else() -> None:
    when = {"without": {"expected": {"words": {"zh": ["姓名"]}}, "before": {"words": {"zh": ["余额是"]}}}}
    (alert,) = found(when, line(1, 0, "您的余额是三千"))
    assert alert.at_ms == 0
    assert found(when, line(1, 0, "请问姓名"), line(2, 5, "您的余额是三千")) == []


def test_what_is_expected_until_the_end() -> None:
    when = {"without": {"after": {"words": {"zh": ["理财"]}}, "expected": {"words": {"zh": ["风险"]}}, "before": "end"}}
    assert len(found(when, line(1, 0, "推荐这款理财"))) == 1
    assert found(when, line(1, 0, "推荐这款理财"), line(2, 50, "有风险的")) == []
    assert found(when, line(1, 0, "您好")) == []


def test_silence_is_counted_without_the_hold() -> None:
    turns = (line(1, 0, "稍等"), line(2, 30, "查到了"))
    (alert,) = found({"silence": {"seconds": 20}}, *turns, end_s=33)
    assert (alert.utterance_id, alert.at_ms) == ("agent-1", 22_000)
    assert found({"silence": {"seconds": 20}}, *turns, end_s=33, holds=[(5_000, 25_000)]) == []


def test_overtalk_and_rate() -> None:
    (alert,) = found({"overtalk": {"seconds": 2}}, line(1, 0, "您听我说", seconds=6), line(2, 3, "不是", "customer", seconds=4), end_s=8)
    assert alert.evidence == ("agent-1", "customer-2")
    assert len(found({"rate": {"above": {"zh": 300}}}, line(1, 0, "说" * 30, seconds=4))) == 1
    assert found({"rate": {"above": {"zh": 300}}}, line(1, 0, "说" * 15, seconds=4)) == []


A: dict[str, Any] = {"words": {"zh": ["a"]}}


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            {"when": {"then": {"first": A, "next": A, "within_s": "soon"}}},
            "rules[0] (r) › when › then › within_s: is 'soon'; give seconds above 0 and at most 3600, such as 30",
        ),
        (
            {"when": {"says": {"patterns": {"zh": ["("]}}}},
            "rules[0] (r) › when › says › patterns › zh[0]: '(' is not a valid regular expression",
        ),
        ({"when": {"says": {}}}, "rules[0] (r) › when › says: says nothing; give patterns, words, sounds or like"),
        ({"when": {"says": {"word": {}}}}, "rules[0] (r) › when › says › word: is not known here; use channel, patterns"),
        ({"when": {"silence": {}, "rate": {}}}, "rules[0] (r) › when: must hold exactly one of says, then, without, silence"),
        ({"when": {"without": {"expected": A}}}, "needs exactly one of within_s and before"),
        ({"when": {"says": {"sounds": ["abc"]}}}, "sounds: must be a list of Chinese words of two characters or more"),
        ({}, "rules[0] (r): needs patterns or when"),
        ({"severity": "loud"}, "rules[0] (r): severity is 'loud'; it must be one of info, warn, critical"),
    ],
)
def test_errors_name_the_place_and_the_way_out(rule: dict[str, Any], sentence: str) -> None:
    assert any(sentence in fault for fault in compliance_faults(json.dumps({"rules": [{**COMMON, **rule}]})))


def test_every_fault_is_named_at_once_and_a_line_where_the_file_is_no_yaml() -> None:
    text = json.dumps({"rules": [{**COMMON, "id": "a", "when": {"says": {}}}, {**COMMON, "id": "a", "when": {"rate": {}}}]})
    assert len(compliance_faults(text)) == 3
    assert compliance_faults("rules:\n  - id: [")[0].startswith("line ")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("这个产品肯定能赚", "promise-profit"),
        ("我保证您一定能赚钱", "promise-profit"),
        ("文赚不陪的", "promise-profit"),
        ("it will definitely make money", "promise-profit"),
    ],
)
def test_the_sample_bank_hears_promises(text: str, rule: str) -> None:
    rules = parse_compliance((BANK / "compliance.yaml").read_text(encoding="utf-8"))
    language = "en" if text.isascii() else "zh"
    assert rule in {alert.rule_id for alert in evaluate(rules, [line(1, 0, text)], language, end_ms=3_000)}


@pytest.mark.parametrize("text", ["谁也不能保证一定能赚", "我们没办法承诺肯定能赚", "您赚的是固定利息", "房价不一定涨", "这个肯定涨价了"])
def test_the_sample_bank_does_not_hear_promises_where_there_are_none(text: str) -> None:
    rules = parse_compliance((BANK / "compliance.yaml").read_text(encoding="utf-8"))
    assert "promise-profit" not in {alert.rule_id for alert in evaluate(rules, [line(1, 0, text)], "zh", end_ms=3_000)}


def test_a_step_is_ticked_by_its_sound_and_says_so() -> None:
    (checklist,) = parse_checklists(
        "checklists: [{id: c, intents: [x], name: {zh: c}, steps: [{id: s, name: {zh: s}, patterns: {zh: [保护性止付]}},"
        " {id: t, name: {zh: t}, sounds: [报警]}, {id: u, name: {zh: u}, patterns: {zh: [冻结]}}]}]"
    )
    (one,) = ticks(checklist, [line(1, 0, "给您做宝户性只付")], frozenset(), "zh")
    assert (one.step_id, one.how, one.confidence) == ("s", "sound", 0.8)
    (two,) = ticks(checklist, [line(1, 0, "请您暴警")], frozenset(), "zh")
    assert two.step_id == "t"
    (three,) = ticks(checklist, [line(1, 0, "已经冻结了")], frozenset(), "zh")
    assert three.how == "wording"
