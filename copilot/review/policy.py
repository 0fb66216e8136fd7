"""The review pack: sampling plans, the clocks of appeals, the working calendar and what makes a call risky. Pure.

The sample is kb/samples/bank/review.yaml; docs/reference/review-pack.md says what each entry means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast
from zoneinfo import ZoneInfo

import yaml

from copilot.domain.errors import InvalidInput
from copilot.review.appeals import Clocks
from copilot.review.sampling import PLAN_KINDS, Plan, PlanKind
from copilot.review.workdays import Calendar

PACK = "review"
_DAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_PERIODS = ("day", "week", "month")
_TOP = frozenset({"version", "plans", "due_days", "appeal", "calendar", "risk"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskWeights:
    """Points of a call's complaint risk, capped at 100: of the intents heard, of the ticket's category (either level), of each alert by
    severity, and of a failed fatal item."""

    intents: Mapping[str, int] = field(default_factory=dict)
    categories: Mapping[str, int] = field(default_factory=dict)
    alert: int = 0
    fatal: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPolicy:
    """``due_days``: working days in which a call in the queue should be reviewed."""

    version: str = "0"
    plans: tuple[Plan, ...] = ()
    due_days: int = 3
    clocks: Clocks = field(default_factory=Clocks)
    calendar: Calendar = field(default_factory=Calendar)
    risk: RiskWeights = field(default_factory=RiskWeights)


def parse_policy(text: str) -> ReviewPolicy:
    """``review.yaml``. Raises InvalidInput naming the entry, the fault and the fix."""
    try:
        top = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidInput(f"The pack review is not valid YAML{f' at line {mark.line + 1}' if mark else ''}; correct it.") from error
    if not isinstance(top, Mapping) or top.get("version") in (None, ""):
        raise InvalidInput("review: `version` is missing; give it a number and raise it with every change.")
    if unknown := sorted(set(top) - _TOP):
        raise InvalidInput(f"review: `{unknown[0]}` is not known; it may hold {', '.join(sorted(_TOP))}.")
    plans = top.get("plans") or []
    if not isinstance(plans, list):
        raise InvalidInput("review: `plans` must be a list.")
    made = tuple(_plan(number, entry) for number, entry in enumerate(plans, start=1) if _enabled(entry))
    ids = [plan.plan_id for plan in made]
    if twice := next((name for name in ids if ids.count(name) > 1), None):
        raise InvalidInput(f"review: two plans have the id {twice}; rename one.")
    return ReviewPolicy(
        version=str(top["version"]),
        plans=made,
        due_days=_whole("review", top, "due_days", 3, 1, 60),
        clocks=_clocks(top.get("appeal") or {}),
        calendar=_calendar(top.get("calendar") or {}),
        risk=_risk(top.get("risk") or {}),
    )


def _enabled(entry: Any) -> bool:
    return not isinstance(entry, Mapping) or entry.get("enabled", True) is not False


def _plan(number: int, entry: Any) -> Plan:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str):
        raise InvalidInput(f"review: plan {number} needs an `id`.")
    where = f"review plan {entry['id']}"
    if entry.get("kind") not in PLAN_KINDS:
        raise InvalidInput(f"{where}: `kind` is {entry.get('kind')!r}; it must be one of {', '.join(PLAN_KINDS)}.")
    kind = cast("PlanKind", entry["kind"])
    period = entry.get("period", "week")
    if period not in _PERIODS:
        raise InvalidInput(f"{where}: `period` must be one of {', '.join(_PERIODS)}.")
    return Plan(
        plan_id=entry["id"],
        kind=kind,
        share=_share(where, entry, "share") if kind == "random" else 0.0,
        at_least=_whole(where, entry, "at_least", 60, 1, 100) if kind == "risk" else 0,
        at_most=_share(where, entry, "at_most") if kind == "low_confidence" else 0.0,
        count=_whole(where, entry, "count", 1, 1, 1000) if kind == "agent_quota" else 0,
        period=period,
        teams=_words(where, entry, "teams"),
        categories=_words(where, entry, "categories"),
    )


def _clocks(entry: Any) -> Clocks:
    base = Clocks()
    given = {name: _whole("review appeal", entry, name, getattr(base, name), 0, 60) for name in Clocks.__dataclass_fields__}
    return Clocks(**given)


def _calendar(entry: Any) -> Calendar:
    where = "review calendar"
    if not isinstance(entry, Mapping):
        raise InvalidInput(f"{where}: it must be a mapping.")
    zone = entry.get("time_zone", "Asia/Shanghai")
    try:
        ZoneInfo(str(zone))
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"{where}: `time_zone` is {zone!r}; use a name such as Asia/Shanghai.") from error
    names = entry.get("weekend", ["sat", "sun"])
    if not isinstance(names, list) or not all(name in _DAYS for name in names):
        raise InvalidInput(f"{where}: `weekend` must be a list of {', '.join(_DAYS)}.")
    weekend = frozenset(_DAYS[name] for name in names)
    calendar = Calendar(time_zone=str(zone), weekend=weekend, holidays=_dates(entry, "holidays"), workdays=_dates(entry, "workdays"))
    if len(weekend) == len(_DAYS) and not calendar.workdays:
        raise InvalidInput(f"{where}: no day of the week is worked.")
    return calendar


def _dates(entry: Mapping[str, Any], key: str) -> frozenset[date]:
    """Days, and ranges written ``2026-10-01..2026-10-07``."""
    found: set[date] = set()
    for value in _listed(f"review calendar, {key}", entry.get(key)):
        first, _, last = str(value).partition("..")
        try:
            begin = date.fromisoformat(first)
            end = date.fromisoformat(last) if last else begin
        except ValueError as error:
            raise InvalidInput(f"review calendar: {value!r} in `{key}` is no day; write 2026-10-01 or 2026-10-01..2026-10-07.") from error
        found |= {date.fromordinal(day) for day in range(begin.toordinal(), min(end.toordinal(), begin.toordinal() + 366) + 1)}
    return frozenset(found)


def _risk(entry: Any) -> RiskWeights:
    where = "review risk"
    if not isinstance(entry, Mapping):
        raise InvalidInput(f"{where}: it must be a mapping.")

    def table(key: str) -> dict[str, int]:
        value = entry.get(key) or {}
        if not isinstance(value, Mapping):
            raise InvalidInput(f"{where}: `{key}` must give points for each id.")
        return {str(name): _whole(f"{where}, {key}", value, name, 0, 0, 100) for name in value}

    return RiskWeights(
        intents=table("intents"),
        categories=table("categories"),
        alert=_whole(where, entry, "alert", 0, 0, 100),
        fatal=_whole(where, entry, "fatal", 0, 0, 100),
    )


def _listed(where: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidInput(f"{where}: it must be a list.")
    return value


def _words(where: str, entry: Mapping[str, Any], key: str) -> frozenset[str]:
    return frozenset(str(word) for word in _listed(f"{where}, {key}", entry.get(key)))


def _number(where: str, entry: Any, key: str, default: float, valid: Callable[[float], bool], said: str) -> float:
    value = entry.get(key, default) if isinstance(entry, Mapping) else default
    if isinstance(value, bool) or not isinstance(value, int | float) or not valid(value):
        raise InvalidInput(f"{where}: `{key}` is {value!r}; it must be {said}.")
    return float(value)


def _share(where: str, entry: Mapping[str, Any], key: str) -> float:
    return _number(where, entry, key, -1.0, lambda value: 0 <= value <= 1, "between 0 and 1")


def _whole(where: str, entry: Any, key: str, default: int, least: int, most: int) -> int:
    return int(_number(where, entry, key, default, lambda v: least <= v <= most and v == int(v), f"a whole number from {least} to {most}"))
