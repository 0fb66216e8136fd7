"""Valid conversations of every protocol, and what may become of them on the way: seeded, so that a number names an input."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from functools import cache

from streaming.callers import CALLERS
from tests.fakes.conversations import messages_of, recording_of

Message = str | bytes
Conversation = list[Message]

ODD_VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**64, 10**300, 1.5, -0.0, 1e308, float("inf"), float("nan"),
    "", "0", "-1", "٣", "1e9", "9" * 400, "x" * 600, "\x00", "\U0001f600", "\ud800", "half \udfff", "../..", "null",
    [], [[]], {}, {"a": {"b": {"c": {"d": {}}}}}, ["inbound"], ["inbound", {}],
    "inbound", "outbound", "inbound_track", "both_tracks", "customer", "agent", "stereo", "mixed",
    8000, "16k", "48000", 44100, "PCMU", "pcma", "audio/x-mulaw", "audio/l16;rate=8000", "en", "de", "zh-CN",
)  # fmt: skip
JUNK: tuple[Message, ...] = (
    "", " ", "null", "true", "[]", "{}", '"x"', "1e999", "{", "[" * 5_000, '{"a":' * 2_000, "\x00", "\ufeff{}",
    "MEDIA_START a:b", "x" * 65_536, "x" * 65_537,
    b"", b"\x00", b"\xff", b"\x00" * 3, b"\x01\x00\x10", bytes(262_144), bytes(262_145), b"\x10\xff\xff",
)  # fmt: skip


@cache
def seeds_of(name: str) -> tuple[tuple[Message, ...], ...]:
    """A dozen valid calls of a protocol, short ones."""
    spec = CALLERS[name]
    calls = []
    for number in range(12):
        recording = recording_of(
            name, seed=number, ms=(20, 45, 80, 125)[number % 4], rate_hz=spec.rates_hz[number % len(spec.rates_hz)], channels=1 + number % 2
        )
        metadata = [{}, {"agent": "li.na", "language": "zh"}, {f"k{n}": "v" * n for n in range(30)}][number % 3]
        calls.append(tuple(messages_of(name, recording, metadata=metadata)))
    return tuple(calls)


def conversation(name: str, seed: int) -> Conversation:
    """The ``seed``-th input for a protocol: a valid call after one to six mutations."""
    chance = random.Random(f"{name}:{seed}")
    messages: Conversation = list(chance.choice(seeds_of(name)))
    for _ in range(chance.randint(1, 6)):
        chance.choice(MUTATIONS)(messages, chance)
        if not messages:
            break
    return messages[:400]


# ---------------------------------------------------------------------- messages


def _drop(messages: Conversation, chance: random.Random) -> None:
    at = chance.randrange(len(messages))
    del messages[at : at + chance.choice((1, 1, 1, 5))]


def _repeat(messages: Conversation, chance: random.Random) -> None:
    at = chance.randrange(len(messages))
    messages[at:at] = [messages[at]] * chance.choice((1, 1, 2, 40))


def _swap(messages: Conversation, chance: random.Random) -> None:
    a, b = chance.randrange(len(messages)), chance.randrange(len(messages))
    messages[a], messages[b] = messages[b], messages[a]


def _cut_short(messages: Conversation, chance: random.Random) -> None:
    del messages[chance.randrange(len(messages)) :]


def _shuffle(messages: Conversation, chance: random.Random) -> None:
    at = chance.randrange(len(messages))
    tail = messages[at:]
    chance.shuffle(tail)
    messages[at:] = tail


def _insert_junk(messages: Conversation, chance: random.Random) -> None:
    messages.insert(chance.randint(0, len(messages)), chance.choice(JUNK))


def _splice(messages: Conversation, chance: random.Random) -> None:
    """Some of another call, perhaps of another protocol."""
    other = chance.choice(seeds_of(chance.choice(sorted(CALLERS))))
    at = chance.randrange(len(other))
    messages[chance.randint(0, len(messages)) :] = other[at : at + 8]


def _change_kind(messages: Conversation, chance: random.Random) -> None:
    at = chance.randrange(len(messages))
    message = messages[at]
    messages[at] = message.encode(errors="replace") if isinstance(message, str) else message.decode("latin-1")


# ---------------------------------------------------------------------- JSON


def _change_json(messages: Conversation, chance: random.Random) -> None:
    at = chance.randrange(len(messages))
    message = messages[at]
    if not isinstance(message, str):
        _change_bytes(messages, chance)
        return
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        return
    places = list(_places(body))
    if not places:
        return
    holder, key = chance.choice(places)
    match chance.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[chance.choice((str(key).upper(), str(key) + "x", "", "start", "media", "event", "type"))] = holder.pop(key)
        case 2:
            holder[key] = copy.deepcopy(chance.choice(places)[0])
        case _:
            holder[key] = chance.choice(ODD_VALUES)
    messages[at] = json.dumps(body)


def _places(body: object, depth: int = 0):
    """(container, key) of everything within, a few levels deep."""
    if depth < 5 and isinstance(body, dict | list):
        for key, value in list(body.items() if isinstance(body, dict) else enumerate(body)):
            yield body, key
            yield from _places(value, depth + 1)


# ---------------------------------------------------------------------- bytes


def _change_bytes(messages: Conversation, chance: random.Random) -> None:
    at = chance.randrange(len(messages))
    message = messages[at]
    data = bytearray(message.encode(errors="replace") if isinstance(message, str) else message)
    for _ in range(chance.choice((1, 1, 2, 8))):
        where = chance.randint(0, len(data))
        match chance.randrange(4):
            case 0 if data:
                data[where % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                del data[where : where + chance.choice((1, 3, 100))]
            case 2:
                data[where:where] = chance.randbytes(chance.choice((1, 3, 100)))
            case _:
                data[where:where] = data[: chance.choice((1, 7, 300))]
    changed = bytes(data)
    messages[at] = changed.decode(errors="replace") if isinstance(message, str) else changed


def _recut(messages: Conversation, chance: random.Random) -> None:
    """A binary message in two, or two in one."""
    at = chance.randrange(len(messages))
    message = messages[at]
    if not isinstance(message, bytes) or len(message) < 2:
        return
    cut = chance.randrange(1, len(message))
    messages[at : at + 1] = [message[:cut], message[cut:]]


MUTATIONS: tuple[Callable[[Conversation, random.Random], None], ...] = (
    _drop, _repeat, _swap, _cut_short, _shuffle, _insert_junk, _splice, _change_kind,
    _change_json, _change_json, _change_json, _change_json, _change_bytes, _change_bytes, _recut,
)  # fmt: skip
