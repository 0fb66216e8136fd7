"""The knowledge graph of one organisation: what is read from the articles in force, folded with what editors decided.

Nothing of it is stored but the decisions: the facts are read again from the articles whenever those change, and only of those that changed.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from copilot.domain.graph import USABLE, Entity, Fact, Graph, GraphEdit, Source, check_edit, fact_key
from copilot.domain.knowledge import Article
from kb.graph_extraction import Extractor, extractor
from kb.graph_words import graph_words

LANGUAGES = ("zh", "en")


class KnowledgeGraph:
    """Thread-safe. ``take`` brings it to what the store holds; what is read from it is of the last ``take``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: dict[tuple[str, str], tuple[Article, tuple[Fact, ...]]] = {}
        self._extractors: dict[str, tuple[Mapping[str, tuple[str, ...]], Extractor]] = {}
        self._graphs: dict[str, Graph] = {language: Graph(language=language) for language in LANGUAGES}

    def take(self, articles: Iterable[Article], edits: Sequence[GraphEdit], day: date) -> int:
        """What may be quoted on ``day``, and the decisions; how many articles were read anew."""
        with self._lock:
            in_force = [article for article in articles if article.valid_on(day) and article.language in LANGUAGES]
            read = 0
            kept: dict[tuple[str, str], tuple[Article, tuple[Fact, ...]]] = {}
            for article in in_force:
                reader = self._extractor(article.language, edits)
                key = (article.article_id, article.language)
                known = self._read.get(key)
                if known is None or (known[0] is not article and known[0] != article):
                    read += 1
                    known = (article, reader.facts(article))
                kept[key] = known
            self._read = kept
            for language in LANGUAGES:
                mine = [edit for edit in edits if edit.language == language]
                facts = [fact for (_, of), (_, found) in kept.items() if of == language for fact in found]
                articles_here = {article_id: article for (article_id, of), (article, _) in kept.items() if of == language}
                self._graphs[language] = fold(language, facts, mine, articles_here)
        return read

    def graph(self, language: str) -> Graph:
        """As of the last ``take``. Another language than those there are is empty."""
        return self._graphs.get(language, Graph(language=language))

    def _extractor(self, language: str, edits: Sequence[GraphEdit]) -> Extractor:
        """With the names that editors gave; where those changed, every article of the language is read anew."""
        given = {edit.target: (edit.body["name"],) for edit in edits if edit.kind == "name" and edit.language == language}
        known = self._extractors.get(language)
        if known is None or known[0] != given:
            known = (given, extractor(language, {name: list(found) for name, found in given.items()}))
            self._extractors[language] = known
            self._read = {key: found for key, found in self._read.items() if key[1] != language}
        return known[1]


def fold(language: str, facts: Iterable[Fact], edits: Sequence[GraphEdit], articles: Mapping[str, Article]) -> Graph:
    """Pure: facts as they were read, with the editors' verdicts, additions, names and merges. ``articles``: id → what is in force."""
    verdicts = {edit.target: edit.body["state"] for edit in edits if edit.kind == "verdict"}
    merges = _merges(edits)
    found: dict[str, Fact] = {}
    for fact in (*facts, *(_added(language, edit, articles) for edit in edits if edit.kind == "fact")):
        state = verdicts.get(fact.key, fact.state) if fact.state != "lost" else "lost"
        sure = 1.0 if state in ("confirmed", "added") else fact.confidence
        subject = merges.get(fact.subject, fact.subject)
        found[fact.key] = replace(fact, subject=subject, state=state, confidence=sure)  # type: ignore[arg-type]
    ordered = tuple(
        sorted(found.values(), key=lambda fact: (fact.subject, fact.relation, fact.source.article_id, fact.source.start, fact.key))
    )
    internal = frozenset(article_id for article_id, article in articles.items() if article.audience == "agent")
    return Graph(language=language, entities=_entities(language, ordered, edits, merges), facts=ordered, internal=internal)


