"""The knowledge console: lists, drafts, checks, review, retirement, versions and their differences, use and gaps."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.context import ApiContext, Editing
from copilot.api.problems import problem
from copilot.codec import to_json
from copilot.domain.article_checks import Finding
from copilot.domain.article_life import (
    READERS,
    ArticleFilter,
    ArticleVersion,
    DraftConflict,
    Origin,
    VersionHead,
    check_reviewer,
    check_role,
    standing,
)
from copilot.domain.errors import NotFound
from copilot.domain.ids import ArticleId, OrgId, UserId
from copilot.domain.knowledge import Article
from copilot.domain.people import AuditEntry, User
from copilot.domain.text_diff import diff_articles

Json = dict[str, Any]
Language = Literal["zh", "en"]
Short = Annotated[str, Field(max_length=200)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$")]


class Text(BaseModel):
    """An article as the editor writes it."""

    language: Language = "zh"
    title: str = Field("", max_length=400)
    kind: Literal["faq", "article"] = "faq"
    answer: str = Field("", max_length=20_000)
    body: str = Field("", max_length=200_000)
    questions: list[Annotated[str, Field(max_length=400)]] = Field(default_factory=list, max_length=100)
    products: list[Short] = Field(default_factory=list, max_length=50)
    channels: list[Short] = Field(default_factory=list, max_length=50)
    tags: list[Short] = Field(default_factory=list, max_length=50)
    domain: Short = ""
    intent: Short = ""
    owner: Short = ""
    source: str = Field("", max_length=1000)
    audience: Literal["customer", "agent"] = "customer"
    valid_from: date | None = None
    valid_to: date | None = None

    def article(self, article_id: str) -> Article:
        """The draft, tidied: no empty lines in lists, nothing twice."""
        return Article(
            article_id=ArticleId(article_id),
            version=0,
            language=self.language,
            kind=self.kind,
            title=self.title.strip(),
            answer=self.answer.strip(),
            domain=self.domain.strip(),
            intent=self.intent.strip(),
            owner=self.owner.strip(),
            source=self.source.strip(),
            questions=_tidy(self.questions),
            products=_tidy(self.products),
            channels=_tidy(self.channels),
            tags=_tidy(self.tags),
            body=self.body.replace("\r\n", "\n"),
            audience=self.audience,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            state="draft",
        )


class NewArticle(Text):
    article_id: Id | None = None
    origin: str = Field("", max_length=200)
    """The key of the gap it is written for."""


class Draft(Text):
    revision: int = Field(ge=0)


class Step(BaseModel):
    language: Language = "zh"
    revision: int = Field(ge=0)
    reason: str = Field("", max_length=2000)


class Publication(Step):
    confirmed: list[Annotated[str, Field(max_length=2000)]] = Field(default_factory=list, max_length=200)
    """Keys of the findings that the reviewer has looked at and accepts."""


class Retirement(BaseModel):
    language: Language = "zh"
    reason: str = Field(max_length=2000)


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/kb", tags=["knowledge console"])
    signed = Depends(current_user(context))
    answers = _Answers(context)

    def reader(user: Annotated[User, signed]) -> User:
        check_role(user, READERS)
        return user

    def editor(user: Annotated[User, signed]) -> User:
        check_role(user)
        return user

    reads, writes = Depends(reader), Depends(editor)

    @routes.get("/articles")
    def list_articles(
        user: Annotated[User, reads],
        state: Annotated[str, Query(pattern="^(draft|in_review|scheduled|in_force|superseded|expired|retired|)$")] = "",
        q: Annotated[str, Query(max_length=200)] = "",
        language: Annotated[str, Query(pattern="^(zh|en|)$")] = "",
        product: Annotated[str, Query(max_length=200)] = "",
        channel: Annotated[str, Query(max_length=200)] = "",
        audience: Annotated[str, Query(pattern="^(customer|agent|)$")] = "",
        owner: Annotated[str, Query(max_length=200)] = "",
        mined: bool = False,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Json:
        """One line for each article and language; ``counts`` per state of all that the other filters let through."""
        wanted = ArticleFilter(
            state=state, text=q, language=language, product=product, channel=channel, audience=audience, owner=owner, mined=mined
        )
        found: Json = to_json(context.editing(user.org_id).listing.page(wanted, offset=offset, limit=limit))
        return found

    @routes.post("/articles", status_code=201)
    def create(body: NewArticle, user: Annotated[User, writes]) -> Json:
        """A first draft."""
        article_id = body.article_id or f"kb-{uuid.uuid4().hex[:12]}"
        origin = Origin(kind="gap", source=body.origin) if body.origin else None
        return answers.version(user, context.editing(user.org_id).desk.create(body.article(article_id), user, origin))

    @routes.get("/articles/{article_id}/versions")
    def versions(article_id: str, user: Annotated[User, reads], language: Language = "zh") -> Json:
        """Every version, newest first, with where it stands today and who wrote and decided."""
        found = context.editing(user.org_id).desk.versions(article_id, language)
        return {"versions": answers.versions(user, found), "names": answers.names(user.org_id, found)}

    @routes.get("/articles/{article_id}/diff")
    def diff(
        article_id: str,
        user: Annotated[User, reads],
        language: Language = "zh",
        old: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        new: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Json:
        """The fields that differ, in pieces. ``new`` 0: the newest version; ``old`` 0: the one in force or published before it, if any."""
        found = [version.article for version in context.editing(user.org_id).desk.versions(article_id, language)]
        right = _numbered(found, new) if new else found[0]
        earlier = [article for article in found if article.version < right.version and article.state not in ("draft", "in_review")]
        left = _numbered(found, old) if old else (earlier[0] if earlier else None)
        return {
            "old": left.version if left is not None else None,
            "new": right.version,
            "fields": [to_json(one) for one in diff_articles(left, right)],
        }

    @routes.post("/articles/{article_id}/draft", response_model=None)
    def save(article_id: str, body: Draft, user: Annotated[User, writes]) -> Json | JSONResponse:
        """Saves the draft, or begins one (``revision`` 0). 409 with ``stored`` when somebody else saved first."""
        desk = context.editing(user.org_id).desk
        return answers.step(user, lambda: desk.save(body.article(article_id), body.revision, user))

    @routes.post("/articles/{article_id}/submit", response_model=None)
    def submit(article_id: str, body: Step, user: Annotated[User, writes]) -> Json | JSONResponse:
        """To review. 422 with ``findings`` when the machine's checks find what has to be mended."""
        editing = context.editing(user.org_id)
        blocking = [one for one in _findings(editing, article_id, body) if one.blocks]
        if blocking:
            return _refused("The machine's checks found what has to be mended before a review.", blocking)
        return answers.step(user, lambda: editing.desk.submit(article_id, body.language, body.revision, user))

    @routes.post("/articles/{article_id}/withdraw", response_model=None)
    def withdraw(article_id: str, body: Step, user: Annotated[User, writes]) -> Json | JSONResponse:
        """Back to draft, to go on writing."""
        desk = context.editing(user.org_id).desk
        return answers.step(user, lambda: desk.withdraw(article_id, body.language, body.revision, user))

    @routes.post("/articles/{article_id}/reject", response_model=None)
    def reject(article_id: str, body: Step, user: Annotated[User, writes]) -> Json | JSONResponse:
        """Back to draft with a reason, by a person who did not write it."""
        desk = context.editing(user.org_id).desk
        return answers.step(user, lambda: desk.reject(article_id, body.language, body.revision, user, body.reason))

    @routes.post("/articles/{article_id}/publish", response_model=None)
    def publish(article_id: str, body: Publication, user: Annotated[User, writes]) -> Json | JSONResponse:
        """By a person who did not write it; the checks run again, and what may be confirmed must be, one by one."""
        editing = context.editing(user.org_id)
        known = editing.desk.open_version(article_id, body.language)
        check_reviewer(user, (*known.authors, known.submitted_by))
        found = _findings(editing, article_id, body)
        open_ = [one for one in found if one.blocks or one.key not in body.confirmed]
        if open_:
            return _refused("The machine's checks found what has to be mended or confirmed before publishing.", open_)
        note = "; ".join([*([body.reason.strip()] if body.reason.strip() else []), *(f"confirmed {one.code} {one.field}" for one in found)])
        return answers.step(user, lambda: editing.desk.publish(article_id, body.language, body.revision, user, note))

    @routes.post("/articles/{article_id}/discard", response_model=None)
    def discard(article_id: str, body: Step, user: Annotated[User, writes]) -> Json | JSONResponse:
        """Throws the draft away."""
        desk = context.editing(user.org_id).desk
        return answers.step(user, lambda: desk.discard(article_id, body.language, body.revision, user))

    @routes.post("/articles/{article_id}/retire")
    def retire(article_id: str, body: Retirement, user: Annotated[User, writes]) -> Json:
        """Takes every published version out of force, at once."""
        return {"retired": context.editing(user.org_id).desk.retire(article_id, body.language, user, body.reason)}

    @routes.get("/articles/{article_id}/checks")
    def checks(article_id: str, user: Annotated[User, reads], language: Language = "zh") -> Json:
        """What the machine finds in the open version."""
        editing = context.editing(user.org_id)
        return {"findings": _encoded(editing.findings(editing.desk.open_version(article_id, language).article))}

    @routes.post("/preview")
    def preview(body: NewArticle, user: Annotated[User, writes]) -> Json:
        """Of a text that need not be saved: its passages as the index would hold them, and what the machine finds."""
        editing = context.editing(user.org_id)
        article = body.article(body.article_id or "new")
        return {"passages": [to_json(one) for one in editing.passages(article)], "findings": _encoded(editing.findings(article))}

    @routes.get("/ranking")
    def ranking(user: Annotated[User, reads], language: Language = "zh") -> Json:
        """How much each field counts in a search's score."""
        return {"weights": dict(context.editing(user.org_id).weights(language))}

    @routes.get("/use")
    def use(user: Annotated[User, reads], days: Annotated[int, Query(ge=1, le=90)] = 30) -> Json:
        """How often each article was offered, used, edited, rejected and said."""
        found: Json = to_json(context.editing(user.org_id).use(days))
        return found

    @routes.get("/gaps")
    def gaps(user: Annotated[User, reads], days: Annotated[int, Query(ge=1, le=90)] = 30) -> Json:
        """What customers asked that nothing answered. Reading it is audited: the examples are words of calls, masked."""
        found: Json = to_json(context.editing(user.org_id).gaps(days))
        line = AuditEntry(
            org_id=user.org_id, at=context.clock.now(), actor=user.user_id, action="kb.gaps", target=f"{days} days", detail=""
        )
        context.audit.record(line)
        return found

    return routes


