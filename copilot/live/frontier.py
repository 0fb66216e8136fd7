"""Up to which media time everything that was said is known. Pure; times in ms of media time."""

from __future__ import annotations

from dataclasses import dataclass, field

from copilot.domain.ids import UtteranceId

OVERDUE_MS = 15_000
"""A speech whose final has not come by then after its end was none: a cough, or recognition that refused it."""


@dataclass(slots=True)
class Frontier:
    """Follows the speech of a call. The frontier is now, or where the earliest utterance began whose final is still to come."""

    _now_ms: float = 0
    _open: dict[UtteranceId, tuple[int, int | None]] = field(default_factory=dict)
    _final: set[UtteranceId] = field(default_factory=set)

    def began(self, utterance: UtteranceId, at_ms: int) -> None:
        if utterance not in self._final:
            self._open.setdefault(utterance, (at_ms, None))
        self.passed(at_ms)

    def ended(self, utterance: UtteranceId, at_ms: int) -> None:
        if utterance in self._open:
            self._open[utterance] = (self._open[utterance][0], at_ms)
        self.passed(at_ms)

    def final(self, utterance: UtteranceId, end_ms: int) -> None:
        """The utterance is known."""
        self._open.pop(utterance, None)
        self._final.add(utterance)
        self.passed(end_ms)

    def passed(self, at_ms: float) -> None:
        """It is at least ``at_ms`` now."""
        self._now_ms = max(self._now_ms, at_ms)

    @property
    def now_ms(self) -> float:
        return self._now_ms

    @property
    def known_ms(self) -> float:
        """Every utterance that begins before this is known."""
        waiting = [start for start, end in self._open.values() if end is None or self._now_ms - end < OVERDUE_MS]
        return min([self._now_ms, *waiting])
