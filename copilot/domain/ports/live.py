"""What ingest tells the live loop about a call, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from copilot.domain.audio import CallStart, ChannelName, MediaGap
from copilot.domain.events import SuggestionOffered
from copilot.domain.ids import CallId, OrgId
from copilot.domain.transcript import SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptPartial


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """A telephony integration as configured: who connects, and what its channels mean."""

    org_id: OrgId
    name: str
    protocol: str
    language: str = "zh"


class CallHandle(Protocol):
    """One live call, as seen by its ingest task. Methods are called in media order by one task."""

    @property
    def call_id(self) -> CallId: ...

    @property
    def epoch(self) -> int:
        """Which owner of the call this is, from 1."""
        ...

    def hotwords(self) -> Sequence[str]:
        """Terms to bias recognition with now."""
        ...

    def speech(self, event: SpeechStarted | SpeechEnded) -> None: ...

    def partial(self, partial: TranscriptPartial) -> TranscriptPartial:
        """Takes a partial; returns it masked. Never blocks; may be dropped on its way to the screen."""
        ...

    async def final(self, final: TranscriptFinal) -> TranscriptFinal:
        """Takes a final; returns it masked once it is stored. Raises Conflict when another node owns the call now."""
        ...

    def listen(self, tell: Callable[[SuggestionOffered], None]) -> None:
        """``tell`` gets every card that is offered from now on, masked; it must not block. Takes the place of an earlier listener."""
        ...

    async def gap(self, gap: MediaGap, start_ms: int, duration_ms: int) -> None: ...

    async def degraded(self, part: str, state: str, reason: str) -> None:
        """Says that a part stopped (``down``) or resumed (``up``) helping: ``recognition``, ``recording``."""
        ...

    async def hold(self, *, held: bool, at_ms: int) -> None:
        """The customer is on hold from this media time, or no longer. Without effect when it is so already. Raises NotFound, Conflict."""
        ...

    async def transfer(self, agent: str, *, at_ms: int, reason: str) -> None:
        """The call is ``agent``'s (a username) from here on. Without effect when it is so already. Raises NotFound, Conflict."""
        ...

    async def note(self, action: str) -> None:
        """The telephone system did ``action`` to this call by its key: one line in the audit trail."""
        ...

    async def end(self, reason: str, duration_ms: int) -> None:
        """The call is over; after-call work is queued in the same transaction. Idempotent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """A call that goes on here. Per channel: up to where it is recognised (ms of media time), and the number of its last utterance."""

    handle: CallHandle
    heard_ms: Mapping[ChannelName, int]
    utterances: Mapping[ChannelName, int]


class CallSink(Protocol):
    """Opens calls. Raises Conflict when the call id is live already, Overloaded when there is no room."""

    async def open_call(self, start: CallStart, integration: Integration) -> CallHandle: ...

    async def resume_call(self, start: CallStart, integration: Integration) -> Resumption:
        """Takes over a call of this integration that another node began: from now on that one can write nothing more.

        Raises NotFound when there is none that is live, InvalidInput when its legs are others.
        """
        ...

    async def audit_refusal(self, integration: Integration | None, remote: str, reason: str) -> None:
        """A connection was refused or broken off for cause: one audit line, no content."""
        ...
