"""The customer's mood turn by turn: words, voice and history joined into one estimate with its confidence. Pure; never for agents.

The voice counts only against the customer's own first turns of this call, and only a little: louder, higher and faster speech raises anger
and anxiety alike, it cannot tell them apart. Its weights are set by hand, since there is no labelled telephone speech to fit them to.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from copilot.domain.events import MoodChanged
from copilot.domain.ids import UtteranceId
from copilot.domain.moods import MOODS, Mood, MoodReading, MoodReason, MoodScore, Trend, VoiceChange, VoiceMeasure

BASELINE_TURNS = 2
HISTORY = 0.15
"""Share of the last turn's estimate in the next."""
_ENERGY, _PITCH, _RATE, _MOST = 0.08, 0.12, 0.8, 1.2
"""Per dB, semitone and e-fold of the rate, in log odds; bounded by the last."""
_TENSION: Mapping[Mood, float] = {"calm": 0.0, "confused": 0.3, "anxious": 0.7, "angry": 1.0}
_TREND = 0.15
_FADING = 0.85
"""What of a complaint risk is left a turn later."""


@dataclass(slots=True)
class MoodTracker:
    """One customer's."""

    _voices: list[tuple[VoiceMeasure, float]] = field(default_factory=list)
    _of: dict[UtteranceId, VoiceChange] = field(default_factory=dict)
    _last: dict[Mood, float] = field(default_factory=dict)
    _tensions: list[tuple[int, float]] = field(default_factory=list)
    _risk: float = 0.0
    _risk_turn: int = 0
    _told: tuple[int, Mood, float] | None = None

    def heard(self, utterance: UtteranceId, voice: VoiceMeasure | None, units: int) -> None:
        """The voice of one of the customer's utterances. ``units``: characters or words said in it."""
        if voice is None or voice.speech_ms <= 0 or units < 4:
            return
        rate = units * 1000 / voice.speech_ms
        if len(self._voices) < BASELINE_TURNS:
            self._voices.append((voice, rate))
            return
        pitches = [known.pitch_hz for known, _ in self._voices if known.pitch_hz is not None]
        semitones = 12 * math.log2(voice.pitch_hz / statistics.median(pitches)) if voice.pitch_hz is not None and pitches else 0.0
        self._of[utterance] = VoiceChange(
            energy_db=round(voice.level_db - statistics.median(known.level_db for known, _ in self._voices), 2),
            # A doubled or halved pitch is an error of the measurement, not of the customer.
            pitch_semitones=round(semitones if abs(semitones) < 10 else 0.0, 2),
            rate=round(rate / statistics.median(rate for _, rate in self._voices), 3),
        )
        while len(self._of) > 8:
            self._of.pop(next(iter(self._of)))

    def read(self, reading: MoodReading, utterance: UtteranceId, *, customer_turn: int, at_ms: int, complains: bool) -> MoodChanged | None:
        """The estimate of a turn; None if it hardly differs from the one told of it. ``complains``: its intent is a complaint."""
        if not reading.scores:
            return None
        voice = self._of.get(utterance)
        arousal = _arousal(voice)
        raised = math.exp(arousal)
        odds = {score.mood: score.confidence * (raised if score.mood in ("angry", "anxious") else 1.0) for score in reading.scores}
        total = sum(odds.values()) or 1.0
        before = self._last if self._last and (self._told is None or self._told[0] != customer_turn) else {}
        kept = HISTORY if before else 0.0
        scores = {mood: (1 - kept) * odds.get(mood, 0.0) / total + kept * before.get(mood, 0.0) for mood in MOODS}
        mood = max(MOODS, key=lambda name: scores[name])
        risk = self._complaint_risk(scores, customer_turn, sign=reading.complaint or complains)
        if self._told is not None and self._told[:2] == (customer_turn, mood) and abs(self._told[2] - risk) < 0.05:
            return None
        self._told = (customer_turn, mood, risk)
        self._last = scores
        why = list(reading.why)
        if voice is not None and abs(arousal) >= 0.2:
            why.append(
                MoodReason(kind="voice", detail="louder_higher_faster" if arousal > 0 else "quieter_lower_slower", score=round(arousal, 3))
            )
        return MoodChanged(
            customer_turn=customer_turn,
            utterance_id=utterance,
            at_ms=at_ms,
            mood=mood,
            confidence=round(scores[mood], 4),
            scores=tuple(MoodScore(mood=name, confidence=round(value, 4)) for name, value in scores.items()),
            trend=self._trend(customer_turn, sum(_TENSION[name] * value for name, value in scores.items())),
            complaint_risk=round(risk, 4),
            voice=voice,
            why=tuple(why),
        )

    def restore(self, event: MoodChanged) -> None:
        """An estimate that another node told."""
        self._last = {score.mood: score.confidence for score in event.scores}
        self._told = (event.customer_turn, event.mood, event.complaint_risk)
        self._risk, self._risk_turn = event.complaint_risk, event.customer_turn
        self._trend(event.customer_turn, sum(_TENSION[name] * value for name, value in self._last.items()))

    def _complaint_risk(self, scores: Mapping[Mood, float], customer_turn: int, *, sign: bool) -> float:
        now = 1 / (1 + math.exp(-(-2.6 + 2.8 * scores["angry"] + 0.6 * scores["anxious"] + (2.6 if sign else 0.0))))
        earlier = self._risk if self._risk_turn == customer_turn else self._risk * _FADING
        self._risk, self._risk_turn = max(now, earlier), customer_turn
        return self._risk

    def _trend(self, customer_turn: int, tension: float) -> Trend:
        self._tensions = [item for item in self._tensions if item[0] != customer_turn][-2:]
        earlier = [value for _, value in self._tensions]
        self._tensions.append((customer_turn, tension))
        change = tension - statistics.fmean(earlier) if earlier else 0.0
        return "rising" if change > _TREND else "easing" if change < -_TREND else "steady"


def _arousal(voice: VoiceChange | None) -> float:
    if voice is None:
        return 0.0
    value = _ENERGY * voice.energy_db + _PITCH * voice.pitch_semitones + _RATE * math.log(max(0.2, voice.rate))
    return max(-_MOST, min(_MOST, value))
