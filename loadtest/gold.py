"""Judges what the copilot made of a call against the call's committed gold: transcript, suggestions, ticket, quality score.

Gold is written before the code that it judges (see loadtest/scenarios/*/README.md). Pure: works on what the public API returned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loadtest.scoring import cer

Json = dict[str, Any]
NEEDS_REQUIRED = 0.8
_SLACK_MS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the verdict."""

    name: str
    passed: bool
    detail: str


def resolved(finals: list[Json], secrets: dict[str, str]) -> list[Json]:
    """The finals as the owning agent reads them: tokens of personal data replaced by the values that only their feed carries."""
    texts = []
    for final in finals:
        text = final["text"]
        for token, value in secrets.items():
            text = text.replace(token, value)
        texts.append({**final, "text": text})
    return texts


def _turn_text(turns: list[Json], channel: str) -> str:
    return "".join(turn["text"] for turn in sorted(turns, key=lambda turn: turn["start_ms"]) if turn["channel"] == channel)


def transcript_cer(gold: Json, finals: list[Json]) -> float:
    """Character error rate over both channels, each concatenated in time order, weighted by reference length."""
    errors = length = 0.0
    for channel in ("customer", "agent"):
        reference, hypothesis = _turn_text(gold["turns"], channel), _turn_text(finals, channel)
        rate, size = cer(reference, hypothesis)
        errors += rate * size
        length += size
    return errors / max(1.0, length)


def _overlaps(turn: Json, start_ms: int, end_ms: int) -> bool:
    return bool(start_ms < turn["end_ms"] + _SLACK_MS and end_ms > turn["start_ms"] - _SLACK_MS)


def _until_next_customer_turn(gold: Json, turn_index: int) -> int:
    """A card may still come with the next utterance of the same customer turn; the next need must not count for this one."""
    needs = sorted(need["turn"] for need in gold["needs"])
    later = [gold["turns"][index]["start_ms"] for index in needs if index > turn_index]
    return int(min(later)) if later else int(gold["turns"][-1]["end_ms"]) + 60_000


def check_needs(gold: Json, finals: list[Json], suggestions: list[Json]) -> tuple[list[Check], int]:
    """For each need of the customer: is the expected article the first citation of a card offered for it?"""
    by_id = {final["utterance_id"]: final for final in finals}
    checks, found = [], 0
    for need in gold["needs"]:
        turn = gold["turns"][need["turn"]]
        until = _until_next_customer_turn(gold, need["turn"])
        offered = []
        for card in suggestions:
            trigger = by_id.get(card["trigger"])
            if trigger is None or not card["citations"]:
                continue
            if trigger["end_ms"] >= turn["start_ms"] - _SLACK_MS and trigger["start_ms"] < until:
                offered.append(card["citations"][0]["article_id"])
        hit = need["article_id"] in offered
        found += hit
        checks.append(Check(name=f"need: {need['article_id']}", passed=hit, detail="first" if hit else f"offered {offered or 'nothing'}"))
    return checks, found


def check_qa(gold: Json, scorecard: Json) -> list[Check]:
    """The named rubric items: same answer, and the evidence points at the named turns."""
    items = {item["item_id"]: item for item in scorecard.get("items", [])}
    checks = []
    for expected in gold["qa"]:
        item = items.get(expected["item"])
        if item is None:
            checks.append(Check(name=f"QA {expected['item']}", passed=False, detail="not answered"))
            continue
        turns = [gold["turns"][index] for index in expected.get("evidence_turns", [])]
        same = item["answer"] == expected["answer"]
        located = not turns or any(_overlaps(turn, ev["start_ms"], ev["end_ms"]) for turn in turns for ev in item["evidence"])
        detail = item["answer"] if same else f"{item['answer']}, expected {expected['answer']}"
        checks.append(
            Check(name=f"QA {expected['item']}", passed=same and located, detail=detail + ("" if located else "; evidence elsewhere"))
        )
    return checks


def judge(gold: Json, finals: list[Json], suggestions: list[Json], artifacts: dict[str, Json]) -> list[Check]:
    """Every check of a call; all must pass, of the needs at least four in five."""
    rate = transcript_cer(gold, finals)
    checks = [Check(name="transcript", passed=rate <= gold["cer_bound"], detail=f"CER {rate:.3f}, bound {gold['cer_bound']:.3f}")]
    needs, found = check_needs(gold, finals, suggestions)
    wanted = len(gold["needs"])
    missed = ", ".join(f"{check.name.removeprefix('need: ')} ({check.detail})" for check in needs if not check.passed)
    checks.append(
        Check(
            name="expected article first",
            passed=wanted > 0 and found >= NEEDS_REQUIRED * wanted,
            detail=f"{found} of {wanted} needs" + (f"; missed {missed}" if missed else ""),
        )
    )
    ticket = artifacts.get("ticket", {})
    got = (ticket.get("level1"), ticket.get("level2"))
    expected = (gold["ticket"]["level1"], gold["ticket"]["level2"])
    checks.append(
        Check(
            name="ticket",
            passed=got == expected,
            detail=" › ".join(str(part) for part in got) + ("" if got == expected else f", expected {' › '.join(expected)}"),
        )
    )
    checks += check_qa(gold, artifacts.get("qa", {}))
    summary = artifacts.get("summary", {})
    checks.append(
        Check(
            name="summary", passed=bool(summary.get("overall")) and bool(summary.get("problems")), detail="has an overall text and problems"
        )
    )
    return checks
