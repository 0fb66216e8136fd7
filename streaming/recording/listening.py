"""The listening copy of a call: its legs joined on the media clock into FLAC files, sealed block by block. Synchronous, bounded memory.

A file lies in the media store as ``{org}/{call}/copy/{folder}/{original|masked}/000000.blk`` …: its bytes in blocks of equal size, each
sealed with the call's key and bound to its place. A long call is never held whole, and an HTTP range opens only the blocks it touches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from copilot.domain.artifacts import HiddenSpan, ListeningCopy
from copilot.domain.audio import CHANNELS, ChannelName
from copilot.domain.errors import EngineError
from copilot.domain.ids import CallId, OrgId, is_call_id
from copilot.domain.ports.media import MediaStore
from streaming.recording.masking import hide
from streaming.recording.reader import RecordingReader
from streaming.recording.segment import BlobCipher

Version = Literal["original", "masked"]
BLOCK_BYTES = 512 * 1024
STEP_S = 10
"""Seconds joined at a time."""


def copies_path(org_id: OrgId, call_id: CallId) -> str:
    """The folder of a call's listening copies. Raises ValueError for ids that are not safe in a path."""
    if not is_call_id(org_id) or not is_call_id(call_id):
        raise ValueError("an organisation or call id is not safe in a path")
    return f"{org_id}/{call_id}/copy"


def _block_path(place: str, version: Version, number: int) -> str:
    return f"{place}/{version}/{number:06d}.blk"


class CopyWriter:
    """Writes one FLAC file in sealed blocks. ``close`` when all is in; without it there is no readable file."""

    def __init__(
        self, media: MediaStore, cipher: BlobCipher, place: str, version: Version, rate_hz: int, channels: int, *, block_bytes: int
    ) -> None:
        self._media, self._cipher = media, cipher
        self._place, self._version = place, version
        self._block_bytes = block_bytes
        self._out = _HeldOutput(block_bytes)
        self._next = 1
        self._file = soundfile.SoundFile(self._out, "w", rate_hz, channels, subtype="PCM_16", format="FLAC")

    def write(self, samples: NDArray[np.int16]) -> None:
        """(n, channels) more samples. Raises EngineError when the media store refuses."""
        self._file.write(samples)
        self._put_full()

    def close(self) -> int:
        """The file's size in bytes. Raises as ``write``."""
        self._file.close()
        self._put_full()
        if self._out.rest:
            self._put(self._next, bytes(self._out.rest))
        self._put(0, bytes(self._out.head))
        return self._out.size

    def _put_full(self) -> None:
        # Outside the encoder's callbacks, which swallow exceptions.
        while len(self._out.rest) >= self._block_bytes:
            self._put(self._next, bytes(self._out.rest[: self._block_bytes]))
            del self._out.rest[: self._block_bytes]
            self._next += 1

    def _put(self, number: int, data: bytes) -> None:
        path = _block_path(self._place, self._version, number)
        self._media.put(path, self._cipher.seal(data, path.encode()))


