"""Calls that a telephony system announces before they connect: their legs' ids, whose they are, and what is known of them. Pure.

Protocols without a credential of their own (AudioSocket) admit announced ids only, each once and for a short while; for the others an
announcement says which connections make one call. Kept in the memory of the node that the calls will connect to.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from copilot.domain.audio import CHANNELS, ChannelName
from copilot.domain.errors import Conflict, InvalidInput, Overloaded
from copilot.domain.ids import is_call_id

MAX_WAIT_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedLeg:
    """``leg_id`` is what the connection will say it is: an AudioSocket UUID, an Asterisk channel id."""

    leg_id: str
    channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One call to come. ``until`` is on the clock that the book is told."""

    integration: str
    call_id: str
    legs: tuple[AnnouncedLeg, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    language: str | None = None
    until: float = 0.0

    @property
    def channels(self) -> tuple[ChannelName, ...]:
        return tuple(leg.channel for leg in self.legs)


class AnnouncementBook:
    """At most ``size`` legs wait; ``now`` in s of any one monotonic clock."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._waiting: dict[str, tuple[Announcement, ChannelName]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def announce(
        self,
        integration: str,
        *,
        call_id: str | None,
        legs: tuple[tuple[str | None, str], ...],
        metadata: Mapping[str, str],
        language: str | None,
        wait_s: float,
        now: float,
        uuids: bool,
    ) -> Announcement:
        """Takes a call in. Ids that are not given are made (random UUIDs); ``uuids``: every leg id must be one.

        Raises InvalidInput, Conflict for an id that waits already, Overloaded.
        """
        if call_id is not None and not is_call_id(call_id):
            raise InvalidInput('"call_id" must be 1–128 letters, digits or . _ : - and begin with a letter or digit.')
        channels = [channel for _, channel in legs]
        if not legs or any(channel not in CHANNELS for channel in channels) or len(set(channels)) != len(channels):
            raise InvalidInput(f'"legs" must be one to three, each with another "channel" out of {", ".join(CHANNELS)}.')
        if not 0 < wait_s <= MAX_WAIT_S:
            raise InvalidInput(f'"wait_s" must be above 0 and at most {MAX_WAIT_S:g}.')
        ids = [_leg_id(leg_id, uuids=uuids) for leg_id, _ in legs]
        self._forget(now)
        if len(set(ids)) != len(ids) or any(leg_id in self._waiting for leg_id in ids):
            raise Conflict("This leg id was announced already.")
        if len(self._waiting) + len(ids) > self._size:
            raise Overloaded(f"{self._size} announced legs are waiting already: announce a call when it is about to connect.")
        announcement = Announcement(
            integration=integration,
            call_id=call_id or f"call-{uuid.uuid4()}",
            legs=tuple(AnnouncedLeg(leg_id=a, channel=b) for a, b in zip(ids, channels, strict=True)),  # type: ignore[arg-type]  # checked above
            metadata=dict(metadata),
            language=language,
            until=now + wait_s,
        )
        for leg in announcement.legs:
            self._waiting[leg.leg_id] = (announcement, leg.channel)
        return announcement

    def take(self, leg_id: str, now: float, integration: str) -> tuple[Announcement, ChannelName] | None:
        """The call that ``integration`` announced a leg of, once: the next connection with this id is not known any more."""
        self._forget(now)
        found = self._waiting.get(leg_id)
        if found is None or found[0].integration != integration:
            return None
        return self._waiting.pop(leg_id)

    def _forget(self, now: float) -> None:
        for leg_id in [leg_id for leg_id, (announcement, _) in self._waiting.items() if announcement.until < now]:
            del self._waiting[leg_id]


def _leg_id(given: str | None, *, uuids: bool) -> str:
    if given is None:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(given))
    except ValueError:
        if uuids or not is_call_id(given):
            raise InvalidInput(
                'The "id" of a leg must be a UUID.' if uuids else '"id" of a leg must be 1–128 letters, digits or . _ : -.'
            ) from None
        return given
