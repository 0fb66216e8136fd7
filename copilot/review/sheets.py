"""Tables as files for people: CSV, XLSX, and HTML made for printing.

A cell that a spreadsheet would take for a formula (it begins with ``= + - @``, a tab or a line break) is written with an apostrophe in
front in CSV, as OWASP advises; in XLSX every text is a string by its type, which no program evaluates.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

Cell = str | int | float | None
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BOM = "\ufeff"
_CHUNK = 65_536
_MOST_CHARACTERS = 32_000
"""A cell of a spreadsheet holds 32,767."""


def safe(cell: Cell) -> str:
    """The cell as CSV text that no spreadsheet evaluates. Numbers stay numbers, also negative ones."""
    if cell is None:
        return ""
    if isinstance(cell, int | float):
        return f"{cell:g}" if isinstance(cell, float) else str(cell)
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def csv_lines(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """UTF-8 with a byte-order mark, without which Excel reads Chinese wrongly; line by line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)

    def taken() -> bytes:
        text = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return text.encode()

    writer.writerow([safe(cell) for cell in head])
    yield _BOM.encode() + taken()
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
        yield taken()


def xlsx(head: Sequence[str], rows: Iterable[Sequence[Cell]], title: str = "Sheet1") -> Iterator[bytes]:
    """A workbook of one sheet, written to disk row by row, then given out in chunks. The head row is bold and stays in sight."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    sheet = book.create_sheet(_sheet_name(title))
    sheet.freeze_panes = "A2"
    bold = Font(bold=True)

    def cell(value: Cell) -> Any:
        if not isinstance(value, str):
            return value
        text = "".join(char for char in value[:_MOST_CHARACTERS] if char >= " " or char in "\t\n")
        if not text.startswith(("=", "#")):
            return text
        made = WriteOnlyCell(sheet, value=text)
        made.data_type = "s"  # a text, and no formula and no fault, whatever it begins with
        return made

    names = [WriteOnlyCell(sheet, value=name) for name in head]
    for name in names:
        name.font = bold
    sheet.append(names)
    for row in rows:
        sheet.append([cell(value) for value in row])
    with tempfile.TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk


def _sheet_name(title: str) -> str:
    return "".join(character for character in title if character not in "[]:*?/\\'")[:31] or "Sheet1"


def html(title: str, head: Sequence[str], rows: Iterable[Sequence[Cell]], note: str = "", language: str = "zh") -> str:
    """A page that prints well and needs nothing beside it; every text is escaped."""
    body = "".join(f"<tr>{''.join(f'<td>{escape(_shown(cell))}</td>' for cell in row)}</tr>" for row in rows)
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    return page(title, f"<p>{escape(note)}</p><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>", language)


def page(title: str, body: str, language: str = "zh") -> str:
    """The frame of a printed page around ``body``, which is HTML already."""
    return (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def _shown(cell: Cell) -> str:
    return "" if cell is None else f"{cell:g}" if isinstance(cell, float) else str(cell)


_STYLE = (
    "body{font:10pt/1.5 system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;margin:1.5cm;color:#17211f}"
    "h1{font-size:16pt}h2{font-size:12pt;margin:1.2em 0 .3em}table{border-collapse:collapse;width:100%}"
    "th,td{border:1px solid #b9c4c4;padding:3px 6px;text-align:left;vertical-align:top}th{background:#eef1f1}"
    "thead{display:table-header-group}tr{break-inside:avoid}@page{size:A4 landscape;margin:1.2cm}@media print{body{margin:0}}"
)
