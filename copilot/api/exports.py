"""Files for spreadsheets. What is exported is audited."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.domain.errors import Forbidden, InvalidInput
from copilot.domain.people import AuditEntry, Role, User, scope_of

MAY_EXPORT: frozenset[Role] = frozenset({"team_lead", "inspector", "qa_lead", "ops_admin"})
_TYPES = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


def _exporter(context: ApiContext) -> Callable[..., User]:
    def exporter(user: Annotated[User, Depends(current_user(context))]) -> User:
        if not user.roles & MAY_EXPORT:
            raise Forbidden("Only supervisors and quality inspectors can export tickets.")
        return user

    return exporter


def _moment(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInput("Times are written like 2026-11-27T08:00:00+08:00.") from None
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/exports", tags=["exports"])
    exporter = Depends(_exporter(context))

    @routes.get("/tickets.{form}", response_class=StreamingResponse)
    def tickets(
        form: Literal["csv", "xlsx"],
        user: Annotated[User, exporter],
        language: Annotated[Literal["zh", "en"], Query()] = "zh",
        after: Annotated[str | None, Query(max_length=40)] = None,
        before: Annotated[str | None, Query(max_length=40)] = None,
        level1: Annotated[str | None, Query(max_length=64)] = None,
        level2: Annotated[str | None, Query(max_length=64)] = None,
        agent_id: Annotated[str | None, Query(max_length=64)] = None,
    ) -> StreamingResponse:
        """Tickets of ended calls that the caller may see, one a line; times as ISO 8601, personal data as tokens. Audited."""
        filters = {"after": _moment(after), "before": _moment(before), "level1": level1, "level2": level2, "agent_id": agent_id}
        detail = ", ".join(f"{name}={value}" for name, value in filters.items() if value is not None)
        entry = AuditEntry(
            org_id=user.org_id, at=context.clock.now(), actor=user.user_id, action="export.tickets", target=form, detail=detail
        )
        context.audit.record(entry)
        chunks = context.tickets.write(scope_of(user), form, language, filters)
        headers = {"content-disposition": f'attachment; filename="tickets.{form}"', "cache-control": "no-store"}
        return StreamingResponse(iter(chunks), media_type=_TYPES[form], headers=headers)

    return routes
