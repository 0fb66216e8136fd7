"""Vonage Voice API websocket endpoints: ``websocket:connected`` with the NCCO's headers, then L16 mono; the close is the end. Sans-I/O."""

from __future__ import annotations

from typing import Any, Final, cast

from copilot.domain.audio import CHANNELS, CallStart, ChannelName
from copilot.domain.errors import RemoteProtocolError
from copilot.domain.ids import is_call_id
from streaming.telephony.l16 import L16Protocol, rate_of
from streaming.telephony.messages import BAD_PAYLOAD, PROTOCOL_VIOLATION, UNSUPPORTED, language_of, loose_metadata, parse_object

CONNECTED: Final = "websocket:connected"
_TYPE: Final = "audio/l16;rate="
_CALL_KEYS: Final = ("call_id", "uuid", "conversation_uuid")


class VonageProtocol(L16Protocol):
    """One websocket leg. It hears what the conversation lets it hear, so the header ``channel`` may say whom; ``caller``'s role if absent.

    Vonage itself sends no call id: a header does (``call_id``), or ``external_id`` stays empty and the shell gives it one.
    """

    name = "vonage"

    def _begin(self, text: str) -> CallStart:
        message = parse_object(text)
        if message.get("event") != CONNECTED:
            raise RemoteProtocolError(f'The first message must be the event "{CONNECTED}".', code=PROTOCOL_VIOLATION)
        kind = message.get("content-type")
        kind = kind.replace(" ", "").lower() if isinstance(kind, str) else ""
        if not kind.startswith(_TYPE):
            raise RemoteProtocolError('"content-type" must be audio/l16;rate=8000, 16000 or 24000.', code=UNSUPPORTED)
        rate = rate_of(kind.removeprefix(_TYPE) or "none")
        channel = message.get("channel", self._roles["caller"])
        if channel not in CHANNELS:
            raise RemoteProtocolError(f'The header "channel" must be one of {", ".join(CHANNELS)}.', code=BAD_PAYLOAD)
        metadata = loose_metadata({key: value for key, value in message.items() if key not in {"event", "content-type"}})
        language = language_of(metadata.get("language"))
        call_id = next((metadata[key] for key in _CALL_KEYS if key in metadata), "")
        legs = self._open((cast("ChannelName", channel),), rate)
        return CallStart(external_id=call_id if is_call_id(call_id) else "", legs=legs, language=language, metadata=metadata)

    def _key_pressed(self, message: dict[str, Any]) -> object:
        return message.get("digit", "") if message.get("event") == "websocket:dtmf" else None
