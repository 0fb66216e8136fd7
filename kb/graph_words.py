"""The words of ``kb/graph.yaml``, compiled: products, topics, channels, and how a question asks. Read once, when first asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

Pattern = re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """``text[start:end]`` names ``entity_id``."""

    entity_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Names:
    """Finds the names of products in a text: the longest at a place, none inside of another."""

    pattern: Pattern
    groups: tuple[str, ...]

    def find(self, text: str) -> list[Mention]:
        return [
            Mention(entity_id=self.groups[(match.lastindex or 1) - 1], start=match.start(), end=match.end())
            for match in self.pattern.finditer(text)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphWords:
    """Of one language. ``parents``: id → the product that it is a kind of; ``tags``: product tag → id; ``weak``: see the file."""

    names: Mapping[str, str]
    aliases: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, str]
    tags: Mapping[str, str]
    weak: frozenset[str]
    never_asked: frozenset[str]
    also_topics: frozenset[str]
    topics: Mapping[str, Pattern]
    channels: Mapping[str, Pattern]
    asks: Mapping[str, Pattern]
    compares: Pattern
    families: tuple[tuple[Pattern, frozenset[str]], ...]

    def ancestors(self, entity_id: str) -> tuple[str, ...]:
        """From its parent to the root."""
        found: list[str] = []
        parent = self.parents.get(entity_id, "")
        while parent and parent not in found:
            found.append(parent)
            parent = self.parents.get(parent, "")
        return tuple(found)

    def root(self, entity_id: str) -> str:
        return (entity_id, *self.ancestors(entity_id))[-1]

    def topics_of(self, text: str) -> frozenset[str]:
        return frozenset(name for name, pattern in self.topics.items() if pattern.search(text))


def names_of(aliases: Mapping[str, Iterable[str]]) -> Names:
    """``aliases``: id → patterns. Longer ones go first, so that a name never counts inside of a longer one that begins with it."""
    pairs = sorted(((alias, entity) for entity, found in aliases.items() for alias in found), key=lambda pair: -len(pair[0]))
    if not pairs:
        return Names(re.compile(r"(?!)"), ())
    parts = (f"({_bounded(alias)})" for alias, _ in pairs)
    return Names(re.compile("|".join(parts), re.IGNORECASE), tuple(entity for _, entity in pairs))


def _bounded(alias: str) -> str:
    """Words of the Latin alphabet stand alone; groups do not count."""
    plain = re.sub(r"\((?!\?)", "(?:", alias)
    return rf"(?<![A-Za-z]){plain}(?![A-Za-z])" if plain.isascii() else plain


@cache
def graph_words(language: str) -> GraphWords:
    """``zh``, else English."""
    side = "zh" if language == "zh" else "en"
    pack: dict[str, Any] = yaml.safe_load(resources.files("kb").joinpath("graph.yaml").read_text(encoding="utf-8"))
    part, entities = pack[side], pack["entities"]
    aliases = {name: tuple(str(alias) for alias in entry[side]) for name, entry in entities.items()}
    return GraphWords(
        names={name: (found[0] if found else name) for name, found in aliases.items()},
        aliases=aliases,
        parents={name: str(entry["of"]) for name, entry in entities.items() if "of" in entry},
        tags={str(entry.get("tag", name)): name for name, entry in entities.items() if "of" not in entry and entry.get("tag") != "branch"},
        weak=frozenset(pack["weak"]),
        also_topics=frozenset(pack["also_topics"]),
        never_asked=frozenset(pack["never_asked"]),
        topics={name: _any(patterns) for name, patterns in part["topics"].items() if patterns},
        channels={name: _any(patterns) for name, patterns in part["channels"].items()},
        asks={name: _any(patterns) for name, patterns in part["asks"].items()},
        compares=_any(part["compares"]),
        families=tuple((_any([entry[side]]), frozenset(entry["of"])) for entry in pack["families"]),
    )


def _any(patterns: Iterable[str]) -> Pattern:
    return re.compile("|".join(patterns), re.IGNORECASE)
