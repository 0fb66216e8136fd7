"""Articles and configuration packs of one organisation, every version kept."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot import codec
from copilot.domain.article_life import FORCEFUL, VersionHead, ruling
from copilot.domain.clock import Clock
from copilot.domain.errors import NotFound
from copilot.domain.ids import OrgId
from copilot.domain.knowledge import Article
from copilot.store import tables as t
from copilot.store.database import Database, insert_if_new
from copilot.store.packs import publish_text

_WATERMARK = "articles.watermark"
_KEYS_AT_ONCE = 200
_FEW = 500
"""Up to so many changed articles are read by their ids, more with all the others."""


class SqlArticles:
    """``copilot.domain.ports.knowledge.ArticleStore``. Synchronous and thread-safe."""

    def __init__(self, database: Database, clock: Clock, org_id: OrgId) -> None:
        self._database = database
        self._clock = clock
        self._org_id = org_id

    def upsert(self, articles: Sequence[Article]) -> int:
        """The version given is not used: the store counts. All or nothing."""
        now, changed = self._clock.now(), 0
        with self._database.write() as connection:
            mark = lock_articles(connection, self._org_id)
            newest = self._newest_hashes(connection)
            for article in articles:
                key = (article.article_id, article.language)
                version, known = newest.get(key, (0, frozenset()))
                sha = content_sha256(article)
                if sha in known:
                    continue
                changed += 1
                newest[key] = (version + 1, frozenset({sha}))
                connection.execute(
                    sa.insert(t.articles).values(
                        org_id=self._org_id,
                        article_id=article.article_id,
                        language=article.language,
                        version=version + 1,
                        state=article.state,
                        sha256=sha,
                        body=codec.to_json(dataclasses.replace(article, version=version + 1)),
                        created_at=now,
                    )
                )
            if changed:
                set_watermark(connection, self._org_id, mark + changed)
        return changed

    def changes(self, articles: Sequence[Article]) -> int:
        """How many ``upsert`` would store."""
        with self._database.read() as connection:
            newest = self._newest_hashes(connection)
        never = (0, frozenset[str]())
        return sum(content_sha256(article) not in newest.get((article.article_id, article.language), never)[1] for article in articles)

    def today(self) -> date:
        """The calendar day that decides about validity."""
        return self._clock.now().astimezone().date()

    def published(self, day: date | None = None, held: Mapping[tuple[str, str], Article] | None = None) -> Sequence[Article]:
        """The version of every article that is in force on ``day`` (None: today), by the rules of ``copilot.domain.article_life``.

        Its ``valid_to`` is no later than the eve of a later version that is published already, so that the two never overlap. What ended
        is among them: a search drops it by its dates. The text of what is ``held`` in the same version and validity is not read again.
        """
        table, day = t.articles, day or self.today()
        begins = valid_from(table)
        forceful = sa.and_(table.c.org_id == self._org_id, table.c.state.in_(FORCEFUL))
        newest = (
            sa.select(table.c.article_id, table.c.language, sa.func.max(table.c.version).label("version"))
            .where(forceful, begins <= day.isoformat())
            .group_by(table.c.article_id, table.c.language)
            .subquery()
        )
        same = [table.c[name] == newest.c[name] for name in ("article_id", "language", "version")]
        mine = sa.and_(table.c.org_id == self._org_id, table.c.state == "published")
        listed = sa.select(table.c.article_id, table.c.language, *head_columns(table)).join(newest, sa.and_(*same)).where(mine)
        bodies = sa.select(table.c.body).join(newest, sa.and_(*same)).where(mine)
        coming = sa.select(table.c.article_id, table.c.language, table.c.version, begins.label("begins"))
        with self._database.read() as connection:
            rows = connection.execute(listed.order_by(table.c.article_id, table.c.language)).all()
            kept = {(row.article_id, row.language): _still(row, (held or {}).get((row.article_id, row.language))) for row in rows}
            missing = sorted({article_id for (article_id, _), article in kept.items() if article is None})
            if missing:
                query = bodies if len(missing) > _FEW else bodies.where(table.c.article_id.in_(missing))
                for body in connection.execute(query).scalars():
                    article = codec.from_json(Article, body)
                    if kept.get((article.article_id, article.language)) is None:
                        kept[article.article_id, article.language] = article
            later = list(connection.execute(coming.where(forceful, begins > day.isoformat())))
        found = [article for article in kept.values() if article is not None]
        starts: dict[tuple[str, str], list[tuple[int, date]]] = {}
        for row in later:
            starts.setdefault((row.article_id, row.language), []).append((row.version, date.fromisoformat(row.begins)))
        return [_until_successor(article, starts.get((article.article_id, article.language), ())) for article in found]

    def in_force(self, keys: Iterable[tuple[str, str]], day: date | None = None) -> Mapping[tuple[str, str], int]:
        """Of these (article id, language): the version that may be quoted on ``day`` (None: today). One without any is left out."""
        day, wanted, table = day or self.today(), sorted(set(keys)), t.articles
        heads: dict[tuple[str, str], list[VersionHead]] = {}
        with self._database.read() as connection:
            for at in range(0, len(wanted), _KEYS_AT_ONCE):
                here = sa.tuple_(table.c.article_id, table.c.language).in_(wanted[at : at + _KEYS_AT_ONCE])
                query = sa.select(table.c.article_id, table.c.language, *head_columns(table))
                for row in connection.execute(query.where(table.c.org_id == self._org_id, table.c.state.in_(FORCEFUL), here)):
                    heads.setdefault((row.article_id, row.language), []).append(head_of(row))
        rules = {key: ruling(versions, day) for key, versions in heads.items()}
        return {key: head.version for key, head in rules.items() if head is not None}

    def article(self, article_id: str, language: str, version: int | None = None) -> Article:
        """One version (for a citation), or the newest of any state. Raises NotFound."""
        table = t.articles.c
        query = sa.select(table.body).where(table.org_id == self._org_id, table.article_id == article_id, table.language == language)
        if version is not None:
            query = query.where(table.version == version)
        with self._database.read() as connection:
            body = connection.execute(query.order_by(table.version.desc()).limit(1)).scalar_one_or_none()
        if body is None:
            raise NotFound(f"There is no article {article_id} ({language}){'' if version is None else f' in version {version}'}.")
        return codec.from_json(Article, body)

    def watermark(self) -> int:
        with self._database.read() as connection:
            return watermark_of(connection, self._org_id)

    def put_pack(self, name: str, language: str, body: str, actor: str = "cli") -> bool:
        with self._database.write() as connection:
            lock_articles(connection, self._org_id)
            return publish_text(connection, self._org_id, name, language, body, note="", actor=actor, now=self._clock.now())

    def pack(self, name: str) -> tuple[int, str] | None:
        table = t.packs.c
        query = sa.select(table.version, table.body).where(table.org_id == self._org_id, table.name == name, table.state == "published")
        with self._database.read() as connection:
            row = connection.execute(query.order_by(table.version.desc()).limit(1)).one_or_none()
        return (row.version, row.body) if row is not None else None

    def _newest_hashes(self, connection: Connection) -> dict[tuple[str, str], tuple[int, frozenset[str]]]:
        """Of every article: its newest version, and the contents that an import must not store again: the newest, the newest published."""
        table = t.articles.c
        query = sa.select(table.article_id, table.language, table.version, table.state, table.sha256).where(table.org_id == self._org_id)
        found: dict[tuple[str, str], tuple[int, str, str]] = {}
        for row in connection.execute(query.order_by(table.version)):
            _, _, published = found.get((row.article_id, row.language), (0, "", ""))
            found[row.article_id, row.language] = (row.version, row.sha256, row.sha256 if row.state in FORCEFUL else published)
        return {key: (version, frozenset({newest, published})) for key, (version, newest, published) in found.items()}


def lock_articles(connection: Connection, org_id: OrgId) -> int:
    """Takes the lock of the organisation's articles (the row of their watermark) until the transaction ends; the watermark."""
    insert_if_new(connection, t.kv, org_id=org_id, key=_WATERMARK, value="0")
    return watermark_of(connection, org_id, lock=True)


