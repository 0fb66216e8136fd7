"""After-call jobs: progress and dead letters. Blocking reads run in FastAPI's worker threads."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from copilot.api.auth import current_user
from copilot.api.calls import MAY_RERUN, job_json, make_cursor, read_cursor
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.artifacts import ArtifactKind
from copilot.domain.errors import Forbidden
from copilot.domain.ids import JobId
from copilot.domain.people import User, scope_of
from copilot.domain.ports.store import JobState
from copilot.store.jobs import MAX_PAGE, OPEN

Json = dict[str, Any]
_STATES: dict[str, tuple[JobState, ...]] = {"open": OPEN, "failed": ("failed",), "discarded": ("discarded",), "done": ("done",)}


def _keeper(context: ApiContext) -> Callable[..., User]:
    def keeper(user: Annotated[User, Depends(current_user(context))]) -> User:
        if not user.roles & MAY_RERUN:
            raise Forbidden("Only supervisors and quality inspectors can see the jobs of after-call work.")
        return user

    return keeper


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/jobs", tags=["jobs"])
    keeper = Depends(_keeper(context))

    @routes.get("")
    def list_jobs(
        user: Annotated[User, keeper],
        state: Annotated[Literal["open", "failed", "discarded", "done"], Query()] = "failed",
        kind: Annotated[ArtifactKind | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
    ) -> Json:
        """Jobs of calls that the caller may see, newest first, and how many there are in each state."""
        scope = scope_of(user)
        lines = context.jobs.page(scope, _STATES[state], kind=kind, limit=limit + 1, before=read_cursor(cursor))
        more, lines = len(lines) > limit, lines[:limit]
        return {
            "jobs": [job_json(line) for line in lines],
            "counts": dict(context.jobs.counts(scope)),
            "next_cursor": make_cursor(lines[-1].created_at, lines[-1].job.job_id) if more else None,
        }

    @routes.post("/{job_id}/run", status_code=202)
    def run(job_id: str, user: Annotated[User, keeper]) -> Json:
        """A job that failed or was discarded is tried again, as if it were new. Audited."""
        job = context.jobs.run_again(scope_of(user), JobId(job_id))
        context.jobs_changed()
        return {"job": to_json(job)}

    @routes.post("/{job_id}/discard")
    def discard(job_id: str, user: Annotated[User, keeper]) -> Json:
        """A job that failed leaves the list; it can still be run again. Audited."""
        return {"job": to_json(context.jobs.discard(scope_of(user), JobId(job_id)))}

    return routes
