"""Training and judging the intent classifier of one organisation, for the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copilot.assembly import engines
from copilot.domain.errors import NotFound
from copilot.domain.ids import OrgId
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.store.store import Store

Json = dict[str, Any]
Progress = Callable[[int, int, str], None]
NOISE = "mixed:0.15"
"""Of the copies that a classifier is trained with: a seventh of the characters misheard."""


class IntentDesk:
    """One organisation's intents."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._articles = store.articles(OrgId(settings.org))
        self._embedder = engines.open_embedder(settings, threads=os.cpu_count() or 1)

    def train(self, progress: Progress, *, noise: bool, keep: bool) -> Json:
        """Fits, measures on held-out folds, and stores the model. Raises NotFound without intents, InvalidInput."""
        from kb import intents
        from kb.intent_model import PACK, trained_text
        from kb.intent_training import Sample, train
        from kb.noise import noisy, parse_noise

        data, remembering, kind = intents.checked(self._pack()), engines.remembering(self._settings, self._embedder), parse_noise(NOISE)
        rules = intents.rules_of(data)
        samples: dict[str, Sample] = {}
        for language in ("zh", "en"):
            sentences = intents.exemplars(data, self._articles.published(), language)
            texts = [item.text for item in sentences]
            vectors = remembering.embed(texts, "query", partial(_sentences, progress, language))
            copies = []
            if noise and language == "zh":
                misheard = [noisy(text, kind, 1) for text in texts]
                their = remembering.embed(misheard, "query", lambda done, total: progress(done, total, "misheard copies"))
                copies = [(at, text, their[at]) for at, text in enumerate(misheard) if text != texts[at]]
            matched = [frozenset(intents.matching(rules[language], text)) for text in texts]
            samples[language] = Sample(exemplars=sentences, vectors=vectors, rules=matched, copies=copies)
        progress(0, 0, "fitting")
        trained = train(samples, self._embedder.identity)
        changed = keep and self._articles.put_pack(PACK, "*", trained_text(trained))
        return {"sha256": trained.sha256, "embedder": trained.embedder, "kept": keep, "changed": changed, "report": dict(trained.report)}

    def evaluate(self, files: Sequence[Path], split: str, progress: Progress) -> Json:
        """What training found; with ``files`` of labelled turns also how the classifier does on them. Raises NotFound, InvalidInput."""
        from kb.intent_eval import judge, parse_turns

        classifier = engines.open_intents(self._settings, self._pack(), self._articles.published(), self._embedder, self._trained())
        result: Json = {"trained": classifier.trained is not None, "stale": classifier.stale}
        if classifier.trained is not None:
            result |= {"sha256": classifier.trained.sha256, "report": dict(classifier.trained.report)}
        if files:
            turns = [turn for file in files for turn in parse_turns(file.read_text(encoding="utf-8").splitlines(), split)]
            result["turns"] = judge(classifier, turns, lambda done, total: progress(done, total, "turns"))
        return result

    def _pack(self) -> str:
        found = self._articles.pack("intents")
        if found is None:
            raise NotFound("No intents are stored; import them first: pangting kb import FOLDER")
        return found[1]

    def _trained(self) -> str | None:
        found = self._articles.pack("intent_model")
        return found[1] if found is not None else None


def _sentences(progress: Progress, language: str, done: int, total: int) -> None:
    progress(done, total, f"{language} sentences")


@contextmanager
def open_intent_desk(settings: Settings) -> Iterator[IntentDesk]:
    """The intents of the organisation for a command."""
    store = engines.open_store(settings)
    try:
        yield IntentDesk(settings, store)
    finally:
        store.close()
