"""A report as a file: HTML made for printing, a workbook, or JSON. Pure but for the workbook's temporary file.

There are figures and names in it, and nothing that was said: a call that is erased later needs no file to be found.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from copilot.codec import to_json
from copilot.domain.insights import InsightReport, Kind
from copilot.domain.knowledge_use import Gap
from copilot.review.sheets import Cell, page
from postcall.analytics.words import WORDS
from postcall.export import safe

Format = Literal["html", "xlsx", "json"]
MEDIA: Mapping[Format, str] = {
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
_MOST_ROWS = 500
_SPLIT = {"zh": "、", "en": ", "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Ids → names for people, in the language of the file. An id without one is shown itself."""

    categories: Mapping[str, str] = field(default_factory=dict)
    causes: Mapping[str, str] = field(default_factory=dict)
    leads: Mapping[str, str] = field(default_factory=dict)
    questions: Mapping[str, str] = field(default_factory=dict)
    intents: Mapping[str, str] = field(default_factory=dict)
    agents: Mapping[str, str] = field(default_factory=dict)
    team: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    bars: int | None = None
    """The column that the page draws as bars above the table."""


def written(report: InsightReport, form: Format, language: str, names: Names, gaps: Sequence[Gap] = ()) -> bytes:
    """The file. ``gaps``: of the whole organisation, given only for those who may read them."""
    if form == "json":
        body = to_json(report)
        body["gaps"] = [{"intent": gap.intent, "language": gap.language, "count": gap.count, "nothing": gap.nothing} for gap in gaps]
        return json.dumps(body, ensure_ascii=False, indent=1).encode()
    made = tables(report, language, names, gaps)
    return _workbook(made) if form == "xlsx" else _page(report, made, language, names).encode()


def tables(report: InsightReport, language: str, names: Names, gaps: Sequence[Gap] = ()) -> list[Table]:
    """Every section, also the empty ones."""
    w = WORDS[language]
    named = _namer(report, language, names)
    chosen, before = report.chosen, report.chosen.before
    overview: tuple[tuple[Cell, ...], ...] = (
        (w["period"], f"{chosen.first} – {chosen.last}", ""),
        (w["compared"], f"{before.first} – {before.last}", ""),
        (w["calls"], report.total.calls, report.before.calls),
        (w["upset"], report.total.upset, report.before.upset),
    )
    moved = [
        (w[one.kind], named(one.kind, one.key), one.now, one.before, one.upset, _round(one.ratio), _interval(one.low, one.high),
         _round(one.q, 4), w[one.verdict])
        for one in report.movements
    ]  # fmt: skip
    head = tuple(w[key] for key in ("kind", "name", "calls", "before", "upset", "ratio", "interval", "q", "verdict"))
    risen = {(w[one.kind], named(one.kind, one.key)) for one in report.emerging}
    topics = [row for row, one in zip(moved, report.movements, strict=True) if one.kind == "topic"]
    clusters = {one.cluster_id: one for one in report.clusters}
    grouped = [(row, one) for row, one in zip(moved, report.movements, strict=True) if one.key in clusters and one.kind == "cluster"]
    made = [
        Table(title=w["overview"], head=("", "", w["before"]), rows=overview),
        Table(
            title=w["by_day"],
            head=(w["day"], w["calls"], w["upset"]),
            rows=tuple((day, one.calls, one.upset) for day, one in report.days.items()),
            bars=1,
        ),
        Table(title=w["emerging"], head=head, rows=tuple(row for row in moved if row[:2] in risen), bars=2),
        Table(title=w["topics"], head=head[1:], rows=tuple(row[1:] for row in topics), bars=1),
        Table(title=w["clusters"], head=head[1:], rows=tuple(row[1:] for row, _ in grouped), bars=1),
        Table(
            title=w["drivers"],
            head=tuple(w[key] for key in ("kind", "name", "calls", "upset", "share", "others", "lift", "interval", "q")),
            rows=tuple(
                (w[one.kind], named(one.kind, one.key), one.calls, one.upset, _percent(one.share), _percent(one.others_share),
                 _round(one.lift), _interval(one.low, one.high), _round(one.q, 4))
                for one in report.drivers
            ),
            bars=6,
        ),
        Table(
            title=w["leads"],
            head=(w["name"], w["calls"]),
            rows=tuple((names.leads.get(lead, lead), calls) for lead, calls in report.leads.items()),
            bars=1,
        ),
        Table(
            title=w["coaching"],
            head=tuple(w[key] for key in ("agent", "item", "asked", "failed", "share", "interval", "peers")),
            rows=tuple(
                (names.agents.get(one.agent_id, one.agent_id), names.questions.get(one.item_id, one.item_id), one.asked, one.failed,
                 _percent(one.share), f"{_percent(one.low)} – {_percent(one.high)}",
                 None if one.peers_share is None else _percent(one.peers_share))
                for one in report.coaching
            ),
        ),
    ]  # fmt: skip
    if gaps:
        rows = tuple((names.intents.get(gap.intent, gap.intent), gap.count) for gap in gaps)
        made.append(Table(title=w["gaps"], head=(w["intent"], w["questions"]), rows=rows, bars=1))
    return made


