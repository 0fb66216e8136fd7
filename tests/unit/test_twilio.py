"""Twilio Media Streams: the documented messages, literally, and what may go wrong with them."""

from __future__ import annotations

import base64
import json

import pytest

from copilot.domain.audio import CallStart, CallStop, Dtmf, LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import ConfigError, RemoteProtocolError
from streaming.telephony.protocol import make_protocol
from streaming.telephony.twilio import signature, signature_matches

CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'
START = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC1",
        "streamSid": "MZ1",
        "callSid": "CA1",
        "tracks": ["inbound", "outbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"agent": "li.na", "language": "zh"},
    },
    "streamSid": "MZ1",
}


def media(track, chunk, timestamp, audio, **changes):
    body = {"track": track, "chunk": str(chunk), "timestamp": str(timestamp), "payload": base64.b64encode(audio).decode()}
    return json.dumps({"event": "media", "sequenceNumber": "9", "media": body | changes, "streamSid": "MZ1"})


def started(start=None, **roles):
    protocol = make_protocol("twilio", roles)
    assert protocol.receive_text(CONNECTED) == []
    events = protocol.receive_text(json.dumps(start or START))
    protocol.accept("CA1")
    return protocol, events


def with_start(**changes):
    return START | {"start": START["start"] | changes}


def test_start():
    _, events = started()
    assert events == [
        CallStart(
            external_id="CA1",
            legs=(
                LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8000),
                LegFormat(channel="agent", encoding="pcmu", sample_rate_hz=8000),
            ),
            language="zh",
            metadata={"agent": "li.na", "language": "zh"},
        )
    ]


