"""The bus between nodes, on Redis publish/subscribe.

Publishing goes through one thread with a bounded queue, so that a slow or absent Redis never slows a call: the oldest message is dropped.
Each subscription has a connection and a task of its own; after a lost connection it subscribes again and its next message says that
something was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import redis
import redis.asyncio
import structlog
from redis.exceptions import RedisError

from copilot.bus.mailbox import Mailbox
from copilot.domain.errors import EngineError
from copilot.domain.ports.bus import BusMessage, Subscription

QUEUE_SIZE = 1000
PREFIX = "pangting:"
_RETRY_S = 0.5
_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


class RedisBus:
    """``copilot.domain.ports.bus.Bus`` for several processes. ``url``: ``redis://host:port/db``. Connects on first use; ``close`` it."""

    def __init__(self, url: str, queue_size: int = QUEUE_SIZE) -> None:
        self._url = url
        self._queue_size = queue_size
        self._outbox: deque[tuple[str, str]] = deque(maxlen=queue_size)
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.dropped = 0
        """Messages never sent because Redis was away or slow."""

    def publish(self, topic: str, body: str) -> None:
        with self._wake:
            if self._closed:
                return
            self.dropped += len(self._outbox) == self._queue_size
            self._outbox.append((PREFIX + topic, body))
            if self._thread is None:
                self._thread = threading.Thread(target=self._send, name="bus-publisher", daemon=True)
                self._thread.start()
            self._wake.notify()

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[Subscription]:
        return self._subscribe(topics)

    def close(self) -> None:
        """Sends what is queued, if Redis is there, and stops. Blocks."""
        with self._wake:
            self._closed = True
            self._wake.notify()
            thread = self._thread
        if thread is not None:
            thread.join(_TIMEOUT_S)

    @asynccontextmanager
    async def _subscribe(self, topics: tuple[str, ...]) -> AsyncIterator[Subscription]:
        client = redis.asyncio.Redis.from_url(self._url, decode_responses=True, socket_connect_timeout=_TIMEOUT_S)
        subscription = RedisSubscription(client.pubsub(), Mailbox(self._queue_size))
        try:
            await subscription.begin(topics)
            yield subscription
        finally:
            await subscription.close()
            await client.aclose()

    def _send(self) -> None:
        client = redis.Redis.from_url(self._url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        down = False
        while True:
            with self._wake:
                while not self._outbox and not self._closed:
                    self._wake.wait()
                if not self._outbox:
                    break
                topic, body = self._outbox.popleft()
            try:
                client.publish(topic, body)
                down = False
            except RedisError as error:
                self.dropped += 1
                if not down:
                    log.warning("bus_unreachable", error=type(error).__name__)
                down = True
                with self._wake:
                    if self._closed:
                        break
                    self._wake.wait(_RETRY_S)
        client.close()


class RedisSubscription:
    """What a subscriber holds. A topic added is heard once Redis has taken it, a moment later: read the log after the first message."""

    def __init__(self, pubsub: Any, mailbox: Mailbox) -> None:
        self._pubsub = pubsub
        self._mailbox = mailbox
        # Without any topic redis-py has no connection to wait on.
        self._anchor = f"{PREFIX}anchor/{uuid.uuid4().hex}"
        self._topics: set[str] = set()
        self._changes: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None

    async def begin(self, topics: tuple[str, ...]) -> None:
        """Subscribed when it returns. Raises EngineError."""
        self._topics = {PREFIX + topic for topic in topics}
        names = (self._anchor, *sorted(self._topics))
        try:
            await self._pubsub.subscribe(*names)
            confirmed = 0
            async with asyncio.timeout(_TIMEOUT_S):
                while confirmed < len(names):
                    message = await self._pubsub.get_message(timeout=1.0)
                    confirmed += message is not None and message["type"] == "subscribe"
                    self._take(message)
        except (RedisError, TimeoutError, OSError) as error:
            raise EngineError(f"Redis cannot be reached ({type(error).__name__}); check bus.url and the server.", retryable=True) from error
        self._reader = asyncio.create_task(self._read(), name="bus-reader")

    async def __aiter__(self) -> AsyncIterator[BusMessage]:
        while (message := await self._mailbox.get()) is not None:
            yield message

    def add(self, topic: str) -> None:
        self._topics.add(PREFIX + topic)
        self._change(self._pubsub.subscribe(PREFIX + topic))

    def discard(self, topic: str) -> None:
        self._topics.discard(PREFIX + topic)
        self._change(self._pubsub.unsubscribe(PREFIX + topic))

    async def close(self) -> None:
        tasks = [task for task in (self._reader, *self._changes) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(RedisError, OSError):
            await self._pubsub.aclose()
        self._mailbox.close()

    def _change(self, command: Any) -> None:
        async def run() -> None:
            # If it fails the reader notices the lost connection and subscribes to everything again.
            with contextlib.suppress(RedisError, OSError):
                await command

        task = asyncio.create_task(run())
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    async def _read(self) -> None:
        while True:
            try:
                self._take(await self._pubsub.get_message(timeout=5.0))
            except (RedisError, OSError) as error:
                log.warning("bus_connection_lost", error=type(error).__name__)
                self._mailbox.missed()
                await asyncio.sleep(_RETRY_S)
                with contextlib.suppress(RedisError, OSError):
                    await self._pubsub.subscribe(self._anchor, *sorted(self._topics))

    def _take(self, message: dict[str, Any] | None) -> None:
        if message is not None and message["type"] == "message" and message["channel"] in self._topics:
            self._mailbox.put(BusMessage(topic=str(message["channel"]).removeprefix(PREFIX), body=str(message["data"])))
