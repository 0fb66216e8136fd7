"""jambonz ``listen``: one JSON text with the call's attributes, then L16; keys as JSON texts if ``passDtmf`` is set. Sans-I/O."""

from __future__ import annotations

from typing import Any, Final

from copilot.domain.audio import CallStart
from copilot.domain.errors import RemoteProtocolError
from copilot.domain.ids import is_call_id
from streaming.telephony.l16 import L16Protocol, mix_of, rate_of
from streaming.telephony.messages import BAD_PAYLOAD, language_of, loose_metadata, need_str, parse_object

SUBPROTOCOL: Final = "audio.jambonz.org"


class JambonzProtocol(L16Protocol):
    """One listen. Its ``sampleRate`` and ``mixType`` come with the call's attributes (default: 8000, mono)."""

    name = "jambonz"

    def _begin(self, text: str) -> CallStart:
        message = parse_object(text)
        call_sid = need_str(message, "callSid", "The first message")
        if not is_call_id(call_sid):
            raise RemoteProtocolError(
                '"callSid" must be 1–128 letters, digits or . _ : - and begin with a letter or digit.', code=BAD_PAYLOAD
            )
        rate, mix = rate_of(message.get("sampleRate")), mix_of(message.get("mixType"))
        metadata = loose_metadata(message)
        for key, name in (("from", "ani"), ("to", "dnis")):
            if key in metadata:
                metadata.setdefault(name, metadata.pop(key))
        language = language_of(metadata.get("language"))
        return CallStart(external_id=call_sid, legs=self._open(self._channels(mix), rate), language=language, metadata=metadata)

    def _key_pressed(self, message: dict[str, Any]) -> object:
        return message.get("dtmf", "") if message.get("event") == "dtmf" else None
