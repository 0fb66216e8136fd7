"""The JSON edge: what goes out comes back the same, older versions are lifted, faults never show content."""

from __future__ import annotations

import dataclasses
import typing
from datetime import UTC, datetime

import jsonschema
import pytest

from copilot import codec
from copilot.domain import events as ev
from copilot.domain.artifacts import Artifact, CategoryScore, Evidence, QaItem, QaScorecard, Statement, Summary, TicketClassification
from copilot.domain.audio import LegFormat
from copilot.domain.calls import Call
from copilot.domain.errors import EngineError, InvalidInput
from copilot.domain.intents import IntentReason, IntentScore
from copilot.domain.knowledge import Citation
from copilot.domain.moods import MoodReason, MoodScore, VoiceChange
from copilot.domain.suggestions import CitedSentence, Stage, SuggestionOption
from copilot.domain.transcript import AsrTimings, Correction, Word

AT = datetime(2026, 3, 1, 9, 30, 15, 250_000, tzinfo=UTC)
CITATION = Citation(
    article_id="card-lock", version=2, passage_id="card-lock.zh.1", title="夜间锁", section="步骤", quote="打开手机银行", start=3, end=9
)
EVENTS: list[ev.CallEvent] = [
    ev.CallStarted(
        external_id="CA1",
        protocol="raw",
        legs=(LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8000),),
        language="zh",
        started_at=AT,
        agent_id="u1",
        ani="【手机号#1】",
        dnis="95588",
        customer_id="【客户号#1】",
        skill="loans",
        metadata={"ani": "【手机号#1】"},
    ),
    ev.UtteranceFinal(
        utterance_id="customer-1",
        channel="customer",
        start_ms=0,
        end_ms=1500,
        language="zh",
        confidence=0.9,
        text="我的卡丢了",
        words=(Word(text="我", start_ms=0, end_ms=200, confidence=0.9),),
        corrections=(Correction(start=2, end=3, original="咖", corrected="卡", reason="lexicon"),),
        timings=AsrTimings(queue_ms=1.5, batch_size=2),
    ),
    ev.IntentDetected(
        utterance_id="customer-1",
        intent="card_loss",
        confidence=0.8,
        alternatives=(IntentScore(intent="card_lock", confidence=0.1),),
        why=(IntentReason(kind="exemplar", detail="卡不见了", score=0.9),),
    ),
    ev.SlotFilled(utterance_id="customer-1", name="amount", value="3000.00", spoken="三千块"),
    ev.ChecklistTicked(checklist_id="id", step_id="name", utterance_id="agent-1"),
    ev.ComplianceAlerted(rule_id="r", kind="forbidden", severity="critical", channel="agent", utterance_id="agent-2", quote="稳赚"),
    ev.NextActionProposed(
        checklist_id="id", step_id="card", utterance_id="agent-1", at_ms=900, script="您尾号【尾号#1】的卡", missing=("amount",)
    ),
    ev.MoodChanged(
        customer_turn=2,
        utterance_id="customer-2",
        at_ms=1900,
        mood="angry",
        confidence=0.8,
        scores=(MoodScore(mood="angry", confidence=0.8),),
        trend="rising",
        complaint_risk=0.6,
        voice=VoiceChange(energy_db=5.5, pitch_semitones=2.0, rate=1.2),
        why=(MoodReason(kind="words", detail="投诉", score=1.0),),
    ),
    ev.DynamicsMeasured(
        at_ms=1900,
        customer_speech_ms=900,
        agent_speech_ms=800,
        silence_ms=200,
        longest_silence_ms=200,
        overtalk_ms=100,
        agent_interruptions=1,
        customer_interruptions=0,
        agent_rate=240.0,
    ),
    ev.SuggestionOffered(
        suggestion_id="s1",
        kind="faq",
        confidence=0.9,
        trigger="customer-1",
        at_ms=1600,
        title="挂失",
        text="您好",
        citations=(CITATION,),
        options=(SuggestionOption(title="锁", text="可以", citation=CITATION, confidence=0.5),),
        stages=(Stage(name="intent", ms=3.5),),
        replaces="s0",
        retires=("s0",),
        sentences=(CitedSentence(start=0, end=2, citations=(0,)),),
    ),
    ev.ReplyRefused(suggestion_id="s1", model="qwen", reason="number"),
    ev.SuggestionOutcome(suggestion_id="s1", outcome="partly", confidence=0.7, coverage=0.5, at_ms=9000, utterance_ids=("agent-2",)),
    ev.UtteranceTranslated(utterance_id="customer-1", language="en", model="qwen", text="Hello, 【姓名#1】"),
    ev.SuggestionWithdrawn(suggestion_id="s1", article_id="card-loss", version=2, reason="superseded"),
    ev.SuggestionFeedback(suggestion_id="s1", action="edited", user_id="u1", text="好", reason="太长"),
    ev.MediaGapRecorded(channel="customer", start_ms=10, duration_ms=20, reason="lost"),
    ev.Degraded(part="retrieval", state="down", reason="timeout"),
    ev.CallHeld(at_ms=100),
    ev.CallResumed(at_ms=900),
    ev.CallTransferred(agent_id="u2", from_agent_id="u1", at_ms=1000, reason="转专席"),
    ev.CallEnded(reason="hangup", duration_ms=2000),
    ev.ArtifactReady(kind="qa", version=1),
    ev.ArtifactFailed(kind="qa", reason="model"),
    ev.WhisperSent(whisper_id="w1", user_id="u9", text="先核实身份"),
    ev.WrapUpSubmitted(user_id="u1", versions={"summary": 2, "ticket": 1}),
    ev.WrapUpReopened(user_id="u1"),
    ev.Redacted(seqs=(2, 3)),
]


