"""How articles are used in calls, and what customers asked that nothing answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Outcome = Literal["offered", "used", "copied", "edited", "rejected", "said", "withdrawn"]
OUTCOMES: tuple[Outcome, ...] = ("offered", "used", "copied", "edited", "rejected", "said", "withdrawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleUse:
    """One article over a number of days. ``reasons``: why it was rejected, counted; ``by_day``: offered per day."""

    article_id: str
    language: str
    title: str
    counts: Mapping[Outcome, int]
    reasons: Mapping[str, int] = field(default_factory=dict)
    by_day: Mapping[str, int] = field(default_factory=dict)
    last: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UseReport:
    """``calls`` looked at, the newest of ``days`` days; ``capped``: there were more."""

    days: int
    calls: int
    capped: bool
    articles: Sequence[ArticleUse] = ()
    by_day: Mapping[str, Mapping[Outcome, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Questions alike that found no answer (``nothing``), or one that agents rejected (``rejected``). ``examples`` are masked turns."""

    key: str
    language: str
    intent: str
    count: int
    nothing: int
    rejected: int
    examples: tuple[str, ...]
    first: date
    last: date
    call_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GapReport:
    days: int
    calls: int
    capped: bool
    gaps: Sequence[Gap] = ()
