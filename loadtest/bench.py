"""``make bench``: what an agent's screen sees at 1, 2 and 4 live channels, on this machine, over the public interfaces.

Every call is played in real time over the raw websocket; the feed is read as a screen reads it. Latencies are measured at that client,
against the reference times of the call's script (rendered audio, so the times are exact):

- first partial: a turn's speech start → the first partial of it on the feed
- final: a turn's speech end → the last final of it on the feed
- suggestion: the server's own account per card (speech end → card offered), from the recogniser's end of speech
- CER: characters of both channels against the script, weighted by length

CPU and memory are of the server and all its children (the after-call worker too), sampled twice a second while the calls run.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import soundfile

from loadtest.call_view import percentile
from loadtest.feed_client import FeedClient
from loadtest.gold import resolved, transcript_cer
from loadtest.server_process import ROOT, ServerFailed, ServerProcess
from streaming.play import play

Json = dict[str, Any]
SCENARIOS = ROOT / "loadtest" / "scenarios"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_MATCH_MS = 400


@dataclass(slots=True)
class CallPlan:
    """One call of a run: its audio, its gold turns (of the channels played)."""

    name: str
    audio: Path
    gold: Json


@dataclass(slots=True)
class CallResult:
    """What the feed showed of one call, with arrival times in ms after the first audio byte was sent."""

    plan: CallPlan
    started_at: float = 0.0
    partials: list[tuple[float, Json]] = field(default_factory=list)
    finals: list[tuple[float, Json]] = field(default_factory=list)
    cards: list[Json] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    def first_partials(self) -> list[float]:
        """ms from each turn's speech start to its first partial."""
        waits = []
        for turn in self.plan.gold["turns"]:
            seen = [
                at - turn["start_ms"]
                for at, partial in self.partials
                if partial["channel"] == turn["channel"]
                and (partial["stable"] or partial["unstable"])
                and turn["start_ms"] - _MATCH_MS <= partial["end_ms"] <= turn["end_ms"] + _MATCH_MS
                and at > turn["start_ms"]
            ]
            if seen:
                waits.append(min(seen))
        return waits

    def final_waits(self) -> list[float]:
        """ms from each turn's speech end to the last final that covers it."""
        waits = []
        for turn in self.plan.gold["turns"]:
            seen = [
                at - turn["end_ms"]
                for at, final in self.finals
                if final["channel"] == turn["channel"] and abs(final["end_ms"] - turn["end_ms"]) <= _MATCH_MS
            ]
            if seen:
                waits.append(max(seen))
        return waits

    def cer(self) -> float:
        return transcript_cer(self.plan.gold, resolved([final for _, final in self.finals], self.secrets))


def mono(plan: CallPlan, channel: int, directory: Path) -> CallPlan:
    """Only one channel of a call, as a one-channel recording."""
    audio, rate = soundfile.read(plan.audio, dtype="int16", always_2d=True)
    path = directory / f"{plan.name}-{channel}.wav"
    soundfile.write(path, audio[:, channel], rate, subtype="ULAW")
    name = ("customer", "agent")[channel]
    turns = [turn for turn in plan.gold["turns"] if turn["channel"] == name]
    return CallPlan(name=f"{plan.name}-{name}", audio=path, gold={**plan.gold, "turns": turns})


def scenario(name: str) -> CallPlan:
    folder = SCENARIOS / name
    return CallPlan(name=name, audio=folder / "call.wav", gold=json.loads((folder / "gold.json").read_text(encoding="utf-8")))


class Sampler:
    """CPU seconds and resident memory of a process tree."""

    def __init__(self, pid: int) -> None:
        self.root = psutil.Process(pid)
        self.rss: list[int] = []

    def _tree(self) -> list[psutil.Process]:
        return [self.root, *self.root.children(recursive=True)]

    def cpu_seconds(self) -> float:
        total = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    async def run(self) -> None:
        while True:
            with contextlib.suppress(psutil.Error):
                self.rss.append(sum(process.memory_info().rss for process in self._tree()))
            await asyncio.sleep(0.5)


async def one_call(server: ServerProcess, plan: CallPlan, agent: str, number: int) -> CallResult:
    """Plays one call and follows it on its agent's feed until its last final."""
    client = FeedClient(server.base)
    await client.sign_in(agent, server.passwords[agent])
    call_id = f"bench-{number}-{time.monotonic_ns():x}"
    result = CallResult(plan=plan)
    ended = asyncio.Event()
    async with client.feed() as messages:

        async def follow() -> None:
            async for message in messages:
                if message.get("call_id") != call_id:
                    continue
                at = 1000 * (message["_at"] - result.started_at)
                if message["type"] == "partial":
                    result.partials.append((at, message["partial"]))
                elif message["type"] == "secrets":
                    result.secrets.update(message["values"])
                elif message["type"] == "event":
                    event = message["envelope"]["event"]
                    if event["type"] == "utterance_final":
                        result.finals.append((at, event))
                    elif event["type"] == "suggestion_offered" and event["kind"] != "nothing":
                        result.cards.append(event)
                    elif event["type"] == "call_ended":
                        ended.set()

        following = asyncio.create_task(follow())

        def note(event: Json) -> None:
            if event.get("type") == "playing":
                result.started_at = time.monotonic()

        await play(
            plan.audio,
            protocol="raw",
            url=server.telephony_url("raw"),
            key=server.key,
            call_id=call_id,
            metadata={"agent": agent},
            on_event=note,
            language="zh",
        )
        async with asyncio.timeout(60):
            await ended.wait()
        following.cancel()
    await client.aclose()
    return result


