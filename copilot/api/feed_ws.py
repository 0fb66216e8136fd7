"""The agent's feed: one websocket per screen. Durable events gap-free and once, partials as they come.

The bus is only the doorbell and the carrier of what is ephemeral: whenever a message is missing (a slow socket, a restart) the store is
read from the last seq the screen has seen. A slow screen loses its oldest partials, never an event, and never slows recognition down.
Messages are documented in docs/reference/feed.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from anyio import to_thread
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from copilot.api.board import Board
from copilot.api.calls import Feedback, store_feedback
from copilot.api.context import ApiContext
from copilot.api.wrapup import supervises
from copilot.codec import dumps, encode_call, encode_envelope
from copilot.domain.errors import CopilotError, Forbidden, InvalidInput, NotFound, Unauthenticated
from copilot.domain.events import EventEnvelope
from copilot.domain.ids import CallId
from copilot.domain.people import AuditEntry, User, scope_of
from copilot.domain.ports.bus import Subscription, agent_topic, board_topic, call_topic
from copilot.live.feed import FeedCursor
from copilot.store.signin import Redeemed

log = structlog.get_logger(__name__)
T = TypeVar("T")
Json = dict[str, Any]
SUBPROTOCOL = "pangting.feed.v1"
HELLO_TIMEOUT_S = 5.0
MAX_MESSAGE = 16_384
MAX_WATCHED = 64
_PAGE = 500
CLOSE_TICKET, CLOSE_FORBIDDEN, CLOSE_PROTOCOL, CLOSE_SHUTDOWN = 4401, 4403, 1008, 1012


class _Screen:
    """One connected screen."""

    def __init__(self, socket: WebSocket, context: ApiContext, user: User, subscription: Subscription, session: str | None) -> None:
        self.socket = socket
        self.context = context
        self.user = user
        self.session = session
        self.subscription = subscription
        self.cursor = FeedCursor()
        # One writer at a time: events, heartbeats and acknowledgements come from different tasks.
        self.sending = asyncio.Lock()
        self.delivering = asyncio.Lock()
        self.own: set[str] = set()
        # Calls that are over, oldest first: they give way when the screen has no room for another.
        self.ended: dict[str, None] = {}
        self.audited: set[str] = set()
        self.resolved: dict[str, set[str]] = {}
        self.tasks: asyncio.TaskGroup | None = None
        self.board: Board | None = None
        self.boarding: asyncio.Task[None] | None = None

    async def send(self, message: Json) -> None:
        async with self.sending:
            await self.socket.send_text(dumps(message))

    async def thread(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work)

    async def watch(self, call_id: str, after_seq: int) -> None:
        """Subscribes first and reads the store second, so that nothing falls between."""
        call = await self.thread(lambda: self.context.calls.call(scope_of(self.user), CallId(call_id)))
        if not self.cursor.watching(call_id) and len(self.cursor.calls()) >= MAX_WATCHED:
            if not self.ended:
                raise InvalidInput(f"A screen can watch at most {MAX_WATCHED} live calls at once; stop watching one first.")
            await self.release(next(iter(self.ended)), "ended")
        own = call.agent_id == self.user.user_id
        if not own and call_id not in self.audited:
            self.audited.add(call_id)
            await self.thread(lambda: self._audit("call.watched", call_id))
        self._claim(call_id, own)
        if call.phase == "ended":
            self.ended[call_id] = None
        self.subscription.add(call_topic(self.user.org_id, call_id))
        async with self.delivering:
            self.cursor.start(call_id, min(after_seq, call.last_seq))
            await self.send({"type": "call_opened", "call": encode_call(call)})
            await self._catch_up(call_id)

    def _audit(self, action: str, target: str) -> None:
        entry = AuditEntry(org_id=self.user.org_id, at=self.context.clock.now(), actor=self.user.user_id, action=action, target=target)
        self.context.audit.record(entry)

    def unwatch(self, call_id: str) -> None:
        self.ended.pop(call_id, None)
        self.cursor.stop(call_id)
        self.subscription.discard(call_topic(self.user.org_id, call_id))

    async def catch_up(self, call_id: str) -> None:
        async with self.delivering:
            if self.cursor.watching(call_id):
                await self._catch_up(call_id)

    async def _catch_up(self, call_id: str) -> None:
        while True:
            after = self.cursor.last(call_id)
            page = await self.thread(lambda after=after: self.context.calls.events(self.user.org_id, CallId(call_id), after, _PAGE))  # type: ignore[misc]
            for envelope in page:
                await self._deliver(call_id, encode_envelope(envelope))
                if not self.cursor.watching(call_id):
                    return
            if len(page) < _PAGE:
                return

    async def _deliver(self, call_id: str, envelope: Json) -> None:
        if envelope["event"]["type"] == "redacted" or "【" in dumps(envelope["event"]):
            await self._secrets(call_id)
        await self.send({"type": "event", "call_id": call_id, "envelope": envelope})
        self.cursor.delivered(call_id, int(envelope["seq"]))
        if envelope["event"]["type"] == "call_transferred":
            await self._reconsider(call_id)
        elif envelope["event"]["type"] == "call_ended":
            self.ended[call_id] = None

    def _claim(self, call_id: str, own: bool) -> None:
        if own:
            self.own.add(call_id)
        else:
            self.own.discard(call_id)
            self.resolved.pop(call_id, None)

    async def _reconsider(self, call_id: str) -> None:
        """The call was given to another agent: this screen goes on with it, as owner or observer, or lets go of it.

        Decided by whose the call is now, since the event may be an old one that is being read again.
        """
        was_own = call_id in self.own
        try:
            call = await self.thread(lambda: self.context.calls.call(scope_of(self.user), CallId(call_id)))
        except NotFound:
            await self.release(call_id, "transferred")
            return
        own = call.agent_id == self.user.user_id
        self._claim(call_id, own)
        if was_own and not own:
            # A team lead's own sidebar lets go of it too; who may see the call can watch it again.
            await self.release(call_id, "transferred")
        elif own and not was_own:
            await self._secrets(call_id)

    async def release(self, call_id: str, reason: str) -> None:
        """The screen is to forget the call and the values it was given."""
        self._claim(call_id, False)
        self.unwatch(call_id)
        await self.send({"type": "call_released", "call_id": call_id, "reason": reason})

    async def _secrets(self, call_id: str) -> None:
        """Tokens are resolved for the owning agent's feed only, from the vault, just before the first event that shows them."""
        if call_id not in self.own:
            return
        seen = self.resolved.setdefault(call_id, set())
        try:
            values = await self.thread(lambda: self.context.calls.secrets(scope_of(self.user), CallId(call_id)))
        except CopilotError:
            return
        new = {token: value for token, value in values.items() if token not in seen}
        if new:
            seen.update(new)
            await self.send({"type": "secrets", "call_id": call_id, "values": new})

    async def relay(self) -> None:
        """Bus → screen, until the connection ends."""
        mine, board = agent_topic(self.user.org_id, self.user.user_id), board_topic(self.user.org_id)
        async for message in self.subscription:
            if message.lost:
                self.context.metrics.count("pangting_bus_lost_total", message.lost)
                if self.board is not None:
                    self.board.reload()
                for call_id in self.cursor.calls():
                    await self.catch_up(call_id)
            body: Json = json.loads(message.body)
            if message.topic == board:
                if self.board is not None:
                    self.board.note(body)
                continue
            call_id = str(body.get("call_id", ""))
            if message.topic == mine:
                if body.get("type") == "signed_out":
                    await self.check_session()
                elif not self.cursor.watching(call_id):
                    # It may have been given to the next agent already, or the screen may be full of live calls that it asked for.
                    with contextlib.suppress(NotFound, InvalidInput):
                        await self.watch(call_id, 0)
                continue
            if not self.cursor.watching(call_id):
                continue
            if body["type"] == "doorbell":
                await self.catch_up(call_id)
                continue
            if body["type"] != "event":
                await self.send(body)
                continue
            async with self.delivering:
                if not self.cursor.watching(call_id):
                    continue  # let go of while we waited
                verdict = self.cursor.judge(call_id, int(body["envelope"]["seq"]))
                if verdict == "deliver":
                    await self._deliver(call_id, body["envelope"])
                elif verdict == "gap":
                    await self._catch_up(call_id)

    async def listen(self) -> None:
        """Screen → server, until the connection ends."""
        while True:
            message = await _receive(self.socket)
            kind = message.get("type")
            call_id = str(message.get("call_id", ""))
            try:
                if kind == "watch":
                    await self.watch(call_id, _whole(message.get("after_seq", 0)))
                elif kind == "unwatch":
                    self.unwatch(call_id)
                elif kind == "board":
                    await self.show_board(message.get("on") is True)
                elif kind == "feedback":
                    feedback = Feedback.model_validate(
                        {key: message.get(key) for key in Feedback.model_fields if message.get(key) is not None}
                    )
                    await self.thread(lambda f=feedback, c=call_id: store_feedback(self.context, self.user, CallId(c), f))  # type: ignore[misc]
                    await self.send({"type": "ack", "client_id": message.get("client_id")})
                elif kind != "pong":
                    raise InvalidInput("This message type is not part of the feed protocol.")
            except (CopilotError, ValueError) as error:
                detail = str(error) if isinstance(error, CopilotError) else "A field of the message is missing or wrong."
                reply: Json = {"type": "problem", "title": type(error).__name__, "detail": detail}
                if message.get("client_id") is not None:
                    reply["client_id"] = message["client_id"]
                await self.send(reply)

    async def check_session(self) -> None:
        """The feed lives no longer than the session it was opened with. Raises Unauthenticated."""
        session = self.session
        if session is not None:
            self.user = await self.thread(lambda: self.context.signin.session_user(session))
            if self.board is not None:
                self.board.viewer(self.user)

    async def show_board(self, on: bool) -> None:
        """Begins or ends the live board on this screen. Raises Forbidden for those who supervise nobody."""
        topic = board_topic(self.user.org_id)
        if self.boarding is not None:
            self.boarding.cancel()
            self.board = self.boarding = None
            self.subscription.discard(topic)
        if not on:
            return
        if not supervises(self.user):
            raise Forbidden("The live board is for supervisors.")
        await self.thread(lambda: self._audit("board.opened", self.user.org_id))
        self.subscription.add(topic)
        self.board = Board(self.context, self.user, self.send)
        assert self.tasks is not None
        self.boarding = self.tasks.create_task(self.board.run(), name="board")

    async def heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self.context.heartbeat_s)
            # Also when nobody said so here: signed out at another node, expired, deactivated, roles or teams changed.
            await self.check_session()
            await self.send({"type": "heartbeat"})
            # The bus may lose a message without knowing (a doorbell rung before a subscription took effect): the log settles it.
            for call_id in self.cursor.calls():
                await self.catch_up(call_id)
            if self.board is not None:
                self.board.reload()


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput("A sequence number is a whole number from 0.")
    return value


