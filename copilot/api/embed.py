"""The sidebar inside a host page (a CRM): which pages may, and how a host's back end signs its agent in (docs/how-to/embed.md)."""

import hashlib
import hmac
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, Field

from copilot.api.auth import bearer, session_body
from copilot.api.context import ApiContext
from copilot.domain.errors import Forbidden, NotFound, Unauthenticated
from copilot.domain.people import AuditEntry, Role

Json = dict[str, Any]
_SIGNED_IN_BY_HOSTS: frozenset[Role] = frozenset({"agent", "team_lead"})
"""A stolen host key must not open the roles that see every call or run the server."""


class HostToken(BaseModel):
    """``origin``: of the host page, as the browser writes it (``https://crm.bank.example``)."""

    username: str = Field(max_length=128)
    origin: str = Field(max_length=512)


class HostSignIn(BaseModel):
    token: str = Field(max_length=256)
    host: str = Field(max_length=512)


def origin_of(url: str) -> str:
    """``scheme://host[:port]`` of a URL, lower case; empty when it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme in ("http", "https") and parts.netloc else ""


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/embed", tags=["embedding"])
    allowed = frozenset(origin_of(origin) for origin in context.origins) - {""}

    @routes.get("")
    def may_embed(host: Annotated[str, Query(max_length=512)]) -> Json:
        """Whether a page of this origin may embed the sidebar. The frame asks before it says a word to its host."""
        return {"allowed": origin_of(host) in allowed}

    @routes.post("/tokens", status_code=201)
    def issue(body: HostToken, authorization: Annotated[str | None, Header()] = None) -> Json:
        """For the host's back end: a token with which its page signs one agent in, once, within a minute, from one origin."""
        digest = "sha256:" + hashlib.sha256(bearer(authorization).encode()).hexdigest()
        if not any(hmac.compare_digest(digest, key) for key in context.host_keys):
            raise Forbidden("This key may not sign anybody in; see server.host_keys.")
        origin = origin_of(body.origin)
        if origin not in allowed:
            raise Forbidden("Pages of this origin may not embed the sidebar; see server.origins.")
        user = context.people.user_by_name(context.host_org, body.username)
        if user is None or not user.active:
            raise NotFound("There is no such active user.")
        if not user.roles <= _SIGNED_IN_BY_HOSTS:
            raise Forbidden("A host page signs in agents and team leads only; others sign in themselves.")
        ticket = context.signin.issue_ticket(user, "embed", origin)
        now = context.clock.now()
        context.audit.record(AuditEntry(org_id=user.org_id, at=now, actor="host", action="embed.token", target=user.user_id, detail=origin))
        return {"token": ticket.ticket, "expires_in_s": ticket.expires_in_s}

    @routes.post("/sessions")
    def sign_in(body: HostSignIn, request: Request) -> Json:
        """For the frame: a session for the token its host gave it. ``host`` is the origin that the browser says the token came from."""
        # The frame is a page of ours; a host page that calls this itself would hold the session.
        if request.headers.get("origin", "") in allowed - {origin_of(context.public_url)}:
            raise Unauthenticated("Only the sidebar's own frame can use this token.")
        user = context.signin.redeem_ticket(body.token, "embed", origin_of(body.host))
        return session_body(context.signin.start_session(user, "login.embedded"))

    return routes
