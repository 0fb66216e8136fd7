"""Word documents: headings by style, lists with their marks, tables as tables. Deleted text of tracked changes is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kb.reading.document import Block, Document, Heading, Item, Paragraph, Table, clean, even
from kb.reading.port import Reading, too_much_text

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING = re.compile(r"(?:heading|标题)\s*(\d)$", re.IGNORECASE)
_TITLE = re.compile(r"(?:title|标题)$", re.IGNORECASE)
_LEFT_OUT = frozenset({f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", _MC_FALLBACK})
_TITLE_LEVEL = -1
_STEP_BLOCKS = 200


def read_docx(path: Path, reading: Reading) -> Document:
    import docx

    document = docx.Document(str(path))
    body = document.element.body
    styles = _Styles(document)
    blocks: list[Block] = []
    characters = 0
    children = list(body.iterchildren())
    for count, child in enumerate(children, 1):
        for block in _blocks(child, styles):
            characters += sum(len(cell) for row in block.rows for cell in row) if isinstance(block, Table) else len(block.text)
            blocks.append(block)
        if characters > reading.limits.characters:
            raise too_much_text(reading.limits)
        if count % _STEP_BLOCKS == 0:
            reading.step(count, len(children))
    return Document(title=clean(document.core_properties.title or ""), blocks=_below_title(blocks))


def _below_title(blocks: list[Block]) -> list[Block]:
    """A paragraph in the style of titles is the first level, and then all headings stand one below."""
    if not any(isinstance(block, Heading) and block.level == _TITLE_LEVEL for block in blocks):
        return blocks
    return [
        replace(block, level=1 if block.level == _TITLE_LEVEL else min(6, block.level + 1)) if isinstance(block, Heading) else block
        for block in blocks
    ]


class _Styles:
    """What paragraph styles and numberings mean; numbered lists count."""

    def __init__(self, document: Any) -> None:
        self._levels: dict[str, int] = {}
        self._lists: dict[str, str] = {}
        for style in document.styles.element.iter(f"{_W}style"):
            identity = str(style.get(f"{_W}styleId"))
            name = style.find(f"{_W}name")
            label = str(name.get(f"{_W}val")) if name is not None else ""
            outline = style.find(f"{_W}pPr/{_W}outlineLvl")
            match = _HEADING.match(label)
            if match is not None:
                self._levels[identity] = int(match.group(1))
            elif _TITLE.match(label):
                self._levels[identity] = _TITLE_LEVEL
            elif outline is not None and str(outline.get(f"{_W}val")) in "012345":
                self._levels[identity] = int(outline.get(f"{_W}val")) + 1
            number = style.find(f"{_W}pPr/{_W}numPr/{_W}numId")
            if number is not None and identity not in self._levels:
                self._lists[identity] = str(number.get(f"{_W}val"))
        self._ordered = _ordered(document)
        self._counts: dict[tuple[str, int], int] = {}

    def level(self, paragraph: Any) -> int:
        """Of a heading, 1–6; ``_TITLE_LEVEL`` for the document's title, 0 for other paragraphs."""
        outline = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        if outline is not None and str(outline.get(f"{_W}val")) in "012345":
            return int(outline.get(f"{_W}val")) + 1
        return min(6, self._levels.get(_style(paragraph), 0))

    def item(self, paragraph: Any) -> tuple[int, str] | None:
        """(depth, mark) of an entry of a list."""
        numbering = paragraph.find(f"{_W}pPr/{_W}numPr")
        number = numbering.find(f"{_W}numId") if numbering is not None else None
        depth = numbering.find(f"{_W}ilvl") if numbering is not None else None
        identity = str(number.get(f"{_W}val")) if number is not None else self._lists.get(_style(paragraph), "0")
        at = int(depth.get(f"{_W}val") or 0) if depth is not None else 0
        if identity == "0":
            return None
        if (identity, at) not in self._ordered:
            return at, "-"
        self._counts = {key: count for key, count in self._counts.items() if key[0] != identity or key[1] <= at}
        self._counts[identity, at] = self._counts.get((identity, at), 0) + 1
        return at, f"{self._counts[identity, at]}."


def _ordered(document: Any) -> set[tuple[str, int]]:
    """(number id, depth) of the lists that are numbered."""
    try:
        root = document.part.numbering_part.element
    except (KeyError, NotImplementedError):
        return set()
    plain: dict[str, set[int]] = {}
    for abstract in root.iter(f"{_W}abstractNum"):
        levels = set()
        for level in abstract.iter(f"{_W}lvl"):
            form = level.find(f"{_W}numFmt")
            if form is not None and form.get(f"{_W}val") not in {"bullet", "none"}:
                levels.add(int(level.get(f"{_W}ilvl") or 0))
        plain[str(abstract.get(f"{_W}abstractNumId"))] = levels
    found: set[tuple[str, int]] = set()
    for number in root.iter(f"{_W}num"):
        abstract = number.find(f"{_W}abstractNumId")
        identity = str(number.get(f"{_W}numId"))
        found |= {(identity, level) for level in plain.get(str(abstract.get(f"{_W}val")) if abstract is not None else "", ())}
    return found


def _style(paragraph: Any) -> str:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    return str(style.get(f"{_W}val")) if style is not None else ""


def _blocks(element: Any, styles: _Styles) -> Iterator[Block]:
    if element.tag == f"{_W}p":
        text = _text(element)
        level = styles.level(element)
        item = None if level else styles.item(element)
        if not clean(text):
            return
        if level:
            yield Heading(level=level, text=clean(text))
        elif item is not None:
            yield Item(text=clean(text), depth=item[0], mark=item[1])
        else:
            yield Paragraph(text=text)
    elif element.tag == f"{_W}tbl":
        yield from _table(element)
    elif element.tag in {f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins"}:
        for child in element.iterchildren():
            yield from _blocks(child, styles)


def _text(element: Any) -> str:
    """The text of a paragraph with its line breaks, insertions and hyperlinks in."""
    parts: list[str] = []
    for child in element.iterchildren():
        tag = child.tag
        if tag in _LEFT_OUT:
            continue
        if tag == f"{_W}t":
            parts.append(child.text or "")
        elif tag == f"{_W}tab":
            parts.append("\t")
        elif tag in {f"{_W}br", f"{_W}cr"}:
            parts.append("\n")
        elif tag == f"{_W}noBreakHyphen":
            parts.append("-")
        else:
            parts.append(_text(child))
    return "".join(parts)


def _table(element: Any) -> Iterator[Block]:
    """Merged cells are filled in, so that every row says the whole; a single cell is a frame around text, not a table."""
    rows: list[list[str]] = []
    for line in element.iterchildren(f"{_W}tr"):
        row: list[str] = []
        for cell in line.iter(f"{_W}tc"):
            if next(cell.iterancestors(f"{_W}tbl")) is not element:
                continue
            text = clean(" ".join(_text(paragraph) for paragraph in cell.iter(f"{_W}p")))
            span = cell.find(f"{_W}tcPr/{_W}gridSpan")
            wide = int(span.get(f"{_W}val") or 1) if span is not None else 1
            merge = cell.find(f"{_W}tcPr/{_W}vMerge")
            if merge is not None and merge.get(f"{_W}val") != "restart" and rows and len(row) < len(rows[-1]):
                text = rows[-1][len(row)]
            row += [text] * min(max(wide, 1), 100)
        rows.append(row)
    found = even(rows)
    if found and len(found[0]) == 1:
        yield from (Paragraph(text=row[0]) for row in found)
    elif found:
        yield Table(rows=found)
