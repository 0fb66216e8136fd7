"""Genesys AudioHook, version 2: Genesys Cloud connects and sends both sides of a conversation. Sans-I/O.

States, and what moves them (the client's messages in lower case, ours in capitals)::

    PREPARING --open--> OPENING --OPENED--> ACTIVE <--resumed / paused--> PAUSED
    PREPARING --open (null ids)--> PROBED              a connection probe: OPENED without media, no call
    any of them --close--> CLOSING --CLOSED--> CLOSED  the client closes the socket
    any of them --DISCONNECT--> LEAVING --close--> CLOSED

Positions count the client's stream: samples sent, discarded or left out while paused. A session that continues another one
(``continuedSessions``) counts on from it. No binary message is ever sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from copilot.domain.audio import CallStart, CallStop, ChannelName, LanguageChanged, LegFormat, TelephonyEvent
from copilot.domain.errors import LocalProtocolError, RemoteProtocolError
from copilot.domain.events import SuggestionOffered
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial
from streaming.telephony.audiohook_messages import (
    ENCODINGS,
    MAX_TEXT_CHARS,
    NULL_ID,
    RATE_HZ,
    ClientMessage,
    assist_entity,
    best_offer,
    continued_sessions,
    duration_of,
    language_or_none,
    parse_message,
    samples_of,
    text_parameter,
    transcript_entity,
    uuid_of,
)
from streaming.telephony.defaults import ListenOnly
from streaming.telephony.interleaved import MAX_STREAM_MS, InterleavedAudio
from streaming.telephony.messages import (
    BAD_PAYLOAD,
    MAX_METADATA_ENTRIES,
    PROTOCOL_VIOLATION,
    loose_metadata,
    need_object,
    whole_number,
)
from streaming.telephony.roles import roles_of

State = Literal["PREPARING", "OPENING", "ACTIVE", "PAUSED", "PROBED", "CLOSING", "CLOSED", "LEAVING"]
DEFAULT_ROLES: Final[Mapping[str, ChannelName]] = {"external": "customer", "internal": "agent"}
UNAUTHORIZED: Final = 4401
"""Close code after a disconnect for a credential that does not fit."""
NOT_ADMITTED: Final = 4403
CLOSING_S: Final = 8.0
"""The client gives up 10 s after its ``close``."""
FAREWELL_S: Final = 5.0
MAX_INFO_CHARS: Final = 512
SUPPORTED_LANGUAGES: Final = ("zh-CN", "en-US")


class AudioHookProtocol(ListenOnly):
    """One session. ``roles`` maps ``external`` and ``internal`` to channels (default: customer and agent).

    The call's id is that of its first session. ``session`` and ``organization`` are what the handshake said; empty: not said.
    """

    def __init__(
        self,
        roles: Mapping[str, ChannelName],
        *,
        session: str = "",
        organization: str = "",
        events: bool = False,
        refused: str = "",
    ) -> None:
        self._roles = roles_of("audiohook", DEFAULT_ROLES, roles)
        self._session = session.lower()
        self._organization = organization.lower()
        self._events = events
        self._refused = refused
        self._state: State = "PREPARING"
        self._seq = 0
        self._clientseq = 0
        self._audio: InterleavedAudio | None = None
        self._media: dict[str, Any] = {}
        self._start: CallStart | None = None
        self._opened_at = 0
        self._base = 0
        """Where sample 0 of the call lies in the client's stream."""
        self._continues: tuple[str, ...] = ()
        self._asks_languages = False
        self._outbox: list[str] = []

    # ------------------------------------------------------------------ what the shell asks

    @property
    def wants_events(self) -> bool:
        return self._events

    @property
    def wants_suggestions(self) -> bool:
        return self._events

    @property
    def resumable(self) -> bool:
        return True

    @property
    def resumes_at(self) -> int | None:
        return self._opened_at if self._continues else None

    @property
    def continues(self) -> tuple[str, ...]:
        return self._continues

    @property
    def closing_s(self) -> float | None:
        return CLOSING_S

    @property
    def farewell_s(self) -> float:
        return FAREWELL_S

    # ------------------------------------------------------------------ in

    def receive_text(self, text: str) -> list[TelephonyEvent]:
        message = parse_message(text)
        self._check_order(message)
        if self._state == "CLOSED":
            return []
        if self._state == "LEAVING":
            if message.type == "close":
                self._send("closed", {})
                self._state = "CLOSED"
            return []
        if self._state == "OPENING":
            raise LocalProtocolError("A message was read before the call was accepted: accept() must come first.")
        handle: Mapping[str, Callable[[ClientMessage], list[TelephonyEvent]]] = {
            "open": self._on_open,
            "close": self._on_close,
            "ping": self._on_ping,
            "discarded": self._on_discarded,
            "paused": self._on_paused,
            "resumed": self._on_resumed,
            "update": self._on_update,
            "error": self._on_error,
        }
        return handle[message.type](message)

    def receive_bytes(self, data: bytes) -> list[TelephonyEvent]:
        if self._state in ("CLOSING", "CLOSED", "LEAVING"):
            return []  # it was on its way
        if self._state == "OPENING":
            raise LocalProtocolError("Audio was read before the call was accepted: accept() must come first.")
        if self._audio is None or self._state != "ACTIVE":
            raise RemoteProtocolError(f"Audio may not be sent in the state {self._state}.", code=PROTOCOL_VIOLATION)
        return [*self._audio.receive(data)]

    def accept(self, call_id: str, *, heard_samples: int = 0, resume_window_ms: int = 0) -> list[TelephonyEvent]:
        del call_id, resume_window_ms  # the protocol has no place for them
        if self._state != "OPENING" or self._audio is None:
            raise LocalProtocolError("accept() must come once, after the start.")
        self._state = "ACTIVE"
        parameters: dict[str, Any] = {"media": [self._media]}
        events: list[TelephonyEvent] = []
        if self._continues:
            self._audio.next_sample = heard_samples
            ahead = heard_samples - self._opened_at
            if ahead > 0:
                # What the client kept and we have already: it may discard it, and is not heard twice if it does not.
                self._audio.skip_samples = ahead
                parameters["discardTo"] = duration_of(heard_samples)
            elif ahead < 0:
                events = [*self._audio.gap(-ahead, "reconnect")]
        if self._asks_languages:
            parameters["supportedLanguages"] = list(SUPPORTED_LANGUAGES)
        self._send("opened", parameters)
        return events

    def start_anew(self) -> CallStart | None:
        """The session it continues is over here: what comes now is a call of its own, under this session's id."""
        self._base, self._continues = self._opened_at, ()
        return self._start

    # ------------------------------------------------------------------ out

    def queue_event(self, event: TranscriptPartial | TranscriptFinal) -> None:
        if self._events and self._audio is not None and self._state in ("ACTIVE", "PAUSED", "CLOSING"):
            channels = [leg.channel for leg in self._audio.legs]
            self._send("event", {"entities": [transcript_entity(event, self._session, channels, self._base_ms)]})

    def queue_suggestion(self, suggestion: SuggestionOffered) -> None:
        entity = assist_entity(suggestion, self._session or NULL_ID, self._base_ms)
        if entity is not None and self._events and self._state in ("ACTIVE", "PAUSED", "CLOSING"):
            self._send("event", {"entities": [entity]})

    def queue_stopped(self, duration_ms: int) -> None:
        del duration_ms  # the client counts for itself
        if self._state == "CLOSING":
            self._send("closed", {})
            self._state = "CLOSED"

    def queue_error(self, message: str, code: int) -> None:
        if self._state == "CLOSING":
            self.queue_stopped(0)
        elif self._state not in ("CLOSED", "LEAVING"):
            reason = "unauthorized" if code in (UNAUTHORIZED, NOT_ADMITTED) else "error"
            self._send("disconnect", {"reason": reason, "info": message[:MAX_INFO_CHARS]})
            self._state = "LEAVING"

    def queue_pause(self, paused: bool) -> None:
        if self._state in ("ACTIVE", "PAUSED"):
            self._send("pause" if paused else "resume", {})

    def messages_to_send(self) -> list[str]:
        messages, self._outbox = self._outbox, []
        return messages

    def _send(self, kind: str, parameters: dict[str, Any]) -> None:
        body = {
            "version": "2",
            "id": self._session or NULL_ID,
            "type": kind,
            "seq": self._seq + 1,
            "clientseq": self._clientseq,
            "parameters": parameters,
        }
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        if len(text) <= MAX_TEXT_CHARS:  # a longer one would cost the session
            self._seq += 1
            self._outbox.append(text)

    # ------------------------------------------------------------------ the client's messages

    def _check_order(self, message: ClientMessage) -> None:
        if not self._session or self._session == NULL_ID:
            self._session = message.id
        if message.id != self._session:
            raise RemoteProtocolError(
                '"id" must be the session\'s id in every message, and that of the handshake.', code=PROTOCOL_VIOLATION
            )
        if message.seq != self._clientseq + 1:
            raise RemoteProtocolError('"seq" must begin with 1 and grow by 1 with each message.', code=PROTOCOL_VIOLATION)
        if message.serverseq > self._seq:
            raise RemoteProtocolError('"serverseq" must be the seq of a message that was sent.', code=PROTOCOL_VIOLATION)
        self._clientseq = message.seq

    def _on_open(self, message: ClientMessage) -> list[TelephonyEvent]:
        if self._state != "PREPARING":
            raise RemoteProtocolError('"open" may be sent once in a session.', code=PROTOCOL_VIOLATION)
        if self._refused:
            raise RemoteProtocolError(self._refused, code=UNAUTHORIZED)
        parameters = message.parameters
        organization = uuid_of(parameters.get("organizationId"), "organizationId")
        if self._organization and organization != self._organization:
            raise RemoteProtocolError('"organizationId" must be the one of the handshake.', code=UNAUTHORIZED)
        conversation = uuid_of(parameters.get("conversationId"), "conversationId")
        participant = need_object(parameters, "participant", "open")
        person = uuid_of(participant.get("id"), "id of participant")
        offers = parameters.get("media")
        if not isinstance(offers, list):
            raise RemoteProtocolError('"media" must list the offered formats.', code=BAD_PAYLOAD)
        if conversation == NULL_ID and person == NULL_ID:
            self._state = "PROBED"
            self._send("opened", {"media": []})
            return []
        self._media = best_offer(offers)
        self._opened_at = message.position
        self._continues = continued_sessions(parameters.get("continuedSessions"))
        self._base = 0 if self._continues else message.position
        self._asks_languages = parameters.get("supportedLanguages") is True
        encoding = ENCODINGS[self._media["format"]]
        legs = tuple(LegFormat(channel=self._roles[name], encoding=encoding, sample_rate_hz=RATE_HZ) for name in self._media["channels"])
        self._audio = InterleavedAudio(legs)
        self._start = CallStart(
            external_id=self._session,
            legs=legs,
            language=language_or_none(parameters.get("language")),
            metadata=self._metadata(parameters, organization, conversation, participant, person),
        )
        self._state = "OPENING"
        return [self._start]

    @staticmethod
    def _metadata(
        parameters: dict[str, Any], organization: str, conversation: str, participant: dict[str, Any], person: str
    ) -> dict[str, str]:
        own = {
            "conversation_id": conversation,
            "participant_id": person,
            "organization_id": organization,
            "ani": text_parameter(participant, "ani"),
            "ani_name": text_parameter(participant, "aniName"),
            "dnis": text_parameter(participant, "dnis"),
        }
        custom = parameters.get("customConfig")
        loose = loose_metadata(custom) if isinstance(custom, dict) else {}
        everything = {name: value for name, value in own.items() if value} | {k: v for k, v in loose.items() if k not in own}
        return dict(list(everything.items())[:MAX_METADATA_ENTRIES])

    def _on_close(self, message: ClientMessage) -> list[TelephonyEvent]:
        reason = message.parameters.get("reason")
        if reason not in ("end", "error", "disconnect", "reconnect"):
            raise RemoteProtocolError('"reason" of close must be end, error, disconnect or reconnect.', code=BAD_PAYLOAD)
        if self._state == "CLOSING":
            return []
        had_call = self._state in ("ACTIVE", "PAUSED")
        self._state = "CLOSING"
        if not had_call:
            self.queue_stopped(0)
            return []
        if reason == "reconnect":  # another session will continue the call
            self.queue_stopped(0)
            return [CallStop(reason="peer_closed")]
        return [CallStop(reason="hangup")]

    def _on_ping(self, message: ClientMessage) -> list[TelephonyEvent]:
        if "rtt" in message.parameters:
            samples_of(message.parameters["rtt"], "rtt")
        self._send("pong", {})
        return []

    def _on_discarded(self, message: ClientMessage) -> list[TelephonyEvent]:
        return self._missing(message, "lost")

    def _on_paused(self, message: ClientMessage) -> list[TelephonyEvent]:
        del message
        if self._state == "ACTIVE":
            self._state = "PAUSED"
        return []

    def _on_resumed(self, message: ClientMessage) -> list[TelephonyEvent]:
        if self._state == "PAUSED":
            self._state = "ACTIVE"
        return self._missing(message, "paused")

    def _on_update(self, message: ClientMessage) -> list[TelephonyEvent]:
        language = language_or_none(message.parameters.get("language"))
        self._send("updated", {})
        return [LanguageChanged(language=language)] if language is not None and self._audio is not None else []

    def _on_error(self, message: ClientMessage) -> list[TelephonyEvent]:
        if whole_number(message.parameters.get("code"), 999) is None:
            raise RemoteProtocolError('"code" of error must be a number.', code=BAD_PAYLOAD)
        return []  # what follows, a close at the worst, says what to do

    def _missing(self, message: ClientMessage, reason: Literal["lost", "paused"]) -> list[TelephonyEvent]:
        """The client's stream moved on to the end of what it left out."""
        start = samples_of(message.parameters.get("start"), "start")
        end = start + samples_of(message.parameters.get("discarded"), "discarded")
        if end * 1000 // RATE_HZ > MAX_STREAM_MS:
            raise RemoteProtocolError("A call may last at most 24 hours.", code=PROTOCOL_VIOLATION)
        audio = self._audio
        if audio is None:
            return []
        missing = end - (self._base + audio.next_sample - audio.skip_samples)
        return [*audio.gap(missing, reason)] if missing > 0 else []

    @property
    def _base_ms(self) -> int:
        return self._base * 1000 // RATE_HZ
