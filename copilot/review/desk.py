"""What people do with quality scores: review, appeal, calibrate. Joins the rules of this package with the store; synchronous.

Every method checks who may, on the server, after it has checked that the thing exists and is in the caller's scope.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from sqlalchemy.engine import Connection

from copilot.domain.artifacts import QaScorecard
from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.people import User, scope_of
from copilot.domain.ports.knowledge import ArticleStore
from copilot.privacy.typed import mask_typed
from copilot.review import appeals
from copilot.review.agreement import Agreement, agreement, pairs_of
from copilot.review.appeals import Action, Actor, Appeal
from copilot.review.policy import PACK, ReviewPolicy, parse_policy
from copilot.review.scorecard import HumanAnswer, answers_of, blind, changes, reviewed
from copilot.review.workdays import deadline
from copilot.store.appeals import AppealRow, AppealStep, SqlAppeals
from copilot.store.calibrations import Session, SqlCalibrations
from copilot.store.calls import SqlCalls
from copilot.store.people import SqlPeople
from copilot.store.reviews import Review, SqlReviews, Verdict, new_review

INSPECTORS = frozenset({"inspector", "qa_lead"})
MOST_CALIBRATED_CALLS, MOST_CALIBRATING = 20, 20


class Policies:
    """The review pack of each organisation, parsed again when a newer version is stored; the defaults before one is. Thread-safe."""

    def __init__(self, articles: Callable[[OrgId], ArticleStore]) -> None:
        self._articles = articles
        self._lock = threading.Lock()
        self._parsed: dict[OrgId, tuple[int, ReviewPolicy]] = {}

    def __call__(self, org_id: OrgId) -> ReviewPolicy:
        found = self._articles(org_id).pack(PACK)
        if found is None:
            return ReviewPolicy()
        with self._lock:
            known = self._parsed.get(org_id)
            if known is None or known[0] != found[0]:
                self._parsed[org_id] = known = (found[0], parse_policy(found[1]))
            return known[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What the page of a review shows. ``machine`` is None where its answers must not be seen: an open calibration."""

    review: Review
    qa_version: int
    questions: QaScorecard
    machine: QaScorecard | None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationResult:
    """Agreement between the inspectors, per question and in all; where they differed as (call, question, inspector → answer)."""

    session: Session
    tasks: tuple[Review, ...]
    overall: Agreement | None = None
    questions: dict[str, Agreement] = field(default_factory=dict)
    differences: tuple[tuple[str, str, dict[str, str]], ...] = ()


