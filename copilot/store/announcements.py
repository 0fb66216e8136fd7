"""What happens to a call becomes messages to other systems in the same transaction: none is lost, none is made twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot.domain.calls import Call
from copilot.domain.events import EventEnvelope
from copilot.domain.webhooks import events_of
from copilot.store import tables as t
from copilot.store.database import insert_if_new


def announce(connection: Connection, envelopes: Sequence[EventEnvelope], before: Call, after: Call, at: datetime) -> None:
    """Queues a message for each active subscription to what these events tell."""
    told = list(events_of(envelopes, before, after))
    if not told:
        return
    subscription = t.webhook_subscriptions.c
    query = sa.select(subscription.subscription_id, subscription.events).where(
        subscription.org_id == after.org_id, subscription.active.is_(True)
    )
    for row in connection.execute(query).all():
        for event, seq, subject in told:
            if event in row.events:
                insert_if_new(
                    connection,
                    t.webhook_messages,
                    org_id=after.org_id,
                    message_id=message_id(row.subscription_id, after.call_id, str(seq), event),
                    subscription_id=row.subscription_id,
                    event=event,
                    call_id=after.call_id,
                    subject=subject,
                    created_at=at,
                    state="queued",
                    attempts=0,
                    next_at=at,
                    error="",
                )


def message_id(*parts: str) -> str:
    """The same for the same event and subscription, whoever makes it."""
    return "msg_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
