"""What an agent's screen has seen of each call: sequence, resume, gaps. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["deliver", "duplicate", "gap"]


@dataclass(slots=True)
class FeedCursor:
    """The last delivered seq per call. Durable events go out gap-free and once; a hole means: read the store first."""

    _last: dict[str, int] = field(default_factory=dict)

    def start(self, call_id: str, after_seq: int) -> None:
        """Begin (or resume) a call after ``after_seq`` (0: from the start)."""
        self._last[call_id] = max(0, after_seq)

    def stop(self, call_id: str) -> None:
        self._last.pop(call_id, None)

    def watching(self, call_id: str) -> bool:
        return call_id in self._last

    def calls(self) -> tuple[str, ...]:
        return tuple(self._last)

    def last(self, call_id: str) -> int:
        return self._last[call_id]

    def judge(self, call_id: str, seq: int) -> Verdict:
        """``deliver``: it is the next one. ``duplicate``: seen already. ``gap``: events between are missing."""
        last = self._last[call_id]
        if seq <= last:
            return "duplicate"
        return "deliver" if seq == last + 1 else "gap"

    def delivered(self, call_id: str, seq: int) -> None:
        """Must follow every delivery, in seq order."""
        if seq != self._last[call_id] + 1:
            raise ValueError(f"event {seq} does not follow {self._last[call_id]}")
        self._last[call_id] = seq
