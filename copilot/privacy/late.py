"""What earlier lines of a call turn out to have said: pieces of one number, a number named afterwards, a name known by now. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from copilot.privacy.cues import cues
from copilot.privacy.digits import Run, runs
from copilot.privacy.numbers import LONG, bare, counted
from copilot.privacy.spans import NUMBERS, PiiType, Span, free

_NAMED = re.compile(
    r"^(?:[嗯啊哦对]|是的?|[，,\s])*(?:这|那|上面|上边|前面|刚才|刚刚)(?:个|串|些|几个|说的|报的|念的|数字)*(?:就|都|应该)?是"
    r"|^(?:[嗯啊哦对]|[，,\s])*(?:是|这是)(?=.*[吗?？]$)"
    r"|^(?:yes|so|and|um|uh|[,\s])*(?:that's|that is|that was|this is|those are|is that|was that)\b",
    re.IGNORECASE,
)
_LONG_KINDS: frozenset[PiiType] = frozenset({"卡号", "手机号", "身份证", "护照"})
_MOST = 24
"""A chain of pieces with more digits than this is no number."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the call in clear, and the spans found in it so far."""

    channel: str
    text: str
    spans: tuple[Span, ...]


def names_known_now(line: Line, names: Sequence[str]) -> list[Span]:
    """Where ``names`` stand in the line outside its spans."""
    taken = list(line.spans)
    for name in names:
        for match in re.finditer(re.escape(name), line.text):
            if free(match.start(), match.end(), taken):
                taken.append(Span(match.start(), match.end(), "姓名", name, 0.8))
    return taken[len(line.spans) :]


def values_known_now(line: Line, values: Mapping[str, PiiType]) -> list[Span]:
    """Digit strings of the line outside its spans that are ``values``, or the last four digits of a long one."""
    ends = {value[-4:]: kind for value, kind in values.items() if len(value) >= 10}
    found = []
    for run in runs(line.text):
        kind = values.get(run.digits) or ends.get(run.digits)
        if kind is not None and len(run.digits) >= 4 and not counted(line.text, run) and free(run.start, run.end, list(line.spans)):
            found.append(Span(run.start, run.end, kind if run.digits in values else "尾号", run.digits, 0.7))
    return found


def pieces(lines: Sequence[Line]) -> dict[int, list[Span]]:
    """Spans to add, by the place of their line: digits that together with those of the newest line (the last) are one number.

    Pieces are lines of one speaker that say little but digits; what the other says between them may hold no digits.
    """
    newest = lines[-1]
    chain: list[tuple[int, Run]] = []
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at]
        found = [run for run in runs(line.text) if len(run.digits) >= 2]
        if line.channel != newest.channel:
            if found or any(True for _ in cues(line.text)):
                break  # something else was said or asked for
            continue
        if len(found) != 1 or not bare(line.text, found[0].start, found[0].end) or (found[0].tens and len(found[0].digits) < 4):
            break
        chain.insert(0, (at, found[0]))
    total = sum(len(run.digits) for _, run in chain)
    if len(chain) < 2 or total > _MOST:
        return {}
    kinds = [span.type for at, _ in chain for span in lines[at].spans if span.type in _LONG_KINDS]
    if not kinds and total < LONG:
        return {}
    digits = "".join(run.digits for _, run in chain)
    kind: PiiType = kinds[-1] if kinds else "手机号" if re.fullmatch(r"1[3-9]\d{9}", digits) else "卡号"
    return _added(lines, chain, kind)


def named_afterwards(lines: Sequence[Line]) -> dict[int, list[Span]]:
    """Spans to add, by the place of their line: a bare number that the newest line (the last) calls by its name."""
    newest = lines[-1].text
    if _NAMED.search(newest) is None or any(len(run.digits) >= 3 for run in runs(newest)):
        return {}
    kind = next((cue.kind for cue in reversed(list(cues(newest))) if cue.kind in NUMBERS), None)
    if kind is None or kind == "编号":
        return {}
    for at in range(len(lines) - 2, max(-1, len(lines) - 4), -1):
        found = [run for run in runs(lines[at].text) if len(run.digits) >= 3]
        if found:
            alone = len(found) == 1 and bare(lines[at].text, found[0].start, found[0].end)
            return _added(lines, [(at, found[0])], kind) if alone else {}
    return {}


def _added(lines: Sequence[Line], chain: Sequence[tuple[int, Run]], kind: PiiType) -> dict[int, list[Span]]:
    return {at: [Span(run.start, run.end, kind, run.digits, 0.7)] for at, run in chain if free(run.start, run.end, list(lines[at].spans))}
