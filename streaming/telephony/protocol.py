"""What every telephony protocol offers its shell, and the registry of protocols by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from copilot.domain.audio import CHANNELS, CallStart, ChannelName, TelephonyEvent
from copilot.domain.errors import ConfigError
from copilot.domain.events import SuggestionOffered
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial
from streaming.telephony import asterisk_ws, freeswitch, jambonz
from streaming.telephony.asterisk_ws import AsteriskWsProtocol
from streaming.telephony.audiohook import DEFAULT_ROLES as AUDIOHOOK_ROLES
from streaming.telephony.audiohook import AudioHookProtocol
from streaming.telephony.audiosocket import AudioSocketProtocol
from streaming.telephony.auto import DETECTABLE, AutoProtocol
from streaming.telephony.dialects import DIALECTS, TWILIO, Dialect
from streaming.telephony.freeswitch import FreeSwitchProtocol
from streaming.telephony.jambonz import JambonzProtocol
from streaming.telephony.l16 import DEFAULT_ROLES as L16_ROLES
from streaming.telephony.rawpcm import RawPcmProtocol
from streaming.telephony.twilio import TwilioProtocol
from streaming.telephony.vonage import VonageProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a parser may know of how its connection was opened. Header names are lower-case; a TCP peer has neither headers nor query.

    ``legs`` are the integration's legs that arrive on connections of their own (empty: a connection carries the whole call).
    ``events`` is the integration's wish to have transcripts and suggestions sent back, for protocols in which the peer cannot ask.
    ``refused``: the peer may not call, for this reason, and its parser must say so in the protocol's own way.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    subprotocol: str | None = None
    legs: tuple[ChannelName, ...] = ()
    events: bool = False
    refused: str = ""


class TelephonyProtocol(Protocol):
    """A parser of one connection. ``receive_*`` raise RemoteProtocolError, after which the connection must be closed with its code.

    The audio of a leg is the same wherever the peer split its bytes; only the cutting into MediaFrames follows the messages.
    Everything but ``receive_text``, ``receive_bytes`` and ``accept`` has an answer in ``streaming.telephony.defaults.ListenOnly``.
    """

    @property
    def wants_events(self) -> bool:
        """True if transcript events are to be sent on this connection."""
        ...

    @property
    def wants_suggestions(self) -> bool:
        """True if suggestions are to be sent on this connection."""
        ...

    @property
    def resumable(self) -> bool:
        """True if the peer asked to keep the call open for a moment when the socket drops."""
        ...

    @property
    def resumes_at(self) -> int | None:
        """The sample of each leg at which the peer continues a call begun on an earlier connection; None for a new call."""
        ...

    @property
    def continues(self) -> tuple[str, ...]:
        """Further ids under which the call to be resumed may be known, the likeliest first (beside the start's ``external_id``)."""
        ...

    @property
    def identified(self) -> str | None:
        """The call's or leg's id, if the peer gave it before its start is known: the shell looks it up at once."""
        ...

    @property
    def timed_by_arrival(self) -> bool:
        """True if nothing on the wire says when audio was heard: its frames are counted here and placed by their arrival in the shell."""
        ...

    @property
    def closing_s(self) -> float | None:
        """How long the peer waits for ``queue_stopped`` after its own ending, in s; None: as long as it takes."""
        ...

    @property
    def farewell_s(self) -> float:
        """How long the peer is given to close the connection after our last message, in s; 0: we close at once."""
        ...

    @property
    def keep_alive_s(self) -> float | None:
        """``queue_keep_alive`` is due this often, in s; None: never."""
        ...

    def receive_text(self, text: str) -> list[TelephonyEvent]: ...

    def receive_bytes(self, data: bytes) -> list[TelephonyEvent]: ...

    def receive_eof(self) -> list[TelephonyEvent]:
        """The connection is gone without the protocol's own ending: what was held back for ordering comes out."""
        ...

    def accept(self, call_id: str, *, heard_samples: int = 0, resume_window_ms: int = 0) -> list[TelephonyEvent]:
        """The call is open. ``heard_samples`` of each leg are known already (a resumed call); must come before the next ``receive_*``."""
        ...

    def start_anew(self) -> CallStart | None:
        """The call to be resumed is gone: the start of a new one in its place, or None if the peer must be refused."""
        ...

    def queue_event(self, event: TranscriptPartial | TranscriptFinal) -> None:
        """A masked transcript event for the peer. Ignored by protocols on which nothing may be sent."""
        ...

    def queue_suggestion(self, suggestion: SuggestionOffered) -> None:
        """A card that was offered to the agent, masked."""
        ...

    def queue_stopped(self, duration_ms: int) -> None:
        """The call is over and stored."""
        ...

    def queue_error(self, message: str, code: int) -> None:
        """Why the connection will be closed."""
        ...

    def queue_pause(self, paused: bool) -> None:
        """Asks the peer to stop sending audio (card data is being spoken), or to send it again."""
        ...

    def queue_keep_alive(self) -> None:
        """Something harmless, so that the peer does not take us for dead."""
        ...

    def messages_to_send(self) -> Sequence[str | bytes]:
        """Messages for the peer, each given out once: text, or bytes of a TCP protocol."""
        ...


class ProtocolFactory(Protocol):
    def __call__(self, roles: Mapping[str, ChannelName], opening: Opening, /) -> TelephonyProtocol: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSpec:
    """``subprotocols``: names of RFC 6455 subprotocols that are agreed to, the likeliest first; a peer that offers none gets none."""

    make: ProtocolFactory
    transport: Literal["websocket", "tcp"] = "websocket"
    subprotocols: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ()
    """What the peer calls the legs that ``channel_roles`` may name."""


def _media_streams(dialect: Dialect) -> ProtocolSpec:
    return ProtocolSpec(make=lambda roles, _opening: TwilioProtocol(roles, dialect), tracks=tuple(TWILIO.roles))


def _auto(roles: Mapping[str, ChannelName], opening: Opening) -> TelephonyProtocol:
    def make(name: str) -> TelephonyProtocol:
        known = PROTOCOLS[name].tracks
        return make_protocol(name, {track: role for track, role in roles.items() if track in known}, opening)

    for name in DETECTABLE:  # roles that cannot work are said when the integration is checked, not when a peer comes
        make(name)
    return AutoProtocol(opening.subprotocol, make)


_PARTIES = tuple(L16_ROLES)


def _audiohook(roles: Mapping[str, ChannelName], opening: Opening) -> TelephonyProtocol:
    return AudioHookProtocol(
        roles,
        session=opening.headers.get("audiohook-session-id", ""),
        organization=opening.headers.get("audiohook-organization-id", ""),
        events=opening.events,
        refused=opening.refused,
    )


PROTOCOLS: Mapping[str, ProtocolSpec] = {
    "raw": ProtocolSpec(make=lambda roles, opening: RawPcmProtocol(roles, refused=opening.refused), tracks=CHANNELS),
    **{name: _media_streams(dialect) for name, dialect in DIALECTS.items()},
    "audiohook": ProtocolSpec(make=_audiohook, tracks=tuple(AUDIOHOOK_ROLES)),
    "audiosocket": ProtocolSpec(make=lambda roles, _opening: AudioSocketProtocol(roles), transport="tcp", tracks=("media",)),
    "asterisk": ProtocolSpec(
        make=lambda roles, opening: AsteriskWsProtocol(roles, opening.legs),
        subprotocols=(asterisk_ws.SUBPROTOCOL,),
        tracks=("media", *CHANNELS),
    ),
    "auto": ProtocolSpec(make=_auto, subprotocols=(freeswitch.SUBPROTOCOL, jambonz.SUBPROTOCOL)),
    "freeswitch": ProtocolSpec(
        make=lambda roles, opening: FreeSwitchProtocol(roles, opening.query), subprotocols=(freeswitch.SUBPROTOCOL,), tracks=_PARTIES
    ),
    "jambonz": ProtocolSpec(make=lambda roles, _opening: JambonzProtocol(roles), subprotocols=(jambonz.SUBPROTOCOL,), tracks=_PARTIES),
    "vonage": ProtocolSpec(make=lambda roles, _opening: VonageProtocol(roles), tracks=_PARTIES),
}


def make_protocol(name: str, roles: Mapping[str, ChannelName], opening: Opening | None = None) -> TelephonyProtocol:
    """A fresh parser for one connection. ``roles`` maps the peer's track or channel names to ours. ConfigError for an unknown name."""
    try:
        spec = PROTOCOLS[name]
    except KeyError:
        raise ConfigError(f"Unknown telephony protocol {name!r}: use one of {', '.join(sorted(PROTOCOLS))}.") from None
    return spec.make(roles, opening or Opening())
