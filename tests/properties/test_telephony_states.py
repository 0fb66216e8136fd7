"""Bytes cut anywhere give the same events; messages in any order give events or a RemoteProtocolError, and nothing else."""

from __future__ import annotations

import json
import uuid
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.domain.audio import CallStart, CallStop, Dtmf, MediaFrame, MediaGap
from copilot.domain.errors import RemoteProtocolError
from copilot.domain.events import SuggestionOffered
from copilot.domain.transcript import TranscriptFinal
from streaming.telephony.audiosocket import frame
from streaming.telephony.protocol import Opening, make_protocol

ID = uuid.UUID("40325ec2-5efd-4bd3-805f-53576e581d13")
SESSION = str(ID)
CUTS = st.lists(st.integers(min_value=0, max_value=10_000), max_size=12)


def cut(data, points):
    edges = [0, *sorted(p % (len(data) + 1) for p in points), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def merged(events):
    """Adjacent frames of a channel as one."""
    out = []
    for event in events:
        if isinstance(event, MediaFrame) and out and isinstance(out[-1], list) and out[-1][0] == event.channel:
            out[-1][2] += event.payload
        else:
            out.append([event.channel, event.start_sample, event.payload] if isinstance(event, MediaFrame) else event)
    return out


# ---------------------------------------------------------------------- AudioSocket: a stream of bytes

AUDIO = st.binary(max_size=40).map(lambda audio: frame(0x12, audio))
LATER = st.one_of(AUDIO, st.sampled_from(list(b"0123456789*#ABCD")).map(lambda digit: frame(0x03, bytes((digit,)))))
ENDINGS = st.sampled_from([b"", frame(0x00), frame(0xFF, b"\x02"), b"\x12\x00\x08\x01", b"\x12"])


def through_audiosocket(pieces):
    protocol = make_protocol("audiosocket", {})
    events = []
    for piece in pieces:
        new = protocol.receive_bytes(piece)
        if any(isinstance(event, CallStart) for event in new):
            new = [*new, *protocol.accept("c-1")]
        events += new
    return events + protocol.receive_eof()


@given(st.lists(LATER, max_size=12), ENDINGS, CUTS)
@settings(max_examples=200)
def test_an_audiosocket_stream_may_be_cut_anywhere(frames, ending, points):
    data = frame(0x01, ID.bytes) + b"".join(frames) + ending
    whole = through_audiosocket([data])
    assert merged(through_audiosocket(cut(data, points))) == merged(whole)
    assert merged(through_audiosocket([bytes((byte,)) for byte in data])) == merged(whole)
    started = any(isinstance(event, CallStart) for event in whole)
    assert started == any(f[0] == 0x12 and len(f) > 3 for f in frames)
    assert sum(isinstance(event, CallStop) for event in whole) == started


@given(st.binary(max_size=200), CUTS)
@settings(max_examples=300)
def test_any_bytes_are_taken_or_refused_by_audiosocket(data, points):
    for opening in (b"", frame(0x01, ID.bytes), frame(0x01, ID.bytes) + frame(0x10, b"\0\0")):
        try:
            through_audiosocket(cut(opening + data, points))
        except RemoteProtocolError as error:
            assert str(error).endswith(".")  # noqa: PT017 - being taken is as good


# ---------------------------------------------------------------------- AudioHook: a state machine

ORG = "d7934305-0972-4844-938e-9060eef73d05"
STEREO = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}
OPEN = {"organizationId": ORG, "conversationId": ORG, "participant": {"id": ORG}, "media": [STEREO]}
DURATIONS = st.sampled_from(["PT0S", "PT0.5S", "PT1.25S", "PT3S"])
STEPS = st.one_of(
    st.sampled_from(
        [
            ("open", OPEN),
            ("open", OPEN | {"conversationId": str(uuid.UUID(int=0)), "participant": {"id": str(uuid.UUID(int=0))}}),
            ("open", OPEN | {"continuedSessions": [{"id": ORG, "serverseq": 1, "clientseq": 1}]}),
            ("ping", {}),
            ("paused", {}),
            ("update", {"language": "en"}),
            ("error", {"code": 400, "message": "x"}),
            ("close", {"reason": "end"}),
            ("close", {"reason": "reconnect"}),
            ("audio", b"\x01\x81" * 80),
            ("audio", b"\x01"),
            ("fail", {}),
            ("stop", {}),
            ("tell", {}),
            ("ask", {}),
        ]
    ),
    st.tuples(st.sampled_from(["discarded", "resumed"]), st.fixed_dictionaries({"start": DURATIONS, "discarded": DURATIONS})),
)
FINAL = TranscriptFinal(channel="customer", utterance_id="u", start_ms=0, end_ms=5, text="好", language="zh", confidence=1.0)
CARD = SuggestionOffered(suggestion_id="s1", kind="faq", confidence=0.5, trigger="u", at_ms=5)


