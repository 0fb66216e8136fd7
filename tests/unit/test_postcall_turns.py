"""Transcripts in, and the documents that describe what goes in and comes out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from copilot.domain.artifacts import QaScorecard, Summary, TicketClassification
from copilot.domain.errors import InvalidInput
from copilot.domain.events import CallEnded, CallEvent, CallStarted, EventEnvelope, IntentDetected, UtteranceFinal
from postcall.packs import parse_packs
from postcall.run import Tools, produce, run_all
from postcall.turns import runs, transcript_of, turns_from_json
from tests.fakes.celery_target import BANK, sample_packs

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "schemas"
LINE: dict[str, Any] = {"channel": "agent", "start_ms": 0, "end_ms": 900, "text": "您好"}
AT = datetime(2026, 3, 1, tzinfo=UTC)


def test_lines_are_numbered_per_channel_and_put_in_time_order() -> None:
    lines = [
        {**LINE, "start_ms": 2000, "end_ms": 2500},
        LINE,
        {**LINE, "channel": "customer", "start_ms": 1000, "end_ms": 1500, "text": " "},
    ]
    turns = turns_from_json(lines)
    assert [(turn.utterance_id, turn.start_ms) for turn in turns] == [("agent-2", 0), ("agent-1", 2000)]
    assert turns[0].confidence == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channel": "boss"}, "channel must be one of customer, agent, mixed"),
        ({"start_ms": -1}, "start_ms and end_ms"),
        ({"start_ms": 1.5}, "start_ms and end_ms"),
        ({"end_ms": True}, "start_ms and end_ms"),
        ({"start_ms": 901}, "end_ms lies before start_ms"),
        ({"text": 7}, "text must be a string"),
        ({"confidence": 1.2}, "confidence"),
        ({"confidence": float("nan")}, "confidence"),
    ],
)
def test_a_fault_names_its_line_and_never_what_was_said(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        turns_from_json([LINE, {**LINE, "text": "我的密码是一二三", **change}])
    assert "Line 2" in str(caught.value)
    assert "密码" not in str(caught.value)


@pytest.mark.parametrize("lines", [{}, "text", None, [["agent", "您好"]], ["您好"]])
def test_what_is_no_list_of_lines_is_refused(lines: Any) -> None:
    with pytest.raises(InvalidInput):
        turns_from_json(lines)


def stored(*events: CallEvent) -> list[EventEnvelope]:
    return [
        EventEnvelope(org_id="o", call_id="c", seq=number, epoch=1, at=AT, event=event)  # type: ignore[arg-type]
        for number, event in enumerate(events, start=1)
    ]


def final(name: str, channel: str, start: int, text: str) -> UtteranceFinal:
    return UtteranceFinal(
        utterance_id=name,  # type: ignore[arg-type]
        channel=channel,  # type: ignore[arg-type]
        start_ms=start,
        end_ms=start + 500,
        language="en",
        confidence=0.7,
        text=text,
    )


def test_a_transcript_is_read_from_events_with_what_was_understood() -> None:
    started = CallStarted(external_id="x", protocol="raw", legs=(), language="en", started_at=AT)
    known = IntentDetected(utterance_id="customer-1", intent="card_loss", confidence=0.8)  # type: ignore[arg-type]
    unknown = IntentDetected(utterance_id="customer-1", intent="unknown", confidence=0.2)  # type: ignore[arg-type]
    events = stored(
        started, final("customer-1", "customer", 900, "lost it"), final("agent-1", "agent", 0, "hello"), final("agent-2", "agent", 50, " ")
    )
    transcript = transcript_of([*events, *stored(known, unknown, CallEnded(reason="hangup", duration_ms=2000))])
    assert transcript.language == "en"
    assert [turn.utterance_id for turn in transcript.turns] == ["agent-1", "customer-1"]
    assert [(found.intent, found.confidence) for found in transcript.found] == [("card_loss", 0.8)]


def test_runs_are_the_turns_of_the_conversation() -> None:
    lines = [{**LINE, "channel": who, "start_ms": n} for n, who in enumerate(("agent", "agent", "customer", "agent"))]
    assert [len(run) for run in runs(turns_from_json(lines))] == [2, 1, 1]


def test_each_kind_is_made() -> None:
    transcript = transcript_of(stored(final("customer-1", "customer", 0, "I lost my credit card")))
    tools = Tools(packs=sample_packs())
    assert isinstance(produce("summary", transcript, tools), Summary)
    assert isinstance(produce("ticket", transcript, tools), TicketClassification)
    assert isinstance(produce("qa", transcript, tools), QaScorecard)
    with pytest.raises(InvalidInput, match="zh and en"):
        run_all([], "fr", tools)


def schema(name: str) -> Any:
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_results_are_as_documented(language: str) -> None:
    text = {"zh": "我的信用卡丢了，要挂失", "en": "I lost my credit card"}[language]
    lines = [{**LINE, "channel": "customer", "text": text}, {**LINE, "start_ms": 1000, "end_ms": 1900}]
    schema("postcall-transcript").validate(lines)
    result = run_all(turns_from_json(lines), language, Tools(packs=sample_packs()))
    schema("postcall-result").validate(result)
    schema("postcall-result").validate(run_all([], language, Tools(packs=sample_packs())))


def test_the_three_packs_are_read_together_and_each_fault_is_named() -> None:
    texts = {name: (BANK / f"{name}.yaml").read_text(encoding="utf-8") for name in ("taxonomy", "rubric", "intents")}
    assert parse_packs(**texts).intent_name("card_loss", "zh")
    for name in texts:
        with pytest.raises(InvalidInput, match=name):
            parse_packs(**{**texts, name: "[broken"})
