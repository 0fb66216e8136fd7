"""One leg's audio on its way to recognition: decoded, resampled as it streams, placed on the media clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from copilot.domain.audio import RECOGNITION_RATE_HZ, LegFormat, MediaFrame
from streaming.audio.doubling import Doubler
from streaming.telephony import g711

_PER_MS = RECOGNITION_RATE_HZ // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioChunk:
    """Mono 16 kHz s16le samples. ``start_ms`` is exact within a run and rounded down after a gap."""

    start_ms: int
    pcm16: bytes


class LegAudio:
    """Frames in, 16 kHz chunks out; frames must come in media order.

    The telephone's 8 kHz are doubled 2 ms late (``doubling``). Other rates go through libsoxr in its variable-rate mode: its fixed-rate
    mode works in blocks (8 → 16 kHz: 12 to 115 ms late, in bursts), the variable-rate one lags by a constant 30 ms. Both take their delay
    out of the positions: output sample n lies at input time n/16000, so no correction is made here. A jump of ``start_sample`` ends the
    run: the resampler's tail comes out and the next run starts where the frame says.
    """

    def __init__(self, leg: LegFormat) -> None:
        self._leg = leg
        self._resampler: Any = None
        self._next_sample: int | None = None
        self._position = 0
        self._held = np.empty(0, np.int16)

    def receive(self, frame: MediaFrame) -> list[AudioChunk]:
        """What a frame lets out. Raises ValueError when a payload ends within a sample."""
        samples = g711.decode(frame.payload, self._leg.encoding)
        chunks: list[AudioChunk] = []
        if frame.start_sample != self._next_sample:
            chunks = self.flush()
            self._begin(frame.start_sample)
        self._next_sample = frame.start_sample + len(samples)
        return chunks + self._emit(self._resample(samples, last=False))

    def flush(self) -> list[AudioChunk]:
        """The tail of the run; the next frame begins a new one."""
        if self._next_sample is None:
            return []
        chunks = self._emit(self._resample(np.empty(0, np.int16), last=True), tail=True)
        self._next_sample = None
        return chunks

    def _begin(self, start_sample: int) -> None:
        self._position = start_sample * RECOGNITION_RATE_HZ // self._leg.sample_rate_hz
        self._held = np.empty(0, np.int16)
        if 2 * self._leg.sample_rate_hz == RECOGNITION_RATE_HZ:
            self._resampler = Doubler()
        elif self._leg.sample_rate_hz != RECOGNITION_RATE_HZ:
            self._resampler = soxr.ResampleStream(self._leg.sample_rate_hz, RECOGNITION_RATE_HZ, 1, dtype="float32", quality="HQ", vr=True)

    def _resample(self, samples: NDArray[np.int16], *, last: bool) -> NDArray[np.int16]:
        if self._leg.sample_rate_hz == RECOGNITION_RATE_HZ:
            return samples
        # In float, because libsoxr dithers integers: the same audio must give the same samples.
        out: NDArray[np.floating] = self._resampler.resample_chunk(samples.astype(np.float32), last=last)
        rounded: NDArray[np.int16] = np.clip(np.rint(out), -32_768, 32_767).astype(np.int16)
        return rounded

    def _emit(self, samples: NDArray[np.int16], *, tail: bool = False) -> list[AudioChunk]:
        """Whole milliseconds, so that every chunk's start is one; the rest waits."""
        ready = np.concatenate((self._held, samples)) if len(self._held) else samples
        whole = len(ready) if tail else len(ready) - len(ready) % _PER_MS
        self._held = ready[whole:].copy()
        if not whole:
            return []
        start, self._position = self._position, self._position + whole
        return [AudioChunk(start_ms=start // _PER_MS, pcm16=ready[:whole].astype("<i2", copy=False).tobytes())]
