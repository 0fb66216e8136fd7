"""Telephony systems to play a recording with: what each vendor's peer sends, message by message. Pure.

A caller is made for one recording and call. ``opening`` and ``closing`` are sent at once, ``frames`` one item per 20 ms.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from copilot.domain.audio import Encoding
from streaming.asterisk_callers import AsteriskCaller, AudioSocketCaller
from streaming.audiohook_caller import AudioHookCaller, audiohook_headers
from streaming.calling import CHANNELS, FRAME_MS, Caller, CallerSpec, PlainCaller, Recording, basic_headers
from streaming.telephony import asterisk_ws, freeswitch, g711, jambonz, vonage
from streaming.telephony.dialects import EXOTEL, PLIVO, SIGNALWIRE, TELNYX, TWILIO, Dialect

_TRACKS: Final = ("inbound", "outbound")
_EPOCH_MS: Final = 1_705_312_200_000
"""Any moment: what counts is that it is not 0."""


class RawCaller(PlainCaller):
    """Our own protocol (docs/reference/raw-protocol.md)."""

    answers = True
    hangs_up = False

    def __init__(self, recording: Recording, call_id: str, metadata: Mapping[str, str]) -> None:
        self._recording = recording
        plain = dict(metadata)
        self._start = {
            "type": "start",
            "call_id": call_id,
            "channels": list(CHANNELS[: recording.channels]),
            "encoding": recording.encoding,
            "sample_rate": recording.rate_hz,
            "language": plain.pop("language", "zh"),
            "metadata": plain,
            "events": True,
        }

    def opening(self) -> Iterator[str | bytes]:
        yield json.dumps(self._start)

    def frames(self) -> Iterator[list[str | bytes]]:
        for frame in self._recording.frames():
            # Row by row: that is the interleaving.
            yield [g711.encode(frame.reshape(-1), self._recording.encoding)]

    def closing(self) -> Iterator[str | bytes]:
        yield '{"type":"stop"}'


class MediaStreamCaller(PlainCaller):
    """Twilio Media Streams or a dialect of it, both tracks."""

    answers = False
    hangs_up = False

    def __init__(self, recording: Recording, call_id: str, metadata: Mapping[str, str], dialect: Dialect = TWILIO) -> None:
        self._recording = recording
        self._call_id = call_id
        self._metadata = dict(metadata)
        self._words = dialect
        self._stream = f"MZ{call_id}"
        self._sequence = 0

    def opening(self) -> Iterator[str | bytes]:
        words, recording = self._words, self._recording
        if words is not PLIVO:
            yield json.dumps(
                {"event": "connected", "protocol": "Call", "version": "1.0.0"} if words.lists_tracks else {"event": "connected"}
            )
        start: dict[str, Any] = {
            words.stream_key: self._stream,
            words.call_key: self._call_id,
            words.format_key: {
                "encoding": next(name for name, codec in words.codecs.items() if codec == recording.encoding),
                words.rate_key: str(recording.rate_hz) if words is EXOTEL else recording.rate_hz,
                "channels": 1,
            },
        }
        if words in (TWILIO, SIGNALWIRE):
            start["accountSid"] = "AC0" if words is TWILIO else "8d1c9f0e"
        if words.lists_tracks:
            start["tracks"] = list(_TRACKS[: recording.channels])
        if words is PLIVO:
            text = ";".join(f"{key}={value}" for key, value in self._metadata.items())
            yield self._message("start", start, extra_headers=text)
        else:
            yield self._message("start", start | {words.parameters_key: self._metadata})

    def frames(self) -> Iterator[list[str | bytes]]:
        for chunk, frame in enumerate(self._recording.frames()):
            messages: list[str | bytes] = []
            for channel in range(self._recording.channels):
                audio = g711.encode(np.ascontiguousarray(frame[:, channel]), self._recording.encoding)
                media = {
                    "track": _TRACKS[channel],
                    "chunk": str(chunk + 1),
                    "timestamp": str(chunk * FRAME_MS + (_EPOCH_MS if self._words.epoch_time else 0)),
                    "payload": base64.b64encode(audio).decode(),
                }
                messages.append(self._message("media", media))
            yield messages

    def closing(self) -> Iterator[str | bytes]:
        yield self._message("stop", {self._words.call_key: self._call_id})

    def _message(self, event: str, body: Mapping[str, Any], **more: str) -> str:
        self._sequence += 1
        sequence_key = "sequence_number" if self._words.format_key == "media_format" else "sequenceNumber"
        return json.dumps({"event": event, sequence_key: str(self._sequence), event: body, self._words.stream_key: self._stream} | more)


class L16Caller(PlainCaller):
    """FreeSWITCH's modules, jambonz and Vonage: one text, then L16 in binary messages of 20 ms; nothing or an empty message at the end."""

    answers = False

    def __init__(self, recording: Recording, first: Mapping[str, Any] | None, *, says_goodbye: bool) -> None:
        self._recording = recording
        self._first = first
        self.hangs_up = not says_goodbye

    def opening(self) -> Iterator[str | bytes]:
        if self._first is not None:
            yield json.dumps(self._first)

    def frames(self) -> Iterator[list[str | bytes]]:
        for frame in self._recording.frames():
            yield [frame.reshape(-1).astype("<i2", copy=False).tobytes()]

    def closing(self) -> Iterator[str | bytes]:
        if not self.hangs_up:
            yield b""


