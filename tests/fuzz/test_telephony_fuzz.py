"""Every parser against mutated conversations: only RemoteProtocolError comes out, the clock of a leg has no holes, nothing piles up.

A failure names the protocol and the seed; keep it as ``corpus/<what>.json`` with ``saved`` and it is replayed for ever.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from copilot.domain.audio import MediaFrame
from copilot.domain.errors import RemoteProtocolError
from streaming.callers import CALLERS
from streaming.telephony.auto import DETECTABLE
from streaming.telephony.protocol import PROTOCOLS, Opening, make_protocol
from tests.fakes.conversations import ROLES, messages_of, opening_of, recording_of, samples_by_channel, told
from tests.fuzz.mutations import conversation, seeds_of
from tests.fuzz.oracle import feed, saved

CORPUS = Path(__file__).parent / "corpus"
NAMES = sorted(PROTOCOLS)
QUICK_INPUTS = 20_000
SLOW_INPUTS = 1_000_000
CANARY_EVERY = 500


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
