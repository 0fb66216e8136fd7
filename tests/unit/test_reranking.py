"""A second opinion on the first hits."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article, Query
from kb.embedded import EmbeddedEngine
from kb.reranking import HttpReranker
from kb.service import KnowledgeBase
from tests.fakes.gram_embedder import GramEmbedder


class RerankServer(ThreadingHTTPServer):
    """Prefers the longest text; ``broken`` makes it answer nonsense."""

    broken = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/rerank"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: RerankServer = self.server  # type: ignore[assignment]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.asked.append(body)
        server.keys.append(self.headers.get("Authorization"))
        rows = [{"index": number, "relevance_score": len(text) / 100} for number, text in enumerate(body["documents"])]
        answer = b"{}" if server.broken else json.dumps({"results": rows[::-1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[RerankServer]:
    running = RerankServer()
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def base(path: Path, reranker: HttpReranker | None) -> KnowledgeBase:
    titles = {"a": "信用卡年费怎么收", "b": "信用卡年费怎么收取以及什么时候可以减免一部分", "c": "网点几点开门"}
    articles = [
        Article(article_id=ArticleId(name), version=1, language="zh", domain="d", title=title, body="", answer="")
        for name, title in titles.items()
    ]
    embedder = GramEmbedder()
    made = KnowledgeBase(EmbeddedEngine(path, embedder), embedder, reranker=reranker)
    made.load(articles, 1)
    return made


QUERY = Query(text="信用卡年费怎么收", language="zh", top_k=1)


def test_the_first_hits_come_in_its_order_with_its_score(tmp_path: Path, server: RerankServer) -> None:
    (plain,) = base(tmp_path, None).search(QUERY)
    (hit,) = base(tmp_path, HttpReranker(server.url, "cross", api_key="k")).search(QUERY)
    assert (plain.article.article_id, hit.article.article_id) == ("a", "b")
    assert hit.scores["rerank"] == len(hit.passage.text) / 100
    assert "rerank" not in plain.scores
    (asked,) = server.asked
    assert (asked["model"], asked["query"], server.keys) == ("cross", QUERY.text, ["Bearer k"])
    assert len(asked["documents"]) >= 2


def test_without_an_answer_the_order_stays_and_it_is_left_alone_for_a_while(tmp_path: Path, server: RerankServer) -> None:
    server.broken = True
    searched = base(tmp_path, HttpReranker(server.url, "cross"))
    for _ in range(3):
        assert searched.search(QUERY)[0].article.article_id == "a"
    assert len(server.asked) == 1


def test_a_server_that_is_away_costs_no_search(tmp_path: Path) -> None:
    searched = base(tmp_path, HttpReranker("http://127.0.0.1:9/v1/rerank", "cross"))
    assert searched.search(QUERY) == base(tmp_path, None).search(QUERY)
