"""Split or merge a peer's bytes anywhere: the audio of each leg, its positions and its gaps stay the same."""

from __future__ import annotations

import base64
import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.domain.audio import MediaFrame, MediaGap
from copilot.domain.errors import RemoteProtocolError
from streaming.telephony.protocol import make_protocol


def joined(events):
    """The frames of one μ-law leg, adjacent ones as one: [start, bytes]; gaps stay as they are."""
    runs = []
    for event in events:
        if isinstance(event, MediaGap):
            runs.append(event)
        elif runs and isinstance(runs[-1], list) and runs[-1][0] + len(runs[-1][1]) == event.start_sample:
            runs[-1][1] += event.payload
        else:
            runs.append([event.start_sample, event.payload])
    return runs


def cut(data, points):
    edges = [0, *sorted(p % (len(data) + 1) for p in points), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(
    data=st.binary(max_size=400),
    points=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12),
    encoding=st.sampled_from(["pcmu", "pcma", "pcm_s16le"]),
    channels=st.sampled_from([["customer"], ["customer", "agent"], ["mixed"]]),
)
def test_raw_bytes_may_be_split_anywhere(data, points, encoding, channels):
    def run(pieces):
        protocol = make_protocol("raw", {})
        protocol.receive_text(
            json.dumps({"type": "start", "call_id": "c", "channels": channels, "encoding": encoding, "sample_rate": 8000})
        )
        protocol.accept("c")
        events = [event for piece in pieces for event in protocol.receive_bytes(piece)]
        audio = {channel: b"".join(e.payload for e in events if e.channel == channel) for channel in channels}
        width = 2 if encoding == "pcm_s16le" else 1
        for channel in channels:  # every frame begins where the one before it ended
            position = 0
            for event in events:
                if event.channel == channel:
                    assert event.start_sample == position
                    position += len(event.payload) // width
        return audio

    whole = run([data])
    assert run(cut(data, points)) == whole
    width = (2 if encoding == "pcm_s16le" else 1) * len(channels)
    assert sum(map(len, whole.values())) == len(data) - len(data) % width


@given(lengths=st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=20), shuffle=st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_twilio_audio_does_not_depend_on_chunking_or_small_reorderings(lengths, shuffle):
    audio = bytes(n % 251 for n in range(sum(lengths) * 8))

    def run(parts, window):
        protocol = make_protocol("twilio", {})
        protocol.receive_text('{"event":"connected"}')
        start = {
            "callSid": "CA1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"},
        }
        protocol.receive_text(json.dumps({"event": "start", "streamSid": "MZ1", "start": start}))
        protocol.accept("CA1")
        messages, position = [], 0
        for number, ms in enumerate(parts, 1):
            payload = base64.b64encode(audio[position : position + ms * 8]).decode()
            body = {"track": "inbound", "chunk": str(number), "timestamp": str(position // 8), "payload": payload}
            messages.append(json.dumps({"event": "media", "media": body}))
            position += ms * 8
        for at in range(1, len(messages), window):  # the first chunk stays first
            block = messages[at : at + window]
            shuffle.shuffle(block)
            messages[at : at + window] = block
        events = [event for message in messages for event in protocol.receive_text(message)] + protocol.receive_eof()
        assert all(isinstance(event, MediaFrame) for event in events)
        return joined(events)

    whole = [[0, audio]]
    assert run([sum(lengths)], 1) == whole
    assert run(lengths, 1) == whole
    assert run(lengths, 3) == whole


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
RAW_START = {"type": "start", "call_id": "c", "channels": ["customer"], "encoding": "pcmu", "sample_rate": 8000}
TWILIO_START = {
    "event": "start",
    "streamSid": "MZ1",
    "start": {
        "callSid": "CA1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"},
        "customParameters": {},
    },
}


@given(key=st.sampled_from([*RAW_START, "metadata", "language", "resume", "events", "resumable"]), value=JSONS)
def test_any_json_in_a_raw_start_is_taken_or_refused(key, value):
    protocol = make_protocol("raw", {})
    try:
        protocol.receive_text(json.dumps(RAW_START | {key: value}))
    except RemoteProtocolError as error:
        assert str(error).endswith(".")  # noqa: PT017 - being taken is as good


@given(key=st.sampled_from(list(TWILIO_START["start"])), value=JSONS, body=JSONS, event=st.sampled_from(["media", "dtmf", "stop", "mark"]))
def test_any_json_in_twilio_messages_is_taken_or_refused(key, value, body, event):
    for start, later in (({key: value}, None), ({}, {"event": event, event: body})):
        protocol = make_protocol("twilio", {})
        protocol.receive_text('{"event":"connected"}')
        try:
            protocol.receive_text(json.dumps(TWILIO_START | {"start": TWILIO_START["start"] | start}))
            protocol.accept("CA1")
            if later:
                protocol.receive_text(json.dumps(later))
        except RemoteProtocolError as error:
            assert str(error).endswith(".")  # noqa: PT017 - being taken is as good
