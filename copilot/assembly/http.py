"""The HTTP server: one listening socket, uvicorn on it, stopped with everything else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from copilot.domain.errors import ConfigError

if TYPE_CHECKING:
    from fastapi import FastAPI

_GRACE_S = 3


@asynccontextmanager
async def served(app: FastAPI, host: str, port: int) -> AsyncIterator[int]:
    """Serves ``app`` beside the block; the port it is on. Raises ConfigError when that is taken."""
    import uvicorn

    class Quiet(uvicorn.Server):
        """The server's own signal handlers stop everything in order; uvicorn must not take them over."""

        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            yield

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=65_536,
        timeout_graceful_shutdown=_GRACE_S,
        server_header=False,
    )
    listener = listening(host, port)
    server = Quiet(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving


def listening(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"Port {port} of {host} cannot be used ({error.strerror}); set server.port to another one.") from error
    listener.set_inheritable(False)
    return listener