def test_every_event_type_is_covered_here() -> None:
    assert {type(event) for event in EVENTS} == set(typing.get_args(ev.CallEvent))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_event_round_trip_whole_split_and_enveloped(event: ev.CallEvent) -> None:
    assert codec.decode_event(codec.encode_event(event)) == event
    payload, content = codec.split(event)
    assert set(content) <= set(type(event).CONTENT)
    assert not set(payload) & set(type(event).CONTENT)
    assert codec.join(payload, content) == event
    envelope = ev.EventEnvelope(org_id="o", call_id="c", seq=1, epoch=2, at=AT, event=event)
    assert codec.decode_envelope(codec.encode_envelope(envelope)) == envelope


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_without_content_the_event_has_neutral_defaults(event: ev.CallEvent) -> None:
    payload, _ = codec.split(event)
    bare = codec.join(payload, None)
    for field in dataclasses.fields(event):
        if field.name in type(event).CONTENT:
            assert not getattr(bare, field.name)
        else:
            assert getattr(bare, field.name) == getattr(event, field.name)


def test_upcasters_lift_an_old_event_step_by_step() -> None:
    # Invented history: version 1 said "seconds", version 2 still did, version 3 has duration_ms.
    old = {"type": "call_ended", "reason": "hangup", "seconds": 2}

    def to_three(data: codec.Json) -> codec.Json:
        data["duration_ms"] = data.pop("seconds") * 1000
        return data

    event = codec.decode_event(old, 1, upcasters={("call_ended", 2): to_three}, current=3)
    assert event == ev.CallEnded(reason="hangup", duration_ms=2000)
    assert "seconds" in old
    with pytest.raises(InvalidInput, match="duration_ms"):
        codec.decode_event(old, 3, upcasters={("call_ended", 2): to_three}, current=3)


def test_an_alert_of_an_older_version_rests_on_its_own_utterance() -> None:
    old = {"type": "compliance_alerted", "rule_id": "r", "kind": "abuse", "severity": "warn", "channel": "agent", "utterance_id": "agent-2"}
    event = codec.decode_event(old, 2)
    assert isinstance(event, ev.ComplianceAlerted)
    assert (event.evidence, event.at_ms) == (("agent-2",), 0)


