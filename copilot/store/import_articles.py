"""What an import does to the articles: worked out first, written in one go inside of the caller's transaction.

A draft that a person has open (changed since the import wrote it, or in review) is never overwritten; the article is held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot import codec
from copilot.domain.errors import Conflict
from copilot.domain.ids import OrgId
from copilot.domain.imports import ImportCounts, ImportOptions
from copilot.domain.knowledge import Article
from copilot.domain.people import AuditEntry
from copilot.store import tables as t
from copilot.store.articles import content_sha256, lock_articles, set_watermark
from copilot.store.audit import append_entry
from copilot.store.import_tables import import_articles, import_sources

Key = tuple[str, str]
_AT_ONCE = 400
_OPEN = ("draft", "in_review")


@dataclass(frozen=True, slots=True)
class Prepared:
    """An article ready to be written: what takes time is done before the transaction begins."""

    key: Key
    body: dict[str, Any]
    stored_sha256: str
    """As ``SqlArticles.upsert`` compares."""
    sha256: str
    """Of what the source says, whatever became of the article."""


def prepared(articles: Iterable[Article]) -> list[Prepared]:
    return [
        Prepared(
            (article.article_id, article.language),
            codec.to_json(article),
            content_sha256(article),
            content_sha256(replace(article, state="draft", source="")),
        )
        for article in articles
    ]


@dataclass(slots=True)
class Plan:
    """What to write. ``drop``: open drafts of earlier imports that are replaced or no longer wanted, with their version."""

    counts: ImportCounts = field(default_factory=ImportCounts)
    insert: list[tuple[Prepared, int, int]] = field(default_factory=list)
    """(article, version, revision of the draft)."""
    drop: list[tuple[Key, int]] = field(default_factory=list)
    keep: list[tuple[Key, str, int]] = field(default_factory=list)
    """(key, hash, revision) of the source's articles afterwards."""
    forget: list[Key] = field(default_factory=list)
    retire: list[Key] = field(default_factory=list)


@dataclass(slots=True)
class _Stored:
    newest: int = 0
    open_version: int = 0
    open_revision: int = 0
    in_review: bool = False


