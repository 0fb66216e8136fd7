"""Where utterances begin and end: hysteresis over speech probabilities. PURE.

Positions are samples at 16 kHz on the channel's media clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW_SAMPLES = 512
"""One probability covers this many samples (32 ms at 16 kHz)."""
SAMPLES_PER_MS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """Durations in ms, probabilities in [0, 1].

    ``start_ms`` at or over ``start_probability`` opens an utterance; silence counts from the first window under ``end_probability``,
    a window at or over ``start_probability`` breaks it, windows in between do neither. ``speculate_ms`` of silence is worth decoding
    ahead, ``end_ms`` closes.
    An utterance of ``cap_ms`` is cut at the least voiced window of its last ``cap_search_ms``.
    """

    start_probability: float = 0.5
    end_probability: float = 0.35
    start_ms: int = 64
    speculate_ms: int = 200
    end_ms: int = 450
    cap_ms: int = 22_000
    cap_search_ms: int = 4_000
    cap_guard_ms: int = 400
    """The cut keeps so far from the newest window: what is said across it must be heard whole on both sides, or it comes twice."""
    speculate_backoff_ms: int = 60
    """Each pause that turned out not to be the end makes the next speculation of the utterance wait this much longer, so that
    a slow speaker does not have every breath decoded."""

    def __post_init__(self) -> None:
        if not 0 < self.end_probability <= self.start_probability < 1:
            raise ValueError("Speech probabilities must satisfy 0 < end <= start < 1.")
        if not 0 < self.start_ms < self.cap_search_ms < self.cap_ms <= 28_000:
            raise ValueError("Endpoint durations must satisfy 0 < start < cap search < cap <= 28000 ms.")
        if not 0 <= self.cap_guard_ms < self.cap_search_ms:
            raise ValueError("The cap's guard must be shorter than its search.")
        if not 0 < self.speculate_ms <= self.end_ms:
            raise ValueError("Speculation must start between 0 ms and the endpoint.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Speech began at ``at`` (the first voiced window of the run that opened it)."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """Silence since ``at`` has lasted long enough to decode ahead."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The pause announced by ``Paused`` was not the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Speech ended at ``at`` (start of the silence that closed it)."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capped:
    """The utterance is too long: it is cut at ``at``, and the next one begins there at once."""

    at: int


EndpointEvent = Started | Paused | Resumed | Ended | Capped


class Endpointer:
    """Feed one probability per window, in order."""

    def __init__(self, config: EndpointConfig) -> None:
        self._config = config
        self._recent: deque[tuple[float, int]] = deque(maxlen=max(1, config.cap_search_ms * SAMPLES_PER_MS // WINDOW_SAMPLES))
        self.reset()

    def reset(self) -> None:
        """Forget everything (after a gap)."""
        self._speaking = False
        self._start = 0
        self._run_start: int | None = None
        self._silence_start: int | None = None
        self._paused = False
        self._false_pauses = 0
        self._end_ms = self._config.end_ms
        self._recent.clear()

    def end_after(self, silence_ms: int) -> None:
        """The silence in progress closes the utterance already after ``silence_ms`` (never later than the configured end)."""
        if self._silence_start is not None:
            self._end_ms = min(silence_ms, self._config.end_ms)

    @property
    def speaking(self) -> bool:
        return self._speaking

    @property
    def silence_start(self) -> int | None:
        """Where the silence in progress began, None while voiced."""
        return self._silence_start

    def push(self, probability: float, start: int) -> list[EndpointEvent]:
        """``start`` is the window's first sample."""
        end = start + WINDOW_SAMPLES
        return self._during_speech(probability, start, end) if self._speaking else self._during_silence(probability, start, end)

    def _during_silence(self, probability: float, start: int, end: int) -> list[EndpointEvent]:
        if probability < self._config.start_probability:
            self._run_start = None
            return []
        if self._run_start is None:
            self._run_start = start
        if end - self._run_start < self._config.start_ms * SAMPLES_PER_MS:
            return []
        self._speaking, self._start, self._run_start = True, self._run_start, None
        self._silence_start, self._paused, self._false_pauses = None, False, 0
        self._recent.clear()
        return [Started(at=self._start)]

    def _during_speech(self, probability: float, start: int, end: int) -> list[EndpointEvent]:
        config, events = self._config, list[EndpointEvent]()
        self._recent.append((probability, start))
        if probability >= config.start_probability:
            if self._paused:
                self._false_pauses += 1
                events.append(Resumed())
            self._silence_start, self._paused, self._end_ms = None, False, config.end_ms
        elif probability < config.end_probability and self._silence_start is None:
            self._silence_start = start
        if self._silence_start is not None:
            silence = end - self._silence_start
            if silence >= self._end_ms * SAMPLES_PER_MS:
                events.append(Ended(at=self._silence_start))
                self._speaking, self._silence_start, self._paused, self._end_ms = False, None, False, config.end_ms
                return events
            speculate_ms = min(config.speculate_ms + self._false_pauses * config.speculate_backoff_ms, config.end_ms)
            if not self._paused and speculate_ms < config.end_ms and silence >= speculate_ms * SAMPLES_PER_MS:
                self._paused = True
                events.append(Paused(at=self._silence_start))
        if end - self._start >= config.cap_ms * SAMPLES_PER_MS:
            latest = end - config.cap_guard_ms * SAMPLES_PER_MS
            settled = [item for item in self._recent if item[1] <= latest]
            _, cut = min(settled or self._recent, key=lambda item: (item[0], -item[1]))
            if self._paused:
                events.append(Resumed())
            self._start, self._silence_start, self._paused, self._false_pauses = cut, None, False, 0
            events.append(Capped(at=cut))
        return events
