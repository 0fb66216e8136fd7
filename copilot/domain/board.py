"""A row of the supervisors' live board: what is known of a running call at a glance, and how much it asks for a look. Pure.

Made from events without their contents: nothing that was said is in a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from copilot.domain.ids import CallId, TeamId, UserId

BOARD_EVENTS: frozenset[str] = frozenset({
    "call_started", "call_held", "call_resumed", "call_transferred", "call_ended", "mood_changed", "compliance_alerted", "intent_detected",
    "degraded", "whisper_sent",
})  # fmt: skip
"""Types of events that change a row, or begin or end it."""
_ALERT_WEIGHT: Mapping[str, float] = {"critical": 0.6, "warn": 0.25, "info": 0.05}
_HELD_WEIGHT = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRow:
    """``complaint_risk`` and ``mood`` are the newest estimate about the customer's turns, shown with ``mood_confidence``.

    ``alerts``: how many of each severity. ``last_rule``: of the newest alert. ``down``: parts of the copilot that do not help this call.
    """

    call_id: CallId
    started_at: datetime
    agent_id: UserId | None = None
    team_id: TeamId | None = None
    language: str = ""
    direction: str = "inbound"
    skill: str = ""
    held_since: datetime | None = None
    mood: str = ""
    mood_trend: str = ""
    mood_confidence: float = 0.0
    complaint_risk: float = 0.0
    alerts: Mapping[str, int]
    last_rule: str = ""
    intent: str = ""
    whispers: int = 0
    down: tuple[str, ...] = ()
    seq: int = 0
    """The last event in it: what came before is in it already."""

    @property
    def risk(self) -> float:
        """In [0, 1): 1 − Π(1 − w) over the complaint risk, each alert (critical .6, warn .25, info .05) and a hold (.15).

        An order for looking, no probability: a call with a broken promise comes before one with an impatient customer.
        """
        calm = (1 - self.complaint_risk) * (1 - _HELD_WEIGHT if self.held_since is not None else 1)
        for severity, count in self.alerts.items():
            calm *= (1 - _ALERT_WEIGHT.get(severity, 0.0)) ** count
        return 1 - calm


def apply_event(row: BoardRow, event: Mapping[str, Any], at: datetime, seq: int) -> BoardRow:
    """The row after an event's payload (``copilot.codec.split``). One that is in it already changes nothing."""
    if seq <= row.seq:
        return row
    row = replace(row, seq=seq)
    match event.get("type"):
        case "call_held":
            return replace(row, held_since=row.held_since or at)
        case "call_resumed":
            return replace(row, held_since=None)
        case "call_transferred":
            return replace(row, agent_id=event["agent_id"], held_since=None)
        case "mood_changed":
            return replace(
                row,
                mood=event["mood"],
                mood_trend=event["trend"],
                mood_confidence=event["confidence"],
                complaint_risk=min(max(float(event["complaint_risk"]), 0.0), 1.0),
            )
        case "compliance_alerted":
            severity = event["severity"]
            return replace(row, alerts={**row.alerts, severity: row.alerts.get(severity, 0) + 1}, last_rule=event["rule_id"])
        case "intent_detected" if event["intent"] != "unknown":
            return replace(row, intent=event["intent"])
        case "whisper_sent":
            return replace(row, whispers=row.whispers + 1)
        case "degraded":
            down = [part for part in row.down if part != event["part"]]
            return replace(row, down=tuple([*down, event["part"]] if event["state"] == "down" else down))
        case _:
            return row
