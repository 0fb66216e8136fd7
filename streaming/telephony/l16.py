"""What FreeSWITCH's audio modules, jambonz and Vonage share: a text that says what comes, then binary L16, then a close.

L16 means 16-bit signed samples here, little endian as these peers send them (not RFC 3551's network order); two channels are interleaved.
Messages may hold any number of bytes: an incomplete sample waits for the next one.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final, Literal

from copilot.domain.audio import CallStart, CallStop, ChannelName, Dtmf, LegFormat, TelephonyEvent
from copilot.domain.errors import LocalProtocolError, RemoteProtocolError
from streaming.telephony.defaults import ListenOnly
from streaming.telephony.interleaved import InterleavedAudio
from streaming.telephony.messages import BAD_PAYLOAD, DTMF_DIGITS, MAX_TEXT_CHARS, PROTOCOL_VIOLATION, TOO_BIG, UNSUPPORTED
from streaming.telephony.roles import roles_of

Mix = Literal["mono", "mixed", "stereo"]
MIXES: Final[tuple[Mix, ...]] = ("mono", "mixed", "stereo")
DEFAULT_ROLES: Final[Mapping[str, ChannelName]] = {"caller": "customer", "callee": "agent"}
_STEP_HZ: Final = 8_000
_MAX_HZ: Final = 64_000


class L16Protocol(ListenOnly, ABC):
    """Base: subclasses read the first text. ``roles`` maps ``caller`` and ``callee`` to channels (default: customer and agent)."""

    name = "l16"

    def __init__(self, roles: Mapping[str, ChannelName]) -> None:
        self._roles = roles_of(self.name, DEFAULT_ROLES, roles)
        self._audio: InterleavedAudio | None = None
        self._accepted = False
        self._stopped = False

    @property
    def timed_by_arrival(self) -> bool:
        return True  # FreeSWITCH and jambonz can pause a stream, and nothing on the wire says for how long

    @abstractmethod
    def _begin(self, text: str) -> CallStart:
        """The call that the first text announces. Raises RemoteProtocolError."""

    def _begin_unannounced(self) -> CallStart:
        """The call of a peer whose first message is audio."""
        raise RemoteProtocolError("The first message must be the text that describes the call.", code=PROTOCOL_VIOLATION)

    @abstractmethod
    def _key_pressed(self, message: dict[str, Any]) -> object:
        """What a later JSON message says was pressed, as sent; None if it is another message."""

    def receive_text(self, text: str) -> list[TelephonyEvent]:
        if len(text) > MAX_TEXT_CHARS:
            raise RemoteProtocolError(f"A text message may have at most {MAX_TEXT_CHARS} characters.", code=TOO_BIG)
        if self._stopped:
            return []  # the words of farewell that some peers send
        if self._audio is None:
            return [self._begin(text)]
        self._need_accepted()
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return []  # free text is allowed at any time and means nothing to us
        digit = self._key_pressed(message) if isinstance(message, dict) else None
        if digit is None:
            return []
        if digit not in DTMF_DIGITS:
            raise RemoteProtocolError("A DTMF message needs one key.", code=BAD_PAYLOAD)
        return [Dtmf(channel=self._audio.legs[0].channel, digit=str(digit))]

    def receive_bytes(self, data: bytes) -> list[TelephonyEvent]:
        if self._stopped:
            raise RemoteProtocolError("Audio came after the empty message that ends a call.", code=PROTOCOL_VIOLATION)
        if not data:
            self._stopped = True
            return [CallStop(reason="hangup")] if self._audio is not None else []
        if self._audio is not None:
            self._need_accepted()
            return [*self._audio.receive(data)]
        return [self._begin_unannounced(), *self._first_audio(data)]

    def _first_audio(self, data: bytes) -> list[TelephonyEvent]:
        return [*self._audio.receive(data)] if self._audio is not None else []

    def receive_eof(self) -> list[TelephonyEvent]:
        over = self._stopped or self._audio is None
        self._stopped = True
        return [] if over else [CallStop(reason="hangup")]  # an orderly close is these peers' own ending

    def accept(self, call_id: str, *, heard_samples: int = 0, resume_window_ms: int = 0) -> list[TelephonyEvent]:
        del call_id, heard_samples, resume_window_ms  # nothing may be told to this peer
        if self._audio is None or self._accepted:
            raise LocalProtocolError("accept() must come once, after the start.")
        self._accepted = True
        return []

    def _open(self, channels: tuple[ChannelName, ...], sample_rate_hz: int) -> tuple[LegFormat, ...]:
        legs = tuple(LegFormat(channel=channel, encoding="pcm_s16le", sample_rate_hz=sample_rate_hz) for channel in channels)
        self._audio = InterleavedAudio(legs)
        return legs

    def _need_accepted(self) -> None:
        if not self._accepted:
            raise LocalProtocolError("A message was read before the call was accepted: accept() must come first.")

    def _channels(self, mix: Mix) -> tuple[ChannelName, ...]:
        if mix == "mixed":
            return ("mixed",)
        caller = self._roles["caller"]
        return (caller, self._roles["callee"]) if mix == "stereo" else (caller,)


def mix_of(value: object, default: Mix = "mono") -> Mix:
    """``mono``, ``mixed`` or ``stereo`` as a peer writes it; absent is ``default``. Raises RemoteProtocolError (1003)."""
    if value is None or value == "":
        return default
    for mix in MIXES:
        if value == mix:
            return mix
    raise RemoteProtocolError("The mix must be mono, mixed or stereo.", code=UNSUPPORTED)


def rate_of(value: object, default: int = 8_000) -> int:
    """A sample rate in Hz: 8000, "16000" or "16k"; absent is ``default``. Raises RemoteProtocolError (1003)."""
    if value is None or value == "":
        return default
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    number = text.removesuffix("k")
    if number.isascii() and number.isdigit() and len(number) <= 6:
        rate = int(number) * (1_000 if text != number else 1)
        if 0 < rate <= _MAX_HZ and not rate % _STEP_HZ:
            return rate
    raise RemoteProtocolError("The sample rate must be a multiple of 8000 Hz, at most 64000.", code=UNSUPPORTED)
