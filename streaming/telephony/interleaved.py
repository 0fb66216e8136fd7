"""Binary audio of one or two legs, interleaved sample by sample and cut into messages anywhere."""

from __future__ import annotations

from typing import Final, Literal

from copilot.domain.audio import LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import RemoteProtocolError
from streaming.telephony.messages import PROTOCOL_VIOLATION, TOO_BIG

MAX_BINARY_BYTES: Final = 262_144
"""About four seconds of 16 kHz stereo: more in one message is a mistake."""
MAX_STREAM_MS: Final = 24 * 3_600_000


class InterleavedAudio:
    """``legs`` share codec and rate. A frame is one sample of every leg; an incomplete one waits for the next message."""

    def __init__(self, legs: tuple[LegFormat, ...]) -> None:
        self.legs = legs
        self.frame_bytes = legs[0].bytes_per_sample * len(legs)
        self.next_sample = 0
        """Samples of each leg so far, gaps included."""
        self.skip_samples = 0
        """Samples of each leg that the peer repeats and that are dropped."""
        self._carry = b""

    def receive(self, data: bytes) -> list[MediaFrame]:
        """One frame of audio per leg, or none. Raises RemoteProtocolError (1009, or 1002 after 24 hours)."""
        if len(data) > MAX_BINARY_BYTES:
            raise RemoteProtocolError(f"A binary message may have at most {MAX_BINARY_BYTES} bytes.", code=TOO_BIG)
        buffer = self._carry + data if self._carry else data
        whole = len(buffer) - len(buffer) % self.frame_bytes
        self._carry = buffer[whole:]
        buffer = buffer[:whole]
        if self.skip_samples:
            skipped = min(self.skip_samples, whole // self.frame_bytes)
            self.skip_samples -= skipped
            buffer = buffer[skipped * self.frame_bytes :]
        samples = len(buffer) // self.frame_bytes
        if not samples:
            return []
        start = self._advance(samples)
        return [
            MediaFrame(channel=leg.channel, start_sample=start, payload=self._part(buffer, index)) for index, leg in enumerate(self.legs)
        ]

    def gap(self, samples: int, reason: Literal["lost", "paused", "silence_suppressed", "reconnect"]) -> list[MediaGap]:
        """Moves the clock of every leg over audio that is missing; one that the peer repeats is dropped like repeated audio."""
        skipped = min(self.skip_samples, samples)
        self.skip_samples -= skipped
        samples -= skipped
        if not samples:
            return []
        start = self._advance(samples)
        return [MediaGap(channel=leg.channel, start_sample=start, samples=samples, reason=reason) for leg in self.legs]

    def _advance(self, samples: int) -> int:
        start, self.next_sample = self.next_sample, self.next_sample + samples
        if self.legs[0].samples_to_ms(self.next_sample) > MAX_STREAM_MS:
            raise RemoteProtocolError("A call may last at most 24 hours: start a new one.", code=PROTOCOL_VIOLATION)
        return start

    def _part(self, buffer: bytes, index: int) -> bytes:
        if len(self.legs) == 1:
            return buffer
        width, step = self.legs[0].bytes_per_sample, self.frame_bytes
        if width == 1:
            return buffer[index::step]
        leg = bytearray(len(buffer) // len(self.legs))
        leg[0::2] = buffer[index * 2 :: step]
        leg[1::2] = buffer[index * 2 + 1 :: step]
        return bytes(leg)
