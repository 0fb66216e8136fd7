"""FreeSWITCH, jambonz and Vonage: the documented messages, literally, and what may go wrong with them."""

from __future__ import annotations

import json

import pytest

from copilot.domain.audio import CallStart, CallStop, Dtmf, LegFormat, MediaFrame
from copilot.domain.errors import RemoteProtocolError
from streaming.telephony.messages import loose_metadata
from streaming.telephony.protocol import Opening, make_protocol
from tests.fakes.conversations import told

JAMBONZ = {
    "callSid": "fdb5e5c7-1f2c-4b1b-8d6f-3f2f0c1d2e3a",
    "direction": "inbound",
    "from": "+8613800138000",
    "to": "+861065512345",
    "callerId": "+8613800138000",
    "sipStatus": 200,
    "callStatus": "in-progress",
    "accountSid": "a1",
    "applicationSid": "b2",
    "customerData": {"agent": "li.na"},
    "sampleRate": 16000,
    "mixType": "stereo",
}
VONAGE = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "call_id": "v-1", "channel": "agent"}


def leg(channel, rate):
    return LegFormat(channel=channel, encoding="pcm_s16le", sample_rate_hz=rate)


def refused(protocol, code, says, *messages, query=None):
    with pytest.raises(RemoteProtocolError) as caught:
        told(make_protocol(protocol, {}, Opening(query=query or {})), messages)
    assert caught.value.code == code
    assert says in str(caught.value)


# ---------------------------------------------------------------------- FreeSWITCH


def test_freeswitch_with_metadata():
    protocol = make_protocol("freeswitch", {}, Opening(subprotocol="audio.drachtio.org"))
    text = '{"uuid":"9a1f","agent":"li.na","mix":"stereo","sample_rate":"16k","language":"zh-CN","crm":{"customer":"C7"}}'
    (start,) = protocol.receive_text(text)
    assert start == CallStart(
        external_id="9a1f",
        legs=(leg("customer", 16_000), leg("agent", 16_000)),
        language="zh",
        metadata={
            "uuid": "9a1f",
            "agent": "li.na",
            "mix": "stereo",
            "sample_rate": "16k",
            "language": "zh-CN",
            "crm.customer": "C7",
        },
    )
    protocol.accept("9a1f")
    assert protocol.receive_bytes(b"\x01\x00\x02\x00\x03\x00\x04\x00") == [
        MediaFrame(channel="customer", start_sample=0, payload=b"\x01\x00\x03\x00"),
        MediaFrame(channel="agent", start_sample=0, payload=b"\x02\x00\x04\x00"),
    ]
    assert protocol.receive_text('{"event":"dtmf","digit":"5"}') == [Dtmf(channel="customer", digit="5")]
    assert protocol.receive_text("anything at all") == []
    assert protocol.receive_bytes(b"") == [CallStop(reason="hangup")]
    assert protocol.receive_text('{"bye":true}') == []


def test_freeswitch_says_its_form_in_the_url():
    query = {"mix": "mixed", "rate": "24000", "call_id": "u-1", "agent": "li.na"}
    protocol = make_protocol("freeswitch", {}, Opening(query=query))
    start, frame = protocol.receive_bytes(b"\x01\x00\x02\x00")
    assert (start.external_id, start.legs, start.metadata) == ("u-1", (leg("mixed", 24_000),), query)
    assert frame == MediaFrame(channel="mixed", start_sample=0, payload=b"\x01\x00\x02\x00")


def test_freeswitch_without_any_word():
    protocol = make_protocol("freeswitch", {})
    start, frame = protocol.receive_bytes(b"\x01\x00\x02")
    assert (start.external_id, start.legs, start.metadata) == ("", (leg("customer", 8_000),), {})
    assert frame.payload == b"\x01\x00"
    protocol.accept("made-up")
    assert [frame.payload for frame in protocol.receive_bytes(b"\x00\x03\x00")] == [b"\x02\x00\x03\x00"]


def test_freeswitch_metadata_that_is_no_json_is_kept_as_it_is():
    (start,) = make_protocol("freeswitch", {}).receive_text("queue=loans")
    assert start.metadata == {"metadata": "queue=loans"}
    (start,) = make_protocol("freeswitch", {}).receive_text("[1, 2]")
    assert start.metadata == {"metadata": "[1, 2]"}
    (start,) = make_protocol("freeswitch", {}).receive_text("x" * 600)
    assert start.metadata == {}


def test_freeswitch_that_hangs_up_before_it_said_anything_is_no_call():
    protocol = make_protocol("freeswitch", {})
    assert protocol.receive_bytes(b"") == []
    assert protocol.receive_text("farewell") == []


