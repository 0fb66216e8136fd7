"""One telephony connection: messages in through its parser, answers out, and the right ending for every way it may end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import uuid4

import structlog

from copilot.domain.audio import CallStart, CallStop, ChannelName, MediaFrame, MediaGap, TelephonyEvent
from copilot.domain.errors import Conflict, CopilotError, Forbidden, NotFound, Overloaded, RemoteProtocolError
from copilot.domain.events import SuggestionOffered
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial
from streaming.announcements import Announcement
from streaming.handshake import IntegrationConfig
from streaming.seat import Seat
from streaming.telephony.auto import AutoProtocol
from streaming.telephony.mapping import mapped
from streaming.telephony.messages import TRY_AGAIN_LATER
from streaming.telephony.protocol import TelephonyProtocol
from streaming.wire import Wire, WireClosed

if TYPE_CHECKING:
    from streaming.gateway import Gateway

_T = TypeVar("_T")

log = structlog.get_logger(__name__)

# RFC 6455 §7.4.1 and its registry; 4000–4999 are ours.
NORMAL: Final = 1000
INTERNAL: Final = 1011
RESTART: Final = 1012
NOT_ANNOUNCED: Final = 4403
NOTHING_TO_RESUME: Final = 4404
TIMED_OUT: Final = 4408
CONFLICT: Final = 4409

MAX_WAITING: Final = 512
"""Answers waiting for a slow peer: beyond it partials are dropped, beyond twice of it finals too (they are stored all the same)."""
LAST_WORDS_S: Final = 5.0
TICK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Seconds."""

    start_timeout_s: float
    idle_timeout_s: float
    resume_window_s: float


