"""The raw protocol: literal bytes in, events out; and each refusal with its code and sentence."""

from __future__ import annotations

import json

import pytest

from copilot.domain.audio import CallStart, CallStop, Dtmf, LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import LocalProtocolError, RemoteProtocolError
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial
from streaming.telephony.protocol import make_protocol

START = {"type": "start", "call_id": "c-1", "channels": ["customer", "agent"], "encoding": "pcm_s16le", "sample_rate": 8000}


def started(**changes):
    protocol = make_protocol("raw", {})
    events = protocol.receive_text(json.dumps(START | changes))
    return protocol, events


def test_start_names_the_legs_in_wire_order():
    _, events = started(channels=["agent", "customer"], language="zh-CN", metadata={"agent": "li.na", "priority": 3, "vip": True})
    assert events == [
        CallStart(
            external_id="c-1",
            legs=(
                LegFormat(channel="agent", encoding="pcm_s16le", sample_rate_hz=8000),
                LegFormat(channel="customer", encoding="pcm_s16le", sample_rate_hz=8000),
            ),
            language="zh",
            metadata={"agent": "li.na", "priority": "3", "vip": "true"},
        )
    ]


def test_roles_of_the_integration_name_the_channels():
    protocol = make_protocol("raw", {"caller": "customer", "desk": "agent"})
    (start,) = protocol.receive_text(json.dumps(START | {"channels": ["caller", "desk"]}))
    assert [leg.channel for leg in start.legs] == ["customer", "agent"]


def test_stereo_bytes_are_parted_and_an_odd_tail_waits():
    protocol, _ = started()
    protocol.accept("c-1")
    assert protocol.receive_bytes(b"\x01\x02\x03\x04\x05\x06\x07") == [
        MediaFrame(channel="customer", start_sample=0, payload=b"\x01\x02"),
        MediaFrame(channel="agent", start_sample=0, payload=b"\x03\x04"),
    ]
    assert protocol.receive_bytes(b"\x08") == [
        MediaFrame(channel="customer", start_sample=1, payload=b"\x05\x06"),
        MediaFrame(channel="agent", start_sample=1, payload=b"\x07\x08"),
    ]
    assert protocol.receive_text('{"type":"stop"}') == [CallStop(reason="hangup")]


def test_mu_law_is_one_byte_a_sample():
    protocol, _ = started(encoding="pcmu")
    protocol.accept("c-1")
    assert protocol.receive_bytes(b"abcd") == [
        MediaFrame(channel="customer", start_sample=0, payload=b"ac"),
        MediaFrame(channel="agent", start_sample=0, payload=b"bd"),
    ]


def test_a_gap_moves_the_media_clock():
    protocol, _ = started(channels=["customer"], encoding="pcma")
    protocol.accept("c-1")
    protocol.receive_bytes(b"x" * 80)
    assert protocol.receive_text('{"type":"gap","duration_ms":1000}') == [
        MediaGap(channel="customer", start_sample=80, samples=8000, reason="paused")
    ]
    assert protocol.receive_bytes(b"y")[0].start_sample == 8080


def test_key_presses():
    protocol, _ = started()
    protocol.accept("c-1")
    assert protocol.receive_text('{"type":"dtmf","channel":"customer","digit":"#"}') == [Dtmf(channel="customer", digit="#")]


def test_ping_gets_a_pong():
    protocol, _ = started()
    protocol.accept("c-1")
    protocol.messages_to_send()
    assert protocol.receive_text('{"type":"ping"}') == []
    assert protocol.messages_to_send() == ['{"type":"pong"}']
    assert protocol.messages_to_send() == []


