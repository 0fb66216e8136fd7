"""What a command asks of the server that runs on the same data directory: a socket in the file system, open to the same user only.

The server is the one writer of its indexes, so whatever writes them goes through here while it runs. One request a connection, as a line of
JSON; the answer is lines ``{"progress": [done, total]}`` and at last ``{"result": …}`` or ``{"error": "a sentence"}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from copilot.domain.errors import ConfigError, CopilotError, EngineError

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Progress = Callable[[int, int], None]
Action = Callable[[Json, Progress], Json]
"""(request, progress) → result. Blocking; runs in a thread. May raise CopilotError."""

_LONGEST_PATH = 100
"""Bytes that a socket's address may have on every system."""
_LINE = 64 << 10
_CONNECT_S = 5.0


def address(data_dir: Path) -> Path:
    """Where the server of a data directory listens; the same for everyone who asks."""
    path = data_dir.resolve() / "admin.sock"
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"pangting-{os.getuid()}" / f"{digest}.sock"


@asynccontextmanager
async def serving(data_dir: Path, actions: Mapping[str, Action]) -> AsyncIterator[None]:
    """Answers requests until it is left. The socket is this user's alone."""
    path = address(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.parent.stat().st_uid not in {os.getuid(), 0}:
        raise ConfigError(f"{path.parent} belongs to another user; remove it and start again.")
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(lambda reader, writer: _answer(reader, writer, actions), path=str(path), limit=_LINE)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, actions: Mapping[str, Action]) -> None:
    loop = asyncio.get_running_loop()
    answers: asyncio.Queue[Json] = asyncio.Queue()

    def progress(done: int, total: int) -> None:
        loop.call_soon_threadsafe(answers.put_nowait, {"progress": [done, total]})

    async def work(request: Json) -> None:
        action = actions.get(str(request.get("do")))
        try:
            if action is None:
                raise EngineError(f"The server knows no {request.get('do')!r}; is it of another version?")
            answers.put_nowait({"result": await asyncio.to_thread(action, request, progress)})
        except CopilotError as error:
            answers.put_nowait({"error": str(error)})
        except Exception as error:  # whoever waits must be told
            log.warning("admin_request_failed", error=type(error).__name__)
            answers.put_nowait({"error": f"The server failed ({type(error).__name__}); see its log."})

    try:
        if not _same_user(writer):
            return
        request = json.loads(await asyncio.wait_for(reader.readline(), _CONNECT_S))
        if not isinstance(request, dict):
            return
        # Not cancelled when the asker goes: a rebuild that was begun is finished.
        working = asyncio.create_task(work(request))
        while True:
            answer = await answers.get()
            writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
            await writer.drain()
            if "progress" not in answer:
                break
        await working
    except (OSError, ValueError, TimeoutError):
        return
    finally:
        with contextlib.suppress(OSError):
            writer.close()


def _same_user(writer: asyncio.StreamWriter) -> bool:
    """The socket's permissions say so already; where the system tells who asks, it is asked as well."""
    found = writer.get_extra_info("socket")
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, user, _ = struct.unpack("3i", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return user in {os.getuid(), 0}


def ask(data_dir: Path, request: Json, progress: Progress | None = None) -> Json | None:
    """The running server's result; None if none runs on this data directory. Blocking.

    Raises EngineError with what the server says, or if it goes away meanwhile.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_CONNECT_S)
        try:
            link.connect(str(address(data_dir)))
        except OSError:
            return None
        link.settimeout(None)
        try:
            link.sendall(json.dumps(request).encode() + b"\n")
            with link.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    answer = json.loads(line)
                    if "progress" not in answer:
                        break
                    if progress is not None:
                        progress(*answer["progress"])
                else:
                    raise EngineError("The server went away before it had answered; what it was doing is done when it starts again.")
        except (OSError, ValueError) as error:
            raise EngineError(f"The server could not be asked ({type(error).__name__}); see its log.") from error
    if "error" in answer:
        raise EngineError(str(answer["error"]))
    result: Json = answer["result"]
    return result
