"""Quality review by people: the queue, the sheet of a review, the history of a call, agreement, calibrations."""

import base64
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.errors import InvalidInput
from copilot.domain.ids import CallId
from copilot.domain.people import User, scope_of
from copilot.review.agreement import Agreement
from copilot.review.desk import CalibrationResult, Sheet
from copilot.review.scorecard import HumanAnswer
from copilot.store.reviews import Review, Verdict

Json = dict[str, Any]
_WINDOW_DAYS = 30
State = Literal["open", "claimed", "done", "cancelled"]
Kind = Literal["sample", "manual", "appeal", "calibration"]


class AnswerIn(BaseModel):
    item_id: str = Field(max_length=128)
    answer: Literal["pass", "fail", "na", "not_scorable"]
    reason: str = Field("", max_length=2000)


class AnswersIn(BaseModel):
    """Answers of a person to (some of) the questions of one version of the machine's scorecard."""

    qa_version: int = Field(ge=1, le=2**31)
    answers: list[AnswerIn] = Field(max_length=500)
    comment: str = Field("", max_length=4000)


class ReviewIn(BaseModel):
    call_id: str = Field(max_length=128)


class CalibrationIn(BaseModel):
    name: str = Field(max_length=200)
    call_ids: list[str] = Field(max_length=20)
    inspectors: list[str] = Field(max_length=20)
    days: int = Field(5, ge=1, le=60)


def human_answers(answers: list[AnswerIn]) -> list[HumanAnswer]:
    return [HumanAnswer(item_id=item.item_id, answer=item.answer, reason=item.reason) for item in answers]


def review_json(review: Review, names: dict[str, str]) -> Json:
    found: Json = to_json(review)
    return {**found, "assigned_name": names.get(review.assigned_to or "", ""), "agent_name": names.get(review.agent_id or "", "")}


def verdict_json(verdict: Verdict, names: dict[str, str]) -> Json:
    found: Json = to_json(verdict)
    return {**found, "reviewer_name": names.get(verdict.reviewer_id, "")}


def agreement_json(found: Agreement) -> Json:
    return asdict(found)


