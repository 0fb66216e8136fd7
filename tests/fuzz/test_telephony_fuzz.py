"""Every parser against mutated conversations: only RemoteProtocolError comes out, the clock of a leg has no holes, nothing piles up.

A failure names the protocol and the seed; keep it as ``corpus/<what>.json`` with ``saved`` and it is replayed for ever.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from copilot.domain.audio import CallStart, MediaFrame, MediaGap
from copilot.domain.errors import RemoteProtocolError
from copilot.domain.ids import is_call_id
from streaming.callers import CALLERS
from streaming.telephony.auto import DETECTABLE
from streaming.telephony.mapping import mapped
from streaming.telephony.protocol import PROTOCOLS, Opening, make_protocol
from tests.fakes.conversations import CALL_ID, ROLES, messages_of, opening_of, recording_of, samples_by_channel, told
from tests.fuzz.mutations import Conversation, conversation, seeds_of

CORPUS = Path(__file__).parent / "corpus"
NAMES = sorted(PROTOCOLS)
QUICK_INPUTS = 20_000
SLOW_INPUTS = 1_000_000
MAX_STATE_BYTES = 1_500_000
"""What one parser may hold: a few chunks of the largest messages that may be sent."""
CANARY_EVERY = 500


def feed(parser, messages: Conversation) -> None:
    """Raises AssertionError (or what the parser lets out) for anything but events in order or a RemoteProtocolError."""
    position: dict[str, int] = {}
    width: dict[str, int] = {}
    try:
        for message in messages:
            events = parser.receive_text(message) if isinstance(message, str) else parser.receive_bytes(message)
            waiting = list(events)
            while waiting:
                event = waiting.pop(0)
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
    for event in parser.receive_eof():
        if isinstance(event, MediaFrame | MediaGap):
            _in_order(event, position, width)
    assert footprint(parser) < MAX_STATE_BYTES


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


@cache
def seeds_recording(name: str):
    return recording_of(name, ms=20)


def source_of(name: str, seed: int) -> str:
    """Whose calls an input is made of: ``auto`` hears everybody."""
    return DETECTABLE[seed % len(DETECTABLE)] if name == "auto" else name


def run(name: str, seeds: range) -> None:
    for seed in seeds:
        source = source_of(name, seed)
        messages = conversation(source, seed)
        opening = opening_of(source, seeds_recording(source))
        if not seed % 3:
            opening = replace(opening, subprotocol=None, query={}, headers={})
        try:
            feed(make_protocol(name, {}, opening), messages)
        except Exception as error:
            raise AssertionError(
                f"Parser {name!r}, seed {seed}: {error!r}. Keep it: {saved(name, opening.subprotocol, messages)}"
            ) from error
        if not seed % CANARY_EVERY:
            canary(source, name)


def canary(source: str, name: str) -> None:
    """After all that, a healthy call comes out as ever: parsers share nothing."""
    recording = recording_of(source)
    parser = make_protocol(name, ROLES.get(name, {}), opening_of(source, recording))
    heard = samples_by_channel(told(parser, messages_of(source, recording)))
    assert heard["customer"].tolist() == recording.samples[:, 0].tolist()


def saved(name: str, subprotocol: str | None, messages: Conversation) -> str:
    parts = [message if isinstance(message, str) else {"hex": message.hex()} for message in messages]
    return json.dumps({"protocol": name, "subprotocol": subprotocol, "messages": parts})


@pytest.mark.parametrize("name", NAMES)
def test_mutated_calls(name):
    run(name, range(QUICK_INPUTS // len(NAMES)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
def test_a_million_mutated_calls(name):
    run(name, range(QUICK_INPUTS, QUICK_INPUTS + SLOW_INPUTS // len(NAMES)))


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.json")), ids=lambda file: file.stem)
def test_cases_that_were_found_once(file):
    case = json.loads(file.read_text(encoding="utf-8"))
    messages = [part if isinstance(part, str) else bytes.fromhex(part["hex"]) for part in case["messages"]]
    feed(make_protocol(case["protocol"], {}, Opening(subprotocol=case.get("subprotocol"), query=case.get("query", {}))), messages)


@pytest.mark.parametrize("name", sorted(CALLERS))
def test_the_fuzzer_reaches_beyond_the_first_message(name):
    """A generator that only makes nonsense would find nothing: a good part of its calls must be heard, and a good part refused."""
    heard = refused = 0
    for seed in range(300):
        parser = make_protocol(name, {}, opening_of(name, seeds_recording(name)))
        events = []
        try:
            for message in conversation(name, seed):
                events += told(parser, [message])
        except RemoteProtocolError:
            refused += 1
        heard += any(isinstance(event, MediaFrame) for event in events)
    assert heard >= 60
    assert refused >= 40
    assert len(seeds_of(name)) == 12
