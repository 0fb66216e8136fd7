"""Appeals against quality scores, and what people are told in the application."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.api.quality import AnswersIn, human_answers
from copilot.codec import to_json
from copilot.domain.ids import CallId
from copilot.domain.people import User
from copilot.store.appeals import AppealRow

Json = dict[str, Any]
AppealState = Literal["filed", "with_qa_lead", "re_review", "changed", "kept", "dismissed", "withdrawn"]


class AppealIn(BaseModel):
    call_id: str = Field(max_length=128)
    items: list[str] = Field(min_length=1, max_length=100)
    reason: str = Field(min_length=1, max_length=4000)


class StepIn(BaseModel):
    action: Literal["forward", "dismiss", "withdraw", "assign"]
    note: str = Field("", max_length=4000)
    assignee: str | None = Field(None, max_length=128)


class NoticesRead(BaseModel):
    ids: list[str] | None = Field(None, max_length=200, description="None: all of them.")


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(tags=["appeals"])
    signed = Depends(current_user(context))

    def shown(user: User, *appeals: AppealRow) -> list[Json]:
        people = {who for row in appeals for who in (row.agent_id, row.assigned_to, row.forwarded_by, row.reviewer_id) if who}
        names = context.people.names(user.org_id, people)
        return [
            {**to_json(row), "agent_name": names.get(row.agent_id, ""), "assigned_name": names.get(row.assigned_to or "", "")}
            for row in appeals
        ]

    @routes.get("/qa/appeals")
    def appeals(
        user: Annotated[User, signed],
        state: Annotated[list[AppealState] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 100,
    ) -> Json:
        """Appeals about calls in scope; without ``state`` those that are open, earliest due first."""
        found = context.review.appeals(user, state or ["filed", "with_qa_lead", "re_review"], limit)
        return {"appeals": shown(user, *found)}

    @routes.post("/qa/appeals", status_code=201)
    def file(body: AppealIn, user: Annotated[User, signed]) -> Json:
        """The agent of a call appeals against answers of its scorecard."""
        return shown(user, context.review.file_appeal(user, CallId(body.call_id), body.items, body.reason))[0]

    @routes.get("/qa/appeals/{appeal_id}")
    def appeal(appeal_id: str, user: Annotated[User, signed]) -> Json:
        """With its history and the actions the caller may take now."""
        row, steps, actions = context.review.appeal(user, appeal_id)
        names = context.people.names(user.org_id, {step.actor for step in steps})
        history = [{**to_json(step), "actor_name": names.get(step.actor, "")} for step in steps]
        return {"appeal": shown(user, row)[0], "steps": history, "actions": actions}

    @routes.post("/qa/appeals/{appeal_id}/steps")
    def step(appeal_id: str, body: StepIn, user: Annotated[User, signed]) -> Json:
        return shown(user, context.review.step(user, appeal_id, body.action, body.note, body.assignee))[0]

    @routes.post("/qa/appeals/{appeal_id}/decision")
    def decide(appeal_id: str, body: AnswersIn, user: Annotated[User, signed]) -> Json:
        """The assigned inspector's new answers; ``comment`` is what the agent reads."""
        return shown(user, context.review.decide(user, appeal_id, body.qa_version, human_answers(body.answers), body.comment))[0]

    @routes.get("/notices")
    def notices(user: Annotated[User, signed], limit: Annotated[int, Query(ge=1, le=100)] = 30) -> Json:
        """What the caller was told, newest first, and how much of it is unread."""
        found, unread = context.notices.of(user.org_id, user.user_id, limit)
        return {"notices": [to_json(notice) for notice in found], "unread": unread}

    @routes.post("/notices/read")
    def read(body: NoticesRead, user: Annotated[User, signed]) -> Json:
        return {"read": context.notices.mark_read(user.org_id, user.user_id, body.ids)}

    return routes
