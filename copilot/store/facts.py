"""What lists and figures need of a call beside its fold: ticket, score and risk, as columns of ``calls``.

They follow from the newest artifacts and the newest verdict, are written in the transaction that changes those, and can be made again from
them (``rebuild``). ``changed_at`` is the mark by which roll-ups, search and sampling notice that a call has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot.domain.artifacts import ArtifactBody, QaScorecard, TicketClassification
from copilot.domain.clock import Clock
from copilot.domain.ids import CallId, OrgId
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.database import Database, insert_if_new
from copilot.store.keyring import KeyRing
from copilot.store.sealed import newest_artifacts

REVIEWED = "reviewed"
MACHINE = "machine"
HIGH_RISK, WATCH_RISK = 60, 30
"""From here on a call counts as one with high complaint risk, or as one to watch."""


def confidence_of(card: QaScorecard) -> float:
    """How sure the machine is of its score, in [0, 1]: the mean confidence by points; an unscorable answer counts 0."""
    asked = [item for item in card.items if item.answer != "na"]
    weights = sum(max(item.max_points, 1.0) for item in asked)
    sure = sum(max(item.max_points, 1.0) * item.confidence for item in asked if item.answer != "not_scorable")
    return round(sure / weights, 4) if weights else 0.0


def score_band(score: float, fatal: bool) -> str:
    """``fatal``, ``0`` (under 60), ``60``, ``75``, ``85``, ``95``: the band by its lower end."""
    if fatal:
        return "fatal"
    return next((str(low) for low in (95, 85, 75, 60) if score >= low), "0")


def risk_band(risk: int) -> str:
    """``high`` from 60, ``watch`` from 30, else ``low``."""
    return "high" if risk >= HIGH_RISK else "watch" if risk >= WATCH_RISK else "low"


def facts_of(body: ArtifactBody) -> dict[str, Any]:
    """The columns that an artifact decides."""
    match body:
        case TicketClassification():
            return {"ticket_level1": body.level1, "ticket_level2": body.level2}
        case QaScorecard():
            return {"qa_score": body.score, "qa_fatal": body.fatal, "qa_confidence": confidence_of(body), "qa_state": MACHINE}
        case _:
            return {}


def write_facts(connection: Connection, org_id: OrgId, call_id: CallId, values: Mapping[str, Any], at: datetime) -> None:
    """In the caller's transaction. A machine's score does not replace one that a person has given."""
    if not values:
        return
    here = sa.and_(t.calls.c.org_id == org_id, t.calls.c.call_id == call_id)
    if values.get("qa_state") == MACHINE:
        here = sa.and_(here, t.calls.c.qa_state != REVIEWED)
    connection.execute(sa.update(t.calls).where(here).values(**values, **_banded(values), changed_at=at))


def _banded(values: Mapping[str, Any]) -> dict[str, str]:
    if values.get("qa_score") is None:
        return {"score_band": ""} if "qa_score" in values else {}
    return {"score_band": score_band(values["qa_score"], values["qa_fatal"])}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """The row of a call as rounds, lists and figures read it."""

    call_id: CallId
    started_at: datetime | None
    changed_at: datetime | None
    phase: str
    language: str
    agent_id: str | None
    team_id: str | None
    duration_ms: int
    alerts: int
    intents: tuple[str, ...]
    intent: str
    ticket_level1: str
    ticket_level2: str
    qa_state: str
    qa_score: float | None
    qa_fatal: bool
    qa_confidence: float | None
    risk: int
    direction: str = "inbound"
    protocol: str = ""


class SqlFacts:
    """Reading and completing the facts of calls. Synchronous and thread-safe. For rounds of the server: it checks no person's scope."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    def changed(self, org_id: OrgId, since: datetime | None, after: str = "", limit: int = 500) -> list[CallFacts]:
        """Calls changed after (``since``, ``after``), in that order; ``since`` None: calls that never got facts, by id."""
        table = t.calls.c
        query = sa.select(t.calls).where(table.org_id == org_id)
        if since is None:
            query = query.where(table.changed_at.is_(None), table.call_id > after).order_by(table.call_id)
        else:
            here = sa.tuple_(table.changed_at, table.call_id)
            there = sa.tuple_(sa.literal(since, table.changed_at.type), sa.literal(after))
            query = query.where(here > there).order_by(table.changed_at, table.call_id)
        with self._database.read() as connection:
            return [_facts(row) for row in connection.execute(query.limit(limit)).mappings()]

    def mark(self, org_id: OrgId, name: str) -> tuple[datetime, str] | None:
        """How far a follower of changes has read: (changed_at, call_id); None if never."""
        key = sa.and_(t.kv.c.org_id == org_id, t.kv.c.key == f"mark.{name}")
        with self._database.read() as connection:
            value = connection.execute(sa.select(t.kv.c.value).where(key)).scalar()
        if value is None:
            return None
        at, _, call_id = str(value).partition(" ")
        return datetime.fromisoformat(at), call_id

    def set_mark(self, org_id: OrgId, name: str, at: datetime, call_id: str) -> None:
        key = sa.and_(t.kv.c.org_id == org_id, t.kv.c.key == f"mark.{name}")
        value = f"{at.isoformat()} {call_id}"
        with self._database.write() as connection:
            if not insert_if_new(connection, t.kv, org_id=org_id, key=f"mark.{name}", value=value):
                connection.execute(sa.update(t.kv).where(key).values(value=value))

    def set_risk(self, org_id: OrgId, risks: Mapping[CallId, int]) -> None:
        """Marks the calls as changed, for the others that follow the marks; who set the risk finds it the same when it meets them again."""
        now = self._clock.now()
        with self._database.write() as connection:
            for call_id, risk in risks.items():
                here = sa.and_(t.calls.c.org_id == org_id, t.calls.c.call_id == call_id)
                connection.execute(sa.update(t.calls).where(here).values(risk=risk, risk_band=risk_band(risk), changed_at=now))

    def rebuild(self, org_id: OrgId, call_id: CallId) -> bool:
        """Makes the facts of a call again from its newest artifacts and verdict. True if any of them was wrong. Raises NotFound."""
        with self._database.write() as connection:
            row = rows.lock_call(connection, org_id, call_id)
            values: dict[str, Any] = {"ticket_level1": "", "ticket_level2": "", "qa_state": "", "qa_score": None, "qa_fatal": False}
            values |= {"qa_confidence": None, "intent": row["intents"][0] if row["intents"] else ""}
            for artifact in newest_artifacts(connection, self._keyring, org_id, call_id):
                values |= facts_of(artifact.body)
            verdict = connection.execute(
                sa.select(t.verdicts.c.score, t.verdicts.c.fatal)
                .where(rows.is_call(t.verdicts, org_id, call_id), t.verdicts.c.kind != "calibration")
                .order_by(t.verdicts.c.number.desc())
                .limit(1)
            ).one_or_none()
            if verdict is not None:
                values |= {"qa_state": REVIEWED, "qa_score": verdict.score, "qa_fatal": verdict.fatal}
            wrong = any(row[name] != value for name, value in values.items())
            if wrong or row["changed_at"] is None:
                here = rows.is_call(t.calls, org_id, call_id)
                connection.execute(sa.update(t.calls).where(here).values(**values, **_banded(values), changed_at=self._clock.now()))
        return wrong

    def unreviewed(self, org_id: OrgId, since: datetime, limit: int = 20_000) -> list[CallFacts]:
        """Scored calls that began since ``since`` and that no task of the queue is about, oldest first."""
        table = t.calls.c
        task = sa.exists().where(
            t.reviews.c.org_id == table.org_id, t.reviews.c.call_id == table.call_id, t.reviews.c.kind != "calibration"
        )
        query = (
            sa.select(t.calls)
            .where(table.org_id == org_id, table.qa_state == MACHINE, table.started_at >= since, ~task)
            .order_by(table.started_at, table.call_id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_facts(row) for row in connection.execute(query).mappings()]

    def taken(self, org_id: OrgId, since: datetime) -> dict[tuple[str, str], int]:
        """(plan, agent) → tasks of sampling whose calls began since ``since``."""
        table = t.reviews.c
        same = sa.and_(t.calls.c.org_id == table.org_id, t.calls.c.call_id == table.call_id)
        query = (
            sa.select(table.plan, table.agent_id, sa.func.count())
            .join_from(t.reviews, t.calls, same)
            .where(table.org_id == org_id, table.kind == "sample", table.agent_id.is_not(None), t.calls.c.started_at >= since)
            .group_by(table.plan, table.agent_id)
        )
        with self._database.read() as connection:
            return {(plan, agent): count for plan, agent, count in connection.execute(query)}


_FIELDS = tuple(CallFacts.__dataclass_fields__)


def _facts(row: RowMapping) -> CallFacts:
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    return CallFacts(**{**values, "intents": tuple(row["intents"])})
