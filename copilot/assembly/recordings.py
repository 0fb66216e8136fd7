"""Recordings as the API serves them: opened with the call's own key, masked unless the original is asked for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from copilot.api.context import FilePart
from copilot.assembly.interrupted import read_events
from copilot.codec import to_json
from copilot.domain.artifacts import ListeningCopy
from copilot.domain.audio import CHANNELS, ChannelName
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.events import CallStarted, Redacted
from copilot.domain.ids import CallId, OrgId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copilot.domain.artifacts import HiddenSpan
    from copilot.domain.ports.media import MediaStore
    from copilot.store.store import Store
    from streaming.recording.listening import Version
    from streaming.recording.reader import RecordingReader
    from streaming.recording.sealing import RecoveredLeg

Json = dict[str, Any]
_SHOWN = ("channels", "sample_rate_hz", "duration_ms", "complete", "hidden")


class Recordings:
    """See ``copilot.api.context.RecordingReader``."""

    def __init__(self, store: Store, media: MediaStore) -> None:
        self._store = store
        self._media = media

    def _reader(self, org_id: OrgId, call_id: CallId, *, original: bool = True) -> RecordingReader:
        from streaming.recording.reader import RecordingReader

        hidden = () if original else self._hidden(org_id, call_id)
        return RecordingReader(self._media, org_id, call_id, self._store.call_cipher(org_id, call_id), hidden)

    def _hidden(self, org_id: OrgId, call_id: CallId) -> tuple[HiddenSpan, ...]:
        from streaming.recording.masking import hidden_spans

        events = read_events(self._store, org_id, call_id)
        started = next((item.event for item in events if isinstance(item.event, CallStarted)), None)
        return hidden_spans(events, [leg.channel for leg in started.legs] if started is not None else CHANNELS)

    def legs(self, org_id: OrgId, call_id: CallId) -> list[Json]:
        found = []
        for leg in self._reader(org_id, call_id).legs():
            rate = leg.leg.sample_rate_hz
            gaps = [
                {"start_ms": gap.start_sample * 1000 // rate, "duration_ms": gap.samples * 1000 // rate, "reason": gap.reason}
                for gap in leg.gaps
            ]
            found.append({"channel": leg.leg.channel, "sample_rate_hz": rate, "duration_ms": leg.duration_ms, "gaps": gaps})
        return found

    def wav(self, org_id: OrgId, call_id: CallId, channel: str, first: int | None, last: int | None, *, original: bool) -> FilePart:
        reader, name = self._reader(org_id, call_id, original=original), _channel(channel)
        size = reader.wav_size(name)
        start, end = _bounds(first, last, size)
        return FilePart(start=start, end=end, size=size, chunks=reader.wav_chunks(name, start, end))

    def copy(self, org_id: OrgId, call_id: CallId) -> Json | None:
        found = self._copy(org_id, call_id)
        if found is None:
            return None
        version, copy = found
        body = to_json(copy)
        return {"version": version, **{name: body[name] for name in _SHOWN}}

    def flac(self, org_id: OrgId, call_id: CallId, version: int, first: int | None, last: int | None, *, original: bool) -> FilePart:
        from streaming.recording.listening import CopyReader

        found = self._copy(org_id, call_id)
        if found is None or found[0] != version:
            raise NotFound("This listening copy is not there; ask which one is.")
        reader = CopyReader(self._media, self._store.call_cipher(org_id, call_id), org_id, call_id, found[1])
        kind: Version = "original" if original else "masked"
        size = reader.size(kind)
        start, end = _bounds(first, last, size)
        return FilePart(start=start, end=end, size=size, chunks=reader.read(kind, start, end))

    def _copy(self, org_id: OrgId, call_id: CallId) -> tuple[int, ListeningCopy] | None:
        """The newest copy with its version; None also when PII was found since and the next one is being made."""
        for artifact in self._store.calls.artifacts(org_id, call_id):
            copy = artifact.body
            if isinstance(copy, ListeningCopy) and copy.masked_bytes:
                since = read_events(self._store, org_id, call_id, copy.through_seq)
                return None if any(isinstance(item.event, Redacted) for item in since) else (artifact.version, copy)
        return None

    def peaks(self, org_id: OrgId, call_id: CallId, channel: str, buckets: int) -> list[float]:
        return self._reader(org_id, call_id).peaks(_channel(channel), buckets)


def join_again(store: Store, recovered: Iterable[RecoveredLeg]) -> int:
    """Queues a new listening copy for calls that had ended when part of their recording was found in a spool; how many. Blocking."""
    queued = 0
    for org_id, call_id in sorted({(leg.org_id, leg.call_id) for leg in recovered}):
        with suppress(Conflict, NotFound):  # a call that runs gets its copy at its end; an erased one gets none
            store.outbox.rerun(org_id, call_id, "recording")
            queued += 1
    return queued


def _bounds(first: int | None, last: int | None, size: int) -> tuple[int, int]:
    """[start, end) of a range as RFC 9110 means it; start ≥ end when it lies outside."""
    if first is None:
        return (0, size) if last is None else (max(0, size - last), size)
    return first, size if last is None else min(last + 1, size)


def _channel(name: str) -> ChannelName:
    if name not in CHANNELS:
        raise NotFound(f"There is no channel {name!r}; it is one of {', '.join(CHANNELS)}.")
    return name
