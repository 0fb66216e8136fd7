"""Runs the generation of replies beside the cards of one live call: streamed, superseded, refused or failed, never in its way."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

import structlog

from copilot.domain.errors import Conflict, CopilotError, EngineError, Refused
from copilot.domain.events import CallEvent, ReplyRefused
from copilot.domain.ids import CallId, UserId
from copilot.domain.ports.llm import ReplyPiece, ReplyRequest, ReplyWriter
from copilot.domain.suggestions import ReplyStyle, Stage
from copilot.live.services import LiveServices
from copilot.live.session import ReplyWritten, WriteReply

log = structlog.get_logger(__name__)
Part = Literal["retrieval", "generation"]


class TellState(Protocol):
    """Says that a part of the copilot stopped helping (``failed``: why), or helps again."""

    def __call__(self, part: Part, *, failed: str = "") -> Awaitable[None]: ...


class Replies:
    """The replies that are being written for one call; one at a time, since a newer card supersedes the older one's reply.

    ``written(reply, since)`` takes a finished reply, False if it comes too late; ``append`` stores events; ``ring`` reaches the screens;
    ``agent``: whose call it is at the moment.
    """

    def __init__(
        self,
        services: LiveServices,
        call_id: CallId,
        *,
        written: Callable[[ReplyWritten, float], Awaitable[bool]],
        append: Callable[[Sequence[CallEvent]], Awaitable[None]],
        ring: Callable[[dict[str, Any]], None],
        state: TellState,
        agent: Callable[[], UserId | None] = lambda: None,
    ) -> None:
        self._services = services
        self._call_id = call_id
        self._written = written
        self._append = append
        self._ring = ring
        self._state = state
        self._agent = agent
        self._running: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> bool:
        """Whether a reply is being written."""
        return bool(self._running)

    def start(self, effect: WriteReply, since: float) -> None:
        """Begins a reply; ``since``: when the customer's speech ended, by the services' clock."""
        if self._services.reply_writer is None:
            return
        self.cancel()
        task = asyncio.create_task(self._write(self._services.reply_writer, effect, since), name=f"reply-{self._call_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def cancel(self) -> None:
        """A newer card is there: what is being written beside an older one is not finished."""
        for task in self._running:
            task.cancel()

    async def stop(self) -> None:
        """The call is over."""
        running = list(self._running)
        self.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _write(self, writer: ReplyWriter, effect: WriteReply, since: float) -> None:
        shown = False
        try:
            pieces, stages = await self._generate(writer, effect)
            total_ms = 1000 * (self._services.clock.monotonic() - since)
            reply = ReplyWritten(card=effect.card, pieces=pieces, hits=effect.hits, model=writer.model_id, stages=stages, total_ms=total_ms)
            shown = await self._written(reply, since)
            await self._state("generation")
        except Refused as error:
            log.info("reply_refused", call_id=self._call_id, reason=error.reason)
            with contextlib.suppress(CopilotError):
                await self._append([ReplyRefused(suggestion_id=effect.card, model=writer.model_id, reason=error.reason)])
                await self._state("generation")
        except (EngineError, TimeoutError) as error:
            # The approved answer is on the screen already; say that generation does not help.
            log.warning("reply_failed", call_id=self._call_id, error=type(error).__name__)
            with contextlib.suppress(CopilotError):
                await self._state("generation", failed=type(error).__name__)
        except Conflict:
            log.warning("call_taken_over", call_id=self._call_id)
        finally:
            if not shown:
                self._ring({"type": "reply_dropped", "suggestion_id": effect.card})

    async def _generate(self, writer: ReplyWriter, effect: WriteReply) -> tuple[tuple[ReplyPiece, ...], tuple[Stage, ...]]:
        """The whole reply, its words shown as they come. Raises EngineError, Refused, TimeoutError."""
        services = self._services
        begun = services.clock.monotonic()
        first_ms = 0.0
        pieces: list[ReplyPiece] = []
        async with asyncio.timeout(services.reply_timeout_s):
            forbidden, style = await asyncio.get_running_loop().run_in_executor(services.executor, self._terms)
            request = ReplyRequest(language=effect.language, turns=effect.turns, hits=effect.hits, style=style, forbidden=forbidden)
            async with contextlib.aclosing(writer.stream(request)) as stream:
                async for piece in stream:
                    first_ms = first_ms or 1000 * (services.clock.monotonic() - begun)
                    pieces.append(piece)
                    self._ring({"type": "reply_delta", "suggestion_id": effect.card, "text": piece.text})
        return tuple(pieces), (Stage(name="llm_first", ms=first_ms), Stage(name="llm", ms=1000 * (services.clock.monotonic() - begun)))

    def _terms(self) -> tuple[Sequence[re.Pattern[str]], ReplyStyle]:
        """What a reply may not say, and how it is worded for whoever has the call now."""
        agent, style_of = self._agent(), self._services.style_of
        return self._services.forbidden(), "standard" if agent is None or style_of is None else style_of(agent)