def watermark_of(connection: Connection, org_id: OrgId, *, lock: bool = False) -> int:
    query: sa.Select[Any] = sa.select(t.kv.c.value).where(t.kv.c.org_id == org_id, t.kv.c.key == _WATERMARK)
    value = connection.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    return int(value) if value is not None else 0


def set_watermark(connection: Connection, org_id: OrgId, value: int) -> None:
    """To be called under ``lock_articles`` whenever what is in force may have changed."""
    here = sa.and_(t.kv.c.org_id == org_id, t.kv.c.key == _WATERMARK)
    connection.execute(sa.update(t.kv).where(here).values(value=str(value)))


def content_sha256(article: Article) -> str:
    """Of everything but the version. A field that came later counts only when it says something, so that an upgrade changes nothing."""
    content = codec.to_json(dataclasses.replace(article, version=0))
    if article.audience == "customer":
        del content["audience"]
    return _sha256(codec.dumps(content))


def _still(row: Any, held: Article | None) -> Article | None:
    """``held`` if it is the version and the validity of this row (``head_columns``)."""
    head = head_of(row)
    same = held is not None and (held.version, held.valid_from, held.valid_to) == (head.version, head.valid_from, head.valid_to)
    return held if same else None


def valid_from(table: sa.Table) -> sa.ColumnElement[str]:
    """The first day of validity as text (ISO 8601), empty without one: as text it compares as a date does."""
    return sa.func.coalesce(table.c.body["valid_from"].as_string(), "")


def head_columns(table: sa.Table) -> tuple[sa.ColumnElement[Any], ...]:
    """What ``head_of`` reads."""
    begins, ends = (table.c.body[name].as_string().label(name) for name in ("valid_from", "valid_to"))
    return table.c.version, table.c.state, begins, ends


def head_of(row: Any) -> VersionHead:
    first, last = (date.fromisoformat(text) if text else None for text in (row.valid_from, row.valid_to))
    return VersionHead(version=row.version, state=row.state, valid_from=first, valid_to=last)


def _until_successor(article: Article, later: Iterable[tuple[int, date]]) -> Article:
    eves = [start - timedelta(days=1) for version, start in later if version > article.version]
    if not eves:
        return article
    return dataclasses.replace(article, valid_to=min(eves if article.valid_to is None else [*eves, article.valid_to]))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
