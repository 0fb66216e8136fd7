"""The calls of a call node: opened, joined from several connections, resumed, paused, and ended whatever became of their connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from copilot.domain.audio import CallStart, ChannelName, LegFormat
from copilot.domain.errors import Conflict, CopilotError, Forbidden, InvalidInput, NotFound, Overloaded, RemoteProtocolError
from streaming.announcements import Announcement, AnnouncementBook
from streaming.ingest import CallIngest, IngestServices
from streaming.seat import LiveCall, Seat
from streaming.telephony.meeting import Meeting

if TYPE_CHECKING:
    from streaming.connection import Connection
    from streaming.handshake import IntegrationConfig

TAKEN_OVER = 4410
Key = tuple[str, str]


class Switchboard:
    """One a gateway. ``leg_wait_s``: how long a call that everybody left waits for legs that have not come."""

    def __init__(self, services: IngestServices, book: AnnouncementBook, *, leg_wait_s: float) -> None:
        self._services = services
        self._book = book
        self._leg_wait_ms = leg_wait_s * 1000
        self.calls: dict[Key, LiveCall] = {}
        self._aliases: dict[Key, Key] = {}
        """Further ids of calls that were continued under another one."""
        self._joining: dict[Key, asyncio.Task[LiveCall]] = {}
        self._opening: Counter[str] = Counter()
        self._endings: set[asyncio.Task[int]] = set()
        self.draining = False
        self.quiet = asyncio.Event()
        """Set while no call is open."""
        self.quiet.set()

    def now_ms(self) -> float:
        return self._services.clock.monotonic() * 1000

    # ------------------------------------------------------------------ who may take a seat

    def announced(self, leg_id: str, integration: str) -> tuple[Announcement, ChannelName] | None:
        """The announcement of a leg that ``integration`` made, taken out of the book."""
        return self._book.take(leg_id, self._services.clock.monotonic(), integration)

    async def open_call(
        self, connection: Connection, start: CallStart, found: tuple[Announcement, ChannelName] | None, *, arrival: bool
    ) -> Seat:
        """A new call, or a further leg of one. Raises Overloaded, Conflict, Forbidden, RemoteProtocolError, and what the sink raises."""
        integration = connection.integration
        legs, channel = integration.legs, None
        if found is None and integration.announced:
            raise Forbidden("Calls of this integration must be announced before they connect, and this one was not.")
        if found is not None:
            announcement, channel = found
            legs = announcement.channels
            metadata = {**start.metadata, **announcement.metadata}
            language = announcement.language or start.language
            start = replace(start, external_id=announcement.call_id, metadata=metadata, language=language)
        if channel is None and len(legs) > 1:
            if len(start.legs) != 1:
                raise RemoteProtocolError("A connection of this integration carries one leg.", code=1003)
            channel = start.legs[0].channel
        if channel is not None:
            start = replace(start, legs=(replace(start.legs[0], channel=channel),))
        if channel is None or len(legs) == 1:
            call = await self._begin(integration, start, connection)
            call.connections.append(connection)
            return self._seat(call, channel, arrival=arrival)
        return await self._join(connection, start, legs, channel)

    async def _join(self, connection: Connection, start: CallStart, legs: tuple[ChannelName, ...], channel: ChannelName) -> Seat:
        """The leg's place on its call, which begins with the first of its legs: nobody waits to be heard.

        Legs have no common clock of their own, so each is placed by its arrival.
        """
        key = (connection.integration.name, start.external_id)
        form = start.legs[0]
        if channel not in legs:
            raise RemoteProtocolError(f"This call has no leg {channel}: its legs are {', '.join(legs)}.", code=1002)
        call = self.calls.get(key)
        if call is None:
            task = self._joining.get(key)
            if task is None:
                everyone = tuple(replace(form, channel=leg) for leg in legs)
                whole = replace(start, legs=everyone)
                meeting = Meeting(legs, self._leg_wait_ms)
                task = asyncio.create_task(self._begin(connection.integration, whole, connection, meeting), name="join-call")
                self._joining[key] = task
                task.add_done_callback(lambda _: self._joining.pop(key, None))
            call = await asyncio.shield(task)
        if call.meeting is None or call.ingest.finishing:
            raise Conflict("A call with this id is live already or has just ended; this leg cannot join it.")
        self._check_format(call.ingest.start.legs, form)
        call.meeting.arrive(channel)
        if call.expiry is not None:
            call.expiry.cancel()
            call.expiry = None
        call.connections.append(connection)
        return self._seat(call, channel, arrival=True)

    @staticmethod
    def _check_format(legs: tuple[LegFormat, ...], form: LegFormat) -> None:
        if form not in legs and not any(replace(leg, channel=form.channel) == form for leg in legs):
            raise RemoteProtocolError("All legs of a call must have the same codec and rate: set the same format on each.", code=1003)

    async def resume_call(self, connection: Connection, start: CallStart, also_known_as: tuple[str, ...], *, arrival: bool) -> Seat:
        """A call that waits for its peer, or whose old connection has not been noticed to be dead. Raises NotFound, RemoteProtocolError."""
        name = connection.integration.name
        for external_id in (start.external_id, *also_known_as):
            key = self._aliases.get((name, external_id), (name, external_id))
            call = self.calls.get(key)
            if call is not None and not call.ingest.finishing and call.meeting is None:
                break
        else:
            call = await self._take_over(connection, start, also_known_as)
            call.connections.append(connection)
            return self._seat(call, None, arrival=arrival)
        if start.legs != call.ingest.start.legs:
            raise RemoteProtocolError('A resumed call must have the same "channels", "encoding" and "sample_rate" as before.', code=1007)
        if call.connection is not None:
            old = call.connection
            old.interrupt("This call was resumed on another connection.", TAKEN_OVER)
            await old.detached.wait()
        if call.expiry is not None:
            call.expiry.cancel()
            call.expiry = None
        call.connections[:] = [connection]
        if (name, start.external_id) != key:
            self._aliases[name, start.external_id] = key
        return self._seat(call, None, arrival=arrival)

    async def _take_over(self, connection: Connection, start: CallStart, also_known_as: tuple[str, ...]) -> LiveCall:
        """A call that another node began, and that its peer continues here. Raises NotFound, RemoteProtocolError, Overloaded."""
        error: CopilotError = NotFound("There is no such call to resume: it has ended, so begin a new one with another call_id.")
        name = connection.integration.name
        for external_id in (start.external_id, *also_known_as):
            if (name, external_id) in self.calls or (name, external_id) in self._aliases:
                continue  # it is ending here
            try:
                call = await self._begin(connection.integration, replace(start, external_id=external_id), connection, resume=True)
            except NotFound as nothing:
                error = nothing
                continue
            except InvalidInput as other:
                raise RemoteProtocolError(str(other), code=1007) from None
            if external_id != start.external_id:
                self._aliases[name, start.external_id] = (name, external_id)
            return call
        raise error

    async def _begin(
        self,
        integration: IntegrationConfig,
        start: CallStart,
        connection: Connection,
        meeting: Meeting | None = None,
        *,
        resume: bool = False,
    ) -> LiveCall:
        key = (integration.name, start.external_id)
        self._check_open()
        if key in self.calls or key in self._aliases:
            raise Conflict("A call with this id is live already; the second connection was refused and the first is not affected.")
        live = sum(call.integration.name == integration.name for call in self.calls.values()) + self._opening[integration.name]
        if live >= integration.max_calls:
            if integration.agent:
                raise Overloaded("You are in a call in another window already: end it, then start this one.")
            raise Overloaded(f"All {integration.max_calls} calls of this integration are in use: try again later.")
        self._opening[integration.name] += 1
        try:
            opening = CallIngest.resume if resume else CallIngest.open
            ingest = await opening(self._services, start, integration.integration())
        finally:
            self._opening[integration.name] -= 1
        call = LiveCall(ingest=ingest, integration=integration, origin_ms=connection.started_ms, meeting=meeting)
        self.calls[key] = call
        self.quiet.clear()
        try:
            self._check_open()
        except Overloaded:  # stop looked before this call was there
            await self.finish(call, "interrupted")
            raise
        return call

    def _check_open(self) -> None:
        if self.draining:
            raise Overloaded("This server is shutting down: use another node.")

    def _seat(self, call: LiveCall, channel: ChannelName | None, *, arrival: bool) -> Seat:
        return Seat(call, channel, arrival=arrival, now_ms=self.now_ms)

    # ------------------------------------------------------------------ control

    def _find(self, integration: str, external_id: str) -> LiveCall | None:
        return self.calls.get(self._aliases.get((integration, external_id), (integration, external_id)))

    def is_live(self, integration: str, external_id: str) -> bool:
        return self._find(integration, external_id) is not None

    def live(self, integration: str, external_id: str) -> LiveCall:
        """Raises NotFound."""
        call = self._find(integration, external_id)
        if call is None or call.ingest.finishing:
            raise NotFound("There is no such live call.")
        return call

    def pause(self, integration: str, external_id: str, *, paused: bool) -> None:
        """Card data is being spoken (or no longer): the peer is asked to stop, and what it sends all the same is thrown away unheard.

        Raises NotFound.
        """
        call = self.live(integration, external_id)
        call.paused = paused
        for connection in call.connections:
            connection.pause(paused=paused)

    async def hang_up(self, call: LiveCall) -> None:
        """Ends a call that its connections would go on with; returns when everything of it is stored."""
        connections = tuple(call.connections)
        for connection in connections:
            connection.hang_up()
        for connection in connections:
            await connection.detached.wait()
        await self.finish(call, "hangup")

    # ------------------------------------------------------------------ endings

    def park(self, seat: Seat, connection: Connection, window_s: float) -> None:
        """The peer vanished and may come back: the call ends as ``peer_closed`` if it does not."""
        call = seat.call
        call.connections.remove(connection)
        call.ingest.publish = None
        call.ingest.wait_for_peer()
        call.expiry = asyncio.get_running_loop().call_later(window_s, self.end, call, "peer_closed")

    def begin_to_leave(self, seat: Seat, connection: Connection, reason: str) -> asyncio.Task[int]:
        """``leave`` as a task that goes on when nobody waits for it."""
        task = asyncio.create_task(self.leave(seat, connection, reason), name=f"leave-{seat.call.ingest.call_id}")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def leave(self, seat: Seat, connection: Connection, reason: str) -> int:
        """A connection is over. Ends the call unless others of its legs are there or awaited; returns its duration in ms so far."""
        call, meeting = seat.call, seat.call.meeting
        if connection in call.connections:
            call.connections.remove(connection)
        if meeting is None or seat.channel is None:
            return await self.finish(call, reason)
        now = self.now_ms()
        meeting.leave(seat.channel, now)
        if meeting.over(now):
            return await self.finish(call, reason)
        if not meeting.present and call.expiry is None:
            wait_s = (meeting.until_ms - now) / 1000
            call.expiry = asyncio.get_running_loop().call_later(wait_s, self.end, call, reason)
        return call.ingest.duration_ms

    async def finish(self, call: LiveCall, reason: str) -> int:
        """Ends the call; returns its duration in ms once everything is told and stored."""
        return await asyncio.shield(self.end(call, reason))

    def end(self, call: LiveCall, reason: str) -> asyncio.Task[int]:
        """Begins to end the call."""
        if call.expiry is not None:
            call.expiry.cancel()
        task = asyncio.create_task(self._finish(call, reason), name=f"end-{call.ingest.call_id}")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def _finish(self, call: LiveCall, reason: str) -> int:
        try:
            return await call.ingest.finish(reason)
        finally:
            key = (call.integration.name, call.ingest.start.external_id)
            self.calls.pop(key, None)
            for alias in [alias for alias, target in self._aliases.items() if target == key]:
                del self._aliases[alias]
            if not self.calls:
                self.quiet.set()

    async def ended(self) -> None:
        """Returns when no call is being ended."""
        if self._endings:
            await asyncio.wait(tuple(self._endings))
