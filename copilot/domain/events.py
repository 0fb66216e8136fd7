"""The durable events of a call: a closed union, told apart by the literal ``type``.

The store keys them by ``(org, call, seq)`` with the owner's ``epoch``. Fields named in ``CONTENT`` hold what was said or shown: the store
puts them into a content row encrypted with the call's key and leaves the neutral defaults in the event, so that deleting the key erases
the call and PII found late can be rewritten. Every text here has already been masked: PII is typed per-call tokens such as ``【卡号#1】``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from copilot.domain.artifacts import ArtifactKind
from copilot.domain.audio import ChannelName, LegFormat
from copilot.domain.ids import ArticleId, CallId, OrgId, SuggestionId, UserId, UtteranceId
from copilot.domain.intents import IntentReason, IntentScore
from copilot.domain.knowledge import Citation
from copilot.domain.moods import Mood, MoodReason, MoodScore, Trend, VoiceChange
from copilot.domain.suggestions import CitedSentence, FeedbackAction, SaidOutcome, Stage, SuggestionKind, SuggestionOption
from copilot.domain.transcript import AsrTimings, Correction, Word

SCHEMA_VERSION = 3
"""Version of the event payloads; older ones pass through the upcasters of copilot.codec."""
MAX_LABEL = 128
"""Characters of a dialled number or a skill that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted:
    CONTENT: ClassVar[tuple[str, ...]] = ("metadata",)
    type: Literal["call_started"] = "call_started"
    external_id: str
    protocol: str
    legs: tuple[LegFormat, ...]
    language: str
    started_at: datetime
    integration: str = ""
    """The name of the telephony integration it came by: another one cannot continue the call."""
    agent_id: UserId | None = None
    direction: Literal["inbound", "outbound"] = "inbound"
    ani: str = ""
    """The caller's number as a token; a word such as ``anonymous`` when it was withheld."""
    dnis: str = ""
    customer_id: str = ""
    """The bank's own number of the customer as a token."""
    skill: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceFinal:
    """A final, masked. ``source``: heard live, or found in the recording of a call that was cut off."""

    CONTENT: ClassVar[tuple[str, ...]] = ("text", "words", "corrections")
    type: Literal["utterance_final"] = "utterance_final"
    utterance_id: UtteranceId
    channel: ChannelName
    start_ms: int
    end_ms: int
    language: str
    confidence: float
    text: str = ""
    words: tuple[Word, ...] = ()
    corrections: tuple[Correction, ...] = ()
    timings: AsrTimings = AsrTimings()
    source: Literal["live", "recording"] = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentDetected:
    """A need that a turn states or goes on with. A turn with several needs has several of these.

    ``refers_to``: the earlier utterance that a short turn was understood by ("那要多久？"), if it was.
    """

    CONTENT: ClassVar[tuple[str, ...]] = ("why",)
    type: Literal["intent_detected"] = "intent_detected"
    utterance_id: UtteranceId
    intent: str
    confidence: float
    alternatives: tuple[IntentScore, ...] = ()
    why: tuple[IntentReason, ...] = ()
    refers_to: UtteranceId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotFilled:
    """``value`` is normalised (``3000.00``, ``2026-11-22``) or a PII token, never a PII value."""

    CONTENT: ClassVar[tuple[str, ...]] = ("value", "spoken")
    type: Literal["slot_filled"] = "slot_filled"
    utterance_id: UtteranceId
    name: str
    value: str = ""
    spoken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistTicked:
    """``how`` the step was recognised: by its wording, by the sound of it (misheard characters), or by its meaning."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["checklist_ticked"] = "checklist_ticked"
    checklist_id: str
    step_id: str
    utterance_id: UtteranceId
    how: Literal["wording", "sound", "meaning"] = "wording"
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NextActionProposed:
    """The step of the open procedures to do next; takes the place of the one before. ``step_id`` "": nothing is left to do.

    ``script``: what the agent may say, with the slots of this call filled in; personal ones are tokens.
    """

    CONTENT: ClassVar[tuple[str, ...]] = ("script",)
    type: Literal["next_action_proposed"] = "next_action_proposed"
    checklist_id: str
    step_id: str
    utterance_id: UtteranceId
    at_ms: int
    script: str = ""
    missing: tuple[str, ...] = ()
    """Slots that the script names and nobody has said yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceAlerted:
    """A rule was broken, or a signal heard. ``utterance_id``: the newest of ``evidence``; for silence, the utterance before it."""

    CONTENT: ClassVar[tuple[str, ...]] = ("quote",)
    type: Literal["compliance_alerted"] = "compliance_alerted"
    rule_id: str
    kind: str
    severity: Literal["info", "warn", "critical"]
    channel: ChannelName
    utterance_id: UtteranceId
    quote: str = ""
    at_ms: int = 0
    """Media time at which the rule was known to be broken; 0 in calls older than schema version 3."""
    evidence: tuple[UtteranceId, ...] = ()
    """All utterances the alert rests on, oldest first."""
    pack_version: int = 0
    """Of the rules that raised it; 0 where it was not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodChanged:
    """How the customer's turn comes across: an estimate for the agent, shown with its confidence. One of a turn replaces its earlier one.

    ``complaint_risk`` in [0, 1]: how likely the customer goes on to complain formally. ``voice`` is None where no audio was measured.
    """

    CONTENT: ClassVar[tuple[str, ...]] = ("why",)
    type: Literal["mood_changed"] = "mood_changed"
    customer_turn: int
    utterance_id: UtteranceId
    at_ms: int
    mood: Mood
    confidence: float
    scores: tuple[MoodScore, ...] = ()
    trend: Trend = "steady"
    complaint_risk: float = 0.0
    voice: VoiceChange | None = None
    why: tuple[MoodReason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicsMeasured:
    """How the talk runs, from the beginning of the call to ``at_ms``; replaces the one before.

    Rates are characters (zh) or words (en) per minute of the channel's own speech in the last minute, None while too little was said.
    """

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["dynamics_measured"] = "dynamics_measured"
    at_ms: int
    customer_speech_ms: int
    agent_speech_ms: int
    silence_ms: int
    """Nobody spoke; not counted while the customer was on hold."""
    longest_silence_ms: int
    overtalk_ms: int
    """Both spoke."""
    agent_interruptions: int
    """How often the agent began while the customer was speaking, and went on."""
    customer_interruptions: int
    agent_rate: float | None = None
    customer_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionOffered:
    """See ``copilot.domain.suggestions.Suggestion``, whose fields these are."""

    CONTENT: ClassVar[tuple[str, ...]] = ("title", "text", "citations", "options")
    type: Literal["suggestion_offered"] = "suggestion_offered"
    suggestion_id: SuggestionId
    kind: SuggestionKind
    confidence: float
    trigger: UtteranceId
    at_ms: int
    intent: str = ""
    title: str = ""
    text: str = ""
    citations: tuple[Citation, ...] = ()
    options: tuple[SuggestionOption, ...] = ()
    generated: bool = False
    model: str = ""
    replaces: SuggestionId | None = None
    retires: tuple[SuggestionId, ...] = ()
    """Cards that leave the screen for this one: too old, or one too many."""
    sentences: tuple[CitedSentence, ...] = ()
    """Of a generated text: which of ``citations`` each sentence rests on."""
    stages: tuple[Stage, ...] = ()
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionWithdrawn:
    """A source of a card is no longer in force: what the card says from this version must not be said any more.

    ``superseded``: another version took its place; ``ended``: it was retired or its last day has passed.
    """

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["suggestion_withdrawn"] = "suggestion_withdrawn"
    suggestion_id: SuggestionId
    article_id: ArticleId
    version: int
    reason: Literal["superseded", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRefused:
    """A model's reply beside this card was not shown, because it did not pass the guard. Says why, never what."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["reply_refused"] = "reply_refused"
    suggestion_id: SuggestionId
    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionOutcome:
    """Whether the agent said what the card offered, told from the agent's own speech: an estimate with its confidence.

    ``coverage`` in [0, 1]: how much of the card was said; ``utterance_ids``: where. A later one of the same card replaces it.
    """

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["suggestion_outcome"] = "suggestion_outcome"
    suggestion_id: SuggestionId
    outcome: SaidOutcome
    confidence: float
    coverage: float
    at_ms: int
    utterance_ids: tuple[UtteranceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceTranslated:
    """A line of the other side in the agent's language, by a model; tokens of personal data stand in it as in the line."""

    CONTENT: ClassVar[tuple[str, ...]] = ("text",)
    type: Literal["utterance_translated"] = "utterance_translated"
    utterance_id: UtteranceId
    language: str
    model: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionFeedback:
    CONTENT: ClassVar[tuple[str, ...]] = ("text", "reason")
    type: Literal["suggestion_feedback"] = "suggestion_feedback"
    suggestion_id: SuggestionId
    action: FeedbackAction
    user_id: UserId
    text: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaGapRecorded:
    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["media_gap"] = "media_gap"
    channel: ChannelName
    start_ms: int
    duration_ms: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """A part of the copilot stopped or started helping during this call; the rest goes on."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["degraded"] = "degraded"
    part: Literal["recognition", "retrieval", "generation", "recording"]
    state: Literal["down", "up"]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld:
    """The agent put the customer on hold at this media time. The media clock runs on."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["call_held"] = "call_held"
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResumed:
    """The hold is over."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["call_resumed"] = "call_resumed"
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTransferred:
    """The call belongs to ``agent_id`` from here on: to that agent's screen, and to nobody else's vault."""

    CONTENT: ClassVar[tuple[str, ...]] = ("reason",)
    type: Literal["call_transferred"] = "call_transferred"
    agent_id: UserId
    from_agent_id: UserId | None
    at_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["call_ended"] = "call_ended"
    reason: Literal["hangup", "peer_closed", "error", "interrupted", "duplicate"]
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactReady:
    """The artifact itself is in the store under (call, kind, version)."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["artifact_ready"] = "artifact_ready"
    kind: ArtifactKind
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFailed:
    """After-call work gave up on an artifact after its retries; it can be run again."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["artifact_failed"] = "artifact_failed"
    kind: ArtifactKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperSent:
    """A supervisor's word to the agent of a live call: shown in the agent's sidebar, never heard by the customer."""

    CONTENT: ClassVar[tuple[str, ...]] = ("text",)
    type: Literal["whisper_sent"] = "whisper_sent"
    whisper_id: str
    user_id: UserId
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpSubmitted:
    """The agent handed in the after-call form. ``versions``: the version of each artifact that was handed in."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["wrap_up_submitted"] = "wrap_up_submitted"
    user_id: UserId
    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpReopened:
    """The agent took the after-call form back; what was handed in stays as versions."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["wrap_up_reopened"] = "wrap_up_reopened"
    user_id: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """The contents of these events were rewritten because PII was found late."""

    CONTENT: ClassVar[tuple[str, ...]] = ()
    type: Literal["redacted"] = "redacted"
    seqs: tuple[int, ...]


CallEvent = (
    CallStarted
    | UtteranceFinal
    | IntentDetected
    | SlotFilled
    | ChecklistTicked
    | NextActionProposed
    | ComplianceAlerted
    | MoodChanged
    | DynamicsMeasured
    | SuggestionOffered
    | SuggestionWithdrawn
    | ReplyRefused
    | SuggestionOutcome
    | SuggestionFeedback
    | UtteranceTranslated
    | MediaGapRecorded
    | Degraded
    | CallHeld
    | CallResumed
    | CallTransferred
    | CallEnded
    | ArtifactReady
    | ArtifactFailed
    | WhisperSent
    | WrapUpSubmitted
    | WrapUpReopened
    | Redacted
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEnvelope:
    """A stored event. ``seq`` counts from 1 within the call without holes; ``epoch`` is the ownership under which it was written."""

    org_id: OrgId
    call_id: CallId
    seq: int
    epoch: int
    at: datetime
    event: CallEvent
    schema_version: int = SCHEMA_VERSION
