"""Articles → passages: what the index retrieves and a citation points at. Pure.

A passage of the body is exactly ``article.body[start:end]``, so that a quotation can always be shown in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from copilot.domain.ids import PassageId
from copilot.domain.knowledge import Article, Passage

CHUNKING_VERSION = 1
MAX_PASSAGE_CHARS = {"zh": 240, "en": 640}
"""A passage longer than this is split at a sentence end. About 150 tokens of the embedding model in either language."""

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t#]*$")
_BLANK = re.compile(r"\n[ \t]*\n")
_SENTENCE_END = re.compile(r"[。！？!?；;\n]+|\.(?=\s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A passage as it goes into an index: ``lexical`` is what terms are taken from, ``dense`` what is embedded."""

    passage: Passage
    lexical: str
    dense: str


def passages(article: Article) -> tuple[Passage, ...]:
    """Title and every similar question (kind ``question``), the approved answer, and the body by section and paragraph."""
    return tuple(entry.passage for entry in entries(article))


def entries(article: Article) -> tuple[Entry, ...]:
    """The passages of an article with the texts to index. Body and answer are embedded with the title, which says what they are about."""
    found: list[Entry] = []
    questions = [question for question in (article.title, *article.questions) if question.strip()]
    for number, question in enumerate(dict.fromkeys(questions)):
        found.append(_entry(article, f"q{number}", "question", "", question, question))
    if article.answer.strip():
        found.append(_entry(article, "a", "answer", "", article.answer, f"{article.title}\n{article.answer}"))
    for number, (section, start, end) in enumerate(_body_spans(article.body, MAX_PASSAGE_CHARS.get(article.language, 640))):
        text = article.body[start:end]
        heading = f"{article.title} {section}".strip()
        found.append(_entry(article, f"b{number}", "body", section, text, f"{heading}\n{text}", start=start, end=end))
    return tuple(found)


def _entry(article: Article, name: str, kind: str, section: str, text: str, dense: str, *, start: int = 0, end: int = 0) -> Entry:
    assert kind in {"question", "answer", "body"}
    passage = Passage(
        passage_id=PassageId(f"{article.article_id}:{article.language}:{article.version}:{name}"),
        article_id=article.article_id,
        version=article.version,
        language=article.language,
        kind=kind,  # type: ignore[arg-type]
        section=section,
        text=text,
        start=start,
        end=end,
    )
    return Entry(passage=passage, lexical=f"{section} {text}".strip(), dense=dense)


def _body_spans(body: str, limit: int) -> Iterator[tuple[str, int, int]]:
    """(section heading, start, end) of every passage of a Markdown body, in order; spans do not overlap."""
    for section, start, end in _sections(body):
        open_start = open_end = -1
        for block_start, block_end in _blocks(body, start, end):
            if open_start >= 0 and block_end - open_start > limit:
                yield from _split(body, section, open_start, open_end, limit)
                open_start = -1
            if open_start < 0:
                open_start = block_start
            open_end = block_end
        if open_start >= 0:
            yield from _split(body, section, open_start, open_end, limit)


def _sections(body: str) -> Iterator[tuple[str, int, int]]:
    heading, start, at = "", 0, 0
    for line in body.splitlines(keepends=True):
        match = _HEADING.match(line.rstrip("\r\n"))
        if match:
            yield heading, start, at
            heading, start = match.group(2), at + len(line)
        at += len(line)
    yield heading, start, at


def _blocks(body: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for gap in [*_BLANK.finditer(body, start, end), None]:
        stop = gap.start() if gap is not None else end
        trimmed = _trim(body, at, stop)
        if trimmed is not None:
            yield trimmed
        at = gap.end() if gap is not None else end


def _split(body: str, section: str, start: int, end: int, limit: int) -> Iterator[tuple[str, int, int]]:
    while end - start > limit:
        cut = start + limit
        for match in _SENTENCE_END.finditer(body, start, start + limit):
            cut = match.end()
        trimmed = _trim(body, start, cut)
        if trimmed is not None:
            yield section, *trimmed
        start = cut
    trimmed = _trim(body, start, end)
    if trimmed is not None:
        yield section, *trimmed


def _trim(body: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and body[start].isspace():
        start += 1
    while end > start and body[end - 1].isspace():
        end -= 1
    return (start, end) if end > start else None
