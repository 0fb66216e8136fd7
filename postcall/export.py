"""Tickets as CSV and XLSX. A cell that a spreadsheet would take for a formula is written as text (OWASP: CSV injection)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from copilot.domain.artifacts import Summary, TicketClassification
from copilot.domain.calls import Call
from copilot.review.sheets import xlsx
from postcall.packs import Taxonomy
from postcall.reading import named

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_CHUNK = 65_536
_MOST_CHARACTERS = 32_000
"""A cell of a spreadsheet holds 32,767."""
_ZH = "通话编号 开始时间 时长（秒） 坐席 技能组 一级分类 二级分类 把握 根因 建议措施 要素 小结 坐席已确认"
_EN = "Call Started Seconds Agent Skill Category Subcategory Confidence Cause Measures Facts Summary Confirmed"
COLUMNS = {"zh": tuple(_ZH.split()), "en": tuple(_EN.split())}


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketLine:
    """One call with the newest version of its ticket. ``confirmed``: that version was handed in by the agent."""

    call: Call
    agent: str
    ticket: TicketClassification
    summary: Summary | None
    confirmed: bool


def safe(value: str) -> str:
    """The text of a cell: never a formula, not too long, without characters that a sheet cannot hold."""
    text = "".join(char for char in value if char in "\n\t" or char.isprintable())[:_MOST_CHARACTERS]
    return f"'{text}" if text.startswith(_FORMULA) else text


def cells(line: TicketLine, taxonomy: Taxonomy | None, language: str) -> tuple[str | int | float, ...]:
    """The cells of a line, in the order of ``COLUMNS``."""
    ticket, call = line.ticket, line.call
    names = _names(taxonomy, language)
    texts = (
        safe(call.call_id),
        call.started_at.isoformat() if call.started_at is not None else "",
        round(call.duration_ms / 1000),
        safe(line.agent),
        safe(call.skill),
        safe(names.get(ticket.level1, ticket.level1)),
        safe(names.get(ticket.level2, ticket.level2)),
        round(ticket.confidence, 3),
        safe(names.get(f"cause:{ticket.cause}", ticket.cause)),
        safe("；".join(ticket.measures) if language == "zh" else "; ".join(ticket.measures)),
        safe("; ".join(f"{slot.name}={slot.value}" for slot in ticket.slots)),
        safe(line.summary.overall if line.summary is not None else ""),
        ("是" if line.confirmed else "否") if language == "zh" else ("yes" if line.confirmed else "no"),
    )
    assert len(texts) == len(COLUMNS[language])
    return texts


def _names(taxonomy: Taxonomy | None, language: str) -> dict[str, str]:
    names: dict[str, str] = {}
    for category in taxonomy.categories if taxonomy is not None else ():
        names[category.category_id] = named(category.name, language)
        names |= {leaf.category_id: named(leaf.name, language) for leaf in category.children}
    names |= {f"cause:{cause.cause_id}": named(cause.name, language) for cause in (taxonomy.causes if taxonomy is not None else ())}
    return names


def write_csv(lines: Iterable[TicketLine], taxonomy: Taxonomy | None, language: str) -> Iterator[bytes]:
    """UTF-8 with a byte order mark, as Excel wants it, in chunks."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS[language])
    yield b"\xef\xbb\xbf"
    for line in lines:
        writer.writerow(cells(line, taxonomy, language))
        if buffer.tell() >= _CHUNK:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def write_xlsx(lines: Iterable[TicketLine], taxonomy: Taxonomy | None, language: str) -> Iterator[bytes]:
    """A workbook with one sheet, in chunks."""
    title = "工单" if language == "zh" else "Tickets"
    yield from xlsx(COLUMNS[language], (cells(line, taxonomy, language) for line in lines), title)
