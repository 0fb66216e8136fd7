"""Asterisk's websocket channel (chan_websocket, 22.6 and later): one leg of a call, control as text, media as binary. Sans-I/O.

The control messages come as plain words (``MEDIA_START channel_id:… format:slin16 …``) or, with the option ``f(json)``, as JSON; the first
message says which. JSON can carry channel variables: ``PANGTING_CALL`` (the id that the legs of a call share), ``PANGTING_LEG``
(``customer`` or ``agent``) and further ``PANGTING_…`` ones, which become metadata. ``connection_id`` is the name of a configuration, and
query parameters can be those of an earlier call: neither names a call. There is no stop message: the call ends with the connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from copilot.domain.audio import CHANNELS, CallStart, CallStop, ChannelName, Dtmf, Encoding, LegFormat, TelephonyEvent
from copilot.domain.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from copilot.domain.ids import is_call_id
from streaming.telephony.defaults import ListenOnly
from streaming.telephony.interleaved import InterleavedAudio
from streaming.telephony.messages import (
    BAD_PAYLOAD,
    DTMF_DIGITS,
    MAX_METADATA_ENTRIES,
    MAX_TEXT_CHARS,
    PROTOCOL_VIOLATION,
    TOO_BIG,
    UNSUPPORTED,
    is_plain,
    language_of,
    loose_metadata,
    parse_object,
)

SUBPROTOCOL: Final = "media"
VARIABLE_PREFIX: Final = "PANGTING_"
FORMATS: Final[Mapping[str, tuple[Encoding, int]]] = {
    "ulaw": ("pcmu", 8_000),
    "alaw": ("pcma", 8_000),
    "slin": ("pcm_s16le", 8_000),
    "slin12": ("pcm_s16le", 12_000),
    "slin16": ("pcm_s16le", 16_000),
    "slin24": ("pcm_s16le", 24_000),
    "slin32": ("pcm_s16le", 32_000),
    "slin44": ("pcm_s16le", 44_100),
    "slin48": ("pcm_s16le", 48_000),
    "slin96": ("pcm_s16le", 96_000),
    "slin192": ("pcm_s16le", 192_000),
}
_EVENT: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class AsteriskWsProtocol(ListenOnly):
    """One channel. ``roles`` maps the values of PANGTING_LEG, and ``media`` for a channel that has none (default: mixed).

    ``legs``: what the integration joins into one call; without them a channel is a call of its own.
    """

    def __init__(self, roles: Mapping[str, ChannelName], legs: tuple[ChannelName, ...] = ()) -> None:
        if not set(roles.values()) <= set(CHANNELS):
            raise ConfigError(f"Channel roles of an asterisk integration must map to {', '.join(CHANNELS)}.")
        self._roles: dict[str, ChannelName] = {"media": "mixed", "customer": "customer", "agent": "agent", "mixed": "mixed"}
        self._roles |= roles
        self._legs = legs
        self._json = False
        self._audio: InterleavedAudio | None = None
        self._accepted = False
        self._stopped = False
        self.may_send = True
        """False between MEDIA_XOFF and MEDIA_XON: Asterisk's queue of media for the channel is full."""

    @property
    def timed_by_arrival(self) -> bool:
        return True

    def receive_text(self, text: str) -> list[TelephonyEvent]:
        if len(text) > MAX_TEXT_CHARS:
            raise RemoteProtocolError(f"A text message may have at most {MAX_TEXT_CHARS} characters.", code=TOO_BIG)
        if self._audio is None:
            self._json = text.lstrip().startswith("{")
        event, fields = self._parse(text)
        if self._audio is None:
            if event != "MEDIA_START":
                raise RemoteProtocolError("The first message must be MEDIA_START.", code=PROTOCOL_VIOLATION)
            return [self._start(fields)]
        if not self._accepted:
            raise LocalProtocolError("A message was read before the call was accepted: accept() must come first.")
        match event:
            case "MEDIA_START":
                raise RemoteProtocolError("MEDIA_START may be sent once on a connection.", code=PROTOCOL_VIOLATION)
            case "MEDIA_XOFF" | "MEDIA_XON":
                self.may_send = event == "MEDIA_XON"
            case "DTMF_END":
                digit = fields.get("digit")
                if digit not in DTMF_DIGITS:
                    raise RemoteProtocolError("DTMF_END needs one key as digit.", code=BAD_PAYLOAD)
                return [Dtmf(channel=self._audio.legs[0].channel, digit=str(digit))]
        return []  # statuses and answers, and whatever Asterisk adds: a call must not die of news

    def receive_bytes(self, data: bytes) -> list[TelephonyEvent]:
        if self._audio is None:
            raise RemoteProtocolError("Media may come only after MEDIA_START.", code=PROTOCOL_VIOLATION)
        if not self._accepted:
            raise LocalProtocolError("Audio was read before the call was accepted: accept() must come first.")
        return [*self._audio.receive(data)]

    def receive_eof(self) -> list[TelephonyEvent]:
        if self._stopped or self._audio is None:
            return []
        self._stopped = True
        return [CallStop(reason="hangup")]

    def accept(self, call_id: str, *, heard_samples: int = 0, resume_window_ms: int = 0) -> list[TelephonyEvent]:
        del call_id, heard_samples, resume_window_ms
        if self._audio is None or self._accepted:
            raise LocalProtocolError("accept() must come once, after the start.")
        self._accepted = True
        return []

    def _parse(self, text: str) -> tuple[str, dict[str, Any]]:
        """The event's name and its fields."""
        if self._json:
            message = parse_object(text)
            event = message.get("event")
            if not isinstance(event, str) or not _EVENT.fullmatch(event):
                raise RemoteProtocolError('A JSON message needs "event" in capitals.', code=BAD_PAYLOAD)
            return event, message
        event, *words = text.split() or [""]
        if not _EVENT.fullmatch(event):
            raise RemoteProtocolError("A text message must begin with an event in capitals.", code=BAD_PAYLOAD)
        return event, {name: value for name, colon, value in (word.partition(":") for word in words) if colon}

    def _start(self, fields: dict[str, Any]) -> CallStart:
        channel_id, form = fields.get("channel_id"), fields.get("format")
        if not isinstance(channel_id, str) or not is_call_id(channel_id):
            raise RemoteProtocolError("MEDIA_START needs channel_id: 1–128 letters, digits or . _ : -.", code=BAD_PAYLOAD)
        if not isinstance(form, str) or form not in FORMATS:
            raise RemoteProtocolError(f"The format must be one of {', '.join(FORMATS)}: set it with c(…).", code=UNSUPPORTED)
        metadata = self._metadata(fields)
        shared = metadata.pop("call", "")
        role = metadata.pop("leg", "media")
        if role not in self._roles:
            raise RemoteProtocolError(f"PANGTING_LEG must be one of {', '.join(self._roles)}.", code=BAD_PAYLOAD)
        if shared and not is_call_id(shared):
            raise RemoteProtocolError("PANGTING_CALL must be 1–128 letters, digits or . _ : -.", code=BAD_PAYLOAD)
        encoding, rate_hz = FORMATS[form]
        leg = LegFormat(channel=self._roles[role], encoding=encoding, sample_rate_hz=rate_hz)
        self._audio = InterleavedAudio((leg,))
        external_id = shared if shared and self._legs else channel_id
        return CallStart(external_id=external_id, legs=(leg,), language=language_of(metadata.get("language")), metadata=metadata)

    @staticmethod
    def _metadata(fields: dict[str, Any]) -> dict[str, str]:
        variables = fields.get("channel_variables")
        found = loose_metadata(variables) if isinstance(variables, dict) else {}
        # A variable that the dialplan inherits to other channels still has its one or two underscores in the message.
        found = {name.lstrip("_"): value for name, value in found.items()}
        ours = {name.removeprefix(VARIABLE_PREFIX).lower(): value for name, value in found.items() if name.startswith(VARIABLE_PREFIX)}
        ours.pop("", None)
        rest = {name: value for name, value in found.items() if not name.startswith(VARIABLE_PREFIX) and name not in ours}
        about = {name: str(fields[name]) for name in ("channel", "channel_id") if isinstance(fields.get(name), str)}
        everything = ours | {name: value[:512] for name, value in about.items() if name not in ours and is_plain(value)} | rest
        return dict(list(everything.items())[:MAX_METADATA_ENTRIES])
