"""A soak's checks, on checkpoints that were made up."""

from __future__ import annotations

import json

import pytest

from loadtest.excerpts import Excerpt, Scenario, Utterance
from loadtest.measures import measure
from loadtest.overload import Storm, verdicts
from loadtest.records import CallRecord
from loadtest.report import page
from loadtest.soak import Checkpoints, read_checkpoints
from loadtest.soak_report import soak_report
from loadtest.summary import MeasuredCall

PREFIX = "pangting_call_audio_seconds_total"
TIMINGS = {"queue_ms": 1.0, "decode_ms": 1.0, "endpoint_ms": 1.0, "after_speech_ms": 1.0}


def call(number, wait_ms, *, at=None, stored=1):
    """One second of speech, its final ``wait_ms`` after it; a minute a call."""
    playing = (60.0 * number if at is None else at) + 0.02
    event = {
        "type": "utterance_final",
        "channel": "customer",
        "utterance_id": "customer-1",
        "start_ms": 0,
        "end_ms": 1000,
        "text": "我的卡",
        "timings": TIMINGS,
    }
    message = {"type": "event", "call_id": f"c{number}", "envelope": {"seq": 1, "event": event}}
    record = CallRecord(
        call_id=f"c{number}",
        playing_at=playing,
        hung_up_at=playing + 2,
        sent_ms=2000,
        ended=True,
        stored_finals=stored,
        messages=[(playing - 0.02 + 1.0 + wait_ms / 1000, message)],
    )
    utterance = {"channel": "customer", "start_ms": 0, "end_ms": 1000, "text": "我的卡"}
    return {"kind": "call", "scenario": "s", "excerpt": "s-0-2", "legs": 2, "utterances": [utterance], "record": record.to_json()}


def sample(at, megabytes):
    return {
        "kind": "sample",
        "at": at,
        "server_cpu": at / 2,
        "worker_cpu": 0.0,
        "sender_cpu": 0.0,
        "machine_cpu": at,
        "server_rss": int(1e6 * megabytes),
        "worker_rss": 0,
    }


def lines(calls=120, wait=lambda number: 600 + number % 7, memory=lambda at: 800.0, lost_s=0.0):
    seconds = 60.0 * calls
    begin = {"kind": "begin", "at": 0.0, "calls": 1, "planned_s": seconds, "protocols": ["raw"], "machine": "", "load_average_before": 0.0}
    counters = {f'{PREFIX}{{outcome="speech"}}': 1.0 * calls, f'{PREFIX}{{outcome="silence"}}': 3.0 * calls - lost_s}
    end = {"kind": "end", "at": seconds, "counters": counters, "threads": {}}
    looks = [sample(30.0 * n, memory(30.0 * n)) for n in range(2 * calls)]
    return [begin, *(call(number, wait(number)) for number in range(calls)), *looks, end]


def failed(report):
    return {check["name"] for check in report["checks"] if not check["passed"]}


def test_a_steady_run_passes():
    report = soak_report(lines())
    assert failed(report) == set(), report["checks"]
    assert report["rows"][0]["final_ms"]["p50"] == pytest.approx(603, abs=1)


def test_memory_that_grows_fails_and_a_spike_does_not():
    assert failed(soak_report(lines(memory=lambda at: 800 + at / 7200 * 60))) == {"memory stays flat"}
    assert failed(soak_report(lines(memory=lambda at: 1600 if 3000 < at < 3300 else 800))) == set()
    # Growth while caches fill is none.
    assert failed(soak_report(lines(memory=lambda at: min(800.0, 500 + at)))) == set()


def test_answers_that_slow_down_fail():
    assert failed(soak_report(lines(wait=lambda number: 600 + 2 * number))) == {"answers do not slow down"}
    assert failed(soak_report(lines(wait=lambda number: 600 + number / 20 + number % 7))) == set()


def test_lost_audio_and_lost_finals_fail():
    assert failed(soak_report(lines(lost_s=100.0))) == {"every second of audio is accounted for"}
    broken = lines()
    broken[5] = call(4, 600, stored=2)
    assert failed(soak_report(broken)) == {"nothing is lost"}


def test_a_run_that_broke_off_is_judged_and_fails(tmp_path):
    keep = Checkpoints(tmp_path / "soak.jsonl")
    for line in lines()[:-1]:
        keep.write(**line)
    keep.close()
    with (tmp_path / "soak.jsonl").open("a") as file:
        file.write(json.dumps(sample(1, 1))[:20])  # the machine went down while writing
    report = soak_report(read_checkpoints(tmp_path / "soak.jsonl"))
    assert failed(report) == {"ran to its end", "every second of audio is accounted for"}
    assert report["rows"][0]["utterances"] == 120


def test_a_run_without_a_call_fails():
    assert "calls were made" in failed(soak_report(lines()[:1]))


def test_the_page_shows_curves_checks_and_every_call():
    html = page(json.loads(json.dumps(soak_report(lines(lost_s=100.0)))), "a <name>")
    assert html.count("<svg") == 6
    assert html.count("<tr><td>s-0-2</td>") == 120
    assert html.count("✗") == 1
    assert "unaccounted 100.000 s" in html
    assert "<name>" not in html


# ------------------------------------------------------------------ overload

TAKEN = Excerpt(
    scenario=Scenario(name="s", audio=None, utterances=(), language="zh", duration_ms=2000, channels=2),
    from_ms=0,
    to_ms=2000,
    utterances=(Utterance(channel="customer", start_ms=0, end_ms=1000, text="我的卡"),),
)
ROW = {
    "finals_lost": 0,
    "unfinished_utterances": 0,
    "stable_retracted": 0,
    "feed_drops": 0,
    "unfinished_calls": 0,
    "degraded": [],
    "refusals": ["Overloaded: …"],
    "audio": {"outcomes_s": {}},
}


def judged(*, wait_ms=700, reason="All recognition channels are taken: try again later.", kind="Overloaded", again_s=4.0):
    storm = Storm(full_at=100.0, cut_at=160.0, admitted=1, accepted_again_at=160.0 + again_s)
    storm.run.window = (100.0, 160.0)
    refused = CallRecord(call_id="r", error=(kind, reason))
    held = CallRecord.from_json(call(0, wait_ms, at=120.0)["record"])
    probe = CallRecord.from_json(call(1, 600, at=172.0)["record"])
    storm.probe = (TAKEN, probe)
    calls = [
        MeasuredCall(excerpt=TAKEN, record=refused, measures=None),
        *(MeasuredCall(excerpt=TAKEN, record=record, measures=measure(record, TAKEN.utterances)) for record in (held, probe)),
    ]
    return {check["name"] for check in verdicts(storm, calls, ROW, final_limit_ms=2000) if not check["passed"]}


def test_a_storm_that_is_weathered_passes():
    assert judged() == set()


def test_what_a_storm_may_not_do():
    assert judged(wait_ms=2500) == {"running calls keep their latency"}
    assert judged(reason="no") == {"each refusal gives its reason"}
    assert judged(kind="EngineError") == {"each refusal gives its reason"}
    assert judged(again_s=15) == {"calls are let in again within 10 s"}


def test_of_a_call_that_was_cut_only_what_was_said_counts():
    utterances = [*TAKEN.utterances, Utterance(channel="customer", start_ms=5000, end_ms=6000, text="丢了")]
    record = CallRecord.from_json(call(0, 600)["record"])
    record.cut = True
    assert len(measure(record, utterances).utterances) == 1
