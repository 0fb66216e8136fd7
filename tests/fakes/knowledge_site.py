"""The knowledge console over a real store and a real index, without speech: for tests of its API and of its pages."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from copilot.api.app import create_app
from copilot.api.context import PageCalls
from copilot.assembly.editing import Editing
from copilot.assembly.graph import GraphDesk
from copilot.domain.ids import UserId
from copilot.live.rules import ComplianceRule
from copilot.telemetry.clock import ManualClock
from kb.embedded import EmbeddedEngine
from kb.service import KnowledgeBase
from tests.fakes.gram_embedder import GramEmbedder
from tests.fakes.stores import AT, ORG, make_store, sqlite_url

RULE = ComplianceRule(
    rule_id="promise-capital",
    kind="forbidden",
    severity="critical",
    channel="agent",
    name={"zh": "承诺保本", "en": "Promises capital"},
    advice={"zh": "不得承诺保本。", "en": "Never promise capital."},
    patterns={"zh": (re.compile("(?<!不)保本"),), "en": (re.compile("guaranteed"),)},
)


class _OtherPartsAbsent(SimpleNamespace):
    """What the console does not need is None; its routes exist and are not called."""

    def __getattr__(self, name: str) -> None:
        return None


class KnowledgeSite:
    """``users``: id → (role, display name). ``context`` has what the console's routes need."""

    def __init__(self, tmp_path: Path, users: dict[str, tuple[str, str]]) -> None:
        self.clock = ManualClock(AT)
        self.store = store = make_store(sqlite_url(tmp_path), tmp_path, self.clock)
        store.people.ensure_org(ORG)
        self.users = {
            name: store.people.create_user(ORG, name, shown, [role], user_id=UserId(name))  # type: ignore[list-item]
            for name, (role, shown) in users.items()
        }
        embedder = GramEmbedder()
        self.articles = store.articles(ORG)
        self.knowledge = KnowledgeBase(EmbeddedEngine(tmp_path / "index", embedder), embedder)
        organisation: Any = SimpleNamespace(
            org_id=ORG,
            articles=self.articles,
            knowledge=self.knowledge,
            embed=embedder.embed,
            now=self.clock.now,
            rules=lambda: SimpleNamespace(compliance=(RULE,)),
        )
        self.editing = Editing(store, organisation)
        self.graph = GraphDesk(self.articles, store.graph_edits(ORG))
        self.context = SimpleNamespace(
            signin=store.signin,
            people=store.people,
            audit=store.audit,
            clock=self.clock,
            articles=store.articles,
            editing=lambda _org: self.editing,
            graph=lambda _org: self.graph,
            knowledge=lambda _org: self.knowledge,
        )

    def refresh(self) -> None:
        self.knowledge.refresh(self.articles)
        self.graph.refresh()

    @contextmanager
    def served(self, web_dir: Path) -> Iterator[str]:
        """The whole application on the loopback address; what is not the console's does not answer. The base address."""
        import uvicorn

        context: Any = _OtherPartsAbsent(
            **vars(self.context),
            calls=self.store.calls,
            preferences=self.store.preferences,
            page_calls=lambda _host: PageCalls(calls_each=0, setting="", url=""),
            web_dir=web_dir,
            origins=(),
            version="test",
            public_url="",
            host_keys=(),
            host_org=ORG,
        )
        server = uvicorn.Server(uvicorn.Config(create_app(context), host="127.0.0.1", port=0, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
