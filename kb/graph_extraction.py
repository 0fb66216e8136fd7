"""Articles → facts about products, by rules. Pure. docs/explanation/knowledge-graph.md says how well it works.

A body is cut into statements: the cells of a table row, and the sentences of everything else. Of a statement it is asked which product it
is about (what it names, the row, the heading, the title, the article's first tag: the first that says so), and ``kb.graph_values`` reads
the values. Examples hold no facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from copilot.domain.graph import Fact, Relation, Source, fact_key
from copilot.domain.knowledge import Article
from kb.graph_values import Value, header_relation, read_values
from kb.graph_words import GraphWords, Mention, Names, graph_words, names_of

EXTRACTION_VERSION = 1
_HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t#]*$")
_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_BULLET = re.compile(r"^\s*(?:[-*]|\d+[.)、])\s+")
_SENTENCE = {"zh": re.compile(r"[^。！？\n]+[。！？]?"), "en": re.compile(r"(?:[^.!?\n]|[.!?](?!\s|$))+[.!?]?")}
_PART = re.compile(r"[^；;]+[；;]?")
_EXAMPLE = {
    "zh": re.compile(r"(?:^|[，；、\s])(?:例[:：如]|比如|例如|譬如|假设)"),
    "en": re.compile(r"\b(?:for example|example:|e\.g\.)", re.IGNORECASE),
}
_EXAMPLE_SECTION = re.compile(r"算例|举例|示例|\bexamples?\b", re.IGNORECASE)
_QUOTED = re.compile(r"「[^」]*」|“[^”]*”|\"[^\"]*\"")
_LABEL = re.compile(r"^\s*\**([^：:，,。；;]{1,24})[:：]\**\s*(?=\S)")
_AND = re.compile(r"[、和及与&]|\band\b|\bor\b|,", re.IGNORECASE)
_CONFIDENCE = {"cell": 0.9, "named": 0.85, "title": 0.75, "tag": 0.6}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """``start``/``end`` in the field; ``text`` is read, with quoted menus blanked out. ``row``: what its row is called,
    under ``head``."""

    start: int
    end: int
    text: str
    section: str = ""
    row: str = ""
    column: str = ""
    head: str | None = None
    relation: Relation | None = None
    quote: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Extractor:
    """Reads the articles of one language. ``names`` may hold more names than the file, such as an editor's."""

    words: GraphWords
    names: Names

    def facts(self, article: Article) -> tuple[Fact, ...]:
        """In the order of the text; of statements that say the same, the surest. An article without a body is read by its answer."""
        found: dict[str, Fact] = {}
        for fact in self.read(article):
            known = found.get(fact.key)
            if known is None or known.confidence < fact.confidence:
                found[fact.key] = fact
        return tuple(sorted(found.values(), key=lambda fact: (fact.source.start, fact.source.end, fact.key)))

    def read(self, article: Article) -> Iterator[Fact]:
        """The facts of every statement, also where another says the same."""
        field = "body" if article.body.strip() else "answer"
        text = article.body if field == "body" else article.answer
        default, sureness = self._default(article)
        for statement in _statements(text, article.language):
            yield from self._read(article, statement, field, default, sureness)

    def _default(self, article: Article) -> tuple[str, str]:
        """The product that the title names, else that of the first tag; and how it is known."""
        mentions = self.names.find(article.title)
        strong = [one.entity_id for one in mentions if one.entity_id not in self.words.weak]
        tagged = {self.words.root(self.words.tags.get(tag, tag)) for tag in article.products}
        weak = [one.entity_id for one in mentions if one.entity_id in self.words.weak and self.words.root(one.entity_id) in tagged]
        for named in (strong, weak):
            distinct = list(dict.fromkeys(named))
            if len(distinct) == 1:
                return distinct[0], "title"
            if distinct:
                shared = [one for one in (distinct[0], *self.words.ancestors(distinct[0])) if self._covers(one, distinct[1:])]
                if shared or not article.products:
                    return (shared or distinct)[0], "title"
                break
        first = article.products[0] if article.products else ""
        return (self.words.tags.get(first, first), "tag")

    def _covers(self, entity_id: str, others: Sequence[str]) -> bool:
        return all(entity_id == other or entity_id in self.words.ancestors(other) for other in others)

    def _read(self, article: Article, at: _Statement, field: str, default: str, sureness: str) -> Iterator[Fact]:
        heading = self._narrowed(default, [one.entity_id for one in self.names.find(at.section)])
        if heading != default:
            default, sureness = heading, "title"
        row = self._named(at.row, at.head)
        if len(row) > 1 and not _AND.search(at.row[row[0].end : row[1].start] or ""):
            row = row[:1]
        if at.head is not None and len(row) == 1 and row[0].start == 0 and row[0].entity_id not in self.words.ancestors(default):
            # A row that begins with a product is about it, whatever the rest of the article is about.
            default = row[0].entity_id
        row = row + self.names.find(at.column)
        subjects = list(dict.fromkeys(self._narrowed(default, [one.entity_id]) for one in row))
        subjects = [one for one in subjects if one and one != default]
        if len(row) > 1 and default in {one.entity_id for one in row}:
            subjects = list(dict.fromkeys(one.entity_id for one in row))
        values = list(read_values(at.text, article.language, at.relation, self.words.channels, at.row, f"{article.title} {at.section}"))
        mentions = self.names.find(at.text)
        for number, value in enumerate(values):
            about = self._about(value, mentions, subjects[0] if subjects else default)
            several = subjects if len(subjects) > 1 and about == subjects[0] else [about]
            if len(several) > 1 and "、" in value.text and len(value.text.split("、")) == len(several):
                pairs = list(zip(several, value.text.split("、"), strict=True))
            else:
                pairs = [(one, value.text) for one in several]
            how = "cell" if at.relation is not None or at.row else "named" if about != default else sureness
            for subject, said in pairs:
                if subject:
                    yield self._fact(article, at, field, replace(value, text=said), subject, _CONFIDENCE[how] - 0.02 * min(number, 5))

    def _named(self, row: str, head: str | None) -> list[Mention]:
        """Products in the name of a row; "Gold" under "Card" is a gold card."""
        found = self.names.find(row)
        return found if found or not head else self.names.find(f"{row} {head}" if row.isascii() else f"{row}{head}")

    def _about(self, value: Value, mentions: Sequence[Mention], default: str) -> str:
        """The last product named before the value in its statement, if it fits the one the statement is about."""
        before = [one for one in mentions if one.start <= value.start]
        for one in reversed(before):
            narrowed = self._narrowed(default, [one.entity_id])
            if narrowed != default or one.entity_id == default:
                return narrowed
            if one.start == 0 and one.entity_id not in self.words.weak and one.entity_id not in self.words.ancestors(default):
                return one.entity_id
        return default

    def _narrowed(self, default: str, named: Sequence[str]) -> str:
        """A kind of the default, or of the same family; one that is named beside an unrelated default does not count."""
        for entity_id in named:
            if entity_id in self.words.ancestors(default) or entity_id == default:
                continue
            family = self.words.root(entity_id) == self.words.root(default)
            loose = default in self.words.weak or not default
            if family or (loose and entity_id not in self.words.weak):
                return entity_id
        return default

    def _fact(self, article: Article, at: _Statement, field: str, value: Value, subject: str, confidence: float) -> Fact:
        topic = " ".join(dict.fromkeys(part for part in (value.label, at.row, at.column) if part))[:60]
        about = f"{topic} {at.text} {at.section}"
        topics = self.words.topics_of(about)
        return Fact(
            key=fact_key(article.language, subject, value.relation, topic, value.text, article.article_id),
            language=article.language,
            subject=subject,
            relation=value.relation,
            value=value.text,
            topic=topic,
            topics=tuple(sorted(topics)),
            context=tuple(sorted(self.words.topics_of(article.title) - topics)),
            source=Source(
                article_id=article.article_id,
                version=article.version,
                title=article.title,
                field="body" if field == "body" else "answer",
                start=at.quote[0],
                end=at.quote[1],
                quote=(article.body if field == "body" else article.answer)[at.quote[0] : at.quote[1]],
                section=at.section,
                valid_from=article.valid_from,
                valid_to=article.valid_to,
            ),
            confidence=round(confidence, 2),
        )


