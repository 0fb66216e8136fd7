"""Webhook subscriptions and their delivery log, for those who run the server. Blocking reads run in FastAPI's worker threads."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.calls import make_cursor, read_cursor
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.errors import Forbidden
from copilot.domain.people import Role, User
from copilot.domain.webhooks import WEBHOOK_EVENTS, MessageId, MessageState, SubscriptionId, WebhookEvent
from copilot.store.webhooks import MAX_PAGE

Json = dict[str, Any]
KEEPERS: frozenset[Role] = frozenset({"ops_admin", "sys_admin"})


class NewWebhook(BaseModel):
    """A subscription. ``authorization_env``: a variable of the server, PANGTING_WEBHOOK_…, sent as the Authorization header."""

    url: str = Field(max_length=2000)
    events: list[WebhookEvent] = Field(min_length=1, max_length=len(WEBHOOK_EVENTS))
    description: str = Field("", max_length=200)
    template: str = Field("", max_length=64)
    authorization_env: str = Field("", max_length=128)


class WebhookChange(BaseModel):
    """What is left out stays."""

    url: str | None = Field(None, max_length=2000)
    events: list[WebhookEvent] | None = Field(None, min_length=1, max_length=len(WEBHOOK_EVENTS))
    description: str | None = Field(None, max_length=200)
    template: str | None = Field(None, max_length=64)
    authorization_env: str | None = Field(None, max_length=128)
    active: bool | None = None


def _keeper(context: ApiContext) -> Callable[..., User]:
    def keeper(user: Annotated[User, Depends(current_user(context))]) -> User:
        if not user.roles & KEEPERS:
            raise Forbidden("Only operations and system administrators keep webhooks.")
        return user

    return keeper


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/webhooks", tags=["webhooks"])
    keeper = Depends(_keeper(context))
    store, rules = context.webhooks, context.webhook_rules

    @routes.get("")
    def list_webhooks(user: Annotated[User, keeper]) -> Json:
        """Subscriptions, and what one may subscribe to and with which templates."""
        return {
            "webhooks": [to_json(item) for item in store.subscriptions(user.org_id)],
            "events": list(WEBHOOK_EVENTS),
            "templates": rules.templates(),
        }

    @routes.post("", status_code=201)
    def create(body: NewWebhook, user: Annotated[User, keeper]) -> Json:
        """A new subscription; its secret is in this answer and nowhere else. Audited."""
        rules.check(body.url, body.events, body.template, body.authorization_env)
        made, secret = store.create(user.org_id, user.user_id, **body.model_dump())
        return {"webhook": to_json(made), "secret": rules.secret_text(secret)}

    @routes.post("/{subscription_id}/change")
    def change(subscription_id: str, body: WebhookChange, user: Annotated[User, keeper]) -> Json:
        """Changes a subscription, or switches it off and on. Messages of one that is off wait. Audited."""
        name = SubscriptionId(subscription_id)
        before, _ = store.subscription(user.org_id, name)
        given = body.model_dump(exclude_none=True)
        after = {**to_json(before), **given}
        rules.check(after["url"], after["events"], after["template"], after["authorization_env"])
        changed = store.change(user.org_id, user.user_id, name, **given)
        rules.ring()
        return {"webhook": to_json(changed)}

    @routes.post("/{subscription_id}/rotate")
    def rotate(subscription_id: str, user: Annotated[User, keeper]) -> Json:
        """A new secret; for a day messages are signed with both. Audited."""
        return {"secret": rules.secret_text(store.rotate(user.org_id, user.user_id, SubscriptionId(subscription_id)))}

    @routes.post("/{subscription_id}/test", status_code=202)
    def test(subscription_id: str, user: Annotated[User, keeper]) -> Json:
        """Sends a message of type ``webhook.test``; the delivery log shows what became of it."""
        message = store.test(user.org_id, user.user_id, SubscriptionId(subscription_id))
        rules.ring()
        return {"message": to_json(message)}

    @routes.post("/{subscription_id}/remove", status_code=204)
    def remove(subscription_id: str, user: Annotated[User, keeper]) -> Response:
        """Removes a subscription; what waits for it is withdrawn. Audited."""
        store.remove(user.org_id, user.user_id, SubscriptionId(subscription_id))
        return Response(status_code=204)

    @routes.get("/{subscription_id}/messages")
    def messages(
        subscription_id: str,
        user: Annotated[User, keeper],
        state: Annotated[MessageState | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
    ) -> Json:
        """The delivery log, newest first."""
        name = SubscriptionId(subscription_id)
        store.subscription(user.org_id, name)
        found = store.messages(user.org_id, name, state=state, limit=limit + 1, before=read_cursor(cursor))
        more, found = len(found) > limit, found[:limit]
        return {
            "messages": [to_json(item) for item in found],
            "next_cursor": make_cursor(found[-1].created_at, found[-1].message_id) if more else None,
        }

    @routes.post("/{subscription_id}/replay", status_code=202)
    def replay_failed(subscription_id: str, user: Annotated[User, keeper]) -> Json:
        """Sends again what was given up. Audited."""
        count = store.replay_failed(user.org_id, user.user_id, SubscriptionId(subscription_id))
        rules.ring()
        return {"queued": count}

    @routes.get("/messages/{message_id}/attempts")
    def attempts(message_id: str, user: Annotated[User, keeper]) -> Json:
        """Every attempt to deliver a message."""
        return {"attempts": [to_json(item) for item in store.attempts(user.org_id, MessageId(message_id))]}

    @routes.post("/messages/{message_id}/replay", status_code=202)
    def replay(message_id: str, user: Annotated[User, keeper]) -> Json:
        """Sends a message again under its id; a receiver that has it drops it. Audited."""
        message = store.replay(user.org_id, user.user_id, MessageId(message_id))
        rules.ring()
        return {"message": to_json(message)}

    return routes
