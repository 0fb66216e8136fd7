"""Recordings as the API serves them: opened with the call's own key."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from copilot.domain.audio import CHANNELS, ChannelName
from copilot.domain.errors import NotFound
from copilot.domain.ids import CallId, OrgId

if TYPE_CHECKING:
    from copilot.domain.ports.media import MediaStore
    from copilot.store.store import Store
    from streaming.recording.reader import RecordingReader

Json = dict[str, Any]


class Recordings:
    """See ``copilot.api.context.RecordingReader``."""

    def __init__(self, store: Store, media: MediaStore) -> None:
        self._store = store
        self._media = media

    def _reader(self, org_id: OrgId, call_id: CallId) -> RecordingReader:
        from streaming.recording.reader import RecordingReader

        return RecordingReader(self._media, org_id, call_id, self._store.call_cipher(org_id, call_id))

    def legs(self, org_id: OrgId, call_id: CallId) -> list[Json]:
        found = []
        for leg in self._reader(org_id, call_id).legs():
            rate = leg.leg.sample_rate_hz
            gaps = [
                {
                    "start_ms": gap.start_sample * 1000 // rate,
                    "duration_ms": gap.samples * 1000 // rate,
                    "reason": asdict(gap).get("reason", "lost"),
                }
                for gap in leg.gaps
            ]
            found.append({"channel": leg.leg.channel, "sample_rate_hz": rate, "duration_ms": leg.duration_ms, "gaps": gaps})
        return found

    def wav(self, org_id: OrgId, call_id: CallId, channel: str, first: int | None, last: int | None) -> tuple[bytes, int, int]:
        reader, name = self._reader(org_id, call_id), _channel(channel)
        size = reader.wav_size(name)
        if first is None:
            first, end = (0, size) if last is None else (max(0, size - last), size)
        else:
            end = size if last is None else min(last + 1, size)
        if first >= end:
            return b"", first, size
        return reader.wav_bytes(name, first, end), first, size

    def peaks(self, org_id: OrgId, call_id: CallId, channel: str, buckets: int) -> list[float]:
        return self._reader(org_id, call_id).peaks(_channel(channel), buckets)


def _channel(name: str) -> ChannelName:
    if name not in CHANNELS:
        raise NotFound(f"There is no channel {name!r}; it is one of {', '.join(CHANNELS)}.")
    return name
