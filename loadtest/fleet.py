"""The sender processes of a measurement, seen from the measuring process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from dataclasses import asdict, dataclass

from loadtest.records import CallRecord, Order
from loadtest.server_process import ROOT, ServerFailed

_RECORD_BYTES = 2**26


@dataclass(slots=True, eq=False)
class _Member:
    process: asyncio.subprocess.Process
    reading: asyncio.Task[None]


class Fleet:
    """``processes`` senders. An agent's calls all go through the same one, since that holds the agent's screen."""

    def __init__(self, processes: int = 1) -> None:
        self._count = processes
        self._members: list[_Member] = []
        self._waiting: dict[str, asyncio.Future[CallRecord]] = {}
        self._homes: dict[str, _Member] = {}
        self._next = itertools.count()

    @property
    def pids(self) -> list[int]:
        return [member.process.pid for member in self._members]

    async def __aenter__(self) -> Fleet:
        for _ in range(self._count):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "loadtest.sender",
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_RECORD_BYTES,
            )
            self._members.append(_Member(process, asyncio.create_task(self._read(process), name="sender-records")))
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self._members:
            assert member.process.stdin is not None
            member.process.stdin.close()
        for member in self._members:
            try:
                async with asyncio.timeout(10):
                    await member.process.wait()
            except TimeoutError:
                member.process.kill()
                await member.process.wait()
            member.reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await member.reading

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            record = CallRecord.from_json(json.loads(line))
            waiting = self._waiting.pop(record.call_id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(record)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ServerFailed("A sender process ended in the middle of a measurement; its errors are above."))

    async def call(self, order: Order) -> CallRecord:
        """Sends one call; returns when it is over. Raises ServerFailed when the sender dies."""
        home = self._homes.get(order.agent)
        if home is None:
            home = self._homes[order.agent] = self._members[next(self._next) % len(self._members)]
        future: asyncio.Future[CallRecord] = asyncio.get_running_loop().create_future()
        self._waiting[order.call_id] = future
        assert home.process.stdin is not None
        home.process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        await home.process.stdin.drain()
        return await future

    def cut(self, order: Order) -> None:
        """Hangs up on a running call."""
        process = self._homes[order.agent].process
        assert process.stdin is not None
        process.stdin.write(json.dumps({"cut": order.call_id}).encode() + b"\n")