class ArticleWriter:
    """Within one transaction, for one source."""

    def __init__(self, connection: Connection, org_id: OrgId, source: str, options: ImportOptions) -> None:
        self._connection = connection
        self._org_id = org_id
        self._source = source
        self._options = options

    def plan(self, articles: Sequence[Prepared]) -> Plan:
        """``articles``: all that the source has now; none: it is gone."""
        before = self._before()
        restore, drafted = self._source_state()
        stored = self._stored({*before, *(article.key for article in articles)})
        plan, counted = Plan(), {"new": 0, "changed": 0, "unchanged": 0, "held": 0, "gone": 0}
        for article in articles:
            at, known = stored.get(article.key, _Stored()), before.get(article.key)
            publish = self._options.state == "published"
            if known is not None and known[0] == article.sha256 and not restore and not (publish and drafted):
                counted["unchanged"] += 1
                plan.keep.append((article.key, *known))
                continue
            ours = at.open_version > 0 and not at.in_review and known is not None and at.open_revision == known[1]
            if at.open_version and not ours and not publish:
                counted["held"] += 1
                plan.keep.append((article.key, known[0] if known is not None else "", known[1] if known is not None else 0))
                continue
            counted["new" if known is None else "changed"] += 1
            version, revision = at.newest + 1, 0 if publish else at.open_revision + 1
            if ours:
                plan.drop.append((article.key, at.open_version))
                version = at.open_version if at.open_version == at.newest else version
            plan.insert.append((article, version, revision))
            plan.keep.append((article.key, article.sha256, revision))
        here = {article.key for article in articles}
        for key, (sha, revision) in before.items():
            if key in here:
                continue
            counted["gone"] += 1
            if self._options.retire:
                plan.forget.append(key)
                plan.retire.append(key)
                at = stored.get(key, _Stored())
                if at.open_version and not at.in_review and at.open_revision == revision:
                    plan.drop.append((key, at.open_version))
            else:
                plan.keep.append((key, sha, revision))
        plan.counts = ImportCounts(**counted)
        return plan

    def check_owners(self, run_id: str, keys: Iterable[Key]) -> None:
        """An article that another source made goes over to this one, unless that is a file of the same run: then Conflict."""
        wanted = {article_id for article_id, _ in keys}
        table, sources = import_articles.c, import_sources.c
        for chunk in _chunks(sorted(wanted)):
            other = sa.and_(table.org_id == self._org_id, table.source != self._source, table.article_id.in_(chunk))
            same = sa.and_(sources.org_id == table.org_id, sources.source == table.source)
            query = sa.select(table.article_id, table.source, sources.run_id).where(other, same)
            for row in self._connection.execute(query).all():
                if row.run_id == run_id:
                    raise Conflict(f"The id {row.article_id} is used in {row.source} already; give it another one.")
            self._connection.execute(sa.delete(import_articles).where(other))

    def write(self, plan: Plan, actor: str, now: datetime) -> None:
        mark = lock_articles(self._connection, self._org_id)
        for key, version in plan.drop:
            for table in (t.articles, t.article_work):
                self._connection.execute(sa.delete(table).where(*self._here(table, key), table.c.version == version))
        rows, work = [], []
        for article, version, revision in plan.insert:
            at = {"org_id": self._org_id, "article_id": article.key[0], "language": article.key[1], "version": version}
            state = str(article.body["state"])
            body = {**article.body, "version": version}
            rows.append({**at, "state": state, "sha256": article.stored_sha256, "body": body, "created_at": now})
            if revision:
                work.append({**at, **_work_row(revision, version - 1, actor), "updated_at": now})
        if rows:
            self._connection.execute(sa.insert(t.articles), rows)
        if work:
            self._connection.execute(sa.insert(t.article_work), work)
        retired = sum(self._retire(key, actor, now) for key in plan.retire)
        self._remember(plan)
        if rows or retired:
            set_watermark(self._connection, self._org_id, mark + len(rows) + retired)

    def _remember(self, plan: Plan) -> None:
        table = import_articles
        here = sa.and_(table.c.org_id == self._org_id, table.c.source == self._source)
        self._connection.execute(sa.delete(table).where(here))
        rows = [
            {"org_id": self._org_id, "source": self._source, "article_id": key[0], "language": key[1], "sha256": sha, "revision": revision}
            for key, sha, revision in plan.keep
        ]
        if rows:
            self._connection.execute(sa.insert(table), rows)

    def _retire(self, key: Key, actor: str, now: datetime) -> int:
        """Every published version, as ``SqlArticleDesk.retire`` does."""
        table = t.articles
        query = sa.select(table.c.version, table.c.body).where(*self._here(table, key), table.c.state == "published")
        found = self._connection.execute(query).all()
        for row in found:
            values = {"state": "retired", "body": {**row.body, "state": "retired"}}
            self._connection.execute(sa.update(table).where(*self._here(table, key), table.c.version == row.version).values(**values))
        if found:
            target = f"{key[0]}:{key[1]}:{max(row.version for row in found)}"
            entry = AuditEntry(org_id=self._org_id, at=now, actor=actor, action="article.retire", target=target, detail="source removed")
            append_entry(self._connection, entry)
        return len(found)

    def _before(self) -> dict[Key, tuple[str, int]]:
        """What the last import of the source made: hash, and revision of its draft."""
        table = import_articles.c
        query = sa.select(table.article_id, table.language, table.sha256, table.revision)
        rows = self._connection.execute(query.where(table.org_id == self._org_id, table.source == self._source))
        return {(row.article_id, row.language): (row.sha256, row.revision) for row in rows}

    def _source_state(self) -> tuple[bool, bool]:
        """(the source was removed and is back, its articles were drafts)."""
        table = import_sources.c
        query = sa.select(table.removed, table.state).where(table.org_id == self._org_id, table.source == self._source)
        row = self._connection.execute(query).one_or_none()
        return (row.removed, row.state == "draft") if row is not None else (False, False)

    def _stored(self, keys: Iterable[Key]) -> dict[Key, _Stored]:
        found: dict[Key, _Stored] = {}
        work, table = t.article_work, t.articles
        same = sa.and_(*(work.c[name] == table.c[name] for name in ("org_id", "article_id", "language", "version")))
        columns = (table.c.article_id, table.c.language, table.c.version, table.c.state, work.c.revision)
        for chunk in _chunks(sorted({article_id for article_id, _ in keys})):
            query = sa.select(*columns).select_from(table.outerjoin(work, same))
            for row in self._connection.execute(query.where(table.c.org_id == self._org_id, table.c.article_id.in_(chunk))):
                at = found.setdefault((row.article_id, row.language), _Stored())
                at.newest = max(at.newest, row.version)
                if row.state in _OPEN:
                    at.open_version, at.open_revision, at.in_review = row.version, row.revision or 0, row.state == "in_review"
        return found

    def _here(self, table: sa.Table, key: Key) -> Sequence[sa.ColumnElement[bool]]:
        return table.c.org_id == self._org_id, table.c.article_id == key[0], table.c.language == key[1]


def _work_row(revision: int, base_version: int, actor: str) -> dict[str, Any]:
    """The record of a draft that an import wrote: who imported it may not be the one who approves it."""
    return {
        "revision": revision,
        "base_version": base_version,
        "authors": [actor],
        "submitted_by": "",
        "decided_by": "",
        "decided_at": None,
        "reason": "",
        "origin": sa.null(),
    }


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE))
