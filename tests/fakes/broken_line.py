"""A telephone system of our own whose lines break: speaks in real time over connections that a test opens, cuts and opens again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from loadtest.server_process import ServerProcess
from streaming.audiohook_caller import AudioHookCaller, audiohook_headers, session_of
from streaming.callers import RawCaller
from streaming.calling import FRAME_MS, Caller, Credentials, Recording, bearer_headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one connection carries of a call: from ``from_ms`` of its audio on. ``session``: whose handshake it is."""

    session: str
    caller: Caller
    opening: list[str | bytes]
    from_ms: int


def cut(recording: Recording, from_ms: int, to_ms: int) -> Recording:
    begin, end = (at * recording.rate_hz // 1000 for at in (from_ms, to_ms))
    return Recording(samples=np.ascontiguousarray(recording.samples[begin:end]), rate_hz=recording.rate_hz, encoding=recording.encoding)


def raw_parts(recording: Recording, call_id: str, cut_ms: int, again_ms: int, end_ms: int) -> tuple[Part, Part]:
    """The call up to ``cut_ms``, and from ``again_ms`` on by another connection. μ-law."""
    first, second = (RawCaller(cut(recording, *span), call_id, {"agent": "agent-a"}) for span in ((0, cut_ms), (again_ms, end_ms)))
    start = json.loads(next(iter(first.opening())))
    offset = again_ms * recording.rate_hz // 1000 * recording.channels
    return (
        Part(session=call_id, caller=first, opening=[json.dumps(start | {"resumable": True})], from_ms=0),
        Part(session=call_id, caller=second, opening=[json.dumps(start | {"resume": {"offset_bytes": offset}})], from_ms=again_ms),
    )


def audiohook_parts(recording: Recording, call_id: str, cut_ms: int, again_ms: int, end_ms: int) -> tuple[Part, Part]:
    again, metadata = str(uuid.uuid4()), {"agent": "agent-a"}
    first = AudioHookCaller(cut(recording, 0, cut_ms), call_id, metadata)
    continued = (session_of(call_id), again_ms * recording.rate_hz // 1000)
    second = AudioHookCaller(cut(recording, again_ms, end_ms), again, metadata, continues=continued)
    return (
        Part(session=call_id, caller=first, opening=list(first.opening()), from_ms=0),
        Part(session=again, caller=second, opening=list(second.opening()), from_ms=again_ms),
    )


class LiveLine:
    """One open connection. ``began``: the loop's time at which the call's audio began; frames that are late go out at once."""

    def __init__(self, websocket: ClientConnection, part: Part, began: float) -> None:
        self.websocket = websocket
        self.began = began
        self._part = part
        self.hearing = asyncio.create_task(self._hear(), name="broken-line")

    async def _hear(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self.websocket:
                self._part.caller.hear(message)

    async def speak(self) -> None:
        """All of the part. Raises ConnectionClosed when the server has had enough."""
        loop = asyncio.get_running_loop()
        for number, messages in enumerate(self._part.caller.frames()):
            await asyncio.sleep(max(0.0, self.began + (self._part.from_ms + number * FRAME_MS) / 1000 - loop.time()))
            for message in messages:
                await self.websocket.send(message)

    async def break_off(self) -> None:
        """Without a word."""
        self.websocket.transport.abort()
        await self.hearing

    async def hang_up(self) -> None:
        """Returns when the server has closed the call."""
        for message in self._part.caller.closing():
            await self.websocket.send(message)
        async with asyncio.timeout(120):
            while not self._part.caller.finished and not self.hearing.done():  # noqa: ASYNC110 - the caller has no event for it
                await asyncio.sleep(0.1)
        await self.websocket.close()
        await self.hearing


@asynccontextmanager
async def line(server: ServerProcess, protocol: str, part: Part, began: float | None = None) -> AsyncIterator[LiveLine]:
    """A connection on which the call is open."""
    where = Credentials(url=server.telephony_url(protocol), key=server.key, secret=server.secret, call_id=part.session)
    headers = audiohook_headers(where) if protocol == "audiohook" else bearer_headers(where)
    async with connect(where.url, additional_headers=headers, compression=None, proxy=None, user_agent_header=None) as websocket:
        for message in part.opening:
            await websocket.send(message)
        while not part.caller.ready:
            part.caller.hear(await websocket.recv())
        live = LiveLine(websocket, part, asyncio.get_running_loop().time() if began is None else began)
        try:
            yield live
        finally:
            live.hearing.cancel()
