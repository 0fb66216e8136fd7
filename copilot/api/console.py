"""The supervisor's console: dashboard, call list with facets, team and agent figures, exports."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.api.kb import bank_labels, bank_packs
from copilot.codec import encode_call
from copilot.domain.errors import Forbidden, InvalidInput
from copilot.domain.people import AuditEntry, Scope, User, scope_of
from copilot.review import sheets
from copilot.review.policy import ReviewPolicy
from copilot.review.workdays import deadline
from copilot.store.call_list import MOST_COUNTED, CallFilter, ListedCall
from copilot.store.rollups import Figures, total

Json = dict[str, Any]
MOST_EXPORTED = 50_000
_TOP = 12
_DAY = timedelta(days=1)


class Chosen(BaseModel):
    """The facets of the list; ``since`` and ``until`` are days at the bank, both inclusive."""

    team: str | None = Field(None, max_length=128)
    agent: str | None = Field(None, max_length=128)
    intent: str | None = Field(None, max_length=128)
    ticket: str | None = Field(None, max_length=256, description="level1 or level1/level2")
    score: Literal["fatal", "0", "60", "75", "85", "95"] | None = None
    risk: Literal["high", "watch", "low"] | None = None
    state: Literal["machine", "reviewed"] | None = None
    phase: Literal["live", "ended"] | None = None
    language: Literal["zh", "en"] | None = None
    since: date | None = None
    until: date | None = None


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/console", tags=["console"])
    signed = Depends(current_user(context))

    def policy(user: User) -> ReviewPolicy:
        return context.review.policy(user.org_id)

    @routes.get("/overview")
    def overview(
        user: Annotated[User, signed],
        days: Annotated[int, Query(ge=1, le=366)] = 7,
        team: Annotated[str | None, Query(max_length=128)] = None,
    ) -> Json:
        """The figures of the last days up to today, and of as many days before them."""
        scope, today = supervisor(user), policy(user).calendar.local_day(context.clock.now())
        first, last = today - _DAY * (days - 1), today
        before = first - _DAY * days
        found = context.rollups.by_day(scope, before.isoformat(), last.isoformat(), team)
        now = {day: figures for day, figures in found.items() if day >= first.isoformat()}
        earlier = [figures for day, figures in found.items() if day < first.isoformat()]
        every = [(first + _DAY * n).isoformat() for n in range(days)]
        return {
            "first": first.isoformat(),
            "last": last.isoformat(),
            "live": context.rollups.live(scope),
            "today": _figures(found.get(today.isoformat(), Figures())),
            "total": _figures(total(list(now.values()))),
            "before": _figures(total(earlier)),
            "days": [{"day": day, **_figures(now.get(day, Figures()))} for day in every],
            "topics": _topics(context, scope, "ticket", first, last, before, team),
            "intents": _topics(context, scope, "intent", first, last, before, team),
            "queue": context.reviews.counts(scope, context.clock.now()),
        }

    @routes.get("/facets")
    def facets(
        user: Annotated[User, signed],
        since: date | None = None,
        until: date | None = None,
    ) -> Json:
        """What the list can be narrowed by, with the calls of the days between (default: the last 30), most first."""
        scope, today = scope_of(user), policy(user).calendar.local_day(context.clock.now())
        first, last = (since or today - _DAY * 29).isoformat(), (until or today).isoformat()
        agents = context.rollups.by_key(scope, "agent", first, last)
        names = context.people.names(user.org_id, [name for name in agents if name])
        teams = context.people.teams(user.org_id)
        return {
            "teams": [
                {"key": key, "name": teams.get(key, key), "calls": figures.calls}  # type: ignore[call-overload]
                for key, figures in _most(context.rollups.by_team(scope, first, last))
            ],
            "agents": [{"key": key, "name": names.get(key, key), "calls": figures.calls} for key, figures in _most(agents)[:200]],
            "intents": [
                {"key": key, "calls": figures.calls} for key, figures in _most(context.rollups.by_key(scope, "intent", first, last))
            ],
            "tickets": [
                {"key": key, "calls": figures.calls} for key, figures in _most(context.rollups.by_key(scope, "ticket", first, last))
            ],
        }

    @routes.get("/calls")
    def calls(
        user: Annotated[User, signed],
        chosen: Annotated[Chosen, Query()],
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
        count: bool = False,
    ) -> Json:
        """Calls in scope that fit every facet, newest first; with ``count`` also how many (``more_than``: counting stopped there)."""
        scope, wanted = scope_of(user), filter_of(chosen, policy(user))
        found = context.call_list.page(scope, wanted, before=_cursor(cursor), limit=limit + 1)
        page = found[:limit]
        answer: Json = {"calls": call_rows(context, user, page), "next_cursor": _next(page) if len(found) > limit else None}
        if count:
            number = context.call_list.count(scope, wanted)
            answer["count"] = {"calls": min(number, MOST_COUNTED), "more_than": number > MOST_COUNTED}
        return answer

    @routes.get("/calls/export")
    def export(
        user: Annotated[User, signed],
        chosen: Annotated[Chosen, Query()],
        format: Literal["csv", "xlsx", "html"] = "csv",  # noqa: A002 the query's own name
        locale: Literal["zh", "en"] = "zh",
    ) -> Response:
        """The list as a file with its words in ``locale``, at most 50,000 calls. Audited. Nothing that was said is in it."""
        scope = supervisor(user)
        context.audit.record(
            AuditEntry(
                org_id=user.org_id, at=context.clock.now(), actor=user.user_id, action="calls.export", target=format, detail=_said(chosen)
            )
        )
        found = context.call_list.every(scope, filter_of(chosen, policy(user)), MOST_EXPORTED)
        return calls_file(context, user, found, format, locale)

    @routes.get("/teams")
    def teams(
        user: Annotated[User, signed],
        days: Annotated[int, Query(ge=1, le=366)] = 30,
        team: Annotated[str | None, Query(max_length=128)] = None,
    ) -> Json:
        """Figures by team and by agent. Of what was done in calls and how it was scored; nothing is concluded from agents' voices."""
        scope, today = supervisor(user), policy(user).calendar.local_day(context.clock.now())
        first, last = (today - _DAY * (days - 1)).isoformat(), today.isoformat()
        by_agent = context.rollups.by_key(scope, "agent", first, last, team)
        by_team = context.rollups.by_team(scope, first, last)
        names, known = context.people.names(user.org_id, [key for key in by_agent if key]), context.people.teams(user.org_id)
        return {
            "first": first,
            "last": last,
            "teams": [{"key": key, "name": known.get(key, key), **_figures(one)} for key, one in _most(by_team)],  # type: ignore[call-overload]
            "agents": [{"key": key, "name": names.get(key, key), **_figures(one)} for key, one in _most(by_agent) if key],
        }

    return routes