def test_numbers_may_be_strings_and_tracks_may_be_called_both():
    form = {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"}
    _, events = started(with_start(mediaFormat=form, tracks=["both_tracks"]))
    assert [leg.channel for leg in events[0].legs] == ["customer", "agent"]


def test_roles_may_be_swapped_and_must_make_sense():
    _, events = started(inbound="agent", outbound="customer")
    assert [leg.channel for leg in events[0].legs] == ["agent", "customer"]
    with pytest.raises(ConfigError):
        make_protocol("twilio", {"inbound": "agent"})
    with pytest.raises(ConfigError):
        make_protocol("twilio", {"both": "agent"})


def test_tracks_count_for_themselves():
    protocol, _ = started()
    assert protocol.receive_text(media("inbound", 1, 0, b"a" * 160)) == [MediaFrame(channel="customer", start_sample=0, payload=b"a" * 160)]
    assert protocol.receive_text(media("outbound", 1, 0, b"b" * 160)) == [MediaFrame(channel="agent", start_sample=0, payload=b"b" * 160)]
    assert protocol.receive_text(media("inbound", 2, 20, b"c" * 160)) == [
        MediaFrame(channel="customer", start_sample=160, payload=b"c" * 160)
    ]
    assert protocol.messages_to_send() == []


def test_silence_that_was_not_sent_moves_the_clock():
    protocol, _ = started()
    protocol.receive_text(media("inbound", 1, 0, b"a" * 160))
    assert protocol.receive_text(media("inbound", 2, 1020, b"b" * 160)) == [
        MediaGap(channel="customer", start_sample=160, samples=8000, reason="silence_suppressed"),
        MediaFrame(channel="customer", start_sample=8160, payload=b"b" * 160),
    ]


def test_rounded_timestamps_are_no_gap():
    protocol, _ = started()
    events = [event for n in range(50) for event in protocol.receive_text(media("inbound", n + 1, n * 20 + n % 7, b"a" * 160))]
    assert [event.start_sample for event in events] == [n * 160 for n in range(50)]


def test_chunks_out_of_order_are_sorted_and_duplicates_dropped():
    protocol, _ = started()
    assert len(protocol.receive_text(media("inbound", 1, 0, b"a"))) == 1
    assert protocol.receive_text(media("inbound", 3, 40, b"c" * 160)) == []
    assert protocol.receive_text(media("inbound", 1, 0, b"a")) == []
    assert [e.payload[:1] for e in protocol.receive_text(media("inbound", 2, 20, b"b" * 160))] == [b"b", b"c"]


def test_a_lost_chunk_is_a_gap_once_enough_later_ones_came():
    protocol, _ = started()
    protocol.receive_text(media("inbound", 1, 0, b"a" * 160))
    events = []
    for chunk in range(3, 9):
        events += protocol.receive_text(media("inbound", chunk, (chunk - 1) * 20, b"b" * 160))
    assert events[0] == MediaGap(channel="customer", start_sample=160, samples=160, reason="lost")
    assert [e.start_sample for e in events[1:]] == [320, 480, 640, 800, 960, 1120]


def test_stop_and_a_broken_line_release_what_was_held():
    for end in ("stop", "eof"):
        protocol, _ = started()
        protocol.receive_text(media("inbound", 1, 0, b"a" * 160))
        assert protocol.receive_text(media("inbound", 4, 60, b"d" * 160)) == []
        events = protocol.receive_eof() if end == "eof" else protocol.receive_text('{"event":"stop","streamSid":"MZ1","stop":{}}')
        assert events[:2] == [
            MediaGap(channel="customer", start_sample=160, samples=320, reason="lost"),
            MediaFrame(channel="customer", start_sample=480, payload=b"d" * 160),
        ]
        assert events[2:] == ([CallStop(reason="hangup")] if end == "stop" else [])


def test_dtmf_marks_and_news():
    protocol, _ = started()
    dtmf = '{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}'
    assert protocol.receive_text(dtmf) == [Dtmf(channel="customer", digit="1")]
    assert protocol.receive_text('{"event":"mark","streamSid":"MZ1","mark":{"name":"x"}}') == []
    assert protocol.receive_text('{"event":"sparkle","streamSid":"MZ1"}') == []


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"mediaFormat": {"encoding": "audio/opus", "sampleRate": 8000, "channels": 1}}, 1003, "audio/x-mulaw"),
        ({"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1}}, 1003, "8000"),
        ({"mediaFormat": "mulaw"}, 1007, "mediaFormat"),
        ({"callSid": None}, 1007, "callSid"),
        ({"callSid": "a/b"}, 1007, "callSid"),
        ({"tracks": []}, 1007, "tracks"),
        ({"tracks": ["inbound", "inbound"]}, 1007, "tracks"),
        ({"tracks": ["sideways"]}, 1007, "tracks"),
        ({"tracks": [{}]}, 1007, "tracks"),
        ({"customParameters": ["x"]}, 1007, "customParameters"),
        ({"customParameters": {"language": "de"}}, 1007, "zh or en"),
    ],
)
def test_a_bad_start_is_refused(changes, code, says):
    protocol = make_protocol("twilio", {})
    protocol.receive_text(CONNECTED)
    with pytest.raises(RemoteProtocolError) as caught:
        protocol.receive_text(json.dumps(with_start(**changes)))
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", 1007),
        ('{"event":7}', 1007),
        (media("sideways", 1, 0, b"a"), 1002),
        (media(["inbound"], 1, 0, b"a"), 1002),
        (media("inbound", -1, 0, b"a"), 1007),
        (media("inbound", "one", 0, b"a"), 1007),
        (media("inbound", "٣", 0, b"a"), 1007),
        (media("inbound", 1, 10**15, b"a"), 1007),
        (media("inbound", 1, 0, b"a", payload="!!"), 1007),
        (media("inbound", 1, 0, b"a", payload=5), 1007),
        (json.dumps(START), 1002),
        (CONNECTED, 1002),
        ('{"event":"mark","streamSid":"MZ2"}', 1002),
        ('{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"12"}}', 1007),
    ],
)
def test_garbage_after_the_start_is_refused(text, code):
    protocol, _ = started()
    with pytest.raises(RemoteProtocolError) as caught:
        protocol.receive_text(text)
    assert caught.value.code == code


def test_order_of_the_first_messages_and_binary():
    protocol = make_protocol("twilio", {})
    with pytest.raises(RemoteProtocolError, match="connected"):
        protocol.receive_text(json.dumps(START))
    protocol.receive_text(CONNECTED)
    with pytest.raises(RemoteProtocolError, match="start"):
        protocol.receive_text(media("inbound", 1, 0, b"a"))
    with pytest.raises(RemoteProtocolError) as caught:
        protocol.receive_bytes(b"\x00")
    assert caught.value.code == 1003


def test_signature_is_hmac_sha1_of_the_url():
    # openssl: printf %s wss://bank.example/v1/twilio | openssl dgst -sha1 -hmac 12345 -binary | base64
    assert signature("12345", "wss://bank.example/v1/twilio") == "M4M9LJl5f4xUxYNs3+tWip4R0xQ="
    assert signature_matches("12345", "wss://bank.example/v1/twilio", "M4M9LJl5f4xUxYNs3+tWip4R0xQ=")
    assert not signature_matches("12345", "wss://bank.example/v1/twilio", "nonsense-é")
    assert not signature_matches("12346", "wss://bank.example/v1/twilio", "M4M9LJl5f4xUxYNs3+tWip4R0xQ=")