@given(st.booleans(), st.lists(STEPS, max_size=14), st.integers(0, 30_000))
@settings(max_examples=400)
def test_audiohook_messages_in_any_order(begin, steps, heard):
    protocol = make_protocol("audiohook", {}, Opening(headers={"audiohook-session-id": SESSION}, events=True))
    seq, events, said = 0, [], []
    position = None
    try:
        for kind, parameters in [("open", OPEN), *steps] if begin else steps:
            if kind in ("fail", "stop", "tell", "ask"):
                protocol.queue_error("No.", 1011) if kind == "fail" else None
                protocol.queue_stopped(5) if kind == "stop" else None
                protocol.queue_event(FINAL) if kind == "tell" else None
                protocol.queue_suggestion(CARD) if kind == "tell" else None
                protocol.queue_pause(True) if kind == "ask" else None
            elif kind == "audio":
                events += protocol.receive_bytes(parameters)
            else:
                seq += 1
                body = {"version": "2", "id": SESSION, "type": kind, "seq": seq, "serverseq": 0, "position": "PT1S"}
                new = protocol.receive_text(json.dumps(body | {"parameters": parameters}))
                if any(isinstance(event, CallStart) for event in new):
                    resumed = protocol.resumes_at is not None
                    new += protocol.accept("c-1", heard_samples=heard if resumed else 0)
                    position = heard if resumed else 0
                events += new
            said += [json.loads(message) for message in protocol.messages_to_send()]
    except RemoteProtocolError as error:
        protocol.queue_error(str(error), error.code)
        said += [json.loads(message) for message in protocol.messages_to_send()]
        assert said[-1]["type"] in ("disconnect", "closed", "opened", "event", "pong", "pause", "updated")
    assert [message["seq"] for message in said] == list(range(1, len(said) + 1)), "our numbers have no holes"
    kinds = [message["type"] for message in said]
    assert kinds.count("opened") <= 1
    assert kinds.count("disconnect") <= 1
    assert kinds.count("closed") <= 1
    if "closed" in kinds:
        assert kinds[-1] == "closed", "nothing follows the last word"
    if "disconnect" in kinds:
        assert set(kinds[kinds.index("disconnect") + 1 :]) <= {"closed"}
    assert sum(isinstance(event, CallStart) for event in events) <= 1
    for event in events:
        if isinstance(event, MediaFrame | MediaGap) and event.channel == "customer":
            assert event.start_sample == position
            position += event.samples if isinstance(event, MediaGap) else len(event.payload)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NAMES = ["version", "id", "type", "seq", "serverseq", "position", "parameters"]


@given(st.sampled_from(NAMES), st.sampled_from([*OPEN, "language", "continuedSessions", "customConfig", "supportedLanguages"]), JSONS)
@settings(max_examples=200)
def test_any_json_in_an_open_is_taken_or_refused(name, parameter, value):
    body = {"version": "2", "id": SESSION, "type": "open", "seq": 1, "serverseq": 0, "position": "PT0S", "parameters": OPEN}
    for message in (body | {name: value}, body | {"parameters": OPEN | {parameter: value}}):
        protocol = make_protocol("audiohook", {}, Opening(headers={"audiohook-session-id": SESSION}))
        try:
            for event in protocol.receive_text(json.dumps(message)):
                assert isinstance(event, CallStart)
                json.dumps(dict(event.metadata)).encode()
        except RemoteProtocolError as error:
            assert str(error).endswith(".")  # noqa: PT017 - being taken is as good


# ---------------------------------------------------------------------- Asterisk's websocket channel

TEXTS = st.one_of(
    st.sampled_from(
        [
            "MEDIA_START channel_id:1.2 format:ulaw",
            json.dumps({"event": "MEDIA_START", "channel_id": "1.2", "format": "ulaw"}),
            "MEDIA_XOFF",
            '{"event":"MEDIA_XON"}',
            "DTMF_END digit:5",
            '{"event":"DTMF_END","digit":"5"}',
            "STATUS a:b",
            "",
        ]
    ),
    st.text(max_size=40),
    JSONS.map(json.dumps),
    JSONS.map(lambda value: json.dumps({"event": "MEDIA_START", "channel_id": "1.2", "format": "ulaw", "channel_variables": value})),
)


@given(st.lists(TEXTS | st.binary(max_size=40), max_size=10))
@settings(max_examples=300)
def test_asterisk_messages_in_any_order(messages):
    protocol = make_protocol("asterisk", {}, Opening(legs=("customer", "agent")))
    events = []
    try:
        for message in messages:
            new = protocol.receive_text(message) if isinstance(message, str) else protocol.receive_bytes(message)
            if any(isinstance(event, CallStart) for event in new):
                protocol.accept("c-1")
            events += new
    except RemoteProtocolError as error:
        assert str(error).endswith(".")  # noqa: PT017 - being taken is as good
    events += protocol.receive_eof()
    assert all(isinstance(event, CallStart | CallStop | Dtmf | MediaFrame) for event in events)
    assert sum(isinstance(event, CallStart) for event in events) == sum(isinstance(event, CallStop) for event in events) <= 1


@given(st.binary(max_size=400), CUTS, st.sampled_from(["slin16", "ulaw", "alaw"]))
def test_asterisk_media_may_be_cut_anywhere(data, points, form):
    def run(pieces):
        protocol = make_protocol("asterisk", {})
        protocol.receive_text(f"MEDIA_START channel_id:1.2 format:{form}")
        protocol.accept("c-1")
        return merged(event for piece in pieces for event in protocol.receive_bytes(piece))

    assert run(cut(data, points)) == run([data])
