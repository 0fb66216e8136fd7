"""AudioHook's envelope, its durations, and the event entities we send back. Pure; version 2 of the protocol."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

from copilot.domain.audio import ChannelName, Encoding
from copilot.domain.errors import RemoteProtocolError
from copilot.domain.events import SuggestionOffered
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial, Word
from streaming.telephony.messages import (
    BAD_PAYLOAD,
    PROTOCOL_VIOLATION,
    TOO_BIG,
    UNSUPPORTED,
    is_plain,
    language_of,
    parse_object,
    whole_number,
)

RATE_HZ: Final = 8_000
MAX_TEXT_CHARS: Final = 65_535
MAX_SEQUENCE: Final = 1 << 53
ENCODINGS: Final[Mapping[str, Encoding]] = {"PCMU": "pcmu", "L16": "pcm_s16le"}
NULL_ID: Final = "00000000-0000-0000-0000-000000000000"
CLIENT_TYPES: Final = ("open", "close", "ping", "discarded", "paused", "resumed", "update", "error")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DURATION: Final = re.compile(r"PT((?:\d*\.)?\d+)S", re.ASCII)
_MAX_DURATION_CHARS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMessage:
    """One message of the client. ``position`` in samples of its stream."""

    id: str
    type: str
    seq: int
    serverseq: int
    position: int
    parameters: dict[str, Any]


def parse_message(text: str) -> ClientMessage:
    """Raises RemoteProtocolError (1007, 1009; 1002 for another version or type)."""
    if len(text) > MAX_TEXT_CHARS:
        raise RemoteProtocolError(f"A text message may have at most {MAX_TEXT_CHARS} characters.", code=TOO_BIG)
    body = parse_object(text)
    if body.get("version") != "2":
        raise RemoteProtocolError('"version" must be "2": no other version of AudioHook is spoken here.', code=PROTOCOL_VIOLATION)
    kind, parameters = body.get("type"), body.get("parameters")
    seq, serverseq = body.get("seq"), body.get("serverseq")
    if isinstance(seq, str) or isinstance(serverseq, str):
        seq = None
    number, answered = whole_number(seq, MAX_SEQUENCE), whole_number(serverseq, MAX_SEQUENCE)
    if number is None or answered is None:
        raise RemoteProtocolError('"seq" and "serverseq" must be whole numbers.', code=BAD_PAYLOAD)
    if kind not in CLIENT_TYPES:
        raise RemoteProtocolError(f'"type" must be one of {", ".join(CLIENT_TYPES)}.', code=PROTOCOL_VIOLATION)
    if not isinstance(parameters, dict):
        raise RemoteProtocolError('"parameters" must be an object.', code=BAD_PAYLOAD)
    return ClientMessage(
        id=uuid_of(body.get("id"), "id"),
        type=str(kind),
        seq=number,
        serverseq=answered,
        position=samples_of(body.get("position"), "position"),
        parameters=parameters,
    )


def uuid_of(value: object, name: str) -> str:
    """A UUID in lower case. Raises RemoteProtocolError."""
    text = value.lower() if isinstance(value, str) else ""
    if not _UUID.fullmatch(text):
        raise RemoteProtocolError(f'"{name}" must be a UUID.', code=BAD_PAYLOAD)
    return text


def samples_of(value: object, name: str) -> int:
    """An ISO 8601 duration in seconds (``PT1.2S``) as samples at 8 kHz. Raises RemoteProtocolError."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) and len(value) <= _MAX_DURATION_CHARS else None
    if found is None:
        raise RemoteProtocolError(f'"{name}" must be a duration such as PT1.2S.', code=BAD_PAYLOAD)
    return round(Decimal(found[1]) * RATE_HZ)


def duration_of(samples: int) -> str:
    """Samples at 8 kHz as an ISO 8601 duration: ``PT1.2S``; exact."""
    text = f"{samples // RATE_HZ}.{samples % RATE_HZ * 1_000_000 // RATE_HZ:06d}".rstrip("0").rstrip(".")
    return f"PT{text}S"


