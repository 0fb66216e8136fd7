"""Where in a call the words are that were looked for: the lines to show, and what to mark in them. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from copilot.search.terms import Word
from kb.analysis import han_runs, latin_words, syllables
from kb.traditional import simplified

MOST_LINES = 3
_LONGEST = 120
_BEFORE = 30
"""Characters shown before the first mark of a line that is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What may be shown: an utterance (``channel`` customer, agent or mixed), or a statement of the summary (``channel`` "")."""

    utterance_id: str
    channel: str
    start_ms: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A line, perhaps cut. ``marks``: [start, end) in characters of ``text``."""

    line: Line
    text: str
    marks: tuple[tuple[int, int], ...]


def snippets(lines: Iterable[Line], words: Sequence[Word], by_sound: bool) -> tuple[Snippet, ...]:
    """The lines with the most different words, ``MOST_LINES`` at most, in their order."""
    found: list[tuple[int, int, Line, tuple[tuple[int, int], ...]]] = []
    seen: set[str] = set()
    for number, line in enumerate(lines):
        each = [marks_of(line.text, word, by_sound) for word in words]
        if any(each) and line.text not in seen:
            seen.add(line.text)
            found.append((sum(1 for marks in each if marks), number, line, _joined(sum(each, ()))))
    best = sorted(found, key=lambda item: (-item[0], item[1]))[:MOST_LINES]
    return tuple(_cut(line, marks) for _, _, line, marks in sorted(best, key=lambda item: item[1]))


def marks_of(text: str, word: Word, by_sound: bool) -> tuple[tuple[int, int], ...]:
    """[start, end) of every place in ``text`` where the word is said."""
    folded = _folded(text)
    if word.latin:
        said = list(latin_words(folded))
        size = len(word.latin)
        return tuple(
            (said[at][0], said[at + size - 1][1])
            for at in range(len(said) - size + 1)
            if tuple(stem for _, _, stem in said[at : at + size]) == word.latin
        )
    marks = [(at, at + len(word.han)) for at in _places(folded, word.han)]
    if by_sound and len(word.han) > 1:
        sound = syllables(word.han)
        for start, run in han_runs(folded):
            said_run = syllables(run)
            if len(said_run) == len(run):
                marks += [(start + at, start + at + len(sound)) for at in _places(said_run, sound)]
    return _joined(tuple(marks))


def _places(whole: Sequence[str], part: Sequence[str]) -> list[int]:
    return [at for at in range(len(whole) - len(part) + 1) if whole[at : at + len(part)] == part]


def _folded(text: str) -> str:
    """As ``kb.analysis.normalise`` folds it where that keeps its length, character by character."""
    kept = []
    for char in text:
        folded = simplified(unicodedata.normalize("NFKC", char)).lower()
        kept.append(folded if len(folded) == 1 else char)
    return "".join(kept)


def _joined(marks: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """In order, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(marks):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _cut(line: Line, marks: tuple[tuple[int, int], ...]) -> Snippet:
    if len(line.text) <= _LONGEST:
        return Snippet(line=line, text=line.text, marks=marks)
    begin = max(0, min(marks[0][0] - _BEFORE if marks else 0, len(line.text) - _LONGEST))
    end = begin + _LONGEST
    front, back = "…" if begin else "", "…" if end < len(line.text) else ""
    moved = tuple((max(start, begin) - begin + len(front), min(stop, end) - begin + len(front)) for start, stop in marks if start < end)
    return Snippet(line=line, text=f"{front}{line.text[begin:end]}{back}", marks=tuple(mark for mark in moved if mark[0] < mark[1]))
