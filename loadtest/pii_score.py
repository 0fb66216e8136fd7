"""Scores spans of personal information against the gold of ``tests/data/pii`` (README there: format and guideline). PURE.

A gold span is *found* if at least half of its characters are covered by found spans, *closed* if all its letters and digits are, and
*exact* if one found span has its start, end and type. A found span is *right* if at least half of its characters are in gold spans. Types
do not matter for found, closed and right: a card number hidden as a phone number is hidden. ``typed``: found, and a found span that
touches it has its type. Intervals: 95%, percentile bootstrap that draws whole scenarios (their lines are not independent).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

TYPES = ("卡号", "尾号", "手机号", "身份证", "护照", "验证码", "密码", "安全码", "姓名", "地址", "车牌", "邮箱")
FORMS = ("written", "spoken")
SPLITS = ("dev", "test")
_SAME = {"安全码": {"安全码", "验证码"}}
"""Gold type → the types that a masker may call it."""
_TOKEN = re.compile(r"【([^【】#]{1,12})#\d+】")
Rate = tuple[float, float, float]
"""(value, low, high); the interval is 95%."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """``text[start:end]`` is personal. ``form``: written or spoken; empty for a found span."""

    start: int
    end: int
    type: str
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One utterance of a gold dialogue."""

    id: str
    dialogue: str
    scenario: str
    split: str
    language: Literal["zh", "en"]
    channel: Literal["customer", "agent"]
    asr: bool
    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Over one group of gold spans: how many, and the shares of them."""

    spans: int
    found: Rate
    closed: Rate
    exact: Rate
    typed: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``recall``: by group ("all", "spoken", "written", "asr", each type). ``precision``, ``exact_precision``: over ``found_spans``."""

    lines: int
    found_spans: int
    recall: Mapping[str, Score]
    precision: Rate
    exact_precision: Rate


def parse(lines: Iterable[str]) -> list[Line]:
    """Lines of a gold file."""
    return [_line(json.loads(line)) for line in lines if line.strip()]


def _line(row: dict[str, Any]) -> Line:
    spans = tuple(Span(start=start, end=end, type=kind, form=form) for start, end, kind, form in row.pop("spans"))
    return Line(**row, spans=spans)


def problems(lines: Sequence[Line]) -> list[str]:
    """What is wrong with a gold file, one sentence each; empty if nothing is."""
    found = []
    seen: set[str] = set()
    splits: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        splits[line.scenario].add(line.split)
        if line.id in seen:
            found.append(f"{line.id}: twice.")
        seen.add(line.id)
        if line.split not in SPLITS or not line.id.startswith(line.dialogue) or not line.dialogue.startswith(line.scenario):
            found.append(f"{line.id}: its split, dialogue and scenario do not fit.")
        for span in line.spans:
            piece = line.text[span.start : span.end]
            if not 0 <= span.start < span.end <= len(line.text) or piece != piece.strip(" ，,。、"):
                found.append(f"{line.id}: span {span.start}–{span.end} is not in the text or has a blank edge.")
            if span.type not in TYPES or span.form not in FORMS:
                found.append(f"{line.id}: unknown type or form {span.type}, {span.form}.")
        if any(before.end > after.start for before, after in pairwise(line.spans)):
            found.append(f"{line.id}: spans overlap or are out of order.")
    return found + [f"{scenario}: in both splits." for scenario, where in splits.items() if len(where) > 1]