async def run_level(server: ServerProcess, plans: list[CallPlan], channels: int) -> Json:
    """One row of the table."""
    assert server.process is not None
    sampler = Sampler(server.process.pid)
    sampling = asyncio.create_task(sampler.run())
    cpu, begun = sampler.cpu_seconds(), time.monotonic()
    results = await asyncio.gather(*(one_call(server, plan, f"bench-{n}", n) for n, plan in enumerate(plans)))
    elapsed = time.monotonic() - begun
    used = sampler.cpu_seconds() - cpu
    sampling.cancel()
    partials = [wait for result in results for wait in result.first_partials()]
    finals = [wait for result in results for wait in result.final_waits()]
    cards = [card["total_ms"] for result in results for card in result.cards]
    stages: dict[str, list[float]] = {}
    for result in results:
        for card in result.cards:
            for stage in card["stages"]:
                stages.setdefault(stage["name"], []).append(stage["ms"])
    size = sum(len(turn["text"]) for result in results for turn in result.plan.gold["turns"])
    errors = sum(result.cer() * sum(len(turn["text"]) for turn in result.plan.gold["turns"]) for result in results)
    return {
        "channels": channels,
        "calls": [plan.name for plan in plans],
        "seconds": round(elapsed, 1),
        "turns": sum(len(plan.gold["turns"]) for plan in plans),
        "turns_with_final": len(finals),
        "first_partial_ms": {"p50": round(percentile(partials, 0.5)), "p95": round(percentile(partials, 0.95)), "n": len(partials)},
        "final_ms": {"p50": round(percentile(finals, 0.5)), "p95": round(percentile(finals, 0.95)), "n": len(finals)},
        "suggestion_ms": {"p50": round(percentile(cards, 0.5)), "p95": round(percentile(cards, 0.95)), "n": len(cards)},
        "stages_ms_p50": {name: round(percentile(values, 0.5), 1) for name, values in stages.items()},
        "cer": round(errors / max(1, size), 4),
        "cores": round(used / elapsed, 2),
        "rss_mb": round(max(sampler.rss) / 1e6) if sampler.rss else 0,
    }


def markdown(rows: list[Json], machine: str) -> str:
    """The README's table."""
    lines = [
        "| live channels | first partial p50 / p95 | final p50 / p95 | speech end → suggestion p50 / p95 | CER | cores | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        pairs = [
            f"{row[name]['p50'] / 1000:.2f} / {row[name]['p95'] / 1000:.2f} s" for name in ("first_partial_ms", "final_ms", "suggestion_ms")
        ]
        lines.append(f"| {row['channels']} | {' | '.join(pairs)} | {row['cer']:.3f} | {row['cores']:.2f} | {row['rss_mb']} MB |")
    return "\n".join([*lines, "", machine])


def update(path: Path, table: str) -> None:
    """Replaces what stands between the markers in a page."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    if not rest:
        raise ServerFailed(f"{path} has no bench markers.")
    path.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}", encoding="utf-8")


async def bench(options: argparse.Namespace) -> list[Json]:
    with tempfile.TemporaryDirectory(prefix="pangting-bench-") as scratch:
        directory = Path(scratch)
        server = ServerProcess(data_dir=directory / "data")
        users = {f"bench-{n}": ("agent", f"Bench {n}") for n in range(4)}
        await asyncio.to_thread(server.prepare, users)
        await asyncio.to_thread(server.start)
        try:
            ready = await server.wait_ready_async()
            print(f"server ready after {ready:.1f} s", file=sys.stderr)
            demo, transfer = scenario("demo"), scenario("transfer")
            levels = {1: [mono(demo, 0, directory)], 2: [demo], 4: [demo, transfer]}
            rows = []
            for channels in options.channels:
                print(f"{channels} live channel(s) …", file=sys.stderr)
                rows.append(await run_level(server, levels[channels], channels))
                print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr)
            return rows
        finally:
            await asyncio.to_thread(server.stop)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 2, 4], choices=[1, 2, 4])
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "bench.json")
    parser.add_argument("--update-readme", action="store_true", help="write the table into README.md and README.zh-CN.md")
    options = parser.parse_args()
    rows = asyncio.run(bench(options))
    cpu = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ""
    )
    machine = f"{time.strftime('%Y-%m-%d')}, {psutil.cpu_count()} cores ({cpu or platform.processor()}), whisper-base int8, 8 kHz μ-law."
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"machine": machine, "rows": rows}, ensure_ascii=False, indent=2), encoding="utf-8")
    table = markdown(rows, machine)
    print(table)
    if options.update_readme:
        for page in ("README.md", "README.zh-CN.md"):
            update(ROOT / page, table)


if __name__ == "__main__":
    main()
