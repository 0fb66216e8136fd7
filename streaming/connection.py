"""One telephony connection: messages in through its parser, answers out, and the right ending for every way it may end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from copilot.domain.audio import CallStart, CallStop, MediaFrame, MediaGap, TelephonyEvent
from copilot.domain.errors import Conflict, CopilotError, NotFound, Overloaded, RemoteProtocolError
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial
from streaming.handshake import IntegrationConfig
from streaming.telephony.protocol import make_protocol

if TYPE_CHECKING:
    from streaming.gateway import Gateway, LiveCall

_T = TypeVar("_T")

log = structlog.get_logger(__name__)

# RFC 6455 §7.4.1 and its registry; 4000–4999 are ours.
NORMAL: Final = 1000
INTERNAL: Final = 1011
TRY_AGAIN_LATER: Final = 1013
NOTHING_TO_RESUME: Final = 4404
TIMED_OUT: Final = 4408
CONFLICT: Final = 4409

MAX_WAITING: Final = 512
"""Answers waiting for a slow peer: beyond it partials are dropped, beyond twice of it finals too (they are stored all the same)."""
LAST_WORDS_S: Final = 5.0


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
    """Runs one accepted websocket to its end."""

    def __init__(
        self,
        websocket: ServerConnection,
        integration: IntegrationConfig,
        gateway: Gateway,
        limits: ConnectionLimits,
        remote: str,
    ) -> None:
        self.integration = integration
        self.detached = asyncio.Event()
        """Set once this connection will touch its call no more."""
        self._websocket = websocket
        self._gateway = gateway
        self._limits = limits
        self._remote = remote
        self._parser = make_protocol(integration.protocol, integration.channel_roles)
        self._call: LiveCall | None = None
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

    async def run(self) -> None:
        """Returns when the connection is closed and its call, if it is still its own, is ended or parked."""
        sender = asyncio.create_task(self._send_answers(), name="telephony-answers")
        reason, code, message, may_return = "error", NORMAL, "", False
        try:
            reason = await self._converse()
            if reason == "hangup":
                await self._hang_up()
        except _Interrupted as interrupted:
            code, message = interrupted.code, str(interrupted)
            self._call = None  # whoever interrupts takes care of the call
        except ConnectionClosed as closed:
            self._peer_gone = True
            self._answers_gone.set()
            # Closed by us: the library met a frame it could not take (too big, no UTF-8). By the peer, or not at all: it vanished.
            ours = closed.sent is not None and not closed.rcvd_then_sent and closed.sent.code in (1002, 1007, 1009)
            reason = "error" if ours else "peer_closed"
            may_return = closed.rcvd is None or closed.rcvd.code != NORMAL
            if ours and closed.sent is not None:
                await self._audit(f"{closed.sent.code}: {closed.sent.reason or 'The peer broke the websocket protocol.'}")
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
        except CopilotError as error:
            code, message = INTERNAL, str(error)
            log.warning("telephony_failed", error=type(error).__name__, integration=self.integration.name)
        except Exception:
            code, message = INTERNAL, "The server met a fault of its own; what was heard is kept."
            log.exception("telephony_fault", integration=self.integration.name)
        try:
            await self._release_call(reason, may_return=may_return)
            if message:
                self._parser.queue_error(message, code)
                self._collect()
            await self._last_words()
        finally:
            self.detached.set()
            sender.cancel()
            await self._websocket.close(code, clipped(message))

    # ------------------------------------------------------------------ conversation

    async def _converse(self) -> str:
        """Messages until the call ends; the reason. Raises what ends it otherwise."""
        events = await self._within(
            self._limits.start_timeout_s, self._await_start, "The call was not started within {:g} s of connecting."
        )
        start, *rest = events
        if not isinstance(start, CallStart):
            raise RemoteProtocolError("The first event of a connection must be its start.")
        await self._open(start)
        for event in rest:
            await self._take(event)
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

    async def _await_start(self) -> list[TelephonyEvent]:
        events: list[TelephonyEvent] = []
        while not events:
            events = self._parse(await self._websocket.recv())
        return events

    async def _listen(self) -> str:
        assert self._scope is not None
        loop = asyncio.get_running_loop()
        while True:
            for event in self._parse(await self._websocket.recv()):
                if isinstance(event, CallStop):
                    return event.reason
                if isinstance(event, MediaFrame | MediaGap) and self._interruption is None:
                    self._scope.reschedule(loop.time() + self._limits.idle_timeout_s)
                await self._take(event)
            self._collect()

    async def _open(self, start: CallStart) -> None:
        if self._parser.resumes_at is None:
            call = await self._gateway.open_call(self, start)
            heard = 0
        else:
            call = await self._gateway.resume_call(self, start)
            heard = call.ingest.heard_samples
        self._call = call
        if self._parser.wants_events:
            call.ingest.publish = self._publish
        window_ms = round(self._limits.resume_window_s * 1000)
        for event in self._parser.accept(call.ingest.call_id, heard_samples=heard, resume_window_ms=window_ms):
            await self._take(event)
        self._collect()

    async def _take(self, event: TelephonyEvent) -> None:
        assert self._call is not None
        if isinstance(event, CallStart | CallStop):
            return
        await self._call.ingest.receive(event)

    def _parse(self, message: str | bytes) -> list[TelephonyEvent]:
        return self._parser.receive_text(message) if isinstance(message, str) else self._parser.receive_bytes(message)

    # ------------------------------------------------------------------ endings

    async def _hang_up(self) -> None:
        """The peer's own ending: it hears the last finals and how long the call was."""
        assert self._call is not None
        call, self._call = self._call, None
        duration_ms = await self._gateway.finish(call, "hangup")
        self._parser.queue_stopped(duration_ms)
        self._collect()

    async def _release_call(self, reason: str, *, may_return: bool) -> None:
        """Ends or parks a call whose connection ended in another way; what was heard is kept."""
        if self._call is None:
            return
        call, self._call = self._call, None
        with contextlib.suppress(CopilotError):
            for event in self._parser.receive_eof():
                if isinstance(event, MediaFrame | MediaGap):
                    await call.ingest.receive(event)
        if may_return and reason == "peer_closed" and self._parser.resumable and self._limits.resume_window_s > 0:
            self._gateway.park(call, self._limits.resume_window_s)
        else:
            await self._gateway.finish(call, reason)

    async def _audit(self, reason: str) -> None:
        await self._gateway.audit(self.integration, self._remote, reason)

    # ------------------------------------------------------------------ answers

    def _publish(self, event: TranscriptPartial | TranscriptFinal) -> None:
        self._parser.queue_event(event)
        self._collect(final=isinstance(event, TranscriptFinal))

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
                    await self._websocket.send(self._answers[0])
                    self._answers.popleft()
                self._answers_gone.set()
        except ConnectionClosed:
            self._peer_gone = True
            self._answers_gone.set()

    async def _last_words(self) -> None:
        """Gives a peer that reads a moment to get what is queued."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._answers_gone.wait()


def clipped(reason: str) -> str:
    """A close reason has at most 123 bytes of UTF-8 (RFC 6455 §5.5)."""
    return reason.encode()[:123].decode(errors="ignore")