class ReviewDesk:
    """One for the process; thread-safe."""

    def __init__(
        self,
        *,
        calls: SqlCalls,
        reviews: SqlReviews,
        appeals: SqlAppeals,
        calibrations: SqlCalibrations,
        people: SqlPeople,
        policies: Callable[[OrgId], ReviewPolicy],
        clock: Clock,
    ) -> None:
        self._calls = calls
        self._reviews = reviews
        self._appeals = appeals
        self._calibrations = calibrations
        self._people = people
        self._policies = policies
        self._clock = clock

    def policy(self, org_id: OrgId) -> ReviewPolicy:
        """The review pack in force."""
        return self._policies(org_id)

    # -- reviews -----------------------------------------------------------------------------------------------------------------------

    def add(self, user: User, call_id: CallId) -> Review:
        """Puts a call into the queue by hand. Raises NotFound, Forbidden, Conflict when it has not been scored."""
        call = self._calls.call(scope_of(user), call_id)
        _must(user, INSPECTORS | {"team_lead", "ops_admin"}, "Only supervisors and quality inspectors put calls into the review queue.")
        self._machine(user.org_id, call_id)
        policy, now = self._policies(user.org_id), self._clock.now()
        due_at = deadline(policy.calendar, now, policy.due_days)
        review = new_review(call_id, "manual", now=now, due_at=due_at, review_id=f"m-{uuid.uuid4().hex}", agent_id=call.agent_id)
        self._reviews.add(user.org_id, [review], user.user_id)
        return review

    def sheet(self, user: User, review_id: str) -> Sheet:
        """Raises NotFound, also when the machine's score of the call is gone."""
        review = self._reviews.review(scope_of(user), review_id)
        version, card = self._machine(user.org_id, review.call_id)
        hidden = review.kind == "calibration" and review.state != "done"
        verdicts = () if review.kind == "calibration" else tuple(self._reviews.verdicts(user.org_id, review.call_id))
        if review.kind == "calibration" and not hidden:
            verdicts = tuple(self._reviews.of_reviews(user.org_id, [review_id]))
        return Sheet(
            review=review,
            qa_version=version,
            questions=_bare(card) if hidden else card,
            machine=None if hidden else card,
            verdicts=verdicts,
        )

    def claim(self, user: User, review_id: str) -> Review:
        self._inspect(user, self._reviews.review(scope_of(user), review_id))
        return self._reviews.claim(scope_of(user), review_id)

    def release(self, user: User, review_id: str) -> Review:
        self._inspect(user, self._reviews.review(scope_of(user), review_id))
        return self._reviews.release(scope_of(user), review_id)

    def submit(self, user: User, review_id: str, qa_version: int, answers: Sequence[HumanAnswer], comment: str) -> Verdict:
        """The person's answers become the call's score (a calibration's do not).

        Raises NotFound, Forbidden, InvalidInput, Conflict when the task is somebody else's or the machine has scored again meanwhile.
        """
        review = self._reviews.review(scope_of(user), review_id)
        self._inspect(user, review)
        if review.kind == "calibration" and self._calibrations.session(user.org_id, review.session_id)[0].closed_at is not None:
            raise Conflict("This calibration is closed.")
        machine = self._at_version(user.org_id, review.call_id, qa_version)
        human = (blind if review.kind == "calibration" else reviewed)(machine, answers)
        mask = self._masker(user.org_id, review.call_id)
        reasons = {name: mask(reason) for name, reason in _reasons(answers).items()}
        return self._reviews.submit(
            scope_of(user), review_id, qa_version=qa_version, machine=machine, human=human, reasons=reasons, comment=mask(comment)
        )

    def history(self, user: User, call_id: CallId) -> tuple[list[Verdict], list[AppealRow]]:
        """Verdicts and appeals of a call in scope, oldest verdict first. Raises NotFound."""
        scope = scope_of(user)
        self._calls.call(scope, call_id)
        return self._reviews.verdicts(user.org_id, call_id), self._appeals.appeals(scope, call_id=call_id)

    def agreement(self, user: User, since: datetime, until: datetime) -> tuple[int, Agreement, dict[str, Agreement], dict[str, int]]:
        """How far people and machine agree over the verdicts of a period: (verdicts, in all, per question, changes per question)."""
        sheets = self._reviews.answer_pairs(scope_of(user), since, until)
        questions: dict[str, list[tuple[str, str]]] = {}
        for sheet in sheets:
            for name, pair in sheet.items():
                questions.setdefault(name, []).append(pair)
        every = [pair for pairs in questions.values() for pair in pairs]
        changed = {name: sum(one != two for one, two in pairs) for name, pairs in questions.items()}
        return len(sheets), agreement(every), {name: agreement(pairs) for name, pairs in questions.items()}, changed

    # -- appeals -----------------------------------------------------------------------------------------------------------------------

    def appeal_window(self, user: User, call_id: CallId) -> datetime | None:
        """Until when this agent may appeal against the score of the call; None if they may not (any more)."""
        call = self._calls.call(scope_of(user), call_id)
        if call.agent_id != user.user_id or self._appeals.appeals(scope_of(user), call_id=call_id):
            return None
        try:
            scored_at = self._scored(user.org_id, call_id)[0]
        except NotFound:
            return None
        policy = self._policies(user.org_id)
        end = deadline(policy.calendar, scored_at, policy.clocks.file_days)
        return end if self._clock.now() < end else None

    def file_appeal(self, user: User, call_id: CallId, items: Sequence[str], reason: str) -> AppealRow:
        """Raises NotFound, Forbidden, InvalidInput, Conflict when the window is over or an appeal was filed before."""
        scope, now, policy = scope_of(user), self._clock.now(), self._policies(user.org_id)
        call = self._calls.call(scope, call_id)
        if not reason.strip():
            raise InvalidInput("Say why the score should change.")
        scored_at, reviewer, card = self._scored(user.org_id, call_id)
        if not items or set(items) - {item.item_id for item in card.items}:
            raise InvalidInput("Name the questions of the scorecard that the appeal is about.")
        state = appeals.file(
            actor=self._actor(user, None),
            agent_id=call.agent_id,
            scored_at=scored_at,
            reviewer_id=reviewer,
            now=now,
            calendar=policy.calendar,
            clocks=policy.clocks,
        )
        row = AppealRow(
            appeal_id=uuid.uuid4().hex,
            call_id=call_id,
            agent_id=state.agent_id,
            team_id=self._appeals.team_of_call(scope, call_id),
            filed_by=state.filed_by,
            state=state.state,
            items=tuple(dict.fromkeys(items)),
            score=card.score,
            filed_at=now,
            due_at=state.due_at,
            reviewer_id=state.reviewer_id,
            forwarded_by=None,
            assigned_to=None,
        )
        self._appeals.file(scope, row, self._masker(user.org_id, call_id)(reason))
        return row

    def appeal(self, user: User, appeal_id: str) -> tuple[AppealRow, list[AppealStep], tuple[Action, ...]]:
        """With its history and what the caller may do with it now."""
        row, steps = self._appeals.appeal(scope_of(user), appeal_id)
        actor = self._actor(user, row.team_id)
        return row, steps, tuple(action for action in appeals.ACTIONS if self._allowed(user.org_id, row, action, actor))

    def appeals(self, user: User, states: Sequence[str], limit: int) -> list[AppealRow]:
        return self._appeals.appeals(scope_of(user), states=states, limit=limit)

    def step(self, user: User, appeal_id: str, action: Action, note: str, assignee_id: str | None = None) -> AppealRow:
        """Forwards, dismisses, withdraws or assigns. Raises NotFound, Forbidden, Conflict, InvalidInput."""
        row, _ = self._appeals.appeal(scope_of(user), appeal_id)
        if action == "dismiss" and not note.strip():
            raise InvalidInput("Give the reason for which the appeal is dismissed: the agent reads it.")
        assignee = None
        if assignee_id is not None:
            person = self._people.user(user.org_id, UserId(assignee_id))
            if not person.active:
                raise InvalidInput(f"{person.display_name} cannot sign in any more; assign somebody else.")
            assignee = self._actor(person, None)
        actor = self._actor(user, row.team_id)
        note = self._masker(user.org_id, row.call_id)(note)
        return self._appeals.update(
            user.org_id, appeal_id, user.user_id, action, lambda now: self._stepped(user.org_id, now, action, actor, assignee), note
        )

    def decide(self, user: User, appeal_id: str, qa_version: int, answers: Sequence[HumanAnswer], note: str) -> AppealRow:
        """The inspector's new answers; the score changes if they do. Raises NotFound, Forbidden, Conflict, InvalidInput."""
        scope = scope_of(user)
        row, _ = self._appeals.appeal(scope, appeal_id)
        actor = self._actor(user, row.team_id)
        self._stepped(user.org_id, row, "decide", actor)  # who may not is told so before anything of the call is read
        if not note.strip():
            raise InvalidInput("Give the reasons of the decision: the agent reads them.")
        before = self._scored(user.org_id, row.call_id)[2]
        machine = self._at_version(user.org_id, row.call_id, qa_version)
        human = reviewed(machine, answers)
        changed = bool(changes(answers_of(before), answers_of(human)))
        mask = self._masker(user.org_id, row.call_id)
        note, reasons = mask(note), {name: mask(reason) for name, reason in _reasons(answers).items()}
        review = new_review(row.call_id, "appeal", now=row.filed_at, due_at=row.filed_at, review_id=appeal_id, assigned_to=user.user_id)

        def submit(connection: Connection) -> float:
            return self._reviews.record(
                connection,
                scope,
                review,
                qa_version=qa_version,
                machine=machine,
                human=human,
                reasons=reasons,
                comment=note,
            ).score

        def change(now: AppealRow) -> AppealRow:
            return replace(self._stepped(user.org_id, now, "decide", actor, changed=changed), new_score=human.score)

        return self._appeals.decide(scope, appeal_id, change, note, submit)

    def pass_on_overdue(self) -> int:
        """Appeals that no team lead has looked at in time go to the QA lead; how many did."""
        clock = Actor(user_id="", roles=frozenset(), is_clock=True)
        moved = 0
        for org_id, appeal_id in self._appeals.overdue(self._clock.now()):

            def later(row: AppealRow, org: OrgId = org_id) -> AppealRow:
                return self._stepped(org, row, "escalate", clock)

            try:
                self._appeals.update(org_id, appeal_id, "clock", "escalate", later, "")
                moved += 1
            except (Conflict, Forbidden, NotFound):  # another node was quicker, or the lead has just acted
                continue
        return moved

    # -- calibration -------------------------------------------------------------------------------------------------------------------

    def open_calibration(self, user: User, name: str, calls: Sequence[CallId], inspectors: Sequence[str], days: int) -> Session:
        """Raises Forbidden, NotFound for a call or person, InvalidInput."""
        _must(user, {"qa_lead"}, "Only the QA lead opens a calibration.")
        if not name.strip() or not 1 <= len(set(calls)) <= MOST_CALIBRATED_CALLS or not 2 <= len(set(inspectors)) <= MOST_CALIBRATING:
            raise InvalidInput("A calibration needs a name, 1 to 20 calls and 2 to 20 inspectors.")
        for call_id in calls:
            self._calls.call(scope_of(user), call_id)
            self._machine(user.org_id, call_id)
        for person in inspectors:
            if not self._people.user(user.org_id, UserId(person)).roles & INSPECTORS:
                raise InvalidInput("Only quality inspectors take part in a calibration.")
        policy, now = self._policies(user.org_id), self._clock.now()
        due_at = deadline(policy.calendar, now, days)
        return self._calibrations.open(
            user.org_id, user.user_id, name.strip(), due_at, list(dict.fromkeys(calls)), list(dict.fromkeys(inspectors))
        )

    def calibrations(self, user: User) -> list[Session]:
        return self._calibrations.sessions(user.org_id) if user.roles & (INSPECTORS | {"ops_admin"}) else []

    def calibration(self, user: User, session_id: str) -> CalibrationResult:
        """Figures and differences only once it is closed: until then nobody may be swayed by another. Raises NotFound, Forbidden."""
        session, tasks = self._calibrations.session(user.org_id, session_id)
        _must(user, INSPECTORS | {"ops_admin"}, "Only quality inspectors see calibrations.")
        if session.closed_at is None:
            return CalibrationResult(session=session, tasks=tuple(tasks))
        by_id = {task.review_id: task for task in tasks}
        answers: dict[str, dict[str, dict[str, str]]] = {}
        for verdict in self._reviews.of_reviews(user.org_id, list(by_id)):
            for question, (_, person) in verdict.answers.items():
                given = answers.setdefault(question, {}).setdefault(verdict.reviewer_id, {})
                given[by_id[verdict.review_id].call_id] = person
        pairs = {question: pairs_of(raters) for question, raters in answers.items()}
        differences = []
        for question, raters in answers.items():
            for call_id in sorted({call for given in raters.values() for call in given}):
                said = {rater: given[call_id] for rater, given in raters.items() if call_id in given}
                if len(set(said.values())) > 1:
                    differences.append((call_id, question, said))
        every = [pair for found in pairs.values() for pair in found]
        return CalibrationResult(
            session=session,
            tasks=tuple(tasks),
            overall=agreement(every),
            questions={question: agreement(found) for question, found in pairs.items()},
            differences=tuple(differences),
        )

    def close_calibration(self, user: User, session_id: str) -> Session:
        self._calibrations.session(user.org_id, session_id)
        _must(user, {"qa_lead"}, "Only the QA lead closes a calibration.")
        return self._calibrations.close(user.org_id, session_id, user.user_id)

    # -- parts -------------------------------------------------------------------------------------------------------------------------

    def _inspect(self, user: User, review: Review) -> None:
        _must(user, INSPECTORS, "Only quality inspectors review calls.")
        if user.user_id == review.agent_id or user.user_id == self._calls.call(scope_of(user), review.call_id).agent_id:
            raise Forbidden("Nobody reviews their own call.")

    def _masker(self, org_id: OrgId, call_id: CallId) -> Callable[[str], str]:
        """What people type about a call may name its customer: tokens take the place of what the call's vault knows."""
        vault = self._calls.vault(org_id, call_id)
        return lambda text: mask_typed(text, vault)

    def _machine(self, org_id: OrgId, call_id: CallId) -> tuple[int, QaScorecard]:
        for artifact in self._calls.artifacts(org_id, call_id):
            if artifact.kind == "qa":
                return artifact.version, cast("QaScorecard", artifact.body)
        raise NotFound(f"Call {call_id} has no quality score: it is not ready yet, or the call was erased.")

    def _at_version(self, org_id: OrgId, call_id: CallId, qa_version: int) -> QaScorecard:
        version, card = self._machine(org_id, call_id)
        if version != qa_version:
            raise Conflict("The call was scored again while it was being reviewed; read it again.")
        return card

    def _scored(self, org_id: OrgId, call_id: CallId) -> tuple[datetime, str | None, QaScorecard]:
        """(when the score in force was given, by which person (None: the machine), the scorecard in force)."""
        _, card = self._machine(org_id, call_id)
        verdicts = self._reviews.verdicts(org_id, call_id)
        if not verdicts:
            return self._calls.artifact_made_at(org_id, call_id, "qa"), None, card
        newest = verdicts[-1]
        given = [HumanAnswer(item_id=name, answer=pair[1], reason="-") for name, pair in newest.answers.items()]  # type: ignore[arg-type]
        known = {item.item_id for item in card.items}
        return newest.at, newest.reviewer_id, reviewed(card, [answer for answer in given if answer.item_id in known])

    def _actor(self, user: User, team_id: str | None) -> Actor:
        leads = "team_lead" in user.roles and team_id is not None and team_id in user.team_ids
        return Actor(user_id=user.user_id, roles=user.roles, leads_team=leads)

    def _stepped(
        self, org_id: OrgId, row: AppealRow, action: Action, actor: Actor, assignee: Actor | None = None, *, changed: bool = False
    ) -> AppealRow:
        policy = self._policies(org_id)
        after = appeals.step(
            _state(row),
            action,
            actor,
            now=self._clock.now(),
            calendar=policy.calendar,
            clocks=policy.clocks,
            assignee=assignee,
            changed=changed,
        )
        return replace(row, state=after.state, due_at=after.due_at, forwarded_by=after.forwarded_by, assigned_to=after.assigned_to)

    def _allowed(self, org_id: OrgId, row: AppealRow, action: Action, actor: Actor) -> bool:
        anybody = Actor(user_id="\0", roles=frozenset({"inspector"}))
        try:
            self._stepped(org_id, row, action, actor, anybody)
        except (Forbidden, Conflict):
            return False
        return True


def _must(user: User, roles: frozenset[str] | set[str], sentence: str) -> None:
    if not user.roles & roles:
        raise Forbidden(sentence)


def _reasons(answers: Sequence[HumanAnswer]) -> dict[str, str]:
    return {answer.item_id: answer.reason.strip() for answer in answers if answer.reason.strip()}


def _bare(card: QaScorecard) -> QaScorecard:
    """The questions without anything the machine said of them."""
    items = tuple(replace(item, answer="na", points=0.0, confidence=1.0, reason="", evidence=()) for item in card.items)
    return replace(card, score=0.0, fatal=False, items=items)


def _state(row: AppealRow) -> Appeal:
    return Appeal(
        agent_id=row.agent_id,
        filed_by=row.filed_by,
        state=cast("appeals.State", row.state),
        due_at=row.due_at,
        reviewer_id=row.reviewer_id,
        forwarded_by=row.forwarded_by,
        assigned_to=row.assigned_to,
    )
