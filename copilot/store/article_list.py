"""The list of articles: one line for each article in one language, filtered and counted by where it stands today."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from copilot.domain.article_life import ArticleFilter, ArticleHead, ArticlePage, main_version, standing
from copilot.domain.clock import Clock
from copilot.domain.ids import ArticleId, OrgId
from copilot.store import tables as t
from copilot.store.articles import head_columns, head_of
from copilot.store.database import Database

_TEXTS = ("title", "kind", "owner", "audience")
_LISTS = ("products", "channels")


class SqlArticleList:
    """Reading lists of one organisation's articles. Synchronous and thread-safe."""

    def __init__(self, database: Database, clock: Clock, org_id: OrgId) -> None:
        self._database = database
        self._clock = clock
        self._org_id = org_id

    def page(self, wanted: ArticleFilter, *, offset: int = 0, limit: int = 50) -> ArticlePage:
        """Lines that pass, what was changed last first."""
        day = self._clock.now().astimezone().date()
        heads = [head for head in self._heads(day) if _passes(head, wanted)]
        counts: Counter[str] = Counter()
        for head in heads:
            counts.update({head.standing, head.open} - {""})
        shown = [head for head in heads if not wanted.state or wanted.state in (head.standing, head.open)]
        shown.sort(key=lambda head: (head.updated_at is not None, head.updated_at, head.article_id), reverse=True)
        return ArticlePage(items=tuple(shown[offset : offset + limit]), total=len(shown), counts=dict(counts))

    def _heads(self, day: date) -> Iterator[ArticleHead]:
        """All texts stay in the database; what a list shows is taken out of them there."""
        table, work = t.articles, t.article_work
        same = sa.and_(*(work.c[name] == table.c[name] for name in ("org_id", "article_id", "language", "version")))
        columns: list[Any] = [table.c.article_id, table.c.language, table.c.created_at, work.c.updated_at, work.c.authors]
        columns += [work.c.origin.is_not(None).label("has_origin"), *head_columns(table)]
        columns += [table.c.body[name].as_string().label(name) for name in _TEXTS]
        columns += [table.c.body[name].as_json().label(name) for name in _LISTS]
        query = sa.select(*columns).select_from(table.outerjoin(work, same)).where(table.c.org_id == self._org_id)
        found: dict[tuple[str, str], list[Any]] = defaultdict(list)
        with self._database.read() as connection:
            for row in connection.execute(query):
                found[row.article_id, row.language].append(row)
        for rows in found.values():
            yield _line(rows, day)


def _line(rows: Sequence[Any], day: date) -> ArticleHead:
    heads = [head_of(row) for row in rows]
    main = main_version(heads, day)
    row = next(row for row in rows if row.version == main.version)
    open_ = next((other for other in rows if other.state in ("draft", "in_review")), None)
    times = [other.updated_at or other.created_at for other in rows]
    return ArticleHead(
        article_id=ArticleId(row.article_id),
        language=row.language,
        title=(open_ if open_ is not None and main.state == open_.state else row).title,
        kind=row.kind,
        version=main.version,
        standing=standing(main, heads, day),
        open=open_.state if open_ is not None else "",
        owner=row.owner or "",
        audience=row.audience or "customer",
        products=tuple(_strings(row.products)),
        channels=tuple(_strings(row.channels)),
        valid_from=main.valid_from,
        valid_to=main.valid_to,
        updated_at=max(times),
        authors=tuple(open_.authors or ()) if open_ is not None else (),
        has_origin=bool(open_ is not None and open_.has_origin),
    )


def _strings(value: Iterable[Any] | None) -> Iterator[str]:
    yield from (str(item) for item in value or ())


def _passes(head: ArticleHead, wanted: ArticleFilter) -> bool:
    text = wanted.text.casefold()
    return (
        (not wanted.language or head.language == wanted.language)
        and (not wanted.product or wanted.product in head.products)
        and (not wanted.channel or wanted.channel in head.channels)
        and (not wanted.audience or head.audience == wanted.audience)
        and (not wanted.owner or head.owner == wanted.owner)
        and (not wanted.mined or head.has_origin)
        and (not text or text in head.title.casefold() or text in head.article_id)
    )
