"""How much after-call work a machine does: recorded hours an hour, and how long after a hang-up everything is there.

    python -m loadtest.postcall_load throughput [--calls 40] [--workers 1 2] [--brokers filesystem redis rabbitmq]
    python -m loadtest.postcall_load latency [--calls 20] [--bar-s 5]

Real workers with the models of a server and the sample bank, over a store in a directory of its own; the calls are the 163 s demo call's
lines, without audio, so that recognition and the joining of recordings are not in these figures. Redis and RabbitMQ are servers of our own.
A machine that does something else at the same time gives the figures of what was left.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copilot.assembly.after_call import worker_arguments, worker_environment
from copilot.assembly.engines import open_store
from copilot.domain.artifacts import ARTIFACT_KINDS
from copilot.domain.events import ArtifactReady, CallEnded, CallStarted, UtteranceFinal
from copilot.domain.ids import CallId, OrgId
from copilot.settings import load
from copilot.store.store import Store
from copilot.telemetry.clock import SystemClock
from loadtest.brokers import Broker, broker_of
from loadtest.calls import gold
from loadtest.server_process import ServerProcess
from postcall.relay import Relay
from postcall.tasks import make_celery, send_job
from postcall.turns import turns_from_json
from postcall.worker_process import WorkerProcess

ORG = OrgId("default")
_READY_S = 600.0
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """``hours_per_hour``: recorded hours that are worked up in an hour."""

    broker: str
    workers: int
    calls: int
    seconds: float
    hours_per_hour: float


class Work:
    """A store, its relay and its worker, as a server has them."""

    def __init__(self, server: ServerProcess, broker: Broker, workers: int) -> None:
        values = {**server.environment(), "PANGTING_JOBS__URL": broker.url, "PANGTING_JOBS__CONCURRENCY": str(workers)}
        os.environ.update({name: value for name, value in values.items() if name.startswith("PANGTING_")})
        self.settings = load()
        self.store: Store = open_store(self.settings)
        celery = make_celery(self.settings.jobs_url, self.settings.data_dir)
        environment = {**worker_environment(self.settings), **values}
        self.worker = WorkerProcess(worker_arguments(self.settings), environment, server.data_dir / "worker.log")
        self._relay = Relay(self.store.outbox, lambda job: send_job(celery, job), SystemClock(), ready=lambda: self.worker.running)
        self._lines = turns_from_json(gold("demo")["turns"])
        self.duration_ms = max(turn.end_ms for turn in self._lines) + 1000

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.worker.start()
        if not await self.worker.wait_ready(_READY_S):
            raise SystemExit("The worker did not become ready; see its log.")
        relay = asyncio.create_task(self._relay.run())
        try:
            yield
        finally:
            relay.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await relay
            await self.worker.stop()
            self.store.close()

    async def hang_up(self, name: str) -> None:
        """A call that has just ended, its jobs queued."""
        opened = await self.store.journal.open(ORG, CallId(name), "load")
        started = CallStarted(external_id=name, protocol="raw", legs=(), language="zh", started_at=SystemClock().now())
        finals = [
            UtteranceFinal(
                utterance_id=turn.utterance_id,
                channel=turn.channel,
                start_ms=turn.start_ms,
                end_ms=turn.end_ms,
                language="zh",
                confidence=0.95,
                text=turn.text,
            )
            for turn in self._lines
        ]
        await self.store.journal.append(ORG, opened, [started, *finals, CallEnded(reason="hangup", duration_ms=self.duration_ms)])
        self._relay.ring()

    async def idle(self) -> None:
        while await asyncio.to_thread(self.store.outbox.open_jobs):  # noqa: ASYNC110  other processes ring no bell here
            await asyncio.sleep(_LOOK_S)

    def ready(self, name: str) -> set[str]:
        events = self.store.calls.events(ORG, CallId(name))
        return {item.event.kind for item in events if isinstance(item.event, ArtifactReady)}


async def _throughput(work: Work, broker: str, workers: int, calls: int) -> Throughput:
    async with work.running():
        await work.hang_up("warm")
        await work.idle()
        begun = time.monotonic()
        for number in range(calls):
            await work.hang_up(f"call-{number}")
        await work.idle()
        seconds = time.monotonic() - begun
        missing = [number for number in range(calls) if work.ready(f"call-{number}") != set(ARTIFACT_KINDS)]
    if missing:
        raise SystemExit(f"{len(missing)} calls lack artifacts: the figure would be wrong.")
    hours = calls * work.duration_ms / 3_600_000
    return Throughput(
        broker=broker, workers=workers, calls=calls, seconds=round(seconds, 2), hours_per_hour=round(hours / seconds * 3600, 1)
    )


async def _latency(work: Work, calls: int) -> list[float]:
    """Seconds from each hang-up until every artifact is readable, one call at a time."""
    waits = []
    async with work.running():
        for number in range(calls + 1):
            begun = time.monotonic()
            await work.hang_up(f"call-{number}")
            while await asyncio.to_thread(work.ready, f"call-{number}") != set(ARTIFACT_KINDS):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
            waits.append(time.monotonic() - begun)
    return waits[1:]  # the first one loads what the others find


def _prepared(directory: Path) -> ServerProcess:
    server = ServerProcess(data_dir=directory)
    server.prepare({})
    return server


def _report(figures: Any, path: Path | None) -> None:
    text = json.dumps(figures, ensure_ascii=False, indent=1)
    print(text)
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.postcall_load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("measure", choices=("throughput", "latency"))
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--brokers", nargs="+", choices=("filesystem", "redis", "rabbitmq"), default=["filesystem", "redis", "rabbitmq"])
    parser.add_argument("--bar-s", type=float, default=5.0, help="latency: exit status 1 if the 95th percentile is above")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(argv)
    load_before = os.getloadavg()[0]
    if options.measure == "latency":
        with tempfile.TemporaryDirectory() as place, broker_of("filesystem", Path(place)) as broker:
            waits = sorted(asyncio.run(_latency(Work(_prepared(Path(place)), broker, 1), options.calls or 20)))
        p95 = waits[min(len(waits) - 1, int(0.95 * len(waits)))]
        _report(
            {"calls": len(waits), "p50_s": round(waits[len(waits) // 2], 2), "p95_s": round(p95, 2), "load_before": load_before},
            options.json,
        )
        return int(p95 > options.bar_s)
    found = []
    for name in options.brokers:
        for workers in options.workers:
            with tempfile.TemporaryDirectory() as place, broker_of(name, Path(place)) as broker:
                work = Work(_prepared(Path(place)), broker, workers)
                found.append(asyncio.run(_throughput(work, name, workers, options.calls or 40)))
                print(found[-1])
    _report({"load_before": load_before, "runs": [{**vars_of(item)} for item in found]}, options.json)
    return 0


def vars_of(item: Throughput) -> dict[str, Any]:
    return {name: getattr(item, name) for name in Throughput.__slots__}


if __name__ == "__main__":
    raise SystemExit(main())
