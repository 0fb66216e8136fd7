"""What became of the cards, for operators, supervisors and knowledge editors: times by stage, outcomes, articles that do not help."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.people import User, scope_of

Json = dict[str, Any]
_MOST_ROWS = 500
_Days = Annotated[int, Query(ge=1, le=400, description="How many days back.")]


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/suggestions", tags=["suggestions"])
    signed = Depends(current_user(context))

    def since(days: int) -> datetime:
        return context.clock.now() - timedelta(days=days)

    @routes.get("")
    def cards(
        user: Annotated[User, signed],
        days: _Days = 7,
        call_id: Annotated[str | None, Query(max_length=128)] = None,
        outcome: Literal["said", "partly", "not_said"] | None = None,
        article_id: Annotated[str | None, Query(max_length=128)] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 100,
    ) -> Json:
        """Cards of the calls that the caller may see, newest first: where the time went, whether they were said or used."""
        found = context.suggestions.rows(
            scope_of(user), since=since(days), call_id=call_id, outcome=outcome, article_id=article_id, limit=limit
        )
        return {"suggestions": [to_json(row) for row in found]}

    @routes.get("/stages")
    def stages(user: Annotated[User, signed], days: _Days = 7) -> Json:
        """Of the newest 500 cards: how often each stage occurs and its median, 95th percentile and longest time, in ms."""
        times: dict[str, list[float]] = defaultdict(list)
        for row in context.suggestions.rows(scope_of(user), since=since(days), limit=_MOST_ROWS):
            # A generated reply repeats the stages of the answer that it stands beside.
            if row.kind != "nothing":
                times["generated" if row.generated else "total"].append(row.total_ms)
                for stage in row.stages:
                    if row.generated == stage.name.startswith("llm"):
                        times[stage.name].append(stage.ms)
        return {"stages": {name: _summary(values) for name, values in times.items()}}

    @routes.get("/articles")
    def articles(user: Annotated[User, signed], days: _Days = 30) -> Json:
        """How often each article was offered for each intent, and what came of it; article_id "" where nothing reliable was found."""
        return {"articles": [to_json(row) for row in context.suggestions.use(scope_of(user), since=since(days))]}

    return routes


def _summary(values: list[float]) -> Json:
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {"count": len(ordered), "p50_ms": at(0.5), "p95_ms": at(0.95), "max_ms": ordered[-1]}
