"""Working days by the bank's own calendar: weekends, public holidays, and weekend days that are worked instead (调休). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SATURDAY, SUNDAY = 5, 6
_MOST_DAYS = 3660


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """``weekend``: weekdays that are not worked, Monday is 0. ``workdays`` are worked although they fall on a weekend."""

    time_zone: str = "Asia/Shanghai"
    weekend: frozenset[int] = frozenset({SATURDAY, SUNDAY})
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()

    def local_day(self, at: datetime) -> date:
        """The calendar day of a moment at the bank."""
        return at.astimezone(ZoneInfo(self.time_zone)).date()

    def local(self, at: datetime) -> datetime:
        """The moment as clocks at the bank show it."""
        return at.astimezone(ZoneInfo(self.time_zone))

    def works(self, day: date) -> bool:
        if day in self.workdays:
            return True
        return day not in self.holidays and day.weekday() not in self.weekend


def deadline(calendar: Calendar, at: datetime, days: int) -> datetime:
    """The end (local midnight, as UTC) of the ``days``-th working day after the day of ``at``; for 0 the end of that day itself.

    Raises ValueError when no such day comes within ten years: the calendar has no working days.
    """
    day, left = calendar.local_day(at), days
    for _ in range(_MOST_DAYS):
        if left <= 0:
            midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(calendar.time_zone))
            return midnight.astimezone(UTC)
        day += timedelta(days=1)
        left -= calendar.works(day)
    raise ValueError("the calendar has no working days")
