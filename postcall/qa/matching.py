"""Finding a rubric's wording in a transcript: in one utterance, or across the utterances of one turn. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from copilot.domain.artifacts import Evidence, Turn
from postcall.qa.rubric import Wording
from postcall.turns import runs

QUOTE_CHARS = 60
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A match: an utterance it touches, and which characters of its text, ``[start, end)``."""

    turn: Turn
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Form:
    """A way to read a text: the characters, and where each stands in the original."""

    text: str
    places: tuple[int, ...]

    def span(self, match: re.Match[str]) -> tuple[int, int]:
        first, last = match.span()
        if first == last:
            return (0, 0)
        return self.places[first], self.places[last - 1] + 1


def _forms(text: str, language: str) -> tuple[_Form, ...]:
    """The text as it is, and its spoken form (zh: no white space or punctuation; en: white space collapsed)."""
    plain = _Form(text, tuple(range(len(text))))
    if language == "zh":
        # PII tokens keep their brackets: they are one word, and patterns name them.
        kept = [(index, character) for index, character in enumerate(text) if character.isalnum() or character in "【】#%"]
    else:
        kept = []
        for match in re.finditer(r"\S+", text):
            kept += [(match.start() - 1, " ")] if kept else []
            kept += [(index, text[index]) for index in range(*match.span())]
    spoken = _Form("".join(character for _, character in kept), tuple(index for index, _ in kept))
    return (plain,) if spoken.text == text else (plain, spoken)


def search(patterns: Sequence[re.Pattern[str]], text: str, language: str) -> tuple[int, int] | None:
    """The first match of any pattern in any form of the text, as a span of the text."""
    for form in _forms(text, language):
        for pattern in patterns:
            match = pattern.search(form.text)
            if match is not None:
                return form.span(match)
    return None


def find(wording: Wording, turns: Sequence[Turn], language: str, within: Callable[[Turn], bool] = lambda _turn: True) -> list[Found]:
    """Every utterance on the wording's channel that matches, in time order, among those that ``within`` allows.

    A turn of which no utterance matches alone is tried as a whole; then every utterance that the match touches is found.
    """
    patterns = wording.patterns.get(language, ())
    found: list[Found] = []
    if not patterns:
        return found
    for run in runs(turns):
        allowed = [turn for turn in run if turn.channel == wording.channel and within(turn)]
        alone = [
            Found(turn=turn, start=span[0], end=span[1]) for turn in allowed if (span := search(patterns, turn.text, language)) is not None
        ]
        found += alone or (_across(patterns, allowed, language) if len(allowed) > 1 else [])
    return found


def _across(patterns: Sequence[re.Pattern[str]], run: Sequence[Turn], language: str) -> list[Found]:
    gap = "" if language == "zh" else " "
    starts, position = [], 0
    for turn in run:
        starts.append(position)
        position += len(turn.text) + len(gap)
    span = search(patterns, gap.join(turn.text for turn in run), language)
    if span is None:
        return []
    touched = []
    for turn, offset in zip(run, starts, strict=True):
        first, last = max(span[0] - offset, 0), min(span[1] - offset, len(turn.text))
        if first < last:
            touched.append(Found(turn=turn, start=first, end=last))
    return touched


def quote(text: str, start: int, end: int, most: int = QUOTE_CHARS) -> str:
    """At most ``most`` characters of ``text`` around ``[start, end)``, taken from the text itself; an ellipsis marks what was cut."""
    clean_start, clean_end = 0, len(text)
    if clean_end > most:
        room = max(0, most - 2 - (end - start)) // 2
        clean_start = max(0, min(start - room, clean_end - (most - 2)))
        clean_end = min(len(text), clean_start + most - 2)
    piece = _SPACE.sub(" ", text[clean_start:clean_end]).strip()
    return f"{'…' if clean_start > 0 else ''}{piece}{'…' if clean_end < len(text) else ''}"


def evidence(found: Found) -> Evidence:
    """Where the match was said, in its own words."""
    return whole(found.turn, found.start, found.end)


def whole(turn: Turn, start: int = 0, end: int = 0) -> Evidence:
    """An utterance as evidence, quoted around ``[start, end)``."""
    return Evidence(
        utterance_id=turn.utterance_id,
        channel=turn.channel,
        start_ms=turn.start_ms,
        end_ms=turn.end_ms,
        quote=quote(turn.text, start, end),
        confidence=turn.confidence,
    )
