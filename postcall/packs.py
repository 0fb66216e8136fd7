"""What the bank configures for after-call work: ticket taxonomy, quality rubric, names and rules of intents. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from postcall.qa.rubric import Rubric, parse_rubric
from postcall.reading import Fields, Names, Patterns, document, each, version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SubCategory:
    """A level-2 ticket category. ``keywords`` are literal strings in lower case."""

    category_id: str
    parent_id: str
    name: Names
    description: Names
    keywords: Mapping[str, tuple[str, ...]]
    intents: tuple[str, ...]
    measures: Mapping[str, tuple[str, ...]]
    fallback: bool = False
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Sentences that customers of this category say, for matching by meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A level-1 ticket category."""

    category_id: str
    name: Names
    children: tuple[SubCategory, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A root cause that a ticket may name, and the words that tell it."""

    cause_id: str
    name: Names
    cues: Patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """The ticket tree. ``fallback`` takes calls in which no need was understood: the entry marked so, else the last of the file."""

    version: str
    categories: tuple[Category, ...]
    causes: tuple[Cause, ...] = ()
    pack_version: int = 0
    """Of the store; 0 for a file."""

    @property
    def leaves(self) -> tuple[SubCategory, ...]:
        return tuple(child for category in self.categories for child in category.children)

    @property
    def fallback(self) -> SubCategory:
        return next((leaf for leaf in self.leaves if leaf.fallback), self.leaves[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentEntry:
    """An intent's name for people, and the rules that are precise enough to decide alone."""

    intent: str
    name: Names
    rules: Patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class Packs:
    """Everything the bank configures for after-call work."""

    taxonomy: Taxonomy
    rubric: Rubric
    intents: tuple[IntentEntry, ...]

    def intent_name(self, intent: str, language: str) -> str:
        """The intent's name for people, empty when the pack does not know it."""
        for entry in self.intents:
            if entry.intent == intent:
                return entry.name.get(language) or next(iter(entry.name.values()), "")
        return ""


def parse_packs(taxonomy: str, rubric: str, intents: str, *, versions: Mapping[str, int] | None = None) -> Packs:
    """The three packs from their YAML texts; ``versions``: those of the store. Raises InvalidInput naming entry, fault and fix."""
    known = versions or {}
    return Packs(
        taxonomy=replace(parse_taxonomy(taxonomy), pack_version=known.get("taxonomy", 0)),
        rubric=replace(parse_rubric(rubric), pack_version=known.get("rubric", 0)),
        intents=parse_intents(intents),
    )


def parse_taxonomy(text: str) -> Taxonomy:
    """``taxonomy.yaml``. Raises InvalidInput, also when two categories claim the same id or the same intent."""
    top = document(text, "taxonomy")
    categories = each(top.children("categories", "taxonomy category"), _category)
    causes = each(top.children("causes", "taxonomy cause"), _cause) if top.data.get("causes") else ()
    taxonomy = Taxonomy(version=version_of(top), categories=categories, causes=causes)
    owner: dict[str, str] = {}
    ids: set[str] = set()
    for parent, category in enumerate(categories):
        for number, leaf in enumerate(category.children):
            at = ("categories", parent, "children", number)
            if leaf.category_id in ids:
                raise top.fault(f"the id {leaf.category_id} names two level-2 categories; rename one.", *at)
            ids.add(leaf.category_id)
            for intent in leaf.intents:
                if intent in owner:
                    said = f"the intent {intent} belongs to {owner[intent]} and to {leaf.category_id}; take it out of one."
                    raise top.fault(said, *at, "intents")
                owner[intent] = leaf.category_id
    return taxonomy


def _cause(fields: Fields) -> Cause:
    return Cause(cause_id=fields.text("id"), name=fields.names("name"), cues=fields.patterns("cues"))


def _category(fields: Fields) -> Category:
    category_id = fields.text("id")
    children = each(fields.children("children", "taxonomy category"), lambda child: _leaf(child, category_id))
    return Category(category_id=category_id, name=fields.names("name"), children=children)


def _leaf(fields: Fields, parent_id: str) -> SubCategory:
    keywords = fields.word_lists("keywords")
    return SubCategory(
        category_id=fields.text("id"),
        parent_id=parent_id,
        name=fields.names("name"),
        description=fields.names("description"),
        keywords={language: tuple(word.casefold() for word in words if word) for language, words in keywords.items()},
        intents=fields.words("intents"),
        measures=fields.word_lists("measures"),
        fallback=fields.flag("fallback"),
        examples=fields.word_lists("examples"),
    )


def parse_intents(text: str) -> tuple[IntentEntry, ...]:
    """Names and rules of ``intents.yaml``; its examples are for the classifier. Raises InvalidInput."""
    entries = []
    for fields in document(text, "intents").children("intents", "intent"):
        rules: Mapping[str, tuple[re.Pattern[str], ...]] = fields.patterns("rules") if fields.data.get("rules") else {}
        entries.append(IntentEntry(intent=fields.text("id"), name=fields.names("name"), rules=rules))
    return tuple(entries)