def usable(graph: Graph) -> dict[str, list[Fact]]:
    """Relation → the facts that may answer."""
    found: dict[str, list[Fact]] = defaultdict(list)
    for fact in graph.facts:
        if fact.state in USABLE and fact.source.article_id not in graph.internal:
            found[fact.relation].append(fact)
    return found


def added_fact_edit(language: str, body: Mapping[str, str]) -> GraphEdit:
    """The edit that adds a fact; its target is the key that the fact will have. Raises InvalidInput."""
    said = {name: body.get(name, "").strip() for name in ("subject", "relation", "value", "topic", "article_id", "quote")}
    edit = GraphEdit(kind="fact", target="new", language=language, body=said)
    check_edit(edit)
    key = fact_key(language, said["subject"], said["relation"], said["topic"], said["value"], said["article_id"])
    return replace(edit, target=key)


def _added(language: str, edit: GraphEdit, articles: Mapping[str, Article]) -> Fact:
    """What an editor added, where its quotation stands in the article in force; ``lost`` where it stands there no more."""
    body = edit.body
    article = articles.get(body["article_id"])
    field, at = "body", -1
    if article is not None:
        at = article.body.find(body["quote"])
        if at < 0:
            field, at = "answer", article.answer.find(body["quote"])
    words = graph_words(language)
    topics = words.topics_of(f"{body.get('topic', '')} {body['quote']}")
    context = words.topics_of(article.title if article is not None else "")
    return Fact(
        key=edit.target,
        language=language,
        subject=body["subject"],
        relation=body["relation"],  # type: ignore[arg-type]
        value=body["value"],
        topic=body.get("topic", ""),
        topics=tuple(sorted(topics)),
        context=tuple(sorted(context - topics)),
        source=Source(
            article_id=body["article_id"],
            version=article.version if article is not None else 0,
            title=article.title if article is not None else "",
            field="body" if field == "body" else "answer",
            start=max(at, 0),
            end=max(at, 0) + len(body["quote"]) if at >= 0 else 0,
            quote=body["quote"],
            valid_from=article.valid_from if article is not None else None,
            valid_to=article.valid_to if article is not None else None,
        ),
        confidence=1.0,
        state="added" if at >= 0 else "lost",
    )


def _merges(edits: Sequence[GraphEdit]) -> dict[str, str]:
    """Entity → what it was merged into in the end. A ring of merges leaves its entities as they are."""
    direct = {edit.target: edit.body["into"] for edit in edits if edit.kind == "merge"}
    found = {}
    for start in direct:  # noqa: PLC0206 - followed from one to the next
        seen, at = {start}, direct[start]
        while at in direct and at not in seen:
            seen.add(at)
            at = direct[at]
        if at not in seen:
            found[start] = at
    return found


def _entities(language: str, facts: Sequence[Fact], edits: Sequence[GraphEdit], merges: Mapping[str, str]) -> dict[str, Entity]:
    """Those with facts, those above them, and those that an editor named or merged."""
    words = graph_words(language)
    given = {edit.target: edit.body["name"] for edit in edits if edit.kind == "name"}
    into: dict[str, list[str]] = defaultdict(list)
    for source, target in merges.items():
        into[target].append(source)
    wanted = {fact.subject for fact in facts} | {target for target in given if target not in merges} | set(into)
    wanted |= {ancestor for name in list(wanted) for ancestor in words.ancestors(name) if ancestor not in merges}
    found = {}
    for name in sorted(wanted):
        shown = words.names.get(name, name)
        merged = tuple(sorted(into.get(name, ())))
        aliases = [shown] if name in given else []
        aliases += [given.get(one, words.names.get(one, one)) for one in merged]
        parent = words.parents.get(name, "")
        found[name] = Entity(
            entity_id=name,
            name=given.get(name, shown),
            parent=merges.get(parent, parent) if merges.get(parent, parent) != name else "",
            aliases=tuple(dict.fromkeys(aliases)),
            merged=merged,
            renamed=name in given,
        )
    return found
