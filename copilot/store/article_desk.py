"""Writing articles: drafts with optimistic concurrency, review by another person, retirement. Every step leaves an audit line.

An article in one language has at most one open version (draft or in_review). Only a draft's text changes in place; its ``revision`` grows
with every change, and a change that names an older one is refused with what is stored. What was published is never changed but to retired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from copilot import codec
from copilot.domain.article_life import (
    FORCEFUL,
    ArticleVersion,
    DraftConflict,
    Origin,
    Step,
    check_reason,
    check_reviewer,
    check_role,
    moved,
)
from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.ids import OrgId
from copilot.domain.knowledge import Article
from copilot.domain.people import AuditEntry, User
from copilot.store import tables as t
from copilot.store.articles import content_sha256, lock_articles, set_watermark
from copilot.store.audit import append_entry
from copilot.store.database import Database

_OPEN = ("draft", "in_review")


class SqlArticleDesk:
    """The writing side of one organisation's articles. Synchronous and thread-safe; reading lists is ``SqlArticleList``'s."""

    def __init__(self, database: Database, clock: Clock, org_id: OrgId) -> None:
        self._database = database
        self._clock = clock
        self._org_id = org_id

    # -- reading -----------------------------------------------------------------------------------------------------------------------

    def versions(self, article_id: str, language: str) -> list[ArticleVersion]:
        """Newest first. Raises NotFound."""
        with self._database.read() as connection:
            found = [_version(row) for row in connection.execute(self._select(article_id, language))]
        if not found:
            raise NotFound(f"There is no article {article_id} ({language}).")
        return found

    def open_version(self, article_id: str, language: str) -> ArticleVersion:
        """The draft or the version in review. Raises NotFound."""
        with self._database.read() as connection:
            return self._open(connection, article_id, language)

    # -- writing -----------------------------------------------------------------------------------------------------------------------

    def create(self, article: Article, user: User, origin: Origin | None = None) -> ArticleVersion:
        """A first draft. Raises Conflict when the id is taken in this language, Forbidden."""
        check_role(user)
        with self._database.write() as connection:
            lock_articles(connection, self._org_id)
            if connection.execute(self._select(article.article_id, article.language)).first() is not None:
                raise Conflict(f"There is an article {article.article_id} ({article.language}) already; open it instead.")
            made = ArticleVersion(article=_draft(article, 1), revision=1, authors=(user.user_id,), origin=origin)
            self._insert(connection, made)
            self._audit(connection, user.user_id, "article.create", made)
        return made

    def save(self, article: Article, revision: int, user: User) -> ArticleVersion:
        """Saves the open draft, or begins one from what is published (``revision`` 0). The version given is not used.

        A draft that a newer version overtook moves behind it. Raises DraftConflict when ``revision`` is not the stored one, Conflict while
        it is in review, NotFound, Forbidden.
        """
        check_role(user)
        with self._database.write() as connection:
            lock_articles(connection, self._org_id)
            rows = [_version(row) for row in connection.execute(self._select(article.article_id, article.language))]
            if not rows:
                raise NotFound(f"There is no article {article.article_id} ({article.language}).")
            newest = rows[0].article.version
            known = next((row for row in rows if row.article.state in _OPEN), None)
            if known is None:
                if revision:
                    raise DraftConflict(rows[0])
                made = ArticleVersion(article=_draft(article, newest + 1), revision=1, base_version=newest, authors=(user.user_id,))
                self._insert(connection, made)
                self._audit(connection, user.user_id, "article.draft", made)
                return made
            if known.revision != revision:
                raise DraftConflict(known)
            moved(known.article.state, "save")
            overtaken = newest > known.article.version
            version = newest + 1 if overtaken else known.article.version
            saved = replace(
                known,
                article=_draft(article, version),
                revision=revision + 1,
                base_version=newest if overtaken else known.base_version,
                authors=tuple(dict.fromkeys((*known.authors, user.user_id))),
            )
            if content_sha256(saved.article) == content_sha256(known.article) and not overtaken:
                return known
            self._delete(connection, known)
            self._insert(connection, saved)
            if user.user_id not in known.authors:
                self._audit(connection, user.user_id, "article.draft", saved)
        return saved

    def submit(self, article_id: str, language: str, revision: int, user: User) -> ArticleVersion:
        """To review. The machine's checks are the caller's to run. Raises DraftConflict, Conflict, NotFound, Forbidden."""
        check_role(user)
        return self._step(article_id, language, revision, "submit", user, submitted_by=user.user_id, reason="")

    def withdraw(self, article_id: str, language: str, revision: int, user: User) -> ArticleVersion:
        """Back to draft, by somebody who wrote in it or an administrator's hand."""
        check_role(user)
        return self._step(article_id, language, revision, "withdraw", user)

    def reject(self, article_id: str, language: str, revision: int, user: User, reason: str) -> ArticleVersion:
        """Back to draft with a reason, by a person who did not write it."""
        reason = check_reason(reason)
        return self._step(article_id, language, revision, "reject", user, decided_by=user.user_id, reason=reason, other=True)

    def publish(self, article_id: str, language: str, revision: int, user: User, note: str = "") -> ArticleVersion:
        """In force from its first day on, by a person who did not write it. ``note`` goes to the audit trail: what was accepted and why.

        Raises Conflict when another version was published since this one was begun: it has to be looked at again.
        """
        return self._step(article_id, language, revision, "publish", user, decided_by=user.user_id, note=note, other=True)

    def discard(self, article_id: str, language: str, revision: int, user: User) -> None:
        """Throws a draft away."""
        check_role(user)
        with self._database.write() as connection:
            lock_articles(connection, self._org_id)
            known = self._current(connection, article_id, language, revision)
            moved(known.article.state, "discard")
            self._delete(connection, known)
            self._audit(connection, user.user_id, "article.discard", known)

    def retire(self, article_id: str, language: str, user: User, reason: str) -> int:
        """Every published version, those that have not begun too; how many. Raises NotFound, Conflict when none is published, Forbidden."""
        check_role(user)
        reason = check_reason(reason)
        with self._database.write() as connection:
            mark = lock_articles(connection, self._org_id)
            rows = [_version(row) for row in connection.execute(self._select(article_id, language))]
            if not rows:
                raise NotFound(f"There is no article {article_id} ({language}).")
            published = [row for row in rows if row.article.state == "published"]
            if not published:
                raise Conflict(f"No version of {article_id} ({language}) is published, so there is nothing to retire.")
            for row in published:
                retired = replace(row, decided_by=user.user_id, decided_at=self._clock.now(), reason=reason)
                self._change(connection, replace(retired, article=replace(row.article, state="retired")))
            self._audit(connection, user.user_id, "article.retire", published[0], reason)
            set_watermark(connection, self._org_id, mark + len(published))
        return len(published)

    # -- within a transaction ----------------------------------------------------------------------------------------------------------

    def _step(
        self,
        article_id: str,
        language: str,
        revision: int,
        step: Step,
        user: User,
        *,
        other: bool = False,
        note: str = "",
        submitted_by: str | None = None,
        decided_by: str | None = None,
        reason: str | None = None,
    ) -> ArticleVersion:
        with self._database.write() as connection:
            mark = lock_articles(connection, self._org_id)
            known = self._current(connection, article_id, language, revision)
            if other:
                # Who wrote it, and who sent it to review, may not decide about it.
                check_reviewer(user, (*known.authors, known.submitted_by))
            state = moved(known.article.state, step)
            assert state is not None
            if step == "publish":
                self._check_base(connection, known)
            changed = replace(
                known,
                article=replace(known.article, state=state),
                revision=known.revision + 1,
                submitted_by=known.submitted_by if submitted_by is None else submitted_by,
                decided_by=known.decided_by if decided_by is None else decided_by,
                decided_at=self._clock.now() if decided_by is not None else known.decided_at,
                reason=known.reason if reason is None else reason,
            )
            self._change(connection, changed)
            self._audit(connection, user.user_id, f"article.{step}", changed, note or reason or "")
            if state in FORCEFUL:
                set_watermark(connection, self._org_id, mark + 1)
        return changed

    def _check_base(self, connection: Connection, known: ArticleVersion) -> None:
        article = known.article
        query = sa.select(sa.func.max(t.articles.c.version)).where(
            *self._here(t.articles, article.article_id, article.language), t.articles.c.state.in_(FORCEFUL)
        )
        newest = connection.execute(query).scalar_one_or_none() or 0
        if newest > known.base_version:
            raise Conflict(
                f"Version {newest} was published after this one was begun; take it back, compare the two, save, and submit again."
            )

    def _current(self, connection: Connection, article_id: str, language: str, revision: int) -> ArticleVersion:
        known = self._open(connection, article_id, language)
        if known.revision != revision:
            raise DraftConflict(known)
        return known

    def _open(self, connection: Connection, article_id: str, language: str) -> ArticleVersion:
        query = self._select(article_id, language).where(t.articles.c.state.in_(_OPEN)).limit(1)
        row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"Article {article_id} ({language}) has no draft.")
        return _version(row)

    def _here(self, table: sa.Table, article_id: str, language: str) -> Sequence[sa.ColumnElement[bool]]:
        return table.c.org_id == self._org_id, table.c.article_id == article_id, table.c.language == language

    def _select(self, article_id: str, language: str) -> sa.Select[tuple[object, ...]]:
        work, table = t.article_work, t.articles
        same = sa.and_(*(work.c[name] == table.c[name] for name in ("org_id", "article_id", "language", "version")))
        columns = [table.c.body, table.c.state, table.c.created_at, *(column for column in work.c if not column.primary_key)]
        query: sa.Select[tuple[object, ...]] = sa.select(*columns).select_from(table.outerjoin(work, same))
        return query.where(*self._here(table, article_id, language)).order_by(table.c.version.desc())

    def _insert(self, connection: Connection, made: ArticleVersion) -> None:
        article = made.article
        key = {
            "org_id": self._org_id,
            "article_id": article.article_id,
            "language": article.language,
            "version": article.version,
        }
        now = self._clock.now()
        connection.execute(
            sa.insert(t.articles).values(
                **key,
                state=article.state,
                sha256=content_sha256(article),
                body=codec.to_json(article),
                created_at=made.created_at or now,
            )
        )
        connection.execute(sa.insert(t.article_work).values(**key, **_work(made), updated_at=now))

    def _delete(self, connection: Connection, known: ArticleVersion) -> None:
        article = known.article
        for table in (t.articles, t.article_work):
            here = self._here(table, article.article_id, article.language)
            connection.execute(sa.delete(table).where(*here, table.c.version == article.version))

    def _change(self, connection: Connection, changed: ArticleVersion) -> None:
        """State and record. The hash stays that of the text as it was brought in, so that importing the same again changes nothing."""
        article = changed.article
        here = self._here(t.articles, article.article_id, article.language)
        values = {"state": article.state, "body": codec.to_json(article)}
        connection.execute(sa.update(t.articles).where(*here, t.articles.c.version == article.version).values(**values))
        work = self._here(t.article_work, article.article_id, article.language)
        at = sa.and_(*work, t.article_work.c.version == article.version)
        now = self._clock.now()
        if connection.execute(sa.update(t.article_work).where(at).values(**_work(changed), updated_at=now)).rowcount == 0:
            key = {"org_id": self._org_id, "article_id": article.article_id, "language": article.language, "version": article.version}
            connection.execute(sa.insert(t.article_work).values(**key, **_work(changed), updated_at=now))

    def _audit(self, connection: Connection, actor: str, action: str, about: ArticleVersion, detail: str = "") -> None:
        article = about.article
        target = f"{article.article_id}:{article.language}:{article.version}"
        now = self._clock.now()
        append_entry(connection, AuditEntry(org_id=self._org_id, at=now, actor=actor, action=action, target=target, detail=detail))


def _draft(article: Article, version: int) -> Article:
    return replace(article, version=version, state="draft")


def _work(made: ArticleVersion) -> dict[str, object]:
    return {
        "revision": made.revision,
        "base_version": made.base_version,
        "authors": list(made.authors),
        "submitted_by": made.submitted_by,
        "decided_by": made.decided_by,
        "decided_at": made.decided_at,
        "reason": made.reason,
        "origin": codec.to_json(made.origin) if made.origin is not None else sa.null(),
    }


def _version(row: Row[tuple[object, ...]]) -> ArticleVersion:
    article = codec.from_json(Article, row.body)
    if row.revision is None:
        return ArticleVersion(article=article, created_at=row.created_at, updated_at=row.created_at)
    return ArticleVersion(
        article=article,
        revision=row.revision,
        base_version=row.base_version,
        authors=tuple(row.authors),
        created_at=row.created_at,
        updated_at=row.updated_at,
        submitted_by=row.submitted_by,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        reason=row.reason,
        origin=codec.from_json(Origin, row.origin) if row.origin is not None else None,
    )
