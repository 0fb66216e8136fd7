"""What is put before the agent, with its sources and where the time went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from copilot.domain.ids import SuggestionId, UtteranceId
from copilot.domain.knowledge import Citation

SuggestionKind = Literal["faq", "article", "reply", "alert", "action", "nothing"]
FeedbackAction = Literal["used", "copied", "edited", "rejected"]
ReplyStyle = Literal["professional", "standard", "plain"]
"""专业、标准、通俗."""
SaidOutcome = Literal["said", "partly", "not_said"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of the way from speech end to screen. Names: ``asr_endpoint asr_queue asr_decode mask store wait intent retrieve``,
    and of a generated reply ``llm_first llm``. A card whose look-up was done while the customer still spoke has ``ahead`` for both."""

    name: str
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionOption:
    """A second or third answer, shown collapsed."""

    title: str
    text: str
    citation: Citation
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedSentence:
    """``text[start:end]`` of a generated card rests on these of its ``citations``, from 0; none for a courtesy."""

    start: int
    end: int
    citations: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One card. ``text`` is what the agent may say; kind ``nothing`` says honestly that no reliable source was found.

    ``generated`` marks text written by a language model (labelled as such on screen); ``total_ms`` runs from the customer's
    speech end to the moment the card was offered.
    """

    suggestion_id: SuggestionId
    kind: SuggestionKind
    title: str
    text: str
    confidence: float
    trigger: UtteranceId
    at_ms: int
    intent: str = ""
    citations: tuple[Citation, ...] = ()
    options: tuple[SuggestionOption, ...] = ()
    generated: bool = False
    model: str = ""
    complete: bool = True
    replaces: SuggestionId | None = None
    sentences: tuple[CitedSentence, ...] = ()
    stages: tuple[Stage, ...] = ()
    total_ms: float = 0.0