def extractor(language: str, more: dict[str, Sequence[str]] | None = None) -> Extractor:
    """``more``: id → names beside those of the file, as text."""
    words = graph_words(language)
    aliases = {name: list(found) for name, found in words.aliases.items()}
    for entity_id, names in (more or {}).items():
        aliases.setdefault(entity_id, []).extend(re.escape(name) for name in names)
    return Extractor(words, names_of(aliases))


def _statements(text: str, language: str) -> Iterator[_Statement]:
    section, header, at = "", None, 0
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        heading = _HEADING.match(bare)
        if heading:
            section, header = heading.group(1), None
        elif bare.startswith("|"):
            if _RULE.match(bare):
                pass
            elif header is None:
                header = [cell for _, _, cell in _cells(line)]
            elif not _EXAMPLE_SECTION.search(section):
                yield from _row(line, at, header, section)
        else:
            header = None
            if bare and not _EXAMPLE_SECTION.search(section):
                yield from _sentences(line, at, language, section)
        at += len(line)


def _row(line: str, at: int, header: Sequence[str], section: str) -> Iterator[_Statement]:
    cells = _cells(line)
    quote = (at + line.index("|"), at + len(line.rstrip()))
    name = cells[0][2] if cells else ""
    for number, (start, _, cell) in enumerate(cells[1:], 1):
        column = header[number] if number < len(header) else ""
        relation = header_relation(column) or header_relation(name) or header_relation(header[0] if header else "")
        for part in _PART.finditer(_blanked(cell)):
            yield _Statement(
                start=at + start + part.start(), end=at + start + part.end(), text=part.group(), section=section, row=name, column=column,
                head=header[0] if header else "", relation=relation, quote=quote,
            )  # fmt: skip


