"""A text with spans replaced by tokens, and its words and corrections brought along. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from copilot.domain.transcript import Correction, Word
from copilot.privacy.find import find_pii
from copilot.privacy.spans import Kind, PiiType, Span


@dataclass(frozen=True, slots=True)
class MaskedSpan:
    """``original[start:end]`` became ``token`` at ``masked[masked_start:masked_end]``."""

    start: int
    end: int
    type: PiiType
    token: str
    masked_start: int
    masked_end: int


@dataclass(frozen=True, slots=True)
class MaskedText:
    """The masked text, and what was replaced where."""

    text: str
    spans: tuple[MaskedSpan, ...]


def replaced(text: str, pieces: Sequence[tuple[Span, str]]) -> MaskedText:
    out, at, length, spans = [], 0, 0, []
    for span, token in sorted(pieces, key=lambda piece: piece[0].start):
        out += [text[at : span.start], token]
        length += span.start - at
        spans.append(MaskedSpan(span.start, span.end, span.type, token, length, length + len(token)))
        length += len(token)
        at = span.end
    return MaskedText("".join([*out, text[at:]]), tuple(spans))


def shifted(span: Span, by: int) -> Span:
    return Span(span.start - by, span.end - by, span.type, span.value, span.confidence)


def mask_words(words: Sequence[Word], text: str, masked: MaskedText, waiting: Sequence[Kind] = ()) -> tuple[Word, ...]:
    """The words of ``text`` with those of a masked span joined into one word that is the token.

    Words that cannot be laid along the text (written otherwise than it) are searched on their own; if that does not find the same kinds of
    spans, the utterance goes without words rather than with a value in them.
    """
    if not words or not masked.spans:
        return tuple(words) if not masked.spans and not _leaks(words, waiting) else ()
    places = _laid(words, text)
    if places is not None:
        return _joined(words, places, [(span.start, span.end, span.token) for span in masked.spans])
    line, places = _line(words)
    found = find_pii(line, waiting)
    if [span.type for span in found] != [span.type for span in masked.spans]:
        return ()
    tokens = [span.token for span in masked.spans]
    return _joined(words, places, [(span.start, span.end, token) for span, token in zip(found, tokens, strict=True)])


def _leaks(words: Sequence[Word], waiting: Sequence[Kind]) -> bool:
    return bool(find_pii(_line(words)[0], waiting))


def _laid(words: Sequence[Word], text: str) -> list[tuple[int, int]] | None:
    """Where each word stands in the text; None if one cannot be found in its turn or letters or digits are left between them."""
    places, at = [], 0
    for word in words:
        core = word.text.strip()
        start = text.find(core, at)
        if start < 0 or any(char.isalnum() for char in text[at:start]):
            return None
        places.append((start, start + len(core)))
        at = start + len(core)
    return None if any(char.isalnum() for char in text[at:]) else places


def _line(words: Sequence[Word]) -> tuple[str, list[tuple[int, int]]]:
    line, places = "", []
    for word in words:
        core = word.text.strip()
        if line and core and (line[-1] + core[0]).isascii() and line[-1].isalpha() and core[0].isalpha():
            line += " "
        places.append((len(line), len(line) + len(core)))
        line += core
    return line, places


def _joined(words: Sequence[Word], places: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int, str]]) -> tuple[Word, ...]:
    result: list[Word] = []
    last_span = -1
    for word, (start, end) in zip(words, places, strict=True):
        hit = next((index for index, span in enumerate(spans) if start < span[1] and end > span[0]), None)
        if hit is None:
            result.append(word)
        elif hit == last_span:
            before = result[-1]
            result[-1] = replace(before, end_ms=word.end_ms, confidence=min(before.confidence, word.confidence))
        else:
            # A word that reaches over the edge of a span goes with it.
            result.append(replace(word, text=spans[hit][2]))
            last_span = hit
    return tuple(result)


def mask_corrections(corrections: Sequence[Correction], masked: MaskedText) -> tuple[Correction, ...]:
    """Corrections moved to their place in the masked text; those that touch personal information are dropped with it."""
    kept = []
    for correction in corrections:
        if any(correction.start < span.end and correction.end > span.start for span in masked.spans) or find_pii(correction.original):
            continue
        shift = sum(
            (span.masked_end - span.masked_start) - (span.end - span.start) for span in masked.spans if span.end <= correction.start
        )
        kept.append(replace(correction, start=correction.start + shift, end=correction.end + shift))
    return tuple(kept)
