"""Asterisk's websocket channel, message by message, in both wordings of its control messages."""

from __future__ import annotations

import json

import pytest

from copilot.domain.audio import CallStart, CallStop, Dtmf, LegFormat, MediaFrame
from copilot.domain.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from streaming.telephony.asterisk_ws import FORMATS
from streaming.telephony.protocol import PROTOCOLS, Opening, make_protocol

PLAIN = (
    "MEDIA_START connection_id:media_connection1 channel:WebSocket/media_connection1/0x7f0c channel_id:1719422100.12 "
    "format:slin16 optimal_frame_size:640 ptime:20"
)
JSON = {
    "event": "MEDIA_START",
    "connection_id": "media_connection1",
    "channel": "WebSocket/media_connection1/0x7f0c",
    "channel_id": "1719422100.12",
    "format": "ulaw",
    "optimal_frame_size": 160,
    "ptime": 20,
    "channel_variables": {
        "PANGTING_CALL": "call-7",
        "PANGTING_LEG": "agent",
        "PANGTING_AGENT": "li.na",
        "PANGTING_LANGUAGE": "en",
        "DEPT": "8",
    },
}


def parser(roles=None, legs=(), **opening):
    return make_protocol("asterisk", roles or {}, Opening(legs=legs, **opening))


def started(first=PLAIN, **more):
    protocol = parser(**more)
    (start,) = protocol.receive_text(first if isinstance(first, str) else json.dumps(first))
    protocol.accept("c-1")
    return protocol, start


def test_plain_words():
    protocol, start = started()
    assert start == CallStart(
        external_id="1719422100.12",
        legs=(LegFormat(channel="mixed", encoding="pcm_s16le", sample_rate_hz=16_000),),
        metadata={"channel": "WebSocket/media_connection1/0x7f0c", "channel_id": "1719422100.12"},
    )
    assert protocol.receive_bytes(b"\x01\x02\x03") == [MediaFrame(channel="mixed", start_sample=0, payload=b"\x01\x02")]
    assert protocol.receive_bytes(b"\x04") == [MediaFrame(channel="mixed", start_sample=1, payload=b"\x03\x04")]
    assert protocol.receive_text("DTMF_END digit:5 duration_ms:120") == [Dtmf(channel="mixed", digit="5")]
    assert protocol.may_send
    assert protocol.receive_text("MEDIA_XOFF") == []
    assert not protocol.may_send
    protocol.receive_text("MEDIA_XON")
    assert protocol.may_send
    for news in ("STATUS queue_length:43 xon_level:800", "QUEUE_DRAINED", "MEDIA_MARK_PROCESSED correlation_id:x", "SOMETHING_NEW"):
        assert protocol.receive_text(news) == []
    assert protocol.messages_to_send() == []
    assert protocol.receive_eof() == [CallStop(reason="hangup")]
    assert protocol.receive_eof() == []
    assert protocol.timed_by_arrival


def test_json_with_the_legs_of_a_call():
    protocol, start = started(JSON, legs=("customer", "agent"))
    assert start.external_id == "call-7"
    assert start.legs == (LegFormat(channel="agent", encoding="pcmu", sample_rate_hz=8_000),)
    assert start.language == "en"
    assert start.metadata == {
        "agent": "li.na",
        "language": "en",
        "channel": "WebSocket/media_connection1/0x7f0c",
        "channel_id": "1719422100.12",
        "DEPT": "8",
    }
    assert protocol.receive_text('{"event":"DTMF_END","channel_id":"1719422100.12","digit":"#"}') == [Dtmf(channel="agent", digit="#")]
    assert protocol.receive_text('{"event":"MEDIA_XOFF"}') == []
    assert started(JSON)[1].external_id == "1719422100.12", "without legs to join, a channel is a call"
    assert started(JSON, roles={"agent": "customer"})[1].legs[0].channel == "customer"
    assert started(roles={"media": "customer"})[1].legs[0].channel == "customer"


def test_a_start_as_asterisk_22_10_sent_it():
    """Word for word; inherited variables keep their underscores."""
    text = (
        '{"event":"MEDIA_START","connection_id":"pangting","channel":"WebSocket/pangting/0x7fc114004550","channel_id":"1795767953.15",'
        '"format":"slin16","optimal_frame_size":640,"ptime":20,"channel_variables":{"DIALEDPEERNUMBER":"pangting/c(slin16)f(json)",'
        '"MEDIA_WEBSOCKET_CONNECTION_ID":"pangting","MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE":"640","__PANGTING_AGENT":"zhang.san",'
        '"__PANGTING_CALL":"ast-call-1","__PANGTING_LEG":"customer"}}'
    )
    _, start = started(text, legs=("customer", "agent"))
    assert (start.external_id, start.legs[0].channel, start.legs[0].sample_rate_hz) == ("ast-call-1", "customer", 16_000)
    assert start.metadata["agent"] == "zhang.san"
    assert "call" not in start.metadata


@pytest.mark.parametrize(("name", "wire"), list(FORMATS.items()))
def test_every_format(name, wire):
    leg = started(PLAIN.replace("slin16", name))[1].legs[0]
    assert (leg.encoding, leg.sample_rate_hz) == wire


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("", 1007),
        ("hello there", 1007),
        ("STATUS a:b", 1002),
        (PLAIN.replace("slin16", "opus"), 1003),
        (PLAIN.replace("format:slin16", ""), 1003),
        (PLAIN.replace("channel_id:1719422100.12", ""), 1007),
        (PLAIN.replace("channel_id:1719422100.12", "channel_id:../x"), 1007),
        ("x" * 70_000, 1009),
        ("{", 1007),
        ('{"event":7}', 1007),
        (json.dumps(JSON | {"format": 7}), 1003),
        (json.dumps(JSON | {"channel_id": 7}), 1007),
        (json.dumps(JSON | {"channel_variables": {"PANGTING_LEG": "spy"}}), 1007),
        (json.dumps(JSON | {"channel_variables": {"PANGTING_CALL": "../x"}}), 1007),
        (json.dumps(JSON | {"channel_variables": {"PANGTING_LANGUAGE": "fr"}}), 1007),
    ],
)
def test_what_is_no_start(first, code):
    with pytest.raises(RemoteProtocolError) as caught:
        parser().receive_text(first)
    assert caught.value.code == code


def test_later_messages_out_of_line_and_calls_in_the_wrong_order():
    protocol, _ = started()
    for text, code in ((PLAIN, 1002), ("DTMF_END", 1007), ("DTMF_END digit:x", 1007), ("lower case", 1007)):
        with pytest.raises(RemoteProtocolError) as caught:
            protocol.receive_text(text)
        assert caught.value.code == code
    with pytest.raises(RemoteProtocolError):
        parser().receive_bytes(b"\0\0")
    with pytest.raises(LocalProtocolError):
        parser().accept("c-1")
    waiting = parser()
    waiting.receive_text(PLAIN)
    for receive, message in ((waiting.receive_text, "STATUS"), (waiting.receive_bytes, b"\0\0")):
        with pytest.raises(LocalProtocolError):
            receive(message)
    with pytest.raises(ConfigError):
        parser({"media": "nobody"})
    assert PROTOCOLS["asterisk"].subprotocols == ("media",)
