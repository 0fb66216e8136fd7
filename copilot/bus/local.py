"""The bus within one process."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from copilot.bus.mailbox import Mailbox
from copilot.domain.ports.bus import BusMessage, Subscription

QUEUE_SIZE = 1000


class LocalBus:
    """``copilot.domain.ports.bus.Bus`` for tasks of one process. ``publish`` may be called from any thread."""

    def __init__(self, queue_size: int = QUEUE_SIZE) -> None:
        self._queue_size = queue_size
        self._guard = threading.Lock()
        self._subscribers: dict[str, set[Mailbox]] = {}

    def publish(self, topic: str, body: str) -> None:
        with self._guard:
            mailboxes = tuple(self._subscribers.get(topic, ()))
        message = BusMessage(topic=topic, body=body)
        for mailbox in mailboxes:
            mailbox.put(message)

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[Subscription]:
        return self._subscribe(topics)

    @asynccontextmanager
    async def _subscribe(self, topics: tuple[str, ...]) -> AsyncIterator[Subscription]:
        subscription = LocalSubscription(self, Mailbox(self._queue_size))
        try:
            for topic in topics:
                subscription.add(topic)
            yield subscription
        finally:
            subscription.close()

    def join(self, topic: str, mailbox: Mailbox) -> None:
        with self._guard:
            self._subscribers.setdefault(topic, set()).add(mailbox)

    def leave(self, topic: str, mailbox: Mailbox) -> None:
        with self._guard:
            members = self._subscribers.get(topic, set())
            members.discard(mailbox)
            if not members:
                self._subscribers.pop(topic, None)


class LocalSubscription:
    """What a subscriber holds. A topic added is heard from that moment on."""

    def __init__(self, bus: LocalBus, mailbox: Mailbox) -> None:
        self._bus = bus
        self._mailbox = mailbox
        self._topics: set[str] = set()

    async def __aiter__(self) -> AsyncIterator[BusMessage]:
        while (message := await self._mailbox.get()) is not None:
            yield message

    def add(self, topic: str) -> None:
        self._topics.add(topic)
        self._bus.join(topic, self._mailbox)

    def discard(self, topic: str) -> None:
        self._topics.discard(topic)
        self._bus.leave(topic, self._mailbox)

    def close(self) -> None:
        for topic in tuple(self._topics):
            self.discard(topic)
        self._mailbox.close()
