"""SignalWire, Telnyx, Plivo and Exotel: the documented messages, literally; and numbered, time-stamped chunks whatever their clock does."""

from __future__ import annotations

import base64
import json

import pytest

from copilot.domain.audio import CallStart, CallStop, Dtmf, LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import RemoteProtocolError
from streaming.telephony.chunks import ChunkedTrack
from streaming.telephony.protocol import make_protocol
from tests.fakes.conversations import told

TELNYX_START = {
    "event": "start",
    "sequence_number": "1",
    "stream_id": "32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
    "start": {
        "user_id": "3E6F995F-85F7-4705-9741-53B116D28237",
        "call_control_id": "v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ",
        "call_session_id": "ff55a038-6f5d-11ef-9692-02420aeffb1f",
        "from": "+13122010094",
        "to": "+13122123456",
        "tags": ["TAG1", "TAG2"],
        "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
        "custom_parameters": {"agent": "li.na"},
        "media_format": {"encoding": "PCMA", "sample_rate": 8000, "channels": 1},
    },
}
PLIVO_START = {
    "event": "start",
    "sequenceNumber": 1,
    "start": {
        "callId": "12345678-1234-1234-1234-123456789abc",
        "streamId": "87654321-4321-4321-4321-cba987654321",
        "accountId": "MAXXXXXXXXXXXXXXXXXX",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 16000},
    },
    "extra_headers": "agent=lina;language=en",
}
EXOTEL_START = {
    "event": "start",
    "sequence_number": "1",
    "stream_sid": "MZ1",
    "start": {
        "stream_sid": "MZ1",
        "call_sid": "CA1",
        "account_sid": "AC1",
        "from": "+919876543210",
        "to": "+918047491899",
        "custom_parameters": {"agent": "li.na"},
        "media_format": {"encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16"},
    },
}
SIGNALWIRE_START = {
    "event": "start",
    "sequenceNumber": "1",
    "streamSid": "0e9e1c0a",
    "start": {
        "streamSid": "0e9e1c0a",
        "accountSid": "7f2a",
        "callSid": "5b1c",
        "tracks": ["inbound", "outbound"],
        "mediaFormat": {"encoding": "audio/x-L16", "sampleRate": 24000, "channels": 1},
        "customParameters": {"agent": "li.na"},
    },
}


def leg(channel, encoding, rate):
    return LegFormat(channel=channel, encoding=encoding, sample_rate_hz=rate)


def media(track, chunk, timestamp, audio, **more):
    body = {"chunk": chunk, "timestamp": timestamp, "payload": base64.b64encode(audio).decode()} | ({"track": track} if track else {})
    return json.dumps({"event": "media", "media": body} | more)


def test_telnyx():
    protocol = make_protocol("telnyx", {})
    assert protocol.receive_text('{"event":"connected","version":"1.0.0"}') == []
    (start,) = protocol.receive_text(json.dumps(TELNYX_START))
    assert start == CallStart(
        external_id="v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ",
        legs=(leg("customer", "pcma", 8_000), leg("agent", "pcma", 8_000)),
        metadata={
            "agent": "li.na",
            "ani": "+13122010094",
            "dnis": "+13122123456",
            "call_session_id": "ff55a038-6f5d-11ef-9692-02420aeffb1f",
            "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
        },
    )
    protocol.accept("x")
    messages = [media("inbound", str(n + 1), str(n * 20), bytes([n]) * 160, stream_id=TELNYX_START["stream_id"]) for n in range(4)]
    events = told(protocol, [messages[0], messages[2], messages[3], messages[1]])
    assert [(event.start_sample, event.payload[0]) for event in events] == [(0, 0), (160, 1), (320, 2), (480, 3)]
    assert protocol.receive_text('{"event":"dtmf","stream_id":"32DE0DEA-53CB-4B21-89A4-9E1819C043BC","dtmf":{"digit":"1"}}') == [
        Dtmf(channel="customer", digit="1")
    ]
    assert protocol.receive_text('{"event":"error","payload":{"code":100003,"title":"malformed_frame"}}') == []
    assert protocol.receive_text('{"event":"stop","stop":{"user_id":"x"}}') == [CallStop(reason="hangup")]


