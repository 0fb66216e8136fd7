"""Where a call's audio went, so that a load test or an operator can see that none was lost on the way. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field

from copilot.domain.audio import ChannelName
from copilot.domain.transcript import SpeechEnded, SpeechStarted


@dataclass(slots=True, kw_only=True)
class AudioAccount:
    """What became of a call's audio, ms of all legs together; the sum of ``seconds()`` is what arrived.

    ``gap``: declared missing by the peer. ``skipped``: recorded, but recognition was too far behind. ``failed``: voice detection broke.
    """

    gap: float = 0.0
    skipped: float = 0.0
    failed: float = 0.0
    _heard: float = 0.0
    _speech: float = 0.0
    _since: dict[ChannelName, int] = field(default_factory=dict)

    def heard(self, duration_ms: float, *, failed: bool = False) -> None:
        """A frame went through voice detection, or broke in it."""
        if failed:
            self.failed += duration_ms
        else:
            self._heard += duration_ms

    def voice(self, event: SpeechStarted | SpeechEnded) -> None:
        """Voice detection's own marks, in the order of a channel."""
        if isinstance(event, SpeechStarted):
            self._since[event.channel] = event.at_ms
        elif event.channel in self._since:
            self._speech += event.at_ms - self._since.pop(event.channel)

    def seconds(self) -> dict[str, float]:
        """By outcome: ``speech`` (handed to the recogniser), ``silence``, ``gap``, ``skipped``, ``failed``."""
        return {
            "speech": self._speech / 1000,
            "silence": (self._heard - self._speech) / 1000,
            "gap": self.gap / 1000,
            "skipped": self.skipped / 1000,
            "failed": self.failed / 1000,
        }
