"""The text of one utterance while it is spoken, and what becomes of it when it is over. PURE.

Positions are samples at 16 kHz on the channel's media clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from copilot.domain.ids import UtteranceId
from copilot.domain.transcript import Correction, Hypothesis, RecognizeRequest, Word
from streaming.asr.agreement import LocalAgreement, split_units

SAMPLES_PER_MS = 16
_WORD_MARGIN_MS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedText:
    """A final's text as people read it: numbers written, terms corrected; every change is listed with its original."""

    text: str
    words: tuple[Word, ...]
    corrections: tuple[Correction, ...] = ()


Finish = Callable[[str, tuple[Word, ...], str], FinishedText]
"""(text, words, language) → finished text. Pure."""


@dataclass(slots=True, kw_only=True)
class Speculation:
    """A final asked for during a pause, before the endpoint is certain."""

    tag: str
    request: RecognizeRequest
    hypothesis: Hypothesis | None = None


@dataclass(slots=True, kw_only=True)
class OpenUtterance:
    """Speech in progress. ``own_from``: after a forced cut, words before it belong to the utterance before."""

    utterance: UtteranceId
    language: str
    speech_start: int
    audio_start: int
    next_partial: int
    own_from: int | None = None
    speculation: Speculation | None = None
    shown: tuple[str, str] = ("", "")
    agreement: LocalAgreement = field(init=False)
    window_start: int = field(init=False)
    partials: dict[str, tuple[int, int]] = field(default_factory=dict)
    """tag → (window start, window end) of partials not answered yet."""
    _text_window: int = 0

    def __post_init__(self) -> None:
        self.agreement = LocalAgreement(self.language)
        self.window_start = self.audio_start

    def open_window(self, end: int, *, longest: int, shortened: int) -> int:
        """Where the partial window that ends at ``end`` begins: at most ``longest`` samples before it.

        When nothing could be locked in time (no agreement, slow answers), the window is cut to ``shortened`` samples and the text of
        the audio that leaves it is kept as last shown.
        """
        if end - self.window_start > longest:
            start = end - shortened
            units = self.agreement.window_units
            if self._text_window > 0:
                self.agreement.lock(min(units, units * (start - self.window_start) // self._text_window))
            self.window_start = start
        return self.window_start

    def partial_arrived(self, tag: str, hypothesis: Hypothesis | None, *, lock_guard: int) -> int | None:
        """Takes the answer to a partial; the end of its window if the text to show changed, else None."""
        window_start, window_end = self.partials.pop(tag)
        if hypothesis is None or hypothesis.rejected or not hypothesis.text or window_start != self.window_start:
            return None
        for older in [other for other, (_, end) in self.partials.items() if end < window_end]:
            del self.partials[older]
        self.agreement.push(hypothesis.text)
        self._text_window = window_end - window_start
        self._lock_agreed(hypothesis, lock_guard)
        shown = (self.agreement.stable, self.agreement.unstable)
        if shown == self.shown:
            return None
        self.shown = shown
        return window_end

    def take_whole(self, hypothesis: Hypothesis, request: RecognizeRequest) -> bool:
        """Takes a decode of all of the utterance so far (``request``) as a partial; True if the text to show changed.

        Only while no text is locked: the text of a longer utterance would begin before the window.
        """
        if hypothesis.rejected or not hypothesis.text or self.window_start != self.audio_start:
            return False
        self.partials.clear()  # older than this
        self.agreement.push(hypothesis.text)
        self._text_window = len(request.pcm16) // 2
        shown = (self.agreement.stable, self.agreement.unstable)
        if shown == self.shown:
            return False
        self.shown = shown
        return True

    def _lock_agreed(self, hypothesis: Hypothesis, guard: int) -> None:
        """Agreed units whose words ended ``guard`` samples before the window's end leave the window, so that its length stays bounded."""
        limit_ms = (self._text_window - guard) // SAMPLES_PER_MS
        ends = unit_ends_ms(hypothesis, self.language)
        count = 0
        while count < min(self.agreement.committed_units, len(ends)) and ends[count] <= limit_ms:
            count += 1
        if count:
            self.agreement.lock(count)
            self.window_start += ends[count - 1] * SAMPLES_PER_MS


@dataclass(slots=True, kw_only=True)
class ClosedUtterance:
    """An utterance that waits for its final. ``ended_at_ms``: when its last speech arrived, by the injected clock."""

    utterance: UtteranceId
    language: str
    request: RecognizeRequest
    tag: str
    audio_start: int
    speech_start: int
    speech_end: int
    endpoint: int
    ended_at_ms: float
    own_from: int | None = None
    own_until: int | None = None
    shown: tuple[str, str] = ("", "")
    hypothesis: Hypothesis | None = None
    spoken: tuple[int, int, bytes] = (0, 0, b"")
    """Its speech with margins: samples [start, end) of the media clock, and the audio (empty when nobody will need it)."""
    failed: bool = False
    retried: bool = False

    @property
    def settled(self) -> bool:
        return self.failed or self.hypothesis is not None

    def finished(self, finish: Finish) -> tuple[FinishedText, float] | None:
        """The final's text (word times in media ms) and confidence; None when nothing was said.

        When decoding failed for good, what partials had shown is kept, without times, at a low confidence: better than losing it.
        """
        if self.hypothesis is None:
            text = "".join(self.shown).strip()
            return (finish(text, (), self.language), 0.3) if text else None
        if self.hypothesis.rejected:
            return None
        words = tuple(self._in_media_time(word) for word in self.hypothesis.words)
        text = self.hypothesis.text
        owned = tuple(word for word in words if self._owns(word))
        if len(owned) < len(words):
            words, text = owned, join_words(owned, self.language)
        if not any(character.isalnum() for character in text):
            return None
        finished = finish(text, words, self.language)
        probabilities = [word.confidence for word in words]
        confidence = sum(probabilities) / len(probabilities) if probabilities else math.exp(min(0.0, self.hypothesis.avg_logprob))
        return finished, max(0.0, min(1.0, confidence))

    def _in_media_time(self, word: Word) -> Word:
        """The first word's time reaches into the pre-roll and the last one's into the tail: the VAD knows better."""
        offset, margin = self.audio_start // SAMPLES_PER_MS, _WORD_MARGIN_MS
        earliest, latest = self.speech_start // SAMPLES_PER_MS - margin, self.speech_end // SAMPLES_PER_MS + margin
        if self.own_from is not None or self.own_until is not None:
            earliest, latest = offset, self.request_end_ms
        start = min(max(word.start_ms + offset, earliest, 0), latest)
        return replace(word, start_ms=start, end_ms=max(start, min(word.end_ms + offset, latest)))

    @property
    def request_end_ms(self) -> int:
        return self.audio_start // SAMPLES_PER_MS + len(self.request.pcm16) // (2 * SAMPLES_PER_MS)

    def _owns(self, word: Word) -> bool:
        middle = (word.start_ms + word.end_ms) * SAMPLES_PER_MS // 2
        return (self.own_from is None or middle >= self.own_from) and (self.own_until is None or middle < self.own_until)


def join_words(words: tuple[Word, ...], language: str) -> str:
    """The text that ``words`` make."""
    return ("" if language.startswith("zh") else " ").join(word.text for word in words).strip()


def unit_ends_ms(hypothesis: Hypothesis, language: str) -> list[int]:
    """Where each agreement unit of a hypothesis ends, ms from its window's start; empty when it carries no word times."""
    ends: list[int] = []
    if not hypothesis.words:
        return ends
    # Units and words both run through the same letters in order: count letters, so that marks and spaces cannot shift them.
    letters_until: list[tuple[int, int]] = []
    seen = 0
    for word in hypothesis.words:
        seen += sum(character.isalnum() for character in word.text)
        letters_until.append((seen, word.end_ms))
    position = 0
    passed = 0
    for unit in split_units(hypothesis.text, language):
        passed += sum(character.isalnum() for character in unit.core)
        while position < len(letters_until) - 1 and letters_until[position][0] < passed:
            position += 1
        ends.append(letters_until[position][1])
    return ends