class _Answers:
    """Versions and steps as the console gets them."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def version(self, user: User, version: ArticleVersion) -> Json:
        return {"version": to_json(version), "names": self.names(user.org_id, [version])}

    def versions(self, user: User, found: Sequence[ArticleVersion]) -> list[Json]:
        day = self._context.articles(user.org_id).today()
        heads = [_head(one.article) for one in found]
        return [{**to_json(one), "standing": standing(head, heads, day)} for one, head in zip(found, heads, strict=True)]

    def names(self, org_id: OrgId, found: Iterable[ArticleVersion]) -> dict[str, str]:
        """Display names of everybody who wrote, sent or decided."""
        names: dict[str, str] = {}
        for user_id in {name for one in found for name in (*one.authors, one.submitted_by, one.decided_by) if name}:
            try:
                names[user_id] = self._context.people.user(org_id, UserId(user_id)).display_name
            except NotFound:
                continue
        return names

    def step(self, user: User, take: Callable[[], ArticleVersion | None]) -> Json | JSONResponse:
        """The version after the step; a conflict with the version that is stored."""
        try:
            after = take()
        except DraftConflict as conflict:
            return problem(
                409, "Conflict", str(conflict), stored=to_json(conflict.stored), names=self.names(user.org_id, [conflict.stored])
            )
        return self.version(user, after) if after is not None else {"version": None}


def _findings(editing: Editing, article_id: str, body: Step) -> tuple[Finding, ...]:
    return editing.findings(editing.desk.open_version(article_id, body.language).article)


def _encoded(findings: Iterable[Finding]) -> list[Json]:
    return [{**to_json(finding), "blocks": finding.blocks, "key": finding.key} for finding in findings]


def _refused(detail: str, findings: Iterable[Finding]) -> JSONResponse:
    return problem(422, "Checks not passed", detail, findings=_encoded(findings))


def _numbered(articles: Iterable[Article], version: int) -> Article:
    for article in articles:
        if article.version == version:
            return article
    raise NotFound(f"There is no version {version} of this article.")


def _head(article: Article) -> VersionHead:
    return VersionHead(version=article.version, state=article.state, valid_from=article.valid_from, valid_to=article.valid_to)


def _tidy(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
