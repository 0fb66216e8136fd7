"""The knowledge graph: facts about products, each from a place in an article, and what editors decided about them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from copilot.domain.errors import InvalidInput

Relation = Literal["fee", "rate", "limit", "time", "channel", "document", "condition"]
RELATIONS: tuple[Relation, ...] = ("fee", "rate", "limit", "time", "channel", "document", "condition")
FactState = Literal["found", "confirmed", "rejected", "added", "lost"]
"""``found`` by the machine and not judged yet; ``lost``: added by an editor, and its quotation is no longer in the article in force."""
EditKind = Literal["verdict", "fact", "name", "merge"]
USABLE: frozenset[FactState] = frozenset(("found", "confirmed", "added"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """``article[field][start:end]`` is ``quote``: the statement that a fact was read from."""

    article_id: str
    version: int
    title: str
    field: Literal["body", "answer"]
    start: int
    end: int
    quote: str
    section: str = ""
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An edge: ``subject`` (an entity's id) –``relation``→ ``value`` (as the text has it).

    ``topic``: what the value is of (年费, 补卡 …), as text; ``topics``: the same by the names of ``kb/graph.yaml``, and ``context``
    those that only the article's title names. ``confidence`` in [0, 1].
    """

    key: str
    language: str
    subject: str
    relation: Relation
    value: str
    topic: str
    topics: tuple[str, ...]
    context: tuple[str, ...] = ()
    source: Source
    confidence: float
    state: FactState = "found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A product in one language. ``parent``: the id of what it is a kind of; ``merged``: ids of those that were merged into it."""

    entity_id: str
    name: str
    parent: str = ""
    aliases: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    renamed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEdit:
    """What an editor decided; the newest of a ``kind`` and ``target`` counts.

    ``verdict``: target is a fact's key, body ``{"state": "confirmed" | "rejected"}``; ``fact``: target is the key of a fact that was added,
    body ``{subject, relation, value, topic, article_id, quote}``; ``name`` and ``merge``: target is an entity's id, body ``{"name"}`` or
    ``{"into"}``.
    """

    kind: EditKind
    target: str
    language: str
    body: Mapping[str, str]
    author: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Everything the screens show of one language. Facts that were rejected or lost never answer, nor those of ``internal`` articles: they
    are for the agent's eyes."""

    language: str
    entities: Mapping[str, Entity] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()
    internal: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One product that the customer may mean, and what the facts say of it."""

    entity_id: str
    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What the graph adds to a question: ``ask`` which of the choices is meant, or ``compare`` them side by side."""

    kind: Literal["ask", "compare"]
    relation: Relation
    choices: tuple[Choice, ...]


def fact_key(language: str, subject: str, relation: str, topic: str, value: str, article_id: str) -> str:
    """The same statement in a later version of the article has the same key; another value has another one."""
    said = "\n".join((language, subject, relation, "".join(topic.split()), "".join(value.split()).casefold(), article_id))
    return hashlib.sha256(said.encode()).hexdigest()[:20]


def check_edit(edit: GraphEdit) -> None:
    """Raises InvalidInput for a body that does not say what its kind needs."""
    needed = {
        "verdict": ("state",),
        "fact": ("subject", "relation", "value", "article_id", "quote"),
        "name": ("name",),
        "merge": ("into",),
    }[edit.kind]
    missing = [name for name in needed if not edit.body.get(name, "").strip()]
    if missing:
        raise InvalidInput(f"The change says nothing about {', '.join(missing)}.")
    if edit.kind == "verdict" and edit.body["state"] not in ("confirmed", "rejected"):
        raise InvalidInput("A fact is confirmed or rejected.")
    if edit.kind == "fact" and edit.body["relation"] not in RELATIONS:
        raise InvalidInput(f"There is no such relation; it is one of {', '.join(RELATIONS)}.")
    if edit.kind == "merge" and edit.body["into"] == edit.target:
        raise InvalidInput("An entity cannot be merged into itself.")
