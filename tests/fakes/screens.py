"""The far end of a feed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import WebSocketDisconnect

Json = dict[str, Any]


class Screen:
    """What it was told, a way to speak, and a way to hang up."""

    def __init__(self) -> None:
        self.told: list[Json] = []
        self.serving: asyncio.Task[None] | None = None
        self._told = asyncio.Event()
        self._said: asyncio.Queue[str | None] = asyncio.Queue()

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))
        self._told.set()

    async def receive(self) -> Json:
        text = await self._said.get()
        if text is None:
            raise WebSocketDisconnect(1000)
        return {"type": "websocket.receive", "text": text}

    def say(self, **message: Any) -> None:
        self._said.put_nowait(json.dumps(message))

    def leave(self) -> None:
        self._said.put_nowait(None)

    async def until(self, kind: str, count: int = 1) -> list[Json]:
        """Messages, or durable events, of a kind."""
        async with asyncio.timeout(20):
            while True:
                found = [item for item in self.told if item["type"] == kind]
                found += [
                    item["envelope"]["event"] for item in self.told if item["type"] == "event" and item["envelope"]["event"]["type"] == kind
                ]
                if len(found) >= count:
                    return found
                self._told.clear()
                await self._told.wait()

    def saw(self, text: str) -> bool:
        return any(text in json.dumps(item, ensure_ascii=False) for item in self.told)
