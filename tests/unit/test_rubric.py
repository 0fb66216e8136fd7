"""The quality rubric: every check kind as the head of rubric.yaml declares it, what is not scorable, scoring, and faults of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from copilot.domain.artifacts import QaItem, QaScorecard, Turn
from copilot.domain.errors import InvalidInput
from postcall.qa.matching import quote
from postcall.qa.rubric import parse_rubric
from postcall.qa.score import score
from postcall.turns import turns_from_json

BANK = Path(__file__).resolve().parents[2] / "kb" / "samples" / "bank"
Line = tuple[Any, ...]


def turns(*lines: Line) -> list[Turn]:
    """(channel, text[, start_ms, end_ms[, confidence]]); without times each line takes 2 s."""
    made = []
    for number, (channel, text, *rest) in enumerate(lines):
        start, end = rest[:2] if len(rest) >= 2 else (number * 2000, number * 2000 + 1900)
        confidence = rest[2] if len(rest) > 2 else 1.0
        made.append({"channel": channel, "text": text, "start_ms": start, "end_ms": end, "confidence": confidence})
    return turns_from_json(made)


def item(check: dict[str, Any], **fields: Any) -> dict[str, Any]:
    named = {"name": {"zh": "项"}, "description": {"zh": "说明"}, "applies_when": {"always": True}}
    return {"id": "x", "section": "s", "weight": 4, **named, "check": check, **fields}


def rubric_text(*items: dict[str, Any]) -> str:
    return yaml.safe_dump({"version": 7, "sections": [{"id": "s", "name": {"zh": "节"}}], "items": list(items)}, allow_unicode=True)


def card(lines: list[Turn], *items: dict[str, Any], language: str = "zh", intents: tuple[str, ...] = ()) -> QaScorecard:
    return score(parse_rubric(rubric_text(*items)), lines, language, intents)


def answer(lines: list[Turn], check: dict[str, Any], language: str = "zh", **fields: Any) -> QaItem:
    return card(lines, item(check, **fields), language=language).items[0]


def said(*patterns: str, kind: str = "said", channel: str = "agent", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "channel": channel, "patterns": {"zh": list(patterns)}, **more}


def ids(found: QaItem) -> list[str]:
    return [evidence.utterance_id for evidence in found.evidence]


# --- matching -------------------------------------------------------------------------------------------------------------------------


def test_said_is_found_on_its_channel_only_with_the_words_as_evidence() -> None:
    lines = turns(("customer", "请稍等"), ("agent", "好的，请您稍等。"), ("agent", "嗯"))
    found = answer(lines, said("请[您你]?稍等"))
    assert (found.answer, found.points, ids(found)) == ("pass", 4, ["agent-1"])
    assert found.evidence[0].quote == "好的，请您稍等。"
    assert answer(lines, said("马上办")).answer == "fail"


def test_punctuation_and_spaces_between_the_words_do_not_matter() -> None:
    assert answer(turns(("agent", "请，您 稍等")), said("请您稍等")).answer == "pass"
    english = {"kind": "said", "channel": "agent", "patterns": {"en": ["one moment, please"]}}
    assert answer(turns(("agent", "One  moment,\nplease")), english, language="en").answer == "pass"


def test_words_across_the_utterances_of_a_turn_are_found_there_and_nowhere_else() -> None:
    check = said("最后四位")
    joined = answer(turns(("agent", "请说卡号的最后"), ("agent", "四位。")), check)
    assert (joined.answer, ids(joined)) == ("pass", ["agent-1", "agent-2"])
    parted = answer(turns(("agent", "请说卡号的最后"), ("customer", "啊"), ("agent", "四位。")), check)
    assert parted.answer == "fail"


def test_at_most_five_pieces_of_evidence() -> None:
    lines = turns(*[line for _ in range(8) for line in (("agent", "谢谢您"), ("customer", "嗯"))])
    assert len(answer(lines, said("谢谢")).evidence) == 5


def test_not_said_fails_with_all_that_was_said() -> None:
    lines = turns(("agent", "稳赚的"), ("customer", "哦"), ("agent", "真的稳赚"))
    found = answer(lines, said("稳赚", kind="not_said"))
    assert (found.answer, found.points, ids(found)) == ("fail", 0, ["agent-1", "agent-2"])
    clean = answer(turns(("agent", "有风险")), said("稳赚", kind="not_said"))
    assert (clean.answer, clean.evidence) == ("pass", ())


@pytest.mark.parametrize(("start", "expected"), [(15_000, "pass"), (15_001, "fail")])
def test_first_turn_counts_from_the_first_words_of_the_channel(start: int, expected: str) -> None:
    lines = turns(("customer", "喂", 0, 500), ("agent", "嗯", 5_000, 6_000), ("agent", "您好", 5_000 + start, 30_000))
    assert answer(lines, said("您好", kind="first_turn", within_ms=15_000)).answer == expected


@pytest.mark.parametrize(("end", "expected"), [(40_000, "pass"), (39_999, "fail")])
def test_last_turn_counts_back_from_the_last_words_of_the_channel(end: int, expected: str) -> None:
    lines = turns(("agent", "再见", 30_000, end), ("agent", "嗯", 58_000, 60_000), ("customer", "好", 90_000, 91_000))
    assert answer(lines, said("再见", kind="last_turn", within_ms=20_000)).answer == expected


def test_all_said_needs_its_groups_and_names_the_missing_one() -> None:
    groups = [{"name": {"zh": name}, "patterns": {"zh": [name]}} for name in ("姓名", "卡号", "手机号")]
    check = {"kind": "all_said", "channel": "agent", "groups": groups, "min_groups": 2}
    enough = answer(turns(("agent", "您的姓名"), ("customer", "王"), ("agent", "手机号呢")), check)
    assert (enough.answer, ids(enough)) == ("pass", ["agent-1", "agent-2"])
    assert "卡号" in enough.reason
    lacking = answer(turns(("agent", "您的姓名"), ("customer", "手机号是")), check)
    assert lacking.answer == "fail"
    assert "卡号、手机号" in lacking.reason
    assert answer(turns(("agent", "您的姓名")), {**check, "min_groups": 3}).answer == "fail"


def test_said_before_looks_at_the_first_trigger() -> None:
    check = said("身份", kind="said_before", before={"channel": "agent", "patterns": {"zh": ["已经.{0,2}销户"]}})
    checked = answer(turns(("agent", "核对身份"), ("customer", "好"), ("agent", "已经销户"), ("agent", "已经销户")), check)
    assert (checked.answer, ids(checked)) == ("pass", ["agent-1", "agent-2"])
    late = answer(turns(("agent", "已经销户"), ("customer", "好"), ("agent", "核对身份")), check)
    assert (late.answer, ids(late)) == ("fail", ["agent-1"])
    assert answer(turns(("agent", "核对身份")), check).answer == "na"


def interruptions(customer_end: int, agent_start: int, customer_start: int = 0) -> QaItem:
    check = {"kind": "interruptions", "channel": "agent", "max_count": 0, "min_overlap_ms": 700}
    lines = turns(("customer", "我说", customer_start, customer_end), ("agent", "好", agent_start, agent_start + 900))
    return answer(lines, check)


def test_interruptions_are_counted_by_overlap() -> None:
    assert interruptions(5_000, 4_300).answer == "fail"
    assert ids(interruptions(5_000, 4_300)) == ["agent-1"]
    assert interruptions(5_000, 4_301).answer == "pass"
    assert interruptions(5_000, 300).answer == "fail"
    assert interruptions(5_000, 299).answer == "pass"
    assert interruptions(1_500, 400).answer == "pass"
    alone = {"kind": "interruptions", "channel": "agent", "max_count": 0, "min_overlap_ms": 700}
    assert answer(turns(("agent", "喂")), alone).answer == "na"


@pytest.mark.parametrize(("characters", "expected"), [(119, "fail"), (120, "pass"), (340, "pass"), (341, "fail")])
def test_speech_rate_is_characters_a_minute(characters: int, expected: str) -> None:
    check = {"kind": "speech_rate", "channel": "agent", "min": {"zh": 120}, "max": {"zh": 340}}
    lines = turns(("agent", "好" * (characters - 1) + "，3", 0, 60_000), ("agent", "快" * 99, 70_000, 71_000))
    found = answer(lines, check)
    assert found.answer == expected
    assert ids(found) == (["agent-1"] if expected == "fail" else [])
    assert answer(turns(("agent", "好" * 50, 0, 19_999)), check).answer == "na"


# --- when an item applies -------------------------------------------------------------------------------------------------------------


def test_any_reason_makes_an_item_apply() -> None:
    asked = {"channel": "customer", "patterns": {"zh": ["多少钱"]}}
    applies = {"intents": ["card_loss"], "said": asked}
    check = said("元")
    quiet = turns(("agent", "您好"), ("customer", "你好"))
    assert answer(quiet, check, applies_when=applies).answer == "na"
    assert card(quiet, item(check, applies_when=applies), intents=("card_loss",)).items[0].answer == "fail"
    assert answer(turns(("customer", "多少钱"), ("agent", "十五元")), check, applies_when=applies).answer == "pass"


# --- what is not scorable -------------------------------------------------------------------------------------------------------------


def test_poorly_recognised_speech_proves_neither_what_was_said_nor_what_was_not() -> None:
    def heard(text: str, confidence: float, check: dict[str, Any]) -> str:
        return answer(turns(("agent", text, 0, 2000, confidence)), check).answer

    assert heard("您好", 0.44, said("您好")) == "not_scorable"
    assert heard("您好", 0.45, said("您好")) == "pass"
    assert heard("嗯嗯", 0.59, said("您好")) == "not_scorable"
    assert heard("嗯嗯", 0.60, said("您好")) == "fail"
    assert heard("稳赚", 0.44, said("稳赚", kind="not_said")) == "not_scorable"
    assert heard("稳赚", 0.45, said("稳赚", kind="not_said")) == "fail"
    assert heard("嗯嗯", 0.59, said("稳赚", kind="not_said")) == "not_scorable"


def test_a_channel_that_was_not_recorded_is_not_scorable() -> None:
    lines = turns(("mixed", "您好"), ("mixed", "你好"))
    found = card(lines, item(said("您好")), item(said("稳赚", kind="not_said"), id="y"))
    assert [one.answer for one in found.items] == ["not_scorable", "not_scorable"]
    assert found.score == 0


# --- scoring --------------------------------------------------------------------------------------------------------------------------


def test_the_score_is_points_over_what_applies_minus_deductions() -> None:
    lines = turns(("agent", "您好，稳赚"))
    found = card(
        lines,
        item(said("您好"), weight=3),
        item(said("再见"), id="b", weight=1),
        item(said("元"), id="c", weight=50, applies_when={"intents": ["none"]}),
    )
    assert found.score == 75
    deducted = card(lines, item(said("您好"), weight=3), item(said("稳赚", kind="not_said"), id="b", weight=1, deduction=10))
    assert deducted.score == 65
    assert deducted.rubric_version == "7"
    assert card(lines, item(said("再见"), deduction=500)).score == 0


def test_a_fatal_fail_makes_it_nothing() -> None:
    lines = turns(("agent", "您好，稳赚"))
    fatal = item(said("稳赚", kind="not_said"), id="b", weight=0, fatal=True)
    found = card(lines, item(said("您好")), fatal)
    assert (found.score, found.fatal) == (0, True)
    fine = card(turns(("agent", "您好")), item(said("您好")), fatal)
    assert (fine.score, fine.fatal) == (100, False)


def test_a_fatal_item_in_poor_speech_is_for_a_person_to_decide() -> None:
    found = card(turns(("agent", "稳赚", 0, 2000, 0.2)), item(said("稳赚", kind="not_said"), weight=0, fatal=True))
    assert (found.items[0].answer, found.fatal) == ("not_scorable", False)


def test_a_quote_is_at_most_sixty_characters_around_the_match() -> None:
    text = "甲" * 100 + "这里" + "乙" * 100
    piece = quote(text, 100, 102)
    assert "这里" in piece
    assert len(piece) <= 60
    assert quote("短句", 0, 1) == "短句"


def test_an_empty_call_is_scored_without_a_fault() -> None:
    found = score(parse_rubric((BANK / "rubric.yaml").read_text(encoding="utf-8")), [], "zh", ())
    assert {one.answer for one in found.items} <= {"na", "not_scorable"}


# --- the file -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (item(said("(")), ["rubric item x", "regular expression"]),
        (item(said("好"), section="other"), ["rubric item x", "section", "s"]),
        (item(said("好"), weight=-1), ["weight"]),
        (item({"kind": "guess", "channel": "agent"}), ["kind", "said_before"]),
        (item(said("好", channel="both")), ["channel", "customer"]),
        (item(said()), ["patterns", "at least one"]),
        (item(said("好"), applies_when={"sometimes": True}), ["sometimes", "always"]),
        (item(said("好"), applies_when={}), ["empty"]),
        (item({"kind": "all_said", "channel": "agent", "groups": []}), ["groups"]),
        (item({**said("好"), "kind": "first_turn"}), ["within_ms"]),
        (item(said("好"), name={}), ["name"]),
        (item(said("好"), fatal="yes"), ["fatal"]),
    ],
)
def test_a_fault_names_the_item_and_what_to_do(broken: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_rubric(rubric_text(broken))
    assert "rubric item x" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_an_id_is_used_once_and_the_version_is_there() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        parse_rubric(rubric_text(item(said("好")), item(said("好"))))
    with pytest.raises(InvalidInput, match="version"):
        parse_rubric(rubric_text(item(said("好"))).replace("version: 7", "other: 7"))
    with pytest.raises(InvalidInput, match="line"):
        parse_rubric("version: [")


def test_the_sample_rubric_is_read_whole() -> None:
    text = (BANK / "rubric.yaml").read_text(encoding="utf-8")
    rubric = parse_rubric(text)
    raw = yaml.safe_load(text)
    assert [one.item_id for one in rubric.items] == [one["id"] for one in raw["items"]]
    assert sum(one.fatal for one in rubric.items) == sum(bool(one.get("fatal")) for one in raw["items"]) > 0