def test_parameters_may_be_a_list_of_names_and_values():
    start = TELNYX_START["start"] | {"custom_parameters": [{"name": "agent", "value": "li.na"}]}
    (event,) = make_protocol("telnyx", {}).receive_text(json.dumps(TELNYX_START | {"start": start}))
    assert event.metadata["agent"] == "li.na"
    start = TELNYX_START["start"] | {"custom_parameters": [{"name": "agent", "value": {}}]}
    with pytest.raises(RemoteProtocolError, match="custom_parameters"):
        make_protocol("telnyx", {}).receive_text(json.dumps(TELNYX_START | {"start": start}))


def test_the_roles_say_which_tracks_a_vendor_sends_that_does_not():
    (start,) = make_protocol("telnyx", {"inbound": "customer"}).receive_text(json.dumps(TELNYX_START))
    assert [leg.channel for leg in start.legs] == ["customer"]
    (start,) = make_protocol("exotel", {"inbound": "customer", "outbound": "agent"}).receive_text(json.dumps(EXOTEL_START))
    assert [leg.channel for leg in start.legs] == ["customer", "agent"]


def test_plivo():
    protocol = make_protocol("plivo", {})
    (start,) = protocol.receive_text(json.dumps(PLIVO_START))
    assert start == CallStart(
        external_id="12345678-1234-1234-1234-123456789abc",
        legs=(leg("customer", "pcm_s16le", 16_000),),
        language="en",
        metadata={"agent": "lina", "language": "en"},
    )
    protocol.accept("x")
    assert told(
        protocol, [media("inbound", 1, "1705312200000", b"\x01\x00" * 320), media("inbound", 2, "1705312200520", b"\x02\x00" * 320)]
    ) == [
        MediaFrame(channel="customer", start_sample=0, payload=b"\x01\x00" * 320),
        MediaGap(channel="customer", start_sample=320, samples=8_000, reason="silence_suppressed"),
        MediaFrame(channel="customer", start_sample=8_320, payload=b"\x02\x00" * 320),
    ]
    dtmf = '{"event":"dtmf","streamId":"87654321-4321-4321-4321-cba987654321","dtmf":{"track":"inbound","digit":"9","timestamp":"1"}}'
    assert protocol.receive_text(dtmf) == [Dtmf(channel="customer", digit="9")]


@pytest.mark.parametrize("text", ["{agent=lina, language=en}", "agent=lina,language=en", " agent = lina ; language=en;;x", ""])
def test_plivos_extra_headers_in_every_spelling(text):
    (start,) = make_protocol("plivo", {}).receive_text(json.dumps(PLIVO_START | {"extra_headers": text}))
    assert start.metadata == ({"agent": "lina", "language": "en"} if text else {})


def test_exotel():
    protocol = make_protocol("exotel", {})
    protocol.receive_text('{"event":"connected"}')
    (start,) = protocol.receive_text(json.dumps(EXOTEL_START))
    assert start == CallStart(
        external_id="CA1",
        legs=(leg("customer", "pcm_s16le", 8_000),),
        metadata={"agent": "li.na", "ani": "+919876543210", "dnis": "+918047491899"},
    )
    protocol.accept("CA1")
    assert told(protocol, [media(None, "2", "200", b"\x01\x00" * 800, stream_sid="MZ1")])[-1].payload == b"\x01\x00" * 800
    assert protocol.receive_text('{"event":"stop","stream_sid":"MZ1","stop":{"call_sid":"CA1","reason":"callended"}}')[-1] == CallStop()


def test_exotel_in_mulaw():
    form = {"encoding": "mulaw", "sample_rate": "8000"}
    (start,) = make_protocol("exotel", {}).receive_text(
        json.dumps(EXOTEL_START | {"start": EXOTEL_START["start"] | {"media_format": form}})
    )
    assert start.legs == (leg("customer", "pcmu", 8_000),)


def test_signalwire():
    protocol = make_protocol("signalwire", {})
    protocol.receive_text('{"event":"connected","protocol":"Call","version":"0.2.0"}')
    (start,) = protocol.receive_text(json.dumps(SIGNALWIRE_START))
    assert start.external_id == "5b1c"
    assert start.legs == (leg("customer", "pcm_s16le", 24_000), leg("agent", "pcm_s16le", 24_000))


