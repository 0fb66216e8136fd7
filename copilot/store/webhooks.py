"""Webhook subscriptions and their messages. Secrets are sealed with the master key; every change of a subscription is audited."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.ids import CallId, OrgId
from copilot.domain.people import AuditEntry
from copilot.domain.webhooks import Attempt, Message, MessageId, MessageState, Subscription, SubscriptionId, WebhookEvent
from copilot.store import tables as t
from copilot.store.announcements import message_id
from copilot.store.audit import append_entry
from copilot.store.database import Database
from copilot.store.keyring import KeyRing

SECRET_BYTES = 32
ROTATION = timedelta(hours=24)
"""So long the secret before the present one signs as well, so that the receiver can change over."""
MAX_PAGE = 200
_CHANGEABLE = frozenset({"url", "events", "description", "template", "authorization_env", "active"})


class SqlWebhooks:
    """Synchronous and thread-safe."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    # -- subscriptions -----------------------------------------------------------------------------------------------------------------

    def create(
        self,
        org_id: OrgId,
        actor: str,
        *,
        url: str,
        events: Sequence[WebhookEvent],
        description: str = "",
        template: str = "",
        authorization_env: str = "",
    ) -> tuple[Subscription, bytes]:
        """The subscription and its secret, which is shown this once."""
        name, secret, now = SubscriptionId(f"wh_{secrets.token_hex(8)}"), secrets.token_bytes(SECRET_BYTES), self._clock.now()
        key_id, sealed = self._keyring.wrap(secret, _context(org_id, name))
        values = {
            "org_id": org_id,
            "subscription_id": name,
            "url": url,
            "events": list(dict.fromkeys(events)),
            "description": description,
            "template": template,
            "authorization_env": authorization_env,
            "active": True,
            "created_at": now,
            "key_id": key_id,
            "secret": sealed,
        }
        with self._database.write() as connection:
            connection.execute(sa.insert(t.webhook_subscriptions).values(**values))
            self._audit(connection, org_id, actor, "webhook.create", name, ", ".join(events))
        return _subscription({**values, "rotated_until": None}), secret

    def change(self, org_id: OrgId, actor: str, subscription_id: SubscriptionId, **values: Any) -> Subscription:
        """Sets what is given. Raises NotFound."""
        assert values.keys() <= _CHANGEABLE, values.keys()
        with self._database.write() as connection:
            row = self._locked(connection, org_id, subscription_id)
            if values:
                connection.execute(sa.update(t.webhook_subscriptions).where(_is(org_id, subscription_id)).values(**values))
                self._audit(connection, org_id, actor, "webhook.change", subscription_id, ", ".join(sorted(values)))
        return _subscription({**row, **values})

    def rotate(self, org_id: OrgId, actor: str, subscription_id: SubscriptionId) -> bytes:
        """A new secret; for a day both sign. Raises NotFound."""
        secret = secrets.token_bytes(SECRET_BYTES)
        key_id, sealed = self._keyring.wrap(secret, _context(org_id, subscription_id))
        with self._database.write() as connection:
            row = self._locked(connection, org_id, subscription_id)
            rotated = {
                "key_id": key_id,
                "secret": sealed,
                "old_key_id": row["key_id"],
                "old_secret": row["secret"],
                "rotated_until": self._clock.now() + ROTATION,
            }
            connection.execute(sa.update(t.webhook_subscriptions).where(_is(org_id, subscription_id)).values(**rotated))
            self._audit(connection, org_id, actor, "webhook.rotate", subscription_id)
        return secret

    def remove(self, org_id: OrgId, actor: str, subscription_id: SubscriptionId) -> None:
        """Its waiting messages are withdrawn. Raises NotFound."""
        waiting = sa.and_(_messages_of(org_id, subscription_id), t.webhook_messages.c.state.in_(("queued", "leased", "failed")))
        with self._database.write() as connection:
            self._locked(connection, org_id, subscription_id)
            connection.execute(sa.update(t.webhook_messages).where(waiting).values(state="withdrawn", lease_until=None))
            connection.execute(sa.delete(t.webhook_subscriptions).where(_is(org_id, subscription_id)))
            self._audit(connection, org_id, actor, "webhook.remove", subscription_id)

    def subscriptions(self, org_id: OrgId) -> list[Subscription]:
        """Oldest first."""
        query = sa.select(t.webhook_subscriptions).where(t.webhook_subscriptions.c.org_id == org_id)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(t.webhook_subscriptions.c.created_at, t.webhook_subscriptions.c.subscription_id))
            return [_subscription(row) for row in found.mappings()]

    def subscription(self, org_id: OrgId, subscription_id: SubscriptionId) -> tuple[Subscription, tuple[bytes, ...]]:
        """With the secrets that sign now, the newest first. Raises NotFound."""
        with self._database.read() as connection:
            row = self._locked(connection, org_id, subscription_id)
        context = _context(org_id, subscription_id)
        signing = [self._keyring.unwrap(row["key_id"], row["secret"], context)]
        if row["rotated_until"] is not None and row["rotated_until"] > self._clock.now():
            signing.append(self._keyring.unwrap(row["old_key_id"], row["old_secret"], context))
        return _subscription(row), tuple(signing)

    # -- messages ----------------------------------------------------------------------------------------------------------------------

    def test(self, org_id: OrgId, actor: str, subscription_id: SubscriptionId) -> Message:
        """Queues a message that says nothing, to see whether it arrives. Raises NotFound."""
        now = self._clock.now()
        values = {
            "org_id": org_id,
            "message_id": message_id(subscription_id, secrets.token_hex(8)),
            "subscription_id": subscription_id,
            "event": "webhook.test",
            "call_id": "",
            "subject": {},
            "created_at": now,
            "state": "queued",
            "attempts": 0,
            "next_at": now,
            "status": None,
            "error": "",
        }
        with self._database.write() as connection:
            self._locked(connection, org_id, subscription_id)
            connection.execute(sa.insert(t.webhook_messages).values(**values))
            self._audit(connection, org_id, actor, "webhook.test", subscription_id)
        return _message(values)

    def lease(self, now: datetime, lease_s: float, limit: int = 20) -> list[Message]:
        """Messages that are due (of active subscriptions), and those whose sender was never heard of again."""
        message = t.webhook_messages.c
        due = sa.or_(
            sa.and_(message.state == "queued", message.next_at <= now), sa.and_(message.state == "leased", message.lease_until <= now)
        )
        same = sa.and_(
            t.webhook_subscriptions.c.org_id == message.org_id, t.webhook_subscriptions.c.subscription_id == message.subscription_id
        )
        query = (
            sa.select(t.webhook_messages)
            .join(t.webhook_subscriptions, same)
            .where(due, t.webhook_subscriptions.c.active.is_(True))
            .order_by(message.next_at, message.message_id)
            .limit(limit)
            .with_for_update(skip_locked=True, of=t.webhook_messages)
        )
        with self._database.write() as connection:
            found = connection.execute(query).mappings().all()
            for row in found:
                leased = {"state": "leased", "lease_until": now + timedelta(seconds=lease_s)}
                connection.execute(sa.update(t.webhook_messages).where(_is_message(row["org_id"], row["message_id"])).values(**leased))
        return [_message(row) for row in found]

    def record(self, message: Message, attempt: Attempt, state: MessageState, next_at: datetime | None = None) -> None:
        """What became of an attempt; in the same transaction the message goes on, or is closed. A message withdrawn meanwhile stays so."""
        values: dict[str, Any] = {
            "state": state,
            "attempts": attempt.number,
            "status": attempt.status,
            "error": attempt.error,
            "lease_until": None,
        }
        if next_at is not None:
            values["next_at"] = next_at
        here = _is_message(message.org_id, message.message_id)
        with self._database.write() as connection:
            connection.execute(sa.update(t.webhook_messages).where(here, t.webhook_messages.c.state == "leased").values(**values))
            known = sa.select(sa.func.max(t.webhook_attempts.c.number)).where(
                t.webhook_attempts.c.org_id == message.org_id, t.webhook_attempts.c.message_id == message.message_id
            )
            number = 1 + (connection.execute(known).scalar() or 0)
            connection.execute(
                sa.insert(t.webhook_attempts).values(
                    org_id=message.org_id,
                    message_id=message.message_id,
                    number=number,
                    at=attempt.at,
                    status=attempt.status,
                    error=attempt.error,
                    duration_ms=attempt.duration_ms,
                )
            )

    def messages(
        self,
        org_id: OrgId,
        subscription_id: SubscriptionId,
        *,
        state: MessageState | None = None,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
    ) -> list[Message]:
        """The delivery log, newest first; ``before`` = (created_at, message_id) of the last of the previous page."""
        message = t.webhook_messages.c
        query = sa.select(t.webhook_messages).where(_messages_of(org_id, subscription_id))
        if state is not None:
            query = query.where(message.state == state)
        if before is not None:
            last = sa.tuple_(sa.literal(before[0], message.created_at.type), sa.literal(before[1], message.message_id.type))
            query = query.where(sa.tuple_(message.created_at, message.message_id) < last)
        query = query.order_by(message.created_at.desc(), message.message_id.desc()).limit(max(1, min(limit, MAX_PAGE + 1)))
        with self._database.read() as connection:
            return [_message(row) for row in connection.execute(query).mappings()]

    def attempts(self, org_id: OrgId, name: MessageId) -> list[Attempt]:
        """Oldest first."""
        here = sa.and_(t.webhook_attempts.c.org_id == org_id, t.webhook_attempts.c.message_id == name)
        with self._database.read() as connection:
            found = connection.execute(sa.select(t.webhook_attempts).where(here).order_by(t.webhook_attempts.c.number)).mappings()
            return [
                Attempt(number=row["number"], at=row["at"], status=row["status"], error=row["error"], duration_ms=row["duration_ms"])
                for row in found
            ]

    def replay(self, org_id: OrgId, actor: str, name: MessageId) -> Message:
        """Sends a message again under the same id, whatever became of it. Raises NotFound, Conflict when it was withdrawn."""
        now = self._clock.now()
        with self._database.write() as connection:
            row = (
                connection.execute(sa.select(t.webhook_messages).where(_is_message(org_id, name)).with_for_update())
                .mappings()
                .one_or_none()
            )
            if row is None:
                raise NotFound("There is no such message.")
            if row["state"] == "withdrawn":
                raise Conflict("The call or the subscription of this message is gone.")
            again = {"state": "queued", "next_at": now, "attempts": 0, "lease_until": None, "error": ""}
            connection.execute(sa.update(t.webhook_messages).where(_is_message(org_id, name)).values(**again))
            self._audit(connection, org_id, actor, "webhook.replay", row["subscription_id"], name)
        return _message({**row, **again})

    def replay_failed(self, org_id: OrgId, actor: str, subscription_id: SubscriptionId) -> int:
        """Sends again everything that was given up; how many. Raises NotFound."""
        failed = sa.and_(_messages_of(org_id, subscription_id), t.webhook_messages.c.state == "failed")
        again = {"state": "queued", "next_at": self._clock.now(), "attempts": 0, "lease_until": None, "error": ""}
        with self._database.write() as connection:
            self._locked(connection, org_id, subscription_id)
            count = connection.execute(sa.update(t.webhook_messages).where(failed).values(**again)).rowcount
            self._audit(connection, org_id, actor, "webhook.replay", subscription_id, f"{count} failed")
        return count

    def _locked(self, connection: Connection, org_id: OrgId, subscription_id: SubscriptionId) -> RowMapping:
        found = connection.execute(sa.select(t.webhook_subscriptions).where(_is(org_id, subscription_id))).mappings().one_or_none()
        if found is None:
            raise NotFound("There is no such webhook.")
        return found

    def _audit(self, connection: Connection, org_id: OrgId, actor: str, action: str, target: str, detail: str = "") -> None:
        entry = AuditEntry(org_id=org_id, at=self._clock.now(), actor=actor, action=action, target=target, detail=detail)
        append_entry(connection, entry)


