"""What a server does for review by itself, again and again: risk of changed calls, figures of their days, sampling, overdue appeals.

Every step may be done twice and by several nodes at once with one effect: tasks have names made from their call, risk is a function of the
call, an appeal moves once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from copilot.domain.clock import Clock
from copilot.domain.errors import NotFound
from copilot.domain.ids import OrgId
from copilot.review.desk import ReviewDesk
from copilot.review.policy import ReviewPolicy
from copilot.review.risk import risk_of
from copilot.review.sampling import Candidate, chosen
from copilot.review.workdays import Calendar, deadline
from copilot.store.facts import CallFacts, SqlFacts
from copilot.store.reviews import SqlReviews, new_review
from copilot.store.rollups import SqlRollups

LOOK_BACK = timedelta(days=7)
"""Calls older than this are not sampled any more (but a quota of a month sees its whole month)."""
OVERLAP = timedelta(seconds=60)
"""Marks of other nodes may be this much younger than ours: what was seen last is read again."""
_PAGE = 500
_MARK = "review"


class ReviewRounds:
    """``run`` does one round for one organisation. Synchronous; one at a time in a process."""

    def __init__(
        self,
        *,
        facts: SqlFacts,
        rollups: SqlRollups,
        reviews: SqlReviews,
        desk: ReviewDesk,
        policies: Callable[[OrgId], ReviewPolicy],
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._rollups = rollups
        self._reviews = reviews
        self._desk = desk
        self._policies = policies
        self._clock = clock

    def run(self, org_id: OrgId) -> int:
        """How many calls were put into the queue."""
        policy = self._policies(org_id)
        self._backfill(org_id)
        self._follow(org_id, policy)
        added = self._sample(org_id, policy)
        self._desk.pass_on_overdue()
        return added

    def _backfill(self, org_id: OrgId) -> None:
        """Calls from before there were facts get them."""
        while page := self._facts.changed(org_id, None, limit=_PAGE):
            for call in page:
                try:
                    self._facts.rebuild(org_id, call.call_id)
                except NotFound:
                    continue

    def _follow(self, org_id: OrgId, policy: ReviewPolicy) -> None:
        """Complaint risk of the calls that changed since the last round, then the figures of their days."""
        seen = self._facts.mark(org_id, _MARK)
        since, after = (seen[0] - OVERLAP, "") if seen is not None else (datetime(1970, 1, 1, tzinfo=UTC), "")
        while page := self._facts.changed(org_id, since, after, _PAGE):
            risks = {call.call_id: risk_of_call(policy, call) for call in page}
            self._facts.set_risk(org_id, {call.call_id: risks[call.call_id] for call in page if risks[call.call_id] != call.risk})
            days = {policy.calendar.local_day(call.started_at) for call in page if call.started_at is not None}
            for day in sorted(days):
                self._roll(org_id, policy, day)
            since, after = page[-1].changed_at or since, page[-1].call_id
            self._facts.set_mark(org_id, _MARK, since, after)

    def _roll(self, org_id: OrgId, policy: ReviewPolicy, day: date) -> None:
        begin = deadline(policy.calendar, datetime.combine(day - timedelta(days=1), time(12), ZoneInfo(policy.calendar.time_zone)), 0)
        end = deadline(policy.calendar, datetime.combine(day, time(12), ZoneInfo(policy.calendar.time_zone)), 0)
        self._rollups.roll(org_id, day.isoformat(), begin, end)

    def _sample(self, org_id: OrgId, policy: ReviewPolicy) -> int:
        if not policy.plans:
            return 0
        now = self._clock.now()
        added = 0
        for period in ("", "day", "week", "month"):
            plans = [plan for plan in policy.plans if (plan.period if plan.kind == "agent_quota" else "") == period]
            if not plans:
                continue
            begin, elapsed = period_of(policy.calendar, now, period)
            waiting = [_candidate(call) for call in self._facts.unreviewed(org_id, begin)]
            taken = self._facts.taken(org_id, begin) if period else {}
            found = chosen(plans, waiting, taken=taken, elapsed=elapsed)
            added += self._queue(org_id, policy, found, now) if found else 0
        return added

    def _queue(self, org_id: OrgId, policy: ReviewPolicy, found: list[tuple[Candidate, str]], now: datetime) -> int:
        due_at = deadline(policy.calendar, now, policy.due_days)
        tasks = [
            new_review(
                item.call_id,
                "sample",
                now=now,
                due_at=due_at,
                review_id=f"s-{hashlib.sha256(item.call_id.encode()).hexdigest()[:32]}",
                plan=plan,
                agent_id=item.agent_id,
                risk=item.risk,
            )
            for item, plan in found
        ]
        return self._reviews.add(org_id, tasks, "sampling")


def risk_of_call(policy: ReviewPolicy, call: CallFacts) -> int:
    """By the weights of the pack."""
    categories = {call.ticket_level1, call.ticket_level2} - {""}
    return risk_of(policy.risk, intents=call.intents, categories=categories, alerts=call.alerts, fatal=call.qa_fatal)


def _candidate(call: CallFacts) -> Candidate:
    return Candidate(
        call_id=call.call_id,
        agent_id=call.agent_id,
        team_id=call.team_id,
        started_at=call.started_at or datetime(1970, 1, 1, tzinfo=UTC),
        categories=tuple(name for name in (call.ticket_level1, call.ticket_level2) if name),
        risk=call.risk,
        confidence=call.qa_confidence if call.qa_confidence is not None else 1.0,
    )


def period_of(calendar: Calendar, now: datetime, period: str) -> tuple[datetime, float]:
    """(when the present day, week or month began at the bank, how much of it is over in [0, 1]); "": the days that are sampled at all."""
    if not period:
        return now - LOOK_BACK, 1.0
    local = now.astimezone(ZoneInfo(calendar.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        local -= timedelta(days=local.weekday())
        end = local + timedelta(days=7)
    elif period == "month":
        local = local.replace(day=1)
        end = (local + timedelta(days=32)).replace(day=1)
    else:
        end = local + timedelta(days=1)
    return local.astimezone(UTC), (now - local).total_seconds() / (end - local).total_seconds()