def score(lines: Sequence[Line], found: Sequence[Sequence[Span]], *, draws: int = 1000, seed: int = 1) -> Report:
    """How well the ``found`` spans of each line are its gold spans. Raises ValueError if they are not as many as the lines."""
    if len(lines) != len(found):
        raise ValueError(f"{len(lines)} lines but spans for {len(found)}.")
    scenarios = {name: index for index, name in enumerate(dict.fromkeys(line.scenario for line in lines))}
    groups: dict[str, list[tuple[int, bool, bool, bool, bool]]] = defaultdict(list)
    got: list[tuple[int, bool, bool]] = []
    for line, spans in zip(lines, found, strict=True):
        where = scenarios[line.scenario]
        for gold in line.spans:
            row = (where, *_judged(line.text, gold, spans))
            for group in ("all", gold.form, gold.type, *(["asr"] if line.asr else [])):
                groups[group].append(row)
        gold_spans = {(gold.start, gold.end): gold.type for gold in line.spans}
        inside = {at for gold in line.spans for at in range(gold.start, gold.end)}
        for span in spans:
            within = sum(at in inside for at in range(span.start, span.end))
            exact = span.type in _names(gold_spans.get((span.start, span.end), ""))
            got.append((where, 2 * within >= span.end - span.start, exact))
    drawn = (
        np.random.default_rng(seed).multinomial(len(scenarios), [1 / len(scenarios)] * len(scenarios), size=draws) if scenarios else None
    )

    def rates(rows: Sequence[tuple[int, ...]]) -> list[Rate]:
        return [_rate([(row[0], bool(row[column])) for row in rows], drawn) for column in range(1, len(rows[0]) if rows else 0)]

    nothing = (float("nan"),) * 3
    precision = rates(got) or [nothing, nothing]
    recall = {}
    for group, rows in groups.items():
        values = rates(rows)
        recall[group] = Score(spans=len(rows), found=values[0], closed=values[1], exact=values[2], typed=values[3])
    return Report(lines=len(lines), found_spans=len(got), recall=recall, precision=precision[0], exact_precision=precision[1])


def _names(kind: str) -> set[str]:
    return _SAME.get(kind, {kind})


def _judged(text: str, gold: Span, found: Sequence[Span]) -> tuple[bool, bool, bool, bool]:
    places = range(gold.start, gold.end)
    touching = [span for span in found if span.start < gold.end and span.end > gold.start]
    covered = {at for span in touching for at in range(max(span.start, gold.start), min(span.end, gold.end))}
    hit = 2 * len(covered) >= len(places)
    closed = all(at in covered for at in places if text[at].isalnum())
    exact = any((span.start, span.end) == (gold.start, gold.end) and span.type in _names(gold.type) for span in touching)
    return hit, closed, exact, hit and any(span.type in _names(gold.type) for span in touching)


def _rate(rows: Sequence[tuple[int, bool]], drawn: Any) -> Rate:
    size = drawn.shape[1]
    right = np.bincount([where for where, good in rows if good], minlength=size)
    total = np.bincount([where for where, _ in rows], minlength=size)
    wholes = drawn @ total
    values = (drawn @ right)[wholes > 0] / wholes[wholes > 0]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(right.sum() / total.sum()), float(low), float(high)


def located(text: str, masked: str) -> list[Span]:
    """The spans of ``text`` that became tokens (【卡号#1】) in ``masked``, laid out by the text between the tokens.

    Where a separator between two tokens also stands inside a value, the first fit is taken. Raises ValueError if the texts do not fit.
    """
    pieces = _TOKEN.split(masked)
    pattern = "".join(re.escape(piece) if index % 2 == 0 else "(.+?)" for index, piece in enumerate(pieces))
    match = re.fullmatch(pattern, text, re.DOTALL)
    if match is None:
        raise ValueError("The masked text does not fit the text.")
    return [Span(start=match.start(index), end=match.end(index), type=kind) for index, kind in enumerate(pieces[1::2], 1)]


def markdown(report: Report) -> str:
    """A table for people: a row per group, then precision."""
    rows = [
        f"lines {report.lines}, found spans {report.found_spans}: right {_shown(report.precision)}, exact {_shown(report.exact_precision)}",
        "",
        "| gold spans | n | found | closed | exact | found, right type |",
        "|---|---|---|---|---|---|",
    ]
    order = ["all", "spoken", "written", "asr", *TYPES]
    for group in order:
        if group in report.recall:
            row = report.recall[group]
            rates = " | ".join(_shown(rate) for rate in (row.found, row.closed, row.exact, row.typed))
            rows.append(f"| {group} | {row.spans} | {rates} |")
    return "\n".join(rows)


def _shown(rate: Rate) -> str:
    return "{:.3f} ({:.2f}–{:.2f})".format(*rate)
