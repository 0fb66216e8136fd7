"""An appeal against a quality score as a state machine: who may do what, when, and by when. Pure.

::

    file (agent of the call, within the window)
      └─► filed ── forward (team lead) ──► with_qa_lead ── assign (QA lead) ──► re_review ── decide (that inspector) ──► changed | kept
            │  └─ dismiss (team lead) ──► dismissed                               └─ assign again (QA lead)
            │  └─ escalate (clock) ─────► with_qa_lead
            └─ withdraw (agent; also while with_qa_lead) ──► withdrawn

Nobody decides about their own: the agent of the call, the one who gave the score, and whoever forwarded the appeal cannot re-review it;
who filed it can neither forward, dismiss, assign nor decide it, whatever roles they have besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from copilot.domain.errors import Conflict, Forbidden
from copilot.domain.people import Role
from copilot.review.workdays import Calendar, deadline

State = Literal["filed", "with_qa_lead", "re_review", "changed", "kept", "dismissed", "withdrawn"]
Action = Literal["forward", "dismiss", "withdraw", "escalate", "assign", "decide"]
OPEN_STATES: tuple[State, ...] = ("filed", "with_qa_lead", "re_review")
ACTIONS: tuple[Action, ...] = ("forward", "dismiss", "withdraw", "escalate", "assign", "decide")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Working days: in which an agent may file after the score was told, and that each step may take."""

    file_days: int = 3
    team_lead_days: int = 2
    qa_lead_days: int = 1
    inspector_days: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """``reviewer_id``: the person who gave the score, None for the machine. ``due_at``: by when the present step must be taken."""

    agent_id: str
    filed_by: str
    state: State
    due_at: datetime | None
    reviewer_id: str | None = None
    forwarded_by: str | None = None
    assigned_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts. ``leads_team``: a team lead of the team of the call. ``is_clock``: nobody, time has passed."""

    user_id: str
    roles: frozenset[Role]
    leads_team: bool = False
    is_clock: bool = False


_FROM: Mapping[Action, tuple[State, ...]] = MappingProxyType(
    {
        "forward": ("filed",),
        "dismiss": ("filed",),
        "withdraw": ("filed", "with_qa_lead"),
        "escalate": ("filed",),
        "assign": ("with_qa_lead", "re_review"),
        "decide": ("re_review",),
    }
)


def file(
    *, actor: Actor, agent_id: str | None, scored_at: datetime, reviewer_id: str | None, now: datetime, calendar: Calendar, clocks: Clocks
) -> Appeal:
    """A new appeal. Raises Forbidden for anybody but the agent of the call, Conflict when the window is over."""
    if agent_id is None or actor.user_id != agent_id:
        raise Forbidden("Only the agent of the call can appeal against its score.")
    if now >= deadline(calendar, scored_at, clocks.file_days):
        raise Conflict(f"An appeal must be filed within {clocks.file_days} working days of the score; that time is over.")
    due_at = deadline(calendar, now, clocks.team_lead_days)
    return Appeal(agent_id=agent_id, filed_by=actor.user_id, state="filed", due_at=due_at, reviewer_id=reviewer_id)


def step(
    appeal: Appeal,
    action: Action,
    actor: Actor,
    *,
    now: datetime,
    calendar: Calendar,
    clocks: Clocks,
    assignee: Actor | None = None,
    changed: bool = False,
) -> Appeal:
    """The appeal after one more step. ``assignee``: of ``assign``. ``changed``: of ``decide``, whether the score changes.

    Raises Conflict when the state does not allow the action, Forbidden when the actor may not take it.
    """
    if appeal.state not in _FROM[action]:
        raise Conflict(f"An appeal that is {appeal.state.replace('_', ' ')} cannot be {_PAST[action]}.")
    _permitted(appeal, action, actor, now)
    match action:
        case "forward":
            return replace(appeal, state="with_qa_lead", forwarded_by=actor.user_id, due_at=deadline(calendar, now, clocks.qa_lead_days))
        case "escalate":
            return replace(appeal, state="with_qa_lead", due_at=deadline(calendar, now, clocks.qa_lead_days))
        case "dismiss":
            return replace(appeal, state="dismissed", due_at=None)
        case "withdraw":
            return replace(appeal, state="withdrawn", due_at=None)
        case "assign":
            if assignee is None:
                raise Conflict("Name the inspector who is to review the call again.")
            _may_re_review(appeal, assignee)
            due_at = deadline(calendar, now, clocks.inspector_days)
            return replace(appeal, state="re_review", assigned_to=assignee.user_id, due_at=due_at)
        case _:
            return replace(appeal, state="changed" if changed else "kept", due_at=None)


_PAST: Mapping[Action, str] = MappingProxyType(
    {
        "forward": "forwarded",
        "dismiss": "dismissed",
        "withdraw": "withdrawn",
        "escalate": "passed on",
        "assign": "assigned",
        "decide": "decided",
    }
)


def _permitted(appeal: Appeal, action: Action, actor: Actor, now: datetime) -> None:
    own = actor.user_id in (appeal.filed_by, appeal.agent_id)
    if action == "withdraw":
        if actor.user_id != appeal.filed_by:
            raise Forbidden("Only who filed the appeal can withdraw it.")
        return
    if action == "escalate":
        if not actor.is_clock or appeal.due_at is None or now < appeal.due_at:
            raise Forbidden("An appeal is passed on by the clock alone, when its time is over.")
        return
    if own:
        raise Forbidden("Nobody takes part in the decision about their own appeal.")
    if action in ("forward", "dismiss") and not actor.leads_team:
        raise Forbidden("Only a lead of the agent's team can look at an appeal first.")
    if action == "assign" and "qa_lead" not in actor.roles:
        raise Forbidden("Only the QA lead assigns an appeal.")
    if action == "decide":
        if actor.user_id != appeal.assigned_to:
            raise Forbidden("Only the inspector the appeal was assigned to can decide it.")
        _may_re_review(appeal, actor)


def _may_re_review(appeal: Appeal, inspector: Actor) -> None:
    if not inspector.roles & {"inspector", "qa_lead"}:
        raise Forbidden("An appeal can only be assigned to a quality inspector.")
    if inspector.user_id in (appeal.agent_id, appeal.filed_by):
        raise Forbidden("Nobody takes part in the decision about their own appeal.")
    if inspector.user_id == appeal.reviewer_id:
        raise Forbidden("Who gave the score cannot review it again; assign another inspector.")
    if inspector.user_id == appeal.forwarded_by:
        raise Forbidden("Who forwarded the appeal cannot decide it; assign another inspector.")
