"""A desk for live calls on a real store and a real bus, with a knowledge base of one answer; only speech is scripted."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from copilot.bus.local import LocalBus
from copilot.domain.audio import CallStart, LegFormat
from copilot.domain.ids import ArticleId, OrgId, PassageId, UtteranceId
from copilot.domain.intents import IntentPrediction
from copilot.domain.knowledge import Article, Hit, Passage
from copilot.domain.ports.live import Integration
from copilot.domain.transcript import AsrTimings, TranscriptFinal
from copilot.live.desk import BankRules, LiveDesk
from copilot.live.services import LiveServices
from copilot.privacy.masker import Masker
from copilot.store.keyring import KeyRing
from copilot.store.store import open_store
from copilot.telemetry.clock import SystemClock

ORG = OrgId("default")
INTEGRATION = Integration(org_id=ORG, name="test", protocol="raw")
START = CallStart(
    external_id="call-1", legs=(LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8000),), metadata={"ani": "13900001111"}
)


class OneAnswer:
    """A knowledge base with one article, found with a given confidence; or one that fails."""

    def __init__(self, confidence: float, *, broken: bool = False) -> None:
        self.confidence = confidence
        self.broken = broken
        self.searches: list[str] = []
        article = Article(
            article_id=ArticleId("prepay"), version=2, language="zh", domain="loans", title="提前还款违约金",
            body="满一年提前还款不收违约金。", answer="满一年提前还款不收违约金。", valid_from=date(2026, 1, 1),
        )  # fmt: skip
        passage = Passage(
            passage_id=PassageId("prepay#1"),
            article_id=article.article_id,
            version=2,
            language="zh",
            kind="body",
            section="",
            text=article.body,
        )
        self.hit = Hit(article=article, passage=passage, score=1.0, confidence=confidence)

    def search(self, query):
        self.searches.append(query.text)
        if self.broken:
            raise RuntimeError("the index is gone")
        return (self.hit,)

    def article(self, article_id, language):
        return self.hit.article

    def classify(self, text, language, context=()):
        return IntentPrediction(intent="loan_prepay", confidence=0.9)


class Bench:
    """``desk`` opens calls; ``events`` and the waiting ones read what was stored of call-1."""

    def __init__(self, tmp_path, knowledge, reply_writer=None, reply_timeout_s=20.0, **services) -> None:
        self.bus = LocalBus()
        self.knowledge = knowledge
        self.store = open_store(f"sqlite:///{tmp_path}/test.db", KeyRing.open(tmp_path / "master.key"), SystemClock())
        self.store.people.ensure_org(ORG)
        self.services = LiveServices(
            journal=self.store.journal, bus=self.bus, clock=SystemClock(), executor=ThreadPoolExecutor(2), knowledge=knowledge,
            intents=knowledge, reply_writer=reply_writer, reply_timeout_s=reply_timeout_s, **services,
        )  # fmt: skip

        async def give(value):
            return value

        self.desk = LiveDesk(
            node="n1",
            services=lambda _org: give(self.services),
            rules=lambda _org: give(BankRules()),
            masker=Masker,
            find_agent=lambda _org, _name: give(None),
            audit=lambda _entry: give(None),
            past=lambda _org, _call: give(([], {})),
        )

    def events(self):
        return [envelope.event for envelope in self.store.calls.events(ORG, "call-1")]

    async def until(self, kind: str, count: int = 1, *, where=lambda _event: True, timeout_s: float = 100):
        """All events of a kind, once there are ``count``."""
        async with asyncio.timeout(timeout_s):
            while True:
                found = [event for event in await asyncio.to_thread(self.events) if event.type == kind and where(event)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)


def final(number: int, text: str) -> TranscriptFinal:
    return TranscriptFinal(
        channel="customer", utterance_id=UtteranceId(f"customer-{number}"), start_ms=1000 * number, end_ms=1000 * number + 900, text=text,
        language="zh", confidence=0.9, timings=AsrTimings(after_speech_ms=500, decode_ms=300),
    )  # fmt: skip
