"""A connection's place on a call: which leg it carries, when its audio was heard, and what is left out while the call is paused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from copilot.domain.audio import ChannelName, LanguageChanged, MediaFrame, MediaGap, TelephonyEvent
from streaming.handshake import IntegrationConfig
from streaming.ingest import CallIngest
from streaming.telephony.arrival import ArrivalClock
from streaming.telephony.meeting import Meeting

if TYPE_CHECKING:
    from streaming.connection import Connection


@dataclass(slots=True, eq=False)
class LiveCall:
    """A call and the connections it hangs on now: none while it waits to be resumed or for a missing leg.

    ``origin_ms``: media time zero on the node's monotonic clock, for legs that are placed by arrival.
    """

    ingest: CallIngest
    integration: IntegrationConfig
    origin_ms: float
    meeting: Meeting | None = None
    connections: list[Connection] = field(default_factory=list)
    paused: bool = False
    expiry: asyncio.TimerHandle | None = None

    @property
    def connection(self) -> Connection | None:
        """The connection that came last."""
        return self.connections[-1] if self.connections else None


class Seat:
    """``channel``: the one leg this connection carries, whatever its parser calls it; None: the whole call.

    ``arrival``: its frames carry no time of their own and are placed by ``now_ms``, the node's monotonic clock.
    """

    def __init__(self, call: LiveCall, channel: ChannelName | None, *, arrival: bool, now_ms: Callable[[], float]) -> None:
        self.call = call
        self.channel = channel
        self._now_ms = now_ms
        legs = [leg for leg in call.ingest.start.legs if channel in (None, leg.channel)]
        self._clocks = {leg.channel: ArrivalClock(leg, call.origin_ms) for leg in legs} if arrival else {}
        self._widths = {leg.channel: leg.bytes_per_sample for leg in legs}
        self._left_out: dict[ChannelName, MediaGap] = {}
        self._order = asyncio.Lock()
        """The reader and the ticker take turns, so that frames reach the call in media order."""

    async def receive(self, event: TelephonyEvent) -> None:
        """Hands an event of the parser to the call. Raises Conflict once another node owns it."""
        if isinstance(event, LanguageChanged):
            self.call.ingest.set_language(event.language)
        if not isinstance(event, MediaFrame | MediaGap):
            return  # key presses may be a PIN: they are neither kept nor told
        if self.channel is not None:
            event = replace(event, channel=self.channel)
        async with self._order:
            if isinstance(event, MediaFrame) and event.channel in self._clocks:
                await self._hand_on(self._clocks[event.channel].receive(event, self._now_ms()))
            elif event.channel not in self._clocks:
                await self._hand_on([event])

    async def tick(self) -> None:
        """Lets out what was held for its place in time."""
        async with self._order:
            for clock in self._clocks.values():
                await self._hand_on(clock.tick(self._now_ms()))

    async def leave(self) -> None:
        """Lets out everything: the connection is over."""
        async with self._order:
            for clock in self._clocks.values():
                await self._hand_on(clock.flush())
            for channel in tuple(self._left_out):
                await self._close_pause(channel)

    async def _hand_on(self, events: Sequence[MediaFrame | MediaGap]) -> None:
        for event in events:
            if self.call.paused and isinstance(event, MediaFrame):
                await self._leave_out(event)
            else:
                await self._close_pause(event.channel)
                await self.call.ingest.receive(event)

    async def _leave_out(self, frame: MediaFrame) -> None:
        samples = len(frame.payload) // self._widths[frame.channel]
        gap = self._left_out.get(frame.channel)
        if gap is None or gap.start_sample + gap.samples != frame.start_sample:
            await self._close_pause(frame.channel)
            gap = MediaGap(channel=frame.channel, start_sample=frame.start_sample, samples=0, reason="paused")
        self._left_out[frame.channel] = replace(gap, samples=gap.samples + samples)

    async def _close_pause(self, channel: ChannelName) -> None:
        gap = self._left_out.pop(channel, None)
        if gap is not None:
            await self.call.ingest.receive(gap)
