"""After-call work on one transcript: the only place that puts its parts together. Used by the worker and by ``pangting postcall run``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from copilot.codec import to_json
from copilot.domain.artifacts import Keywords, MoodReport, QaScorecard, Summary, TextArtifactKind, TicketClassification, Turn
from copilot.domain.errors import InvalidInput
from copilot.domain.ports.knowledge import Embedder, IntentClassifier
from copilot.domain.ports.llm import TextModel
from postcall.classify import CategoryIndex, classify
from postcall.keywords import terms_of
from postcall.mood import report
from postcall.needs import find_intents
from postcall.packs import Packs
from postcall.qa.score import score
from postcall.reading import LANGUAGES
from postcall.summary import summarise
from postcall.turns import FoundIntent, Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What after-call work of one organisation is given. Without classifier: rules of the pack; without model: extractive summary.

    Keep it as long as the packs stay: it remembers the vectors of the ticket categories. ``pack_embedder`` embeds the bank's own texts and
    may keep their vectors on disk; ``embedder``, which embeds what was said, must not.
    """

    packs: Packs
    intents: IntentClassifier | None = None
    embedder: Embedder | None = None
    model: TextModel | None = None
    pack_embedder: Embedder | None = None
    categories: CategoryIndex | None = field(init=False, default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.embedder is not None:
            index = CategoryIndex(self.packs.taxonomy, self.embedder, self.pack_embedder or self.embedder)
            object.__setattr__(self, "categories", index)

    def warm_up(self, language: str) -> None:
        """Does now what the first call in ``language`` would wait for."""
        if self.categories is not None:
            self.categories.warm_up(language)


TextArtifact = Summary | TicketClassification | QaScorecard | MoodReport | Keywords
_BY_INTENTS: frozenset[TextArtifactKind] = frozenset({"summary", "ticket", "qa"})


def produce(kind: TextArtifactKind, transcript: Transcript, tools: Tools) -> TextArtifact:
    """One artifact. Raises InvalidInput for a language without packs, EngineError when a model that cannot be replaced fails."""
    _check_language(transcript.language)
    if kind not in _BY_INTENTS:
        return _make(kind, transcript, (), tools)
    return _make(kind, transcript, find_intents(transcript, tools.packs, tools.intents), tools)


def run_all(turns: Sequence[Turn], language: str, tools: Tools) -> dict[str, Any]:
    """``{"summary", "ticket", "scorecard", "mood", "keywords"}`` as JSON-able Python; see docs/reference/schemas/postcall-result.json."""
    _check_language(language)
    transcript = Transcript(language=language, turns=tuple(turns))
    intents = find_intents(transcript, tools.packs, tools.intents)
    kinds: dict[str, TextArtifactKind] = {
        "summary": "summary",
        "ticket": "ticket",
        "scorecard": "qa",
        "mood": "mood",
        "keywords": "keywords",
    }
    return {name: to_json(_make(kind, transcript, intents, tools)) for name, kind in kinds.items()}


def _make(kind: TextArtifactKind, transcript: Transcript, intents: Sequence[FoundIntent], tools: Tools) -> TextArtifact:
    match kind:
        case "summary":
            return summarise(transcript, intents, tools.packs, tools.model)
        case "ticket":
            return classify(tools.packs.taxonomy, transcript, intents, tools.categories)
        case "qa":
            found = {item.intent for item in intents}
            return score(tools.packs.rubric, transcript.turns, transcript.language, found)
        case "mood":
            return report(transcript)
        case "keywords":
            return terms_of(transcript, tools.packs.taxonomy)


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise InvalidInput(f"After-call work knows the languages {' and '.join(LANGUAGES)}, not {language!r}.")
