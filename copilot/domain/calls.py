"""A call is a fold over its events: ``fold(replay) == incremental``, and a duplicate changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from copilot.domain.events import (
    ArtifactReady,
    CallEnded,
    CallHeld,
    CallResumed,
    CallStarted,
    CallTransferred,
    ComplianceAlerted,
    EventEnvelope,
    IntentDetected,
    SuggestionFeedback,
    SuggestionOffered,
    UtteranceFinal,
)
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.intents import UNKNOWN_INTENT

CallPhase = Literal["new", "live", "ended"]
IMPORTED = "import"
"""The protocol of a call that came as a file: nobody waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What lists and pages need to know of a call; the projection row has the same fields."""

    org_id: OrgId
    call_id: CallId
    last_seq: int = 0
    phase: CallPhase = "new"
    external_id: str = ""
    protocol: str = ""
    language: str = ""
    agent_id: UserId | None = None
    direction: Literal["inbound", "outbound"] = "inbound"
    ani: str = ""
    """Like ``customer_id``, a token: the value is in the vault."""
    dnis: str = ""
    customer_id: str = ""
    skill: str = ""
    held: bool = False
    started_at: datetime | None = None
    duration_ms: int = 0
    end_reason: str = ""
    utterances: int = 0
    suggestions: int = 0
    suggestions_used: int = 0
    alerts: int = 0
    intents: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()


def apply(call: Call, envelope: EventEnvelope) -> Call:
    """The call after one more event. An event already applied (seq ≤ last_seq) changes nothing.

    Raises ValueError when the event belongs to another call or leaves a hole in the sequence: the caller must read the missing ones first.
    """
    if (envelope.org_id, envelope.call_id) != (call.org_id, call.call_id):
        raise ValueError("the event belongs to another call")
    if envelope.seq <= call.last_seq:
        return call
    if envelope.seq != call.last_seq + 1:
        raise ValueError(f"event {envelope.seq} does not follow {call.last_seq}")
    call = replace(call, last_seq=envelope.seq)
    event = envelope.event
    match event:
        case CallStarted():
            return replace(
                call,
                phase="live",
                external_id=event.external_id,
                protocol=event.protocol,
                language=event.language,
                agent_id=event.agent_id,
                direction=event.direction,
                ani=event.ani,
                dnis=event.dnis,
                customer_id=event.customer_id,
                skill=event.skill,
                started_at=event.started_at,
            )
        case CallHeld():
            return replace(call, held=call.phase != "ended")
        case CallResumed():
            return replace(call, held=False)
        case CallTransferred():
            return replace(call, agent_id=event.agent_id)
        case UtteranceFinal():
            return replace(call, utterances=call.utterances + 1, duration_ms=max(call.duration_ms, event.end_ms))
        case IntentDetected():
            if event.intent == UNKNOWN_INTENT or event.intent in call.intents:
                return call
            return replace(call, intents=(*call.intents, event.intent))
        case SuggestionOffered():
            # A card whose generated text replaces its approved answer is still one suggestion.
            return replace(call, suggestions=call.suggestions + (event.kind != "nothing" and event.replaces is None))
        case SuggestionFeedback():
            return replace(call, suggestions_used=call.suggestions_used + (event.action in ("used", "copied", "edited")))
        case ComplianceAlerted():
            return replace(call, alerts=call.alerts + 1)
        case CallEnded():
            duration_ms = max(call.duration_ms, event.duration_ms)
            return replace(call, phase="ended", held=False, end_reason=event.reason, duration_ms=duration_ms)
        case ArtifactReady():
            if event.kind in call.artifacts:
                return call
            return replace(call, artifacts=(*call.artifacts, event.kind))
        case _:
            return call


def fold(org_id: OrgId, call_id: CallId, events: list[EventEnvelope]) -> Call:
    """The call after all of ``events``, in order."""
    call = Call(org_id=org_id, call_id=call_id)
    for envelope in events:
        call = apply(call, envelope)
    return call
