"""What agents ask of the bank's own systems: questions over views, and look-ups from files."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.errors import Forbidden
from copilot.domain.people import User

Json = dict[str, Any]
_ASKING = frozenset({"agent", "team_lead"})


class Asked(BaseModel):
    """A question in the agent's words."""

    question: str = Field(min_length=1, max_length=500)
    language: Literal["zh", "en"] = "zh"


class LookUp(BaseModel):
    """Values for a look-up; ``confirmation`` as the first answer gave it, where the look-up asks for one."""

    values: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=500)]] = Field(default_factory=dict, max_length=16)
    confirmation: str = Field("", max_length=64)


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/tools", tags=["tools"])
    signed = Depends(current_user(context))

    def allowed(user: User) -> User:
        if not user.roles & _ASKING:
            raise Forbidden("Only agents and team leads ask the bank's systems from here.")
        return user

    @routes.get("")
    def listed(user: Annotated[User, signed], language: Literal["zh", "en"] = "zh") -> Json:
        """The questions and look-ups that are set up."""
        allowed(user)
        return {"tools": context.tools.listed(language)}

    @routes.post("/ask")
    def ask(body: Asked, user: Annotated[User, signed]) -> Json:
        """Answers a question over the allowed views, or says why not. Read-only; audited."""
        allowed(user)
        answer: Json = to_json(context.tools.ask(body.question, body.language, user.org_id, user.user_id))
        return answer

    @routes.post("/{tool_id}")
    def look_up(tool_id: str, body: LookUp, user: Annotated[User, signed]) -> Json:
        """Runs a look-up. Status ``confirm``: send the same again with the ``confirmation`` once the agent has agreed. Audited."""
        allowed(user)
        answer: Json = to_json(context.tools.look_up(tool_id, body.values, body.confirmation, user.org_id, user.user_id))
        return answer

    return routes
