"""What the customer wants, and why we think so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UNKNOWN_INTENT = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentReason:
    """One piece of evidence: the nearest exemplar, the rule that matched, the model's score, or the earlier turn it was read with."""

    kind: Literal["exemplar", "rule", "model", "context"]
    detail: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentScore:
    """An alternative with its score in [0, 1]."""

    intent: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentPrediction:
    """The best intent of an utterance, or ``unknown``.

    ``outside``: how surely no need is stated. ``also``: other needs that the same utterance states. ``refers_to``: the place in the context
    given (from 0) of the utterance by which a short one was understood.
    """

    intent: str
    confidence: float
    outside: float = 0.0
    alternatives: tuple[IntentScore, ...] = ()
    also: tuple[IntentScore, ...] = ()
    refers_to: int | None = None
    why: tuple[IntentReason, ...] = ()

    @property
    def chances(self) -> dict[str, float]:
        """Intent → probability, as far as it is told; ``unknown`` is none."""
        told = {score.intent: score.confidence for score in self.alternatives}
        return told if self.intent == UNKNOWN_INTENT else {self.intent: self.confidence, **told}