@pytest.mark.parametrize(
    ("protocol", "start", "form", "says"),
    [
        ("telnyx", TELNYX_START, {"encoding": "G722", "sample_rate": 8000}, "pcmu or pcma or l16"),
        ("telnyx", TELNYX_START, {"encoding": "PCMU", "sample_rate": 16000}, "sample_rate 8000"),
        ("telnyx", TELNYX_START, {"encoding": "L16", "sample_rate": 11025}, "n × 8000"),
        ("telnyx", TELNYX_START, {"encoding": "PCMU", "sample_rate": 8000, "channels": 2}, "channels 1"),
        ("signalwire", SIGNALWIRE_START, {"encoding": "audio/opus", "sampleRate": 48000}, "audio/x-mulaw"),
        ("signalwire", SIGNALWIRE_START, {"encoding": "audio/x-l16", "sampleRate": 0}, "sampleRate"),
        ("plivo", PLIVO_START, {"encoding": None, "sampleRate": 8000}, "audio/x-l16"),
        ("exotel", EXOTEL_START, {"encoding": "audio/x-raw", "sample_rate": True}, "sample_rate"),
    ],
)
def test_a_codec_that_cannot_be_read_is_refused(protocol, start, form, says):
    key = "media_format" if "media_format" in start["start"] else "mediaFormat"
    with pytest.raises(RemoteProtocolError, match=says) as caught:
        make_protocol(protocol, {}).receive_text(json.dumps(start | {"start": start["start"] | {key: form}}))
    assert caught.value.code == 1003


# ---------------------------------------------------------------------- chunks and clocks


def pieces(track, *chunks):
    """(kind, start, length) of what comes out; a chunk is (number, ms) with 160 bytes of μ-law."""
    events = [event for number, ms in chunks for event in track.receive(number, ms, b"\x7f" * 160)] + track.flush()
    return [("gap", e.start_sample, e.samples) if isinstance(e, MediaGap) else ("audio", e.start_sample, len(e.payload)) for e in events]


def mulaw():
    return ChunkedTrack(leg("customer", "pcmu", 8_000))


@pytest.mark.parametrize("jump_ms", [3_600_000, 5 * 3_600_000, 23 * 3_600_000])
def test_a_clock_that_jumps_forward_by_hours_moves_nothing(jump_ms):
    assert pieces(mulaw(), (1, 0), (2, 20), (3, 40 + jump_ms), (4, 60 + jump_ms)) == [("audio", n * 160, 160) for n in range(4)]


def test_a_clock_that_jumps_back_by_hours_moves_nothing_and_later_pauses_are_still_seen():
    ahead = 7_200_000
    assert pieces(mulaw(), (1, ahead), (2, ahead + 20), (3, 40), (4, 60), (5, 1_080)) == [
        *[("audio", n * 160, 160) for n in range(4)],
        ("gap", 640, 8_000),
        ("audio", 8_640, 160),
    ]


def test_a_pause_of_minutes_is_believed():
    assert pieces(mulaw(), (1, 0), (2, 600_020)) == [("audio", 0, 160), ("gap", 160, 4_800_000), ("audio", 4_800_160, 160)]


def test_a_late_track_is_aligned_with_the_start_of_the_stream():
    assert pieces(mulaw(), (1, 20_000)) == [("gap", 0, 160_000), ("audio", 160_000, 160)]


def test_a_peer_that_counts_anew_is_heard_on():
    assert pieces(mulaw(), *[(n, n * 20 - 20) for n in range(1, 400)], (1, 7_980), (2, 8_000))[-1] == ("audio", 400 * 160, 160)


def test_a_chunk_number_out_of_the_blue_is_no_gap_of_a_year():
    assert pieces(mulaw(), (1, 0), (2**52, 20)) == [("audio", 0, 160), ("gap", 160, 250 * 160), ("audio", 160 + 250 * 160, 160)]


def test_what_is_held_back_is_bounded():
    track = mulaw()
    track.receive(1, 0, b"\x7f" * 160)
    for number in range(3, 5_000, 2):
        track.receive(number, number * 20, b"\x7f" * 160)
        assert len(track.held) <= 6


def test_a_sample_split_over_two_chunks_is_whole_again():
    track = ChunkedTrack(leg("customer", "pcm_s16le", 8_000))
    events = track.receive(1, 0, b"\x01\x00\x02") + track.receive(2, 0, b"\x00\x03\x00")
    assert b"".join(event.payload for event in events) == b"\x01\x00\x02\x00\x03\x00"
