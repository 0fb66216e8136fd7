"""A screen without a screen: signs in, opens the feed and keeps what arrives. Used by the demo and the bench; public interfaces only."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import websockets

Json = dict[str, Any]


class FeedClient:
    """One signed-in user. ``base`` is the server's HTTP URL."""

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")
        self.http = httpx.AsyncClient(base_url=f"{self.base}/api/v1", timeout=20)
        self.token = ""

    async def sign_in(self, username: str, password: str) -> Json:
        """The user. Raises httpx.HTTPStatusError for a wrong password."""
        answer = await self.http.post("/auth/login", json={"username": username, "password": password})
        answer.raise_for_status()
        body: Json = answer.json()
        self.http.headers["Authorization"] = f"Bearer {body['token']}"
        user: Json = body["user"]
        return user

    async def get(self, path: str, **params: Any) -> Json:
        answer = await self.http.get(path, params=params)
        answer.raise_for_status()
        body: Json = answer.json()
        return body

    @asynccontextmanager
    async def feed(self, resume: dict[str, int] | None = None) -> AsyncIterator[AsyncIterator[Json]]:
        """Messages of the feed, each with ``_at`` (time.monotonic seconds of arrival) added."""
        ticket = (
            (await self.http.post("/tickets", json={"purpose": "feed"}, headers={"Origin": self.base})).raise_for_status().json()["ticket"]
        )
        url = self.base.replace("http", "ws", 1) + "/api/v1/feed"
        async with websockets.connect(
            url, subprotocols=[websockets.Subprotocol("pangting.feed.v1")], origin=websockets.Origin(self.base), max_size=2**22
        ) as socket:
            await socket.send(json.dumps({"type": "hello", "ticket": ticket, "resume": resume or {}}))

            async def messages() -> AsyncIterator[Json]:
                async for text in socket:
                    message: Json = json.loads(text)
                    message["_at"] = time.monotonic()
                    yield message

            yield messages()

    async def aclose(self) -> None:
        await self.http.aclose()