def supervisor(user: User) -> Scope:
    """What a supervisor may see. Raises Forbidden for everybody else."""
    scope = scope_of(user)
    if not (scope.sees_all_calls or scope.sees_team_calls):
        raise Forbidden("The console is for supervisors and quality inspectors.")
    return scope


def _figures(figures: Figures) -> Json:
    mean = round(figures.score_sum / figures.scored, 1) if figures.scored else None
    length = figures.duration_ms // figures.calls if figures.calls else None
    return {**asdict(figures), "mean_score": mean, "mean_duration_ms": length}


def _most(figures: dict[str, Figures]) -> list[tuple[str, Figures]]:
    return sorted(figures.items(), key=lambda item: (-item[1].calls, item[0]))


def _topics(
    context: ApiContext, scope: Scope, dimension: Literal["ticket", "intent"], first: date, last: date, before: date, team: str | None
) -> list[Json]:
    """The most frequent of the window with their calls in the window before it."""
    now = context.rollups.by_key(scope, dimension, first.isoformat(), last.isoformat(), team)
    earlier = context.rollups.by_key(scope, dimension, before.isoformat(), (first - _DAY).isoformat(), team)
    top = [(key, figures) for key, figures in _most(now) if key][:_TOP]
    return [
        {"key": key, "calls": figures.calls, "before": earlier.get(key, Figures()).calls, "high_risk": figures.high_risk}
        for key, figures in top
    ]


def window(since: date | None, until: date | None, policy: ReviewPolicy) -> tuple[datetime | None, datetime | None]:
    """[begin, end) of days at the bank, both inclusive."""

    def midnight_after(day: date) -> datetime:
        return deadline(policy.calendar, datetime(day.year, day.month, day.day, 12, tzinfo=UTC), 0)

    return midnight_after(since - _DAY) if since is not None else None, midnight_after(until) if until is not None else None


def filter_of(chosen: Chosen, policy: ReviewPolicy) -> CallFilter:
    """The filter of the store; days of the bank become moments."""
    given = {name: getattr(chosen, name) for name in Chosen.model_fields if name not in ("since", "until")}
    since, until = window(chosen.since, chosen.until, policy)
    return CallFilter(**given, since=since, until=until)


