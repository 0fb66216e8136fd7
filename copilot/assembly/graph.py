"""The knowledge graph of one organisation, kept to what the store holds: for the console, for searches and for live calls."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from copilot.domain.errors import InvalidInput, NotFound
from copilot.domain.graph import EditKind, Fact, Graph, GraphEdit, Guidance
from copilot.domain.ids import OrgId
from copilot.domain.people import User
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.domain.knowledge import Article
    from copilot.store.articles import SqlArticles
    from copilot.store.graph_edits import SqlGraphEdits
    from kb.graph_questions import Questions

Json = dict[str, Any]


class GraphDesk:
    """Blocking and thread-safe; ``guide`` is of memory alone and takes less than a millisecond."""

    def __init__(self, articles: SqlArticles, edits: SqlGraphEdits) -> None:
        from kb.graph import KnowledgeGraph

        self._articles = articles
        self._edits = edits
        self._graph = KnowledgeGraph()
        self._held: dict[tuple[str, str], Article] = {}
        self._at: tuple[int, int, date] | None = None
        self._questions: Mapping[str, Questions] = {}
        self._lock = threading.Lock()

    def stale(self) -> bool:
        """True if articles, decisions or the day have changed since ``refresh``."""
        return self._now() != self._at

    def refresh(self) -> int:
        """Reads what changed; how many articles were read anew."""
        from kb.graph import LANGUAGES
        from kb.graph_questions import questions

        with self._lock:
            now = self._now()
            if now == self._at:
                return 0
            published = self._articles.published(now[2], self._held)
            self._held = {(article.article_id, article.language): article for article in published}
            read = self._graph.take(published, self._edits.all(), now[2])
            self._questions = {language: questions(self._graph.graph(language)) for language in LANGUAGES}
            self._at = now
        return read

    def graph(self, language: str) -> Graph:
        """What the store holds now."""
        self.refresh()
        return self._graph.graph(language)

    def guide(self, text: str, language: str, articles: Collection[str] | None = None) -> Guidance | None:
        """What the graph of the last ``refresh`` adds to a question (see ``kb.graph_questions``)."""
        made = self._questions.get(language)
        return made.guide(text, articles) if made is not None else None

    def put(self, edit: GraphEdit, user: User) -> GraphEdit:
        """Stores a decision that makes sense now. Raises InvalidInput, NotFound, Forbidden."""
        from kb.graph import added_fact_edit

        graph = self.graph(edit.language)
        if edit.kind == "fact":
            edit = added_fact_edit(edit.language, edit.body)
            self._check_quote(edit)
        elif edit.kind == "verdict":
            self._fact(graph, edit.target)
        elif edit.target not in graph.entities:
            raise NotFound(f"There is no product {edit.target} in this graph.")
        elif edit.kind == "merge" and edit.body.get("into") not in graph.entities:
            raise NotFound("There is no such product to merge into.")
        return self._edits.put(edit, user)

    def take_back(self, language: str, kind: EditKind, target: str, user: User) -> None:
        """Raises NotFound, Forbidden."""
        if not self._edits.take_back(language, kind, target, user):
            raise NotFound("There is no such change to take back.")

    def fact(self, language: str, key: str) -> Fact:
        """Raises NotFound."""
        return self._fact(self.graph(language), key)

    def _now(self) -> tuple[int, int, date]:
        return self._articles.watermark(), self._edits.mark(), self._articles.today()

    def _check_quote(self, edit: GraphEdit) -> None:
        article = self._held.get((edit.body["article_id"], edit.language))
        if article is None or not article.valid_on(self._articles.today()):
            raise NotFound("There is no such article in force; a fact needs a source.")
        if edit.body["quote"] not in article.body and edit.body["quote"] not in article.answer:
            raise InvalidInput("These words are not in the article as it is in force; copy them from it.")

    @staticmethod
    def _fact(graph: Graph, key: str) -> Fact:
        found = next((fact for fact in graph.facts if fact.key == key), None)
        if found is None:
            raise NotFound("There is no such fact; the article it was read from may have changed.")
        return found


@contextmanager
def open_graph(settings: Settings) -> Iterator[tuple[GraphDesk, Any]]:
    """For a command: the graph, and ``user(name)`` that finds who makes a change."""
    from copilot.assembly import engines

    store = engines.open_store(settings)
    org_id = OrgId(settings.org)

    def user(name: str) -> User:
        found = store.people.user_by_name(org_id, name)
        if found is None:
            raise NotFound(f"There is no user {name}; name a knowledge editor with --author.")
        return found

    try:
        yield GraphDesk(store.articles(org_id), store.graph_edits(org_id)), user
    finally:
        store.close()
