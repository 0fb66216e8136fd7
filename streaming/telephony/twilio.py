"""Twilio Media Streams, one-way (``<Start><Stream>``) or bidirectional seen as one-way: we never send. Sans-I/O.

Messages as Twilio documents them ("Media Streams – WebSocket Messages"): every number is a string, audio is μ-law, 8 kHz, mono per track.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from copilot.domain.audio import CHANNELS, CallStart, CallStop, ChannelName, Dtmf, LegFormat, MediaFrame, MediaGap, TelephonyEvent
from copilot.domain.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from copilot.domain.ids import is_call_id
from streaming.telephony.defaults import ListenOnly
from streaming.telephony.messages import (
    BAD_PAYLOAD,
    PROTOCOL_VIOLATION,
    UNSUPPORTED,
    flat_metadata,
    language_of,
    need_object,
    need_str,
    parse_object,
)

RATE_HZ: Final = 8_000
DEFAULT_ROLES: Final[Mapping[str, ChannelName]] = {"inbound": "customer", "outbound": "agent"}
MAX_STREAM_MS: Final = 24 * 3_600_000
REORDER_CHUNKS: Final = 5
"""How many later chunks of a track are held back for a missing one (100 ms at the usual 20 ms) before it counts as lost."""
JITTER_SAMPLES: Final = 40 * RATE_HZ // 1000
"""A timestamp this near to the samples counted so far is rounding, not silence."""
_DIGITS: Final = frozenset("0123456789*#ABCDW")


@dataclass(slots=True)
class _Track:
    channel: ChannelName
    next_sample: int = 0
    next_chunk: int = 0
    """0 until the first chunk: streams are allowed to begin with any number."""
    held: dict[int, tuple[int, bytes]] = field(default_factory=dict)


class TwilioProtocol(ListenOnly):
    """One stream. ``roles`` maps the tracks ``inbound`` and ``outbound`` to channels (default: customer and agent)."""

    def __init__(self, roles: Mapping[str, ChannelName]) -> None:
        self._roles: dict[str, ChannelName] = dict(DEFAULT_ROLES) | dict(roles)
        if set(self._roles) != set(DEFAULT_ROLES) or len(set(self._roles.values())) != 2 or not set(self._roles.values()) <= set(CHANNELS):
            raise ConfigError("Channel roles of a twilio integration must map inbound and outbound to two different channels.")
        self._connected = False
        self._stream = ""
        self._accepted = False
        self._stopped = False
        self._tracks: dict[str, _Track] = {}

    def receive_text(self, text: str) -> list[TelephonyEvent]:
        message = parse_object(text)
        event = need_str(message, "event", "message")
        if self._stopped:
            raise RemoteProtocolError('Nothing may follow "stop" on a stream.', code=PROTOCOL_VIOLATION)
        if event == "connected":
            if self._connected:
                raise RemoteProtocolError('"connected" may be sent once.', code=PROTOCOL_VIOLATION)
            self._connected = True
            return []
        if not self._connected:
            raise RemoteProtocolError('The first message must be "connected".', code=PROTOCOL_VIOLATION)
        if event == "start":
            return [self._start(message)]
        if not self._stream:
            raise RemoteProtocolError(f'"start" must come before "{event[:32]}".', code=PROTOCOL_VIOLATION)
        if message.get("streamSid", self._stream) != self._stream:
            raise RemoteProtocolError('"streamSid" changed within a stream.', code=PROTOCOL_VIOLATION)
        if not self._accepted:
            raise LocalProtocolError("Media was read before the call was accepted: accept() must come first.")
        match event:
            case "media":
                return self._media(need_object(message, "media", "media"))
            case "dtmf":
                return [self._dtmf(need_object(message, "dtmf", "dtmf"))]
            case "stop":
                self._stopped = True
                return [*self._release_all(), CallStop(reason="hangup")]
        # Marks, and whatever Twilio adds: a stream must not die of news.
        return []

    def receive_bytes(self, data: bytes) -> list[TelephonyEvent]:
        raise RemoteProtocolError(
            f"This protocol has no binary messages ({len(data)} bytes came): send media as base64 in JSON.", code=UNSUPPORTED
        )

    def receive_eof(self) -> list[TelephonyEvent]:
        if self._stopped:
            return []
        self._stopped = True
        return self._release_all()

    def accept(self, call_id: str, *, heard_samples: int = 0, resume_window_ms: int = 0) -> list[TelephonyEvent]:
        del call_id, heard_samples, resume_window_ms  # nothing may be told to this peer
        if not self._stream or self._accepted:
            raise LocalProtocolError("accept() must come once, after the start.")
        self._accepted = True
        return []

    def _start(self, message: dict[str, Any]) -> CallStart:
        if self._stream:
            raise RemoteProtocolError('"start" may be sent once on a stream.', code=PROTOCOL_VIOLATION)
        start = need_object(message, "start", "start")
        stream = message.get("streamSid") or start.get("streamSid")
        if not isinstance(stream, str) or len(stream) > 128:
            raise RemoteProtocolError('"start" needs "streamSid" as a string.', code=BAD_PAYLOAD)
        call_sid = need_str(start, "callSid", "start")
        if not is_call_id(call_sid):
            raise RemoteProtocolError(
                '"callSid" must be 1–128 letters, digits or . _ : - and begin with a letter or digit.', code=BAD_PAYLOAD
            )
        media = need_object(start, "mediaFormat", "start")
        encoding, rate, channels = media.get("encoding"), str(media.get("sampleRate")), str(media.get("channels"))
        if (encoding, rate, channels) != ("audio/x-mulaw", "8000", "1"):
            raise RemoteProtocolError('"mediaFormat" must be audio/x-mulaw, sampleRate 8000, channels 1.', code=UNSUPPORTED)
        tracks = _tracks(start.get("tracks"))
        metadata = flat_metadata(start.get("customParameters"), "customParameters")
        language = language_of(metadata.get("language"))
        self._tracks = {name: _Track(channel=self._roles[name]) for name in tracks}
        self._stream = stream
        legs = tuple(LegFormat(channel=track.channel, encoding="pcmu", sample_rate_hz=RATE_HZ) for track in self._tracks.values())
        return CallStart(external_id=call_sid, legs=legs, language=language, metadata=metadata)

    def _media(self, media: dict[str, Any]) -> list[TelephonyEvent]:
        name = media.get("track", "inbound")
        track = self._tracks.get(name) if isinstance(name, str) else None
        if track is None:
            raise RemoteProtocolError(
                f'"track" of media must be one of the started tracks: {", ".join(self._tracks)}.', code=PROTOCOL_VIOLATION
            )
        chunk = _number(media, "chunk", 1 << 53)
        timestamp = _number(media, "timestamp", MAX_STREAM_MS)
        payload = media.get("payload")
        try:
            if not isinstance(payload, str):
                raise ValueError
            audio = base64.b64decode(payload, validate=True)
        except (ValueError, binascii.Error):
            raise RemoteProtocolError('"payload" of media must be base64.', code=BAD_PAYLOAD) from None
        if chunk < track.next_chunk or chunk in track.held:
            return []  # a duplicate, or one that came after it was given up
        track.held[chunk] = (timestamp, audio)
        return self._release(track, give_up=len(track.held) > REORDER_CHUNKS)

    def _release(self, track: _Track, *, give_up: bool) -> list[TelephonyEvent]:
        """Hands out held chunks in order; ``give_up`` counts a missing one as lost once."""
        events: list[TelephonyEvent] = []
        while track.held:
            chunk = min(track.held)
            lost = chunk - track.next_chunk if track.next_chunk else 0
            if lost and not give_up:
                break
            give_up = give_up and not lost
            timestamp, audio = track.held.pop(chunk)
            ahead = timestamp * RATE_HZ // 1000 - track.next_sample
            # Samples are the truth; the timestamp speaks only where samples are missing.
            missing = 0
            if lost:
                missing = ahead if ahead > 0 else lost * len(audio)
            elif ahead > JITTER_SAMPLES:
                missing = ahead
            if missing:
                reason: Literal["lost", "silence_suppressed"] = "lost" if lost else "silence_suppressed"
                events.append(MediaGap(channel=track.channel, start_sample=track.next_sample, samples=missing, reason=reason))
                track.next_sample += missing
            track.next_chunk = chunk + 1
            if audio:
                events.append(MediaFrame(channel=track.channel, start_sample=track.next_sample, payload=audio))
                track.next_sample += len(audio)
            if track.next_sample * 1000 // RATE_HZ > MAX_STREAM_MS:
                raise RemoteProtocolError("A call may last at most 24 hours: start a new one.", code=PROTOCOL_VIOLATION)
        return events

    def _release_all(self) -> list[TelephonyEvent]:
        events: list[TelephonyEvent] = []
        for track in self._tracks.values():
            while track.held:
                events += self._release(track, give_up=True)
        return events

    def _dtmf(self, dtmf: dict[str, Any]) -> Dtmf:
        name = str(dtmf.get("track", "inbound")).removesuffix("_track")
        digit = dtmf.get("digit")
        track = self._tracks.get(name)
        if track is None or not isinstance(digit, str) or digit not in _DIGITS:
            raise RemoteProtocolError('"dtmf" needs one of the started tracks and one key as "digit".', code=BAD_PAYLOAD)
        return Dtmf(channel=track.channel, digit=digit)


def signature(auth_token: str, url: str) -> str:
    """``X-Twilio-Signature`` of a websocket handshake: base64(HMAC-SHA1(auth token, exact URL as configured at Twilio))."""
    return base64.b64encode(hmac.new(auth_token.encode(), url.encode(), hashlib.sha1).digest()).decode()


def signature_matches(auth_token: str, url: str, given: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(signature(auth_token, url).encode(), given.encode())


def _tracks(names: object) -> list[str]:
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        plain = [str(name).removesuffix("_track") for name in names]
        if plain == ["both_tracks"]:
            plain = list(DEFAULT_ROLES)
        if set(plain) <= set(DEFAULT_ROLES) and len(set(plain)) == len(plain):
            return plain
    raise RemoteProtocolError('"tracks" must list inbound, outbound or both.', code=BAD_PAYLOAD)


def _number(message: dict[str, Any], key: str, limit: int) -> int:
    """A whole number in [0, limit], as Twilio sends it (a string of digits) or as JSON number."""
    value = message.get(key)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise RemoteProtocolError(f'"{key}" of media must be a whole number in a string.', code=BAD_PAYLOAD)
    return value
