"""Which scored calls people look at: the plans of the review pack. Pure and repeatable: chance is a hash of the call's name."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

PlanKind = Literal["all", "random", "risk", "low_confidence", "agent_quota"]
PLAN_KINDS: tuple[PlanKind, ...] = ("all", "random", "risk", "low_confidence", "agent_quota")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One sampling plan. ``share`` (random) and ``at_most`` (low_confidence) in [0, 1]; ``at_least`` (risk) in [0, 100];
    ``count`` calls of each agent a ``period`` (agent_quota). ``teams`` and ``categories`` (level 1 or 2) narrow it; empty: all."""

    plan_id: str
    kind: PlanKind
    share: float = 0.0
    at_least: int = 0
    at_most: float = 0.0
    count: int = 0
    period: Literal["day", "week", "month"] = "week"
    teams: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A scored call that nobody is to review yet. ``confidence`` of its machine score in [0, 1]; ``risk`` in [0, 100]."""

    call_id: str
    agent_id: str | None
    team_id: str | None
    started_at: datetime
    categories: tuple[str, ...] = ()
    risk: int = 0
    confidence: float = 1.0


def chance(plan_id: str, call_id: str) -> float:
    """A number in [0, 1) that is always the same for a plan and a call, and evenly spread over calls."""
    return int.from_bytes(hashlib.sha256(f"{plan_id}\0{call_id}".encode()).digest()[:7], "big") / 2.0**56


def due_by(count: int, elapsed: float) -> int:
    """Of a quota of ``count``, how many are to be chosen when ``elapsed`` (0–1) of the period is over, so that they spread over it."""
    return min(count, math.ceil(count * max(0.0, min(1.0, elapsed)) - 1e-9))


def chosen(
    plans: Sequence[Plan], candidates: Iterable[Candidate], *, taken: dict[tuple[str, str], int] | None = None, elapsed: float = 1.0
) -> list[tuple[Candidate, str]]:
    """The calls to review with the id of the first plan that wants each, in the order of the candidates.

    ``taken``: (plan, agent) → how many calls of theirs the current period already has; the candidates of an ``agent_quota`` plan are those
    of its period. ``elapsed``: how much of the period is over, 0–1.
    """
    found: dict[str, tuple[Candidate, str]] = {}
    waiting = list(candidates)
    for plan in plans:
        fitting = [item for item in waiting if item.call_id not in found and _fits(plan, item)]
        if plan.kind == "agent_quota":
            wanted = _by_quota(plan, fitting, taken or {}, elapsed)
        else:
            wanted = {item.call_id for item in fitting if _wants(plan, item)}
        found |= {item.call_id: (item, plan.plan_id) for item in fitting if item.call_id in wanted}
    return [found[item.call_id] for item in waiting if item.call_id in found]


def _fits(plan: Plan, item: Candidate) -> bool:
    in_team = not plan.teams or item.team_id in plan.teams
    return in_team and (not plan.categories or bool(plan.categories & set(item.categories)))


def _wants(plan: Plan, item: Candidate) -> bool:
    match plan.kind:
        case "all":
            return True
        case "random":
            return chance(plan.plan_id, item.call_id) < plan.share
        case "risk":
            return item.risk >= plan.at_least
        case "low_confidence":
            return item.confidence <= plan.at_most
        case _:
            return False


def _by_quota(plan: Plan, fitting: Sequence[Candidate], taken: dict[tuple[str, str], int], elapsed: float) -> Collection[str]:
    """Of each agent the calls that chance puts first, until their share of the quota is full."""
    by_agent: dict[str, list[Candidate]] = defaultdict(list)
    for item in fitting:
        if item.agent_id is not None:
            by_agent[item.agent_id].append(item)
    wanted = set()
    for agent, calls in by_agent.items():
        room = due_by(plan.count, elapsed) - taken.get((plan.plan_id, agent), 0)
        calls.sort(key=lambda item: chance(plan.plan_id, item.call_id))
        wanted |= {item.call_id for item in calls[: max(0, room)]}
    return wanted
