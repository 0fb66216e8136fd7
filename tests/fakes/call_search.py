"""Calls with words and artifacts in a real store, and an index that follows it: without models, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from copilot.domain.artifacts import Artifact, Keyword, Keywords, QaScorecard, Statement, Summary, TicketClassification
from copilot.domain.events import CallEnded, IntentDetected, UtteranceFinal
from copilot.domain.ids import CallId
from copilot.domain.people import Scope
from copilot.search.embedded import EmbeddedCallIndex
from copilot.search.engine import CallIndex
from copilot.search.follow import Follower
from copilot.search.service import CallSearch
from copilot.search.terms import Blinder
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from tests.fakes.gram_embedder import GramEmbedder
from tests.fakes.stores import AT, ORG, make_store, sqlite_url, started

EVERYBODY = Scope(org_id=ORG, user_id="qi", roles=frozenset({"inspector"}))  # type: ignore[arg-type]


def line(number: int, text: str, channel: str = "customer", language: str = "zh") -> UtteranceFinal:
    return UtteranceFinal(
        utterance_id=f"{channel}-{number}", channel=channel, start_ms=number * 4000, end_ms=number * 4000 + 3000,  # type: ignore[arg-type]
        language=language, confidence=0.9, text=text,
    )  # fmt: skip


def summary(problem: str, overall: str = "", language: str = "zh") -> Artifact:
    body = Summary(language=language, overall=overall or problem, problems=(Statement(text=problem, utterance_ids=("customer-1",)),))
    return Artifact(kind="summary", version=1, body=body)


def ticket(level1: str, level2: str) -> Artifact:
    return Artifact(kind="ticket", version=1, body=TicketClassification(level1=level1, level2=level2, confidence=0.8, taxonomy_version="1"))


def keywords(*terms: str) -> Artifact:
    made = tuple(Keyword(term=term, weight=1.0, count=1, utterance_ids=()) for term in terms)
    return Artifact(kind="keywords", version=1, body=Keywords(language="zh", terms=made))


def scorecard(score: float) -> Artifact:
    return Artifact(kind="qa", version=1, body=QaScorecard(rubric_version="1", score=score, fatal=False))


class SearchBench:
    """``store``, ``index``, ``follower`` and ``search``, on one clock."""

    def __init__(self, directory: Path, url: str = "", *, clock: ManualClock | None = None, store: Store | None = None) -> None:
        self.clock = clock or ManualClock(AT)
        self.store = store or make_store(url or sqlite_url(directory), directory, self.clock)
        self.embedder = GramEmbedder()
        key_id, key = self.store.index_key(ORG)
        self.index: CallIndex = EmbeddedCallIndex(directory / "calls", self.embedder, key_id)
        blinder = Blinder(key)
        parts = {"org_id": ORG, "index": self.index, "embedder": self.embedder, "blinder": blinder, "texts": self.store.call_texts}
        self.follower = Follower(changes=self.store.facts, clock=self.clock, **parts)  # type: ignore[arg-type]
        self.search = CallSearch(call_list=self.store.call_list, **parts)  # type: ignore[arg-type]

    async def call(
        self,
        name: str,
        *said: UtteranceFinal,
        agent: str = "u1",
        at: datetime = AT,
        intents: Sequence[str] = (),
        language: str = "zh",
        artifacts: Sequence[Artifact] = (),
        ended: bool = True,
    ) -> CallId:
        """A stored call; its artifacts are made by its own jobs."""
        call_id = CallId(name)
        opened = await self.store.journal.open(ORG, call_id, "node")
        heard = [IntentDetected(utterance_id="customer-1", intent=intent, confidence=0.9) for intent in intents]
        await self.store.journal.append(ORG, opened, [replace(started(agent, at), language=language), *said, *heard])
        if ended:
            await self.store.journal.append(ORG, opened, [CallEnded(reason="hangup", duration_ms=60_000)])
            self.finish(name, *artifacts)
        return call_id

    def finish(self, name: str, *artifacts: Artifact) -> None:
        self.clock.advance(5)
        made = {artifact.kind: artifact for artifact in artifacts}
        for job in self.store.outbox.lease(self.clock.now(), 1, 1000):
            if job.call_id == name and job.kind in made:
                self.store.outbox.finish(job.job_id, made[job.kind])

    def follow(self) -> None:
        """What has changed has settled, and is written."""
        self.clock.advance(timedelta(seconds=5).total_seconds())
        self.follower.follow()

    def close(self) -> None:
        self.index.close()
        self.store.close()