def _cursor(value: str | None) -> tuple[datetime, str] | None:
    if not value:
        return None
    try:
        at, name = json.loads(base64.urlsafe_b64decode(value.encode()))
        return datetime.fromisoformat(at).astimezone(UTC), str(name)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidInput("The cursor is not one that this API gave out; start again without it.") from error


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/qa", tags=["quality review"])
    signed = Depends(current_user(context))

    def names(user: User, *ids: str | None) -> dict[str, str]:
        return context.people.names(user.org_id, {name for name in ids if name})

    @routes.get("/reviews")
    def queue(
        user: Annotated[User, signed],
        state: Annotated[list[State] | None, Query()] = None,
        kind: Annotated[list[Kind] | None, Query()] = None,
        mine: bool = False,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
    ) -> Json:
        """The queue, earliest due first, with the counts of what waits."""
        scope = scope_of(user)
        found = context.reviews.queue(
            scope,
            states=state or ("open", "claimed"),
            kinds=kind or ("sample", "manual", "appeal", "calibration"),
            assigned_to=user.user_id if mine else None,
            after=_cursor(cursor),
            limit=limit + 1,
        )
        page = found[:limit]
        key = json.dumps([page[-1].due_at.isoformat(), page[-1].review_id]) if len(found) > limit else ""
        known = names(user, *(who for review in page for who in (review.assigned_to, review.agent_id)))
        return {
            "reviews": [review_json(review, known) for review in page],
            "next_cursor": base64.urlsafe_b64encode(key.encode()).decode() or None,
            "counts": context.reviews.counts(scope, context.clock.now()),
        }

    @routes.post("/reviews", status_code=201)
    def add(body: ReviewIn, user: Annotated[User, signed]) -> Json:
        """Puts a call into the queue by hand."""
        return review_json(context.review.add(user, CallId(body.call_id)), {})

    @routes.get("/reviews/{review_id}")
    def sheet(review_id: str, user: Annotated[User, signed]) -> Json:
        """Questions, the machine's answers with evidence (hidden in an open calibration), and earlier verdicts."""
        return _sheet(context.review.sheet(user, review_id), lambda *ids: names(user, *ids))

    @routes.post("/reviews/{review_id}/claim")
    def claim(review_id: str, user: Annotated[User, signed]) -> Json:
        return review_json(context.review.claim(user, review_id), names(user, user.user_id))

    @routes.post("/reviews/{review_id}/release")
    def release(review_id: str, user: Annotated[User, signed]) -> Json:
        return review_json(context.review.release(user, review_id), {})

    @routes.post("/reviews/{review_id}/submit")
    def submit(review_id: str, body: AnswersIn, user: Annotated[User, signed]) -> Json:
        """Closes the review. A question that is left out keeps the machine's answer; a changed one needs a reason."""
        verdict = context.review.submit(user, review_id, body.qa_version, human_answers(body.answers), body.comment)
        return verdict_json(verdict, names(user, user.user_id))

    @routes.get("/calls/{call_id}/history")
    def history(call_id: str, user: Annotated[User, signed]) -> Json:
        """Every verdict and appeal of a call, and until when its agent may still appeal."""
        verdicts, appeals = context.review.history(user, CallId(call_id))
        window = context.review.appeal_window(user, CallId(call_id))
        known = names(user, *(verdict.reviewer_id for verdict in verdicts))
        return {
            "verdicts": [verdict_json(verdict, known) for verdict in verdicts],
            "appeals": [to_json(appeal) for appeal in appeals],
            "appeal_until": window.isoformat() if window else None,
        }

    @routes.get("/calls/{call_id}/rules")
    def rules(call_id: str, user: Annotated[User, signed]) -> Json:
        """The compliance rules' alerts that came live beside those of the finished transcript, rule by rule."""
        return {"rules": [to_json(outcome) for outcome in context.rule_comparison.of_call(user, CallId(call_id))]}

    @routes.get("/agreement")
    def agreement(user: Annotated[User, signed], since: datetime | None = None, until: datetime | None = None) -> Json:
        """Machine against people, in all and per question, over the verdicts of a period (default: 30 days)."""
        end = until or context.clock.now()
        begin = since or end - timedelta(days=_WINDOW_DAYS)
        if begin.tzinfo is None or end.tzinfo is None:
            raise InvalidInput("`since` and `until` need an offset, such as 2026-03-01T00:00:00Z.")
        count, overall, questions, changed = context.review.agreement(user, begin, end)
        return {
            "verdicts": count,
            "overall": agreement_json(overall),
            "questions": {name: {**agreement_json(found), "changed": changed[name]} for name, found in questions.items()},
        }

    @routes.get("/inspectors")
    def inspectors(user: Annotated[User, signed]) -> Json:
        """Those who review calls: for assigning appeals and calibrations."""
        people = [person for person in context.people.users(user.org_id) if person.active and person.roles & {"inspector", "qa_lead"}]
        return {"inspectors": [{"user_id": person.user_id, "name": person.display_name} for person in people]}

    @routes.get("/calibrations")
    def calibrations(user: Annotated[User, signed]) -> Json:
        return {"calibrations": [to_json(session) for session in context.review.calibrations(user)]}

    @routes.post("/calibrations", status_code=201)
    def open_calibration(body: CalibrationIn, user: Annotated[User, signed]) -> Json:
        """Each inspector gets every call to answer, without seeing the machine's answers or each other's."""
        calls = [CallId(name) for name in body.call_ids]
        made: Json = to_json(context.review.open_calibration(user, body.name, calls, body.inspectors, body.days))
        return made

    @routes.get("/calibrations/{session_id}")
    def calibration(session_id: str, user: Annotated[User, signed]) -> Json:
        """Progress; once it is closed, agreement per question and where the inspectors differ."""
        return _calibration(context.review.calibration(user, session_id), lambda *ids: names(user, *ids))

    @routes.post("/calibrations/{session_id}/close")
    def close_calibration(session_id: str, user: Annotated[User, signed]) -> Json:
        closed: Json = to_json(context.review.close_calibration(user, session_id))
        return closed

    return routes


def _sheet(sheet: Sheet, names: Any) -> Json:
    review = sheet.review
    known = names(review.assigned_to, review.agent_id, *(verdict.reviewer_id for verdict in sheet.verdicts))
    return {
        "review": review_json(review, known),
        "qa_version": sheet.qa_version,
        "questions": to_json(sheet.questions),
        "machine": to_json(sheet.machine) if sheet.machine is not None else None,
        "verdicts": [verdict_json(verdict, known) for verdict in sheet.verdicts],
    }


def _calibration(result: CalibrationResult, names: Any) -> Json:
    return {
        "session": to_json(result.session),
        "tasks": [review_json(task, names(*(one.assigned_to for one in result.tasks))) for task in result.tasks],
        "overall": agreement_json(result.overall) if result.overall else None,
        "questions": {question: agreement_json(found) for question, found in result.questions.items()},
        "differences": [{"call_id": call, "question": question, "answers": said} for call, question, said in result.differences],
    }
