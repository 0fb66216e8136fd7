"""What readers make of a file: a document of blocks, or a sheet of questions and answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff\ud800-\udfff]")
_BLANKS = re.compile(r"[ \t\u00a0\u3000]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """``level`` 1–6."""

    level: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An entry of a list. ``depth`` from 0; ``mark``: ``-`` or ``3.``."""

    text: str
    depth: int = 0
    mark: str = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The first row is the header; all rows are equally long."""

    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Text that is Markdown already."""

    text: str


Block = Heading | Paragraph | Item | Table | Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """``title``: what the file itself says, maybe nothing. ``notes``: what a person should know of how it was read; ``tags`` likewise,
    for its articles."""

    title: str
    blocks: Sequence[Block]
    notes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FaqRow:
    """One question with its answer. ``number``: of the row, as the person sees it. ``key``: an id the sheet gives it, else empty."""

    number: int
    question: str
    answer: str
    key: str = ""
    similar: tuple[str, ...] = ()
    category: str = ""
    products: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    owner: str = ""
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaqSheet:
    rows: Sequence[FaqRow]
    notes: tuple[str, ...] = ()


def clean(text: str) -> str:
    """A text on one line: no control characters, blanks folded. Nothing else is changed: what is stored is what was written."""
    return _BLANKS.sub(" ", _CONTROL.sub("", re.sub(r"[\r\n\x0b\x0c\x85]+", " ", text))).strip()


def clean_lines(text: str) -> str:
    """The same with its lines kept; blank lines at the ends are dropped and never two in a row."""
    lines = [clean(line) for line in re.split(r"\r\n|[\n\r\x0b\x0c\x85]", text)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def even(rows: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Rows of one length without empty rows; columns that are empty throughout are dropped."""
    filled = [tuple(clean(cell) for cell in row) for row in rows]
    filled = [row for row in filled if any(row)]
    width = max(map(len, filled), default=0)
    padded = [row + ("",) * (width - len(row)) for row in filled]
    used = [column for column in range(width) if any(row[column] for row in padded)]
    return tuple(tuple(row[column] for column in used) for row in padded)


def markdown(blocks: Iterable[Block]) -> str:
    """The blocks as Markdown; a table is one pipe table. Paragraphs never turn into headings or tables by how they begin."""
    parts: list[str] = []
    previous: Block | None = None
    for block in blocks:
        text = _block(block)
        if not text:
            continue
        gap = "\n" if isinstance(block, Item) and isinstance(previous, Item) else "\n\n"
        parts.append(text if not parts else gap + text)
        previous = block
    return "".join(parts) + "\n" if parts else ""


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * min(6, max(1, block.level))} {clean(block.text)}" if clean(block.text) else ""
    if isinstance(block, Paragraph):
        return "\n".join(_plain(line) for line in clean_lines(block.text).split("\n"))
    if isinstance(block, Item):
        return f"{'  ' * min(block.depth, 6)}{block.mark} {clean(block.text)}" if clean(block.text) else ""
    if isinstance(block, Raw):
        return block.text.strip("\n")
    return table_text(block.rows)


def _plain(line: str) -> str:
    return f"\\{line}" if re.match(r"#{1,6} |\||```|~~~", line) else line


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """A pipe table; one row alone is a header without rows."""
    if not rows:
        return ""
    lines = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])


def _cell(text: str) -> str:
    return clean(text).replace("\\", "\\\\").replace("|", "\\|")
