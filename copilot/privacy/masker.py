"""Replaces personal information by typed tokens, numbered within one call: 【卡号#1】. The same value gets the same token again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from copilot.domain.transcript import Correction, TranscriptFinal, TranscriptPartial, Word
from copilot.privacy.cues import PiiType
from copilot.privacy.find import Span, asked_for, cue_before, find_pii, trailing_digits

HELD = "【…】"
"""Shown in a partial for digits whose meaning is not known yet."""
_MEMORY = 2
"""For how many finals an answer to a question is waited for."""
_HOLD_FROM = 3
_TOKEN = re.compile(r"【(?P<type>[^#【】]+)#(?P<number>\d+)】")
_PLAIN_METADATA = frozenset({"agent", "agent_id", "dnis", "direction", "queue", "skill", "language", "protocol", "campaign"})
_WITHHELD = frozenset({"", "anonymous", "restricted", "private", "unavailable", "unknown", "withheld"})
_PHONE_METADATA = re.compile(r"ani|from|caller|calling|phone|mobile|msisdn|cli|customer_number", re.IGNORECASE)


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


class Masker:
    """The masker of one call; used by one task. It remembers tokens, what was asked for, and the names it has met."""

    def __init__(self, language: str = "zh") -> None:
        self.language = language
        self._tokens: dict[tuple[PiiType, str], str] = {}
        self._counts: dict[PiiType, int] = {}
        self._fresh: dict[str, str] = {}
        self._expected: dict[str, tuple[PiiType, int]] = {}

    # -- text --------------------------------------------------------------------------------------------------------------------------

    def mask(self, text: str, expected: PiiType | None = None) -> MaskedText:
        """Every personal span of ``text`` becomes its token. New values wait in ``take_secrets``."""
        return _replaced(text, [(span, self._token(span)) for span in self.spans(text, expected)])

    def spans(self, text: str, expected: PiiType | None = None) -> list[Span]:
        """``find_pii`` plus the names already met in this call."""
        found = find_pii(text, expected)
        for (kind, value), _ in self._tokens.items():
            if kind != "姓名" or len(value) < 2:
                continue
            for match in re.finditer(re.escape(value), text):
                if all(match.end() <= span.start or match.start() >= span.end for span in found):
                    found.append(Span(match.start(), match.end(), "姓名", value, 0.8))
        return sorted(found, key=lambda span: span.start)

    def take_secrets(self) -> dict[str, str]:
        """token → value for the tokens made since the last time: to be put into the vault before the text is stored."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    # -- speech ------------------------------------------------------------------------------------------------------------------------

    def final(self, final: TranscriptFinal) -> tuple[TranscriptFinal, dict[str, str]]:
        """The masked final, and the vault values of its new tokens."""
        expected = self._expecting(final.channel)
        masked = self.mask(final.text, expected)
        self._remember(final.channel, final.text, masked)
        words = mask_words(final.words, final.text, masked, expected)
        corrections = _corrections(final.corrections, masked)
        return replace(final, text=masked.text, words=words, corrections=corrections), self.take_secrets()

    def partial(self, partial: TranscriptPartial) -> TranscriptPartial:
        """The masked partial. Makes no tokens: what it shows may still be misheard, and a digit string may still grow.

        A value met before shows its token, another one its type without a number, an unfinished digit string 【…】. ``stable`` ends before
        anything that may still change its mask.
        """
        text = partial.stable + partial.unstable
        spans = self.spans(text, self._expecting(partial.channel))
        end = len(text.rstrip(" ，,、。."))
        run = trailing_digits(text)
        held = run.start if run is not None else len(text)
        pieces: list[tuple[Span, str]] = []
        for span in spans:
            if span.end > held:
                continue
            unfinished = span.end >= end and span.type != "邮箱"
            known = None if unfinished else self._tokens.get((span.type, span.value))
            pieces.append((span, known or f"【{span.type}】"))
        if run is not None and (len(run.digits) >= _HOLD_FROM or cue_before(text, held) or self._expecting(partial.channel)):
            pieces.append((Span(held, len(text), "卡号", "", 0.0), HELD))
        # What was stable stays so up to the first piece that reaches into the unstable part or the end.
        cut = min([len(partial.stable), *(span.start for span, _ in pieces if span.end > len(partial.stable) or span.end >= end)])
        stable = _replaced(text[:cut], [(span, token) for span, token in pieces if span.end <= cut]).text
        rest = [(_shifted(span, cut), token) for span, token in pieces if span.start >= cut]
        return replace(partial, stable=stable, unstable=_replaced(text[cut:], rest).text)

    def metadata(self, metadata: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """The masked call metadata, and the vault values of its new tokens.

        A caller's number (``ani``) and the bank's number of the customer (``customer_id``) are masked whole, whatever they look like.
        """
        masked = {}
        for key, value in metadata.items():
            if key in _PLAIN_METADATA:
                masked[key] = value
            elif key == "customer_id" and value:
                masked[key] = self._token(Span(0, len(value), "客户号", value, 1.0))
            elif key == "ani" and not any(char.isdigit() for char in value):
                known = value.strip().lower() in _WITHHELD
                masked[key] = value if known else self._token(Span(0, len(value), "手机号", value, 1.0))
            elif _PHONE_METADATA.search(key) and any(char.isdigit() for char in value):
                number = re.sub(r"\D", "", value)
                masked[key] = self._token(Span(0, len(value), "手机号", number, 1.0))
            else:
                masked[key] = self.mask(value).text
        return masked, self.take_secrets()

    # -- a call that another masker began -----------------------------------------------------------------------------------------------

    def resume(self, vault: Mapping[str, str], said: Sequence[tuple[str, str]] = ()) -> None:
        """Takes over the tokens of the call's vault, so that a value keeps its token and no number is given twice.

        ``said``: the last finals as (channel, masked text), oldest first: what was asked for is still waited for.
        """
        for token, value in vault.items():
            found = _TOKEN.fullmatch(token)
            if found is None:
                continue
            kind, number = cast("PiiType", found["type"]), int(found["number"])
            self._tokens[kind, value] = token
            self._counts[kind] = max(self._counts.get(kind, 0), number)
        for channel, text in said[-2 * _MEMORY :]:
            self._remember(channel, text, MaskedText(text, ()))

    # -- memory ------------------------------------------------------------------------------------------------------------------------

    def _token(self, span: Span) -> str:
        key = (span.type, span.value)
        token = self._tokens.get(key)
        if token is None:
            self._counts[span.type] = self._counts.get(span.type, 0) + 1
            token = self._tokens[key] = f"【{span.type}#{self._counts[span.type]}】"
            self._fresh[token] = span.value
        return token

    def _expecting(self, channel: str) -> PiiType | None:
        waiting = self._expected.get(channel)
        return waiting[0] if waiting is not None else None

    def _remember(self, channel: str, text: str, masked: MaskedText) -> None:
        waiting = self._expected.pop(channel, None)
        if waiting is not None and waiting[1] > 1:
            self._expected[channel] = (waiting[0], waiting[1] - 1)
        numbers = [span for span in masked.spans if span.type not in {"姓名", "地址", "邮箱"}]
        if numbers and numbers[-1].end >= len(text.rstrip(" ，,。.")):
            # A long number is often said in two breaths.
            self._expected[channel] = (numbers[-1].type, _MEMORY)
        asked = asked_for(text)
        if asked is not None:
            for other in {"customer": ("agent",), "agent": ("customer",)}.get(channel, (channel,)):
                self._expected[other] = (asked, _MEMORY)


def mask_words(words: Sequence[Word], text: str, masked: MaskedText, expected: PiiType | None = None) -> tuple[Word, ...]:
    """The words of ``text`` with those of a masked span joined into one word that is the token.

    Words that cannot be laid along the text (written otherwise than it) are searched on their own; if that does not find the same kinds of
    spans, the utterance goes without words rather than with a value in them.
    """
    if not words or not masked.spans:
        return tuple(words) if not masked.spans and not _leaks(words, expected) else ()
    places = _laid(words, text)
    if places is not None:
        return _joined(words, places, [(span.start, span.end, span.token) for span in masked.spans])
    line, places = _line(words)
    found = find_pii(line, expected)
    if [span.type for span in found] != [span.type for span in masked.spans]:
        return ()
    tokens = [span.token for span in masked.spans]
    return _joined(words, places, [(span.start, span.end, token) for span, token in zip(found, tokens, strict=True)])


def _leaks(words: Sequence[Word], expected: PiiType | None) -> bool:
    return bool(find_pii(_line(words)[0], expected))


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


def _corrections(corrections: Sequence[Correction], masked: MaskedText) -> tuple[Correction, ...]:
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


def _replaced(text: str, pieces: Sequence[tuple[Span, str]]) -> MaskedText:
    out, at, length, spans = [], 0, 0, []
    for span, token in sorted(pieces, key=lambda piece: piece[0].start):
        out += [text[at : span.start], token]
        length += span.start - at
        spans.append(MaskedSpan(span.start, span.end, span.type, token, length, length + len(token)))
        length += len(token)
        at = span.end
    return MaskedText("".join([*out, text[at:]]), tuple(spans))


def _shifted(span: Span, by: int) -> Span:
    return Span(span.start - by, span.end - by, span.type, span.value, span.confidence)
