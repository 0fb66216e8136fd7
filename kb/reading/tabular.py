"""Rows of cells → questions and answers: which row is the header, which column means what, and what is wrong with a row. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from kb.reading.document import FaqRow, clean, clean_lines
from kb.reading.port import Unreadable
from kb.traditional import simplified

Cell = str | datetime | date

_NAMES: Mapping[str, tuple[str, ...]] = {
    "question": (
        "问题", "标准问题", "标准问", "问", "问句", "客户问题", "常见问题", "知识标题", "标题",
        "question", "questions", "q", "standard question", "faq", "title", "customer question",
    ),
    "answer": (
        "答案", "标准答案", "标准答", "答", "回答", "答复", "回复", "标准话术", "话术", "知识内容", "内容",
        "answer", "answers", "a", "reply", "response", "standard answer", "approved answer", "content",
    ),
    "similar": (
        "相似问题", "相似问", "相似问法", "扩展问", "扩展问题", "同义问", "相关问法", "问法",
        "similar", "similar questions", "variants", "paraphrases", "alternative questions",
    ),
    "key": ("编号", "知识编号", "序号编码", "问题编号", "id", "key", "faq id", "number"),
    "category": ("分类", "类别", "类目", "业务", "业务分类", "业务类型", "目录", "category", "domain", "topic", "type"),
    "products": ("产品", "适用产品", "产品名称", "product", "products"),
    "channels": ("渠道", "适用渠道", "channel", "channels"),
    "tags": ("标签", "关键词", "关键字", "tags", "keywords", "labels"),
    "owner": ("负责人", "责任人", "维护人", "维护部门", "责任部门", "owner", "maintainer", "department"),
    "valid_from": ("生效日期", "生效时间", "开始日期", "有效期起", "valid from", "start date", "effective date"),
    "valid_to": (
        "失效日期", "失效时间", "截止日期", "到期日期", "结束日期", "有效期止",
        "valid to", "valid until", "end date", "expiry date",
    ),
}  # fmt: skip
_FIELD_OF = {name: field_ for field_, names in _NAMES.items() for name in names}
_RANK = {name: position for names in _NAMES.values() for position, name in enumerate(names)}
HEADER_ROWS = 15
"""The header is among the first so many rows that hold anything."""
_SEPARATORS = re.compile(r"[\n\r;；|｜]+")
_LIST_SEPARATORS = re.compile(r"[\n\r;；|｜,，、/]+")
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?")
_MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class Columns:
    """Field → column, from 0."""

    at: Mapping[str, int]


def columns_of(row: Sequence[Cell]) -> Columns | None:
    """The columns if the row is a header: it must name a question and an answer. A field named twice is where its name is commonest."""
    found: dict[str, tuple[int, int]] = {}
    for column, cell in enumerate(row):
        if not isinstance(cell, str):
            continue
        name = _name(cell)
        field_ = _FIELD_OF.get(name)
        if field_ is not None and (field_ not in found or _RANK[name] < found[field_][0]):
            found[field_] = (_RANK[name], column)
    if "question" not in found or "answer" not in found:
        return None
    return Columns({name: column for name, (_, column) in found.items()})


def _name(cell: str) -> str:
    """A header without what people add to it: case, blanks, a remark in brackets, stars, a colon, traditional characters."""
    bare = re.sub(r"[(（\[【].*?[)）\]】]", "", simplified(clean(cell))).lower()
    return re.sub(r"\s+", " ", re.sub(r"[*＊:：_\-]+", " ", bare)).strip()


@dataclass(slots=True)
class SheetParser:
    """Takes the rows of one sheet in order. Rows before the header are left out; without a header ``columns`` stays None."""

    columns: Columns | None = None
    seen_headers: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _asked: dict[str, tuple[int, str]] = field(default_factory=dict)
    _keys: dict[str, int] = field(default_factory=dict)
    _looked_at: int = 0

    def take(self, number: int, row: Sequence[Cell]) -> FaqRow | None:
        """The question of a row; None for the header, rows before it, empty rows, exact repetitions and rows with a fault."""
        if not any(_text(cell) for cell in row):
            return None
        if self.columns is None:
            self._look(row)
            return None
        return self._row(number, row, self.columns)

    @property
    def searching(self) -> bool:
        """True while the header may still come."""
        return self.columns is None and self._looked_at < HEADER_ROWS

    def _look(self, row: Sequence[Cell]) -> None:
        if not self.searching:
            return
        self._looked_at += 1
        self.columns = columns_of(row)
        named = [text for cell in row if (text := clean(_text(cell)))]
        # What to show if there is none: the first row that looks like one.
        if self.columns is None and len(named) > len(self.seen_headers) and all(len(text) <= 30 for text in named):
            self.seen_headers = named[:_MAX_NAMED]

    def _row(self, number: int, row: Sequence[Cell], columns: Columns) -> FaqRow | None:
        cells = {name: row[column] if column < len(row) else "" for name, column in columns.at.items()}
        question, answer = clean(_text(cells["question"])), clean_lines(_text(cells["answer"]))
        if not question and not answer:
            return None
        faults = len(self.faults)
        if not question:
            self._fault(number, "has no question")
        if not answer:
            self._fault(number, "has no answer")
        begins, ends = self._date(number, cells, "valid_from"), self._date(number, cells, "valid_to")
        if begins and ends and ends < begins:
            self._fault(number, "ends before it begins")
        key = clean(_text(cells.get("key", "")))
        if len(self.faults) > faults:
            return None
        before = self._asked.setdefault(question, (number, answer))
        if before[0] != number:
            if before[1] != answer:
                self._fault(number, f"asks what row {before[0]} asks, with another answer")
            return None
        if key and self._keys.setdefault(key, number) != number:
            self._fault(number, f"has the id of row {self._keys[key]}")
            return None
        similar = (clean(part) for part in _SEPARATORS.split(_text(cells.get("similar", ""))))
        return FaqRow(
            number=number,
            question=question,
            answer=answer,
            key=key,
            similar=tuple(dict.fromkeys(part for part in similar if part and part != question)),
            category=clean(_text(cells.get("category", ""))),
            products=_list(cells.get("products", "")),
            channels=_list(cells.get("channels", "")),
            tags=_list(cells.get("tags", "")),
            owner=clean(_text(cells.get("owner", ""))),
            valid_from=begins,
            valid_to=ends,
        )

    def _date(self, number: int, cells: Mapping[str, Cell], name: str) -> date | None:
        cell = cells.get(name, "")
        if isinstance(cell, datetime):
            return cell.date()
        if isinstance(cell, date):
            return cell
        text = clean(cell)
        if not text or text in {"长期", "长期有效", "永久", "无", "-", "—", "/"}:
            return None
        match = _DATE.match(text)
        try:
            if match is None:
                raise ValueError(text)
            return date(*map(int, match.groups()))
        except ValueError:
            self._fault(number, f"has a date that cannot be read ({'valid from' if name == 'valid_from' else 'valid to'})")
            return None

    def _fault(self, number: int, what: str) -> None:
        self.faults.append(f"row {number} {what}")


def check_sheets(parsers: Mapping[str, SheetParser], rows: int) -> None:
    """Raises Unreadable if no sheet has a header, if rows have faults (then nothing of the file is taken), or if nothing is in it."""
    faults = [f"{name}, {fault}" if len(parsers) > 1 and name else fault for name, parser in parsers.items() for fault in parser.faults]
    if all(parser.columns is None for parser in parsers.values()):
        seen = "; ".join(
            f"{name}: {', '.join(parser.seen_headers)}" if name and len(parsers) > 1 else ", ".join(parser.seen_headers)
            for name, parser in parsers.items()
            if parser.seen_headers
        )
        raise Unreadable(
            "columns",
            "No column for the question and one for the answer was found; name them 问题 and 答案, or question and answer. "
            f"Found: {seen or 'no headers'}.",
            seen,
        )
    if faults:
        shown = "; ".join(faults[:_MAX_NAMED]) + (f"; and {len(faults) - _MAX_NAMED} more" if len(faults) > _MAX_NAMED else "")
        raise Unreadable("rows", f"{len(faults)} rows must be corrected first: {shown}.", shown)
    if rows == 0:
        raise Unreadable("no_text", "Below its header there is nothing; fill it in and import it again.")


def filled(
    rows: Iterable[tuple[int, Sequence[Cell]]], merged: Mapping[int, Sequence[tuple[int, int, int]]]
) -> Iterator[tuple[int, list[Cell]]]:
    """Rows with the value of a merged cell in every row (and column) that it covers.

    ``merged``: first row → (last row, first column, last column) of the merged cells that begin there; rows from 1, columns from 0.
    """
    open_: list[tuple[int, int, int, Cell]] = []
    for number, row in rows:
        cells = list(row)
        open_ = [kept for kept in open_ if kept[0] >= number]
        for last, left, right in merged.get(number, ()):
            open_.append((last, left, right, cells[left] if left < len(cells) else ""))
        for _, left, right, value in open_:
            cells.extend([""] * (right + 1 - len(cells)))
            # A title across the sheet must not become the value of every column: across columns only the first has it.
            if not _text(cells[left]):
                cells[left] = value
        yield number, cells


def _text(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return cell.date().isoformat() if (cell.hour, cell.minute, cell.second) == (0, 0, 0) else cell.isoformat(" ", "minutes")
    return cell.isoformat() if isinstance(cell, date) else cell


def _list(cell: Cell) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for raw in _LIST_SEPARATORS.split(_text(cell)) if (part := clean(raw))))