def _context(org_id: str, subscription_id: str) -> bytes:
    return f"webhook\0{org_id}\0{subscription_id}".encode()


def _is(org_id: str, subscription_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(t.webhook_subscriptions.c.org_id == org_id, t.webhook_subscriptions.c.subscription_id == subscription_id)


def _is_message(org_id: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(t.webhook_messages.c.org_id == org_id, t.webhook_messages.c.message_id == name)


def _messages_of(org_id: str, subscription_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(t.webhook_messages.c.org_id == org_id, t.webhook_messages.c.subscription_id == subscription_id)


def _subscription(row: RowMapping | dict[str, Any]) -> Subscription:
    return Subscription(
        org_id=OrgId(row["org_id"]),
        subscription_id=SubscriptionId(row["subscription_id"]),
        url=row["url"],
        events=tuple(row["events"]),
        description=row["description"],
        template=row["template"],
        authorization_env=row["authorization_env"],
        active=row["active"],
        created_at=row["created_at"],
        rotated_until=row["rotated_until"],
    )


def _message(row: RowMapping | dict[str, Any]) -> Message:
    return Message(
        org_id=OrgId(row["org_id"]),
        message_id=MessageId(row["message_id"]),
        subscription_id=SubscriptionId(row["subscription_id"]),
        event=cast("WebhookEvent", row["event"]),
        call_id=CallId(row["call_id"]),
        subject=row["subject"],
        created_at=row["created_at"],
        state=row["state"],
        attempts=row["attempts"],
        next_at=row["next_at"],
        status=row["status"],
        error=row["error"],
    )