class _HeldOutput:
    """What the encoder writes into. The first block stays here, since the header in it is written again at the end."""

    def __init__(self, head_bytes: int) -> None:
        self.head = bytearray()
        self.rest = bytearray()
        self.size = 0
        self._head_bytes = head_bytes
        self._at = 0

    def write(self, data: bytes) -> int:
        data = bytes(data)
        into_head = data[: max(0, self._head_bytes - self._at)]
        self.head[self._at : self._at + len(into_head)] = into_head
        self.rest += data[len(into_head) :]
        self._at += len(data)
        self.size = max(self.size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def write_copies(
    reader: RecordingReader,
    media: MediaStore,
    cipher: BlobCipher,
    place: str,
    hidden: Sequence[HiddenSpan],
    through_seq: int,
    keep_on: Callable[[], None],
    *,
    block_bytes: int = BLOCK_BYTES,
) -> ListeningCopy:
    """Joins what ``reader`` (which hides nothing) has into both files in ``place``, a folder of its own below ``copies_path``.

    Legs of different rates are brought to the highest. ``keep_on`` is called every few seconds of audio; what it raises ends the work.
    Raises EngineError. Of a call without a sample no file is written.
    """
    recordings = {recording.leg.channel: recording for recording in reader.legs()}
    channels = tuple(channel for channel in CHANNELS if channel in recordings)
    rate = max((recording.leg.sample_rate_hz for recording in recordings.values()), default=8000)
    total = max((-(-recording.samples * rate // recording.leg.sample_rate_hz) for recording in recordings.values()), default=0)
    sizes = [0, 0]
    if total:
        legs = [_LegAudio(reader, channel, rate) for channel in channels]
        original, masked = (
            CopyWriter(media, cipher, place, version, rate, len(channels), block_bytes=block_bytes) for version in get_args(Version)
        )
        step = STEP_S * rate
        for start in range(0, total, step):
            keep_on()
            samples = np.stack([leg.take(min(step, total - start)) for leg in legs], axis=1)
            original.write(samples)
            hide(samples, start, rate, hidden, channels)
            masked.write(samples)
        sizes = [original.close(), masked.close()]
    duration_ms = total * 1000 // rate
    return ListeningCopy(
        folder=place.rpartition("/")[2],
        sample_rate_hz=rate,
        channels=channels,
        duration_ms=duration_ms,
        complete=all(recording.complete for recording in recordings.values()),
        original_bytes=sizes[0],
        masked_bytes=sizes[1],
        block_bytes=block_bytes,
        through_seq=through_seq,
        hidden=tuple(replace(span, end_ms=min(span.end_ms, duration_ms)) for span in hidden if span.start_ms < duration_ms),
    )


class _LegAudio:
    """One leg from its beginning at the rate of the copy, some samples at a time, silence behind its end."""

    def __init__(self, reader: RecordingReader, channel: ChannelName, rate_hz: int) -> None:
        recording = reader.leg(channel)
        self._reader, self._channel = reader, channel
        self._samples, self._rate = recording.samples, recording.leg.sample_rate_hz
        self._at = 0
        self._ready = np.empty(0, np.int16)
        self._resampler = soxr.ResampleStream(self._rate, rate_hz, 1, dtype="int16") if self._rate != rate_hz else None

    def take(self, count: int) -> NDArray[np.int16]:
        while len(self._ready) < count and self._at < self._samples:
            end = min(self._at + STEP_S * self._rate, self._samples)
            samples = self._reader.pcm16(self._channel, self._at, end)
            if self._resampler is not None:
                samples = self._resampler.resample_chunk(samples, last=end == self._samples)
            self._ready = np.concatenate([self._ready, samples])
            self._at = end
        taken, self._ready = self._ready[:count], self._ready[count:]
        return np.pad(taken, (0, count - len(taken)))


class CopyReader:
    """Reads a listening copy back."""

    def __init__(self, media: MediaStore, cipher: BlobCipher, org_id: OrgId, call_id: CallId, copy: ListeningCopy) -> None:
        self._media, self._cipher = media, cipher
        self._place = f"{copies_path(org_id, call_id)}/{copy.folder}"
        self._copy = copy

    def size(self, version: Version) -> int:
        """Bytes of the file."""
        return self._copy.masked_bytes if version == "masked" else self._copy.original_bytes

    def read(self, version: Version, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end) of the file, block by block. Raises NotFound when the copy was replaced or erased, EngineError."""
        size, block_bytes = self.size(version), self._copy.block_bytes
        end = min(end, size)
        for number in range(start // block_bytes, -(-end // block_bytes)):
            path = _block_path(self._place, version, number)
            data = self._cipher.open(self._media.get(path), path.encode())
            first = number * block_bytes
            if len(data) != min(block_bytes, size - first):
                raise EngineError("A block of this listening copy does not fit it: run the recording's after-call job again.")
            yield data[max(0, start - first) : end - first]
