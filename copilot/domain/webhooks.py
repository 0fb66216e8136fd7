"""What the product tells other systems: subscriptions, messages, and what became of each attempt to deliver one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from copilot.domain.artifacts import ARTIFACT_KINDS
from copilot.domain.calls import Call
from copilot.domain.events import ArtifactFailed, ArtifactReady, CallEnded, EventEnvelope, WrapUpSubmitted
from copilot.domain.ids import CallId, OrgId

SubscriptionId = NewType("SubscriptionId", str)
MessageId = NewType("MessageId", str)
WebhookEvent = Literal[
    "call.ended", "artifact.ready", "artifact.failed", "artifacts.ready", "qa.finished", "ticket.confirmed", "webhook.test"
]
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = (
    "call.ended",
    "artifact.ready",
    "artifact.failed",
    "artifacts.ready",
    "qa.finished",
    "ticket.confirmed",
)
"""Those that one can subscribe to. ``artifacts.ready``: the last of a call's artifacts came; ``ticket.confirmed``: the agent handed the
form in."""
MessageState = Literal["queued", "leased", "delivered", "failed", "withdrawn"]
"""``failed``: given up after days, waits for a person; ``withdrawn``: its call was erased, or its subscription removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Where messages go. ``template``: how the body is written; empty: the standard payload.

    ``authorization_env``: environment variable whose value is sent as the Authorization header; empty: none is sent.
    """

    org_id: OrgId
    subscription_id: SubscriptionId
    url: str
    events: tuple[WebhookEvent, ...]
    description: str = ""
    template: str = ""
    authorization_env: str = ""
    active: bool = True
    created_at: datetime
    rotated_until: datetime | None = None
    """Until then the secret before the present one signs as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event for one subscription; its id is the receiver's idempotency key and never changes, however often it is sent."""

    org_id: OrgId
    message_id: MessageId
    subscription_id: SubscriptionId
    event: WebhookEvent
    call_id: CallId
    subject: Mapping[str, int]
    """Artifact kind → version that the event is about."""
    created_at: datetime
    state: MessageState
    attempts: int
    next_at: datetime
    status: int | None = None
    """HTTP status of the last answer; None when none came."""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One delivery that was tried."""

    number: int
    at: datetime
    status: int | None
    error: str
    duration_ms: int


def events_of(envelopes: Iterable[EventEnvelope], before: Call, after: Call) -> Iterator[tuple[WebhookEvent, int, dict[str, int]]]:
    """(event, seq, subject) of what other systems are told. ``before`` and ``after``: the call without and with the events."""
    last = 0
    for envelope in envelopes:
        last = envelope.seq
        match envelope.event:
            case CallEnded():
                yield "call.ended", envelope.seq, {}
            case ArtifactReady(kind=kind, version=version):
                yield "artifact.ready", envelope.seq, {kind: version}
                if kind == "qa":
                    yield "qa.finished", envelope.seq, {kind: version}
            case ArtifactFailed(kind=kind):
                yield "artifact.failed", envelope.seq, {kind: 0}
            case WrapUpSubmitted(versions=versions) if "ticket" in versions:
                yield "ticket.confirmed", envelope.seq, dict(versions)
            case _:
                pass
    if set(after.artifacts) >= set(ARTIFACT_KINDS) and not set(before.artifacts) >= set(ARTIFACT_KINDS):
        yield "artifacts.ready", last, {}
