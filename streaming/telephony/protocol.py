"""What every telephony protocol offers its shell, and the registry of protocols by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from copilot.domain.audio import ChannelName, TelephonyEvent
from copilot.domain.errors import ConfigError
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial
from streaming.telephony.rawpcm import RawPcmProtocol
from streaming.telephony.twilio import TwilioProtocol


class TelephonyProtocol(Protocol):
    """A parser of one connection. ``receive_*`` raise RemoteProtocolError, after which the connection must be closed with its code.

    The audio of a leg is the same wherever the peer split its bytes; only the cutting into MediaFrames follows the messages.
    """

    @property
    def wants_events(self) -> bool:
        """True if the peer asked for transcript events on this connection."""
        ...

    @property
    def resumable(self) -> bool:
        """True if the peer asked to keep the call open for a moment when the socket drops."""
        ...

    @property
    def resumes_at(self) -> int | None:
        """The sample of each leg at which the peer continues a call begun on an earlier connection; None for a new call."""
        ...

    def receive_text(self, text: str) -> list[TelephonyEvent]: ...

    def receive_bytes(self, data: bytes) -> list[TelephonyEvent]: ...

    def receive_eof(self) -> list[TelephonyEvent]:
        """The connection is gone without the protocol's own ending: what was held back for ordering comes out."""
        ...

    def accept(self, call_id: str, *, heard_samples: int = 0, resume_window_ms: int = 0) -> list[TelephonyEvent]:
        """The call is open. ``heard_samples`` of each leg are known already (a resumed call); must come before the next ``receive_*``."""
        ...

    def queue_event(self, event: TranscriptPartial | TranscriptFinal) -> None:
        """A masked transcript event for the peer. Ignored by protocols on which nothing may be sent."""
        ...

    def queue_stopped(self, duration_ms: int) -> None:
        """The call is over and stored."""
        ...

    def queue_error(self, message: str, code: int) -> None:
        """Why the connection will be closed."""
        ...

    def messages_to_send(self) -> list[str]:
        """Text messages for the peer, each given out once."""
        ...


ProtocolFactory = Callable[[Mapping[str, ChannelName]], TelephonyProtocol]

PROTOCOLS: Mapping[str, ProtocolFactory] = {"raw": RawPcmProtocol, "twilio": TwilioProtocol}


def make_protocol(name: str, roles: Mapping[str, ChannelName]) -> TelephonyProtocol:
    """A fresh parser for one connection. ``roles`` maps the peer's track or channel names to ours. ConfigError for an unknown name."""
    try:
        factory = PROTOCOLS[name]
    except KeyError:
        raise ConfigError(f"Unknown telephony protocol {name!r}: use one of {', '.join(sorted(PROTOCOLS))}.") from None
    return factory(roles)
