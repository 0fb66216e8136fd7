"""A final's text made readable: terms corrected against a lexicon, numbers written in digits. Every change keeps its original. PURE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from copilot.domain.transcript import Correction, Word
from streaming.asr.utterance import Finish, FinishedText


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replace ``text[start:end]`` by ``replacement``."""

    start: int
    end: int
    replacement: str
    reason: Literal["lexicon", "itn"]


FindEdits = Callable[[str, str, tuple[Word, ...]], Sequence[Edit]]
"""(text, language, words) → edits, in any order. The words may not make up the text, or be missing."""


def finisher(*finders: FindEdits) -> Finish:
    """All finders look at the recogniser's text; where their edits overlap, the earlier finder wins."""

    def finish(text: str, words: tuple[Word, ...], language: str) -> FinishedText:
        chosen: list[Edit] = []
        for find in finders:
            for edit in find(text, language, words):
                if text[edit.start : edit.end] != edit.replacement and not any(
                    edit.start < other.end and other.start < edit.end for other in chosen
                ):
                    chosen.append(edit)
        return apply_edits(text, words, language, chosen)

    return finish


def apply_edits(text: str, words: tuple[Word, ...], language: str, edits: Sequence[Edit]) -> FinishedText:
    """Applies edits that do not overlap. Words that an edit touches become one word with the time of them all."""
    ordered = sorted(edits, key=lambda edit: edit.start)
    pieces: list[str] = []
    corrections: list[Correction] = []
    position = length = 0
    for edit in ordered:
        pieces += [text[position : edit.start], edit.replacement]
        length += edit.start - position
        corrections.append(
            Correction(
                start=length,
                end=length + len(edit.replacement),
                original=text[edit.start : edit.end],
                corrected=edit.replacement,
                reason=edit.reason,
            )
        )
        length += len(edit.replacement)
        position = edit.end
    pieces.append(text[position:])
    return FinishedText(text="".join(pieces), words=_edit_words(text, words, language, ordered), corrections=tuple(corrections))


def _edit_words(text: str, words: tuple[Word, ...], language: str, edits: Sequence[Edit]) -> tuple[Word, ...]:
    separator = 0 if language.startswith("zh") else 1
    spans: list[tuple[int, int, Word]] = []
    position = 0
    for word in words:
        spans.append((position, position + len(word.text), word))
        position += len(word.text) + separator
    if not edits or not words or position - separator != len(text):
        return words  # words that do not make the text cannot be edited with it
    result: list[Word] = []
    index = 0
    for edit in edits:
        while index < len(spans) and spans[index][1] <= edit.start:
            result.append(spans[index][2])
            index += 1
        touched = []
        while index < len(spans) and spans[index][0] < edit.end:
            touched.append(spans[index])
            index += 1
        if touched:
            first, last = touched[0], touched[-1]
            merged = text[first[0] : edit.start] + edit.replacement + text[edit.end : last[1]]
            confidence = sum(span[2].confidence for span in touched) / len(touched)
            result.append(replace(first[2], text=merged, end_ms=last[2].end_ms, confidence=confidence))
            # Several edits may touch one word: the merged word takes part in the next one.
            if edit is not edits[-1]:
                following = edits[edits.index(edit) + 1]
                if following.start < last[1]:
                    return words
    result.extend(span[2] for span in spans[index:])
    return tuple(result)
