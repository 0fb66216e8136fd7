"""PDF files, page by page: text with its layout, tables that are drawn with lines, and scanned pages by OCR."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kb.reading.document import Block, Document, clean
from kb.reading.layout import Line, Page, PageTable, blocks_of, lines_of
from kb.reading.port import Ocr, Reading, Unreadable, too_much_text

_FEWEST_CHARACTERS = 10
"""A page with fewer, and with a picture on it, is taken for a scan."""
_MAX_STROKES = 4_000
"""A page with more lines and rectangles is a drawing: no tables are looked for in it."""
_OCR_DPI = 200
_LEAST_SURE = 0.5


def read_pdf(path: Path, reading: Reading) -> Document:
    import pdfplumber
    from pdfminer.pdfdocument import PDFPasswordIncorrect
    from pdfplumber.utils.exceptions import PdfminerException

    try:
        document = pdfplumber.open(path)
    except PdfminerException as error:
        if isinstance(error.args[0] if error.args else None, PDFPasswordIncorrect):
            raise Unreadable("password", "It is protected with a password; save a copy without one and import that.") from None
        raise
    with document:
        return _read(document, path, reading)


def _read(document: Any, path: Path, reading: Reading) -> Document:
    total = len(document.pages)
    if total == 0:
        raise Unreadable("damaged", "It has no pages that can be read; open it in a viewer and save it again.")
    if total > reading.limits.pages:
        raise Unreadable("too_large", f"It has more than {reading.limits.pages:,} pages; split it.", f"{reading.limits.pages}")
    pages: list[Page] = []
    unread: list[int] = []
    scanned: list[int] = []
    scanner = _Scanner(path, reading)
    characters = 0
    try:
        for number in range(1, total + 1):
            plumbed = document.pages[number - 1]
            page, is_scan = _page(plumbed)
            if is_scan:
                scan = scanner.page(number)
                if scan is None:
                    unread.append(number)
                else:
                    scanned.append(number)
                    page = scan
            pages.append(page)
            characters += sum(len(line.text) for line in page.lines)
            if characters > reading.limits.characters:
                raise too_much_text(reading.limits)
            # What a page was parsed into is not needed again; without this memory grows with every page.
            plumbed.close()
            document.pages[number - 1] = None
            reading.step(number, total)
    finally:
        scanner.close()
    if unread and len(unread) == total:
        raise Unreadable(
            "needs_ocr", "It is a scan, and this installation cannot read pictures; install the extra: pip install 'pangting[ocr]'."
        )
    blocks: Sequence[Block] = blocks_of(pages)
    notes = [f"read by OCR, check the text: pages {_ranges(scanned)}"] if scanned else []
    notes += [f"pictures that were left out, OCR is not installed: pages {_ranges(unread)}"] if unread else []
    title = clean(str((document.metadata or {}).get("Title") or ""))
    # Many programs put their own name or the file's there.
    usable = re.search(r"\.(docx?|xlsx?|pptx?|pdf|indd)$|^microsoft|^untitled|^无标题|^幻灯片", title, re.IGNORECASE) is None
    return Document(title=title if usable else "", blocks=blocks, notes=tuple(notes), tags=("OCR",) if scanned else ())


def _page(plumbed: Any) -> tuple[Page, bool]:
    """(the page, whether it is a scan)."""
    characters = [char for char in plumbed.chars if char.get("upright", True)]
    strokes = len(plumbed.lines) + len(plumbed.rects) + len(plumbed.curves)
    tables: list[PageTable] = []
    if 4 <= strokes <= _MAX_STROKES and characters:
        for table in plumbed.find_tables():
            left, top, right, bottom = table.bbox
            rows = tuple(tuple(clean(cell or "") for cell in row) for row in table.extract())
            if len(rows) > 1 and max(map(len, rows)) > 1:
                tables.append(PageTable(top=float(top), rows=_filled_down(rows, table)))
                characters = [
                    char
                    for char in characters
                    if not (left <= (char["x0"] + char["x1"]) / 2 <= right and top <= (char["top"] + char["bottom"]) / 2 <= bottom)
                ]
    text = sum(1 for char in plumbed.chars if str(char["text"]).strip())
    return Page(height=float(plumbed.height), lines=lines_of(characters), tables=tuple(tables)), text < _FEWEST_CHARACTERS and bool(
        plumbed.images
    )


def _filled_down(rows: tuple[tuple[str, ...], ...], table: Any) -> tuple[tuple[str, ...], ...]:
    """Cells merged over rows or columns say the same in each of them: the finder gives None for the covered ones."""
    filled: list[list[str]] = []
    for number, (row, cells) in enumerate(zip(rows, table.rows, strict=True)):
        line = list(row)
        for column, box in enumerate(cells.cells):
            if box is not None or column >= len(line):
                continue
            above = table.rows[number - 1].cells if number else ()
            covered = number and column < len(above) and (above[column] is None or above[column][3] > cells.bbox[1] + 1)
            if covered:
                line[column] = filled[number - 1][column]
            elif column:
                line[column] = line[column - 1]
        filled.append(line)
    return tuple(tuple(line) for line in filled)


class _Scanner:
    """Renders pages and has them read; nothing is opened before the first scanned page."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self._path = path
        self._reading = reading
        self._pdf: Any = None
        self._ocr: Ocr | None = None

    def page(self, number: int) -> Page | None:
        """The lines of a page in points; None where there is no OCR."""
        if self._reading.ocr is None:
            return None
        import numpy as np
        import pypdfium2

        if self._pdf is None:
            self._pdf = pypdfium2.PdfDocument(self._path)
            self._ocr = self._reading.ocr()
        assert self._ocr is not None
        page = self._pdf[number - 1]
        try:
            width, height = page.get_size()
            scale = min(_OCR_DPI / 72, (self._reading.limits.page_pixels / max(1.0, width * height)) ** 0.5)
            image = page.render(scale=scale, rev_byteorder=True).to_numpy()
            found = self._ocr.lines(np.ascontiguousarray(image[:, :, :3]))
        finally:
            page.close()
        lines = [
            Line(
                text=clean(line.text),
                x0=line.x0 / scale,
                x1=line.x1 / scale,
                top=line.top / scale,
                bottom=line.bottom / scale,
                # The height of a box varies by what letters are in it: coarse steps, or every line were a heading of its own.
                size=max(4.0, round((line.bottom - line.top) / scale / 4) * 4.0),
            )
            for line in found
            if line.confidence >= _LEAST_SURE and clean(line.text)
        ]
        return Page(height=float(height), lines=tuple(sorted(lines, key=lambda line: (line.top, line.x0))))

    def close(self) -> None:
        if self._pdf is not None:
            self._pdf.close()


def _ranges(numbers: Sequence[int]) -> str:
    """``3, 7-9``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)
