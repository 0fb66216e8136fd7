"""Audio formats and what a telephony parser reports. Sample counts are the truth; milliseconds are derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Encoding = Literal["pcm_s16le", "pcmu", "pcma"]
ChannelName = Literal["customer", "agent", "mixed"]
ENCODINGS: tuple[Encoding, ...] = ("pcm_s16le", "pcmu", "pcma")
CHANNELS: tuple[ChannelName, ...] = ("customer", "agent", "mixed")
BYTES_PER_SAMPLE: dict[Encoding, int] = {"pcm_s16le": 2, "pcmu": 1, "pcma": 1}
RECOGNITION_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LegFormat:
    """How one leg of a call arrives on the wire (mono; multi-channel streams are split by the parser)."""

    channel: ChannelName
    encoding: Encoding
    sample_rate_hz: int

    @property
    def bytes_per_sample(self) -> int:
        return BYTES_PER_SAMPLE[self.encoding]

    def samples_to_ms(self, samples: int) -> int:
        """Samples at the wire rate → ms, rounded down."""
        return samples * 1000 // self.sample_rate_hz


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStart:
    """The peer began a call.

    ``external_id`` is the peer's own id of the call. ``metadata`` holds flat strings from the peer
    (``agent``, ``ani``, ``dnis``, ``direction`` … as mapped by the integration). ``language`` is ``zh``, ``en`` or None (the
    integration's default).
    """

    external_id: str
    legs: tuple[LegFormat, ...]
    language: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFrame:
    """Some audio of one leg, in the wire codec. ``start_sample`` counts wire samples since the call's media start, gaps included."""

    channel: ChannelName
    start_sample: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaGap:
    """Audio of one leg that is missing: [start_sample, start_sample + samples) at the wire rate."""

    channel: ChannelName
    start_sample: int
    samples: int
    reason: Literal["lost", "paused", "silence_suppressed", "reconnect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dtmf:
    """A key press. The digit is never logged or stored in clear (it may be part of a PIN)."""

    channel: ChannelName
    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageChanged:
    """The peer said that from now on the call is held in another language: ``zh`` or ``en``."""

    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStop:
    """The peer ended the call in the protocol's own way. ``peer_closed``: this connection only; another one will continue the call."""

    reason: Literal["hangup", "peer_closed", "error"] = "hangup"


TelephonyEvent = CallStart | MediaFrame | MediaGap | Dtmf | LanguageChanged | CallStop