def duration_of_ms(ms: int) -> str:
    return duration_of(ms * RATE_HZ // 1000)


# ---------------------------------------------------------------------- entities


def transcript_entity(
    event: TranscriptPartial | TranscriptFinal, session: str, channels: Sequence[ChannelName], base_ms: int
) -> dict[str, Any]:
    """``base_ms``: where media time 0 of the call lies in the client's stream. A partial's confidence is not measured: 0."""
    text, confidence = "", 0.0
    words: tuple[Word, ...] = ()
    if isinstance(event, TranscriptFinal):
        text, confidence, words = event.text, event.confidence, event.words
    else:
        text = event.stable + event.unstable
    interpretation: dict[str, Any] = {"type": "display", "transcript": text}
    # Words carry what was heard; they may be shown only where they are exactly the (masked) text.
    if words and "".join(word.text for word in words).replace(" ", "") == text.replace(" ", ""):
        interpretation["tokens"] = [_token(word, base_ms) for word in words]
    data = {
        "id": entity_id(session, event.utterance_id),
        "channelId": channels.index(event.channel),
        "isFinal": isinstance(event, TranscriptFinal),
        "offset": duration_of_ms(base_ms + event.start_ms),
        "duration": duration_of_ms(max(0, event.end_ms - event.start_ms)),
        "alternatives": [{"confidence": _unit(confidence), "interpretations": [interpretation]}],
    }
    return {"type": "transcript", "data": data}


def _token(word: Word, base_ms: int) -> dict[str, Any]:
    return {
        "type": "word",
        "value": word.text,
        "confidence": _unit(word.confidence),
        "offset": duration_of_ms(base_ms + word.start_ms),
        "duration": duration_of_ms(max(0, word.end_ms - word.start_ms)),
    }


def assist_entity(event: SuggestionOffered, session: str, base_ms: int) -> dict[str, Any] | None:
    """A card as an ``agentassist`` entity: an answer as ``faq``, a passage as ``article``; None for what the protocol has no word for."""
    base: dict[str, Any] = {
        "id": entity_id(session, event.suggestion_id),
        "confidence": _unit(event.confidence),
        "position": duration_of_ms(base_ms + event.at_ms),
    }
    match event.kind:
        case "faq" | "reply":
            suggestion = base | {"type": "faq", "question": event.title, "answer": _as_html(event.text)}
        case "article" if event.citations:
            source = event.citations[0]
            suggestion = base | {
                "type": "article",
                "title": event.title or source.title,
                "excerpts": [event.text or source.quote],
                "documentUri": f"urn:pangting:article:{source.article_id}:{source.version}",
            }
        case _:
            return None
    data = {"id": entity_id(session, f"card-{event.suggestion_id}"), "suggestions": [suggestion]}
    return {"type": "agentassist", "data": data}


def entity_id(session: str, name: str) -> str:
    """The protocol wants UUIDs: the same thing of a session has the same one each time it is sent."""
    return str(uuid.uuid5(uuid.UUID(session), name))


def _unit(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 4)


def _as_html(text: str) -> str:
    """``answer`` is HTML to the client: plain text must not become markup."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("\n", "<br>")


def text_parameter(parameters: Mapping[str, Any], name: str) -> str:
    """A string of at most 512 characters, empty if absent. Raises RemoteProtocolError."""
    value = parameters.get(name, "")
    if not isinstance(value, str) or len(value) > 512 or not is_plain(value):
        raise RemoteProtocolError(f'"{name}" must be a string of at most 512 characters.', code=BAD_PAYLOAD)
    return value


# ---------------------------------------------------------------------- what an open says


def best_offer(offers: list[Any]) -> dict[str, Any]:
    """The offer to take, as it was made: both sides rather than one, μ-law rather than what is twice as wide."""
    usable = [
        offer
        for offer in offers
        if isinstance(offer, dict)
        and offer.get("type") == "audio"
        and isinstance(offer.get("format"), str)
        and offer["format"] in ENCODINGS
        and offer.get("rate") == RATE_HZ
        and offer.get("channels") in (["external", "internal"], ["external"], ["internal"])
    ]
    if not usable:
        raise RemoteProtocolError("None of the offered media is audio, PCMU or L16, at 8000 Hz, of one or two sides.", code=UNSUPPORTED)
    return cast("dict[str, Any]", max(usable, key=_worth))


def _worth(offer: dict[str, Any]) -> tuple[int, bool, bool]:
    return len(offer["channels"]), offer["format"] == "PCMU", offer["channels"] == ["external"]


def continued_sessions(value: object) -> tuple[str, ...]:
    """Ids of the sessions that this one continues, the latest first."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > 64:
        raise RemoteProtocolError('"continuedSessions" must list sessions.', code=BAD_PAYLOAD)
    ids = []
    for item in value:
        numbers = [whole_number(item.get(name), MAX_SEQUENCE) for name in ("serverseq", "clientseq")] if isinstance(item, dict) else [None]
        if None in numbers:
            raise RemoteProtocolError('A continued session needs "id", "serverseq" and "clientseq".', code=BAD_PAYLOAD)
        ids.append(uuid_of(item.get("id"), "id of a continued session"))
    return tuple(reversed(ids))


def language_or_none(value: object) -> str | None:
    """A language that is not ours is no reason to refuse a call: the integration's counts then."""
    try:
        return language_of(value)
    except RemoteProtocolError:
        return None
