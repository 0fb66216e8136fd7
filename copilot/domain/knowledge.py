"""Articles, their passages, and what a search returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from copilot.domain.ids import ArticleId, PassageId

ArticleState = Literal["draft", "in_review", "published", "expired", "retired"]
"""How these follow one another is in ``copilot.domain.article_life``."""
Audience = Literal["customer", "agent"]
"""``customer``: may be said to customers. ``agent``: for the agent's eyes; never offered as a sentence to say, never given to a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankTerm:
    """A word of the bank that recognition should get right. ``aliases``: how it is written by mistake; ``weight``: heavier is said more."""

    text: str
    weight: float = 1.0
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One version of one article in one language. ``answer`` is the approved sentence an agent may say verbatim."""

    article_id: ArticleId
    version: int
    language: str
    domain: str
    title: str
    body: str
    kind: Literal["faq", "article"] = "faq"
    answer: str = ""
    questions: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    intent: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    state: ArticleState = "published"
    source: str = ""
    audience: Audience = "customer"

    def valid_on(self, day: date) -> bool:
        """True if it may be quoted on ``day``: published, begun and not expired (``valid_to`` is the last valid day)."""
        begun = self.valid_from is None or self.valid_from <= day
        return self.state == "published" and begun and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A retrievable piece of an article. ``start``/``end`` index the article's body (0, 0 for title and questions)."""

    passage_id: PassageId
    article_id: ArticleId
    version: int
    language: str
    kind: Literal["question", "answer", "body"]
    section: str
    text: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Only articles for one of these products, and for one of these channels; empty: for any. One that names none is for all."""

    products: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to look for. ``day`` is the day on which the answer must be valid (None: no validity filter).

    ``intents``: how likely the caller means each intent, None if nobody can tell; it moves order and confidence. ``products`` only prefers
    articles; ``scope`` leaves the others out.
    """

    text: str
    language: str
    intents: Mapping[str, float] | None = None
    products: tuple[str, ...] = ()
    day: date | None = None
    top_k: int = 5
    scope: Scope = EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One article found, by its best passage. ``scores`` per ranker explain ``score``.

    ``confidence`` in [0, 1] is that it answers; ``fits`` is false below the bar of this knowledge base, and then it must not be offered.
    """

    article: Article
    passage: Passage
    score: float
    confidence: float
    scores: Mapping[str, float] = field(default_factory=dict)
    fits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A source pinned to article version and passage span (of the body)."""

    article_id: ArticleId
    version: int
    passage_id: PassageId
    title: str
    section: str
    quote: str
    start: int = 0
    end: int = 0
    valid_from: date | None = None
    valid_to: date | None = None
