"""FreeSWITCH: mod_audio_fork and mod_audio_stream. Sans-I/O.

``uuid_audio_fork <uuid> start <url> <mix> <rate> [metadata]`` and ``uuid_audio_stream`` alike open a websocket, send the metadata if there
is some (free-form text), then the channel's audio as L16. Nothing on the wire tells mix and rate: the metadata may (``mix``,
``sample_rate``, ``call_id``), or the query of the URL does (the same names); otherwise it is mono at 8000 Hz.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from copilot.domain.audio import CallStart, ChannelName
from copilot.domain.ids import is_call_id
from streaming.telephony.l16 import L16Protocol, mix_of, rate_of
from streaming.telephony.messages import language_of, loose_metadata

SUBPROTOCOL: Final = "audio.drachtio.org"
"""Of mod_audio_fork, unless its environment names another; mod_audio_stream offers none."""
_CALL_KEYS: Final = ("call_id", "uuid", "callid", "callSid")
_MIX_KEYS: Final = ("mix", "mix_type", "mixType")
_RATE_KEYS: Final = ("sample_rate", "sampleRate", "rate")


class FreeSwitchProtocol(L16Protocol):
    """One media bug. A call whose metadata names none has an empty ``external_id``: the shell gives it one."""

    name = "freeswitch"

    def __init__(self, roles: Mapping[str, ChannelName], query: Mapping[str, str] | None = None) -> None:
        super().__init__(roles)
        self._query = loose_metadata(query or {})

    def _begin(self, text: str) -> CallStart:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if isinstance(value, dict):
            return self._call(loose_metadata(value))
        return self._call(loose_metadata({"metadata": text} if text else {}))

    def _begin_unannounced(self) -> CallStart:
        return self._call({})

    def _call(self, metadata: dict[str, str]) -> CallStart:
        metadata = self._query | metadata
        mix, rate = mix_of(_first(metadata, _MIX_KEYS)), rate_of(_first(metadata, _RATE_KEYS))
        call_id = _first(metadata, _CALL_KEYS) or ""
        language = language_of(metadata.get("language"))
        legs = self._open(self._channels(mix), rate)
        return CallStart(external_id=call_id if is_call_id(call_id) else "", legs=legs, language=language, metadata=metadata)

    def _key_pressed(self, message: dict[str, Any]) -> object:
        return message.get("dtmf", message.get("digit")) if message.get("event") == "dtmf" else None


def _first(metadata: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((metadata[key] for key in keys if key in metadata), None)
