"""The edge between domain types and JSON. Everything that leaves or enters the process as JSON passes here.

One pydantic ``TypeAdapter`` per type, made on first use. Errors name the field and the fault, never the offending value: it may be
what somebody said on the phone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, TypeAdapter, ValidationError

from copilot.domain.artifacts import (
    Artifact,
    ArtifactBody,
    ArtifactKind,
    Keywords,
    ListeningCopy,
    MoodReport,
    QaScorecard,
    Summary,
    TicketClassification,
)
from copilot.domain.calls import Call
from copilot.domain.errors import EngineError, InvalidInput
from copilot.domain.events import MAX_LABEL, SCHEMA_VERSION, CallEvent, EventEnvelope
from copilot.domain.ids import CallId, OrgId
from copilot.domain.knowledge import Article, Hit
from copilot.domain.transcript import SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptPartial

T = TypeVar("T")
Json = dict[str, Any]
Upcaster = Callable[[Json], Json]


def _typed_metadata(started: Json) -> Json:
    """Version 2 has fields for what version 1 kept under these names; a caller's number only as a token."""
    metadata = started.get("metadata") or {}
    lifted = {name: str(metadata[name])[:MAX_LABEL] for name in ("dnis", "skill") if name in metadata}
    if str(metadata.get("ani", "")).startswith("【"):
        lifted["ani"] = str(metadata["ani"])
    return {**started, **lifted}


def _own_evidence(alerted: Json) -> Json:
    """Before version 3 an alert rested on one utterance."""
    return {**alerted, "evidence": [alerted["utterance_id"]]} if alerted.get("utterance_id") else alerted


UPCASTERS: Mapping[tuple[str, int], Upcaster] = {("call_started", 1): _typed_metadata, ("compliance_alerted", 2): _own_evidence}
"""(event type, schema version) → function that turns the JSON of that version into that of the next one. A pair that is absent did not
change between the two versions."""

ARTIFACT_BODIES: Mapping[ArtifactKind, type[ArtifactBody]] = {
    "summary": Summary,
    "ticket": TicketClassification,
    "qa": QaScorecard,
    "mood": MoodReport,
    "keywords": Keywords,
    "recording": ListeningCopy,
}

DOCUMENTED: Mapping[str, Any] = {
    "EventEnvelope": EventEnvelope,
    "Call": Call,
    "Artifact": Artifact,
    "Article": Article,
    "Hit": Hit,
    "TranscriptPartial": TranscriptPartial,
    "TranscriptFinal": TranscriptFinal,
    "SpeechStarted": SpeechStarted,
    "SpeechEnded": SpeechEnded,
}
"""The types whose JSON Schema ``schema`` publishes."""


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return _made(kind)


@cache
def _made(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@cache
def _events() -> TypeAdapter[CallEvent]:
    return TypeAdapter(Annotated[CallEvent, Field(discriminator="type")])


def _validated(adapter: TypeAdapter[Any], data: object, what: str) -> Any:
    # JSON mode of validation: dates are strings, tuples are lists, and nothing else is coerced.
    try:
        return adapter.validate_json(json.dumps(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole value"
        raise InvalidInput(f"This is not a valid {what}: {place}: {first['msg']}.") from None


def to_json(value: object) -> Any:
    """A domain dataclass as JSON-able Python (dicts, lists, strings, numbers); datetimes are ISO 8601 with offset."""
    return _adapter(type(value)).dump_python(value, mode="json")


def from_json(kind: type[T], data: object) -> T:
    """The domain dataclass ``kind`` from JSON-able Python. Raises InvalidInput."""
    return cast("T", _validated(_adapter(kind), data, kind.__name__))


def encode_event(event: CallEvent) -> Json:
    """The event as JSON-able Python, its literal ``type`` included."""
    return cast("Json", _adapter(type(event)).dump_python(event, mode="json"))


def decode_event(
    data: Json,
    schema_version: int = SCHEMA_VERSION,
    *,
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
    current: int = SCHEMA_VERSION,
) -> CallEvent:
    """The event in today's shape, whatever version it was written in.

    Raises InvalidInput when the data is no event; EngineError when it was written by a newer version of this product.
    """
    if schema_version > current:
        raise EngineError(
            f"An event has schema version {schema_version}, this program knows {current}: run the version that wrote it, or a newer one."
        )
    for version in range(schema_version, current):
        upcast = upcasters.get((str(data.get("type")), version))
        if upcast is not None:
            data = upcast(dict(data))
    return cast("CallEvent", _validated(_events(), data, "call event"))


def split(event: CallEvent) -> tuple[Json, Json]:
    """``(payload, content)``: the fields named in ``CONTENT`` apart from the rest. Empty content fields are left out."""
    payload = encode_event(event)
    content = {name: payload.pop(name) for name in type(event).CONTENT}
    return payload, {name: value for name, value in content.items() if value}


def join(payload: Json, content: Json | None, schema_version: int = SCHEMA_VERSION) -> CallEvent:
    """The event again. Without content (the call was erased) its content fields have their neutral defaults."""
    return decode_event({**payload, **(content or {})}, schema_version)


def encode_envelope(envelope: EventEnvelope) -> Json:
    """The stored event with its key, as the API and the feed carry it."""
    return {
        "org_id": envelope.org_id,
        "call_id": envelope.call_id,
        "seq": envelope.seq,
        "epoch": envelope.epoch,
        "at": to_json_time(envelope.at),
        "event": encode_event(envelope.event),
        "schema_version": envelope.schema_version,
    }


def decode_envelope(data: Json) -> EventEnvelope:
    """The reverse of ``encode_envelope``; older events come out in today's shape. Raises InvalidInput."""
    try:
        version = int(data["schema_version"])
        return EventEnvelope(
            org_id=OrgId(str(data["org_id"])),
            call_id=CallId(str(data["call_id"])),
            seq=int(data["seq"]),
            epoch=int(data["epoch"]),
            at=datetime.fromisoformat(data["at"]),
            event=decode_event(data["event"], version),
            schema_version=SCHEMA_VERSION,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"This is not a valid event envelope ({type(error).__name__}).") from None


def encode_call(call: Call) -> Json:
    return cast("Json", to_json(call))


def decode_call(data: Json) -> Call:
    return from_json(Call, data)


def encode_artifact(artifact: Artifact) -> Json:
    """``{"kind", "version", "body"}``; the kind tells the body's type."""
    return {"kind": artifact.kind, "version": artifact.version, "body": to_json(artifact.body)}


def decode_artifact(data: Json) -> Artifact:
    """The reverse of ``encode_artifact``. Raises InvalidInput."""
    kind = data.get("kind")
    body_type = ARTIFACT_BODIES.get(kind)  # type: ignore[arg-type]
    if body_type is None:
        raise InvalidInput(f"This is not a valid artifact: its kind must be one of {', '.join(ARTIFACT_BODIES)}.")
    body = _validated(_adapter(body_type), data.get("body"), f"{kind} artifact")
    return Artifact(kind=cast("ArtifactKind", kind), version=int(data.get("version", 1)), body=body)


def dumps(data: object) -> str:
    """Compact JSON text, Chinese left readable."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def to_json_time(at: datetime) -> str:
    """ISO 8601 in the offset given, ``Z`` for UTC, as pydantic writes it."""
    return at.isoformat().replace("+00:00", "Z")


def schema() -> Json:
    """One JSON Schema document (2020-12) with every documented type under ``$defs``."""
    inputs = [(name, "serialization", _adapter(kind)) for name, kind in DOCUMENTED.items()]
    _, document = TypeAdapter.json_schemas(inputs, title="Pangting", ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}
