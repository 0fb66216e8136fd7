"""One track of numbered, time-stamped chunks of audio: put in order, losses and pauses as gaps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from copilot.domain.audio import LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import RemoteProtocolError
from streaming.telephony.interleaved import MAX_STREAM_MS
from streaming.telephony.messages import PROTOCOL_VIOLATION

REORDER_CHUNKS: Final = 5
"""How many later chunks of a track are held back for a missing one (100 ms at the usual 20 ms) before it counts as lost."""
JITTER_MS: Final = 40
"""A timestamp this near to the samples counted so far is rounding, not silence."""
MAX_PAUSE_MS: Final = 900_000
"""A longer pause would have ended the connection: a timestamp further ahead is a clock that was set, and so is one 2 s behind."""
MAX_BEHIND_MS: Final = 2_000
RESTART_CHUNKS: Final = 250
"""A chunk this far behind is no straggler: the peer counts anew."""


@dataclass(slots=True)
class ChunkedTrack:
    """Samples are the truth; a timestamp speaks only where samples are missing."""

    leg: LegFormat
    next_sample: int = 0
    next_chunk: int = 0
    """0 until the first chunk: streams are allowed to begin with any number."""
    held: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    skew_ms: int = 0
    """Added to the peer's timestamps after its clock was set."""
    odd: bytes = b""
    """The first byte of a sample whose second is in the next chunk."""

    def receive(self, chunk: int, timestamp_ms: int, audio: bytes) -> list[MediaFrame | MediaGap]:
        """What a chunk lets out. Raises RemoteProtocolError after 24 hours."""
        events: list[MediaFrame | MediaGap] = []
        if self.next_chunk - chunk > RESTART_CHUNKS:
            events = self.flush()
            self.next_chunk = 0
        if chunk < self.next_chunk or chunk in self.held:
            return events  # a duplicate, or one that came after it was given up
        self.held[chunk] = (timestamp_ms, audio)
        return events + self._release(give_up=len(self.held) > REORDER_CHUNKS)

    def flush(self) -> list[MediaFrame | MediaGap]:
        """What is held back, whatever is missing."""
        events: list[MediaFrame | MediaGap] = []
        while self.held:
            events += self._release(give_up=True)
        return events

    def _release(self, *, give_up: bool) -> list[MediaFrame | MediaGap]:
        """Hands out held chunks in order; ``give_up`` counts a missing one as lost once."""
        events: list[MediaFrame | MediaGap] = []
        while self.held:
            chunk = min(self.held)
            lost = chunk - self.next_chunk if self.next_chunk else 0
            if lost and not give_up:
                break
            give_up = give_up and not lost
            timestamp_ms, audio = self.held.pop(chunk)
            missing = self._missing(lost, timestamp_ms, len(audio) // self.leg.bytes_per_sample)
            if missing:
                reason: Literal["lost", "silence_suppressed"] = "lost" if lost else "silence_suppressed"
                events.append(MediaGap(channel=self.leg.channel, start_sample=self.next_sample, samples=missing, reason=reason))
                self.next_sample += missing
                self.odd = b""
            self.next_chunk = chunk + 1
            events += self._frame(audio)
            if self.leg.samples_to_ms(self.next_sample) > MAX_STREAM_MS:
                raise RemoteProtocolError("A call may last at most 24 hours: start a new one.", code=PROTOCOL_VIOLATION)
        return events

    def _missing(self, lost: int, timestamp_ms: int, samples: int) -> int:
        """Samples between what was heard and a chunk, of which ``lost`` before it never came."""
        ahead_ms = timestamp_ms + self.skew_ms - self.leg.samples_to_ms(self.next_sample)
        if not -MAX_BEHIND_MS <= ahead_ms <= MAX_PAUSE_MS:
            self.skew_ms -= ahead_ms
            ahead_ms = 0
        if lost and ahead_ms <= 0:
            # Only the numbers say that something is missing: believed as far as the held chunks of a real loss can reach.
            return min(lost, RESTART_CHUNKS) * samples
        return ahead_ms * self.leg.sample_rate_hz // 1000 if lost or ahead_ms > JITTER_MS else 0

    def _frame(self, audio: bytes) -> list[MediaFrame | MediaGap]:
        if self.leg.bytes_per_sample > 1:
            audio = self.odd + audio
            whole = len(audio) - len(audio) % self.leg.bytes_per_sample
            audio, self.odd = audio[:whole], audio[whole:]
        if not audio:
            return []
        start, self.next_sample = self.next_sample, self.next_sample + len(audio) // self.leg.bytes_per_sample
        return [MediaFrame(channel=self.leg.channel, start_sample=start, payload=audio)]
