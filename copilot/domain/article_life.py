"""The life of an article's versions: which step may follow which, and which version is in force on a day. Pure.

A version is written (draft), looked at (in_review), published, and in the end expired or retired. The calendar expires it: no step does.
What counts among published versions is the newest that has begun; a version that begins later leaves today's in force until its eve.
A version that ended does not bring back the one it superseded: nobody has looked at the old text for this day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Literal

from copilot.domain.errors import Conflict, Forbidden, InvalidInput
from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article, ArticleState, Audience
from copilot.domain.people import Role, User

Step = Literal["save", "submit", "withdraw", "reject", "publish", "retire", "discard"]

MOVES: Mapping[tuple[ArticleState, Step], ArticleState | None] = MappingProxyType(
    {
        ("draft", "save"): "draft",
        ("draft", "submit"): "in_review",
        ("draft", "discard"): None,
        ("in_review", "withdraw"): "draft",
        ("in_review", "reject"): "draft",
        ("in_review", "publish"): "published",
        ("published", "retire"): "retired",
    }
)
"""(state, step) → the state after it; None: the version is gone. A pair that is absent is refused."""

Standing = Literal["draft", "in_review", "scheduled", "in_force", "superseded", "expired", "retired"]
"""Where a version stands on a day: a published one is scheduled, in_force, superseded or expired."""

FORCEFUL: tuple[ArticleState, ...] = ("published", "expired", "retired")
"""States of versions that were published: these decide what is in force; drafts do not."""

EDITORS: frozenset[Role] = frozenset({"editor", "ops_admin"})
"""知识专员 and 运营管理员: they write, and they review what others wrote."""
READERS: frozenset[Role] = EDITORS | {"qa_lead", "auditor", "sys_admin"}
"""May look at drafts and at how articles are used."""

MIN_REASON = 4
"""Characters of a reason: enough to say something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a draft comes from: a place in a document or utterances of a call, shown beside it. ``quote`` is masked."""

    kind: Literal["document", "call", "gap"]
    source: str
    """The document's path, or the call's id."""
    section: str = ""
    quote: str = ""
    start: int = 0
    end: int = 0
    utterances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleVersion:
    """A version with the record of its making. ``revision`` grows with every change; ``authors``: ids of all who wrote in it."""

    article: Article
    revision: int = 0
    base_version: int = 0
    """The newest version when this one was begun."""
    authors: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    submitted_by: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""
    """Of the last rejection, or of the retirement."""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionHead:
    """What decides about a version, without its text."""

    version: int
    state: ArticleState
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleHead:
    """A line of the list of articles. ``standing``: of what is or was published; ``open``: what is being worked on."""

    article_id: ArticleId
    language: str
    title: str
    kind: str
    version: int
    standing: Standing
    open: Literal["", "draft", "in_review"] = ""
    owner: str = ""
    audience: Audience = "customer"
    products: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    updated_at: datetime | None = None
    authors: tuple[str, ...] = ()
    has_origin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticlePage:
    """A page of the list; ``counts`` per standing or open state, of everything that the other filters let through."""

    items: tuple[ArticleHead, ...]
    total: int
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleFilter:
    """``state``: a Standing. ``text`` is looked for in title and id; empty fields let everything through."""

    state: str = ""
    text: str = ""
    language: str = ""
    product: str = ""
    channel: str = ""
    audience: str = ""
    owner: str = ""
    mined: bool = False


class DraftConflict(Conflict):
    """Somebody else saved first. ``stored`` is what is there now: both texts can be laid side by side."""

    def __init__(self, stored: ArticleVersion) -> None:
        super().__init__("Somebody else has saved this draft meanwhile; compare the two texts and save again.")
        self.stored = stored


def moved(state: ArticleState, step: Step) -> ArticleState | None:
    """The state after ``step``; None when the version is gone. Raises Conflict for a step that may not be taken now."""
    try:
        return MOVES[state, step]
    except KeyError:
        allowed = ", ".join(sorted(known for at, known in MOVES if at == state)) or "none"
        raise Conflict(f"A version in state {state} cannot take the step {step}; possible now: {allowed}.") from None


def check_role(user: User, roles: frozenset[Role] = EDITORS) -> None:
    """Raises Forbidden."""
    if not user.roles & roles:
        raise Forbidden("Only knowledge editors and operations administrators may do this.")


def check_reviewer(user: User, authors: Sequence[str]) -> None:
    """Raises Forbidden when ``user`` may not decide about a version that ``authors`` wrote."""
    check_role(user)
    if user.user_id in authors:
        raise Forbidden("You wrote in this version, so another person has to review it.")


def check_reason(reason: str) -> str:
    """The reason, trimmed. Raises InvalidInput when it says nothing."""
    reason = reason.strip()
    if len(reason) < MIN_REASON:
        raise InvalidInput(f"Give a reason of at least {MIN_REASON} characters.")
    return reason


def begun(head: VersionHead, day: date) -> bool:
    """True if the first day of validity has come."""
    return head.valid_from is None or head.valid_from <= day


def ruling(heads: Sequence[VersionHead], day: date) -> VersionHead | None:
    """The version in force on ``day``, its ``valid_to`` no later than the eve of its successor; None if there is none."""
    published = [head for head in heads if head.state in FORCEFUL]
    here = max((head for head in published if begun(head, day)), key=lambda head: head.version, default=None)
    if here is None or here.state != "published":
        return None
    later = [head.valid_from for head in published if head.version > here.version and head.valid_from is not None]
    ends = [moment for moment in (here.valid_to, *(start - timedelta(days=1) for start in later)) if moment is not None]
    last = min(ends, default=None)
    return replace(here, valid_to=last) if last is None or last >= day else None


def standing(head: VersionHead, heads: Sequence[VersionHead], day: date) -> Standing:
    """Where ``head``, one of ``heads``, stands on ``day``."""
    if head.state in ("draft", "in_review", "expired", "retired"):
        return head.state
    rules = ruling(heads, day)
    if rules is not None and rules.version == head.version:
        return "in_force"
    overruled = any(other.version > head.version and other.state in FORCEFUL and begun(other, day) for other in heads)
    if overruled:
        return "superseded"
    return "expired" if begun(head, day) else "scheduled"


def main_version(heads: Sequence[VersionHead], day: date) -> VersionHead:
    """The version that a list shows: the one in force, else the newest that was published, else the newest."""
    rules = ruling(heads, day)
    if rules is not None:
        return next(head for head in heads if head.version == rules.version)
    published = [head for head in heads if head.state in FORCEFUL]
    return max(published or heads, key=lambda head: head.version)
