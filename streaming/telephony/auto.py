"""Which protocol a websocket speaks, by its subprotocol and its first messages. Pure; nothing is guessed.

``detect`` looks at one message. Media streams say ``connected`` first, which several vendors word alike: that message is kept and the
start decides (Twilio's accounts begin with ``AC``, SignalWire's do not). What fits no protocol or more than one is refused with a
sentence that names the way out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from copilot.domain.audio import TelephonyEvent
from copilot.domain.errors import LocalProtocolError, RemoteProtocolError
from streaming.telephony import freeswitch, jambonz, vonage
from streaming.telephony.defaults import ListenOnly
from streaming.telephony.messages import MAX_TEXT_CHARS, PROTOCOL_VIOLATION, TOO_BIG

if TYPE_CHECKING:
    from streaming.telephony.protocol import TelephonyProtocol

WAIT: Final = "wait"
"""Not told yet: the next message decides."""
_MEDIA_STREAMS: Final[Mapping[tuple[str, str], str]] = {
    ("streamSid", "callSid"): "twilio",
    ("stream_id", "call_control_id"): "telnyx",
    ("streamId", "callId"): "plivo",
    ("stream_sid", "call_sid"): "exotel",
}
DETECTABLE: Final = ("raw", "twilio", "signalwire", "telnyx", "plivo", "exotel", "freeswitch", "jambonz", "vonage")
_BY_SUBPROTOCOL: Final = {freeswitch.SUBPROTOCOL: "freeswitch", jambonz.SUBPROTOCOL: "jambonz"}
_NONE_FITS: Final = "The first message fits no protocol, or more than one: connect to the path of your protocol instead of /v1/auto."


def detect(subprotocol: str | None, message: str | bytes) -> str:
    """The protocol's name, or ``wait``. Raises RemoteProtocolError (1002) when it cannot be told."""
    named = _BY_SUBPROTOCOL.get(subprotocol or "")
    if named:
        return named
    found = _by_message(message) if isinstance(message, str) else set()
    if len(found) != 1:
        raise RemoteProtocolError(_NONE_FITS, code=PROTOCOL_VIOLATION)
    return found.pop()


def _by_message(text: str) -> set[str]:
    if len(text) > MAX_TEXT_CHARS:
        raise RemoteProtocolError(f"A text message may have at most {MAX_TEXT_CHARS} characters.", code=TOO_BIG)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return set()
    if not isinstance(message, dict):
        return set()
    found: set[str] = set()
    event = message.get("event")
    if event == "connected":
        found.add(WAIT)
    elif event == vonage.CONNECTED:
        found.add("vonage")
    elif event == "start" and isinstance(start := message.get("start"), dict):
        found |= {name for (stream, call), name in _MEDIA_STREAMS.items() if call in start and (stream in start or stream in message)}
        if "twilio" in found and not str(start.get("accountSid", "")).startswith("AC"):
            found = (found - {"twilio"}) | {"signalwire"}
    elif event is None:
        if message.get("type") == "start" and "call_id" in message:
            found.add("raw")
        if {"callSid", "sampleRate", "mixType"} <= set(message):
            found.add("jambonz")
    return found


class AutoProtocol(ListenOnly):
    """Reads the first messages only: once ``chosen`` is set, that parser takes over. ``make`` gives a parser by its protocol's name."""

    def __init__(self, subprotocol: str | None, make: Callable[[str], TelephonyProtocol]) -> None:
        self._subprotocol = subprotocol
        self._make = make
        self._kept: str | None = None
        self.name: str | None = None
        self.chosen: TelephonyProtocol | None = None

    def receive_text(self, text: str) -> list[TelephonyEvent]:
        parser = self._choose(text)
        return parser.receive_text(text) if parser else []

    def receive_bytes(self, data: bytes) -> list[TelephonyEvent]:
        parser = self._choose(data)
        return parser.receive_bytes(data) if parser else []

    def accept(self, call_id: str, *, heard_samples: int = 0, resume_window_ms: int = 0) -> list[TelephonyEvent]:
        if self.chosen is None:
            raise LocalProtocolError("accept() must come once, after the start.")
        return self.chosen.accept(call_id, heard_samples=heard_samples, resume_window_ms=resume_window_ms)

    def receive_eof(self) -> list[TelephonyEvent]:
        return self.chosen.receive_eof() if self.chosen else []

    def _choose(self, message: str | bytes) -> TelephonyProtocol | None:
        if self.chosen is not None:
            return self.chosen
        name = detect(self._subprotocol, message)
        if name == WAIT:
            if self._kept is not None:
                raise RemoteProtocolError('"connected" may be sent once, before the start.', code=PROTOCOL_VIOLATION)
            self._kept = str(message)
            return None
        parser = self._make(name)
        if self._kept is not None:
            parser.receive_text(self._kept)
        self.name, self.chosen = name, parser
        return parser
