"""Tells the session of a live call how time goes on, and compares what is said with sentences of the rules, beside everything else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from copilot.domain.errors import CopilotError
from copilot.domain.ids import CallId, UtteranceId
from copilot.live.frontier import Frontier
from copilot.live.services import LiveServices
from copilot.live.session import Known, SessionInput, Weigh, Weighed

log = structlog.get_logger(__name__)
_TICK_S = 1.0
_MAX_WEIGHING = 4


class Watch:
    """One call's. ``tell`` gives an input to the session and stores what comes of it; it may raise CopilotError."""

    def __init__(self, services: LiveServices, call_id: CallId, tell: Callable[[SessionInput], Awaitable[None]]) -> None:
        self._services = services
        self._call_id = call_id
        self._tell = tell
        self._frontier = Frontier()
        self._seen = services.clock.monotonic()
        self._ticking: asyncio.Task[None] | None = None
        self._weighing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._ticking = asyncio.create_task(self._tick(), name=f"watch-{self._call_id}")

    async def stop(self) -> None:
        """Nothing is told any more."""
        tasks = [*self._weighing, *([self._ticking] if self._ticking is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def speech(self, utterance: UtteranceId, at_ms: int, *, begun: bool) -> None:
        """Voice activity began or ended."""
        (self._frontier.began if begun else self._frontier.ended)(utterance, at_ms)
        self._seen = self._services.clock.monotonic()

    def heard(self, utterance: UtteranceId, end_ms: int) -> Known:
        """A final has come; what the session is to be told of the time."""
        self._frontier.final(utterance, end_ms)
        self._seen = self._services.clock.monotonic()
        return Known(ms=round(self._frontier.known_ms))

    def weigh(self, effect: Weigh) -> None:
        """Compares in the background; what comes when too many wait is left to the evaluation after the call."""
        if self._services.alike is None or len(self._weighing) >= _MAX_WEIGHING:
            return
        task = asyncio.create_task(self._weigh(effect), name=f"weigh-{self._call_id}")
        self._weighing.add(task)
        task.add_done_callback(self._weighing.discard)

    async def _weigh(self, effect: Weigh) -> None:
        alike = self._services.alike
        if alike is None:
            return
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._services.executor, alike, effect.text, effect.language, effect.phrases)
            await self._tell(Weighed(utterance_id=effect.utterance_id, alike=found))
        except CopilotError as error:
            log.warning("comparison_failed", call_id=self._call_id, error=type(error).__name__)

    async def _tick(self) -> None:
        """Media time goes on while nobody speaks: by the clock since something was heard last."""
        while True:
            await asyncio.sleep(_TICK_S)
            now = self._services.clock.monotonic()
            self._frontier.passed(self._frontier.now_ms + 1000 * (now - self._seen))
            self._seen = now
            with contextlib.suppress(CopilotError):
                await self._tell(Known(ms=round(self._frontier.known_ms)))