def test_what_freeswitch_may_not_do():
    refused("freeswitch", 1003, "mono, mixed or stereo", '{"mix":"quadro"}')
    for rate in ("11025", "0", "72000", "-8000", "16kk", "k", "٨٠٠٠"):
        refused("freeswitch", 1003, "multiple of 8000", json.dumps({"rate": rate}))
    refused("freeswitch", 1007, "zh or en", '{"language":"de"}')
    refused("freeswitch", 1007, "one key", "{}", '{"event":"dtmf","dtmf":"12"}')
    refused("freeswitch", 1002, "ends a call", "{}", b"", b"\x00\x00")
    refused("freeswitch", 1009, "65536", "x" * 65_537)
    refused("freeswitch", 1009, "262144", "{}", bytes(262_146))


def test_free_form_metadata_is_cut_to_size_instead_of_refused():
    deep = {"a": {"b": {"c": {"d": 1}, "n": 1.5}}, "t": True, "none": None, "list": [1], "": "x", "k" * 65: "x", "long": "x" * 513}
    assert loose_metadata(deep) == {"a.b.n": "1.5", "t": "true"}
    assert len(loose_metadata({f"k{n}": n for n in range(500)})) == 128


# ---------------------------------------------------------------------- jambonz


def test_jambonz():
    protocol = make_protocol("jambonz", {"caller": "agent", "callee": "customer"})
    (start,) = protocol.receive_text(json.dumps(JAMBONZ))
    assert start.external_id == JAMBONZ["callSid"]
    assert start.legs == (leg("agent", 16_000), leg("customer", 16_000))
    assert start.metadata["ani"] == "+8613800138000"
    assert start.metadata["dnis"] == "+861065512345"
    assert start.metadata["customerData.agent"] == "li.na"
    assert "from" not in start.metadata
    protocol.accept("x")
    assert protocol.receive_text('{"event":"dtmf","dtmf":"2","duration":"1600"}') == [Dtmf(channel="agent", digit="2")]
    assert protocol.receive_text('{"event":"something new"}') == []


def test_jambonz_is_mono_8000_by_default():
    (start,) = make_protocol("jambonz", {}).receive_text('{"callSid":"c-1"}')
    assert start.legs == (leg("customer", 8_000),)


def test_what_jambonz_may_not_do():
    refused("jambonz", 1002, "first message", b"\x00\x00")
    refused("jambonz", 1007, "JSON", "hello")
    refused("jambonz", 1007, "callSid", '{"sampleRate":8000}')
    refused("jambonz", 1007, "callSid", '{"callSid":"a b"}')
    refused("jambonz", 1003, "multiple of 8000", '{"callSid":"a","sampleRate":44100}')
    refused("jambonz", 1003, "mono, mixed or stereo", '{"callSid":"a","mixType":["mono"]}')
    refused("jambonz", 1007, "one key", '{"callSid":"a"}', '{"event":"dtmf"}')


# ---------------------------------------------------------------------- Vonage


def test_vonage():
    protocol = make_protocol("vonage", {})
    (start,) = protocol.receive_text(json.dumps(VONAGE))
    assert start == CallStart(external_id="v-1", legs=(leg("agent", 16_000),), metadata={"call_id": "v-1", "channel": "agent"})
    protocol.accept("v-1")
    assert protocol.receive_bytes(b"\x01\x00" * 320) == [MediaFrame(channel="agent", start_sample=0, payload=b"\x01\x00" * 320)]
    assert protocol.receive_text('{"event":"websocket:dtmf","digit":"5","duration":260}') == [Dtmf(channel="agent", digit="5")]
    assert protocol.receive_text('{"event":"websocket:cleared"}') == []


def test_vonage_without_headers_hears_the_caller():
    (start,) = make_protocol("vonage", {}).receive_text('{"event":"websocket:connected","content-type":"audio/l16; rate=8000"}')
    assert (start.external_id, start.legs) == ("", (leg("customer", 8_000),))
    (start,) = make_protocol("vonage", {"caller": "mixed"}).receive_text(
        '{"event":"websocket:connected","content-type":"audio/l16;rate=24000"}'
    )
    assert start.legs == (leg("mixed", 24_000),)


def test_what_vonage_may_not_do():
    refused("vonage", 1002, "websocket:connected", '{"event":"websocket:dtmf","digit":"1"}')
    refused("vonage", 1002, "first message", b"\x00\x00")
    for kind in ("audio/opus", "", None, 7, "audio/l16", "audio/l16;rate=", "audio/l16;rate=11025"):
        refused("vonage", 1003, "", json.dumps(VONAGE | {"content-type": kind}))
    for channel in ("nobody", None, ["agent"], {}):
        refused("vonage", 1007, "channel", json.dumps(VONAGE | {"channel": channel}))
    refused("vonage", 1007, "one key", json.dumps(VONAGE), '{"event":"websocket:dtmf","digit":5}')
