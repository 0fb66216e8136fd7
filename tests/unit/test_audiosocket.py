"""AudioSocket, byte by byte."""

from __future__ import annotations

import uuid

import pytest

from copilot.domain.audio import CallStart, CallStop, Dtmf, LegFormat, MediaFrame
from copilot.domain.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from streaming.telephony.audiosocket import RATES_HZ, frame
from streaming.telephony.protocol import make_protocol

ID = uuid.UUID("40325ec2-5efd-4bd3-805f-53576e581d13")
HELLO = b"\x01\x00\x10" + ID.bytes


def parser(roles=None):
    return make_protocol("audiosocket", roles or {})


def started(kind=0x10, audio=b"\x01\x02"):
    protocol = parser()
    protocol.receive_bytes(HELLO)
    (start,) = protocol.receive_bytes(frame(kind, audio))
    return protocol, start, protocol.accept("c-1")


def test_a_call_from_uuid_to_hangup():
    protocol = parser()
    assert protocol.identified is None
    assert protocol.receive_bytes(HELLO) == []
    assert protocol.identified == str(ID)
    (start,) = protocol.receive_bytes(b"\x10\x00\x04\x01\x02\x03\x04\x10\x00\x02\x05\x06")
    assert start == CallStart(external_id=str(ID), legs=(LegFormat(channel="mixed", encoding="pcm_s16le", sample_rate_hz=8000),))
    assert protocol.accept("c-1") == [
        MediaFrame(channel="mixed", start_sample=0, payload=b"\x01\x02\x03\x04"),
        MediaFrame(channel="mixed", start_sample=2, payload=b"\x05\x06"),
    ]
    assert protocol.receive_bytes(b"\x03\x00\x01#") == [Dtmf(channel="mixed", digit="#")]
    assert protocol.receive_bytes(b"\x00\x00\x00\x10\x00\x02\x07\x08") == [CallStop(reason="hangup")]
    assert protocol.receive_bytes(b"\xee") == []
    assert protocol.receive_eof() == []


@pytest.mark.parametrize(("kind", "rate_hz"), list(RATES_HZ.items()))
def test_every_rate(kind, rate_hz):
    protocol, start, frames = started(kind)
    assert start.legs[0].sample_rate_hz == rate_hz
    assert frames[0].payload == b"\x01\x02"
    protocol.queue_keep_alive()
    (silence,) = protocol.messages_to_send()
    assert silence == frame(kind, bytes(rate_hz // 50 * 2)), "20 ms in the peer's own format"


def test_silence_keeps_the_line_before_any_audio_but_not_for_strangers():
    protocol = parser()
    protocol.queue_keep_alive()
    assert protocol.messages_to_send() == []
    protocol.receive_bytes(HELLO)
    protocol.queue_keep_alive()
    assert protocol.messages_to_send() == [b"\x10\x01\x40" + bytes(320)]
    assert protocol.keep_alive_s < 2, "Asterisk gives up after 2 s"
    assert protocol.timed_by_arrival


def test_the_end_of_the_stream_is_a_hangup_and_the_last_frame_may_be_short():
    protocol, _, _ = started()
    assert protocol.receive_bytes(b"\x10\x00\x02\x01\x02\x10\x01\x40\x00\x00")[0].payload == b"\x01\x02"
    assert protocol.receive_eof() == [CallStop(reason="hangup")]
    assert protocol.receive_eof() == []
    silent = parser()
    silent.receive_bytes(HELLO)
    assert silent.receive_eof() == [], "a call that never had media is none"


def test_an_error_of_asterisk_ends_the_call_as_one():
    protocol, _, _ = started()
    assert protocol.receive_bytes(b"\xff\x00\x01\x02") == [CallStop(reason="error")]


def test_an_empty_frame_is_no_audio_and_a_sample_may_span_frames():
    protocol = parser()
    assert protocol.receive_bytes(HELLO + b"\x10\x00\x00") == []
    protocol.receive_bytes(b"\x10\x00\x01\x01")
    assert protocol.accept("c-1") == []
    assert protocol.receive_bytes(b"\x10\x00\x01\x02")[0].payload == b"\x01\x02"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x10\x00\x02\x00\x00", 1002),
        (b"GET / HTTP/1.1\r\n", 1002),
        (b"\x01\x00\x0f", 1002),
        (b"\x01\x01\x00", 1002),
        (HELLO + HELLO, 1002),
        (HELLO + b"\x02\x00\x00", 1002),
        (HELLO + b"\x19\x00\x00", 1002),
        (HELLO + b"\x03\x00\x02", 1007),
        (HELLO + b"\x03\x00\x01x", 1007),
        (HELLO + b"\x03\x00\x01\xff", 1007),
    ],
)
def test_what_is_no_audiosocket(data, code):
    with pytest.raises(RemoteProtocolError) as caught:
        parser().receive_bytes(data)
    assert caught.value.code == code


def test_a_changed_rate_text_and_calls_in_the_wrong_order():
    protocol, _, _ = started(0x10)
    with pytest.raises(RemoteProtocolError) as caught:
        protocol.receive_bytes(frame(0x12, b"\0\0"))
    assert caught.value.code == 1003
    with pytest.raises(RemoteProtocolError):
        parser().receive_text("hello")
    with pytest.raises(LocalProtocolError):
        parser().accept("c-1")
    waiting = parser()
    waiting.receive_bytes(HELLO + frame(0x10, b"\0\0"))
    with pytest.raises(LocalProtocolError):
        waiting.receive_bytes(b"\0")
    with pytest.raises(ConfigError):
        parser({"left": "agent"})
    assert make_protocol("audiosocket", {"media": "customer"})
