"""What the calls of one organisation share on a call node: knowledge, intents and rules, kept up to date with the store."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

import structlog

from copilot.assembly import engines
from copilot.domain.errors import Conflict
from copilot.domain.ids import OrgId
from copilot.domain.intents import UNKNOWN_INTENT, IntentPrediction
from copilot.domain.moods import MoodReading
from copilot.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from copilot.assembly.graph import GraphDesk
    from copilot.domain.ports.knowledge import ArticleStore, Embedder, IntentClassifier
    from copilot.live.desk import BankRules
    from kb.engine import SyncReport
    from kb.moods import MoodReader
    from kb.service import KnowledgeBase

log = structlog.get_logger(__name__)
_LOOK_EVERY_S = 0.25


class Organisation:
    """Blocking methods; thread-safe. ``refresh`` must run once before calls come in."""

    def __init__(
        self, settings: Settings, org_id: OrgId, articles: ArticleStore, embedder: Embedder, graph: GraphDesk | None = None
    ) -> None:
        from copilot.live.packs import RulesCache

        self.org_id = org_id
        self.articles = articles
        self.graph = graph
        self.knowledge: KnowledgeBase = engines.open_knowledge_base(settings, org_id, embedder)
        self._settings = settings
        self._embedder = embedder
        self._remembering = engines.remembering(settings, embedder)
        self._rules = RulesCache(articles)
        self._intents: IntentClassifier | None = None
        self._moods: MoodReader | None = None
        self._intent_versions = (0, 0, 0)
        self._watermark = -1
        self._day: date | None = None
        self.task: asyncio.Task[None] | None = None
        self._lock = threading.Lock()

    def stale(self) -> bool:
        """True if articles or ranking have changed in the store since the last refresh, or another day has begun."""
        return (
            self._day != self.articles.today()
            or self.articles.watermark() != self._watermark
            or self.knowledge.has_newer_ranking(self.articles)
            or self._versions() != self._intent_versions
        )

    def _versions(self) -> tuple[int, int, int]:
        """Of the intents, of the model trained for them, and of the moods."""
        intents, model, moods = (self.articles.pack(name) for name in ("intents", "intent_model", "moods"))
        return tuple(found[0] if found is not None else 0 for found in (intents, model, moods))  # type: ignore[return-value]

    def refresh(self) -> None:
        """Brings index, intents and rules to what the store holds. What was in use stays in use until the new is complete.

        Raises Conflict when another process is writing the index.
        """
        self.bring_up_to_date()

    def bring_up_to_date(self, progress: Callable[[int, int], None] | None = None, *, rebuild: bool = False) -> SyncReport:
        """``refresh``, or with ``rebuild`` the whole index anew; ``progress`` is told (done, total) passages."""
        with self._lock:
            watermark = self.articles.watermark()
            day = self.articles.today()
            report = self.knowledge.refresh(self.articles, progress, rebuild=rebuild)
            versions = self._versions()
            pack, model = self.articles.pack("intents"), self.articles.pack("intent_model")
            if pack is not None:
                trained = model[1] if model is not None else None
                self._intents = engines.open_intents(self._settings, pack[1], self.knowledge.articles, self._embedder, trained)
            moods = self.articles.pack("moods")
            if moods is not None:
                self._moods = engines.open_moods(self._settings, moods[1], self._embedder)
            self._intent_versions = versions
            self._rules.current()
            self._watermark, self._day = watermark, day
        log.info("knowledge_ready", org=self.org_id, passages=self.knowledge.state().passages, added=report.added, removed=report.removed)
        return report

    def written(self, progress: Callable[[int, int], None], *, rebuild: bool) -> dict[str, Any]:
        """``bring_up_to_date`` as ``pangting kb reindex --json`` has it."""
        from kb.results import sync_json

        return sync_json(self.bring_up_to_date(progress, rebuild=rebuild))

    def open(self) -> None:
        """Owns the index and brings it up to date. Raises Conflict naming the process that owns it."""
        self.knowledge.own()
        self.refresh()

    def close(self) -> None:
        """Gives the index up to another process."""
        self.knowledge.close()

    def now(self) -> datetime:
        return engines.system_clock().now()

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> npt.NDArray[np.float32]:
        """``[len(texts), dimension]`` of the bank's own texts, unit rows; remembered beside the models."""
        return self._remembering.embed(texts, kind)

    def read(self, text: str, language: str) -> MoodReading:
        """``MoodClassifier``: with the newest pack; before one is imported nothing is known."""
        return self._moods.read(text, language) if self._moods is not None else MoodReading(scores=())

    def alike(self, text: str, language: str, sentences: Sequence[str]) -> dict[str, float]:
        """How similar what was said is to sentences of the rules: the cosine of their vectors."""
        from kb.analysis import spoken_core

        said = self._embedder.embed([spoken_core(text, language)], "query")[0]
        known = self._embedder.embed(list(sentences), "query") @ said
        return {sentence: float(value) for sentence, value in zip(sentences, known, strict=True)}

    def rules(self) -> BankRules:
        return self._rules.current()

    def forbidden(self) -> list[re.Pattern[str]]:
        """What an agent must not say, in every language: no generated reply may say it either."""
        rules = [rule for rule in self.rules().compliance if rule.kind == "forbidden"]
        return [pattern for rule in rules for patterns in rule.patterns.values() for pattern in patterns]

    def classify(self, text: str, language: str, context: Sequence[str] = ()) -> IntentPrediction:
        """``IntentClassifier``: with the newest pack; before one is imported everything is unknown."""
        if self._intents is None:
            return IntentPrediction(intent=UNKNOWN_INTENT, confidence=0.0)
        return self._intents.classify(text, language, context)

    def _read_graph(self) -> None:
        assert self.graph is not None, "asked for only where there is one"
        try:
            self.graph.refresh()
        except Exception as error:  # what was read before goes on being used
            log.warning("graph_refresh_failed", org=self.org_id, error=type(error).__name__)
            time.sleep(5)

    async def keep_fresh(self, changed: Callable[[], Awaitable[None]]) -> None:
        """An edit, whoever made it, is searchable within a second; ``changed`` is called before.

        Runs until cancelled. The graph is read beside: a large knowledge base takes a minute at the start, and searches do not wait for it.
        """
        reading: asyncio.Task[None] | None = None
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self.graph is not None and (reading is None or reading.done()):
                reading = asyncio.create_task(asyncio.to_thread(self._read_graph), name=f"graph-{self.org_id}")
            try:
                if await asyncio.to_thread(self.stale):
                    # What went out of force is withdrawn at once, however long the index takes.
                    await changed()
                    await asyncio.to_thread(self.refresh)
            except Conflict:
                # Another process is writing the index (an import on the command line): look again when it is done.
                continue
            except Exception as error:  # what is in use goes on being used
                log.warning("knowledge_refresh_failed", org=self.org_id, error=type(error).__name__)
                await asyncio.sleep(5)
