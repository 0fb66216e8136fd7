"""What the center learns from its calls: findings of a window, the calls behind a figure, FAQ candidates, reports as files."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.console import supervisor
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.errors import InvalidInput
from copilot.domain.ids import OrgId
from copilot.domain.insights import FaqCandidate, InsightFilter, InsightReport
from copilot.domain.people import AuditEntry, Scope, User, scope_of

Json = dict[str, Any]
MOST_DAYS = 184
"""A window; as many days before it are read too."""
Form = Literal["html", "xlsx", "json"]
_MEDIA: dict[str, str] = {
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}


class InsightDesk(Protocol):
    """See ``copilot.assembly.insight_desk``. Blocking; thread-safe."""

    def today(self, org_id: OrgId) -> date: ...
    def report(self, scope: Scope, chosen: InsightFilter) -> InsightReport: ...
    def facets(self, scope: Scope, chosen: InsightFilter) -> Json: ...
    def evidence(self, scope: Scope, chosen: InsightFilter, about: Any, key: str, agent_id: str | None = None) -> list[Json]: ...
    def candidates(self, scope: Scope, chosen: InsightFilter) -> list[FaqCandidate]: ...
    def file(self, scope: Scope, chosen: InsightFilter, form: Any, language: str) -> bytes: ...
    def scheduled(self, user: User) -> list[Json]: ...
    def scheduled_file(self, user: User, name: str) -> tuple[bytes, str]: ...


class Window(BaseModel):
    """Days at the bank, both inclusive; default: the last seven before today. ``product``: level 1 of the ticket."""

    since: date | None = None
    until: date | None = None
    team: str | None = Field(None, max_length=128)
    product: str | None = Field(None, max_length=128)
    channel: Literal["inbound", "outbound", "imported"] | None = None


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/console/insights", tags=["insights"])
    signed = Depends(current_user(context))

    def desk() -> InsightDesk:
        found: InsightDesk = context.insights
        return found

    def chosen(user: User, window: Window) -> InsightFilter:
        last = window.until or desk().today(user.org_id) - timedelta(days=1)
        first = window.since or last - timedelta(days=6)
        if not 0 <= (last - first).days < MOST_DAYS:
            raise InvalidInput(f"The first day comes before the last, and a window has at most {MOST_DAYS} days.")
        return InsightFilter(first=first, last=last, team=window.team, product=window.product, channel=window.channel)

    def audit(user: User, action: str, target: str, detail: str = "") -> None:
        entry = AuditEntry(org_id=user.org_id, at=context.clock.now(), actor=user.user_id, action=action, target=target, detail=detail)
        context.audit.record(entry)

    @routes.get("")
    def insights(user: Annotated[User, signed], window: Annotated[Window, Query()]) -> Json:
        """Topics and how they moved, emerging issues, what goes with complaints, problems alike, leads, coaching points."""
        scope, wanted = supervisor(user), chosen(user, window)
        report = desk().report(scope, wanted)
        names = context.people.names(user.org_id, [point.agent_id for point in report.coaching])
        before = wanted.before
        return {
            **to_json(report),
            "compared": {"first": before.first.isoformat(), "last": before.last.isoformat()},
            "agents": names,
            "facets": desk().facets(scope, InsightFilter(first=wanted.first, last=wanted.last)),
        }

    @routes.get("/evidence")
    def evidence(
        user: Annotated[User, signed],
        window: Annotated[Window, Query()],
        about: Literal["topic", "cluster", "cause", "lead", "term", "question"],
        key: Annotated[str, Query(min_length=1, max_length=128)],
        agent: Annotated[str | None, Query(max_length=128)] = None,
    ) -> Json:
        """The newest calls behind a figure: the sentence, masked, and its time in the call. Audited. An agent may ask about their own."""
        found = desk().evidence(scope_of(user), chosen(user, window), about, key, agent)
        audit(user, "insights.evidence", about, f"calls={len(found)}")
        return {"calls": found}

    @routes.get("/coaching")
    def coaching(user: Annotated[User, signed], window: Annotated[Window, Query()]) -> Json:
        """One's own coaching points; of others only those who may see their calls have them, in the findings of the window."""
        own = Scope(org_id=user.org_id, user_id=user.user_id, roles=frozenset({"agent"}))
        report = desk().report(own, chosen(user, window))
        return {"coaching": [to_json(point) for point in report.coaching if point.agent_id == user.user_id]}

    @routes.get("/candidates")
    def candidates(user: Annotated[User, signed], window: Annotated[Window, Query()]) -> Json:
        """Questions that agents answered and that no article answers yet. Audited: they are words of calls, masked."""
        found = desk().candidates(supervisor(user), chosen(user, window))
        audit(user, "insights.candidates", f"{len(found)} questions")
        return {"candidates": [to_json(one) for one in found]}

    @routes.get("/report", response_class=Response)
    def report_file(
        user: Annotated[User, signed],
        window: Annotated[Window, Query()],
        format: Form = "html",  # noqa: A002 the query's own name
        locale: Literal["zh", "en"] = "zh",
    ) -> Response:
        """The findings as a file: figures and names, nothing that was said. Audited."""
        scope, wanted = supervisor(user), chosen(user, window)
        audit(user, "insights.report", format, f"{wanted.first}..{wanted.last}")
        return _file(desk().file(scope, wanted, format, locale), format, f"insights_{wanted.first}_{wanted.last}.{format}")

    @routes.get("/reports")
    def reports(user: Annotated[User, signed]) -> Json:
        """The reports that were written on a schedule, newest first."""
        supervisor(user)
        return {"reports": desk().scheduled(user)}

    @routes.get("/reports/{report}", response_class=Response)
    def scheduled_report(user: Annotated[User, signed], report: str) -> Response:
        """One of them. Audited."""
        supervisor(user)
        content, form = desk().scheduled_file(user, report)
        audit(user, "insights.report", report)
        return _file(content, form, report)

    return routes


def _file(content: bytes, form: str, name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        # Printed pages carry a style of their own; nothing in them runs.
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    }
    return Response(content, media_type=_MEDIA[form], headers=headers)
