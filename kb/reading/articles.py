"""What was read → articles: a document is cut at its headings into articles of a size to review; a row of a FAQ is one. Pure.

Ids come from the source's name and the headings (or the question), so that the same source gives the same articles again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article, ArticleState
from kb.reading.document import Block, Document, FaqSheet, Heading, Paragraph, Raw, Table, clean, markdown

MAX_ARTICLE_CHARS = {"zh": 4_000, "en": 10_000}
"""A section longer than this is cut at its own headings, then between its paragraphs."""
_TITLE_CHARS = 120
_PREAMBLE_CHARS = 300
"""What may stand before a document's title: a number, a date, a department."""
_HAN = re.compile(r"[㐀-鿿]")
_LATIN = re.compile(r"[A-Za-z]")
_SENTENCE = re.compile(r"(?<=[。！？!?；;\n])|(?<=\.\s)")
_SAMPLE = 20_000


def language_of(text: str) -> str:
    """``zh`` if a seventh or more of the letters are Han: Chinese bank texts are full of Latin product names."""
    sample = text[:_SAMPLE]
    han = len(_HAN.findall(sample))
    return "zh" if han and han * 6 >= len(_LATIN.findall(sample)) else "en"


def articles_of(content: Document | FaqSheet, source: str, state: ArticleState, language: str | None = None) -> list[Article]:
    """The articles of a file, in its order. ``source``: the file's path inside the import; ``language``: instead of the text's own."""
    if isinstance(content, FaqSheet):
        return list(_faq(content, source, state, language))
    return list(_document(content, source, state, language))


def _digest(*parts: str, size: int = 10) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:size]


def _faq(sheet: FaqSheet, source: str, state: ArticleState, language: str | None) -> Iterator[Article]:
    here = _digest(source, size=8)
    for row in sheet.rows:
        yield Article(
            article_id=ArticleId(f"faq-{here}-{_digest(row.key or row.question)}"),
            version=1,
            language=language or language_of(f"{row.question} {row.answer}"),
            domain=row.category,
            title=row.question,
            body="",
            kind="faq",
            answer=row.answer,
            questions=row.similar,
            products=row.products,
            channels=row.channels,
            tags=row.tags,
            owner=row.owner,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            state=state,
            source=source,
        )


# Documents


@dataclass(slots=True)
class _Section:
    level: int
    heading: str
    blocks: list[Block] = field(default_factory=list)
    children: list[_Section] = field(default_factory=list)


def _document(document: Document, source: str, state: ArticleState, language: str | None) -> Iterator[Article]:
    title, blocks = _titled(document)
    title = title or PurePosixPath(source).stem
    language = language or language_of(f"{title} {markdown(blocks[:200])}")
    here, seen = _digest(source, size=8), dict[tuple[str, ...], int]()
    for path, body in _units(_tree(blocks), (), MAX_ARTICLE_CHARS.get(language, 10_000)):
        if not re.search(r"\w", body):
            continue
        seen[path] = seen.get(path, 0) + 1
        name = _title(title, path)
        yield Article(
            article_id=ArticleId(f"doc-{here}-{_digest(*path, str(seen[path]))}"),
            version=1,
            language=language,
            domain="",
            title=name if seen[path] == 1 else f"{name} ({seen[path]})",
            body=body,
            kind="article",
            tags=tuple(document.tags),
            state=state,
            source=source,
        )


def _titled(document: Document) -> tuple[str, list[Block]]:
    """The title and what is below it: the first heading, if it stands above all others and near the beginning, else what the file says."""
    blocks = list(document.blocks)
    at = next((number for number, block in enumerate(blocks) if isinstance(block, Heading)), None)
    if at is not None and len(markdown(blocks[:at])) <= _PREAMBLE_CHARS:
        lead = blocks[at]
        assert isinstance(lead, Heading)
        if not any(isinstance(other, Heading) and other.level <= lead.level for other in blocks[at + 1 :]):
            return clean(lead.text), blocks[:at] + blocks[at + 1 :]
    return clean(document.title), blocks


def _title(document: str, path: Sequence[str]) -> str:
    """The document and the headings that lead here; of a long row the middle is left out."""
    parts = [part for part in (document, *path) if part]
    while len(" · ".join(parts)) > _TITLE_CHARS and len(parts) > 2:
        del parts[len(parts) // 2]
    return " · ".join(dict.fromkeys(parts))


def _tree(blocks: Iterable[Block]) -> _Section:
    root = _Section(0, "")
    stack = [root]
    for block in blocks:
        if isinstance(block, Heading):
            while stack[-1].level >= max(1, block.level):
                stack.pop()
            section = _Section(max(1, block.level), clean(block.text))
            stack[-1].children.append(section)
            stack.append(section)
        else:
            stack[-1].blocks.append(block)
    return root


def _units(section: _Section, path: tuple[str, ...], limit: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """(headings, body) of each article: the whole section where it fits, else its own text and then its subsections."""
    whole = markdown(_all_blocks(section, 1))
    if len(whole) <= limit:
        if whole:
            yield path, whole
        return
    for part in _parts(section.blocks, limit):
        yield path, markdown(part)
    for child in section.children:
        yield from _units(child, (*path, child.heading), limit)


def _all_blocks(section: _Section, depth: int) -> Iterator[Block]:
    """Headings by how deep they stand below the article's title, which is the first level."""
    yield from section.blocks
    for child in section.children:
        yield Heading(level=depth + 1, text=child.heading)
        yield from _all_blocks(child, depth + 1)


def _parts(blocks: Sequence[Block], limit: int) -> Iterator[list[Block]]:
    """Blocks in runs that fit."""
    held: list[Block] = []
    size = 0
    for block in blocks:
        for piece in _pieces(block, limit):
            length = len(markdown([piece]))
            if held and size + length > limit:
                yield held
                held, size = [], 0
            held.append(piece)
            size += length
    if held:
        yield held


def _pieces(block: Block, limit: int) -> Iterator[Block]:
    """A block that does not fit in pieces that do: a table between rows, its header repeated; text at sentence ends."""
    if len(markdown([block])) <= limit:
        yield block
    elif isinstance(block, Table):
        head, held = block.rows[0], [block.rows[0]]
        for row in block.rows[1:]:
            if len(held) > 1 and len(markdown([Table(rows=(*held, row))])) > limit:
                yield Table(rows=tuple(held))
                held = [head]
            held.append(row)
        yield Table(rows=tuple(held))
    elif isinstance(block, Paragraph):
        yield from (Paragraph(text=text) for text in _runs(_SENTENCE.split(block.text), limit))
    elif isinstance(block, Raw):
        # Between blank lines, so that a table stays whole; what has none is left as it is.
        yield from (Raw(text=text.strip("\n")) for text in _runs(re.split(r"(?<=\n)(?=\n)", block.text), limit))
    else:
        yield block


def _runs(texts: Iterable[str], limit: int) -> Iterator[str]:
    held = ""
    for text in texts:
        if held and len(held) + len(text) > limit:
            yield held
            held = ""
        held += text
    if held.strip():
        yield held
