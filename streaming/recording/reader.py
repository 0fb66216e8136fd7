"""Reading recordings back: s16 samples with silence in the gaps, WAV (whole, by time, by bytes) and peaks. Synchronous."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from copilot.domain.artifacts import HiddenSpan
from copilot.domain.audio import ChannelName
from copilot.domain.errors import EngineError, InvalidInput, NotFound
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.media import MediaStore
from streaming.recording.masking import hide
from streaming.recording.sealing import stored_segments
from streaming.recording.segment import (
    BlobCipher,
    LegRecording,
    Segment,
    decode_index,
    index_path,
    leg_path,
    part_of,
    part_path,
    segment_path,
    sidecar_path,
)
from streaming.telephony import g711

WAV_HEADER_BYTES = 44
MAX_READ_SAMPLES = 2 * 3600 * 16_000
"""The longest stretch read at once (two hours at 16 kHz, 230 MB): more goes by ranges."""
_KEPT_SEGMENTS = 8
"""Decoded segments kept for the next range: it mostly begins where the last one ended. A few MB at most."""


class RecordingReader:
    """The recording of one call. Make one per request: indexes are read once. Every method may raise EngineError."""

    def __init__(self, media: MediaStore, org_id: OrgId, call_id: CallId, cipher: BlobCipher, hidden: Sequence[HiddenSpan] = ()) -> None:
        """``hidden``: what is a low tone in all samples that are read."""
        self._media = media
        self._org_id = org_id
        self._call_id = call_id
        self._cipher = cipher
        self._hidden = hidden
        self._legs: dict[ChannelName, LegRecording] = {}
        self._decoded: dict[str, NDArray[np.int16]] = {}

    def legs(self) -> tuple[LegRecording, ...]:
        """The legs of which something is sealed; of a running call, what is sealed so far."""
        found: list[LegRecording] = []
        for channel in get_args(ChannelName):
            try:
                found.append(self.leg(channel))
            except NotFound:
                continue
        return tuple(found)

    def leg(self, channel: ChannelName) -> LegRecording:
        """Raises NotFound when nothing of the leg is sealed."""
        if channel in self._legs:
            return self._legs[channel]
        folder = leg_path(self._org_id, self._call_id, channel)
        parts = {part_of(path.rpartition("/")[0]) for path in self._media.list(folder)}
        found = [part for part in (self._part(part_path(folder, number)) for number in sorted(parts)) if part is not None]
        if not found:
            raise NotFound(f"Nothing is recorded of the {channel} channel of this call.")
        segments = tuple(segment for part in found for segment in part.segments)
        recording = LegRecording(leg=found[0].leg, segments=segments, complete=all(part.complete for part in found))
        self._legs[channel] = recording
        return recording

    def _part(self, folder: str) -> LegRecording | None:
        """What one owner of the call recorded of a leg; None if nothing of it is sealed."""
        try:
            return decode_index(self._media.get(index_path(folder)))
        except NotFound:
            segments = stored_segments(self._media, folder)
            if not segments:
                return None
            first = decode_index(self._media.get(sidecar_path(folder, segments[0].number)))
            return LegRecording(leg=first.leg, segments=tuple(segments), complete=False)

    def pcm16(self, channel: ChannelName, start_sample: int = 0, end_sample: int | None = None) -> NDArray[np.int16]:
        """Samples [start, end) at the wire rate, decoded, gaps as zeros. Raises InvalidInput for more than two hours at 16 kHz."""
        recording = self.leg(channel)
        end = recording.samples if end_sample is None else min(end_sample, recording.samples)
        start = max(0, start_sample)
        if end - start > MAX_READ_SAMPLES:
            raise InvalidInput("This recording is too long to be read at once: ask for a range.")
        samples = np.zeros(max(0, end - start), np.int16)
        for run_start, run in self._runs(recording, start, end):
            low, high = max(run_start, start), min(run_start + len(run), end)
            if low < high:  # another run of a segment that touches the range may lie outside of it
                samples[low - start : high - start] = run[low - run_start : high - run_start]
        hide(samples[:, None], start, recording.leg.sample_rate_hz, self._hidden, (channel,))
        return samples

    def wav(self, channel: ChannelName, start_ms: int = 0, end_ms: int | None = None) -> bytes:
        """A WAV file (PCM 16 bit, mono, wire rate) of a time range."""
        rate = self.leg(channel).leg.sample_rate_hz
        samples = self.pcm16(channel, start_ms * rate // 1000, None if end_ms is None else end_ms * rate // 1000)
        return wav_header(len(samples), rate) + samples.astype("<i2", copy=False).tobytes()

    def wav_size(self, channel: ChannelName) -> int:
        """Bytes of the whole leg as WAV: for Content-Length and Content-Range."""
        return WAV_HEADER_BYTES + 2 * self.leg(channel).samples

    def wav_bytes(self, channel: ChannelName, start: int, end: int) -> bytes:
        """Bytes [start, end) of the whole leg as WAV, decoding only the segments they lie in: for HTTP ranges."""
        recording = self.leg(channel)
        end = min(end, self.wav_size(channel))
        if start >= end:
            return b""
        first, last = max(0, start - WAV_HEADER_BYTES) // 2, max(0, end - WAV_HEADER_BYTES + 1) // 2
        body = self.pcm16(channel, first, last).astype("<i2", copy=False).tobytes()
        offset = WAV_HEADER_BYTES + 2 * first
        head = wav_header(recording.samples, recording.leg.sample_rate_hz)[start:end]
        return head + body[max(0, start - offset) : end - offset]

    def wav_chunks(self, channel: ChannelName, start: int, end: int, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The same, some bytes at a time: a long call is never held whole."""
        for at in range(start, min(end, self.wav_size(channel)), chunk_bytes):
            yield self.wav_bytes(channel, at, min(at + chunk_bytes, end))

    def peaks(self, channel: ChannelName, buckets: int) -> list[float]:
        """The largest magnitude (0–1) in each of ``buckets`` equal stretches of the leg, three decimals. Raises InvalidInput."""
        if not 1 <= buckets <= 10_000:
            raise InvalidInput("Ask for 1 to 10000 buckets of peaks.")
        recording = self.leg(channel)
        peaks = np.zeros(buckets, np.int32)
        for start, run in self._runs(recording, 0, recording.samples):
            bucket = (np.arange(start, start + len(run), dtype=np.int64) * buckets) // max(1, recording.samples)
            edges = np.flatnonzero(np.diff(bucket, prepend=-1))
            largest = np.maximum.reduceat(np.abs(run.astype(np.int32)), edges)
            peaks[bucket[edges]] = np.maximum(peaks[bucket[edges]], largest)
        return [round(float(peak) / 32_768, 3) for peak in peaks]

    def _runs(self, recording: LegRecording, start: int, end: int) -> Iterator[tuple[int, NDArray[np.int16]]]:
        """(start_sample, samples) of the stretches that are there in the segments touching [start, end), later parts last."""
        for segment in recording.segments:
            if segment.end_sample <= start or segment.start_sample >= end:
                continue
            audio = self._audio(recording, segment)
            position = 0
            for run_start, count in segment.runs():
                if count:
                    yield run_start, audio[position : position + count]
                position += count

    def _audio(self, recording: LegRecording, segment: Segment) -> NDArray[np.int16]:
        if not segment.samples:
            return np.empty(0, np.int16)
        folder = leg_path(self._org_id, self._call_id, recording.leg.channel, segment.part)
        path = segment_path(folder, segment.number)
        if path in self._decoded:
            return self._decoded[path]
        blob = self._media.get(path)
        if hashlib.sha256(blob).hexdigest() != segment.sha256:
            raise EngineError("A segment of this recording is damaged: restore it from the media store's backup.")
        audio = g711.decode(self._cipher.open(blob, path.encode()), recording.leg.encoding)
        if len(audio) != segment.samples:
            raise EngineError("A segment of this recording does not fit its index: restore both from the media store's backup.")
        while len(self._decoded) >= _KEPT_SEGMENTS:
            del self._decoded[next(iter(self._decoded))]
        self._decoded[path] = audio
        return audio


def wav_header(samples: int, sample_rate_hz: int) -> bytes:
    """The 44 bytes before ``samples`` mono 16-bit samples (RIFF/WAVE, format 1)."""
    size = 2 * samples
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate_hz, 2 * sample_rate_hz, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def read_leg(
    media: MediaStore, org_id: OrgId, call_id: CallId, channel: ChannelName, cipher: BlobCipher
) -> tuple[LegRecording, NDArray[np.int16]]:
    """One whole leg: what it is, and its s16 samples at the wire rate with silence in the gaps."""
    reader = RecordingReader(media, org_id, call_id, cipher)
    return reader.leg(channel), reader.pcm16(channel)
