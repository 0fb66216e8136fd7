"""The spool of one leg: what the writer thread appends, flushes and rolls. Used by one thread."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from copilot.domain.audio import LegFormat
from streaming.recording.sealing import SPOOL_SUFFIX, write_leg_file
from streaming.recording.segment import BlobCipher, GapReason, SpoolItem, encode_record, spool_place


class LegSpool:
    """Appends samples and gaps in media order into files of at most ``segment_s`` seconds of audio.

    Nothing touches the disk before ``flush``. After a failed flush the samples wait for the next one; past ``keep_s`` seconds of
    waiting audio they are given up as a gap, so that a full disk cannot fill the memory.
    """

    def __init__(
        self, directory: Path, folder: str, leg: LegFormat, cipher: BlobCipher, *, segment_s: float, keep_s: float, start_sample: int = 0
    ) -> None:
        self.leg = leg
        self.directory = directory
        self._cipher = cipher
        self._place = spool_place(folder)
        self._segment_samples = round(segment_s * leg.sample_rate_hz)
        self._keep_samples = round(keep_s * leg.sample_rate_hz)
        self._number = 0
        self._file: BinaryIO | None = None
        self._good_bytes = 0
        self._written = False
        self._items: list[SpoolItem] = []
        self._payload = bytearray()
        self._segment_audio = 0
        self._end = start_sample

    @property
    def end_sample(self) -> int:
        """Where the leg's media clock stands."""
        return self._end

    @property
    def dirty(self) -> bool:
        """True if something waits for a flush."""
        return bool(self._items)

    def room(self) -> int:
        """Samples of audio that still fit the open segment; 0: roll it."""
        return self._segment_samples - self._segment_audio

    def add_audio(self, start_sample: int, payload: bytes) -> None:
        """At most ``room()`` samples. A jump forward is a gap of silence that was not sent; samples already heard are dropped."""
        width = self.leg.bytes_per_sample
        if start_sample > self._end:
            self.add_gap(self._end, start_sample - self._end, "silence_suppressed")
        elif start_sample < self._end:
            payload = payload[(self._end - start_sample) * width :]
        samples = len(payload) // width
        if not samples:
            return
        if self._items and self._items[-1].reason is None:
            last = self._items[-1]
            self._items[-1] = SpoolItem(start_sample=last.start_sample, samples=last.samples + samples)
        else:
            self._items.append(SpoolItem(start_sample=self._end, samples=samples))
        self._payload += payload
        self._end += samples
        self._segment_audio += samples

    def add_gap(self, start_sample: int, samples: int, reason: GapReason) -> None:
        samples -= max(0, self._end - start_sample)
        if samples > 0:
            self._items.append(SpoolItem(start_sample=self._end, samples=samples, reason=reason))
            self._end += samples

    def flush(self) -> None:
        """On the disk when it returns. Raises OSError, and what the cipher raises; then nothing is lost yet."""
        if not self._items:
            return
        record = encode_record(self._items, bytes(self._payload), self._cipher, self._place)
        if self._file is None:
            write_leg_file(self.directory, self.leg)
            self._file = (self.directory / f"{self._number:06d}{SPOOL_SUFFIX}").open("wb", buffering=0)
            self._good_bytes = 0
        # After a failed write, half a record may lie behind the good ones.
        self._file.seek(self._good_bytes)
        self._file.truncate()
        view = memoryview(record)
        while view:
            view = view[self._file.write(view) :]
        os.fsync(self._file.fileno())
        self._good_bytes += len(record)
        self._written = True
        self._items.clear()
        self._payload.clear()

    def give_up_oldest(self) -> int:
        """After failed flushes: turns waiting audio beyond the bound into one gap; how many samples were given up."""
        waiting = len(self._payload) // self.leg.bytes_per_sample
        if waiting <= self._keep_samples:
            return 0
        start = self._items[0].start_sample
        self._items = [SpoolItem(start_sample=start, samples=self._end - start, reason="lost")]
        self._payload.clear()
        self._segment_audio -= waiting
        return waiting

    def roll(self) -> Path | None:
        """Flushes and closes the open segment; the file to seal, None if it is empty. Raises as ``flush`` does, changing nothing."""
        self.flush()
        if self._file is None or not self._written:
            return None
        path = self.directory / f"{self._number:06d}{SPOOL_SUFFIX}"
        self._file.close()
        self._file, self._written = None, False
        self._number += 1
        self._segment_audio = 0
        return path

    def close(self) -> None:
        """Releases the file; what was not flushed is lost."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
