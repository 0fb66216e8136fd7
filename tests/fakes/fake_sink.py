"""A CallSink that remembers what it was told. Finals come back masked as 【…】, so that a test sees who got the masked text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from copilot.domain.audio import CallStart, MediaGap
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.events import SuggestionOffered
from copilot.domain.ids import CallId
from copilot.domain.ports.live import Integration, Resumption
from copilot.domain.transcript import SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptPartial


@dataclass(eq=False)
class FakeHandle:
    call_id: CallId
    sink: FakeSink
    start: CallStart
    integration: Integration
    told: list[object] = field(default_factory=list)
    ended: tuple[str, int] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    fail_finals: list[Exception] = field(default_factory=list)
    """Raised by the next finals, one each."""
    gate: asyncio.Event | None = None
    """If set, finals wait for it."""
    busy: bool = False
    listener: Callable[[SuggestionOffered], None] | None = None
    """Who wants to hear of cards: a test offers one by calling it."""

    epoch: int = 1

    @property
    def finals(self) -> list[TranscriptFinal]:
        return [item for item in self.told if isinstance(item, TranscriptFinal)]

    @property
    def partials(self) -> list[TranscriptPartial]:
        return [item for item in self.told if isinstance(item, TranscriptPartial)]

    @property
    def degradations(self) -> list[tuple[str, str]]:
        return [item[1:3] for item in self.told if isinstance(item, tuple) and item[0] == "degraded"]

    def texts(self, channel: str) -> list[str]:
        return [final.text for final in self.finals if final.channel == channel]

    def hotwords(self) -> Sequence[str]:
        return ("星星",)

    def speech(self, event: SpeechStarted | SpeechEnded) -> None:
        assert not self.busy, "the handle is spoken to by one task at a time"
        self.told.append(event)

    def partial(self, partial: TranscriptPartial) -> TranscriptPartial:
        assert not self.busy, "the handle is spoken to by one task at a time"
        self.told.append(partial)
        return replace(partial, stable=f"【{partial.stable}】")

    async def final(self, final: TranscriptFinal) -> TranscriptFinal:
        assert not self.busy, "the handle is spoken to by one task at a time"
        self.busy = True
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            if self.fail_finals:
                raise self.fail_finals.pop(0)
            self.told.append(final)
            return replace(final, text=f"【{final.text}】")
        finally:
            self.busy = False

    def listen(self, tell: Callable[[SuggestionOffered], None]) -> None:
        self.listener = tell

    async def gap(self, gap: MediaGap, start_ms: int, duration_ms: int) -> None:
        self.told.append(("gap", gap.channel, start_ms, duration_ms, gap.reason))

    async def degraded(self, part: str, state: str, reason: str) -> None:
        self.told.append(("degraded", part, state, reason))

    async def hold(self, *, held: bool, at_ms: int) -> None:
        self.told.append(("held" if held else "resumed", at_ms))

    async def transfer(self, agent: str, *, at_ms: int, reason: str) -> None:
        if agent == "nobody":
            raise NotFound("There is no agent with this username.")
        self.told.append(("transferred", agent, at_ms, reason))

    async def note(self, action: str) -> None:
        self.told.append(("noted", action))

    async def end(self, reason: str, duration_ms: int) -> None:
        assert self.ended is None, "a call ends once"
        self.ended = (reason, duration_ms)
        self.sink.live.discard(self.call_id)
        self.over.set()


@dataclass(eq=False)
class FakeSink:
    calls: dict[str, FakeHandle] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    audits: list[tuple[str | None, str]] = field(default_factory=list)
    refuse: Exception | None = None

    async def open_call(self, start: CallStart, integration: Integration) -> FakeHandle:
        if self.refuse is not None:
            raise self.refuse
        if start.external_id in self.live:
            raise Conflict("A call with this id is live already.")
        await asyncio.sleep(0)
        handle = FakeHandle(CallId(start.external_id), self, start, integration)
        self.live.add(start.external_id)
        self.calls[start.external_id] = handle
        return handle

    async def resume_call(self, start: CallStart, integration: Integration) -> Resumption:
        raise NotFound("There is no such call to resume: it has ended, so begin a new one with another call_id.")

    async def audit_refusal(self, integration: Integration | None, remote: str, reason: str) -> None:
        assert remote
        self.audits.append((integration.name if integration else None, reason))
