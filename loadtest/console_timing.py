"""How long the console's queries take on a store that ``loadtest.fake_calls`` filled. Reads only, apart from the roll-up of the days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from copilot.domain.ids import TeamId, UserId
from copilot.domain.people import Scope
from copilot.review.policy import ReviewPolicy
from copilot.review.workdays import deadline
from copilot.store.call_list import CallFilter, SqlCallList
from copilot.store.database import Database
from copilot.store.rollups import SqlRollups
from loadtest.fake_calls import DAYS, ORG, timed

EVERYBODY = Scope(org_id=ORG, user_id=UserId("qa"), roles=frozenset({"qa_lead"}))
LEAD = Scope(org_id=ORG, user_id=UserId("lead"), roles=frozenset({"team_lead"}), team_ids=frozenset({TeamId("t07")}))
AGENT = Scope(org_id=ORG, user_id=UserId("a0703"), roles=frozenset({"agent"}))
FILTERS: dict[str, CallFilter] = {
    "everything": CallFilter(),
    "one team": CallFilter(team="t07"),
    "one agent": CallFilter(agent="a0703"),
    "one category": CallFilter(ticket="complaint/complaint-mis-selling"),
    "high risk": CallFilter(risk="high"),
    "fatal": CallFilter(score="fatal"),
    "reviewed": CallFilter(state="reviewed"),
    "one team, high risk": CallFilter(team="t07", risk="high"),
    "one agent, fatal": CallFilter(agent="a0703", score="fatal"),
    "category, team, risk": CallFilter(ticket="complaint/complaint-fee", team="t07", risk="high"),
    "no call fits": CallFilter(team="t07", ticket="complaint/complaint-fee", score="fatal", state="reviewed", language="en"),
}


def measure(url: str, times: int) -> dict[str, Any]:
    """What → {first_ms, median_ms, worst_ms}; the first time is on a cold page cache of the process, not of the machine."""
    database = Database(url)
    calls, rollups = SqlCallList(database), SqlRollups(database)
    now = datetime.now(UTC)
    found: dict[str, Any] = {}
    newest = calls.page(EVERYBODY, CallFilter(), limit=51)
    deep = calls.page(EVERYBODY, CallFilter(until=now - timedelta(days=300)), limit=51)
    for name, chosen in FILTERS.items():
        found[f"list: {name}"] = timed(partial(calls.page, EVERYBODY, chosen, limit=51), times)
        found[f"count: {name}"] = timed(partial(calls.count, EVERYBODY, chosen), times)
    recent = CallFilter(risk="high", since=now - timedelta(days=30))
    found["list: high risk of 30 days"] = timed(partial(calls.page, EVERYBODY, recent, limit=51), times)
    for name, scope in (("a team lead", LEAD), ("an agent", AGENT)):
        found[f"list: everything of {name}"] = timed(partial(calls.page, scope, CallFilter(), limit=51), times)
    for name, page in (("second", newest), ("far", deep)):
        last = page[-1].call
        assert last.started_at is not None
        before = (last.started_at, str(last.call_id))
        found[f"list: the {name} page"] = timed(partial(calls.page, EVERYBODY, CallFilter(), before=before, limit=51), times)
    policy = ReviewPolicy()
    days: list[tuple[str, datetime, datetime]] = []
    for back in range(DAYS + 1):
        day = policy.calendar.local_day(now - timedelta(days=back))
        noon = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
        days.append((day.isoformat(), deadline(policy.calendar, noon - timedelta(days=1), 0), deadline(policy.calendar, noon, 0)))
    found["roll up one day"] = timed(partial(rollups.roll, ORG, days[3][0], days[3][1], days[3][2]), times)
    for name, begin, end in days:
        rollups.roll(ORG, name, begin, end)
    for span in (7, 30, 365):
        oldest, newest_day = days[min(span, len(days)) - 1][0], days[0][0]
        found[f"dashboard: by day, {span} days"] = timed(partial(rollups.by_day, EVERYBODY, oldest, newest_day), times)
        found[f"dashboard: topics, {span} days"] = timed(partial(rollups.by_key, EVERYBODY, "ticket", oldest, newest_day), times)
        found[f"dashboard: agents, {span} days"] = timed(partial(rollups.by_key, EVERYBODY, "agent", oldest, newest_day), times)
        found[f"dashboard: agents of a team, {span} days"] = timed(partial(rollups.by_key, LEAD, "agent", oldest, newest_day), times)
    database.close()
    return found
