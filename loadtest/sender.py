"""A process of callers and their agents' screens: ``python -m loadtest.sender``. Orders come in on standard input, records go out;
``{"cut": <call id>}`` hangs up on a running call.

Calls are paced on the absolute clock by ``streaming.play``; a screen signs in once, reads the feed as a browser does and reconnects where
it left off. A record is written when its call is over, so that a running measurement costs the machine as little as it can.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from copilot.domain.errors import CopilotError
from loadtest.calls import announcing
from loadtest.feed_client import FeedClient
from loadtest.records import CallRecord, Order
from streaming.play import PlayResult, play

Json = dict[str, Any]
_ENDED_WITHIN_S = 60.0
_RECONNECT_S = 0.5


class Screen:
    """One agent's browser: keeps what the feed carries of the calls it is asked to follow."""

    def __init__(self, order: Order) -> None:
        self._client = FeedClient(order.base)
        self._name, self._password = order.agent, order.password
        self._calls: dict[str, tuple[CallRecord, asyncio.Event]] = {}
        self._seen: dict[str, int] = {}
        self._open = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Signed in and reading."""
        await self._client.sign_in(self._name, self._password)
        self._reading = asyncio.create_task(self._read(), name="screen")
        await self._open.wait()

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        await self._client.aclose()

    async def _read(self) -> None:
        while True:
            with contextlib.suppress(ConnectionClosed, InvalidHandshake, httpx.HTTPError, OSError):
                async with self._client.feed(dict(self._seen)) as messages:
                    async for message in messages:
                        self._open.set()  # the first is the welcome
                        self._take(message)
            for record, _ in self._calls.values():
                record.feed_drops += 1
            await asyncio.sleep(_RECONNECT_S)

    def _take(self, message: Json) -> None:
        following = self._calls.get(message.get("call_id", ""))
        if following is None:
            return
        record, ended = following
        if message["type"] not in ("event", "partial", "secrets"):
            return
        record.messages.append((message.pop("_at"), message))
        if message["type"] == "event":
            self._seen[record.call_id] = message["envelope"]["seq"]
            if message["envelope"]["event"]["type"] == "call_ended":
                ended.set()

    @contextlib.contextmanager
    def follow(self, record: CallRecord) -> Any:
        """Keeps the call's messages in ``record``; gives the event of its end."""
        ended = asyncio.Event()
        self._calls[record.call_id] = (record, ended)
        try:
            yield ended
        finally:
            del self._calls[record.call_id]
            self._seen.pop(record.call_id, None)

    async def stored_finals(self, call_id: str) -> int:
        """By the server's record of the call."""
        answer = await self._client.get(f"/calls/{call_id}/events", limit=5000)
        return sum(item["event"]["type"] == "utterance_final" for item in answer["events"])


class Sender:
    """Runs the orders of one process."""

    def __init__(self) -> None:
        self._screens: dict[str, asyncio.Task[Screen]] = {}
        self._playing: dict[str, asyncio.Task[PlayResult]] = {}

    def cut(self, call_id: str) -> None:
        """Hangs up in the middle; a call that is not running is left alone."""
        playing = self._playing.get(call_id)
        if playing is not None:
            playing.cancel()

    async def _screen(self, order: Order) -> Screen:
        async def opened() -> Screen:
            screen = Screen(order)
            await screen.open()
            return screen

        if order.agent not in self._screens:
            self._screens[order.agent] = asyncio.create_task(opened(), name=f"sign-in-{order.agent}")
        return await self._screens[order.agent]

    async def run(self, order: Order) -> CallRecord:
        """The call from its due moment to its end on the screen."""
        record = CallRecord(call_id=order.call_id)
        try:
            screen = await self._screen(order)
            await asyncio.sleep(max(0.0, order.begin_at - time.monotonic()))
            with screen.follow(record) as ended:
                await self._play(order, record)
                record.hung_up_at = time.monotonic()
                if record.error is None:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_ENDED_WITHIN_S):
                            await ended.wait()
                    record.ended = ended.is_set()
                    record.stored_finals = await screen.stored_finals(order.call_id)
        except (httpx.HTTPError, OSError) as error:
            record.error = (type(error).__name__, str(error))
        record.done_at = time.monotonic()
        return record

    async def _play(self, order: Order, record: CallRecord) -> None:
        def note(event: Json) -> None:
            if event.get("type") == "playing" and record.playing_at is None:
                record.playing_at = time.monotonic()

        playing = self._playing[order.call_id] = asyncio.create_task(
            play(
                order.audio,
                protocol=order.protocol,
                url=order.url,
                key=order.key,
                secret=order.secret,
                announce=announcing(order.protocol, order.base, order.key),
                call_id=order.call_id,
                metadata={"agent": order.agent},
                on_event=note,
                language=order.language,
            )
        )
        try:
            result = await playing
        except CopilotError as error:
            record.error = (type(error).__name__, str(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            record.cut = True
            record.sent_ms = 0 if record.playing_at is None else round(1000 * (time.monotonic() - record.playing_at))
        else:
            record.late_ms, record.sent_ms = result.late_ms, result.duration_ms
        finally:
            del self._playing[order.call_id]

    async def close(self) -> None:
        for opening in self._screens.values():
            with contextlib.suppress(Exception):
                await (await opening).close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=2**20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    sender = Sender()
    running: set[asyncio.Task[None]] = set()

    async def carry_out(order: Order) -> None:
        record = await sender.run(order)
        sys.stdout.write(json.dumps(record.to_json(), ensure_ascii=False) + "\n")
        sys.stdout.flush()

    while line := await orders.readline():
        order = json.loads(line)
        if "cut" in order:
            sender.cut(order["cut"])
            continue
        task = asyncio.create_task(carry_out(Order(**order)))
        running.add(task)
        task.add_done_callback(running.discard)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await sender.close()


if __name__ == "__main__":
    # Callers are other machines in life: they must not wait for the server they load. Without the right to, they take their turn.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    asyncio.run(main())
