"""Calls: lists, events, artifacts, feedback. Blocking reads run in FastAPI's worker threads."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.codec import encode_artifact, encode_call, encode_envelope, to_json, to_json_time
from copilot.domain.artifacts import ARTIFACT_KINDS
from copilot.domain.calls import Call
from copilot.domain.errors import Forbidden, InvalidInput, NotFound
from copilot.domain.events import SuggestionFeedback
from copilot.domain.ids import CallId, OrgId, SuggestionId
from copilot.domain.people import AuditEntry, Role, User, scope_of
from copilot.domain.suggestions import FeedbackAction
from copilot.privacy.typed import mask_typed
from copilot.store.jobs import JobLine

Json = dict[str, Any]
_MAX_PAGE = 200
MAY_RERUN: frozenset[Role] = frozenset({"inspector", "qa_lead", "team_lead", "ops_admin"})
"""Who may have after-call work done again, and see what became of it."""
_JOB_TIMES = ("created_at", "not_before", "begun_at", "closed_at")


class Feedback(BaseModel):
    """What the agent did with a suggestion."""

    suggestion_id: str = Field(max_length=64)
    action: FeedbackAction
    text: str = Field("", max_length=4000)
    reason: str = Field("", max_length=500)


def read_cursor(value: str | None) -> tuple[datetime, str] | None:
    """The place in a list that ``make_cursor`` wrote. Raises InvalidInput."""
    if not value:
        return None
    try:
        at, call_id = json.loads(base64.urlsafe_b64decode(value.encode()))
        started = datetime.fromisoformat(at)
        if started.tzinfo is None:
            raise ValueError("without an offset")
        return started.astimezone(UTC), str(call_id)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidInput("The cursor is not one that this API gave out; start again without it.") from error


def make_cursor(at: datetime, name: str) -> str:
    """The place behind the last line of a page: its time and its id."""
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), name]).encode()).decode()


def job_json(line: JobLine) -> Json:
    """A job as the API shows it."""
    return {**to_json(line.job), **{name: to_json_time(at) if (at := getattr(line, name)) else None for name in _JOB_TIMES}}


def store_feedback(context: ApiContext, user: User, call_id: CallId, feedback: Feedback) -> None:
    """Records feedback, its words masked; the same action on the same suggestion again has no effect.

    Raises NotFound for an unknown call or suggestion, Forbidden when the call is another agent's.
    """
    call = context.calls.call(scope_of(user), call_id)
    if call.agent_id != user.user_id:
        raise Forbidden("Only the agent of a call can give feedback on its suggestions.")
    vault = context.calls.vault(user.org_id, call_id) if feedback.text or feedback.reason else {}
    event = SuggestionFeedback(
        suggestion_id=SuggestionId(feedback.suggestion_id),
        action=feedback.action,
        user_id=user.user_id,
        text=mask_typed(feedback.text, vault),
        reason=mask_typed(feedback.reason, vault),
    )
    context.calls.record_feedback(user.org_id, call_id, event)


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/calls", tags=["calls"])
    signed = Depends(current_user(context))

    @routes.get("")
    def list_calls(
        user: Annotated[User, signed],
        limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 50,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
        phase: Annotated[str | None, Query(pattern="^(live|ended)$")] = None,
    ) -> Json:
        """Calls the caller may see, newest first."""
        rows = context.calls.calls(scope_of(user), limit=limit + 1, before=read_cursor(cursor), phase=phase)
        more = len(rows) > limit
        rows = rows[:limit]
        next_cursor = None
        if more and rows[-1].started_at is not None:
            next_cursor = make_cursor(rows[-1].started_at, rows[-1].call_id)
        names = _agent_names(context, user.org_id, rows)
        return {"calls": [{**encode_call(call), "agent_name": names.get(call.agent_id, "")} for call in rows], "next_cursor": next_cursor}

    @routes.get("/{call_id}")
    def get_call(call_id: str, user: Annotated[User, signed]) -> Json:
        call = context.calls.call(scope_of(user), CallId(call_id))
        return {**encode_call(call), "agent_name": _agent_names(context, user.org_id, [call]).get(call.agent_id, "")}

    @routes.get("/{call_id}/events")
    def get_events(
        call_id: str,
        user: Annotated[User, signed],
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    ) -> Json:
        """Events after seq ``after``, in order."""
        _opened(context, user, call_id)
        events = context.calls.events(user.org_id, CallId(call_id), after, limit)
        return {"events": [encode_envelope(envelope) for envelope in events]}

    @routes.get("/{call_id}/artifacts")
    def get_artifacts(call_id: str, user: Annotated[User, signed]) -> Json:
        """The newest version of each artifact."""
        context.calls.call(scope_of(user), CallId(call_id))
        return {"artifacts": [encode_artifact(artifact) for artifact in context.calls.artifacts(user.org_id, CallId(call_id))]}

    @routes.get("/{call_id}/jobs")
    def get_jobs(call_id: str, user: Annotated[User, signed]) -> Json:
        """How far after-call work is: every job of the call."""
        context.calls.call(scope_of(user), CallId(call_id))
        return {"jobs": [job_json(line) for line in context.jobs.of_call(scope_of(user), CallId(call_id))]}

    @routes.post("/{call_id}/artifacts/{kind}/rerun", status_code=202)
    def rerun(call_id: str, kind: str, user: Annotated[User, signed]) -> Json:
        """Queues the artifact again; a new version appears when it is done."""
        if kind not in ARTIFACT_KINDS:
            raise NotFound(f"There is no artifact {kind!r}; it is one of {', '.join(ARTIFACT_KINDS)}.")
        if not user.roles & MAY_RERUN:
            raise Forbidden("Only supervisors and quality inspectors can run after-call work again.")
        context.calls.call(scope_of(user), CallId(call_id))
        context.rerun(user.org_id, CallId(call_id), kind)
        return {"status": "queued"}

    @routes.post("/{call_id}/feedback", status_code=204)
    def feedback(call_id: str, body: Feedback, user: Annotated[User, signed]) -> Response:
        store_feedback(context, user, CallId(call_id), body)
        return Response(status_code=204)

    return routes


def _agent_names(context: ApiContext, org_id: OrgId, calls: Sequence[Call]) -> dict[str | None, str]:
    """Display names of the agents of these calls."""
    found = context.people.names(org_id, {call.agent_id for call in calls if call.agent_id})
    return {call.agent_id: found.get(call.agent_id or "", "") for call in calls}


def _opened(context: ApiContext, user: User, call_id: str) -> None:
    """Checks the scope; a person other than the agent opening a call leaves an audit line."""
    call = context.calls.call(scope_of(user), CallId(call_id))
    if call.agent_id != user.user_id:
        _audit(context, user, "call.opened", call_id)


def _audit(context: ApiContext, user: User, action: str, target: str) -> None:
    context.audit.record(AuditEntry(org_id=user.org_id, at=context.clock.now(), actor=user.user_id, action=action, target=target))
