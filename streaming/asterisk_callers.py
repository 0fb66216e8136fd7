"""Asterisk as a caller: one connection for each leg, by AudioSocket or by its websocket channel."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping

from streaming.calling import PlainCaller, Recording, uuid_of_name
from streaming.telephony import audiosocket, g711
from streaming.telephony.asterisk_ws import FORMATS, VARIABLE_PREFIX


class AsteriskCaller(PlainCaller):
    """A websocket channel with JSON control messages. ``leg`` of the metadata becomes PANGTING_LEG, ``call_id`` PANGTING_CALL."""

    answers = False
    hangs_up = True

    def __init__(self, recording: Recording, call_id: str, metadata: Mapping[str, str]) -> None:
        self._recording = recording
        leg = metadata.get("leg", "customer")
        form = next(name for name, wire in FORMATS.items() if wire == (recording.encoding, recording.rate_hz))
        variables = {"call": call_id, "leg": leg} | dict(metadata)
        self._start = {
            "event": "MEDIA_START",
            "connection_id": "pangting",
            "channel": f"WebSocket/pangting/{call_id}-{leg}",
            "channel_id": f"{call_id}-{leg}"[:128],
            "format": form,
            "ptime": 20,
            "channel_variables": {VARIABLE_PREFIX + name.upper(): value for name, value in variables.items()},
        }

    def opening(self) -> Iterator[str | bytes]:
        yield json.dumps(self._start)

    def frames(self) -> Iterator[list[str | bytes]]:
        for frame in self._recording.frames():
            yield [g711.encode(frame.reshape(-1), self._recording.encoding)]

    def closing(self) -> Iterator[str | bytes]:
        return iter(())


class AudioSocketCaller(PlainCaller):
    """An AudioSocket stream; ``call_id`` is the UUID that was announced (another id stands for the same UUID each time)."""

    answers = False
    hangs_up = True

    def __init__(self, recording: Recording, call_id: str, metadata: Mapping[str, str]) -> None:
        del metadata  # an announcement carries it
        self._recording = recording
        self._identity = uuid.UUID(uuid_of_name(call_id)).bytes
        self._kind = next(kind for kind, rate in audiosocket.RATES_HZ.items() if rate == recording.rate_hz)

    def opening(self) -> Iterator[str | bytes]:
        yield audiosocket.frame(audiosocket.IDENTITY, self._identity)

    def frames(self) -> Iterator[list[str | bytes]]:
        for frame in self._recording.frames():
            yield [audiosocket.frame(self._kind, g711.encode(frame.reshape(-1), "pcm_s16le"))]

    def closing(self) -> Iterator[str | bytes]:
        yield audiosocket.frame(audiosocket.HANGUP)

    def hear(self, message: str | bytes) -> list[str | bytes]:
        del message
        return []  # silence, so that the line is not taken for dead
