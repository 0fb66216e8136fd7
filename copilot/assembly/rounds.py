"""Work that a server repeats beside everything else: whatever happens in one round, the next one comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from copilot.domain.errors import CopilotError

log = structlog.get_logger(__name__)
Sleep = Callable[[float], Awaitable[None]]


async def keep(name: str, round_: Callable[[], Mapping[str, int]], every_s: float, sleep: Sleep = asyncio.sleep) -> None:
    """Round after round in a worker thread until cancelled. ``round_`` says what it did, in counts; that is logged unless all are 0."""
    while True:
        try:
            done = await asyncio.to_thread(round_)
            if any(done.values()):
                log.info("round_done", round=name, **done)
        except CopilotError as error:
            log.warning("round_failed", round=name, error=type(error).__name__)
        except Exception:  # a fault of one round must not end them all
            log.exception("round_failed", round=name)
        await sleep(every_s)


@asynccontextmanager
async def running(kept: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """``kept``, such as ``keep(…)``, as a task beside the block."""
    task = asyncio.create_task(kept, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