def call_rows(context: ApiContext, user: User, page: Sequence[ListedCall]) -> list[Json]:
    """Calls as a list shows them."""
    names = context.people.names(user.org_id, {row.call.agent_id for row in page if row.call.agent_id})
    return [
        {
            **encode_call(row.call),
            "agent_name": names.get(row.call.agent_id or "", ""),
            "team_id": row.team_id,
            "ticket_level1": row.ticket_level1,
            "ticket_level2": row.ticket_level2,
            "qa_state": row.qa_state,
            "qa_score": row.qa_score,
            "qa_fatal": row.qa_fatal,
            "risk": row.risk,
        }
        for row in page
    ]


def _next(page: list[ListedCall]) -> str | None:
    last = page[-1].call
    if last.started_at is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([last.started_at.isoformat(), last.call_id]).encode()).decode()


def _cursor(value: str | None) -> tuple[datetime, str] | None:
    if not value:
        return None
    try:
        at, name = json.loads(base64.urlsafe_b64decode(value.encode()))
        return datetime.fromisoformat(at).astimezone(UTC), str(name)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidInput("The cursor is not one that this API gave out; start again without it.") from error


def _said(chosen: Chosen) -> str:
    return " ".join(f"{name}={value}" for name, value in chosen.model_dump(exclude_none=True, mode="json").items())


_HEAD = {
    "zh": [
        "通话编号",
        "开始时间",
        "班组",
        "坐席",
        "方向",
        "时长（秒）",
        "意图",
        "工单一级",
        "工单二级",
        "质检得分",
        "致命项",
        "评分方式",
        "投诉风险",
        "合规提醒",
    ],
    "en": [
        "Call",
        "Started",
        "Team",
        "Agent",
        "Direction",
        "Duration (s)",
        "Intents",
        "Ticket level 1",
        "Ticket level 2",
        "Quality score",
        "Fatal",
        "Scored by",
        "Complaint risk",
        "Alerts",
    ],
}
_WORDS = {
    "zh": {"machine": "机器", "reviewed": "人工复核", "yes": "是", "inbound": "呼入", "outbound": "呼出"},
    "en": {"machine": "machine", "reviewed": "person", "yes": "yes", "inbound": "inbound", "outbound": "outbound"},
}


def _export(
    context: ApiContext, user: User, policy: ReviewPolicy, language: str
) -> tuple[list[str], Callable[[ListedCall], list[sheets.Cell]]]:
    labels = bank_labels(bank_packs(context.articles(user.org_id)), language)
    names = {person.user_id: person.display_name for person in context.people.users(user.org_id)}
    teams, words = context.people.teams(user.org_id), _WORDS[language]

    def row(one: ListedCall) -> list[sheets.Cell]:
        call = one.call
        started = policy.calendar.local(call.started_at).strftime("%Y-%m-%d %H:%M:%S") if call.started_at else ""
        category = labels["categories"]
        return [
            call.call_id,
            started,
            teams.get(one.team_id, one.team_id) if one.team_id else "",  # type: ignore[call-overload]
            names.get(call.agent_id, "") if call.agent_id else "",
            words.get(call.direction, ""),
            round(call.duration_ms / 1000),
            "、".join(labels["intents"].get(name, name) for name in call.intents),
            category.get(one.ticket_level1, one.ticket_level1),
            category.get(one.ticket_level2, one.ticket_level2),
            one.qa_score,
            words["yes"] if one.qa_fatal else "",
            words.get(one.qa_state, ""),
            one.risk,
            call.alerts,
        ]

    return _HEAD[language], row


def calls_file(context: ApiContext, user: User, calls: Iterable[ListedCall], form: str, language: Literal["zh", "en"]) -> Response:
    """Calls as csv, xlsx or html, with words in ``language``."""
    head, row = _export(context, user, context.review.policy(user.org_id), language)
    return _file(form, "calls", head, (row(one) for one in calls), language)


def _file(kind: str, name: str, head: Iterable[str], rows: Iterable[list[sheets.Cell]], language: str) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}.{kind}"', "Cache-Control": "no-store"}
    if kind == "csv":
        return StreamingResponse(sheets.csv_lines(list(head), rows), media_type="text/csv; charset=utf-8", headers=disposition)
    if kind == "xlsx":
        media = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        return StreamingResponse(sheets.xlsx(list(head), rows, name), media_type=media, headers=disposition)
    title = "通话清单" if language == "zh" else "Calls"
    # Printed pages carry a style of their own; nothing in them runs.
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(
        sheets.html(title, list(head), rows, "", language), media_type="text/html; charset=utf-8", headers={**disposition, **policy}
    )
