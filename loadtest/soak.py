"""``make soak``: a steady number of calls for hours, watched for memory that grows, answers that slow down and audio that is lost.

Every finished call and every look at the machine goes to ``reports/<name>.jsonl`` at once, so a break loses nothing:
``python -m loadtest.soak --from-checkpoints`` judges what is there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from loadtest.bench import REPORTS, machine_line, say, write_report
from loadtest.excerpts import Scenario, default_scenarios, find_scenarios, lane
from loadtest.rig import Rig, rig
from loadtest.sampling import Sampler, increase, scrape, thread_cpu_seconds
from loadtest.soak_report import soak_report

Json = dict[str, Any]
_RETRY_S = 5.0
_LOOK_S = 5.0
_ROUND_S = 180.0
"""Audio of a lane before its calls are drawn anew."""
_WITHOUT_CAPACITY = 4


class Checkpoints:
    """Lines appended to a file, each safe on disk before the next."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")

    def write(self, kind: str, **body: Any) -> None:
        self._file.write(json.dumps({"kind": kind, **body}, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_checkpoints(path: Path) -> list[Json]:
    """The lines of a file; a last one that was cut off is left out."""
    lines: list[Json] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(line))
    return lines


class Soak:
    """One run; ``keep`` takes the checkpoints."""

    def __init__(self, running: Rig, scenarios: Sequence[Scenario], keep: Callable[..., None]) -> None:
        self._rig = running
        self._scenarios = scenarios
        self._keep = keep

    async def run(self, calls: int, seconds: float) -> None:
        """Keeps ``calls`` two-channel calls going for ``seconds``; those that run then are played to their end."""
        base, pid = self._rig.server.base, self._rig.pid
        before, threads = await scrape(base), thread_cpu_seconds(pid)
        sampler = self._rig.sampler()
        watching = asyncio.create_task(self._watch(sampler), name="watch")
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._lane(number, calls, until) for number in range(calls)))
        await self._rig.settled()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        self._look(sampler)
        self._keep(
            "end",
            at=time.monotonic(),
            counters=increase(before, await scrape(base)),
            threads=increase(threads, thread_cpu_seconds(pid)),
        )

    async def _lane(self, number: int, lanes: int, until: float) -> None:
        await asyncio.sleep(number * min(10.0, 60.0 / lanes))  # out of step
        turn = number
        while time.monotonic() < until:
            for whole in lane(self._scenarios, turn, min(_ROUND_S, until - time.monotonic())):
                taken = self._rig.carried(whole, number)
                record = await self._rig.fleet.call(self._rig.order(taken, number))
                self._keep(
                    "call",
                    scenario=taken.scenario.name,
                    excerpt=taken.name,
                    legs=taken.legs,
                    utterances=[asdict(utterance) for utterance in taken.utterances],
                    record=record.to_json(),
                )
                if time.monotonic() >= until:
                    return
                if record.error is not None:
                    await asyncio.sleep(_RETRY_S)  # a refused call is over at once
            turn += lanes

    async def _watch(self, sampler: Sampler) -> None:
        while True:
            self._look(sampler)
            await asyncio.sleep(_LOOK_S)

    def _look(self, sampler: Sampler) -> None:
        with contextlib.suppress(psutil.Error):
            self._keep("sample", **asdict(sampler.look()))
        sampler.samples.clear()


def half_load() -> int:
    """Calls of half the capacity that ``make capacity`` measured here, at least one; two where it was not measured."""
    path = REPORTS / "capacity.json"
    channels = json.loads(path.read_text(encoding="utf-8"))["kept_up_channels"] if path.exists() else _WITHOUT_CAPACITY * 2
    return max(1, int(channels) // 4)


async def soak(options: argparse.Namespace, checkpoints: Path) -> None:
    """Runs and leaves its checkpoints."""
    scenarios = find_scenarios(options.scenarios) if options.scenarios else default_scenarios()
    calls = options.calls or half_load()
    keep = Checkpoints(checkpoints)
    keep.write(
        "begin",
        at=time.monotonic(),
        calls=calls,
        planned_s=60 * options.minutes,
        protocols=options.protocol,
        machine=machine_line(),
        load_average_before=psutil.getloadavg()[0],
    )
    say(f"{calls} calls for {options.minutes:g} minutes; checkpoints in {checkpoints}")
    try:
        with tempfile.TemporaryDirectory(prefix="pangting-soak-") as scratch:
            async with rig(Path(scratch), agents=calls, sender_processes=options.sender_processes, protocols=options.protocol) as running:
                await Soak(running, scenarios, keep.write).run(calls, 60 * options.minutes)
    finally:
        keep.close()


def judge(lines: Iterable[Json], name: str) -> bool:
    """Writes the report of the checkpoints and prints its checks; whether all passed."""
    report = soak_report(list(lines))
    path = write_report(report, name)
    for check in report["checks"]:
        print(f"{'✓' if check['passed'] else '✗'} {check['name']}: {check['detail']}")
    print(path)
    return all(check["passed"] for check in report["checks"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--calls", type=int, default=0, help="calls at once; 0: half of what reports/capacity.json kept up")
    parser.add_argument("--scenarios", nargs="+", help="scenario folders, by path or by name under loadtest/scenarios (globs)")
    parser.add_argument("--protocol", nargs="+", default=["raw"], help="telephony protocols, taken in turn by the calls")
    parser.add_argument("--sender-processes", type=int, default=1, help="processes that send calls and read feeds")
    parser.add_argument("--name", default="soak", help="reports/<name>.jsonl, .json and .html")
    parser.add_argument("--from-checkpoints", action="store_true", help="only judge reports/<name>.jsonl, of a run that broke off")
    options = parser.parse_args()
    checkpoints = REPORTS / f"{options.name}.jsonl"
    if not options.from_checkpoints:
        try:
            asyncio.run(soak(options, checkpoints))
        except KeyboardInterrupt:
            say("interrupted: judging what there is")
    sys.exit(0 if judge(read_checkpoints(checkpoints), options.name) else 1)


if __name__ == "__main__":
    main()
