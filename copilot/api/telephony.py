"""What a telephone system asks over HTTP: to announce a call; to pause, hold, transfer or end one.

Authenticated by its integration's key, not by a session.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Path, Request
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
    legs: list[LegToCome] = Field(min_length=1, max_length=3)
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
class Asking:
    """Who asks: the Authorization header and the peer's address."""

    authorization: str
    remote: str


class Pausing(BaseModel):
    paused: bool


class Transfer(BaseModel):
    """To whom the call went."""

    agent: str = Field(min_length=1, max_length=128, description="Username of the agent who has the call now.")
    reason: str = Field("", max_length=500)


class TelephoneSystem(Protocol):
    """What a telephone system may ask of the telephony server of this node, with the key of its integration."""

    async def announce(self, who: Asking, call: CallToCome) -> AnnouncedCall:
        """Raises Unauthenticated, Forbidden, InvalidInput, Conflict, Overloaded."""
        ...

    async def pause(self, who: Asking, call_id: str, *, paused: bool) -> None:
        """Raises Unauthenticated, Forbidden, NotFound, Overloaded."""
        ...

    async def hold(self, who: Asking, call_id: str, *, held: bool) -> None:
        """Raises Unauthenticated, Forbidden, NotFound, Conflict, Overloaded."""
        ...

    async def transfer(self, who: Asking, call_id: str, *, agent: str, reason: str) -> None:
        """Raises Unauthenticated, Forbidden, NotFound, Conflict, Overloaded."""
        ...

    async def end(self, who: Asking, call_id: str) -> None:
        """Raises Unauthenticated, Forbidden, NotFound, Overloaded."""
        ...


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(tags=["telephony"])

    @routes.post("/telephony/calls", status_code=201)
    async def announce(request: Request, call: CallToCome) -> AnnouncedCall:
        """Announce a call of an AudioSocket or Asterisk integration, with `Authorization: Bearer <key of the integration>`.

        Each leg's id admits one connection, once, for `wait_s`. The announcement lives in the memory of this node: the call must connect
        to the same one.
        """
        taken: AnnouncedCall = await context.telephony.announce(_who(request), call)
        return taken

    @routes.post("/telephony/calls/{call_id}/pause", status_code=204)
    async def pause(request: Request, call_id: Annotated[str, Path(max_length=128)], wanted: Pausing) -> None:
        """Stop hearing a live call while card data is spoken, and hear it again, with the key of the call's integration.

        The telephone system is asked to stop sending, where its protocol knows that; what it sends all the same is neither recorded nor
        recognised. `call_id` is the telephone system's own id of the call.
        """
        await context.telephony.pause(_who(request), call_id, paused=wanted.paused)

    @routes.post("/telephony/calls/{call_id}/hold", status_code=204)
    async def hold(request: Request, call_id: Annotated[str, Path(max_length=128)]) -> None:
        """Say that the customer is on hold. Without effect when it is so already.

        The agent's sidebar shows it. The media clock runs on, and what is sent meanwhile is heard: pause the call to leave it out.
        """
        await context.telephony.hold(_who(request), call_id, held=True)

    @routes.post("/telephony/calls/{call_id}/resume", status_code=204)
    async def resume(request: Request, call_id: Annotated[str, Path(max_length=128)]) -> None:
        """Say that the hold is over. Without effect when it is so already."""
        await context.telephony.hold(_who(request), call_id, held=False)

    @routes.post("/telephony/calls/{call_id}/transfer", status_code=204)
    async def transfer(request: Request, call_id: Annotated[str, Path(max_length=128)], to: Transfer) -> None:
        """Say that another agent has the call now.

        That agent's sidebar opens it with everything so far; the one before lets go of it, and of the values behind its tokens.
        An agent who is not known here is 404, and the call stays where it is.
        """
        await context.telephony.transfer(_who(request), call_id, agent=to.agent, reason=to.reason)

    @routes.post("/telephony/calls/{call_id}/end", status_code=204)
    async def end(request: Request, call_id: Annotated[str, Path(max_length=128)]) -> None:
        """End a call whose connections would go on. The answer comes when its last words are stored."""
        await context.telephony.end(_who(request), call_id)

    return routes


def _who(request: Request) -> Asking:
    remote = request.client.host if request.client is not None else "unknown"
    return Asking(authorization=request.headers.get("authorization", ""), remote=remote)