def test_answers_only_speak_to_who_asked():
    partial = TranscriptPartial(
        channel="customer", utterance_id="customer-1", start_ms=0, end_ms=500, stable="我的", unstable="卡", language="zh"
    )
    final = TranscriptFinal(
        channel="customer", utterance_id="customer-1", start_ms=0, end_ms=900, text="我的卡丢了", language="zh", confidence=0.91234
    )
    deaf, _ = started()
    deaf.accept("c-1")
    deaf.messages_to_send()
    deaf.queue_event(partial)
    assert deaf.messages_to_send() == []
    keen, _ = started(events=True)
    keen.accept("c-1", resume_window_ms=15_000)
    keen.queue_event(partial)
    keen.queue_event(final)
    keen.queue_stopped(1000)
    answers = [json.loads(text) for text in keen.messages_to_send()]
    assert answers == [
        {"type": "started", "call_id": "c-1", "expected_offset_bytes": 0, "resume_window_ms": 0},
        {
            "type": "partial",
            "channel": "customer",
            "utterance_id": "customer-1",
            "start_ms": 0,
            "end_ms": 500,
            "language": "zh",
            "stable": "我的",
            "unstable": "卡",
        },
        {
            "type": "final",
            "channel": "customer",
            "utterance_id": "customer-1",
            "start_ms": 0,
            "end_ms": 900,
            "language": "zh",
            "text": "我的卡丢了",
            "confidence": 0.9123,
        },
        {"type": "stopped", "duration_ms": 1000},
    ]


def test_resume_after_a_hole_says_where_it_was():
    protocol, _ = started(resume={"offset_bytes": 4 * 8000})
    assert protocol.resumable
    assert protocol.resumes_at == 8000
    assert protocol.accept("c-1", heard_samples=6000, resume_window_ms=15_000) == [
        MediaGap(channel="customer", start_sample=6000, samples=2000, reason="reconnect"),
        MediaGap(channel="agent", start_sample=6000, samples=2000, reason="reconnect"),
    ]
    assert json.loads(protocol.messages_to_send()[0]) == {
        "type": "started",
        "call_id": "c-1",
        "expected_offset_bytes": 24_000,
        "resume_window_ms": 15_000,
    }
    assert protocol.receive_bytes(b"abcd")[0].start_sample == 8000


def test_resume_with_an_overlap_hears_no_sample_twice():
    protocol, _ = started(resume={"offset_bytes": 0}, channels=["customer"], encoding="pcmu")
    assert protocol.accept("c-1", heard_samples=3) == []
    assert protocol.receive_bytes(b"ab") == []
    assert protocol.receive_bytes(b"cde") == [MediaFrame(channel="customer", start_sample=3, payload=b"de")]


