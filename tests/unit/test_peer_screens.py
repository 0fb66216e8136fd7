"""Messages as other servers send them (their forms, invented text), read into what a listener sees."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.peer_screens import RawScreen, WhisperLiveKitScreen, WhisperLiveScreen, WhisperStreamingScreen, resolve
from loadtest.screen_score import State

LINES = "1200 2480  我想查\n2480 3900 一下余额\n\n".encode()


def test_whisper_streaming_lines_add_up():
    screen = WhisperStreamingScreen()
    assert screen.ready
    assert screen.receive(LINES[:20], 10) is None, "no line is whole yet"
    assert screen.receive(LINES[20:], 20) == State(at_ms=20, committed=" 我想查一下余额")
    with pytest.raises(ValueError, match="two times"):
        screen.receive(b"hello\n", 30)


@given(st.lists(st.integers(0, len(LINES)), max_size=8))
def test_whisper_streaming_bytes_may_be_cut_anywhere(cuts: list[int]):
    screen, text = WhisperStreamingScreen(), ""
    places = [0, *sorted(cuts), len(LINES)]
    for begin, end in pairwise(places):
        shown = screen.receive(LINES[begin:end], 1)
        text = shown.committed if shown else text
    assert text == " 我想查一下余额"


def segment(start: str, end: str, text: str, *, completed: bool) -> dict:
    return {"start": start, "end": end, "text": text, "completed": completed}


def live(*segments: dict) -> str:
    return json.dumps({"uid": "leg-1", "segments": list(segments)})


def test_whisperlive_keeps_completed_segments_that_left_the_window():
    screen = WhisperLiveScreen()
    assert not screen.ready
    assert screen.receive(json.dumps({"uid": "leg-1", "message": "SERVER_READY", "backend": "faster_whisper"}), 0) is None
    assert screen.ready
    assert screen.receive(live(segment("0.000", "1.400", "我想", completed=False)), 10) == State(at_ms=10, committed="", tail="我想")
    both = live(segment("0.000", "2.000", "我想查一下。", completed=True), segment("2.000", "3.000", "余额", completed=False))
    assert screen.receive(both, 20) == State(at_ms=20, committed="我想查一下。", tail="余额")
    assert screen.receive(both, 30) is None, "the same again is no news"
    later = live(segment("2.000", "3.100", "余额。", completed=True))
    assert screen.receive(later, 40) == State(at_ms=40, committed="我想查一下。余额。")


@pytest.mark.parametrize("status", ["WAIT", "ERROR"])
def test_whisperlive_says_when_it_will_not_listen(status: str):
    screen = WhisperLiveScreen()
    screen.receive(json.dumps({"uid": "leg-1", "status": status, "message": 2.5}), 0)
    assert screen.refused.startswith(status)
    screen.receive(json.dumps({"uid": "leg-1", "message": "DISCONNECT"}), 1)
    assert screen.ended


def test_whisperlivekit_shows_lines_and_a_buffer():
    screen = WhisperLiveKitScreen()
    screen.receive(json.dumps({"type": "config", "useAudioWorklet": True, "mode": "full"}), 0)
    assert screen.ready
    state = {
        "status": "active_transcription",
        "lines": [
            {"speaker": 1, "text": "我想查", "start": "0:00:01.20", "end": "0:00:02.48"},
            {"speaker": -2, "text": None, "start": "0:00:02.48", "end": "0:00:08.00"},
            {"speaker": 1, "text": "一下", "start": "0:00:08.00", "end": "0:00:08.90"},
        ],
        "buffer_transcription": "余额",
        "buffer_diarization": "",
        "remaining_time_transcription": 0.4,
    }
    assert screen.receive(json.dumps(state), 10) == State(at_ms=10, committed="我想查一下", tail="余额")
    assert screen.receive(json.dumps({**state, "remaining_time_transcription": 0.6}), 20) is None
    screen.receive(json.dumps({"type": "ready_to_stop"}), 30)
    assert screen.ended
    screen.receive(json.dumps({"type": "error", "error": "language xx is not supported"}), 40)
    assert "not supported" in screen.refused


def test_our_own_protocol_by_channel():
    screen = RawScreen(channel="customer")
    screen.receive('{"type":"started","call_id":"c","expected_offset_bytes":0,"resume_window_ms":0}', 0)
    assert screen.ready
    partial = {"type": "partial", "channel": "customer", "utterance_id": "customer-1", "stable": "我想", "unstable": "查"}
    assert screen.receive(json.dumps(partial), 10) == State(at_ms=10, committed="", tail="我想查")
    assert screen.receive(json.dumps({**partial, "channel": "agent", "utterance_id": "agent-1"}), 15) is None
    final = {"type": "final", "channel": "customer", "utterance_id": "customer-1", "text": "我想查一下。", "confidence": 0.9}
    assert screen.receive(json.dumps(final), 20) == State(at_ms=20, committed="我想查一下。")
    withdrawn = {**partial, "utterance_id": "customer-2"}
    screen.receive(json.dumps(withdrawn), 30)
    assert screen.receive(json.dumps({**withdrawn, "stable": "", "unstable": ""}), 40) == State(at_ms=40, committed="我想查一下。")
    screen.receive('{"type":"stopped","duration_ms":4000}', 50)
    assert screen.ended


def test_the_agent_reads_values_where_others_read_tokens():
    assert resolve([State(at_ms=1, committed="尾号【尾号#1】", tail="【尾号#1】")], {"【尾号#1】": "3678"}) == [
        State(at_ms=1, committed="尾号3678", tail="3678")
    ]


@pytest.mark.parametrize("screen", [WhisperLiveScreen(), WhisperLiveKitScreen(), RawScreen(channel="agent")])
@pytest.mark.parametrize("message", ["[]", "no json", '"text"'])
def test_what_is_no_message_is_an_error(screen: object, message: str):
    with pytest.raises(ValueError):
        screen.receive(message, 0)
