"""Search over calls: by their words, by the sound of words, by meaning; with facets and their counts."""

import base64
import json
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field, StringConstraints

from copilot.api.auth import current_user
from copilot.api.console import MOST_EXPORTED, call_rows, calls_file, supervisor, window
from copilot.api.context import ApiContext
from copilot.domain.errors import InvalidInput
from copilot.domain.people import AuditEntry, User, scope_of
from copilot.search.engine import FACETS
from copilot.search.highlight import Snippet
from copilot.search.service import Answer, Mode, Place, Search

Json = dict[str, Any]
_MOST_SHOWN = 200
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Sought(BaseModel):
    """What is looked for. Of a facet any of its values fits; of all facets one must. Days are those at the bank, both inclusive."""

    q: str = Field("", max_length=200, description='Words; "…" in one piece, -word must not be there.')
    mode: Mode = "words"
    team: list[Name] = Field([], max_length=50)
    agent: list[Name] = Field([], max_length=50)
    ticket: list[Name] = Field([], max_length=50, description="level1, level1/level2 or /level2")
    intent: list[Name] = Field([], max_length=50)
    score: list[Literal["fatal", "0", "60", "75", "85", "95"]] = Field([], max_length=6)
    risk: list[Literal["high", "watch", "low"]] = Field([], max_length=3)
    state: list[Literal["machine", "reviewed"]] = Field([], max_length=2)
    protocol: list[Name] = Field([], max_length=20)
    direction: list[Literal["inbound", "outbound"]] = Field([], max_length=2)
    language: list[Literal["zh", "en"]] = Field([], max_length=2)
    since: date | None = None
    until: date | None = None


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/console", tags=["console"])
    signed = Depends(current_user(context))

    @routes.get("/search")
    def search(
        user: Annotated[User, signed],
        sought: Annotated[Sought, Query()],
        limit: Annotated[int, Query(ge=1, le=50)] = 20,
        cursor: Annotated[str | None, Query(max_length=128)] = None,
        facets: bool = True,
    ) -> Json:
        """Ended calls in scope, the lines with the words, and how many calls each choice would leave. Newest first; by meaning, nearest
        first. Audited without what was looked for. Calls are in the index some seconds after they ended."""
        place = _place(cursor)
        if sought.q and place is None:
            _audit(context, user, sought, "calls.search", sought.mode)
        wanted = _search(context, user, sought)
        calls = context.call_search(user.org_id)
        answer = calls.search(scope_of(user), wanted, place=place, limit=limit, facets=facets)
        rows = call_rows(context, user, [found.listed for found in answer.calls])
        return {
            "calls": [
                {**row, "matches": [_match(one) for one in found.snippets], "nearness": found.nearness}
                for row, found in zip(rows, answer.calls, strict=True)
            ],
            "total": answer.total,
            "facets": _facets(context, user, answer) if facets else None,
            "next_cursor": _cursor(answer.next),
            "catching_up": calls.catching_up,
        }

    @routes.get("/search/export")
    def export(
        user: Annotated[User, signed],
        sought: Annotated[Sought, Query()],
        format: Literal["csv", "xlsx", "html"] = "csv",  # noqa: A002 the query's own name
        locale: Literal["zh", "en"] = "zh",
    ) -> Response:
        """What was found as a file like that of the list, at most 50,000 calls. Audited. Nothing that was said is in it."""
        scope = supervisor(user)
        _audit(context, user, sought, "calls.export", f"search {format}")
        found = context.call_search(user.org_id).every(scope, _search(context, user, sought), MOST_EXPORTED)
        return calls_file(context, user, found, format, locale)

    return routes


def _search(context: ApiContext, user: User, sought: Sought) -> Search:
    since, until = window(sought.since, sought.until, context.review.policy(user.org_id))
    return Search(text=sought.q, mode=sought.mode, chosen=_chosen(sought), since_ms=_ms(since), until_ms=_ms(until))


def _chosen(sought: Sought) -> dict[str, tuple[str, ...]]:
    chosen: dict[str, tuple[str, ...]] = {name: tuple(getattr(sought, name)) for name in FACETS}
    # Second levels have names of their own: the first one before them says nothing more.
    chosen["ticket"] = tuple(f"/{value.rpartition('/')[2]}" if "/" in value else value for value in chosen["ticket"])
    return chosen


def _match(snippet: Snippet) -> Json:
    line = snippet.line
    return {
        "utterance_id": line.utterance_id,
        "channel": line.channel,
        "start_ms": line.start_ms,
        "text": snippet.text,
        "marks": [list(mark) for mark in snippet.marks],
    }


def _facets(context: ApiContext, user: User, answer: Answer) -> dict[str, list[Json]]:
    """Facet → its values, most calls first; people and teams by name."""
    agents = context.people.names(user.org_id, list(answer.facets.get("agent", {})))
    teams = {str(key): name for key, name in context.people.teams(user.org_id).items()}
    names = {"agent": agents, "team": teams}
    return {
        facet: [
            {"key": key, "calls": calls, **({"name": names[facet].get(key, key)} if facet in names else {})}
            for key, calls in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_SHOWN]
        ]
        for facet, counts in answer.facets.items()
    }


def _audit(context: ApiContext, user: User, sought: Sought, action: str, target: str) -> None:
    """Who did it and how it was narrowed, never what was looked for."""
    narrowed = sought.model_dump(exclude={"q", "mode"}, exclude_defaults=True, mode="json")
    detail = " ".join(f"{name}={','.join(value) if isinstance(value, list) else value}" for name, value in narrowed.items())
    context.audit.record(
        AuditEntry(org_id=user.org_id, at=context.clock.now(), actor=user.user_id, action=action, target=target, detail=detail[:500])
    )


def _ms(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at is not None else None


def _cursor(place: Place | None) -> str | None:
    return base64.urlsafe_b64encode(json.dumps([place.until_ms, place.skip]).encode()).decode() if place is not None else None


def _place(value: str | None) -> Place | None:
    if not value:
        return None
    try:
        until_ms, skip = json.loads(base64.urlsafe_b64decode(value.encode()))
        if not (type(until_ms) is int and type(skip) is int and 0 <= until_ms < 2**53 and 0 <= skip <= 100_000):
            raise ValueError("out of range")
        return Place(until_ms=until_ms, skip=skip)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput("The cursor is not one that this API gave out; start again without it.") from error