class _Interrupted(Exception):
    """The gateway takes the connection away; its call, if any, is the gateway's business."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Connection:
    """Runs one accepted socket to its end."""

    def __init__(
        self, wire: Wire, integration: IntegrationConfig, parser: TelephonyProtocol, gateway: Gateway, limits: ConnectionLimits
    ) -> None:
        self.integration = integration
        self.detached = asyncio.Event()
        """Set once this connection will touch its call no more."""
        self.closed = asyncio.Event()
        self.started_ms = 0.0
        """When the peer began its call, on the node's monotonic clock."""
        self.found: tuple[Announcement, ChannelName] | None = None
        """The announcement that admitted this connection before its call began."""
        self._wire = wire
        self._gateway = gateway
        self._board = gateway.board
        self._limits = limits
        self._parser = parser
        self._seat: Seat | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._answers: deque[str | bytes] = deque()
        self._answer_waiting = asyncio.Event()
        self._answers_gone = asyncio.Event()
        self._answers_gone.set()
        self._peer_gone = False
        self._interruption: _Interrupted | None = None
        self._scope: asyncio.Timeout | None = None

    def interrupt(self, message: str, code: int) -> None:
        """Closes the connection for a reason of the gateway's; its call stays with the gateway."""
        self._interruption = _Interrupted(message, code)
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    def hang_up(self) -> None:
        """Ends the conversation as if the peer had: nothing that was heard is lost, and the peer is told."""
        self.interrupt("", NORMAL)

    def pause(self, *, paused: bool) -> None:
        """Asks the peer to stop sending audio, or to send it again."""
        self._parser.queue_pause(paused)
        self._collect()

    async def run(self) -> None:
        """Returns when the connection is closed and its call, if it is still its own, is ended or parked."""
        self._tasks.append(asyncio.create_task(self._send_answers(), name="telephony-answers"))
        if self._ticks:
            self._tasks.append(asyncio.create_task(self._tick(), name="telephony-tick"))
        reason, code, message, may_return = "error", NORMAL, "", False
        try:
            reason = await self._converse()
            if reason == "hangup":
                await self._hang_up()
            may_return = reason == "peer_closed"
        except _Interrupted as interrupted:
            code, message = interrupted.code, str(interrupted)
            if code == NORMAL and self._seat is not None:
                with contextlib.suppress(CopilotError):
                    await self._hang_up()
            self._seat = None  # whoever interrupts takes care of the call
        except WireClosed as closed:
            self._peer_gone = True
            self._answers_gone.set()
            reason, may_return = ("error", True) if closed.fault else ("peer_closed", not closed.orderly)
            if closed.fault:
                await self._audit(f"{closed.fault[0]}: {closed.fault[1]}")
        except RemoteProtocolError as error:
            code, message = error.code, str(error)
            await self._audit(f"{code}: {message}")
        except Conflict as error:
            code, message = CONFLICT, str(error)
            reason = "duplicate"
            await self._audit(f"{code}: {message}")
        except Overloaded as error:
            code, message = TRY_AGAIN_LATER, str(error)
            await self._audit(f"{code}: {message}")
        except NotFound as error:
            code, message = NOTHING_TO_RESUME, str(error)
            await self._audit(f"{code}: {message}")
        except Forbidden as error:
            code, message = NOT_ANNOUNCED, str(error)
            await self._audit(f"{code}: {message}")
        except CopilotError as error:
            code, message = INTERNAL, str(error)
            log.warning("telephony_failed", error=type(error).__name__, integration=self.integration.name)
        except Exception:
            code, message = INTERNAL, "The server met a fault of its own; what was heard is kept."
            log.exception("telephony_fault", integration=self.integration.name)
        try:
            await self._release_call(reason, may_return=may_return)
            self.detached.set()  # whoever takes the call over need not wait for a peer that may be dead
            if message:
                self._parser.queue_error(message, code)
                self._collect()
            await self._last_words()
            if code != RESTART:
                await self._farewell()
        finally:
            self.detached.set()
            for task in self._tasks:
                task.cancel()
            try:
                await self._wire.close(code, message)
            finally:
                self.closed.set()

    @property
    def _ticks(self) -> bool:
        return self._parser.timed_by_arrival or self._parser.keep_alive_s is not None

    # ------------------------------------------------------------------ conversation

    async def _converse(self) -> str:
        """Messages until the call ends; the reason. Raises what ends it otherwise."""
        events = await self._within(
            self._limits.start_timeout_s, self._await_start, "The call was not started within {:g} s of connecting."
        )
        start, *rest = events
        if not isinstance(start, CallStart):
            raise RemoteProtocolError("The first event of a connection must be its start.")
        for event in (*await self._open(self._mapped(start)), *rest):
            if isinstance(event, CallStop):
                return event.reason
            await self._take(event)
        self._collect()
        return await self._within(self._limits.idle_timeout_s, self._listen, "No audio came for {:g} s, so the call was ended.")

    async def _within(self, seconds: float, step: Callable[[], Awaitable[_T]], complaint: str) -> _T:
        """Runs ``step`` until it returns, is interrupted, or has not put off its deadline. Raises _Interrupted, RemoteProtocolError."""
        try:
            async with asyncio.timeout(seconds) as self._scope:
                if self._interruption is not None:
                    raise self._interruption
                return await step()
        except TimeoutError:
            if self._interruption is not None:
                raise self._interruption from None
            if self._scope is not None and self._scope.expired():
                raise RemoteProtocolError(complaint.format(seconds), code=TIMED_OUT) from None
            raise
        finally:
            self._scope = None

    async def _await_start(self) -> Sequence[TelephonyEvent]:
        assert self._scope is not None
        identified = None
        while True:
            events = self._parse(await self._wire.recv())
            if identified is None and self._parser.identified is not None:
                identified = self._parser.identified
                self.started_ms = self._board.now_ms()
                self._gateway.identify(self, identified)
                # It may be ringing still: from here on silence is allowed.
                self._put_off(self._limits.idle_timeout_s)
            self._collect()
            if events:
                self.started_ms = self.started_ms or self._board.now_ms()
                return events

    async def _listen(self) -> str:
        self._collect()
        while True:
            for event in self._parse(await self._wire.recv()):
                if isinstance(event, CallStop):
                    return event.reason
                if isinstance(event, MediaFrame | MediaGap):
                    self._put_off(self._limits.idle_timeout_s)
                await self._take(event)
            self._collect()

    def _put_off(self, seconds: float) -> None:
        if self._interruption is None and self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _open(self, start: CallStart) -> Sequence[TelephonyEvent]:
        """Takes a seat on a call; what the parser had kept until then."""
        arrival = self._parser.timed_by_arrival
        heard = 0
        if self._parser.resumes_at is not None:
            try:
                self._seat = await self._board.resume_call(self, start, self._parser.continues, arrival=arrival)
                heard = self._seat.call.ingest.heard_samples
            except NotFound:
                anew = self._parser.start_anew()
                if anew is None:
                    raise
                start = self._mapped(anew)
        if self._seat is None:
            found = self._gateway.announcement_of(self, start)
            self._seat = await self._board.open_call(self, start, found, arrival=arrival)
        ingest = self._seat.call.ingest
        if self._parser.wants_events:
            ingest.publish = self._publish
        if self._parser.wants_suggestions:
            ingest.listen(self._suggest)
        window_ms = round(self._limits.resume_window_s * 1000)
        events = self._parser.accept(ingest.call_id, heard_samples=heard, resume_window_ms=window_ms)
        if self._seat.call.paused:
            self._parser.queue_pause(True)
        self._collect()
        return events

    def _mapped(self, start: CallStart) -> CallStart:
        if self.integration.agent:
            # A page names neither its agent nor its call, since the id of another call would take that call over. It says which call it
            # goes on with: only one of its own person's is found, because their integration is nobody else's.
            metadata = {**start.metadata, "agent": self.integration.agent}
            resumes = self._parser.resumes_at is not None
            external_id = start.external_id if resumes else f"browser-{uuid4().hex}"
            return replace(start, external_id=external_id, metadata=metadata)
        return mapped(start, self.integration.metadata_keys, uuid4().hex)

    async def _take(self, event: TelephonyEvent) -> None:
        assert self._seat is not None
        await self._seat.receive(event)

    def _parse(self, message: str | bytes) -> list[TelephonyEvent]:
        events = self._parser.receive_text(message) if isinstance(message, str) else self._parser.receive_bytes(message)
        if isinstance(self._parser, AutoProtocol) and self._parser.chosen is not None:
            log.info("telephony_recognised", integration=self.integration.name, protocol=self._parser.name)
            self._parser = self._parser.chosen
            if self._ticks:
                self._tasks.append(asyncio.create_task(self._tick(), name="telephony-tick"))
        return events

    async def _tick(self) -> None:
        """What is due by the clock and not by a message."""
        keep_alive_s = self._parser.keep_alive_s
        loop = asyncio.get_running_loop()
        due = loop.time() + (keep_alive_s or 0.0)
        while True:
            await asyncio.sleep(TICK_S)
            if keep_alive_s is not None and loop.time() >= due:
                due = loop.time() + keep_alive_s
                self._parser.queue_keep_alive()
                self._collect()
            if self._seat is not None:
                with contextlib.suppress(Conflict):  # the reader meets it too, and ends the call
                    await self._seat.tick()

    # ------------------------------------------------------------------ endings

    async def _hang_up(self) -> None:
        """The peer's own ending: it hears the last finals and how long the call was."""
        assert self._seat is not None
        seat, self._seat = self._seat, None
        with contextlib.suppress(Conflict):  # another node's call: what is held is its business
            await seat.leave()
        leaving = self._board.begin_to_leave(seat, self, "hangup")
        try:
            async with asyncio.timeout(self._parser.closing_s):
                duration_ms = await asyncio.shield(leaving)
        except TimeoutError:
            # The last finals take longer than the peer waits: they are stored all the same.
            duration_ms = seat.call.ingest.duration_ms
        self._parser.queue_stopped(duration_ms)
        self._collect()

    async def _release_call(self, reason: str, *, may_return: bool) -> None:
        """Ends or parks a call whose connection ended in another way; what was heard is kept."""
        if self._seat is None:
            return
        seat, self._seat = self._seat, None
        with contextlib.suppress(CopilotError):
            for event in self._parser.receive_eof():
                if isinstance(event, CallStop) and reason == "peer_closed" and not may_return:
                    reason = event.reason
                await seat.receive(event)
            await seat.leave()
        if may_return and reason == "peer_closed" and self._parser.resumable and self._limits.resume_window_s > 0:
            self._board.park(seat, self, self._limits.resume_window_s)
            return
        leaving = self._board.begin_to_leave(seat, self, reason)
        if not self._peer_gone:  # nobody hears how it ended, and a place for a connection is not held until the recording is sealed
            await asyncio.shield(leaving)

    async def _farewell(self) -> None:
        """Lets a peer whose protocol says so close the connection itself."""
        if self._parser.farewell_s <= 0 or self._peer_gone:
            return
        with contextlib.suppress(TimeoutError, WireClosed, CopilotError):
            async with asyncio.timeout(self._parser.farewell_s):
                while True:
                    self._parse(await self._wire.recv())
                    self._collect()

    async def _audit(self, reason: str) -> None:
        await self._gateway.audit(self.integration, self._wire.remote, reason)

    # ------------------------------------------------------------------ answers

    def _publish(self, event: TranscriptPartial | TranscriptFinal) -> None:
        self._parser.queue_event(event)
        self._collect(final=isinstance(event, TranscriptFinal))

    def _suggest(self, suggestion: SuggestionOffered) -> None:
        self._parser.queue_suggestion(suggestion)
        self._collect()

    def _collect(self, *, final: bool = True) -> None:
        """From the parser to the sender's queue; a peer that does not read loses partials first."""
        for message in self._parser.messages_to_send():
            if self._peer_gone:
                return
            if len(self._answers) < (2 * MAX_WAITING if final else MAX_WAITING):
                self._answers.append(message)
                self._answers_gone.clear()
                self._answer_waiting.set()

    async def _send_answers(self) -> None:
        try:
            while True:
                await self._answer_waiting.wait()
                self._answer_waiting.clear()
                while self._answers:
                    await self._wire.send(self._answers[0])
                    self._answers.popleft()
                self._answers_gone.set()
        except WireClosed:
            self._peer_gone = True
            self._answers_gone.set()

    async def _last_words(self) -> None:
        """Gives a peer that reads a moment to get what is queued."""
        self._collect()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._answers_gone.wait()