def test_a_repeated_gap_counts_once_however_much_of_it_is_known():
    protocol, _ = started(resume={"offset_bytes": 0}, channels=["customer"], encoding="pcmu")
    assert protocol.accept("c-1", heard_samples=8 * 25) == []
    assert protocol.receive_text('{"type":"gap","duration_ms":20}') == [], "the whole of it is known"
    assert protocol.receive_text('{"type":"gap","duration_ms":20}') == [
        MediaGap(channel="customer", start_sample=8 * 25, samples=8 * 15, reason="paused")
    ]
    assert protocol.receive_bytes(b"a") == [MediaFrame(channel="customer", start_sample=8 * 40, payload=b"a")]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("{", 1007, "JSON"),
        ("[]", 1007, "object"),
        ("[" * 50_000, 1007, "JSON"),
        ("x" * 70_000, 1009, "65536"),
        ('{"type":"stop"}', 1002, "start"),
        ('{"type":5}', 1002, "start"),
        (json.dumps(START | {"call_id": ""}), 1007, "call_id"),
        (json.dumps(START | {"call_id": 7}), 1007, "call_id"),
        (json.dumps(START | {"call_id": "../../etc"}), 1007, "call_id"),
        (json.dumps(START | {"encoding": "opus"}), 1003, "pcm_s16le, pcmu, pcma"),
        (json.dumps(START | {"encoding": ["pcmu"]}), 1003, "encoding"),
        (json.dumps(START | {"sample_rate": 44100}), 1003, "8000 or 16000"),
        (json.dumps(START | {"sample_rate": "8000"}), 1003, "8000 or 16000"),
        (json.dumps(START | {"sample_rate": 8000.0}), 1003, "8000 or 16000"),
        (json.dumps(START | {"channels": []}), 1007, "channels"),
        (json.dumps(START | {"channels": ["customer", "customer"]}), 1007, "different"),
        (json.dumps(START | {"channels": ["customer", "boss"]}), 1007, "different"),
        (json.dumps(START | {"channels": [["customer"]]}), 1007, "channels"),
        (json.dumps(START | {"language": "fr"}), 1007, "zh or en"),
        (json.dumps(START | {"language": 1}), 1007, "zh or en"),
        (json.dumps(START | {"metadata": {"a": {"b": 1}}}), 1007, "metadata"),
        (json.dumps(START | {"metadata": {"a": "x" * 600}}), 1007, "metadata"),
        (json.dumps(START | {"metadata": {str(n): "" for n in range(40)}}), 1007, "metadata"),
        (json.dumps(START | {"events": "yes"}), 1007, "events"),
        (json.dumps(START | {"resume": {"offset_bytes": 3}}), 1007, "offset_bytes"),
        (json.dumps(START | {"resume": {"offset_bytes": -4}}), 1007, "offset_bytes"),
        (json.dumps(START | {"resume": 5}), 1007, "offset_bytes"),
        (json.dumps(START | {"resume": {"offset_bytes": 4 * 10**15}}), 1007, "24 hours"),
    ],
)
def test_a_bad_first_message_is_refused_with_a_sentence(text, code, says):
    with pytest.raises(RemoteProtocolError) as caught:
        make_protocol("raw", {}).receive_text(text)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_audio_before_the_start_is_refused():
    with pytest.raises(RemoteProtocolError, match="start"):
        make_protocol("raw", {}).receive_bytes(b"\x00\x00")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("garbage", 1007),
        ('{"type":"dance"}', 1002),
        (json.dumps(START), 1002),
        ('{"type":"gap"}', 1007),
        ('{"type":"gap","duration_ms":-5}', 1007),
        ('{"type":"gap","duration_ms":true}', 1007),
        ('{"type":"gap","duration_ms":86400001}', 1007),
        ('{"type":"gap","duration_ms":5,"reason":"lunch"}', 1007),
        ('{"type":"gap","duration_ms":5,"reason":["lost"]}', 1007),
        ('{"type":"dtmf","channel":"mixed","digit":"1"}', 1007),
        ('{"type":"dtmf","channel":"customer","digit":"12"}', 1007),
        ('{"type":"dtmf","channel":["customer"],"digit":["1"]}', 1007),
    ],
)
def test_garbage_after_the_start_is_refused(message, code):
    protocol, _ = started()
    protocol.accept("c-1")
    with pytest.raises(RemoteProtocolError) as caught:
        protocol.receive_text(message)
    assert caught.value.code == code


def test_oversize_audio_and_audio_after_stop_are_refused():
    protocol, _ = started()
    protocol.accept("c-1")
    with pytest.raises(RemoteProtocolError) as caught:
        protocol.receive_bytes(bytes(300_000))
    assert caught.value.code == 1009
    protocol.receive_text('{"type":"stop"}')
    with pytest.raises(RemoteProtocolError):
        protocol.receive_bytes(b"\x00\x00\x00\x00")


def test_a_day_is_the_longest_call():
    protocol, _ = started()
    protocol.accept("c-1")
    protocol.receive_text('{"type":"gap","duration_ms":86400000}')
    with pytest.raises(RemoteProtocolError, match="24 hours"):
        protocol.receive_bytes(bytes(4 * 8))


def test_the_shell_must_accept_before_media():
    protocol, _ = started()
    with pytest.raises(LocalProtocolError):
        protocol.receive_bytes(b"\x00\x00\x00\x00")
