"""HTML pages: headings, paragraphs, lists and tables of what the page is about, without navigation and scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb.reading import encodings
from kb.reading.document import Block, Document, Heading, Item, Paragraph, Table, clean, even
from kb.reading.port import Reading, too_much_text

_DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,30})", re.IGNORECASE)
_DROPPED_NAMES = "nav header footer aside form button select textarea script style noscript template svg math iframe object video audio"
_DROPPED = frozenset((*_DROPPED_NAMES.split(), "canvas", "head"))
_BLOCK_NAMES = "address article blockquote body center dd details div dl dt fieldset figure figcaption hr html legend li main ol p pre"
_BLOCKS = frozenset((*_BLOCK_NAMES.split(), "section", "summary", "ul", "table"))
_DEEPEST = 200


def read_html(path: Path, reading: Reading) -> Document:
    import lxml.html

    data = path.read_bytes()
    declared = _DECLARED.search(data[:4096])
    text = encodings.decode(data, declared.group(1).decode("ascii") if declared else "")
    if len(text) > reading.limits.characters:
        raise too_much_text(reading.limits)
    # The parser takes bytes so that a declaration of another encoding inside the text is not believed once more.
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    root = lxml.html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    titles = root.xpath("//title")
    main = root.xpath("//main | //*[@role='main']") or root.xpath("//article")
    start = main[0] if len(main) == 1 else root.find("body") if root.find("body") is not None else root
    return Document(title=clean(titles[0].text_content()) if titles else "", blocks=list(_Walker().walk(start)))


class _Walker:
    """Turns a tree into blocks; text between block elements is gathered into paragraphs."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def walk(self, element: Any) -> Iterator[Block]:
        yield from self._element(element, 0)
        yield from self._flush()

    def _flush(self) -> Iterator[Block]:
        text = clean("".join(self._words).replace("\n", " "))
        self._words = []
        if text:
            yield Paragraph(text=text)

    def _element(self, element: Any, depth: int) -> Iterator[Block]:
        tag = element.tag if isinstance(element.tag, str) else ""
        if tag in _DROPPED or depth > _DEEPEST or _hidden(element):
            return
        if re.fullmatch(r"h[1-6]", tag):
            yield from self._flush()
            yield Heading(level=int(tag[1]), text=clean(element.text_content()))
        elif tag == "table":
            yield from self._flush()
            yield from _table(element)
        elif tag in {"ul", "ol"}:
            yield from self._flush()
            yield from self._list(element, 0, depth)
        else:
            if tag in _BLOCKS:
                yield from self._flush()
            elif tag == "br":
                self._words.append(" ")
            self._words.append(element.text or "")
            for child in element:
                yield from self._element(child, depth + 1)
                self._words.append(child.tail or "")
            if tag in _BLOCKS:
                yield from self._flush()

    def _list(self, element: Any, level: int, depth: int) -> Iterator[Block]:
        number = 0
        for child in element:
            if child.tag in {"ul", "ol"} and depth < _DEEPEST:
                yield from self._list(child, level + 1, depth + 1)
                continue
            if not isinstance(child.tag, str) or _hidden(child):
                continue
            number += 1
            inner = list(child.iterdescendants("ul", "ol", "table"))
            own = clean("".join(_own_text(child, {id(node) for node in inner})))
            if own:
                yield Item(text=own, depth=level, mark=f"{number}." if element.tag == "ol" else "-")
            for node in inner:
                if depth < _DEEPEST and not any(id(above) in {id(other) for other in inner} for above in node.iterancestors()):
                    yield from _table(node) if node.tag == "table" else self._list(node, level + 1, depth + 1)


def _own_text(element: Any, without: set[int]) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if id(child) not in without and isinstance(child.tag, str) and child.tag not in _DROPPED:
            yield from _own_text(child, without)
            yield " " if child.tag in _BLOCKS or child.tag == "br" else ""
        yield child.tail or ""


def _table(element: Any) -> Iterator[Block]:
    """A table with rows and columns spanned filled in; one that only lays out the page (a single cell a row) is its text."""
    rows: list[list[str]] = []
    spans: dict[tuple[int, int], str] = {}
    lines = [row for row in element.iter("tr") if next(row.iterancestors("table")) is element]
    for number, line in enumerate(lines):
        row: list[str] = []
        for cell in line.iterchildren("td", "th"):
            while (number, len(row)) in spans:
                row.append(spans.pop((number, len(row))))
            text = clean("".join(_own_text(cell, set())))
            wide, high = _span(cell, "colspan"), _span(cell, "rowspan")
            for below in range(1, high):
                for right in range(wide):
                    spans[number + below, len(row) + right] = text
            row += [text] * wide
        while (number, len(row)) in spans:
            row.append(spans.pop((number, len(row))))
        rows.append(row)
    found = even(rows)
    if found and len(found[0]) > 1:
        yield Table(rows=found)
    else:
        yield from (Paragraph(text=row[0]) for row in found)


def _span(cell: Any, name: str) -> int:
    value = str(cell.get(name) or "1").strip()
    return min(100, max(1, int(value))) if value.isascii() and value.isdigit() else 1


def _hidden(element: Any) -> bool:
    style = str(element.get("style") or "").replace(" ", "").lower()
    return element.get("hidden") is not None or element.get("aria-hidden") == "true" or "display:none" in style
