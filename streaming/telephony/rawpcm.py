"""Our own protocol: a JSON start, binary interleaved audio, a JSON stop. Reference: docs/reference/raw-protocol.md. Sans-I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from copilot.domain.audio import (
    BYTES_PER_SAMPLE,
    CHANNELS,
    ENCODINGS,
    CallStart,
    CallStop,
    ChannelName,
    Dtmf,
    Encoding,
    LegFormat,
    TelephonyEvent,
)
from copilot.domain.errors import LocalProtocolError, RemoteProtocolError
from copilot.domain.ids import is_call_id
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial
from streaming.telephony.defaults import ListenOnly
from streaming.telephony.interleaved import MAX_STREAM_MS, InterleavedAudio
from streaming.telephony.messages import (
    BAD_PAYLOAD,
    DTMF_DIGITS,
    PROTOCOL_VIOLATION,
    TRY_AGAIN_LATER,
    UNSUPPORTED,
    flat_metadata,
    language_of,
    need_str,
    parse_object,
)

RATES_HZ: Final = (8_000, 16_000)
_GAP_REASONS: Final = ("lost", "paused", "silence_suppressed")


class RawPcmProtocol(ListenOnly):
    """One connection of the raw protocol. ``roles`` may rename the peer's channel names; ours are known as they are.

    ``refused``: why there is no room for this peer, told in answer to its start.
    """

    def __init__(self, roles: Mapping[str, ChannelName], *, refused: str = "") -> None:
        self._refused = refused
        self._roles: dict[str, ChannelName] = {name: name for name in CHANNELS} | dict(roles)
        self._audio: InterleavedAudio | None = None
        self._accepted = False
        self._stopped = False
        self._wants_events = False
        self._resumable = False
        self._resumes_at: int | None = None
        self._outbox: list[str] = []

    @property
    def wants_events(self) -> bool:
        return self._wants_events

    @property
    def resumable(self) -> bool:
        return self._resumable

    @property
    def resumes_at(self) -> int | None:
        return self._resumes_at

    def receive_text(self, text: str) -> list[TelephonyEvent]:
        message = parse_object(text)
        if self._stopped:
            raise RemoteProtocolError('Nothing may follow "stop" on a connection.', code=PROTOCOL_VIOLATION)
        kind = message.get("type")
        if self._audio is None:
            if kind != "start":
                raise RemoteProtocolError('The first message must be {"type": "start", …}.', code=PROTOCOL_VIOLATION)
            if self._refused:
                raise RemoteProtocolError(self._refused, code=TRY_AGAIN_LATER)
            return [self._start(message)]
        match kind:
            case "stop":
                self._stopped = True
                return [CallStop(reason="hangup")]
            case "gap":
                return self._gap(message, self._audio)
            case "dtmf":
                return [self._dtmf(message, self._audio)]
            case "ping":
                self._queue({"type": "pong"})
                return []
            case "start":
                raise RemoteProtocolError('"start" may be sent once on a connection.', code=PROTOCOL_VIOLATION)
        raise RemoteProtocolError('"type" must be one of stop, gap, dtmf, ping after the start.', code=PROTOCOL_VIOLATION)

    def receive_bytes(self, data: bytes) -> list[TelephonyEvent]:
        if self._audio is None:
            raise RemoteProtocolError('Audio may come only after {"type": "start", …}.', code=PROTOCOL_VIOLATION)
        if self._stopped:
            raise RemoteProtocolError('Nothing may follow "stop" on a connection.', code=PROTOCOL_VIOLATION)
        if not self._accepted:
            raise LocalProtocolError("Audio was read before the call was accepted: accept() must come first.")
        return [*self._audio.receive(data)]

    def receive_eof(self) -> list[TelephonyEvent]:
        self._stopped = True
        return []

    def accept(self, call_id: str, *, heard_samples: int = 0, resume_window_ms: int = 0) -> list[TelephonyEvent]:
        if self._audio is None or self._accepted:
            raise LocalProtocolError("accept() must come once, after the start.")
        self._accepted = True
        answer: dict[str, Any] = {
            "type": "started",
            "call_id": call_id,
            "expected_offset_bytes": heard_samples * self._audio.frame_bytes,
            "resume_window_ms": resume_window_ms if self._resumable else 0,
        }
        self._queue(answer)
        self._audio.next_sample = heard_samples
        if self._resumes_at is None:
            return []
        missing = self._resumes_at - heard_samples
        if missing <= 0:
            # The peer repeats what we have: it is dropped, so that no sample counts twice.
            self._audio.skip_samples = -missing
            return []
        return [*self._audio.gap(missing, "reconnect")]

    def queue_event(self, event: TranscriptPartial | TranscriptFinal) -> None:
        if not self._wants_events:
            return
        body: dict[str, Any] = {
            "type": "partial" if isinstance(event, TranscriptPartial) else "final",
            "channel": event.channel,
            "utterance_id": event.utterance_id,
            "start_ms": event.start_ms,
            "end_ms": event.end_ms,
            "language": event.language,
        }
        if isinstance(event, TranscriptPartial):
            body |= {"stable": event.stable, "unstable": event.unstable}
        else:
            body |= {"text": event.text, "confidence": round(event.confidence, 4)}
        self._queue(body)

    def queue_stopped(self, duration_ms: int) -> None:
        self._queue({"type": "stopped", "duration_ms": duration_ms})

    def queue_error(self, message: str, code: int) -> None:
        self._queue({"type": "error", "code": code, "message": message})

    def messages_to_send(self) -> list[str]:
        messages, self._outbox = self._outbox, []
        return messages

    def _queue(self, body: dict[str, Any]) -> None:
        self._outbox.append(json.dumps(body, ensure_ascii=False, separators=(",", ":")))

    def _start(self, message: dict[str, Any]) -> CallStart:
        call_id = need_str(message, "call_id", "start")
        if not is_call_id(call_id):
            raise RemoteProtocolError(
                '"call_id" must be 1–128 letters, digits or . _ : - and begin with a letter or digit.', code=BAD_PAYLOAD
            )
        encoding = message.get("encoding", "pcm_s16le")
        if encoding not in ENCODINGS:
            raise RemoteProtocolError(f'"encoding" must be one of {", ".join(ENCODINGS)}.', code=UNSUPPORTED)
        rate = message.get("sample_rate")
        if isinstance(rate, bool) or rate not in RATES_HZ or not isinstance(rate, int):
            raise RemoteProtocolError('"sample_rate" must be 8000 or 16000.', code=UNSUPPORTED)
        legs = tuple(
            LegFormat(channel=channel, encoding=cast("Encoding", encoding), sample_rate_hz=rate)
            for channel in self._channels(message.get("channels"))
        )
        for flag in ("events", "resumable"):
            if not isinstance(message.get(flag, False), bool):
                raise RemoteProtocolError(f'"{flag}" must be true or false.', code=BAD_PAYLOAD)
        frame_bytes = BYTES_PER_SAMPLE[cast("Encoding", encoding)] * len(legs)
        resume = message.get("resume")
        if resume is not None:
            self._resumes_at = _resume_frames(resume, frame_bytes)
            if self._resumes_at * 1000 // rate > MAX_STREAM_MS:
                raise RemoteProtocolError('"resume" lies more than 24 hours after the start.', code=BAD_PAYLOAD)
        language = language_of(message.get("language"))
        metadata = flat_metadata(message.get("metadata"), "metadata")
        self._wants_events = message.get("events", False)
        self._resumable = message.get("resumable", False) or resume is not None
        self._audio = InterleavedAudio(legs)
        return CallStart(external_id=call_id, legs=legs, language=language, metadata=metadata)

    def _channels(self, names: object) -> list[ChannelName]:
        if not isinstance(names, list) or len(names) not in {1, 2} or not all(isinstance(name, str) for name in names):
            raise RemoteProtocolError('"channels" must list one or two channel names.', code=BAD_PAYLOAD)
        channels = [self._roles[name] for name in names if name in self._roles]
        if len(channels) != len(names) or len(set(channels)) != len(names):
            known = ", ".join(self._roles)
            raise RemoteProtocolError(f'"channels" must be different names out of {known}.', code=BAD_PAYLOAD)
        return channels

    def _gap(self, message: dict[str, Any], audio: InterleavedAudio) -> list[TelephonyEvent]:
        duration, reason = message.get("duration_ms"), message.get("reason", "paused")
        if not isinstance(duration, int) or isinstance(duration, bool) or not 0 < duration <= MAX_STREAM_MS:
            raise RemoteProtocolError('"gap" needs "duration_ms" as a positive whole number of at most 24 hours.', code=BAD_PAYLOAD)
        if reason not in _GAP_REASONS:
            raise RemoteProtocolError(f'"reason" of a gap must be one of {", ".join(_GAP_REASONS)}.', code=BAD_PAYLOAD)
        return [*audio.gap(duration * audio.legs[0].sample_rate_hz // 1000, cast("Any", reason))]

    def _dtmf(self, message: dict[str, Any], audio: InterleavedAudio) -> Dtmf:
        channel, digit = message.get("channel"), message.get("digit")
        legs = {name: leg.channel for leg in audio.legs for name, role in self._roles.items() if role == leg.channel}
        if not isinstance(channel, str) or channel not in legs or digit not in DTMF_DIGITS:
            raise RemoteProtocolError('"dtmf" needs one of the call\'s channels and one key as "digit".', code=BAD_PAYLOAD)
        return Dtmf(channel=legs[channel], digit=cast("str", digit))


def _resume_frames(resume: object, frame_bytes: int) -> int:
    offset = resume.get("offset_bytes") if isinstance(resume, dict) else None
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0 or offset % frame_bytes:
        raise RemoteProtocolError(
            f'"resume" needs "offset_bytes": a whole number of frames of {frame_bytes} bytes, counted from the start of the call.',
            code=BAD_PAYLOAD,
        )
    return offset // frame_bytes
