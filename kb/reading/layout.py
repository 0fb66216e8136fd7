"""Characters on pages → lines → headings, paragraphs, lists and tables. Pure. Lengths in points (1/72 inch), from the top left corner."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kb.reading.document import Block, Heading, Item, Paragraph, Table, clean, even

_BIGGER = 1.12
"""A line so many times as large as the running text is a heading."""
_MARGIN = 0.08
"""Share of the page's height at its top and bottom where running heads and page numbers stand."""
_SAME_LINE = 0.5
"""Characters whose middles are nearer than so many times their size stand on one line."""
_LONGEST_HEADING = 60
_END = re.compile(r"[。！？!?；;：:，,、.]$")
_PAGE_NUMBER = re.compile(r"^(?:第\s*#\s*页(?:\s*共\s*#\s*页)?|page\s*#(?:\s*of\s*#)?|[-—–\s]*#[-—–\s]*(?:/\s*#)?)$", re.IGNORECASE)
_HAN = re.compile(r"[㐀-鿿]")
_BULLET = re.compile(r"^[•·●■◆▪○◦‣➢✓\uf0b7\uf06c]\s*")
_NUMBERED = re.compile(r"^(?:[(（][一二三四五六七八九十\d]{1,3}[)）]|\d{1,2}[.、)）](?!\d)|[①-⑳])")
_CHAPTERS = (
    (re.compile(r"^第[一二三四五六七八九十百零〇\d]{1,5}[编篇部]"), 1),
    (re.compile(r"^第[一二三四五六七八九十百零〇\d]{1,5}章"), 1),
    (re.compile(r"^第[一二三四五六七八九十百零〇\d]{1,5}节"), 2),
    (re.compile(r"^(?:chapter|part)\s+\w+", re.IGNORECASE), 1),
    (re.compile(r"^[一二三四五六七八九十]{1,3}、"), 2),
)
_SECTION = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){1,4})\.?\s*\S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    top: float
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What stands on a page; ``lines`` without those inside of ``tables``."""

    height: float
    lines: tuple[Line, ...]
    tables: tuple[PageTable, ...] = ()


def lines_of(characters: Iterable[Mapping[str, Any]]) -> tuple[Line, ...]:
    """Lines from top to bottom of characters as pdfplumber gives them (``text, x0, x1, top, bottom, size``), blanks set where gaps are."""
    rows: list[list[Mapping[str, Any]]] = []
    for char in sorted(characters, key=lambda item: ((item["top"] + item["bottom"]) / 2, item["x0"])):
        middle = (char["top"] + char["bottom"]) / 2
        last = rows[-1][-1] if rows else None
        if last is not None and middle - (last["top"] + last["bottom"]) / 2 <= _SAME_LINE * max(1.0, min(char["size"], last["size"])):
            rows[-1].append(char)
        else:
            rows.append([char])
    lines = []
    for row in rows:
        row.sort(key=lambda item: item["x0"])
        text = clean("".join(_spaced(row)))
        if text:
            sizes = Counter(round(float(char["size"]) * 2) / 2 for char in row if str(char["text"]).strip())
            lines.append(
                Line(
                    text=text,
                    x0=float(row[0]["x0"]),
                    x1=max(float(char["x1"]) for char in row),
                    top=min(float(char["top"]) for char in row),
                    bottom=max(float(char["bottom"]) for char in row),
                    size=sizes.most_common(1)[0][0],
                )
            )
    return tuple(lines)


def _spaced(row: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    end = None
    for char in row:
        if end is not None and float(char["x0"]) - end > 0.25 * float(char["size"]):
            yield " "
        yield str(char["text"])
        end = float(char["x1"])


def blocks_of(pages: Sequence[Page]) -> list[Block]:
    """The text of a document in reading order: top to bottom, one column. Running heads and page numbers are left out."""
    repeated = _running_heads(pages)
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[line.size] += len(line.text)
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    levels = _levels(pages, body)
    right = _right_edge(pages, body)
    blocks: list[Block] = []
    open_: list[Line] = []

    def close() -> None:
        if open_:
            blocks.append(_paragraph(open_))
            open_.clear()

    for page in pages:
        below: Line | None = None  # the line before, on this page
        entries: list[Line | PageTable] = [*page.lines, *page.tables]
        for entry in sorted(entries, key=lambda item: item.top):
            if isinstance(entry, PageTable):
                close()
                _add_table(blocks, entry)
                below = None
                continue
            if (_margin_key(entry, page) or "") in repeated or _is_page_number(entry, page):
                continue
            level = _heading_level(entry, body, levels)
            if level:
                close()
                previous = blocks[-1] if blocks else None
                wraps = below is not None and isinstance(previous, Heading) and below.size == entry.size and previous.level == level
                if wraps and below is not None and entry.top - below.bottom < 0.8 * entry.size and below.x1 >= 0.9 * right:
                    assert isinstance(previous, Heading)
                    blocks[-1] = Heading(level=level, text=_joined(previous.text, entry.text))
                else:
                    blocks.append(Heading(level=level, text=entry.text))
            else:
                if open_ and not _continues(open_[-1], entry, below, right):
                    close()
                open_.append(entry)
            below = entry
    close()
    return blocks


def _continues(before: Line, line: Line, below: Line | None, right: float) -> bool:
    """True if a paragraph goes on: the line before was full, this one begins nothing, and no wider gap parts them."""
    if _BULLET.match(line.text) or _NUMBERED.match(line.text):
        return False
    if below is not None and line.top - below.bottom > 0.9 * max(line.size, 1.0):
        return False
    if below is None and re.search(r"[。！？!?]$", before.text):
        return False  # a new page after a full stop
    return before.x1 >= right - 2.5 * before.size and abs(before.size - line.size) <= 0.1 * before.size


def _paragraph(lines: Sequence[Line]) -> Block:
    text = lines[0].text
    for line in lines[1:]:
        text = _joined(text, line.text)
    bullet = _BULLET.match(text)
    return Item(text=text[bullet.end() :]) if bullet is not None else Paragraph(text=text)


def _joined(left: str, right: str) -> str:
    """Two lines of one paragraph: a blank between Latin words, none in Chinese; hyphenated words and broken numbers are whole again."""
    if re.search(r"[a-z]-$", left) and re.match(r"[a-z]", right):
        return left[:-1] + right
    if re.search(r"\d$", left) and re.match(r"\d", right) and _HAN.search(left + right):
        return left + right
    latin = re.search(r"[!-~]$", left) and re.match(r"[!-~]", right)
    return f"{left} {right}" if latin else left + right


def _levels(pages: Sequence[Page], body: float) -> dict[float, int]:
    """Size → heading level, for sizes above that of the running text; the largest is level 1."""
    found = sorted({line.size for page in pages for line in page.lines if line.size >= _BIGGER * body}, reverse=True)
    return {size: min(4, rank) for rank, size in enumerate(found, 1)}


def _heading_level(line: Line, body: float, levels: Mapping[float, int]) -> int:
    """1–6, or 0 for running text. Of body size only what is numbered as a chapter or section and is short counts."""
    if len(line.text) > _LONGEST_HEADING or not re.search(r"\w", line.text):
        return 0
    if line.size in levels and body > 0:
        return 0 if re.search(r"[。；;，,]$", line.text) else levels[line.size]
    if _END.search(line.text):
        return 0
    above = max(levels.values(), default=0)
    for pattern, level in _CHAPTERS:
        if pattern.match(line.text) and len(line.text) <= 30:
            return min(6, above + level)
    section = _SECTION.match(line.text)
    if section is not None and len(line.text) <= 40:
        return min(6, above + section.group(1).count(".") + 1)
    return 0


def _right_edge(pages: Sequence[Page], body: float) -> float:
    """Where full lines of running text end: the ninth tenth of where they end."""
    ends = sorted(line.x1 for page in pages for line in page.lines if line.size == body)
    return ends[int(0.9 * (len(ends) - 1))] if ends else 0.0


def _margin_key(line: Line, page: Page) -> str | None:
    """A line in the margin with its digits made alike; None elsewhere."""
    if _MARGIN * page.height < line.top and line.bottom < (1 - _MARGIN) * page.height:
        return None
    return re.sub(r"\d+", "#", line.text)


def _is_page_number(line: Line, page: Page) -> bool:
    key = _margin_key(line, page)
    return key is not None and _PAGE_NUMBER.match(key) is not None


def _running_heads(pages: Sequence[Page]) -> frozenset[str]:
    counts: Counter[str] = Counter()
    for page in pages:
        counts.update({key for line in page.lines if (key := _margin_key(line, page))})
    return frozenset(key for key, count in counts.items() if count >= max(3, 0.4 * len(pages)))


def _add_table(blocks: list[Block], table: PageTable) -> None:
    """A table that goes on from the page before is one table; its repeated header is dropped."""
    rows = even(table.rows)
    if not rows:
        return
    if len(rows[0]) == 1:
        blocks.extend(Paragraph(text=row[0]) for row in rows)
        return
    last = blocks[-1] if blocks else None
    if isinstance(last, Table) and len(last.rows[0]) == len(rows[0]):
        rest = rows[1:] if rows[0] == last.rows[0] else rows
        blocks[-1] = Table(rows=(*last.rows, *rest))
    else:
        blocks.append(Table(rows=rows))