def _mix(recording: Recording) -> str:
    return "stereo" if recording.channels == 2 else "mono"


def _freeswitch(recording: Recording, call_id: str, metadata: Mapping[str, str]) -> Caller:
    return L16Caller(recording, {"uuid": call_id} | dict(metadata), says_goodbye=True)


def _jambonz(recording: Recording, call_id: str, metadata: Mapping[str, str]) -> Caller:
    first = {"callSid": call_id, "sampleRate": recording.rate_hz, "mixType": _mix(recording), "direction": "inbound"} | dict(metadata)
    return L16Caller(recording, first, says_goodbye=True)


def _vonage(recording: Recording, call_id: str, metadata: Mapping[str, str]) -> Caller:
    first = {"event": vonage.CONNECTED, "content-type": f"audio/l16;rate={recording.rate_hz}", "call_id": call_id} | dict(metadata)
    return L16Caller(recording, first, says_goodbye=False)


def _media_streams(dialect: Dialect, *, channels: int = 2, encoding: Encoding = "pcmu") -> CallerSpec:
    return CallerSpec(
        make=lambda recording, call_id, metadata: MediaStreamCaller(recording, call_id, metadata, dialect),
        channels=channels,
        encoding=encoding,
    )


CALLERS: Mapping[str, CallerSpec] = {
    "raw": CallerSpec(make=RawCaller, rates_hz=(16_000, 8_000), encoding=None),
    "twilio": _media_streams(TWILIO),
    "signalwire": _media_streams(SIGNALWIRE),
    "telnyx": _media_streams(TELNYX),
    "plivo": _media_streams(PLIVO),
    "exotel": _media_streams(EXOTEL, channels=1, encoding="pcm_s16le"),
    "freeswitch": CallerSpec(
        make=_freeswitch,
        rates_hz=(16_000, 8_000, 24_000, 32_000, 48_000),
        encoding="pcm_s16le",
        subprotocol=freeswitch.SUBPROTOCOL,
        query=lambda recording, _call_id: {"mix": _mix(recording), "sample_rate": str(recording.rate_hz)},
    ),
    "jambonz": CallerSpec(
        make=_jambonz,
        rates_hz=(16_000, 8_000, 24_000, 48_000),
        encoding="pcm_s16le",
        subprotocol=jambonz.SUBPROTOCOL,
    ),
    "vonage": CallerSpec(make=_vonage, rates_hz=(16_000, 8_000, 24_000), encoding="pcm_s16le", channels=1),
    "audiohook": CallerSpec(make=AudioHookCaller, encoding="pcmu", headers=audiohook_headers),
    "asterisk": CallerSpec(
        make=AsteriskCaller,
        rates_hz=(16_000, 8_000, 24_000, 48_000),
        encoding="pcm_s16le",
        channels=1,
        per_leg=True,
        subprotocol=asterisk_ws.SUBPROTOCOL,
        headers=basic_headers,
    ),
    "audiosocket": CallerSpec(
        make=AudioSocketCaller, rates_hz=(8_000, 16_000, 24_000, 48_000), encoding="pcm_s16le", channels=1, per_leg=True, transport="tcp"
    ),
}