def test_an_event_from_the_future_is_refused_with_advice() -> None:
    with pytest.raises(EngineError, match="newer"):
        codec.decode_event(codec.encode_event(EVENTS[0]), ev.SCHEMA_VERSION + 1)


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "no_such_event"},
        {},
        {"type": "call_ended", "reason": "6222020000000000", "duration_ms": 1},
        {"type": "redacted", "seqs": "6222020000000000"},
    ],
)
def test_faults_do_not_repeat_the_value(broken: codec.Json) -> None:
    with pytest.raises(InvalidInput) as caught:
        codec.decode_event(broken)
    assert "6222020000000000" not in str(caught.value)
    assert caught.value.__suppress_context__


ARTIFACTS = [
    Artifact(
        kind="summary",
        version=1,
        body=Summary(language="zh", overall="挂失", problems=(Statement(text="丢卡", utterance_ids=("customer-1",)),)),
    ),
    Artifact(
        kind="ticket",
        version=2,
        body=TicketClassification(
            level1="card",
            level2="loss",
            confidence=0.7,
            taxonomy_version="1",
            alternatives=(CategoryScore(level1="card", level2="lock", confidence=0.2),),
            evidence=("customer-1",),
        ),
    ),
    Artifact(
        kind="qa",
        version=3,
        body=QaScorecard(
            rubric_version="1",
            score=95.0,
            fatal=False,
            items=(
                QaItem(
                    item_id="greeting",
                    section="service",
                    answer="pass",
                    points=5,
                    max_points=5,
                    evidence=(Evidence(utterance_id="agent-1", channel="agent", start_ms=0, end_ms=10, quote="您好"),),
                ),
            ),
        ),
    ),
]


@pytest.mark.parametrize("artifact", ARTIFACTS, ids=lambda artifact: artifact.kind)
def test_artifact_round_trip_told_apart_by_kind(artifact: Artifact) -> None:
    assert codec.decode_artifact(codec.encode_artifact(artifact)) == artifact


def test_artifact_of_one_kind_with_the_body_of_another_is_refused() -> None:
    with pytest.raises(InvalidInput):
        codec.decode_artifact({**codec.encode_artifact(ARTIFACTS[0]), "kind": "qa"})
    with pytest.raises(InvalidInput, match="one of"):
        codec.decode_artifact({"kind": "poem", "version": 1, "body": {}})


def test_call_round_trip() -> None:
    call = Call(org_id="o", call_id="c", last_seq=3, phase="live", started_at=AT, intents=("card_loss",), agent_id="u1")
    assert codec.decode_call(codec.encode_call(call)) == call


def test_the_published_schema_accepts_what_we_write() -> None:
    schema = codec.schema()
    for event in EVENTS:
        data = codec.encode_envelope(ev.EventEnvelope(org_id="o", call_id="c", seq=1, epoch=1, at=AT, event=event))
        jsonschema.validate(data, {"$ref": "#/$defs/EventEnvelope", "$defs": schema["$defs"]})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"seq": 1}, {"$ref": "#/$defs/EventEnvelope", "$defs": schema["$defs"]})
    for artifact in ARTIFACTS:
        jsonschema.validate(codec.encode_artifact(artifact), {"$ref": "#/$defs/Artifact", "$defs": schema["$defs"]})


def test_a_call_started_before_there_were_typed_fields_gets_them_from_its_metadata():
    old = {
        "type": "call_started", "external_id": "x", "protocol": "raw", "legs": [], "language": "zh", "started_at": "2026-03-01T09:30:00Z",
        "agent_id": None, "direction": "inbound",
        "metadata": {"ani": "【手机号#1】", "dnis": "95588", "skill": "cards", "customer_id": "C-1"},
    }  # fmt: skip
    lifted = codec.decode_event(old, 1)
    assert isinstance(lifted, ev.CallStarted)
    assert (lifted.ani, lifted.dnis, lifted.skill) == ("【手机号#1】", "95588", "cards")
    assert lifted.customer_id == "", "it was not masked whole then"
    clear = codec.decode_event({**old, "metadata": {"ani": "anonymous"}}, 1)
    assert isinstance(clear, ev.CallStarted)
    assert clear.ani == ""
