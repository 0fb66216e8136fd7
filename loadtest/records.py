"""What a sender is told to do and what it reports back; one JSON object a line between the processes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One call to send. ``begin_at``: seconds of the machine's monotonic clock; the screen must be signed in by then.

    ``secret``: what the handshake is signed with, if the protocol signs it.
    """

    call_id: str
    base: str
    url: str
    protocol: str
    key: str
    audio: str
    agent: str
    password: str
    language: str
    begin_at: float
    secret: str = ""


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """What happened to one call. Moments ``…_at`` are seconds of the monotonic clock, which all processes of a machine share.

    ``messages``: [moment of arrival, message] of what the agent's feed carried of the call, in order. ``error``: [type, sentence] when
    the call was refused or broke off. ``stored_finals``: how many the server's own record of the call holds. ``cut``: the sender was told
    to hang up in the middle; ``sent_ms`` is then by the clock.
    """

    call_id: str
    playing_at: float | None = None
    hung_up_at: float | None = None
    done_at: float | None = None
    late_ms: float = 0.0
    sent_ms: int = 0
    messages: list[tuple[float, Json]] = field(default_factory=list)
    error: tuple[str, str] | None = None
    stored_finals: int | None = None
    ended: bool = False
    cut: bool = False
    feed_drops: int = 0

    def to_json(self) -> Json:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_json(cls, body: Json) -> CallRecord:
        record = cls(**body)
        record.messages = [(at, message) for at, message in record.messages]
        record.error = None if body["error"] is None else (body["error"][0], body["error"][1])
        return record

    def events(self, kind: str) -> list[tuple[float, Json]]:
        """Durable events of a type, each with its moment of arrival."""
        return [
            (at, message["envelope"]["event"])
            for at, message in self.messages
            if message["type"] == "event" and message["envelope"]["event"]["type"] == kind
        ]

    def partials(self) -> list[tuple[float, Json]]:
        return [(at, message["partial"]) for at, message in self.messages if message["type"] == "partial"]

    def secrets(self) -> dict[str, str]:
        values: dict[str, str] = {}
        for _, message in self.messages:
            if message["type"] == "secrets":
                values.update(message["values"])
        return values
