"""Media time for peers that send no timestamps: a leg's frames are placed by when they arrived. Pure.

A network that stalls and then catches up looks at first like a peer that had nothing to say. The two are told apart by what follows: after
a stall the frames come faster than real time until the delay is gone; after a silence the delay stays. So from a suspicious frame on,
frames are held back for a moment, and the least delay among them is the silence.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

from copilot.domain.audio import LegFormat, MediaFrame, MediaGap

TOLERANCE_MS: Final = 40.0
"""A delay up to here is the network's and leaves the audio contiguous."""
HOLD_MS: Final = 200.0
"""How long a stall may take to catch up. What a gap costs in delay, once, at its end."""
MAX_HELD: Final = 512
"""Frames held at most: beyond it the moment counts as over."""


class ArrivalClock:
    """Places the frames of one leg. Times in ms of one monotonic clock; ``origin_ms`` is the call's media time zero on it.

    Only ``payload`` and ``channel`` of the frames that come in are used. What comes out is contiguous but for the gaps that come out too,
    and no sample is lost or doubled. A delay is measured against the end of a frame: a frame arrives when its last sample was heard.
    """

    def __init__(self, leg: LegFormat, origin_ms: float) -> None:
        self._leg = leg
        self._origin_ms = origin_ms
        self._next_sample = 0
        self._held: deque[MediaFrame] = deque()
        self._held_samples = 0
        self._held_since = 0.0
        self._least_ms = 0.0

    def receive(self, frame: MediaFrame, at_ms: float) -> list[MediaFrame | MediaGap]:
        """A frame that arrived at ``at_ms``: it, those held before it, and the gap found; or nothing yet."""
        samples = len(frame.payload) // self._leg.bytes_per_sample
        end = self._next_sample + self._held_samples + samples
        late_ms = at_ms - self._origin_ms - end * 1000 / self._leg.sample_rate_hz
        if not self._held:
            if late_ms <= TOLERANCE_MS:
                return [self._place(frame)]
            self._held_since, self._least_ms = at_ms, late_ms
        self._held.append(frame)
        self._held_samples += samples
        self._least_ms = min(self._least_ms, late_ms)
        if self._least_ms <= TOLERANCE_MS or len(self._held) >= MAX_HELD:
            return self.flush()
        return self.tick(at_ms)

    def tick(self, now_ms: float) -> list[MediaFrame | MediaGap]:
        """What has been held for long enough."""
        return self.flush() if self._held and now_ms - self._held_since >= HOLD_MS else []

    def flush(self) -> list[MediaFrame | MediaGap]:
        """Everything that is held: the leg pauses or ends, or it is known where the frames belong."""
        if not self._held:
            return []
        events: list[MediaFrame | MediaGap] = []
        if self._least_ms > TOLERANCE_MS:
            missing = round(self._least_ms * self._leg.sample_rate_hz / 1000)
            gap = MediaGap(channel=self._held[0].channel, start_sample=self._next_sample, samples=missing, reason="silence_suppressed")
            events.append(gap)
            self._next_sample += missing
        events += [self._place(frame) for frame in self._held]
        self._held.clear()
        self._held_samples = 0
        return events

    def _place(self, frame: MediaFrame) -> MediaFrame:
        placed = replace(frame, start_sample=self._next_sample)
        self._next_sample += len(frame.payload) // self._leg.bytes_per_sample
        return placed
