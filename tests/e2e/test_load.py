"""The load machinery on a real server. Nothing here depends on how fast the machine is: accounts and losses are judged, not the clock."""

from __future__ import annotations

import argparse
import asyncio
import json
import re

import pytest

from loadtest.excerpts import excerpt, find_scenarios, lane
from loadtest.report import page
from loadtest.rig import LevelRun, rig
from loadtest.sampling import scrape
from loadtest.soak import Checkpoints, Soak, read_checkpoints
from loadtest.soak_report import soak_report
from loadtest.summary import summarise
from streaming.callers import CALLERS

pytestmark = [pytest.mark.anyio, pytest.mark.models]


async def test_two_calls_of_two_protocols_lose_nothing(tmp_path):
    scenarios = find_scenarios(["short", "demo"])
    lanes = [lane(scenarios, number, 20) for number in range(2)]
    async with rig(tmp_path, agents=2, sender_processes=2, protocols=["raw", "twilio"]) as running:
        run = await running.run_level(lanes, spread_s=2)
    row = summarise(run, {}, channels=4)
    assert (row["calls"], row["refused"], row["unfinished_calls"]) == (2, 0, 0)
    assert row["audio"]["complete"], row["audio"]
    assert row["audio"]["sent_s"] == pytest.approx(sum(call.duration_ms * call.legs for calls in lanes for call in calls) / 1000, abs=0.1)
    assert row["audio"]["outcomes_s"]["speech"] > 0.5 * row["speech_ratio"] * row["audio"]["sent_s"]
    assert row["finals"] >= row["utterances"] / 2 > 0
    assert (row["finals_lost"], row["unfinished_utterances"], row["stable_retracted"], row["degraded"]) == (0, 0, 0, [])
    assert row["final_ms"]["n"] > 0
    assert row["cer"] < 0.5
    assert {"recognizer", "event-loop"} <= set(row["server_threads_cores"]), "the parts of the server can be told apart"
    report = {"machine": "", "load_average_before": 0.0, "protocols": ["raw", "twilio"], "rows": [json.loads(json.dumps(row))]}
    html = page(report, "small")
    assert html.count("<svg") == 6
    assert not re.search(r'(?:src|href)="', html), "the page needs nothing from elsewhere"


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_sender_speaks_every_protocol(tmp_path):
    """One short call by each, two at once; by those with one channel the customer's side, and no audio is missing by any."""
    names = sorted(CALLERS)
    scenarios = find_scenarios(["short"])
    async with rig(tmp_path, agents=4, sender_processes=1, protocols=names) as running:
        calls = [running.carried(excerpt(scenarios[0], 1, 8), number) for number in range(len(names))]
        run = LevelRun()
        for at in range(0, len(names), 2):
            some = range(at, min(at + 2, len(names)))
            records = await asyncio.gather(*(running.fleet.call(running.order(calls[number], number)) for number in some))
            run.calls += zip(calls[some.start : some.stop], records, strict=True)
        await running.settled()
        counters = await scrape(running.server.base)
    assert {name: record.error for name, (_, record) in zip(names, run.calls, strict=True) if record.error or not record.ended} == {}
    assert [name for name, call in zip(names, calls, strict=True) if call.legs == 1] == ["exotel", "vonage"]
    for name, (call, record) in zip(names, run.calls, strict=True):
        assert record.sent_ms == pytest.approx(call.duration_ms, abs=40), name
        assert record.stored_finals > 0, name
    heard = sum(value for name, value in counters.items() if name.startswith("pangting_call_audio_seconds_total{") and "gap" not in name)
    assert heard == pytest.approx(sum(call.duration_ms * call.legs for call in calls) / 1000, abs=0.1 * len(names))


@pytest.mark.slow
async def test_calls_one_after_the_other_leave_no_trace(tmp_path):
    """A short soak: too short to see a slow leak (that takes the two hours of make soak), long enough to see calls that are never freed."""
    options = argparse.Namespace(calls=2, seconds=150)
    keep = Checkpoints(tmp_path / "soak.jsonl")
    keep.write(
        "begin", at=0.0, calls=options.calls, planned_s=options.seconds, protocols=["raw", "twilio"], machine="", load_average_before=0.0
    )
    async with rig(tmp_path, agents=2, sender_processes=1, protocols=["raw", "twilio"]) as running:
        await Soak(running, find_scenarios(["short", "transfer"]), keep.write).run(options.calls, options.seconds)
    keep.close()
    report = soak_report(read_checkpoints(tmp_path / "soak.jsonl"))
    checks = {check["name"]: check for check in report["checks"]}
    clock = checks.pop("answers do not slow down")  # tells of the machine as much as of the server
    assert clock["detail"]
    assert all(check["passed"] for check in checks.values()), checks
