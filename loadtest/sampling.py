"""What the machine gives a measurement: CPU seconds and memory of the server, its after-call worker and the senders, and the server's own
counters. Linux."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_TICKS = os.sysconf("SC_CLK_TCK")
Series = dict[str, float]


def parse_metrics(text: str) -> Series:
    """Prometheus text → value by ``name`` or ``name{labels}``."""
    values: Series = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match:
            values[match[1] + (f"{{{match[2]}}}" if match[2] else "")] = float(match[3])
    return values


def increase(before: Series, after: Series) -> Series:
    """What counters gained."""
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


async def scrape(base: str) -> Series:
    async with httpx.AsyncClient(timeout=20) as client:
        return parse_metrics((await client.get(f"{base}/metrics")).raise_for_status().text)


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def busy_seconds() -> float:
    """CPU seconds of the whole machine, guests' stolen time left out."""
    times = psutil.cpu_times()
    busy: float = times.user + times.nice + times.system + times.irq + times.softirq
    return busy


def rss_bytes(processes: Sequence[psutil.Process]) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def thread_cpu_seconds(pid: int) -> dict[str, float]:
    """CPU seconds by thread name (digits at its end dropped), from /proc/<pid>/task/*/stat (proc(5))."""
    groups: defaultdict[str, float] = defaultdict(float)
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            head, _, rest = (task / "stat").read_text().rpartition(")")
            fields = rest.split()
            groups[head.partition("(")[2].rstrip("0123456789_- ")] += (int(fields[11]) + int(fields[12])) / _TICKS
    return dict(groups)


@dataclass(slots=True)
class Sample:
    """One look at the machine. ``at``: monotonic seconds; CPU in seconds since the processes began; memory in bytes.

    ``machine_cpu``: of everything on the machine since its start, so that what disturbs a measurement can be told.
    """

    at: float
    server_cpu: float
    worker_cpu: float
    sender_cpu: float
    machine_cpu: float
    server_rss: int
    worker_rss: int


@dataclass(slots=True)
class Sampler:
    """Looks at the server (``pid``), its children and the senders every ``every_s`` seconds."""

    pid: int
    senders: Sequence[int] = ()
    every_s: float = 1.0
    samples: list[Sample] = field(default_factory=list)

    def look(self) -> Sample:
        server = psutil.Process(self.pid)
        workers = server.children(recursive=True)
        senders = [psutil.Process(pid) for pid in self.senders if psutil.pid_exists(pid)]
        sample = Sample(
            at=time.monotonic(),
            server_cpu=cpu_seconds([server]),
            worker_cpu=cpu_seconds(workers),
            sender_cpu=cpu_seconds(senders),
            machine_cpu=busy_seconds(),
            server_rss=rss_bytes([server]),
            worker_rss=rss_bytes(workers),
        )
        self.samples.append(sample)
        return sample

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(psutil.Error):
                self.look()
            await asyncio.sleep(self.every_s)
