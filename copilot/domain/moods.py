"""How a customer comes across in a turn, and how the talk runs: estimates about a call, never facts about a person nor about agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mood = Literal["calm", "confused", "anxious", "angry"]
MOODS: tuple[Mood, ...] = ("calm", "confused", "anxious", "angry")
Trend = Literal["rising", "steady", "easing"]
"""Whether the customer's tension over the last turns grows, stays or falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodScore:
    """A mood with its calibrated probability; those of one turn add up to 1."""

    mood: Mood
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodReason:
    """``words``: a cue of the pack that was heard. ``exemplar``: the nearest labelled sentence of the pack. ``voice``: a measure of the
    voice against the customer's own beginning of the call. ``history``: earlier turns of this call."""

    kind: Literal["words", "exemplar", "voice", "history"]
    detail: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceChange:
    """A turn's voice against the same customer's first turns of this call: differences only, from which no voice can be known again.

    ``energy_db``: level in dB; ``pitch_semitones``: median pitch; ``rate``: syllables per second, as a ratio (1: unchanged).
    """

    energy_db: float
    pitch_semitones: float
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodReading:
    """A turn by its words alone. ``complaint``: a sign that a formal complaint is near was heard."""

    scores: tuple[MoodScore, ...]
    complaint: bool = False
    why: tuple[MoodReason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceMeasure:
    """An utterance's voice in numbers; kept in memory for the length of a call, never stored. ``pitch_hz``: median, None if unvoiced."""

    level_db: float
    pitch_hz: float | None
    speech_ms: int
