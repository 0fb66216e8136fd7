"""Sign-in, enrolment, and tickets for the feed and for recordings. Bearer tokens travel in headers only, never in a URL."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field

from copilot.api.context import ApiContext
from copilot.codec import dumps
from copilot.domain.errors import Unauthenticated
from copilot.domain.ids import CallId
from copilot.domain.people import User
from copilot.domain.ports.bus import agent_topic
from copilot.store.signin import Session

Json = dict[str, Any]
_SIGN_IN = "Sign in first: the request carries no valid session."


class Login(BaseModel):
    username: str = Field(max_length=128)
    password: str = Field(max_length=1024)


class Enrol(BaseModel):
    token: str = Field(max_length=256)
    password: str = Field(max_length=1024)
    username: str | None = Field(None, max_length=128)


class TicketRequest(BaseModel):
    purpose: Literal["feed", "audio", "microphone"]
    call_id: str | None = Field(None, max_length=128)


def public_user(user: User) -> Json:
    """The user as the screens see them."""
    return {
        "user_id": user.user_id,
        "username": user.username,
        "display_name": user.display_name,
        "roles": sorted(user.roles),
        "org_id": user.org_id,
    }


def bearer(authorization: str | None) -> str:
    """The token of an Authorization header. Raises Unauthenticated."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated(_SIGN_IN)
    return token.strip()


def current_user(context: ApiContext) -> Callable[..., User]:
    """The dependency that names the caller."""

    def user(authorization: Annotated[str | None, Header()] = None) -> User:
        return context.signin.user_of(bearer(authorization))

    return user


def media_user(context: ApiContext) -> Callable[..., User]:
    """The same for recordings, where a player cannot send a header: an audio ticket of this call may stand in the query."""

    def user(
        call_id: str,
        request: Request,
        authorization: Annotated[str | None, Header()] = None,
        ticket: Annotated[str | None, Query(max_length=256)] = None,
    ) -> User:
        if ticket is None:
            return context.signin.user_of(bearer(authorization))
        # A media element sends no Origin to its own site; when it does send one, it must be the ticket's.
        return context.signin.redeem_ticket(ticket, "audio", request.headers.get("origin"), CallId(call_id))

    return user


def session_body(session: Session) -> Json:
    """What a screen gets when somebody has signed in."""
    return {"token": session.token, "expires_at": session.expires_at.isoformat(), "user": public_user(session.user)}


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(tags=["sign-in"])
    signed = Depends(current_user(context))

    @routes.post("/auth/login")
    def login(body: Login) -> Json:
        """A session for a local account."""
        return session_body(context.signin.login(body.username, body.password))

    @routes.get("/auth/enrolment/{token}")
    def enrolment(token: str) -> Json:
        """Whom an enrolment link is for."""
        found = context.people.enrolment(token)
        return {
            "username": found.user.username,
            "display_name": found.user.display_name,
            "roles": sorted(found.user.roles),
            "expires_at": found.expires_at.isoformat(),
        }

    @routes.post("/auth/enrol")
    def enrol(body: Enrol) -> Json:
        """Uses the link up: sets the password and signs in."""
        user = context.people.enrol(body.token, body.password, body.username)
        return session_body(context.signin.start_session(user))

    @routes.post("/auth/logout", status_code=204)
    def logout(authorization: Annotated[str | None, Header()] = None) -> Response:
        """Ends the session; screens that were opened with it close at once."""
        user = context.signin.logout(bearer(authorization))
        if user is not None:
            context.bus.publish(agent_topic(user.org_id, user.user_id), dumps({"type": "signed_out"}))
        return Response(status_code=204)

    @routes.get("/me")
    def me(user: Annotated[User, signed]) -> Json:
        return public_user(user)

    @routes.post("/tickets")
    def tickets(
        body: TicketRequest,
        request: Request,
        user: Annotated[User, signed],
        authorization: Annotated[str | None, Header()] = None,
    ) -> Json:
        """A short-lived ticket for the feed or a call from a page (single use), or for one call's recording."""
        origin = request.headers.get("origin", "")
        call_id = CallId(body.call_id) if body.call_id else None
        ticket = context.signin.issue_ticket(user, body.purpose, origin, call_id, session=bearer(authorization))
        return {"ticket": ticket.ticket, "expires_in_s": ticket.expires_in_s}

    return routes