async def _receive(socket: WebSocket) -> Json:
    event = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event.get("code", 1006), event.get("reason"))
    text = event.get("text")
    if text is None:
        raise InvalidInput("Messages are JSON text, not binary.")
    if len(text) > MAX_MESSAGE:
        raise InvalidInput("The message is too long.")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("Messages are JSON objects.") from error
    if not isinstance(message, dict):
        raise InvalidInput("Messages are JSON objects.")
    return message


async def _hello(socket: WebSocket, context: ApiContext) -> tuple[Redeemed, dict[str, int]]:
    """The first message: a single-use ticket bound to user and origin, and where to resume."""
    async with asyncio.timeout(HELLO_TIMEOUT_S):
        message = await _receive(socket)
    if message.get("type") != "hello":
        raise InvalidInput("The first message must be a hello with a ticket.")
    origin = socket.headers.get("origin", "")
    ticket = str(message.get("ticket", ""))
    redeemed = await to_thread.run_sync(lambda: context.signin.redeem(ticket, "feed", origin))
    resume = message.get("resume") or {}
    if not isinstance(resume, dict):
        raise InvalidInput("resume is an object of call ids and sequence numbers.")
    return redeemed, {str(call_id): _whole(seq) for call_id, seq in resume.items()}


def event_message(envelope: EventEnvelope) -> str:
    """A durable event as the bus and the feed carry it."""
    return dumps({"type": "event", "call_id": envelope.call_id, "envelope": encode_envelope(envelope)})


