"""Tables as files for people: CSV, XLSX, and HTML made for printing. Pure.

A cell that a spreadsheet would take for a formula (it begins with ``= + - @``, a tab or a line break) is written with an apostrophe in
front in CSV, as OWASP advises; in XLSX every text is an inline string, which no program evaluates.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from html import escape

Cell = str | int | float | None
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BOM = "\ufeff"


def safe(cell: Cell) -> str:
    """The cell as CSV text that no spreadsheet evaluates. Numbers stay numbers, also negative ones."""
    if cell is None:
        return ""
    if isinstance(cell, int | float):
        return f"{cell:g}" if isinstance(cell, float) else str(cell)
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def csv_lines(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterable[bytes]:
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


def xlsx(head: Sequence[str], rows: Iterable[Sequence[Cell]], title: str = "Sheet1") -> bytes:
    """A workbook of one sheet (ECMA-376, the smallest that programs accept). The head row stays in sight."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in _PARTS.items():
            book.writestr(name, text.replace("{title}", escape(_sheet_name(title))))
        with book.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(_SHEET_BEGIN.encode())
            for number, row in enumerate([head, *rows], start=1):
                cells = "".join(_cell(cell, bold=number == 1) for cell in row)
                sheet.write(f'<row r="{number}">{cells}</row>'.encode())
            sheet.write(b"</sheetData></worksheet>")
    return out.getvalue()


def _cell(cell: Cell, *, bold: bool) -> str:
    style = ' s="1"' if bold else ""
    if cell is None:
        return f"<c{style}/>"
    if isinstance(cell, int | float):
        return f"<c{style}><v>{cell}</v></c>"
    text = escape("".join(character for character in cell if character >= " " or character in "\t\n"))
    return f'<c{style} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


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
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
    "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="{title}" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'{_XML}<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="1"><fill><patternFill patternType="none"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf/><xf fontId="1" applyFont="1"/></cellXfs></styleSheet>',
}
_SHEET_BEGIN = (
    f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" '
    'state="frozen"/></sheetView></sheetViews><sheetData>'
)
