"""The two kinds of socket a telephony connection may run on, as one thing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

READ_BYTES: Final = 16_384
WRITE_LIMIT_BYTES: Final = 65_536
NORMAL: Final = 1000
_OURS: Final = (1002, 1007, 1009)


class WireClosed(Exception):
    """The connection is gone. ``orderly``: the peer closed it in its normal way. ``fault``: why we had to (code and reason), if we did."""

    def __init__(self, *, orderly: bool, fault: tuple[int, str] | None = None) -> None:
        super().__init__("The connection is closed.")
        self.orderly = orderly
        self.fault = fault


class Wire(Protocol):
    """``recv`` and ``send`` raise WireClosed; a cancelled ``recv`` loses nothing."""

    @property
    def remote(self) -> str:
        """The peer's address, for the audit trail."""
        ...

    async def recv(self) -> str | bytes: ...

    async def send(self, message: str | bytes) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


class WebsocketWire:
    """``remote`` overrides the socket's peer (a proxy that says whom it speaks for)."""

    def __init__(self, websocket: ServerConnection, remote: str) -> None:
        self._websocket = websocket
        self._remote = remote

    @property
    def remote(self) -> str:
        return self._remote

    async def recv(self) -> str | bytes:
        try:
            return await self._websocket.recv()
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def send(self, message: str | bytes) -> None:
        try:
            await self._websocket.send(message)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def close(self, code: int, reason: str) -> None:
        await self._websocket.close(code, clipped(reason))


def _closed(closed: ConnectionClosed) -> WireClosed:
    # Closed by us: the library met a frame it could not take (too big, no UTF-8). By the peer, or not at all: it vanished.
    if closed.sent is not None and not closed.rcvd_then_sent and closed.sent.code in _OURS:
        return WireClosed(orderly=False, fault=(closed.sent.code, closed.sent.reason or "The peer broke the websocket protocol."))
    return WireClosed(orderly=closed.rcvd is not None and closed.rcvd.code == NORMAL)


class TcpWire:
    """A plain TCP stream: ``recv`` gives bytes as they come, the end of the stream is orderly, and there is no way to give a reason."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        writer.transport.set_write_buffer_limits(high=WRITE_LIMIT_BYTES)

    @property
    def remote(self) -> str:
        address = self._writer.get_extra_info("peername")
        return str(address[0]) if isinstance(address, tuple) and address else "unknown"

    async def recv(self) -> str | bytes:
        try:
            data = await self._reader.read(READ_BYTES)
        except OSError:
            raise WireClosed(orderly=False) from None
        if not data:
            raise WireClosed(orderly=True)
        return data

    async def send(self, message: str | bytes) -> None:
        try:
            self._writer.write(message.encode() if isinstance(message, str) else message)
            await self._writer.drain()
        except OSError:
            raise WireClosed(orderly=False) from None

    async def close(self, code: int, reason: str) -> None:
        del code, reason
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(5):
                await self._writer.wait_closed()


def clipped(reason: str) -> str:
    """A close reason has at most 123 bytes of UTF-8 (RFC 6455 §5.5)."""
    return reason.encode()[:123].decode(errors="ignore")
