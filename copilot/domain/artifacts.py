"""What after-call work produces. Every statement points at the utterances it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from copilot.domain.audio import ChannelName
from copilot.domain.ids import UtteranceId
from copilot.domain.moods import Mood, Trend

ArtifactKind = Literal["summary", "ticket", "qa", "mood", "keywords", "recording"]
TextArtifactKind = Literal["summary", "ticket", "qa", "mood", "keywords"]
"""Those made from the transcript alone."""
ARTIFACT_KINDS: tuple[ArtifactKind, ...] = ("summary", "ticket", "qa", "mood", "keywords", "recording")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One line of a finished transcript, as after-call work reads it."""

    utterance_id: UtteranceId
    channel: ChannelName
    start_ms: int
    end_ms: int
    text: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence of a summary with the utterances it rests on.

    ``owner`` and ``due`` (as it was said, such as 三个工作日): of commitments and follow-ups. ``polarity``: whether an act is told as done.
    Each is empty where the words do not say.
    """

    text: str
    utterance_ids: tuple[UtteranceId, ...]
    owner: Literal["bank", "customer", ""] = ""
    due: str = ""
    polarity: Literal["done", "not_done", ""] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """``method``: ``extractive`` (no model) or ``llm``; generated text is labelled on screen."""

    language: str
    overall: str
    problems: tuple[Statement, ...] = ()
    actions: tuple[Statement, ...] = ()
    commitments: tuple[Statement, ...] = ()
    follow_ups: tuple[Statement, ...] = ()
    method: Literal["extractive", "llm"] = "extractive"
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryScore:
    """A ticket category with its confidence in [0, 1]."""

    level1: str
    level2: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketSlot:
    """A fact of the ticket, such as an amount. ``value`` is normalised, or a token of personal information, never its value."""

    name: str
    value: str
    utterance_id: UtteranceId


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketClassification:
    """Ids of the two-level taxonomy, with alternatives, the evidence and suggested measures.

    ``confidence`` is that of both levels together, ``level1_confidence`` that of the branch alone. ``cause``: id of the taxonomy's root
    cause, empty when the words do not tell it.
    """

    level1: str
    level2: str
    confidence: float
    taxonomy_version: str
    alternatives: tuple[CategoryScore, ...] = ()
    evidence: tuple[UtteranceId, ...] = ()
    measures: tuple[str, ...] = ()
    level1_confidence: float = 0.0
    cause: str = ""
    cause_evidence: tuple[UtteranceId, ...] = ()
    slots: tuple[TicketSlot, ...] = ()
    pack_version: int = 0
    """Of the stored taxonomy; 0 for a file, and where it was not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The words a score rests on, and where to hear them."""

    utterance_id: UtteranceId
    channel: ChannelName
    start_ms: int
    end_ms: int
    quote: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QaItem:
    """One answered question of the rubric. ``not_scorable``: the recognition was too poor; ``deduction``: off the score on a fail."""

    item_id: str
    section: str
    answer: Literal["pass", "fail", "na", "not_scorable"]
    points: float
    max_points: float
    fatal: bool = False
    confidence: float = 1.0
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    deduction: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QaScorecard:
    """``score`` in [0, 100]: points over applicable maximum; 0 when a fatal item failed."""

    rubric_version: str
    score: float
    fatal: bool
    items: tuple[QaItem, ...] = ()
    pack_version: int = 0
    """Of the stored rubric; 0 for a file, and where it was not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodPoint:
    """How a customer's turn came across. ``heard``: by the live loop (words and voice), or afterwards by its words alone."""

    utterance_id: UtteranceId
    at_ms: int
    mood: Mood
    confidence: float
    heard: Literal["live", "words"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerPace:
    """How much and how fast a channel spoke: ms with speech in it, and characters (Mandarin) or words (English) a minute of that."""

    channel: ChannelName
    speech_ms: int
    units_per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodReport:
    """The mood of a call, an estimate for who reads it: turns that are not calm, or that thank, and what the times tell.

    ``trend``: the tension of the customer's second half of the call against the first. ``complaint_risk`` in [0, 1].
    Silence: nobody is heard; ``longest_silence_at_ms`` is where the longest one begins. Overtalk: both are.
    """

    points: tuple[MoodPoint, ...]
    trend: Trend
    complaint_risk: float
    risk_evidence: tuple[UtteranceId, ...]
    pace: tuple[SpeakerPace, ...]
    silence_ms: int
    longest_silence_ms: int
    longest_silence_at_ms: int
    overtalk_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyword:
    """A term that tells what the call was about. ``weight`` in (0, 1], the first of a call has 1; ``known``: a term of the bank's packs."""

    term: str
    weight: float
    count: int
    utterance_ids: tuple[UtteranceId, ...]
    known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords:
    """The terms of a call, the most telling first."""

    language: str
    terms: tuple[Keyword, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenSpan:
    """Media time [start_ms, end_ms) in which personal information was, or may have been, said. Says when, never what.

    ``channel``: the leg that is hidden; None: every leg, since a line echoes the other one.
    """

    start_ms: int
    end_ms: int
    channel: ChannelName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningCopy:
    """The two FLAC files joined from a call's recording: the original, and the one in which ``hidden`` is a low tone.

    Sample n of either is media time n / ``sample_rate_hz``. ``channels``: from left to right. ``complete`` is False when part of the
    recording was still missing when it was made. Both files lie in blocks of ``block_bytes`` in ``folder`` of the call's media.
    """

    folder: str
    sample_rate_hz: int
    channels: tuple[ChannelName, ...]
    duration_ms: int
    complete: bool
    original_bytes: int
    masked_bytes: int
    block_bytes: int
    through_seq: int
    """The last event it knew of: words rewritten after it are not hidden in it."""
    hidden: tuple[HiddenSpan, ...] = ()


ArtifactBody = Summary | TicketClassification | QaScorecard | MoodReport | Keywords | ListeningCopy


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One version of one artifact of a call."""

    kind: ArtifactKind
    version: int
    body: ArtifactBody
