"""Appeals and calibrations as rows. The rules are in ``copilot.review.appeals``; here each step is one transaction with its audit line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.ids import CallId, OrgId
from copilot.domain.people import Scope
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.calls import reaches
from copilot.store.database import Database
from copilot.store.keyring import KeyRing
from copilot.store.notices import tell, with_role
from copilot.store.reviews import SqlReviews, read_note

OPEN = ("filed", "with_qa_lead", "re_review")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealRow:
    """An appeal as it stands."""

    appeal_id: str
    call_id: CallId
    agent_id: str
    team_id: str | None
    filed_by: str
    state: str
    items: tuple[str, ...]
    score: float
    filed_at: datetime
    due_at: datetime | None
    reviewer_id: str | None
    forwarded_by: str | None
    assigned_to: str | None
    new_score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealStep:
    """One step of its history. ``note`` is empty once the call is erased."""

    seq: int
    at: datetime
    actor: str
    action: str
    state: str
    note: str = ""


class SqlAppeals:
    """Synchronous and thread-safe."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock, reviews: SqlReviews) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._reviews = reviews

    def file(self, scope: Scope, appeal: AppealRow, note: str) -> None:
        """Raises NotFound, Conflict when an appeal about the call is open already or one was decided on the same score."""
        org_id = scope.org_id
        with self._database.write() as connection:
            rows.lock_call(connection, org_id, appeal.call_id)
            before = sa.select(t.appeals.c.state).where(t.appeals.c.org_id == org_id, t.appeals.c.call_id == appeal.call_id)
            states = set(connection.execute(before).scalars())
            if states & set(OPEN):
                raise Conflict("An appeal about this call is open already.")
            if states & {"changed", "kept", "dismissed"}:
                raise Conflict("An appeal about this call was decided already; its result is final.")
            values = {name: getattr(appeal, name) for name in AppealRow.__dataclass_fields__} | {"items": list(appeal.items)}
            connection.execute(sa.insert(t.appeals).values(org_id=org_id, **values))
            self._step(connection, org_id, appeal, scope.user_id, "file", note)
            tell(
                connection,
                org_id,
                with_role(connection, org_id, "team_lead", appeal.team_id),
                "appeal.filed",
                _page(appeal),
                appeal.filed_at,
            )

    def update(
        self, org_id: OrgId, appeal_id: str, actor: str, action: str, change: Callable[[AppealRow], AppealRow], note: str
    ) -> AppealRow:
        """``change`` decides on the row as it is now; what it raises leaves everything as it was. Tells those whose turn it is."""
        with self._database.write() as connection:
            before = self._locked(connection, org_id, appeal_id)
            after = change(before)
            self._write(connection, org_id, after)
            self._step(connection, org_id, after, actor, action, note)
            self._tell(connection, org_id, after, action)
            return after

    def decide(
        self, scope: Scope, appeal_id: str, change: Callable[[AppealRow], AppealRow], note: str, submit: Callable[[Connection], float]
    ) -> AppealRow:
        """The last step: ``change`` and, in the same transaction, the new verdict (``submit`` gives the new score)."""
        org_id = scope.org_id
        with self._database.write() as connection:
            after = change(self._locked(connection, org_id, appeal_id))
            submit(connection)
            self._write(connection, org_id, after)
            self._step(connection, org_id, after, scope.user_id, "decide", note)
            self._tell(connection, org_id, after, "decide")
            return after

    def appeal(self, scope: Scope, appeal_id: str) -> tuple[AppealRow, list[AppealStep]]:
        """With its history, oldest first. Raises NotFound also when the scope does not reach its call."""
        with self._database.read() as connection:
            row = connection.execute(self._within(scope).where(t.appeals.c.appeal_id == appeal_id)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"There is no appeal {appeal_id} that you may see.")
            appeal = _appeal(row)
            key = sa.and_(t.appeal_steps.c.org_id == scope.org_id, t.appeal_steps.c.appeal_id == appeal_id)
            found = connection.execute(sa.select(t.appeal_steps).where(key).order_by(t.appeal_steps.c.seq)).mappings().all()
            steps = [
                AppealStep(
                    **{name: item[name] for name in ("seq", "at", "actor", "action", "state")},
                    note=read_note(connection, self._keyring, scope.org_id, appeal.call_id, f"appeal-{appeal_id}-{item['seq']}").get(
                        "text", ""
                    ),
                )
                for item in found
            ]
        return appeal, steps

    def appeals(self, scope: Scope, *, states: Sequence[str] = OPEN, call_id: CallId | None = None, limit: int = 100) -> list[AppealRow]:
        """Earliest due first, closed ones last by when they were filed."""
        table = t.appeals.c
        query = self._within(scope)
        query = query.where(table.call_id == call_id) if call_id is not None else query.where(table.state.in_(states))
        with self._database.read() as connection:
            found = connection.execute(query.order_by(table.due_at, table.filed_at.desc()).limit(limit)).mappings()
            return [_appeal(row) for row in found]

    def overdue(self, now: datetime, limit: int = 100) -> list[tuple[OrgId, str]]:
        """Appeals that a team lead has not looked at in time, of every organisation."""
        table = t.appeals.c
        query = sa.select(table.org_id, table.appeal_id).where(table.state == "filed", table.due_at <= now).limit(limit)
        with self._database.read() as connection:
            return [(OrgId(row.org_id), row.appeal_id) for row in connection.execute(query)]

    def team_of_call(self, scope: Scope, call_id: CallId) -> str | None:
        """Raises NotFound."""
        query = sa.select(t.calls.c.team_id).where(reaches(scope), t.calls.c.call_id == call_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"There is no call {call_id} that you may see.")
        return cast("str | None", row.team_id)

    # -- inside a transaction ----------------------------------------------------------------------------------------------------------

    def _within(self, scope: Scope) -> sa.Select[Any]:
        same = sa.and_(t.calls.c.org_id == t.appeals.c.org_id, t.calls.c.call_id == t.appeals.c.call_id)
        return sa.select(t.appeals).join_from(t.appeals, t.calls, same).where(reaches(scope), t.appeals.c.org_id == scope.org_id)

    def _locked(self, connection: Connection, org_id: OrgId, appeal_id: str) -> AppealRow:
        key = sa.and_(t.appeals.c.org_id == org_id, t.appeals.c.appeal_id == appeal_id)
        row = connection.execute(sa.select(t.appeals).where(key).with_for_update()).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no appeal {appeal_id}.")
        return _appeal(row)

    def _write(self, connection: Connection, org_id: OrgId, appeal: AppealRow) -> None:
        key = sa.and_(t.appeals.c.org_id == org_id, t.appeals.c.appeal_id == appeal.appeal_id)
        moved = {name: getattr(appeal, name) for name in ("state", "due_at", "forwarded_by", "assigned_to", "new_score")}
        connection.execute(sa.update(t.appeals).where(key).values(**moved))

    def _step(self, connection: Connection, org_id: OrgId, appeal: AppealRow, actor: str, action: str, note: str) -> None:
        key = sa.and_(t.appeal_steps.c.org_id == org_id, t.appeal_steps.c.appeal_id == appeal.appeal_id)
        seq = (connection.execute(sa.select(sa.func.max(t.appeal_steps.c.seq)).where(key)).scalar() or 0) + 1
        row = {"org_id": org_id, "appeal_id": appeal.appeal_id, "seq": seq, "at": self._clock.now(), "actor": actor, "action": action}
        connection.execute(sa.insert(t.appeal_steps).values(**row, state=appeal.state))
        if note.strip():
            cipher = rows.need_cipher(connection, self._keyring, org_id, appeal.call_id)
            note_id = f"appeal-{appeal.appeal_id}-{seq}"
            sealed = cipher.seal(json.dumps({"text": note}, ensure_ascii=False).encode(), rows.place("review_notes", note_id))
            connection.execute(sa.insert(t.review_notes).values(org_id=org_id, call_id=appeal.call_id, note_id=note_id, ciphertext=sealed))
        self._reviews.audit(connection, org_id, actor, f"appeal.{action}", appeal.call_id, f"{appeal.appeal_id} {appeal.state}")

    def _tell(self, connection: Connection, org_id: OrgId, appeal: AppealRow, action: str) -> None:
        now = self._clock.now()
        if action in ("forward", "escalate"):
            tell(connection, org_id, with_role(connection, org_id, "qa_lead"), "appeal.to_assign", _page(appeal), now)
        if action == "assign":
            tell(connection, org_id, [appeal.assigned_to], "appeal.to_review", _page(appeal), now)
        if action in ("dismiss", "decide"):
            tell(connection, org_id, [appeal.agent_id, appeal.forwarded_by], f"appeal.{appeal.state}", _page(appeal), now)


def _page(appeal: AppealRow) -> str:
    return f"/qa/appeals/{appeal.appeal_id}"


def _appeal(row: RowMapping) -> AppealRow:
    values = {name: row[name] for name in AppealRow.__dataclass_fields__}
    return AppealRow(**{**values, "items": tuple(row["items"])})
