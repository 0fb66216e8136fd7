"""A real server, its senders and its agents, and one level of load driven through them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.alignment import Outcome
from loadtest.excerpts import Excerpt, Scenario
from loadtest.fleet import Fleet
from loadtest.measures import score_offline
from loadtest.records import CallRecord, Order
from loadtest.sampling import Sample, Sampler, Series, increase, scrape, thread_cpu_seconds
from loadtest.server_process import ROOT, ServerProcess
from streaming.callers import CALLERS

Json = dict[str, Any]
OfflineOutcomes = dict[tuple[str, str, int], Outcome]
"""By scenario, channel and start of the utterance in the whole recording."""
_JOBS_DONE_S = 90.0
_MOST_AGENTS = 16


@dataclass(slots=True, kw_only=True)
class LevelRun:
    """The raw outcome of one level; ``window``: the monotonic seconds in which all its lanes were busy."""

    calls: list[tuple[Excerpt, CallRecord]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    began_at: float = 0.0
    ended_at: float = 0.0
    window: tuple[float, float] = (0.0, 0.0)
    counters: Series = field(default_factory=dict)
    threads: dict[str, float] = field(default_factory=dict)
    """CPU seconds by thread name."""


class Rig:
    """What the measurements of one run share. ``protocols`` are used in turn."""

    def __init__(self, server: ServerProcess, fleet: Fleet, scratch: Path, protocols: Sequence[str] = ("raw",)) -> None:
        self.server = server
        self.fleet = fleet
        self._scratch = scratch
        self._protocols = protocols

    @property
    def pid(self) -> int:
        assert self.server.process is not None
        return self.server.process.pid

    def _protocol(self, lane: int) -> str:
        return self._protocols[lane % len(self._protocols)]

    def carried(self, taken: Excerpt, lane: int) -> Excerpt:
        """What the lane's protocol carries of an excerpt: the customer's side where it has one channel only."""
        spec = CALLERS[self._protocol(lane)]
        return taken if spec.per_leg or spec.channels >= taken.legs else taken.side(0)

    def order(self, taken: Excerpt, lane: int, begin_at: float = 0.0) -> Order:
        """A call of the lane's agent; with more lanes than agents, an agent's screen shows several calls."""
        agent = agent_name(lane % len(self.server.passwords))
        protocol = self._protocol(lane)
        return Order(
            call_id=str(uuid.uuid4()),  # the one form of id that every telephone system can carry
            base=self.server.base,
            url=self.server.telephony_url(protocol),
            protocol=protocol,
            key=self.server.key,
            audio=str(taken.write(self._scratch)),
            agent=agent,
            password=self.server.passwords[agent],
            language=taken.scenario.language,
            begin_at=begin_at,
            secret=self.server.secret if protocol == "audiohook" else "",
        )

    def sampler(self, every_s: float = 1.0) -> Sampler:
        return Sampler(self.pid, self.fleet.pids, every_s)

    async def settled(self) -> None:
        """Returns when no call is live and the after-call work is done, or after a minute and a half."""
        deadline = time.monotonic() + _JOBS_DONE_S
        while time.monotonic() < deadline:
            now = await scrape(self.server.base)
            if now["pangting_live_calls"] == 0 and now["pangting_jobs_open"] == 0:
                return
            await asyncio.sleep(1)

    async def run_level(self, lanes: Sequence[Sequence[Excerpt]], *, spread_s: float, every_s: float = 1.0) -> LevelRun:
        """Plays the lanes side by side, each call after the one before it; their beginnings are spread evenly over ``spread_s``."""
        run = LevelRun()
        before, threads = await scrape(self.server.base), thread_cpu_seconds(self.pid)
        sampler = self.sampler(every_s)
        sampling = asyncio.create_task(sampler.run(), name="sampling")
        run.began_at = time.monotonic()
        first_at = run.began_at + 2.0  # screens sign in meanwhile
        ends: list[float] = []

        async def follow(number: int, calls: Sequence[Excerpt]) -> None:
            for index, whole in enumerate(calls):
                taken = self.carried(whole, number)
                due = first_at + number * spread_s / max(1, len(lanes)) if index == 0 else 0.0
                record = await self.fleet.call(self.order(taken, number, due))
                run.calls.append((taken, record))
            ends.append(record.hung_up_at or time.monotonic())

        await asyncio.gather(*(follow(number, calls) for number, calls in enumerate(lanes)))
        run.ended_at = time.monotonic()
        sampler.look()
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling
        run.window = (first_at + spread_s * (len(lanes) - 1) / max(1, len(lanes)), min(ends))
        run.samples = sampler.samples
        run.counters = increase(before, await scrape(self.server.base))
        run.threads = increase(threads, thread_cpu_seconds(self.pid))
        return run


def agent_name(lane: int) -> str:
    return f"load-{lane}"


@asynccontextmanager
async def rig(
    directory: Path, *, agents: int, sender_processes: int, protocols: Sequence[str], settings: dict[str, str] | None = None
) -> AsyncIterator[Rig]:
    """A server of its own in ``directory``, ready, with accounts for ``agents`` (16 at the most), and its senders.

    Both are stopped at the end.
    """
    server = ServerProcess(data_dir=directory / "data", settings=settings or {}, protocols=tuple(dict.fromkeys(protocols)))
    await asyncio.to_thread(server.prepare, {agent_name(n): ("agent", f"Load {n}") for n in range(min(agents, _MOST_AGENTS))})
    await asyncio.to_thread(server.start)
    try:
        await server.wait_ready_async()
        async with Fleet(sender_processes) as fleet:
            yield Rig(server, fleet, directory, protocols)
    finally:
        await asyncio.to_thread(server.stop)


def offline_outcomes(server: ServerProcess, scenarios: Sequence[Scenario], cache: Path) -> OfflineOutcomes:
    """What ``pangting transcribe`` makes of the same recordings. Transcripts are kept in ``cache`` by recording, code and settings."""
    code = hashlib.sha256()
    for source in sorted((ROOT / "streaming").rglob("*.py")):
        code.update(source.read_bytes())
    code.update(json.dumps(server.settings, sort_keys=True).encode())
    outcomes: OfflineOutcomes = {}
    kept = {
        scenario.audio: cache / f"offline-{hashlib.sha256(scenario.audio.read_bytes() + code.digest()).hexdigest()[:24]}.json"
        for scenario in scenarios
    }
    cache.mkdir(parents=True, exist_ok=True)
    for language in {scenario.language for scenario in scenarios}:
        fresh = [scenario.audio for scenario in scenarios if scenario.language == language and not kept[scenario.audio].exists()]
        if fresh:
            for audio, transcript in zip(fresh, server.transcripts(*fresh, language=language), strict=True):
                kept[audio].write_text(json.dumps(transcript, ensure_ascii=False), encoding="utf-8")
    for scenario in scenarios:
        finals = json.loads(kept[scenario.audio].read_text(encoding="utf-8"))["utterances"]
        for (channel, start_ms), outcome in score_offline(scenario.utterances, finals).items():
            outcomes[scenario.name, channel, start_ms] = outcome
    return outcomes
