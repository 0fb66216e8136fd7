"""A caller's end of a connection, over a websocket or plain TCP."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from copilot.domain.errors import ConfigError

NORMAL: Final = 1000
_READ_BYTES: Final = 4096


class LineClosed(Exception):
    """The server has closed the connection, or it broke."""


class Line(Protocol):
    """``send`` and ``receive`` raise LineClosed."""

    @property
    def ending(self) -> tuple[int, str]:
        """Close code and reason, once it is closed."""
        ...

    async def send(self, message: str | bytes) -> None: ...

    async def receive(self) -> str | bytes: ...

    async def close(self) -> None: ...


class WebsocketLine:
    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    @property
    def ending(self) -> tuple[int, str]:
        return self._websocket.close_code or 1006, self._websocket.close_reason or ""

    async def send(self, message: str | bytes) -> None:
        try:
            await self._websocket.send(message)
        except ConnectionClosed:
            raise LineClosed from None

    async def receive(self) -> str | bytes:
        try:
            return await self._websocket.recv()
        except ConnectionClosed:
            raise LineClosed from None

    async def close(self) -> None:
        await self._websocket.close()


class TcpLine:
    """The stream's end says nothing: ``ending`` is normal unless it broke."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._broken = False
        self._ours = False

    @classmethod
    async def dial(cls, url: str) -> TcpLine:
        """``tcp://host:port``. Raises ConfigError, OSError."""
        where = urlsplit(url)
        if where.scheme != "tcp" or not where.hostname or not where.port:
            raise ConfigError(f"{url} is not an AudioSocket address: it must be tcp://host:port.")
        return cls(*await asyncio.open_connection(where.hostname, where.port))

    @property
    def ending(self) -> tuple[int, str]:
        return (NORMAL, "") if self._ours and not self._broken else (1006, "The server closed the connection before the call was over.")

    async def send(self, message: str | bytes) -> None:
        try:
            self._writer.write(message.encode() if isinstance(message, str) else message)
            await self._writer.drain()
        except OSError:
            self._broken = True
            raise LineClosed from None

    async def receive(self) -> str | bytes:
        try:
            data = await self._reader.read(_READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._broken = self._broken or not self._ours
            raise LineClosed
        return data

    async def close(self) -> None:
        self._ours = True
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(5):
                await self._writer.wait_closed()
