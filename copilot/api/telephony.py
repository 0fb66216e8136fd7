"""Calls announced by a telephone system before they connect. Authenticated by the integration's key, not by a person's session."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from copilot.api.context import ApiContext

_Metadata = Annotated[str, Field(max_length=512)]


class LegToCome(BaseModel):
    """A leg that will connect. Without an id a random UUID is made: the best one, since it is what admits the connection."""

    id: str | None = Field(None, max_length=128)
    channel: Literal["customer", "agent", "mixed"]


class CallToCome(BaseModel):
    """A call that is about to connect."""

    call_id: str | None = Field(None, max_length=128)
    legs: list[LegToCome] = Field(min_length=1, max_length=2)
    metadata: dict[Annotated[str, Field(min_length=1, max_length=64)], _Metadata] = Field(default_factory=dict, max_length=32)
    language: Literal["zh", "en"] | None = None
    wait_s: float = Field(120.0, gt=0, le=3600, description="How long its connections may take to come, in s.")


class AnnouncedLeg(BaseModel):
    id: str
    channel: str


class AnnouncedCall(BaseModel):
    """What was taken in: the ids that the telephone system gives to the connections."""

    call_id: str
    legs: list[AnnouncedLeg]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcing:
    """Who announces: the Authorization header and the peer's address."""

    authorization: str
    remote: str


Announce = Callable[[Announcing, CallToCome], Awaitable[AnnouncedCall]]
"""Raises Unauthenticated, Forbidden, InvalidInput, Conflict, Overloaded."""


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(tags=["telephony"])

    @routes.post("/telephony/calls", status_code=201)
    async def announce(request: Request, call: CallToCome) -> AnnouncedCall:
        """Announce a call of an AudioSocket or Asterisk integration, with `Authorization: Bearer <key of the integration>`.

        Each leg's id admits one connection, once, for `wait_s`. The announcement lives in the memory of this node: the call must connect
        to the same one.
        """
        who = Announcing(
            authorization=request.headers.get("authorization", ""), remote=request.client.host if request.client is not None else "unknown"
        )
        taken: AnnouncedCall = await context.announce(who, call)
        return taken

    return routes
