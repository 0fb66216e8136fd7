"""The load machinery on a real server. Nothing here depends on how fast the machine is: accounts and losses are judged, not the clock."""

from __future__ import annotations

import argparse
import json
import re

import pytest

from loadtest.excerpts import find_scenarios, lane
from loadtest.report import page
from loadtest.rig import rig
from loadtest.soak import Checkpoints, Soak, read_checkpoints
from loadtest.soak_report import soak_report
from loadtest.summary import summarise

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