def _namer(report: InsightReport, language: str, names: Names) -> Callable[[Kind, str], str]:
    clusters = {one.cluster_id: _SPLIT[language].join(one.terms) or one.cluster_id for one in report.clusters}

    def named(kind: Kind, key: str) -> str:
        known: Mapping[Kind, Mapping[str, str]] = {"topic": names.categories, "cause": names.causes, "cluster": clusters, "term": {}}
        return known[kind].get(key, key)

    return named


def _round(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _interval(low: float, high: float | None) -> str:
    return f"{low:.2f} – {'∞' if high is None else f'{high:.2f}'}"


def _workbook(made: Sequence[Table]) -> bytes:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    for table in made:
        sheet = book.create_sheet(table.title)
        sheet.append(table.head)
        for row in table.rows:
            cells = []
            for value in row:
                cell = WriteOnlyCell(sheet, value=safe(value) if isinstance(value, str) else value)
                if isinstance(value, str):
                    cell.data_type = "s"  # whatever it begins with
                cells.append(cell)
            sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _page(report: InsightReport, made: Sequence[Table], language: str, names: Names) -> str:
    w = WORDS[language]
    parts = [f"<p>{escape(w['note'])} {escape(w['rest'])}</p>"]
    for table in made:
        parts.append(f"<h2>{escape(table.title)}</h2>")
        if not table.rows:
            parts.append(f"<p>{escape(w['none'])}</p>")
            continue
        if table.bars is not None:
            parts.append(_bars(table))
        body = "".join(f"<tr>{''.join(f'<td>{escape(_shown(cell))}</td>' for cell in row)}</tr>" for row in table.rows[:_MOST_ROWS])
        top = "".join(f"<th>{escape(name)}</th>" for name in table.head)
        parts.append(f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>")
    title = f"{w['title']} {report.chosen.first} – {report.chosen.last}"
    return page(f"{title} · {names.team}" if names.team else title, "".join(parts), language)


def _shown(cell: Cell) -> str:
    return "" if cell is None else f"{cell:g}" if isinstance(cell, float) else str(cell)


_MOST_BARS, _LINE, _LEFT, _WIDTH = 31, 18, 230, 420


def _bars(table: Table) -> str:
    """Horizontal bars of one column, as inline SVG; the table below has the same numbers."""
    assert table.bars is not None
    label = 1 if table.bars > 1 else 0
    rows = [(str(row[label]), float(row[table.bars] or 0)) for row in table.rows[:_MOST_BARS]]
    most = max((value for _, value in rows), default=0.0) or 1.0
    lines = []
    for number, (name, value) in enumerate(rows):
        y = number * _LINE
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name[:24])}</text>')
        lines.append(f'<rect x="{_LEFT}" y="{y + 3}" width="{_WIDTH * value / most:.1f}" height="12" fill="#0f766e"/>')
        lines.append(f'<text x="{_LEFT + 6 + _WIDTH * value / most:.1f}" y="{y + 13}">{value:g}</text>')
    size = f'viewBox="0 0 {_LEFT + _WIDTH + 60} {len(rows) * _LINE + 4}"'
    return f'<svg {size} width="100%" style="max-width:{_LEFT + _WIDTH + 60}px;font-size:11px" aria-hidden="true">{"".join(lines)}</svg>'
