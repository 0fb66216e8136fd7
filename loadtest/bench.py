"""``make bench`` and ``make capacity``: what agents' screens see at given numbers of live channels, and the highest number kept up.

Calls are sent in real time over the telephony interface by processes of their own, and every agent's feed is read as a browser reads it.
One channel is the customer's side alone; otherwise n channels are n/2 two-channel calls (of protocols that carry one channel only: n/2
channels, and the row says so). Definitions: loadtest/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from loadtest.excerpts import Excerpt, Scenario, default_scenarios, find_scenarios, lane
from loadtest.profiling import find_profiler, parts, profiled
from loadtest.report import page
from loadtest.rig import OfflineOutcomes, Rig, offline_outcomes, rig
from loadtest.server_process import ROOT, ServerFailed
from loadtest.summary import summarise

Json = dict[str, Any]
REPORTS = ROOT / "reports"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
LEVELS = (1, 2, 4, 8, 16, 32)
_SPREAD_S = 8.0
_WARM_UP_S = 12.0
_CAPACITY_FROM, _CAPACITY_TO, _CAPACITY_STEP = 4, 64, 2


def lanes_of(channels: int, scenarios: Sequence[Scenario], seconds: float) -> list[list[Excerpt]]:
    """The calls of a level. Raises ValueError for an odd number of channels above one."""
    if channels == 1:
        return [lane(scenarios, 0, seconds, channel=0)]
    if channels % 2:
        raise ValueError(f"{channels} channels are no whole number of two-channel calls: give 1 or an even number.")
    return [lane(scenarios, number, seconds) for number in range(channels // 2)]


async def level(
    bench: Rig, channels: int, scenarios: Sequence[Scenario], seconds: float, offline: OfflineOutcomes, stacks: Path | None = None
) -> Json:
    """One row of the table, once what ran before has come to rest. ``stacks``: where to profile to."""
    await bench.settled()
    say(f"{channels} live channel(s) …")
    lanes = lanes_of(channels, scenarios, seconds)
    async with profiled(bench.pid, stacks) if stacks is not None else contextlib.nullcontext():
        run = await bench.run_level(lanes, spread_s=min(_SPREAD_S, seconds / 4))
    row = summarise(run, offline, channels=sum(bench.carried(calls[0], number).legs for number, calls in enumerate(lanes)))
    if stacks is not None:
        row["profile"] = parts(await asyncio.to_thread(stacks.read_text, "utf-8"), run.ended_at - run.began_at)[:40]
    say(json.dumps({name: value for name, value in row.items() if name not in ("detail", "profile")}, ensure_ascii=False))
    return row


async def search(measure: Callable[[int], Any], *, least: int = _CAPACITY_FROM, most: int = _CAPACITY_TO) -> list[Json]:
    """Doubles the channels until a level is not kept up, then halves the interval; every level measured, in order."""
    rows: list[Json] = []
    good, bad, channels = 0, most + _CAPACITY_STEP, least
    while bad - good > _CAPACITY_STEP and good < most:
        row = await measure(channels)
        rows.append(row)
        if row["kept_up"]:
            good = channels
            channels = min(most, 2 * channels) if bad > most else (good + bad) // 2
        else:
            bad = channels
            channels = (good + bad) // 2
        channels = max(2, channels // 2 * 2)
        if channels in (good, bad):
            break
    return rows


def highest(rows: Sequence[Json]) -> int:
    """The most channels kept up below the first level that was not; 0 for none."""
    failed = min((row["channels"] for row in rows if not row["kept_up"]), default=1 << 30)
    return max((row["channels"] for row in rows if row["kept_up"] and row["channels"] < failed), default=0)


def markdown(rows: Sequence[Json], machine: str) -> str:
    """The README's table."""
    lines = [
        "| live channels | first partial p50 / p95 | final p50 / p95 | speech end → suggestion p50 / p95 | CER | cores | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        pairs = [
            f"{(row[name]['p50'] or 0) / 1000:.2f} / {(row[name]['p95'] or 0) / 1000:.2f} s"
            for name in ("first_partial_ms", "final_ms", "suggestion_ms")
        ]
        cores = row["cores"]["server"] + row["cores"]["worker"]
        memory = row["rss_mb"]["server"] + row["rss_mb"]["worker"]
        lines.append(f"| {row['channels']} | {' | '.join(pairs)} | {row['cer']:.3f} | {cores:.2f} | {memory} MB |")
    return "\n".join([*lines, "", machine])


