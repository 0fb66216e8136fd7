"""The queue of calls to review, and what people answered: verdicts are only ever added."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot.domain.artifacts import QaScorecard
from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, NotFound
from copilot.domain.ids import CallId, OrgId
from copilot.domain.people import AuditEntry, Scope
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.audit import append_entry
from copilot.store.calls import reaches
from copilot.store.database import Database, insert_if_new
from copilot.store.facts import REVIEWED, write_facts
from copilot.store.keyring import KeyRing
from copilot.store.notices import tell

Kind = Literal["sample", "manual", "appeal", "calibration"]
ReviewState = Literal["open", "claimed", "done", "cancelled"]
IN_FORCE: tuple[Kind, ...] = ("sample", "manual", "appeal")
"""Kinds whose verdict becomes the call's score; a calibration is practice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One task of the queue: a call that somebody is to look at."""

    review_id: str
    call_id: CallId
    kind: Kind
    state: ReviewState
    created_at: datetime
    due_at: datetime
    plan: str = ""
    session_id: str = ""
    assigned_to: str | None = None
    agent_id: str | None = None
    risk: int = 0
    done_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a person answered. ``answers``: question → (machine, person). ``reasons`` and ``comment`` are empty once the call is erased."""

    number: int
    review_id: str
    kind: Kind
    reviewer_id: str
    at: datetime
    qa_version: int
    rubric_version: str
    machine_score: float
    score: float
    fatal: bool
    answers: Mapping[str, tuple[str, str]]
    reasons: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""


class SqlReviews:
    """Synchronous and thread-safe. Who may do what is decided above; the scope of every reading is checked here."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    # -- the queue ---------------------------------------------------------------------------------------------------------------------

    def add(self, org_id: OrgId, reviews: Iterable[Review], actor: str) -> int:
        """Puts tasks into the queue; those that are there already (by id) stay as they are. How many were new; each is audited."""
        added = 0
        with self._database.write() as connection:
            for review in reviews:
                values = {name: getattr(review, name) for name in Review.__dataclass_fields__}
                if insert_if_new(connection, t.reviews, org_id=org_id, **values):
                    added += 1
                    detail = f"{review.kind} {review.plan}".strip()
                    self.audit(connection, org_id, actor, "review.queue", review.call_id, detail)
                    if review.assigned_to is not None:
                        tell(
                            connection,
                            org_id,
                            [review.assigned_to],
                            "review.assigned",
                            f"/qa/reviews/{review.review_id}",
                            review.created_at,
                        )
        return added

    def queue(
        self,
        scope: Scope,
        *,
        states: Sequence[ReviewState] = ("open", "claimed"),
        kinds: Sequence[Kind] = ("sample", "manual", "appeal", "calibration"),
        assigned_to: str | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> list[Review]:
        """Earliest due first. ``after``: (due_at, review_id) of the page before's last row. A calibration task is its inspector's alone."""
        table = t.reviews.c
        own_practice = sa.or_(table.kind != "calibration", table.assigned_to == scope.user_id)
        query = self._within(scope).where(table.state.in_(states), table.kind.in_(kinds), own_practice)
        if assigned_to is not None:
            query = query.where(table.assigned_to == assigned_to)
        if after is not None:
            query = query.where(sa.tuple_(table.due_at, table.review_id) > sa.tuple_(*map(sa.literal, after, _KEY_TYPES)))
        with self._database.read() as connection:
            found = connection.execute(query.order_by(table.due_at, table.review_id).limit(limit)).mappings()
            return [_review(row) for row in found]

    def counts(self, scope: Scope, now: datetime) -> dict[str, int]:
        """``{open, claimed, mine, overdue}`` of what the scope reaches, calibrations of others left out."""
        table = t.reviews.c
        waiting = self._within(scope).where(
            table.state.in_(("open", "claimed")), sa.or_(table.kind != "calibration", table.assigned_to == scope.user_id)
        )
        rows_ = waiting.subquery()
        query = sa.select(
            sa.func.count().filter(rows_.c.state == "open").label("open"),
            sa.func.count().filter(rows_.c.state == "claimed").label("claimed"),
            sa.func.count().filter(rows_.c.assigned_to == scope.user_id).label("mine"),
            sa.func.count().filter(rows_.c.due_at <= now).label("overdue"),
        )
        with self._database.read() as connection:
            return dict(connection.execute(query).mappings().one())

    def review(self, scope: Scope, review_id: str) -> Review:
        """Raises NotFound also when the scope does not reach its call."""
        with self._database.read() as connection:
            return self._one(connection, scope, review_id)

    def claim(self, scope: Scope, review_id: str) -> Review:
        """Takes an open task. Raises NotFound, Conflict when somebody else has it."""
        return self._move(scope, review_id, "open", {"state": "claimed", "assigned_to": scope.user_id}, "review.claim")

    def release(self, scope: Scope, review_id: str) -> Review:
        """Gives a task back that the caller had taken. Raises NotFound, Conflict."""
        return self._move(scope, review_id, "claimed", {"state": "open", "assigned_to": None}, "review.release")

    # -- verdicts ----------------------------------------------------------------------------------------------------------------------

    def submit(
        self,
        scope: Scope,
        review_id: str,
        *,
        qa_version: int,
        machine: QaScorecard,
        human: QaScorecard,
        reasons: Mapping[str, str],
        comment: str = "",
    ) -> Verdict:
        """Closes the task with the person's scorecard; the call's score follows unless it is a calibration.

        Raises NotFound, Conflict when the task is not the caller's or is closed, or when the call was erased meanwhile.
        """
        with self._database.write() as connection:
            review = self._one(connection, scope, review_id)
            if review.state not in ("open", "claimed") or review.assigned_to not in (None, scope.user_id):
                raise Conflict("This review is closed or somebody else has taken it; go back to the queue.")
            return self.record(
                connection, scope, review, qa_version=qa_version, machine=machine, human=human, reasons=reasons, comment=comment
            )

    def record(
        self,
        connection: Connection,
        scope: Scope,
        review: Review,
        *,
        qa_version: int,
        machine: QaScorecard,
        human: QaScorecard,
        reasons: Mapping[str, str],
        comment: str,
    ) -> Verdict:
        """``submit`` in the caller's transaction."""
        org_id, call_id, now = scope.org_id, review.call_id, self._clock.now()
        call = rows.lock_call(connection, org_id, call_id)
        cipher = rows.need_cipher(connection, self._keyring, org_id, call_id)
        given = {item.item_id: item.answer for item in human.items}
        answers = {item.item_id: [item.answer, given[item.item_id]] for item in machine.items}
        newest = sa.select(sa.func.max(t.verdicts.c.number)).where(rows.is_call(t.verdicts, org_id, call_id))
        number = (connection.execute(newest).scalar() or 0) + 1
        values: dict[str, Any] = {
            "number": number,
            "review_id": review.review_id,
            "kind": review.kind,
            "reviewer_id": scope.user_id,
            "at": now,
            "qa_version": qa_version,
            "rubric_version": human.rubric_version,
            "machine_score": machine.score,
            "score": human.score,
            "fatal": human.fatal,
            "answers": answers,
        }
        connection.execute(sa.insert(t.verdicts).values(org_id=org_id, call_id=call_id, **values))
        note_id = f"verdict-{number}"
        body = json.dumps({"reasons": dict(reasons), "comment": comment}, ensure_ascii=False).encode()
        sealed = cipher.seal(body, rows.place("review_notes", note_id))
        connection.execute(sa.insert(t.review_notes).values(org_id=org_id, call_id=call_id, note_id=note_id, ciphertext=sealed))
        done = {"state": "done", "assigned_to": scope.user_id, "done_at": now}
        here = sa.and_(t.reviews.c.org_id == org_id, t.reviews.c.review_id == review.review_id)
        connection.execute(sa.update(t.reviews).where(here).values(**done))
        if review.kind in IN_FORCE:
            facts = {"qa_score": human.score, "qa_fatal": human.fatal, "qa_state": REVIEWED}
            write_facts(connection, org_id, call_id, facts, now)
            tell(connection, org_id, [call["agent_id"]], "score.reviewed", f"/calls/{call_id}", now)
        detail = f"{review.kind} {review.review_id}: {machine.score:g} -> {human.score:g}"
        self.audit(connection, org_id, scope.user_id, "review.submit", call_id, detail)
        return Verdict(**{**values, "answers": {k: (a, b) for k, (a, b) in answers.items()}}, reasons=dict(reasons), comment=comment)

    def verdicts(self, org_id: OrgId, call_id: CallId, *, calibrations: bool = False) -> list[Verdict]:
        """Oldest first. The caller has checked the scope."""
        query = sa.select(t.verdicts).where(rows.is_call(t.verdicts, org_id, call_id))
        if not calibrations:
            query = query.where(t.verdicts.c.kind.in_(IN_FORCE))
        with self._database.read() as connection:
            found = connection.execute(query.order_by(t.verdicts.c.number)).mappings().all()
            return [self._verdict(connection, row) for row in found]

    def of_reviews(self, org_id: OrgId, review_ids: Sequence[str]) -> list[Verdict]:
        """The verdicts of these tasks, such as those of a calibration."""
        query = sa.select(t.verdicts).where(t.verdicts.c.org_id == org_id, t.verdicts.c.review_id.in_(review_ids))
        with self._database.read() as connection:
            return [self._verdict(connection, row) for row in connection.execute(query).mappings().all()]

    def answer_pairs(self, scope: Scope, since: datetime, until: datetime, limit: int = 20_000) -> list[Mapping[str, tuple[str, str]]]:
        """question → (machine, person) of every verdict in force in [since, until) on a call in scope, newest first."""
        table = t.verdicts.c
        same = sa.and_(t.calls.c.org_id == table.org_id, t.calls.c.call_id == table.call_id)
        query = (
            sa.select(table.answers)
            .join_from(t.verdicts, t.calls, same)
            .where(reaches(scope), table.org_id == scope.org_id, table.kind.in_(IN_FORCE), table.at >= since, table.at < until)
            .order_by(table.at.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [{name: (pair[0], pair[1]) for name, pair in row.items()} for row in connection.execute(query).scalars()]

    # -- inside a transaction ----------------------------------------------------------------------------------------------------------

    def audit(self, connection: Connection, org_id: OrgId, actor: str, action: str, target: str, detail: str = "") -> None:
        append_entry(connection, AuditEntry(org_id=org_id, at=self._clock.now(), actor=actor, action=action, target=target, detail=detail))

    def _within(self, scope: Scope) -> sa.Select[Any]:
        same = sa.and_(t.calls.c.org_id == t.reviews.c.org_id, t.calls.c.call_id == t.reviews.c.call_id)
        return sa.select(t.reviews).join_from(t.reviews, t.calls, same).where(reaches(scope), t.reviews.c.org_id == scope.org_id)

    def _one(self, connection: Connection, scope: Scope, review_id: str) -> Review:
        row = connection.execute(self._within(scope).where(t.reviews.c.review_id == review_id)).mappings().one_or_none()
        if row is None or (row["kind"] == "calibration" and row["assigned_to"] != scope.user_id):
            raise NotFound(f"There is no review {review_id} that you may see.")
        return _review(row)

    def _move(self, scope: Scope, review_id: str, state: ReviewState, values: dict[str, Any], action: str) -> Review:
        here = sa.and_(t.reviews.c.org_id == scope.org_id, t.reviews.c.review_id == review_id, t.reviews.c.state == state)
        if state == "claimed":
            here = sa.and_(here, t.reviews.c.assigned_to == scope.user_id, t.reviews.c.kind.in_(("sample", "manual")))
        with self._database.write() as connection:
            review = self._one(connection, scope, review_id)
            if connection.execute(sa.update(t.reviews).where(here).values(**values)).rowcount != 1:
                raise Conflict("Somebody else has taken this review, or it is closed; go back to the queue.")
            self.audit(connection, scope.org_id, scope.user_id, action, review.call_id, review_id)
            return self._one(connection, scope, review_id)

    def _verdict(self, connection: Connection, row: RowMapping) -> Verdict:
        org_id, call_id, note_id = row["org_id"], row["call_id"], f"verdict-{row['number']}"
        note = read_note(connection, self._keyring, org_id, call_id, note_id)
        values = {name: row[name] for name in Verdict.__dataclass_fields__ if name in row}
        answers = {name: (pair[0], pair[1]) for name, pair in row["answers"].items()}
        return Verdict(**{**values, "answers": answers}, reasons=note.get("reasons", {}), comment=note.get("comment", ""))


_KEY_TYPES = (t.reviews.c.due_at.type, t.reviews.c.review_id.type)


def read_note(connection: Connection, keyring: KeyRing, org_id: OrgId, call_id: CallId, note_id: str) -> dict[str, Any]:
    """What was written; empty when there is nothing, or the call was erased."""
    query = sa.select(t.review_notes.c.ciphertext).where(rows.is_call(t.review_notes, org_id, call_id), t.review_notes.c.note_id == note_id)
    sealed = connection.execute(query).scalar()
    if sealed is None:
        return {}
    cipher = rows.need_cipher(connection, keyring, org_id, call_id)
    return cast("dict[str, Any]", json.loads(cipher.open(sealed, rows.place("review_notes", note_id))))


def _review(row: RowMapping) -> Review:
    return Review(**{name: row[name] for name in Review.__dataclass_fields__})


def new_review(call_id: str, kind: Kind, *, now: datetime, due_at: datetime, review_id: str, **more: Any) -> Review:
    """An open task, or one that is somebody's from the start (``assigned_to``)."""
    state: ReviewState = "claimed" if more.get("assigned_to") else "open"
    return Review(review_id=review_id, call_id=CallId(call_id), kind=kind, state=state, created_at=now, due_at=due_at, **more)
