"""What the graph adds to a question: which product is meant, or two products side by side. Pure; under a millisecond.

A question is about facts of one relation (fee, limit …) and of the topics that it names. Where it names no product, and such facts of the
articles found say different things of different products, the customer has to be asked. Where it compares two products, their facts are put
side by side, each with its source.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from copilot.domain.graph import Choice, Fact, Graph, Guidance, Relation
from kb.facts import quantities
from kb.graph import usable
from kb.graph_words import GraphWords, Names, graph_words, names_of

HITS = 8
"""Of so many articles found the facts may call for a question."""
MAX_CHOICES = 4
FACTS_EACH = 3
_ORDER: tuple[Relation, ...] = ("document", "rate", "condition", "limit", "time", "fee")
"""Of two relations that a question seems to ask for, the first: its words are the rarer ones."""
_CONDITIONS = ("terms", "months")
_GENERIC_FEE = re.compile(r"^(?:费用|收费|手续费|fees?|charges?)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Questions:
    """Made once of a graph; asked for every question."""

    graph: Graph
    words: GraphWords
    names: Names
    facts: Mapping[str, Sequence[Fact]]

    def guide(self, text: str, articles: Collection[str] | None = None) -> Guidance | None:
        """None if the graph has nothing to add. ``articles``: only facts of these may call for a question (None: of any)."""
        relations = self._relations(text)
        topics = self.words.topics_of(text)
        if not relations:
            return None
        mentioned = self._mentioned(text)
        if len(mentioned) >= 2:
            return self._compare(text, relations, topics, mentioned) if self.words.compares.search(text) else None
        for relation in relations:
            asked = self._ask(text, relation, topics, mentioned, articles)
            if asked is not None:
                return asked
        return None

    def _relations(self, text: str) -> list[Relation]:
        return [name for name in _ORDER if self.words.asks[name].search(text)]

    def _mentioned(self, text: str) -> list[str]:
        """Products, narrowest only, in the order of the text."""
        found = list(dict.fromkeys(one.entity_id for one in self.names.find(text)))
        above = {ancestor for one in found for ancestor in self.words.ancestors(one)}
        return [one for one in found if one not in above]

    def _ask(
        self, text: str, relation: Relation, topics: frozenset[str], mentioned: Sequence[str], articles: Collection[str] | None
    ) -> Guidance | None:
        if not topics:
            return None
        families = [roots for pattern, roots in self.words.families if pattern.search(text)]
        allowed = frozenset[str]().union(*families)
        groups: dict[str, list[Fact]] = defaultdict(list)
        for fact in self._fitting(text, relation, topics):
            if fact.subject in self.words.never_asked:
                continue
            line = (fact.subject, *self.words.ancestors(fact.subject))
            if mentioned and mentioned[0] not in line:
                continue
            if allowed and not mentioned and not allowed & set(line):
                continue
            if articles is None or fact.source.article_id in articles:
                groups[fact.subject].append(fact)
        best: dict[str, list[Fact]] = {one: _best(facts, topics) for one, facts in self._told_apart(groups).items()}
        said = {one: frozenset(_said(fact) for fact in facts) for one, facts in best.items()}
        if len(best) < 2 or len(set(said.values())) < 2:
            return None
        order = sorted(best, key=lambda one: (-max(fact.confidence for fact in best[one]), one))[:MAX_CHOICES]
        return Guidance(kind="ask", relation=relation, choices=tuple(self._choice(one, best[one]) for one in order))

    def _told_apart(self, groups: Mapping[str, Sequence[Fact]]) -> dict[str, Sequence[Fact]]:
        """The narrowest products; a product of which only one kind has facts stands for that kind too."""
        kinds: dict[str, list[str]] = defaultdict(list)
        for one in groups:
            for ancestor in self.words.ancestors(one):
                kinds[ancestor].append(one)
        single = {ancestor for ancestor, below in kinds.items() if len(below) == 1 and ancestor in groups}
        gone = {ancestor for ancestor in kinds if ancestor not in single} | {kinds[ancestor][0] for ancestor in single}
        return {one: facts for one, facts in groups.items() if one not in gone}

    def _compare(self, text: str, relations: Sequence[Relation], topics: frozenset[str], mentioned: Sequence[str]) -> Guidance | None:
        if len(mentioned) > 2:
            mentioned = [one for one in mentioned if one not in self.words.also_topics]
        for relation in relations:
            choices = []
            fitting = self._fitting(text, relation, topics)
            for one in mentioned[:MAX_CHOICES]:
                facts = [fact for fact in fitting if fact.subject == one or one in self.words.ancestors(fact.subject)]
                own = [fact for fact in facts if fact.subject == one]
                if own or facts:
                    choices.append(self._choice(one, _best(own or facts, topics)))
            if len(choices) >= 2:
                return Guidance(kind="compare", relation=relation, choices=tuple(choices))
        return None

    def _fitting(self, text: str, relation: Relation, topics: frozenset[str]) -> list[Fact]:
        """The facts of a relation that share a topic with the question, of the terms it names where it names any."""
        named = {(one.unit, one.value) for one in quantities(text, self.graph.language) if one.unit in _CONDITIONS}
        facts = [fact for fact in self.facts.get(relation, ()) if not topics or topics & {*fact.topics, *fact.context}]
        if not named:
            return facts
        units = {unit for unit, _ in named}
        found = []
        for fact in facts:
            of = {(one.unit, one.value) for one in quantities(fact.topic, self.graph.language) if one.unit in units}
            if not of or of & named:
                found.append(fact)
        exact = [fact for fact in found if any(one.unit in units for one in quantities(fact.topic, self.graph.language))]
        have = {fact.subject for fact in exact}
        return [fact for fact in found if fact in exact or fact.subject not in have]

    def _choice(self, entity_id: str, facts: Sequence[Fact]) -> Choice:
        known = self.graph.entities.get(entity_id)
        name = known.name if known is not None else self.words.names.get(entity_id, entity_id)
        return Choice(entity_id=entity_id, name=name, facts=tuple(facts[:FACTS_EACH]))


def questions(graph: Graph) -> Questions:
    """Ready to be asked."""
    words = graph_words(graph.language)
    aliases = {name: list(found) for name, found in words.aliases.items()}
    for entity in graph.entities.values():
        extra = [re.escape(name) for name in (entity.name, *entity.aliases) if name not in aliases.get(entity.entity_id, ())]
        aliases.setdefault(entity.entity_id, []).extend(extra)
        for merged in entity.merged:
            aliases[entity.entity_id].extend(aliases.pop(merged, ()))
    return Questions(graph, words, names_of(aliases), usable(graph))


def _best(facts: Sequence[Fact], topics: frozenset[str]) -> list[Fact]:
    """Those that share most topics, surest first."""
    near = {fact.key: 2 * len(topics & set(fact.topics)) + len(topics & set(fact.context)) for fact in facts}
    most = max(near.values())
    facts = [fact for fact in facts if near[fact.key] == most]
    return sorted(facts, key=lambda fact: (-fact.confidence, fact.source.article_id, fact.source.start))


def _said(fact: Fact) -> object:
    """What a fact says, so that two wordings of one value are the same."""
    numbers = frozenset((one.unit, one.value) for one in quantities(fact.value, fact.language))
    return numbers or "".join(fact.value.split()).casefold()
