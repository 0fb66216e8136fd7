"""The targets of ``make fuzz``: bytes are conversations, and every target takes its seeds and what they are mutated to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.callers import CALLERS
from tests.fuzz.mutations import JUNK, seeds_of
from tests.fuzz.packed import MAX_MESSAGES, pack, unpack
from tests.fuzz.target import MAX_BYTES, Target, names

MESSAGE = st.one_of(st.binary(max_size=80), st.text(st.characters(exclude_categories=()), max_size=40))


@given(messages=st.lists(MESSAGE, max_size=20))
@settings(max_examples=100, deadline=None)
def test_conversations_survive_as_bytes(messages):
    assert unpack(pack(messages)) == messages


def test_so_do_valid_calls_and_junk():
    for name in CALLERS:
        for call in seeds_of(name):
            assert unpack(pack(call)) == list(call)
    again = unpack(pack(JUNK))
    assert [len(message) - len(message) % 16 if len(message) >= 65_535 else len(message) for message in JUNK] == [len(m) for m in again]


@given(data=st.binary(max_size=4000))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_conversation(data):
    assert len(unpack(data)) <= MAX_MESSAGES


@pytest.mark.parametrize("name", names())
def test_a_target_hears_its_seeds_and_what_becomes_of_them(name):
    target = Target(name)
    seeds = target.seeds()
    assert sum("MediaFrame" in target(data) for data in seeds) >= 10
    outcomes = {target(target.mutated(data, seed)) for seed, data in enumerate(seeds * 3)}
    assert len(outcomes) >= 5
    assert all(len(target.mutated(data, 1)) <= MAX_BYTES for data in seeds)


def test_a_target_says_what_it_found(capsys, monkeypatch):
    target = Target("raw")

    def broken(_parser, _messages):
        raise AssertionError("found")

    monkeypatch.setattr(target._oracle, "feed", broken)
    with pytest.raises(AssertionError, match="found"):
        target(pack(["{}", b"\x01"]))
    assert '{"protocol": "raw", "subprotocol": null, "messages": ["{}", {"hex": "01"}]}' in capsys.readouterr().err
