"""Files for spreadsheets: nothing in them is a formula, Chinese arrives, and an office program's reader can open them."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from copilot.review.sheets import csv_lines, html, safe, xlsx

HEAD = ["通话", "score"]
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "＝HYPERLINK", '=cmd|"/c calc"!A1'])
def test_a_text_that_looks_like_a_formula_is_defused(text: str) -> None:
    assert safe(text) == f"'{text}"
    (_, row) = csv.reader(io.StringIO(b"".join(csv_lines(HEAD, [[text, -1]])).decode("utf-8-sig"), newline=""))
    assert row == [f"'{text}", "-1"], "a negative number is a number"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.one_of(st.none(), st.integers(-999, 999), st.text(max_size=20)), min_size=2, max_size=2), max_size=8))
def test_csv_gives_back_what_went_in(rows: list[list[str | int | None]]) -> None:
    text = b"".join(csv_lines(HEAD, rows)).decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert found[0] == HEAD
    assert found[1:] == [[safe(cell) for cell in row] for row in rows]
    assert not any(cell[:1] in {"=", "+", "@"} for row in found for cell in row)


def test_a_workbook_holds_texts_as_texts_and_numbers_as_numbers() -> None:
    data = b"".join(xlsx(HEAD, [["=1+1", 93.5], ["<b>&\x07", None]], "a:b"))
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert book.testzip() is None
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    assert not list(sheet.iter(f"{MAIN}f")), "no formula"
    read = load_workbook(io.BytesIO(data))
    assert (read.sheetnames, read.active.freeze_panes) == (["ab"], "A2")
    cells = [[(cell.value, cell.data_type) for cell in row] for row in read.active.iter_rows()]
    assert cells == [[("通话", "s"), ("score", "s")], [("=1+1", "s"), (93.5, "n")], [("<b>&", "s"), (None, "n")]]


def test_a_printed_page_runs_nothing() -> None:
    made = html("清单", HEAD, [["<script>alert(1)</script>", 1.0]], "注<i>")
    assert "<script" not in made
    assert "&lt;script&gt;" in made
    assert "<td>1</td>" in made