def _cells(line: str) -> list[tuple[int, int, str]]:
    """(start, end, text) of the cells of a row."""
    found, begun = [], line.index("|") + 1
    for match in re.finditer(r"\||$", line.rstrip()):
        if match.start() >= begun:
            inner = line[begun : match.start()]
            if inner.strip() or match.group():
                lead = len(inner) - len(inner.lstrip())
                found.append((begun + lead, begun + lead + len(inner.strip()), inner.strip()))
            begun = match.end()
    return found


def _sentences(line: str, at: int, language: str, section: str) -> Iterator[_Statement]:
    bullet = _BULLET.match(line)
    offset = bullet.end() if bullet else 0
    for sentence in _SENTENCE[language if language == "zh" else "en"].finditer(line, offset):
        text = sentence.group()
        example = _EXAMPLE["zh" if language == "zh" else "en"].search(text)
        text = text[: example.start()] if example else text
        label = ""
        for part in _PART.finditer(text):
            said = part.group()
            if not said.strip():
                continue
            lead = len(said) - len(said.lstrip())
            start = at + sentence.start() + part.start() + lead
            body = said.strip()
            named = _LABEL.match(body)
            label = named.group(1).strip("* ") if named else label
            yield _Statement(
                start=start, end=start + len(body), text=_blanked(body), section=section, row=label if named else "",
                relation=header_relation(label) if named else None, quote=(start, start + len(body)),
            )  # fmt: skip


def _blanked(text: str) -> str:
    """Menus and quotations as blanks: what they name is not what the statement is about."""
    return _QUOTED.sub(lambda match: " " * len(match.group()), text)
