"""The judge of the demo: a perfect account passes, and every kind of fault fails it, another recording above all."""

from __future__ import annotations

import copy

import pytest

from loadtest.calls import gold
from loadtest.gold import judge, resolved

DEMO = gold("demo")


def account(of: dict) -> tuple[list[dict], list[dict], dict]:
    """What a faultless copilot would have produced for a call."""
    finals = [{**turn, "utterance_id": f"u{index}"} for index, turn in enumerate(of["turns"])]
    cards = [{"trigger": f"u{need['turn']}", "citations": [{"article_id": need["article_id"]}], "kind": "faq"} for need in of["needs"]]
    items = [
        {
            "item_id": item["item"],
            "answer": item["answer"],
            "evidence": [
                {"start_ms": of["turns"][turn]["start_ms"], "end_ms": of["turns"][turn]["end_ms"]}
                for turn in item.get("evidence_turns", [])
            ],
        }
        for item in of["qa"]
    ]
    artifacts = {"ticket": dict(of["ticket"]), "qa": {"items": items}, "summary": {"overall": "…", "problems": [{}]}}
    return finals, cards, artifacts


def failed(finals: list[dict], cards: list[dict], artifacts: dict) -> list[str]:
    return [check.name for check in judge(DEMO, finals, cards, artifacts) if not check.passed]


def test_a_faultless_account_passes():
    assert failed(*account(DEMO)) == []


@pytest.mark.parametrize("other", ["short", "transfer"])
def test_another_recording_fails_in_every_part(other: str):
    names = failed(*account(gold(other)))
    assert {"transcript", "expected article first", "ticket"} <= set(names)


def test_one_missed_need_is_forgiven_and_two_are_not():
    finals, cards, artifacts = account(DEMO)
    assert failed(finals, cards[1:], artifacts) == []
    assert failed(finals, cards[2:], artifacts) == ["expected article first"]


def test_a_card_for_a_later_need_does_not_count_for_an_earlier_one():
    finals, cards, artifacts = account(DEMO)
    late = copy.deepcopy(cards)
    for card in late[:2]:
        card["trigger"] = late[-1]["trigger"]
    assert failed(finals, late, artifacts) == ["expected article first"]


def test_evidence_must_be_where_the_gold_says():
    finals, cards, artifacts = account(DEMO)
    for item in artifacts["qa"]["items"]:
        for evidence in item["evidence"]:
            evidence["start_ms"] += 600_000
            evidence["end_ms"] += 600_000
    with_turns = [f"QA {item['item']}" for item in DEMO["qa"] if item.get("evidence_turns")]
    assert with_turns
    assert failed(finals, cards, artifacts) == with_turns


def test_a_wrong_ticket_and_an_empty_summary_fail():
    finals, cards, artifacts = account(DEMO)
    artifacts["ticket"]["level2"] = "other"
    artifacts["summary"] = {"overall": "", "problems": []}
    assert failed(finals, cards, artifacts) == ["ticket", "summary"]


def test_tokens_are_read_as_the_owning_agent_reads_them():
    assert resolved([{"text": "尾号【尾号#1】"}], {"【尾号#1】": "3678"}) == [{"text": "尾号3678"}]
