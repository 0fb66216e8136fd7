"""Parsers driven as the shell drives them, and what they make of a peer's messages."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np

from copilot.domain.audio import CallStart, MediaFrame, MediaGap
from streaming.callers import CALLERS
from streaming.calling import Credentials, Recording
from streaming.telephony import g711
from streaming.telephony.protocol import PROTOCOLS, Opening, make_protocol

CALL_ID, OTHER_ID = "9a1f0c52-7c1d-4f63-8a41-2d7d0a6e5b01", "9a1f0c52-7c1d-4f63-8a41-2d7d0a6e5b02"
"""UUIDs, since some peers' ids are."""


ROLES = {"audiosocket": {"media": "customer"}}
"""Where a protocol's own roles do not make the first channel of a recording the customer's."""


def told(parser, messages, *, accept=True):
    """The events of ``messages`` (str or bytes), accepted as soon as the call has begun."""
    events = []
    for message in messages:
        out = parser.receive_text(message) if isinstance(message, str) else parser.receive_bytes(message)
        events += out
        if accept and any(isinstance(event, CallStart) for event in out):
            events += parser.accept(CALL_ID)
    return events


def recording_of(name, seed=1, ms=250, rate_hz=None, channels=2):
    """Noise in the shape that the protocol carries: μ-law and A-law values survive their codec exactly."""
    spec = CALLERS[name]
    rate, encoding = rate_hz or spec.rates_hz[0], spec.encoding or "pcm_s16le"
    noise = np.random.default_rng(seed).integers(-20_000, 20_000, (rate * ms // 1000, min(channels, spec.channels))).astype(np.int16)
    return Recording(
        samples=g711.decode(g711.encode(noise.reshape(-1), encoding), encoding).reshape(noise.shape), rate_hz=rate, encoding=encoding
    )


def opening_of(name, recording, call_id=CALL_ID):
    spec = CALLERS[name]
    where = Credentials(url=f"ws://bank.example/v1/{name}", key="key", secret="", call_id=call_id)
    return Opening(headers=spec.headers(where), query=spec.query(recording, call_id), subprotocol=spec.subprotocol)


def parser_of(name, recording, roles=None, protocol=None, call_id=CALL_ID):
    """A parser for what ``name`` sends; ``protocol`` if the integration says another, such as ``auto``."""
    return make_protocol(protocol or name, roles or ROLES.get(name, {}), opening_of(name, recording, call_id))


def messages_of(name, recording, call_id=CALL_ID, metadata=None):
    """The whole call as a list of messages."""
    caller = CALLERS[name].make(recording, call_id, metadata or {})
    return [*caller.opening(), *(message for frame in caller.frames() for message in frame), *caller.closing()]


def samples_by_channel(events):
    """Samples per channel, gaps as zeros; every frame must begin where the one before it ended."""
    start = next(event for event in events if isinstance(event, CallStart))
    heard = {leg.channel: [] for leg in start.legs}
    encoding = {leg.channel: leg.encoding for leg in start.legs}
    position = dict.fromkeys(heard, 0)
    for event in events:
        if isinstance(event, MediaFrame | MediaGap):
            assert event.start_sample == position[event.channel]
            part = np.zeros(event.samples, np.int16) if isinstance(event, MediaGap) else g711.decode(event.payload, encoding[event.channel])
            heard[event.channel].append(part)
            position[event.channel] += len(part)
    return {channel: np.concatenate(parts) if parts else np.zeros(0, np.int16) for channel, parts in heard.items()}


def recut(messages, cuts):
    """The binary messages of a call cut elsewhere (``cuts`` in [0, 1)); texts stay where they are. Empty messages mean something: kept."""
    out, run = [], b""
    for message in [*messages, ""]:
        if isinstance(message, bytes) and message:
            run += message
            continue
        if run:
            edges = [0, *sorted(int(cut * len(run)) for cut in cuts), len(run)]
            out += [piece for a, b in pairwise(edges) if (piece := run[a:b])]
            run = b""
        if message != "":
            out.append(message)
    return out


WEBSOCKET_NAMES = sorted(name for name in PROTOCOLS if name != "auto")


def shuffled(messages, seed):
    """Some order, with some repeated and some left out."""
    chance = random.Random(seed)
    return [chance.choice(messages) for _ in range(len(messages))]
