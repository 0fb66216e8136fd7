"""Twilio Media Streams and its relatives, one-way or bidirectional seen as one-way: we never send. Sans-I/O.

One conversation for all: ``connected``, ``start``, ``media`` with base64 audio per track, ``dtmf``, ``stop``. How a vendor spells it is its
``Dialect``; numbers are taken as strings or as numbers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from copilot.domain.audio import CallStart, CallStop, ChannelName, Dtmf, Encoding, LegFormat, TelephonyEvent
from copilot.domain.errors import LocalProtocolError, RemoteProtocolError
from copilot.domain.ids import is_call_id
from streaming.telephony.chunks import ChunkedTrack
from streaming.telephony.defaults import ListenOnly
from streaming.telephony.dialects import TWILIO, Dialect
from streaming.telephony.interleaved import MAX_STREAM_MS
from streaming.telephony.messages import (
    BAD_PAYLOAD,
    MAX_METADATA_VALUE,
    PROTOCOL_VIOLATION,
    UNSUPPORTED,
    flat_metadata,
    is_plain,
    language_of,
    need_object,
    need_str,
    parse_object,
    whole_number,
)
from streaming.telephony.roles import roles_of

RATE_HZ: Final = 8_000
_MAX_RATE_HZ: Final = 48_000
_MAX_COUNT: Final = 1 << 53
_DIGITS: Final = frozenset("0123456789*#ABCDW")


class TwilioProtocol(ListenOnly):
    """One stream. ``roles`` maps the tracks ``inbound`` and ``outbound`` to channels (default: customer and agent)."""

    def __init__(self, roles: Mapping[str, ChannelName], dialect: Dialect = TWILIO) -> None:
        self._dialect = dialect
        if not dialect.lists_tracks and roles:
            # The vendor does not say which tracks come, so the integration does: the ones that it names.
            self._roles = roles_of(dialect.name, {name: role for name, role in TWILIO.roles.items() if name in roles}, roles)
        else:
            self._roles = roles_of(dialect.name, dialect.roles, roles)
        self._connected = False
        self._stream = ""
        self._accepted = False
        self._stopped = False
        self._epoch_ms: int | None = None
        self._tracks: dict[str, ChunkedTrack] = {}

    def receive_text(self, text: str) -> list[TelephonyEvent]:
        message = parse_object(text)
        event = need_str(message, "event", "message")
        if self._stopped:
            raise RemoteProtocolError('Nothing may follow "stop" on a stream.', code=PROTOCOL_VIOLATION)
        if event == "connected":
            if self._connected or self._stream:
                raise RemoteProtocolError('"connected" may be sent once, before the start.', code=PROTOCOL_VIOLATION)
            self._connected = True
            return []
        if self._dialect.needs_connected and not self._connected:
            raise RemoteProtocolError('The first message must be "connected".', code=PROTOCOL_VIOLATION)
        if event == "start":
            return [self._start(message)]
        if not self._stream:
            raise RemoteProtocolError(f'"start" must come before "{event[:32]}".', code=PROTOCOL_VIOLATION)
        key = self._dialect.stream_key
        if message.get(key, self._stream) != self._stream:
            raise RemoteProtocolError(f'"{key}" changed within a stream.', code=PROTOCOL_VIOLATION)
        if not self._accepted:
            raise LocalProtocolError("Media was read before the call was accepted: accept() must come first.")
        match event:
            case "media":
                return self._media(need_object(message, "media", "media"))
            case "dtmf":
                return self._dtmf(need_object(message, "dtmf", "dtmf"))
            case "stop":
                self._stopped = True
                return [*self._release_all(), CallStop(reason="hangup")]
        # Marks, and whatever the vendor adds: a stream must not die of news.
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
        words = self._dialect
        start = need_object(message, "start", "start")
        stream = message.get(words.stream_key) or start.get(words.stream_key)
        if not isinstance(stream, str) or len(stream) > 128:
            raise RemoteProtocolError(f'"start" needs "{words.stream_key}" as a string.', code=BAD_PAYLOAD)
        call_id = need_str(start, words.call_key, "start")
        if not is_call_id(call_id):
            raise RemoteProtocolError(
                f'"{words.call_key}" must be 1–128 letters, digits or . _ : - and begin with a letter or digit.', code=BAD_PAYLOAD
            )
        encoding, rate = self._format(need_object(start, words.format_key, "start"))
        tracks = _tracks(start.get("tracks")) if words.lists_tracks else list(self._roles)
        given = start.get(words.parameters_key, message.get(words.parameters_key))
        metadata = flat_metadata(_parameters(given), words.parameters_key)
        for key, name in words.parties.items():
            value = start.get(key)
            if isinstance(value, str) and 0 < len(value) <= MAX_METADATA_VALUE and is_plain(value):
                metadata.setdefault(name, value)
        language = language_of(metadata.get("language"))
        self._tracks = {name: ChunkedTrack(LegFormat(channel=self._roles[name], encoding=encoding, sample_rate_hz=rate)) for name in tracks}
        self._stream = stream
        return CallStart(
            external_id=call_id, legs=tuple(track.leg for track in self._tracks.values()), language=language, metadata=metadata
        )

    def _format(self, media: dict[str, Any]) -> tuple[Encoding, int]:
        words = self._dialect
        name, _, parameter = str(media.get("encoding")).lower().replace(" ", "").partition(";")
        encoding = words.codecs.get(name)
        rate = whole_number(media.get(words.rate_key, parameter.removeprefix("rate=") or RATE_HZ), _MAX_RATE_HZ)
        wide = words.any_rate and encoding == "pcm_s16le"
        fits = rate is not None and rate > 0 and (rate % RATE_HZ == 0 if wide else rate == RATE_HZ)
        if encoding is None or rate is None or not fits or whole_number(media.get("channels", 1), 1) != 1:
            raise RemoteProtocolError(
                f'"{words.format_key}" must be {" or ".join(words.codecs)}, {words.rate_key} 8000'
                f"{' (or n × 8000 up to 48000 for PCM)' if words.any_rate else ''}, channels 1.",
                code=UNSUPPORTED,
            )
        return encoding, rate

    def _media(self, media: dict[str, Any]) -> list[TelephonyEvent]:
        name = media.get("track", "inbound")
        track = self._tracks.get(name.removesuffix("_track")) if isinstance(name, str) else None
        if track is None:
            raise RemoteProtocolError(
                f'"track" of media must be one of the started tracks: {", ".join(self._tracks)}.', code=PROTOCOL_VIOLATION
            )
        chunk = _number(media, "chunk", _MAX_COUNT)
        timestamp = _number(media, "timestamp", _MAX_COUNT if self._dialect.epoch_time else MAX_STREAM_MS)
        if self._dialect.epoch_time:
            self._epoch_ms = timestamp if self._epoch_ms is None else self._epoch_ms
            timestamp -= self._epoch_ms
        payload = media.get("payload")
        try:
            if not isinstance(payload, str):
                raise ValueError
            audio = base64.b64decode(payload, validate=True)
        except (ValueError, binascii.Error):
            raise RemoteProtocolError('"payload" of media must be base64.', code=BAD_PAYLOAD) from None
        return [*track.receive(chunk, timestamp, audio)]

    def _release_all(self) -> list[TelephonyEvent]:
        return [event for track in self._tracks.values() for event in track.flush()]

    def _dtmf(self, dtmf: dict[str, Any]) -> list[TelephonyEvent]:
        name = str(dtmf.get("track", next(iter(self._tracks)))).removesuffix("_track")
        digit = dtmf.get("digit")
        track = self._tracks.get(name)
        if track is None or not isinstance(digit, str) or digit not in _DIGITS:
            raise RemoteProtocolError('"dtmf" needs one of the started tracks and one key as "digit".', code=BAD_PAYLOAD)
        return [Dtmf(channel=track.leg.channel, digit=digit)]


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
            plain = list(TWILIO.roles)
        if set(plain) <= set(TWILIO.roles) and len(set(plain)) == len(plain):
            return plain
    raise RemoteProtocolError('"tracks" must list inbound, outbound or both.', code=BAD_PAYLOAD)


def _parameters(given: object) -> object:
    """Custom parameters as an object, whatever they come as: a list of ``{name, value}``, or the text of Plivo's extra headers."""
    if isinstance(given, list) and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in given):
        return {item["name"]: item.get("value") for item in given}
    return _header_pairs(given) if isinstance(given, str) else given


def _header_pairs(text: str) -> dict[str, str]:
    """``a=1;b=2`` (or with commas, or in braces), as Plivo passes the extra headers of its XML."""
    pairs = (part.partition("=") for part in text.strip().strip("{}").replace(",", ";").split(";"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals and key.strip()}


def _number(message: dict[str, Any], key: str, limit: int) -> int:
    """A whole number in [0, limit], as Twilio sends it (a string of digits) or as JSON number."""
    value = whole_number(message.get(key), limit)
    if value is None:
        raise RemoteProtocolError(f'"{key}" of media must be a whole number in a string.', code=BAD_PAYLOAD)
    return value
