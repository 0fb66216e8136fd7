"""Articles and configuration packs of one organisation, every version kept."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot import codec
from copilot.domain.clock import Clock
from copilot.domain.errors import NotFound
from copilot.domain.ids import OrgId
from copilot.domain.knowledge import Article
from copilot.store import tables as t
from copilot.store.database import Database, insert_if_new

_WATERMARK = "articles.watermark"
_IN_FORCE = ("published", "expired", "retired")


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
            # The watermark's row is the lock of the organisation's articles.
            insert_if_new(connection, t.kv, org_id=self._org_id, key=_WATERMARK, value="0")
            mark = self._watermark(connection, lock=True)
            newest = self._newest_hashes(connection)
            for article in articles:
                key = (article.article_id, article.language)
                version, known = newest.get(key, (0, ""))
                sha = _sha256(codec.dumps(codec.to_json(dataclasses.replace(article, version=0))))
                if sha == known:
                    continue
                changed += 1
                newest[key] = (version + 1, sha)
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
                here = sa.and_(t.kv.c.org_id == self._org_id, t.kv.c.key == _WATERMARK)
                connection.execute(sa.update(t.kv).where(here).values(value=str(mark + changed)))
        return changed

    def published(self) -> Sequence[Article]:
        """The version in force of every article, if it is published (a newer draft does not replace it; expiry and retirement do)."""
        table = t.articles
        newest = (
            sa.select(table.c.article_id, table.c.language, sa.func.max(table.c.version).label("version"))
            .where(table.c.org_id == self._org_id, table.c.state.in_(_IN_FORCE))
            .group_by(table.c.article_id, table.c.language)
            .subquery()
        )
        query = (
            sa.select(table.c.body)
            .join(
                newest,
                sa.and_(
                    table.c.article_id == newest.c.article_id,
                    table.c.language == newest.c.language,
                    table.c.version == newest.c.version,
                ),
            )
            .where(table.c.org_id == self._org_id, table.c.state == "published")
            .order_by(table.c.article_id, table.c.language)
        )
        with self._database.read() as connection:
            return [codec.from_json(Article, body) for body in connection.execute(query).scalars()]

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
            return self._watermark(connection)

    def put_pack(self, name: str, language: str, body: str) -> bool:
        table = t.packs.c
        sha = _sha256(body)
        with self._database.write() as connection:
            insert_if_new(connection, t.kv, org_id=self._org_id, key=_WATERMARK, value="0")
            self._watermark(connection, lock=True)
            newest = connection.execute(
                sa.select(table.version, table.sha256, table.language)
                .where(table.org_id == self._org_id, table.name == name)
                .order_by(table.version.desc())
                .limit(1)
            ).one_or_none()
            if newest is not None and (newest.sha256, newest.language) == (sha, language):
                return False
            row = {"org_id": self._org_id, "name": name, "version": newest.version + 1 if newest is not None else 1}
            row |= {"language": language, "sha256": sha, "body": body, "created_at": self._clock.now()}
            connection.execute(sa.insert(t.packs).values(**row))
        return True

    def pack(self, name: str) -> tuple[int, str] | None:
        table = t.packs.c
        query = sa.select(table.version, table.body).where(table.org_id == self._org_id, table.name == name)
        with self._database.read() as connection:
            row = connection.execute(query.order_by(table.version.desc()).limit(1)).one_or_none()
        return (row.version, row.body) if row is not None else None

    def _newest_hashes(self, connection: Connection) -> dict[tuple[str, str], tuple[int, str]]:
        table = t.articles.c
        query = sa.select(table.article_id, table.language, table.version, table.sha256).where(table.org_id == self._org_id)
        return {(row.article_id, row.language): (row.version, row.sha256) for row in connection.execute(query.order_by(table.version))}

    def _watermark(self, connection: Connection, *, lock: bool = False) -> int:
        query: sa.Select[Any] = sa.select(t.kv.c.value).where(t.kv.c.org_id == self._org_id, t.kv.c.key == _WATERMARK)
        value = connection.execute(query.with_for_update() if lock else query).scalar_one_or_none()
        return int(value) if value is not None else 0


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
