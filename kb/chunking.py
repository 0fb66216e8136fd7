"""Articles → passages: what the index retrieves and a citation points at. Pure.

A passage of the body is exactly ``article.body[start:end]``, so that a quotation can always be shown in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from copilot.domain.ids import PassageId
from copilot.domain.knowledge import Article, Passage

CHUNKING_VERSION = 2
MAX_PASSAGE_CHARS = {"zh": 240, "en": 640}
"""A passage longer than this is split at a sentence end, a table between its rows; only a longer row is a longer passage. About 150
tokens of the embedding model in either language."""

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t#]*$")
_BLANK = re.compile(r"\n[ \t]*\n")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_LONGEST_COLUMNS = 80
_BETWEEN = " › "
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
    """(section, start, end) of every passage of a Markdown body, in order; spans do not overlap.

    The section is the row of headings above; of a table that goes on from the passage before, also the names of its columns.
    """
    for section, start, end in _sections(body):
        open_start = open_end = -1
        for block_start, block_end, is_table in _blocks(body, start, end):
            if open_start >= 0 and block_end - open_start > limit:
                yield from _split(body, section, open_start, open_end, limit)
                open_start = -1
            if is_table and block_end - block_start > limit:
                yield from _rows(body, section, block_start, block_end, limit)
                continue
            if open_start < 0:
                open_start = block_start
            open_end = block_end
        if open_start >= 0:
            yield from _split(body, section, open_start, open_end, limit)


def _sections(body: str) -> Iterator[tuple[str, int, int]]:
    headings: list[tuple[int, str]] = []
    start, at = 0, 0
    for line in body.splitlines(keepends=True):
        match = _HEADING.match(line.rstrip("\r\n"))
        if match:
            yield _BETWEEN.join(text for _, text in headings), start, at
            level, start = len(match.group(1)), at + len(line)
            headings = [*(above for above in headings if above[0] < level), (level, match.group(2))]
        at += len(line)
    yield _BETWEEN.join(text for _, text in headings), start, at


def _blocks(body: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it is a table) of what blank lines, or the edges of a table, part."""
    at = start
    for gap in [*_BLANK.finditer(body, start, end), None]:
        stop = gap.start() if gap is not None else end
        for run_start, run_end, is_table in _runs(body, at, stop):
            trimmed = _trim(body, run_start, run_end)
            if trimmed is not None:
                yield *trimmed, is_table
        at = gap.end() if gap is not None else end


def _runs(body: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Text and tables by turns. A table is lines that begin with a bar, with the rule under the first."""
    lines: list[tuple[int, int]] = []
    at = start
    for line in body[start:end].splitlines(keepends=True):
        lines.append((at, at + len(line)))
        at += len(line)
    number, text_from = 0, start
    while number < len(lines):
        last = number
        while last < len(lines) and body[slice(*lines[last])].lstrip().startswith("|"):
            last += 1
        if last - number >= 2 and _TABLE_RULE.match(body[slice(*lines[number + 1])].rstrip()):
            if text_from < lines[number][0]:
                yield text_from, lines[number][0], False
            yield lines[number][0], lines[last - 1][1], True
            text_from = lines[last - 1][1]
        number = max(last, number + 1)
    if text_from < end:
        yield text_from, end, False


def _rows(body: str, section: str, start: int, end: int, limit: int) -> Iterator[tuple[str, int, int]]:
    """A table between its rows; never inside of one. Where it goes on, its columns are named in the section."""
    columns = " | ".join(cell.strip() for cell in body[start:end].split("\n", 1)[0].strip().strip("|").split("|"))
    continued = _BETWEEN.join(part for part in (section, columns[:_LONGEST_COLUMNS]) if part)
    at = piece = start
    for number, line in enumerate(body[start:end].splitlines(keepends=True)):
        # The header and its rule stay with the first row.
        if number > 2 and at + len(line.rstrip()) - piece > limit:
            yield from _span(body, section if piece == start else continued, piece, at)
            piece = at
        at += len(line)
    yield from _span(body, section if piece == start else continued, piece, end)


def _span(body: str, section: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    trimmed = _trim(body, start, end)
    if trimmed is not None:
        yield section, *trimmed


def _split(body: str, section: str, start: int, end: int, limit: int) -> Iterator[tuple[str, int, int]]:
    while end - start > limit:
        cut = start + limit
        for match in _SENTENCE_END.finditer(body, start, start + limit):
            cut = match.end()
        yield from _span(body, section, start, cut)
        start = cut
    yield from _span(body, section, start, end)


def _trim(body: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and body[start].isspace():
        start += 1
    while end > start and body[end - 1].isspace():
        end -= 1
    return (start, end) if end > start else None
