"""What must hold of a parser whatever it is sent: only RemoteProtocolError comes out, a leg's clock has no holes, nothing piles up."""

from __future__ import annotations

import json

from copilot.domain.audio import CallStart, MediaFrame, MediaGap
from copilot.domain.errors import RemoteProtocolError
from copilot.domain.ids import is_call_id
from streaming.telephony.mapping import mapped
from tests.fakes.conversations import CALL_ID
from tests.fuzz.mutations import Conversation

MAX_STATE_BYTES = 1_500_000
"""What one parser may hold: a few chunks of the largest messages that may be sent."""


def feed(parser, messages: Conversation) -> str:
    """What came of it in a line: the kinds of events, and the refusal if there was one.

    Raises AssertionError (or what the parser lets out) for anything but events in order or a RemoteProtocolError.
    """
    position: dict[str, int] = {}
    width: dict[str, int] = {}
    kinds: set[str] = set()
    refusal = ""
    try:
        for message in messages:
            events = parser.receive_text(message) if isinstance(message, str) else parser.receive_bytes(message)
            waiting = list(events)
            while waiting:
                event = waiting.pop(0)
                kinds.add(type(event).__name__)
                if isinstance(event, CallStart):
                    assert not width, "a call starts once"
                    _storable(mapped(event, {"agent": "user", "ani": "from"}, "fresh"))
                    width = {leg.channel: leg.bytes_per_sample for leg in event.legs}
                    position = dict.fromkeys(width, 0)
                    waiting += parser.accept(CALL_ID)
                elif isinstance(event, MediaFrame | MediaGap):
                    _in_order(event, position, width)
            parser.messages_to_send()
    except RemoteProtocolError as error:
        _tell(parser, error)
        refusal = str(error)
    for event in parser.receive_eof():
        if isinstance(event, MediaFrame | MediaGap):
            _in_order(event, position, width)
    assert footprint(parser) < MAX_STATE_BYTES
    return f"{' '.join(sorted(kinds))}: {refusal}"


def _tell(parser, error: RemoteProtocolError) -> None:
    """The peer's close frame and an answer, if it takes one: both must be text that can be sent."""
    assert 1000 <= error.code < 5000
    assert str(error).encode().endswith(b".")
    parser.queue_error(str(error), error.code)
    for answer in parser.messages_to_send():
        _ = answer.encode() if isinstance(answer, str) else answer


def _storable(start: CallStart) -> None:
    assert is_call_id(start.external_id)
    assert len(start.metadata) <= 32
    for text in [*start.metadata, *start.metadata.values()]:
        assert b"\x00" not in text.encode()


def _in_order(event: MediaFrame | MediaGap, position: dict[str, int], width: dict[str, int]) -> None:
    assert event.start_sample == position[event.channel], "a leg's clock has no holes"
    if isinstance(event, MediaGap):
        samples = event.samples
    else:
        samples, rest = divmod(len(event.payload), width[event.channel])
        assert not rest, "whole samples"
    assert samples > 0
    position[event.channel] += samples


def footprint(thing: object, depth: int = 0) -> int:
    """Bytes of text and data that an object holds on to, and of the containers around them."""
    if isinstance(thing, str | bytes | bytearray):
        return len(thing)
    if depth > 8:
        return 0
    if isinstance(thing, dict):
        return sum(64 + footprint(key, depth + 1) + footprint(value, depth + 1) for key, value in thing.items())
    if isinstance(thing, list | tuple | set | frozenset):
        return sum(16 + footprint(item, depth + 1) for item in thing)
    if type(thing).__module__.startswith(("streaming", "copilot")):
        slots = getattr(type(thing), "__slots__", ())
        held = getattr(thing, "__dict__", {}) | {name: getattr(thing, name, None) for name in slots if isinstance(name, str)}
        return footprint(held, depth + 1)
    return 8


def saved(name: str, subprotocol: str | None, messages: Conversation) -> str:
    parts = [message if isinstance(message, str) else {"hex": message.hex()} for message in messages]
    return json.dumps({"protocol": name, "subprotocol": subprotocol, "messages": parts})
