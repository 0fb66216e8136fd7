"""XLSX and CSV files of questions and answers."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from kb.reading import encodings
from kb.reading.document import FaqRow, FaqSheet
from kb.reading.port import Reading, Unreadable, too_much_text
from kb.reading.tabular import Cell, SheetParser, check_sheets, filled

_MERGE = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_LONGEST_TAG = 200
_MAX_MERGES = 100_000
_STEP_ROWS = 200


def read_xlsx(path: Path, reading: Reading) -> FaqSheet:
    """Every sheet that has a header; row by row, so that memory does not grow with the formatting. Formulas count as their last values."""
    import openpyxl

    # By a handle: the library refuses paths whose names do not end as it likes, and uploads wait under names of our own.
    with path.open("rb") as handle, contextlib.closing(openpyxl.load_workbook(handle, read_only=True, data_only=True)) as book:
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        merges = _merged_cells(path, [str(getattr(sheet, "_worksheet_path", "")) for sheet in sheets])
        parsers: dict[str, SheetParser] = {}
        rows: list[FaqRow] = []
        total = min(reading.limits.rows, sum(sheet.max_row or 0 for sheet in sheets))
        for sheet, merged in zip(sheets, merges, strict=True):
            parser = parsers[sheet.title] = SheetParser()
            cells = ((number, _cells(row, reading)) for number, row in enumerate(sheet.iter_rows(values_only=True), 1))
            rows += _taken(parser, filled(cells, merged), len(rows), total, reading)
    check_sheets(parsers, len(rows))
    skipped = [name for name, parser in parsers.items() if parser.columns is None and parser.seen_headers]
    return FaqSheet(rows=rows, notes=tuple(f"sheet {name} has no question and answer columns" for name in skipped))


def read_csv(path: Path, reading: Reading) -> FaqSheet:
    """Comma, semicolon or tab; UTF-8, GB18030 and others as ``kb.reading.encodings`` tells them."""
    text = encodings.decode(path.read_bytes())
    if len(text) > reading.limits.characters:
        raise too_much_text(reading.limits)
    parser = SheetParser()
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=False)
    total = text.count("\n") + 1
    try:
        # The number a person sees is the line in the file.
        rows = list(_taken(parser, ((lines.line_num, _cells(row, reading)) for row in lines), 0, total, reading))
    except csv.Error as error:
        raise Unreadable("damaged", f"It is no proper CSV file at line {lines.line_num} ({error}).", f"{lines.line_num}") from None
    check_sheets({"": parser}, len(rows))
    return FaqSheet(rows=rows)


def _delimiter(text: str) -> str:
    """The one that the first lines have most; Excel writes semicolons in some countries, tabs as "Unicode text"."""
    start = text[:4000]
    return max((",", ";", "\t"), key=start.count)


def _cells(row: Sequence[Any], reading: Reading) -> list[Cell]:
    return [_cell(value) for value in row[: reading.limits.columns]]


def _cell(value: Any) -> Cell:
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, time):
        return value.isoformat("minutes")
    return str(value)


def _taken(parser: SheetParser, rows: Iterator[tuple[int, list[Cell]]], before: int, total: int, reading: Reading) -> Iterator[FaqRow]:
    """The questions of a sheet; ``before`` rows were taken from other sheets. Raises Unreadable above the limit of rows."""
    characters = 0
    for count, (number, cells) in enumerate(rows, 1):
        if count + before > reading.limits.rows:
            raise Unreadable("too_large", f"It has more than {reading.limits.rows:,} rows; split it.", f"{reading.limits.rows}")
        if count % _STEP_ROWS == 0:
            reading.step(before + count, max(total, before + count))
        if parser.columns is None and not parser.searching:
            break
        row = parser.take(number, cells)
        if row is not None:
            characters += len(row.question) + len(row.answer)
            if characters > reading.limits.characters:
                raise too_much_text(reading.limits)
            yield row


def _merged_cells(path: Path, parts: Sequence[str]) -> list[dict[int, list[tuple[int, int, int]]]]:
    """Merged cells of each sheet, which reading row by row does not tell: they stand behind the rows, so the part is looked through."""
    found: list[dict[int, list[tuple[int, int, int]]]] = []
    with zipfile.ZipFile(path) as archive:
        for part in parts:
            merged: dict[int, list[tuple[int, int, int]]] = {}
            found.append(merged)
            try:
                stream = archive.open(part.lstrip("/"))
            except KeyError:
                continue
            with stream:
                for left, top, right, bottom in _refs(stream):
                    if bottom > top and sum(map(len, merged.values())) < _MAX_MERGES:
                        merged.setdefault(top, []).append((bottom, left, right))
    return found


def _refs(stream: Any) -> Iterator[tuple[int, int, int, int]]:
    """(left, top, right, bottom) of every merged cell in a part; columns from 0, rows from 1."""
    rest = b""
    while block := stream.read(1 << 20):
        text = rest + block
        end = 0
        for match in _MERGE.finditer(text):
            left, top, right, bottom = match.groups()
            yield _column(left), int(top), _column(right), int(bottom)
            end = match.end()
        rest = text[max(end, len(text) - _LONGEST_TAG) :]


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
