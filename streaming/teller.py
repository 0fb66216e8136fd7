"""Tells a CallHandle what happened, one thing after the other, in order; what is ephemeral gives way when the handle is slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from copilot.domain.audio import MediaGap
from copilot.domain.errors import Conflict, EngineError
from copilot.domain.ports.live import CallHandle
from copilot.domain.transcript import SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptPartial

log = structlog.get_logger(__name__)

MAX_WAITING = 256
"""Beyond it partials and speech marks are dropped, and ``room`` waits: finals are never dropped."""


@dataclass(frozen=True, slots=True)
class Degrade:
    """A part stopped (``down``) or resumed (``up``) helping."""

    part: str
    state: str
    reason: str


Telling = TranscriptPartial | TranscriptFinal | SpeechStarted | SpeechEnded | Degrade | tuple[MediaGap, int, int]


class Teller:
    """One task a call. ``show`` gets the masked transcripts that the handle returns."""

    def __init__(
        self, handle: CallHandle, show: Callable[[TranscriptPartial | TranscriptFinal], None], *, retries_s: tuple[float, ...]
    ) -> None:
        self._handle = handle
        self._show = show
        self._retries_s = retries_s
        self._waiting: deque[Telling] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self._lost: Conflict | None = None
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0
        """Partials and speech marks that were dropped because the handle was slow."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"tell-{self._handle.call_id}")

    def check(self) -> None:
        """Raises Conflict once the handle said that another node owns the call."""
        if self._lost is not None:
            raise self._lost

    def tell(self, item: Telling) -> None:
        """Queues an item. A partial takes the place of the one of its utterance that still waits."""
        if isinstance(item, TranscriptPartial):
            for place, waiting in enumerate(self._waiting):
                if isinstance(waiting, TranscriptPartial) and waiting.utterance_id == item.utterance_id:
                    self._waiting[place] = item
                    return
        if len(self._waiting) >= MAX_WAITING:
            if isinstance(item, TranscriptPartial | SpeechStarted | SpeechEnded):
                self.dropped += 1
                return
            self._room.clear()
        self._waiting.append(item)
        self._wake.set()

    async def room(self) -> None:
        """Waits while too much is queued."""
        await self._room.wait()

    async def close(self) -> None:
        """Returns when everything queued was told (or the call is another node's)."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while True:
            while self._waiting:
                item = self._waiting.popleft()
                if len(self._waiting) < MAX_WAITING // 2:
                    self._room.set()
                if self._lost is None:
                    await self._tell(item)
            if self._closing:
                return
            self._wake.clear()
            if not self._waiting:
                await self._wake.wait()

    async def _tell(self, item: Telling) -> None:
        for attempt, wait_s in enumerate((*self._retries_s, None)):
            try:
                await self._tell_once(item)
                return
            except Conflict as conflict:
                self._lost = conflict
                self._room.set()
                return
            except Exception as error:  # one thing that cannot be told must not silence the rest of the call
                retry = isinstance(error, EngineError) and error.retryable and wait_s is not None
                log.warning(
                    "not_told",
                    call_id=self._handle.call_id,
                    what=type(item).__name__,
                    error=type(error).__name__,
                    attempt=attempt,
                    again=retry,
                )
                if not retry or wait_s is None:
                    return
            await asyncio.sleep(wait_s)

    async def _tell_once(self, item: Telling) -> None:
        match item:
            case TranscriptPartial():
                self._show(self._handle.partial(item))
            case TranscriptFinal():
                self._show(await self._handle.final(item))
            case SpeechStarted() | SpeechEnded():
                self._handle.speech(item)
            case Degrade(part, state, reason):
                await self._handle.degraded(part, state, reason)
            case (gap, start_ms, duration_ms):
                await self._handle.gap(gap, start_ms, duration_ms)
