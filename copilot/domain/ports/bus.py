"""Doorbells and ephemeral messages between tasks and nodes. Never the truth: that is the event log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BusMessage:
    """``body`` is JSON text. ``lost`` counts messages this subscriber missed just before this one because its queue was full."""

    topic: str
    body: str
    lost: int = 0


class Bus(Protocol):
    def publish(self, topic: str, body: str) -> None:
        """Hands the message to every subscriber; never blocks, never raises for a slow one (its oldest message is dropped and counted)."""
        ...

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[Subscription]:
        """Subscribed from the moment the context is entered."""
        ...


class Subscription(Protocol):
    def __aiter__(self) -> AsyncIterator[BusMessage]: ...

    def add(self, topic: str) -> None: ...

    def discard(self, topic: str) -> None: ...


def call_topic(org_id: str, call_id: str) -> str:
    """Everything of one call: feed messages as JSON (see docs/reference/feed.md)."""
    return f"call/{org_id}/{call_id}"


def agent_topic(org_id: str, user_id: str) -> str:
    """``{"call_id": …}`` whenever a call of this agent opens or ends."""
    return f"agent/{org_id}/{user_id}"


def board_topic(org_id: str) -> str:
    """``{"call_id", "seq", "at", "event"}`` for every event that a live board shows, without what was said."""
    return f"board/{org_id}"


def jobs_topic() -> str:
    """Rung when the outbox has new work."""
    return "jobs"
