"""``make overload``: adds calls until the server refuses them, keeps knocking, then takes the load away.

Judged: calls are refused with a clear reason, the running ones keep their latency and lose nothing, and ten seconds after the load is gone
a new call is served as if nothing had been.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from loadtest.bench import machine_line, say, write_report
from loadtest.excerpts import Excerpt, Scenario, default_scenarios, find_scenarios, lane
from loadtest.measures import UtteranceMeasure
from loadtest.records import CallRecord, Order
from loadtest.rig import LevelRun, Rig, rig
from loadtest.sampling import increase, scrape, thread_cpu_seconds
from loadtest.statistics import quantile
from loadtest.summary import KEPT_UP_FINAL_P95_MS, MeasuredCall, measured, summarise

Json = dict[str, Any]
BACK_WITHIN_S = 10.0
_CALL_S = 600.0
_PROBE_S = 45.0
_KNOCK_S = 2.0


@dataclass(slots=True, kw_only=True)
class Storm:
    """What happened, in moments of the monotonic clock."""

    run: LevelRun = field(default_factory=LevelRun)
    full_at: float | None = None
    cut_at: float = 0.0
    admitted: int = 0
    accepted_again_at: float | None = None
    probe: tuple[Excerpt, CallRecord] | None = None


class Overload:
    """One storm against one server. ``most`` calls at once are tried at the most."""

    def __init__(self, running: Rig, scenarios: Sequence[Scenario], most: int) -> None:
        self._rig = running
        self._scenarios = scenarios
        self._most = most
        self._live: dict[str, tuple[Order, asyncio.Task[CallRecord]]] = {}
        self.storm = Storm()

    async def run(self, *, every_s: float, hold_s: float) -> Storm:
        storm = self.storm
        before, threads = await scrape(self._rig.server.base), thread_cpu_seconds(self._rig.pid)
        sampler = self._rig.sampler()
        sampling = asyncio.create_task(sampler.run(), name="sampling")
        storm.run.began_at = time.monotonic()
        while storm.full_at is None and storm.admitted < self._most:
            await self._knock()
            await asyncio.sleep(every_s)
        say(f"full after {storm.admitted} calls; holding …")
        until = time.monotonic() + hold_s
        while time.monotonic() < until and storm.admitted < self._most:
            await self._knock()
            await asyncio.sleep(_KNOCK_S)
        storm.cut_at = time.monotonic()
        storm.run.window = (storm.full_at or storm.cut_at, storm.cut_at)
        running = list(self._live.values())
        for order, _ in running:
            self._rig.fleet.cut(order)
        await asyncio.gather(*(task for _, task in running))
        await self._probe()
        storm.run.ended_at = time.monotonic()
        sampler.look()
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling
        storm.run.samples = sampler.samples
        storm.run.counters = increase(before, await scrape(self._rig.server.base))
        storm.run.threads = increase(threads, thread_cpu_seconds(self._rig.pid))
        return storm

    async def _knock(self) -> None:
        """One more call of the next agent who has none; it counts as let in until it is known to be refused."""
        number = self.storm.admitted
        taken = self._rig.carried(lane(self._scenarios, number, _CALL_S)[0], number)
        order = self._rig.order(taken, number)
        task = asyncio.create_task(self._rig.fleet.call(order))
        self.storm.admitted += 1
        self._live[order.call_id] = (order, task)
        task.add_done_callback(lambda finished: self._over(order, taken, finished))
        await asyncio.wait({task}, timeout=1.0)

    def _over(self, order: Order, taken: Excerpt, finished: asyncio.Task[CallRecord]) -> None:
        del self._live[order.call_id]
        if finished.cancelled() or finished.exception() is not None:
            return
        record = finished.result()
        self.storm.run.calls.append((taken, record))
        if record.error is not None:
            self.storm.admitted -= 1
            self.storm.full_at = self.storm.full_at or time.monotonic()

    async def _probe(self) -> None:
        """Knocks every second until a call is let in, and follows that one."""
        say("load removed …")
        taken = self._rig.carried(lane(self._scenarios, 0, _PROBE_S)[0], 0)
        for _ in range(60):
            began = time.monotonic()
            record = await self._rig.fleet.call(self._rig.order(taken, 0))
            self.storm.run.calls.append((taken, record))
            if record.error is None:
                self.storm.accepted_again_at, self.storm.probe = began, (taken, record)
                return
            await asyncio.sleep(1.0)


def verdicts(storm: Storm, calls: Sequence[MeasuredCall], row: Json, *, final_limit_ms: float) -> list[Json]:
    """The checks of a storm, each with what was found."""
    refusals = [call.record.error for call in calls if call.record.error is not None]
    clear = [error for error in refusals if error[0] == "Overloaded" and len(error[1]) > 20]
    done = [(call, call.measures) for call in calls if call.measures is not None]
    held = _finals([item for _, measures in done for item in measures.utterances], *storm.run.window)
    p95 = quantile(held, 0.95)
    after_cut = storm.accepted_again_at - storm.cut_at if storm.accepted_again_at is not None else None
    probe_waits: list[float] = []
    if storm.probe is not None:
        (probe,) = measured([storm.probe])
        if probe.measures is not None:
            probe_waits = _finals(probe.measures.utterances, storm.cut_at + BACK_WITHIN_S, float("inf"))
    probe_p95 = quantile(probe_waits, 0.95)
    lost = {name: row[name] for name in ("finals_lost", "unfinished_utterances", "stable_retracted", "feed_drops", "unfinished_calls")}
    audio = row["audio"]["outcomes_s"]
    return [
        _check("refused when full", bool(refusals), f"{storm.admitted} calls were let in, {len(refusals)} refused"),
        _check("each refusal gives its reason", len(clear) == len(refusals), "; ".join(row["refusals"])),
        _check(
            "running calls keep their latency",
            p95 is not None and p95 <= final_limit_ms,
            f"final p95 {_round(p95)} ms of {len(held)} utterances while full, limit {final_limit_ms:.0f} ms",
        ),
        _check(
            "nothing is lost",
            not any(lost.values()) and not row["degraded"] and not audio.get("skipped") and not audio.get("failed"),
            f"{lost}, degraded {row['degraded']}, audio {audio}",
        ),
        _check(
            f"calls are let in again within {BACK_WITHIN_S:.0f} s",
            after_cut is not None and after_cut <= BACK_WITHIN_S,
            "never" if after_cut is None else f"after {after_cut:.1f} s",
        ),
        _check(
            f"normal latency {BACK_WITHIN_S:.0f} s after the load is gone",
            probe_p95 is not None and probe_p95 <= KEPT_UP_FINAL_P95_MS,
            f"final p95 {_round(probe_p95)} ms of {len(probe_waits)} utterances, limit {KEPT_UP_FINAL_P95_MS} ms",
        ),
    ]


def _finals(items: Sequence[UtteranceMeasure], begin: float, end: float) -> list[float]:
    return [item.final_ms for item in items if item.final_ms is not None and begin <= item.spoken_at <= end]


def _check(name: str, passed: bool, detail: str) -> Json:
    return {"name": name, "passed": passed, "detail": detail}


def _round(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


async def overload(options: argparse.Namespace) -> Json:
    """The report."""
    scenarios = find_scenarios(options.scenarios) if options.scenarios else default_scenarios()
    load_before = psutil.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="pangting-overload-") as scratch:
        settings = {"PANGTING_ASR__MAX_CHANNELS": str(options.max_channels)} if options.max_channels else {}
        async with rig(
            Path(scratch), agents=options.most, sender_processes=options.sender_processes, protocols=options.protocol, settings=settings
        ) as running:
            storm = await Overload(running, scenarios, options.most).run(every_s=options.every, hold_s=options.hold)
    row = summarise(storm.run, {}, channels=2 * storm.admitted)
    row["failures"] = ["see the checks"]
    checks = verdicts(storm, measured(storm.run.calls), row, final_limit_ms=options.final_limit_ms)
    return {
        "kind": "overload",
        "machine": machine_line(),
        "load_average_before": load_before,
        "protocols": options.protocol,
        "checks": checks,
        "rows": [row],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="make overload", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between a call that was let in and the next")
    parser.add_argument("--hold", type=float, default=40.0, help="seconds of knocking once full")
    parser.add_argument("--most", type=int, default=64, help="calls tried at the most")
    parser.add_argument("--max-channels", type=int, default=0, help="asr.max_channels of the server (0: its own judgement)")
    parser.add_argument("--final-limit-ms", type=float, default=2_000.0, help="final p95 that running calls must keep")
    parser.add_argument("--scenarios", nargs="+", help="scenario folders, by path or by name under loadtest/scenarios (globs)")
    parser.add_argument("--protocol", nargs="+", default=["raw"], help="telephony protocols, taken in turn by the calls")
    parser.add_argument("--sender-processes", type=int, default=1, help="processes that send calls and read feeds")
    parser.add_argument("--name", default="overload", help="reports/<name>.json and .html")
    options = parser.parse_args()
    report = asyncio.run(overload(options))
    path = write_report(report, options.name)
    for check in report["checks"]:
        print(f"{'✓' if check['passed'] else '✗'} {check['name']}: {check['detail']}")
    print(path)
    sys.exit(0 if all(check["passed"] for check in report["checks"]) else 1)


if __name__ == "__main__":
    main()
