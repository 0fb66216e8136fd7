"""The legs of one call that arrive on connections of their own: who has come, who is missing, and when the call is over. Pure."""

from __future__ import annotations

from copilot.domain.audio import ChannelName
from copilot.domain.errors import Conflict, RemoteProtocolError
from streaming.telephony.messages import PROTOCOL_VIOLATION


class Meeting:
    """``legs`` are expected; a call does not wait for them to begin, and a leg may come at any time while another one is there.

    ``mixed`` beside other legs is a further party of a conference: it may come, and nobody waits for it.
    When the last leg that is there leaves, the call is over if every leg has come; else it waits ``wait_ms`` from then on for the missing
    ones. Times in ms of one monotonic clock.
    """

    def __init__(self, legs: tuple[ChannelName, ...], wait_ms: float) -> None:
        self.legs = legs
        self._wait_ms = wait_ms
        self._present: set[ChannelName] = set()
        self._left: set[ChannelName] = set()
        self._alone_since = 0.0

    @property
    def present(self) -> frozenset[ChannelName]:
        """The legs that are there now."""
        return frozenset(self._present)

    @property
    def missing(self) -> tuple[ChannelName, ...]:
        """The legs that are waited for and never came."""
        return tuple(leg for leg in self.legs if leg not in self._present | self._left and (leg != "mixed" or len(self.legs) == 1))

    def arrive(self, channel: ChannelName) -> None:
        """Raises RemoteProtocolError for a leg the call has not, Conflict for one that is there or was there."""
        if channel not in self.legs:
            raise RemoteProtocolError(f"This call has no leg {channel}: its legs are {', '.join(self.legs)}.", code=PROTOCOL_VIOLATION)
        if channel in self._present:
            raise Conflict(f"The {channel} leg of this call is connected already; the second connection was refused.")
        if channel in self._left:
            raise Conflict(f"The {channel} leg of this call has ended already.")
        self._present.add(channel)

    def leave(self, channel: ChannelName, now_ms: float) -> None:
        self._present.discard(channel)
        self._left.add(channel)
        if not self._present:
            self._alone_since = now_ms

    def over(self, now_ms: float) -> bool:
        """True once nobody is there and nobody is waited for."""
        return not self._present and bool(self._left) and (not self.missing or now_ms >= self.until_ms)

    @property
    def until_ms(self) -> float:
        """When the wait for the missing legs of a call that everybody left is over."""
        return self._alone_since + self._wait_ms
