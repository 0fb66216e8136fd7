"""The whole HTTP API and its feed over a real store and bus, without models: for tests of what people may see and do."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from copilot.api import feed_ws
from copilot.api.app import create_app
from copilot.api.context import ApiContext
from copilot.assembly.insight_desk import InsightDesk
from copilot.assembly.insights import InsightRounds
from copilot.assembly.observe import Observer
from copilot.assembly.pack_desk import PackDesk
from copilot.assembly.review import ReviewRoom
from copilot.bus.local import LocalBus
from copilot.cli.reference import _Unused
from copilot.domain.artifacts import Artifact
from copilot.domain.events import CallEnded, CallEvent
from copilot.domain.ids import CallId, TeamId
from copilot.domain.people import AuditEntry, Role, Scope, User
from copilot.settings import AnalyticsSettings, Settings
from copilot.store.keyring import KeyRing
from copilot.store.signin import Session
from copilot.store.store import open_store
from copilot.telemetry.clock import ManualClock
from copilot.telemetry.metrics import Metrics
from tests.fakes.call_search import SearchBench
from tests.fakes.gram_embedder import GramEmbedder
from tests.fakes.screens import Screen
from tests.fakes.stores import AT, ORG, quick_passwords, sqlite_url, started

HOST_KEY = "host-key"


class ApiBench:
    """``people``: username → user; ``sessions``: username → an open session; ``found``: search over its calls."""

    def __init__(self, directory: Path, **fields: Any) -> None:
        self.clock = ManualClock(AT)
        self.bus = fields.get("bus") or LocalBus()
        self.metrics = Metrics(CollectorRegistry())
        observer = Observer(self.bus, self.metrics)
        keyring = KeyRing.open(directory / "master.key")
        self.store = open_store(sqlite_url(directory), keyring, self.clock, on_committed=observer.committed, passwords=quick_passwords())
        self.store.people.ensure_org(ORG)
        self.people: dict[str, User] = {}
        self.sessions: dict[str, Session] = {}
        store = self.store
        self.review = ReviewRoom(store, self.clock)
        self.insights = InsightDesk(store, self.review.policies, self.clock, AnalyticsSettings(), directory / "reports")
        embedder = GramEmbedder()
        self.insight_rounds = InsightRounds(
            store, self.review.policies, lambda texts: embedder.embed(texts, "query"), self.clock, lambda _seconds: None
        )
        known: dict[str, Any] = {
            "people": store.people, "signin": store.signin, "calls": store.calls, "notes": store.notes, "wrap_up": store.wrap_up,
            "review": self.review.desk, "rule_comparison": self.review.rule_comparison,
            "reviews": store.reviews, "notices": store.notices, "articles": store.articles,
            "packs": PackDesk(Settings(data_dir=directory), store, "node"),
            "insights": self.insights, "rollups": store.rollups, "call_list": store.call_list, "board": store.board,
            "call_search": lambda _org: self.found.search,
            "preferences": store.preferences, "audit": store.audit, "bus": self.bus, "clock": self.clock, "metrics": self.metrics,
            "web_dir": directory, "origins": (), "host_keys": (), "host_org": ORG, "public_url": "", "heartbeat_s": 3600.0, "version": "1",
        }  # fmt: skip
        self.found = SearchBench(directory, store=store, clock=self.clock)
        unused = {name: _Unused() for name in ApiContext.__dataclass_fields__}
        self.context = ApiContext(**unused | known | fields)
        self.app = create_app(self.context)

    def join(self, username: str, *roles: Role, teams: tuple[str, ...] = ()) -> User:
        """A signed-in person; teams that do not exist yet are made."""
        for team in teams:
            if TeamId(team) not in self.store.people.teams(ORG):
                self.store.people.create_team(ORG, TeamId(team), team)
        user = self.store.people.create_user(ORG, username, username.title(), roles, map(TeamId, teams))
        self.people[username] = user
        self.sessions[username] = self.store.signin.start_session(user)
        return user

    async def call(self, call_id: str, agent: str, *events: CallEvent, ended: bool = False, **more: Any) -> CallId:
        """A stored call of this agent."""
        opened = await self.store.journal.open(ORG, CallId(call_id), "node")
        await self.store.journal.append(ORG, opened, [started(self.people[agent].user_id, **more), *events])
        if ended:
            await self.store.journal.append(ORG, opened, [CallEnded(reason="hangup", duration_ms=60_000)])
        return CallId(call_id)

    def finish(self, call_id: str, *artifacts: Artifact) -> None:
        """After-call work makes these."""
        made = {artifact.kind: artifact for artifact in artifacts}
        self.clock.advance(5)
        for job in self.store.outbox.lease(self.clock.now(), 60):
            if job.call_id == call_id and job.kind in made:
                self.store.outbox.finish(job.job_id, made[job.kind])

    def audited(self) -> list[AuditEntry]:
        """Oldest first."""
        auditor = Scope(org_id=ORG, user_id=next(iter(self.people.values())).user_id, roles=frozenset({"auditor"}))
        return self.store.audit.entries(auditor, 1000)[::-1]

    async def ask(self, who: str | None, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One request as this person."""
        if who is not None:
            headers = {"Authorization": f"Bearer {self.sessions[who].token}", **headers}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, f"/api/v1{path}", json=body, headers=headers)

    @asynccontextmanager
    async def screen(self, who: str, resume: dict[str, int] | None = None):
        """This person's open feed."""
        screen = Screen()
        ticket = self.store.signin.issue_ticket(self.people[who], "feed", "", session=self.sessions[who].token)
        redeemed = self.store.signin.redeem(ticket.ticket, "feed", "")
        serving = asyncio.create_task(feed_ws._serve(screen, self.context, redeemed.user, resume or {}, redeemed.session_hash))
        screen.serving = serving
        await screen.until("welcome")
        try:
            yield screen
        finally:
            screen.leave()
            await asyncio.gather(serving, return_exceptions=True)

    def close(self) -> None:
        self.found.close()