def update(path: Path, table: str) -> None:
    """Replaces what stands between the markers in a page."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    if not rest:
        raise ServerFailed(f"{path} has no bench markers.")
    path.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}", encoding="utf-8")


def machine_line() -> str:
    """Date, processor and model, for under a table."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ""
    )
    return f"{time.strftime('%Y-%m-%d')}, {psutil.cpu_count()} cores ({cpu or platform.processor()}), whisper-base int8, 8 kHz μ-law."


def write_report(report: Json, name: str) -> Path:
    """``reports/<name>.json`` and ``.html``; the path of the page."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / f"{name}.json").write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    html = REPORTS / f"{name}.html"
    html.write_text(page(report, name), encoding="utf-8")
    return html


def say(line: str) -> None:
    print(line, file=sys.stderr)


async def bench(options: argparse.Namespace) -> Json:
    """The report of a run, as JSON."""
    scenarios = find_scenarios(options.scenarios) if options.scenarios else default_scenarios()
    most = _CAPACITY_TO if options.capacity else max(options.channels)
    load_before = psutil.getloadavg()[0]
    if options.profile:
        find_profiler()
    with tempfile.TemporaryDirectory(prefix="pangting-bench-") as scratch:
        async with rig(
            Path(scratch), agents=max(1, most // 2), sender_processes=options.sender_processes, protocols=options.protocol
        ) as running:
            offline: OfflineOutcomes = {}
            if not options.no_offline:
                say("offline transcripts of the same recordings …")
                offline = await asyncio.to_thread(offline_outcomes, running.server, scenarios, REPORTS / "offline")

            say("warming up …")
            await running.run_level([lane(scenarios, 0, _WARM_UP_S)], spread_s=0)

            async def measure(channels: int) -> Json:
                stacks = REPORTS / f"{options.name or 'bench'}-{channels}.folded" if options.profile else None
                return await level(running, channels, scenarios, options.seconds, offline, stacks)

            rows = await search(measure) if options.capacity else [await measure(channels) for channels in options.channels]
    rows.sort(key=lambda row: row["channels"])
    return {
        "kind": "capacity" if options.capacity else "bench",
        "machine": machine_line(),
        "load_average_before": load_before,
        "protocols": options.protocol,
        "kept_up_channels": highest(rows),
        "rows": rows,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, nargs="+", default=list(LEVELS), help="levels to measure: 1 or even numbers")
    parser.add_argument("--seconds", type=float, default=75.0, help="audio of each lane of a level")
    parser.add_argument("--capacity", action="store_true", help="search the highest level kept up instead")
    parser.add_argument("--scenarios", nargs="+", help="scenario folders, by path or by name under loadtest/scenarios (globs)")
    parser.add_argument("--protocol", nargs="+", default=["raw"], help="telephony protocols, taken in turn by the calls")
    parser.add_argument("--sender-processes", type=int, default=1, help="processes that send calls and read feeds")
    parser.add_argument("--no-offline", action="store_true", help="leave out the comparison with offline transcription")
    parser.add_argument("--profile", action="store_true", help="sample the server's Python stacks with py-spy (slows it a little)")
    parser.add_argument("--name", help="reports/<name>.json and .html (default: bench or capacity)")
    parser.add_argument("--update-readme", action="store_true", help="write the table into README.md and README.zh-CN.md")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    report = asyncio.run(bench(options))
    path = write_report(report, options.name or report["kind"])
    table = markdown(report["rows"], report["machine"])
    print(table)
    print(f"\nkept up: {report['kept_up_channels']} channels · {path}")
    if options.update_readme:
        for page in ("README.md", "README.zh-CN.md"):
            update(ROOT / page, table)


if __name__ == "__main__":
    main()
