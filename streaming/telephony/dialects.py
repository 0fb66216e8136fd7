"""Twilio's media streams as others speak them: what the keys are called, which codecs come, how time is told.

Sources: the vendors' websocket references (Twilio "Media Streams – WebSocket Messages", SignalWire cXML ``<Stream>``, Telnyx "Stream call
media over WebSocket", Plivo "Audio Streaming Protocol Reference", Exotel "WebSocket protocol").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from copilot.domain.audio import ChannelName, Encoding

_BOTH: Final[Mapping[str, ChannelName]] = {"inbound": "customer", "outbound": "agent"}
_MULAW: Final[Mapping[str, Encoding]] = {"audio/x-mulaw": "pcmu"}
_X_NAMES: Final[Mapping[str, Encoding]] = {
    "audio/x-mulaw": "pcmu",
    "audio/x-alaw": "pcma",
    "audio/x-l16": "pcm_s16le",
    "audio/l16": "pcm_s16le",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor's words. ``*_key`` name members of the messages."""

    name: str
    stream_key: str
    call_key: str
    format_key: str = "mediaFormat"
    rate_key: str = "sampleRate"
    parameters_key: str = "customParameters"
    needs_connected: bool = False
    """``connected`` must come first; elsewhere it may."""
    lists_tracks: bool = True
    """The start says which tracks come; elsewhere the integration's ``channel_roles`` do."""
    roles: Mapping[str, ChannelName] = field(default_factory=lambda: _BOTH)
    codecs: Mapping[str, Encoding] = field(default_factory=lambda: _MULAW)
    """By the vendor's name in lower case, without parameters."""
    epoch_time: bool = False
    """Timestamps count from 1970; elsewhere from the start of the stream."""
    parties: Mapping[str, str] = field(default_factory=dict)
    """Members of the start that go to the metadata, and under which name."""
    any_rate: bool = True
    """PCM may come at any multiple of 8000 Hz up to 48000; elsewhere everything is 8000 Hz (as G.711 is everywhere)."""


TWILIO: Final = Dialect(name="twilio", stream_key="streamSid", call_key="callSid", needs_connected=True, any_rate=False)
SIGNALWIRE: Final = Dialect(name="signalwire", stream_key="streamSid", call_key="callSid", codecs=_X_NAMES)
TELNYX: Final = Dialect(
    name="telnyx",
    stream_key="stream_id",
    call_key="call_control_id",
    format_key="media_format",
    rate_key="sample_rate",
    parameters_key="custom_parameters",
    lists_tracks=False,
    codecs={"pcmu": "pcmu", "pcma": "pcma", "l16": "pcm_s16le"},
    parties={"from": "ani", "to": "dnis", "call_session_id": "call_session_id", "client_state": "client_state"},
)
PLIVO: Final = Dialect(
    name="plivo", stream_key="streamId", call_key="callId", parameters_key="extra_headers", codecs=_X_NAMES, epoch_time=True
)
EXOTEL: Final = Dialect(
    name="exotel",
    stream_key="stream_sid",
    call_key="call_sid",
    format_key="media_format",
    rate_key="sample_rate",
    parameters_key="custom_parameters",
    lists_tracks=False,
    roles={"inbound": "customer"},
    codecs={
        **_X_NAMES,
        "mulaw": "pcmu",
        "audio/x-raw": "pcm_s16le",
        "raw/slin": "pcm_s16le",
        "base64": "pcm_s16le",  # the transfer's name stands for 16-bit PCM in older starts
    },
    parties={"from": "ani", "to": "dnis"},
)

DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in (TWILIO, SIGNALWIRE, TELNYX, PLIVO, EXOTEL)}
