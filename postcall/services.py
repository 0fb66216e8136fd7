"""What a worker process holds while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from copilot.domain.clock import Clock
from copilot.domain.events import EventEnvelope
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.store import Outbox
from postcall.recording import CopyMaker
from postcall.run import Tools


class CallEvents(Protocol):
    """The part of ``CallReader`` that after-call work needs."""

    def events(self, org_id: OrgId, call_id: CallId, after_seq: int = 0, limit: int = 1000) -> list[EventEnvelope]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PostcallServices:
    """``tools`` makes (or remembers) what one organisation configured; it may take seconds the first time."""

    outbox: Outbox
    calls: CallEvents
    copies: CopyMaker
    tools: Callable[[OrgId], Tools]
    clock: Clock
