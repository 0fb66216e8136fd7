"""A bounded queue from any thread into one event loop. When it is full the oldest message goes, and the next one says how many went."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import replace

from copilot.domain.ports.bus import BusMessage


class Mailbox:
    """One subscriber's messages. ``put`` from any thread; ``get`` by one task of the loop it was made in."""

    def __init__(self, size: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._guard = threading.Lock()
        self._messages: deque[BusMessage] = deque()
        self._size = size
        self._lost = 0
        self._ringing = False
        self._closed = False

    def put(self, message: BusMessage) -> None:
        """Never blocks, never raises."""
        with self._guard:
            if self._closed:
                return
            if len(self._messages) >= self._size:
                # What the dropped one had missed is missed still.
                self._lost += 1 + self._messages.popleft().lost
            self._messages.append(message)
            self._ring()

    def missed(self, count: int = 1) -> None:
        """Messages were lost before they got here."""
        with self._guard:
            self._lost += count

    def close(self) -> None:
        with self._guard:
            self._closed = True
            self._ring()

    async def get(self) -> BusMessage | None:
        """The next message; None when closed."""
        while True:
            with self._guard:
                if self._closed:
                    return None
                if self._messages:
                    message = self._messages.popleft()
                    lost, self._lost = self._lost, 0
                    return replace(message, lost=message.lost + lost) if lost else message
                self._arrived.clear()
            await self._arrived.wait()

    def _ring(self) -> None:
        if self._ringing:
            return
        try:
            self._loop.call_soon_threadsafe(self._rung)
        except RuntimeError:
            # The loop has closed: nobody will read this any more.
            self._closed = True
            return
        self._ringing = True

    def _rung(self) -> None:
        with self._guard:
            self._ringing = False
            self._arrived.set()
