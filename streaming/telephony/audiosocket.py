"""Asterisk AudioSocket: a TCP stream of small frames, one leg of a call. Sans-I/O.

A frame is type (1 byte), length (2 bytes, big endian), payload. The first one holds the UUID that the dialplan was given; it is the only
credential, so it must have been announced. There are no timestamps, and nothing at all is sent while the far end has no media.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from copilot.domain.audio import CHANNELS, CallStart, CallStop, ChannelName, Dtmf, LegFormat, TelephonyEvent
from copilot.domain.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from streaming.telephony.defaults import ListenOnly
from streaming.telephony.interleaved import InterleavedAudio
from streaming.telephony.messages import BAD_PAYLOAD, DTMF_DIGITS, PROTOCOL_VIOLATION, UNSUPPORTED

HANGUP: Final = 0x00
IDENTITY: Final = 0x01
DTMF: Final = 0x03
ERROR: Final = 0xFF
RATES_HZ: Final[Mapping[int, int]] = {
    0x10: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
"""Signed linear, 16 bits, little endian, mono."""
HEADER_BYTES: Final = 3
KEEP_ALIVE_S: Final = 0.5
"""Asterisk hangs up after 2 s in which neither side sent anything."""
SILENCE_MS: Final = 20


def frame(kind: int, payload: bytes = b"") -> bytes:
    """A frame as it goes over the wire; at most 65,535 bytes of payload."""
    return bytes((kind,)) + len(payload).to_bytes(2, "big") + payload


class AudioSocketProtocol(ListenOnly):
    """One leg. ``roles`` may say which channel ``media`` is (default: mixed); an announcement says it better.

    The call starts with the first audio, which tells its rate; before that only ``identified`` is known.
    """

    def __init__(self, roles: Mapping[str, ChannelName]) -> None:
        if not set(roles) <= {"media"} or not set(roles.values()) <= set(CHANNELS):
            raise ConfigError(f"Channel roles of an audiosocket integration may map media to one of {', '.join(CHANNELS)}.")
        self._channel: ChannelName = roles.get("media", "mixed")
        self._buffer = b""
        self._identity: str | None = None
        self._audio: InterleavedAudio | None = None
        self._rate_hz = 8_000
        self._accepted = False
        self._stopped = False
        self._outbox: list[bytes] = []

    @property
    def identified(self) -> str | None:
        return self._identity

    @property
    def timed_by_arrival(self) -> bool:
        return True

    @property
    def keep_alive_s(self) -> float | None:
        return KEEP_ALIVE_S

    def receive_text(self, text: str) -> list[TelephonyEvent]:
        raise RemoteProtocolError(f"AudioSocket is a stream of bytes: text ({len(text)} characters) has no place in it.", code=UNSUPPORTED)

    def receive_bytes(self, data: bytes) -> list[TelephonyEvent]:
        if self._audio is not None and not self._accepted:
            raise LocalProtocolError("Audio was read before the call was accepted: accept() must come first.")
        self._buffer += data
        return self._frames()

    def receive_eof(self) -> list[TelephonyEvent]:
        """Asterisk often hangs up by closing the stream."""
        if self._stopped or self._audio is None:
            return []
        self._stopped = True
        return [CallStop(reason="hangup")]

    def accept(self, call_id: str, *, heard_samples: int = 0, resume_window_ms: int = 0) -> list[TelephonyEvent]:
        del call_id, heard_samples, resume_window_ms
        if self._audio is None or self._accepted:
            raise LocalProtocolError("accept() must come once, after the start.")
        self._accepted = True
        return self._frames()

    def queue_keep_alive(self) -> None:
        if self._identity is not None and not self._stopped:
            kind = next(kind for kind, rate in RATES_HZ.items() if rate == self._rate_hz)
            self._outbox.append(frame(kind, bytes(self._rate_hz * SILENCE_MS // 1000 * 2)))

    def messages_to_send(self) -> list[bytes]:
        messages, self._outbox = self._outbox, []
        return messages

    def _frames(self) -> list[TelephonyEvent]:
        events: list[TelephonyEvent] = []
        at = 0
        while len(self._buffer) - at >= HEADER_BYTES and not self._stopped:
            kind = self._buffer[at]
            end = at + HEADER_BYTES + int.from_bytes(self._buffer[at + 1 : at + HEADER_BYTES], "big")
            self._check_kind(kind, end - at - HEADER_BYTES)
            if len(self._buffer) < end:
                break
            if kind in RATES_HZ and self._audio is None and end > at + HEADER_BYTES:
                events.append(self._start(kind))
                break  # this frame is read again once the call is open
            events += self._take(kind, self._buffer[at + HEADER_BYTES : end])
            at = end
        self._buffer = b"" if self._stopped else self._buffer[at:]
        return events

    def _check_kind(self, kind: int, length: int) -> None:
        """As soon as a header is there: whoever speaks something else is not listened to any longer."""
        if self._identity is None and kind not in (IDENTITY, HANGUP, ERROR):
            raise RemoteProtocolError("The first frame must hold the call's UUID.", code=PROTOCOL_VIOLATION)
        if kind == IDENTITY and (length != 16 or self._identity is not None):
            raise RemoteProtocolError("A UUID of 16 bytes must come once, in the first frame.", code=PROTOCOL_VIOLATION)
        if kind == DTMF and length != 1:
            raise RemoteProtocolError("A DTMF frame must hold one key.", code=BAD_PAYLOAD)
        if kind not in (HANGUP, IDENTITY, DTMF, ERROR) and kind not in RATES_HZ:
            raise RemoteProtocolError(f"Frames of type 0x{kind:02x} are not known.", code=PROTOCOL_VIOLATION)

    def _take(self, kind: int, payload: bytes) -> list[TelephonyEvent]:
        match kind:
            case 0x01:
                self._identity = str(uuid.UUID(bytes=payload))
            case 0x03:
                digit = payload.decode("ascii", errors="replace")
                if digit not in DTMF_DIGITS:
                    raise RemoteProtocolError("A DTMF frame must hold one key.", code=BAD_PAYLOAD)
                return [Dtmf(channel=self._channel, digit=digit)] if self._audio is not None else []
            case 0x00 | 0xFF:
                self._stopped = True
                return [CallStop(reason="error" if kind == ERROR else "hangup")] if self._audio is not None else []
            case _:
                if self._audio is not None:
                    if RATES_HZ[kind] != self._rate_hz:
                        raise RemoteProtocolError("The sample rate of a leg must not change.", code=UNSUPPORTED)
                    return [*self._audio.receive(payload)]
        return []

    def _start(self, kind: int) -> CallStart:
        assert self._identity is not None
        self._rate_hz = RATES_HZ[kind]
        leg = LegFormat(channel=self._channel, encoding="pcm_s16le", sample_rate_hz=self._rate_hz)
        self._audio = InterleavedAudio((leg,))
        return CallStart(external_id=self._identity, legs=(leg,))
