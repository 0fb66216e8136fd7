"""Drafts from documents, long articles and finished calls, for a command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copilot.assembly import engines
from copilot.assembly.interrupted import read_events
from copilot.domain.article_life import check_role
from copilot.domain.errors import Conflict, InvalidInput, NotFound
from copilot.domain.ids import OrgId, UserId
from copilot.domain.people import Scope
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.store.store import Store
    from kb.mining import Mined

Json = dict[str, Any]
Progress = Callable[[int, int, str], None]
_PAGE = 200
_SUFFIXES = (".md", ".txt")
_MAX_FILE_BYTES = 8 << 20


class MiningDesk:
    """Of one organisation."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._org_id = OrgId(settings.org)
        self._store = store
        self._desk = store.article_desk(self._org_id)
        self._articles = store.articles(self._org_id)
        self._embedder = engines.remembering(settings, engines.open_embedder(settings))
        self._clock = engines.system_clock()

    def mine(self, paths: Sequence[Path], *, articles: bool, days: int, language: str, author: str, keep: bool, progress: Progress) -> Json:
        """Pairs from documents (``paths``), from the long articles in force (``articles``) and from calls of the last ``days`` days; each
        becomes a draft of ``author`` with its place beside it. A pair found before is left alone, also when its draft was published.

        Raises NotFound for an unknown author, Forbidden for one who may not write, InvalidInput for a file that cannot be read.
        """
        from kb.expansion import expanded
        from kb.mining import draft

        user = self._store.people.user_by_name(self._org_id, author)
        if user is None:
            raise NotFound(f"There is no user {author}; name a knowledge editor with --author.")
        check_role(user)
        found = [*self._documents(paths, language), *(self._bodies() if articles else ()), *(self._calls(days) if days else ())]
        unique = list({pair.article_id: pair for pair in found}.values())
        rows: list[Json] = []
        counts: Counter[str] = Counter()
        for done, pair in enumerate(unique):
            progress(done, len(unique), "pairs")
            article = draft(pair, expanded(pair.question, pair.language, self._embedder.embed))
            state = "found"
            if keep:
                try:
                    self._desk.create(article, user, pair.origin)
                    state = "new"
                except Conflict:
                    state = "known"
            counts[state] += 1
            rows.append(
                {
                    "article_id": pair.article_id,
                    "language": pair.language,
                    "question": pair.question,
                    "answer": pair.answer,
                    "questions": list(article.questions),
                    "origin": pair.origin.kind,
                    "source": pair.origin.source,
                    "state": state,
                }
            )
        return {"pairs": rows, "new": counts["new"], "known": counts["known"]}

    def _documents(self, paths: Sequence[Path], language: str) -> Iterator[Mined]:
        from kb.mining import from_document

        for path in paths:
            files = sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES) if path.is_dir() else [path]
            for file in files:
                try:
                    if file.stat().st_size > _MAX_FILE_BYTES:
                        raise InvalidInput(f"{file.name} is larger than {_MAX_FILE_BYTES >> 20} MiB; split it.")
                    text = file.read_text(encoding="utf-8-sig")
                except (OSError, UnicodeDecodeError) as error:
                    raise InvalidInput(f"{file.name} cannot be read as UTF-8 text ({type(error).__name__}).") from error
                yield from from_document(text, file.name, language)

    def _bodies(self) -> Iterator[Mined]:
        """Imported documents are long articles: their bodies."""
        from kb.mining import from_document

        for article in self._articles.published():
            if article.kind == "article":
                yield from from_document(article.body, article.source or article.article_id, article.language)

    def _calls(self, days: int) -> Iterator[Mined]:
        from kb.mining import from_call

        scope = Scope(org_id=self._org_id, user_id=UserId("knowledge"), roles=frozenset({"ops_admin"}))
        since = self._clock.now() - timedelta(days=days)
        before = None
        while calls := self._store.calls.calls(scope, limit=_PAGE, before=before, phase="ended"):
            for call in calls:
                if call.started_at is None or call.started_at < since:
                    return
                events = [envelope.event for envelope in read_events(self._store, self._org_id, call.call_id)]
                yield from from_call(call.call_id, call.language, events)
            last = calls[-1]
            assert last.started_at is not None
            before = (last.started_at, last.call_id)


@contextmanager
def open_mining(settings: Settings) -> Iterator[MiningDesk]:
    """For a command."""
    store = engines.open_store(settings)
    try:
        yield MiningDesk(settings, store)
    finally:
        store.close()