async def _serve(socket: WebSocket, context: ApiContext, user: User, resume: dict[str, int], session: str | None = None) -> None:
    """``session``: what the feed must not outlive; None: until the connection ends."""
    async with context.bus.subscribe(agent_topic(user.org_id, user.user_id)) as subscription:
        screen = _Screen(socket, context, user, subscription, session)
        public = {
            "user_id": user.user_id,
            "username": user.username,
            "display_name": user.display_name,
            "roles": sorted(user.roles),
            "org_id": user.org_id,
        }
        now = context.clock.now().isoformat()
        await screen.send({"type": "welcome", "user": public, "server_time": now, "heartbeat_s": context.heartbeat_s})
        live = await screen.thread(lambda: context.calls.calls(scope_of(user), limit=MAX_WATCHED, phase="live", agent_id=user.user_id))
        for call_id in dict.fromkeys([*resume, *(call.call_id for call in live)]):
            try:
                await screen.watch(call_id, resume.get(call_id, 0))
            except (NotFound, Forbidden):
                # The screen may remember a call that was erased or that is no longer in its scope.
                await screen.release(call_id, "out_of_scope")
            except InvalidInput:
                await screen.release(call_id, "ended")
        async with asyncio.TaskGroup() as tasks:
            screen.tasks = tasks
            tasks.create_task(screen.relay())
            tasks.create_task(screen.listen())
            tasks.create_task(screen.heartbeat())


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter()

    @routes.websocket("/feed")
    async def feed(socket: WebSocket) -> None:
        offered = [name.strip() for name in socket.headers.get("sec-websocket-protocol", "").split(",")]
        await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        code, detail = 1000, ""
        try:
            redeemed, resume = await _hello(socket, context)
            with context.metrics.counted("pangting_feed_connections"):
                await _serve(socket, context, redeemed.user, resume, redeemed.session_hash)
        except TimeoutError:
            code, detail = CLOSE_PROTOCOL, "No hello came in time."
        except Unauthenticated as error:
            code, detail = CLOSE_TICKET, str(error)
        except InvalidInput as error:
            code, detail = CLOSE_PROTOCOL, str(error)
        except (WebSocketDisconnect, RuntimeError):
            return
        except BaseExceptionGroup as group:
            protocol, rest = group.split((InvalidInput, Unauthenticated))
            if rest is not None and rest.split((WebSocketDisconnect, RuntimeError))[1] is not None:
                log.warning("feed_failed", errors=[type(error).__name__ for error in rest.exceptions])
                code, detail = 1011, "The feed failed; reconnect to go on where you were."
            elif protocol is not None:
                first = protocol.exceptions[0]
                code, detail = CLOSE_TICKET if isinstance(first, Unauthenticated) else CLOSE_PROTOCOL, str(first)
            else:
                return
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            if detail:
                await socket.send_text(dumps({"type": "problem", "title": "closed", "detail": detail}))
            await socket.close(code, detail[:120])

    return routes
