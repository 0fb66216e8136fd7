"""How a customer's turn reads: probability of each mood from labelled sentences and cues, by the classifier that also tells intents.

Only for what customers say. The weights were chosen on the dev part of the labelled turns. A mood judged from text is a weak guess, so
it carries its confidence everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from copilot.domain.errors import InvalidInput
from copilot.domain.moods import MOODS, Mood, MoodReading, MoodReason, MoodScore
from copilot.domain.ports.knowledge import Embedder
from kb import packs
from kb.analysis import spoken_core
from kb.intent_model import Exemplar, IntentModel, Weights
from kb.intent_training import Sample, fit_linear

WEIGHTS = Weights(knn=28.0, linear=4.0, rule=2.2)


PRIOR: Mapping[Mood, float] = {"calm": 0.64, "confused": 0.1, "anxious": 0.16, "angry": 0.1}
"""How often customers' turns are so, counted on the dev part of the labelled turns; the sentences of the pack are evenly many."""


class MoodReader:
    """Implements ``MoodClassifier``. Thread-safe. Raises InvalidInput if the pack is not fit for use."""

    def __init__(self, pack: str, embedder: Embedder, *, exemplar_embedder: Embedder | None = None) -> None:
        faults = packs.faults("moods", pack)
        data = yaml.load(pack, yaml.CSafeLoader) if not faults else {"moods": []}
        named = {str(entry.get("id")) for entry in data["moods"]}
        if faults or named != set(MOODS):
            raise InvalidInput(
                f"The moods cannot be used; correct moods.yaml: {'; '.join(map(str, faults[:5])) or 'it must hold ' + ', '.join(MOODS)}."
            )
        self._embedder = embedder
        self._cues = {
            language: [
                (str(entry["id"]), re.compile(pattern, re.IGNORECASE))
                for entry in data["moods"]
                for pattern in (entry.get("rules") or {}).get(language) or ()
            ]
            for language in ("zh", "en")
        }
        self._complaint = {
            language: [re.compile(pattern, re.IGNORECASE) for pattern in (data.get("complaint") or {}).get(language) or ()]
            for language in ("zh", "en")
        }
        samples: dict[str, Sample] = {}
        for language in ("zh", "en"):
            items = [
                Exemplar(text=spoken_core(str(text), language), intent=str(entry["id"]))
                for entry in data["moods"]
                for text in entry["examples"].get(language) or ()
            ]
            vectors = (exemplar_embedder or embedder).embed([item.text for item in items], "query")
            samples[language] = Sample(exemplars=items, vectors=vectors, rules=())
        linear = fit_linear(samples, MOODS)
        self._models: Mapping[str, IntentModel] = {
            language: IntentModel(language, sample.exemplars, sample.vectors, linear, WEIGHTS) for language, sample in samples.items()
        }

    def read(self, text: str, language: str) -> MoodReading:
        """The mood of one turn by its words alone."""
        language = language if language in self._models else "en"
        core = spoken_core(text, language)
        cues = {mood: match[0] for mood, pattern in self._cues[language] if (match := pattern.search(text)) is not None}
        vector = self._embedder.embed([core], "query")[0]
        scored = self._models[language].scores(core, vector, tuple(cues))
        reasons = [MoodReason(kind="words", detail=said, score=1.0) for said in cues.values()]
        reasons += [
            MoodReason(kind="exemplar", detail=f"{exemplar.intent}: {exemplar.text}", score=round(similarity, 4))
            for exemplar, similarity in scored.nearest
        ]
        weighed = {mood: scored.classes[mood] * PRIOR[mood] for mood in MOODS}
        total = sum(weighed.values())
        return MoodReading(
            scores=tuple(MoodScore(mood=mood, confidence=value / total) for mood, value in weighed.items()),
            complaint=any(pattern.search(text) for pattern in self._complaint[language]),
            why=tuple(reasons),
        )
