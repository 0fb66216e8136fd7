"""Review, appeals and calibrations on the real store, both databases: who may, what is kept, what an erased call leaves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from copilot.assembly.review import ReviewRoom
from copilot.domain.artifacts import Artifact, Evidence, QaItem, QaScorecard, TicketClassification
from copilot.domain.errors import Conflict, EngineError, Forbidden, InvalidInput, NotFound
from copilot.domain.events import CallEnded, IntentDetected
from copilot.domain.people import scope_of
from copilot.review.scorecard import HumanAnswer, total
from copilot.store import tables as t
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from tests.fakes.stores import AT, ORG, make_store, new_database, postgres_server, said, scope, sqlite_url, started

pytestmark = pytest.mark.anyio
PACK = """
version: 1
plans: [{id: risk, kind: risk, at_least: 60}, {id: doubt, kind: low_confidence, at_most: 0.5}]
risk: {intents: {complaint_fee: 40}, categories: {complaint: 40}}
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))


class Room:
    """A store with people of every role, and scored calls of agent ``ann`` of team ``t1``."""

    def __init__(self, url: str, place: Path) -> None:
        self.clock = ManualClock(AT)
        self.store: Store = make_store(url, place, self.clock)
        self.store.people.ensure_org(ORG)
        for team in ("t1", "t2"):
            self.store.people.create_team(ORG, team, team)  # type: ignore[arg-type]
        roles = {"ann": ("agent", "t1"), "ben": ("agent", "t2"), "lead": ("team_lead", "t1"), "lead2": ("team_lead", "t2")}
        roles |= {name: (role, "") for name, role in (("qi1", "inspector"), ("qi2", "inspector"), ("qa", "qa_lead"), ("aud", "auditor"))}
        self.people = {
            name: self.store.people.create_user(ORG, name, name.upper(), [role], [team] if team else [], user_id=name)  # type: ignore[list-item, arg-type]
            for name, (role, team) in roles.items()
        }
        self.store.articles(ORG).put_pack("review", "*", PACK)
        room = ReviewRoom(self.store, self.clock)
        self.desk, self.rounds = room.desk, room.rounds

    async def scored(self, call_id: str, *, agent: str = "ann", confidence: float = 0.9, intent: str = "", level1: str = "card") -> None:
        opened = await self.store.journal.open(ORG, call_id, "node")  # type: ignore[arg-type]
        events = [started(agent), said("手续费太高了")]
        if intent:
            events.append(IntentDetected(utterance_id="customer-1", intent=intent, confidence=0.9, alternatives=(), why=()))  # type: ignore[arg-type]
        await self.store.journal.append(ORG, opened, [*events, CallEnded(reason="hangup", duration_ms=60_000)])
        self.clock.advance(3)
        quote = Evidence(utterance_id="agent-1", channel="agent", start_ms=0, end_ms=900, quote="您好")  # type: ignore[arg-type]
        items = (
            QaItem(item_id="greet", section="s", answer="pass", points=4, max_points=4, confidence=confidence, evidence=(quote,)),
            QaItem(item_id="verify", section="s", answer="fail", points=0, max_points=6, confidence=confidence),
        )
        score, fatal = total(items)
        bodies = {
            "qa": QaScorecard(rubric_version="1", score=score, fatal=fatal, items=items),
            "ticket": TicketClassification(level1=level1, level2="loss", confidence=0.8, taxonomy_version="1"),
        }
        for job in self.store.outbox.lease(self.clock.now(), 60):
            if job.kind in bodies:
                self.store.outbox.finish(job.job_id, Artifact(kind=job.kind, version=1, body=bodies[job.kind]))

    def queued(self, who: str = "qi1") -> dict[str, str]:
        return {item.call_id: item.plan for item in self.store.reviews.queue(scope_of(self.people[who]))}

    def facts(self, call_id: str) -> dict[str, object]:
        with self.store.database.read() as connection:
            return dict(connection.execute(sa.select(t.calls).where(t.calls.c.call_id == call_id)).mappings().one())

    def audited(self) -> list[str]:
        return [entry.action for entry in reversed(self.store.audit.entries(scope("x", "auditor"), 1000))]

    def unread(self, who: str) -> list[str]:
        found, unread = self.store.notices.of(ORG, who)  # type: ignore[arg-type]
        assert unread == sum(not notice.read for notice in found)
        return [notice.kind for notice in found if not notice.read]


@pytest.fixture
def room(url: str, tmp_path: Path) -> Iterator[Room]:
    made = Room(url, tmp_path)
    yield made
    made.store.close()


BETTER = [HumanAnswer(item_id="verify", answer="pass", reason="转接前已核实")]


async def test_sampling_puts_risky_and_doubtful_calls_into_the_queue_once(room: Room) -> None:
    await room.scored("plain")
    await room.scored("risky", intent="complaint_fee", level1="complaint")
    await room.scored("doubtful", confidence=0.4)
    assert room.rounds.run(ORG) == 2
    assert room.rounds.run(ORG) == 0
    assert room.queued() == {"risky": "risk", "doubtful": "doubt"}
    assert room.facts("risky")["risk"] == 80
    assert {name: room.facts("plain")[name] for name in ("ticket_level1", "qa_state", "qa_score", "risk")} == {
        "ticket_level1": "card",
        "qa_state": "machine",
        "qa_score": 40.0,
        "risk": 0,
    }
    assert room.queued("lead2") == {}, "another team's calls"
    assert room.queued("ann") != {}, "an agent sees that their own call is to be reviewed"
    assert room.store.reviews.counts(scope_of(room.people["qi1"]), room.clock.now()) == {"open": 2, "claimed": 0, "mine": 0, "overdue": 0}


async def test_facts_are_made_again_from_what_they_follow_from(room: Room) -> None:
    await room.scored("c")
    right = room.facts("c")
    with room.store.database.write() as connection:
        connection.execute(sa.update(t.calls).values(ticket_level1="wrong", qa_score=1.0, changed_at=None))
    room.rounds.run(ORG)
    again = room.facts("c")
    ignored = {"changed_at"}
    assert {k: v for k, v in again.items() if k not in ignored} == {k: v for k, v in right.items() if k not in ignored}
    assert again["changed_at"] is not None
    assert room.store.facts.rebuild(ORG, "c") is False  # type: ignore[arg-type]


async def test_a_review_changes_the_score_and_stays_in_the_history(room: Room) -> None:
    await room.scored("c")
    review = room.desk.add(room.people["qi1"], "c")  # type: ignore[arg-type]
    with pytest.raises(Forbidden):
        room.desk.claim(room.people["ann"], review.review_id)
    room.desk.claim(room.people["qi1"], review.review_id)
    with pytest.raises(Conflict):
        room.desk.claim(room.people["qi2"], review.review_id)
    with pytest.raises(Conflict):
        room.desk.submit(room.people["qi2"], review.review_id, 1, BETTER, "")
    with pytest.raises(InvalidInput):
        room.desk.submit(room.people["qi1"], review.review_id, 1, [HumanAnswer(item_id="verify", answer="pass")], "")
    with pytest.raises(Conflict, match="scored again"):
        room.desk.submit(room.people["qi1"], review.review_id, 2, BETTER, "")
    verdict = room.desk.submit(room.people["qi1"], review.review_id, 1, BETTER, "做得好")
    assert (verdict.machine_score, verdict.score, verdict.answers["verify"]) == (40.0, 100.0, ("fail", "pass"))
    assert (room.facts("c")["qa_score"], room.facts("c")["qa_state"]) == (100.0, "reviewed")
    with pytest.raises(Conflict):
        room.desk.submit(room.people["qi1"], review.review_id, 1, BETTER, "")
    (kept,), appeals = room.desk.history(room.people["ann"], "c")  # type: ignore[arg-type]
    assert (kept.reasons, kept.comment, appeals) == ({"verify": "转接前已核实"}, "做得好", [])
    assert room.unread("ann") == ["score.reviewed"]
    assert [action for action in room.audited() if action.startswith("review.")] == ["review.queue", "review.claim", "review.submit"]
    count, overall, questions, changed = room.desk.agreement(room.people["qa"], AT - timedelta(days=1), AT + timedelta(days=1))
    assert (count, overall.percent, questions["greet"].percent, changed) == (1, 0.5, 1.0, {"greet": 0, "verify": 1})
    # A machine that scores again does not take the person's score away.
    job = room.store.outbox.rerun(ORG, "c", "qa")  # type: ignore[arg-type]
    card = next(artifact for artifact in room.store.calls.artifacts(ORG, "c") if artifact.kind == "qa")  # type: ignore[arg-type]
    room.store.outbox.lease(room.clock.now(), 60)
    room.store.outbox.finish(job.job_id, card)
    assert room.facts("c")["qa_score"] == 100.0


async def test_history_is_append_only_in_the_database_itself(room: Room) -> None:
    await room.scored("c")
    review = room.desk.add(room.people["qi1"], "c")  # type: ignore[arg-type]
    room.desk.submit(room.people["qi1"], review.review_id, 1, [], "")
    for statement in (sa.update(t.verdicts).values(score=1.0), sa.delete(t.verdicts)):
        with pytest.raises(EngineError, match="append-only"), room.store.database.write() as connection:
            connection.execute(statement)


async def test_an_erased_call_keeps_the_answers_and_loses_the_words(room: Room) -> None:
    await room.scored("c")
    review = room.desk.add(room.people["qi1"], "c")  # type: ignore[arg-type]
    room.desk.submit(room.people["qi1"], review.review_id, 1, BETTER, "张先生的电话")
    appeal = room.desk.file_appeal(room.people["ann"], "c", ["verify"], "客户说了生日")  # type: ignore[arg-type]
    room.store.calls.erase_call(ORG, "c", "x")  # type: ignore[arg-type]
    (kept,), _ = room.desk.history(room.people["qi1"], "c")  # type: ignore[arg-type]
    assert (kept.score, kept.reasons, kept.comment) == (100.0, {}, "")
    _, steps, _ = room.desk.appeal(room.people["qi1"], appeal.appeal_id)
    assert [(step.action, step.note) for step in steps] == [("file", "")]
    with room.store.database.read() as connection:
        assert connection.execute(sa.select(t.review_notes)).all() == []


async def test_an_appeal_goes_its_way_and_changes_the_score(room: Room) -> None:
    people, desk = room.people, room.desk
    await room.scored("c")
    review = desk.add(people["qi1"], "c")  # type: ignore[arg-type]
    desk.submit(people["qi1"], review.review_id, 1, [], "")
    assert desk.appeal_window(people["ann"], "c") is not None  # type: ignore[arg-type]
    assert desk.appeal_window(people["lead"], "c") is None  # type: ignore[arg-type]
    for who, error in (("ben", NotFound), ("lead", Forbidden)):
        with pytest.raises(error):
            desk.file_appeal(people[who], "c", ["verify"], "x")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        desk.file_appeal(people["ann"], "c", ["other"], "x")  # type: ignore[arg-type]
    appeal = desk.file_appeal(people["ann"], "c", ["verify"], "客户报了生日和卡号后四位")  # type: ignore[arg-type]
    with pytest.raises(Conflict, match="open already"):
        desk.file_appeal(people["ann"], "c", ["verify"], "x")  # type: ignore[arg-type]
    assert room.unread("lead") == ["appeal.filed"]
    assert room.unread("lead2") == []
    assert desk.appeal(people["lead"], appeal.appeal_id)[2] == ("forward", "dismiss")
    assert desk.appeal(people["ann"], appeal.appeal_id)[2] == ("withdraw",)
    with pytest.raises(NotFound):
        desk.appeal(people["lead2"], appeal.appeal_id)
    with pytest.raises(InvalidInput, match="reason"):
        desk.step(people["lead"], appeal.appeal_id, "dismiss", " ")
    desk.step(people["lead"], appeal.appeal_id, "forward", "属实")
    with pytest.raises(Conflict):
        desk.step(people["lead"], appeal.appeal_id, "forward", "")
    with pytest.raises(Forbidden):
        desk.step(people["qi2"], appeal.appeal_id, "assign", "", "qi2")
    with pytest.raises(Forbidden, match="gave the score"):
        desk.step(people["qa"], appeal.appeal_id, "assign", "", "qi1")
    desk.step(people["qa"], appeal.appeal_id, "assign", "", "qi2")
    assert room.unread("qi2") == ["appeal.to_review"]
    with pytest.raises(Forbidden):
        desk.decide(people["qi1"], appeal.appeal_id, 1, BETTER, "x")
    with pytest.raises(InvalidInput, match="reasons"):
        desk.decide(people["qi2"], appeal.appeal_id, 1, BETTER, "")
    done = desk.decide(people["qi2"], appeal.appeal_id, 1, BETTER, "录音中已核实")
    assert (done.state, done.new_score) == ("changed", 100.0)
    assert room.facts("c")["qa_score"] == 100.0
    assert "appeal.changed" in room.unread("ann")
    _, steps, actions = desk.appeal(people["ann"], appeal.appeal_id)
    assert [(step.action, step.state) for step in steps] == [
        ("file", "filed"),
        ("forward", "with_qa_lead"),
        ("assign", "re_review"),
        ("decide", "changed"),
    ]
    assert (steps[0].note, steps[3].note, actions) == ("客户报了生日和卡号后四位", "录音中已核实", ())
    assert [verdict.kind for verdict in desk.history(people["ann"], "c")[0]] == ["manual", "appeal"]  # type: ignore[arg-type]
    with pytest.raises(Conflict, match="final"):
        desk.file_appeal(people["ann"], "c", ["verify"], "again")  # type: ignore[arg-type]
    assert [action for action in room.audited() if action.startswith("appeal.")] == [f"appeal.{s.action}" for s in steps]


async def test_an_appeal_that_no_lead_looks_at_is_passed_on_and_a_late_one_is_refused(room: Room) -> None:
    await room.scored("c")
    appeal = room.desk.file_appeal(room.people["ann"], "c", ["verify"], "x")  # type: ignore[arg-type]
    assert room.desk.pass_on_overdue() == 0
    room.clock.advance(7 * 86_400)
    assert room.desk.pass_on_overdue() == 1
    assert room.desk.pass_on_overdue() == 0
    assert room.desk.appeal(room.people["qa"], appeal.appeal_id)[0].state == "with_qa_lead"
    assert room.unread("qa") == ["appeal.to_assign"]
    await room.scored("late")
    room.clock.advance(7 * 86_400)
    with pytest.raises(Conflict, match="3 working days"):
        room.desk.file_appeal(room.people["ann"], "late", ["verify"], "x")  # type: ignore[arg-type]


async def test_a_calibration_is_blind_and_shows_its_figures_when_it_is_closed(room: Room) -> None:
    people, desk = room.people, room.desk
    for call in ("c1", "c2"):
        await room.scored(call)
    with pytest.raises(Forbidden):
        desk.open_calibration(people["qi1"], "三月", ["c1"], ["qi1", "qi2"], 5)  # type: ignore[list-item]
    with pytest.raises(InvalidInput):
        desk.open_calibration(people["qa"], "三月", ["c1"], ["qi1", "ann"], 5)  # type: ignore[list-item]
    session = desk.open_calibration(people["qa"], "三月", ["c1", "c2"], ["qi1", "qi2"], 5)  # type: ignore[list-item]
    tasks = {(who, item.call_id): item for who in ("qi1", "qi2") for item in room.store.reviews.queue(scope_of(people[who]))}
    assert len(tasks) == 4
    with pytest.raises(NotFound):
        desk.sheet(people["qi2"], tasks["qi1", "c1"].review_id)
    sheet = desk.sheet(people["qi1"], tasks["qi1", "c1"].review_id)
    assert sheet.machine is None
    assert {(item.answer, item.evidence, item.reason) for item in sheet.questions.items} == {("na", (), "")}
    given = {("qi1", "c1"): "pass", ("qi2", "c1"): "fail", ("qi1", "c2"): "fail", ("qi2", "c2"): "fail"}
    for (who, call), answer in given.items():
        answers = [HumanAnswer(item_id="greet", answer="pass"), HumanAnswer(item_id="verify", answer=answer)]  # type: ignore[arg-type]
        desk.submit(people[who], tasks[who, call].review_id, 1, answers, "")
    assert desk.calibration(people["qi1"], session.session_id).overall is None
    desk.close_calibration(people["qa"], session.session_id)
    result = desk.calibration(people["qi1"], session.session_id)
    assert result.overall is not None
    assert (result.overall.percent, result.questions["verify"].percent, result.questions["greet"].percent) == (0.75, 0.5, 1.0)
    assert result.differences == (("c1", "verify", {"qi1": "pass", "qi2": "fail"}),)
    assert (room.facts("c1")["qa_state"], desk.history(people["qi1"], "c1")[0]) == ("machine", [])  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        desk.close_calibration(people["qa"], session.session_id)


async def test_other_organisations_see_nothing(room: Room) -> None:
    await room.scored("c")
    review = room.desk.add(room.people["qi1"], "c")  # type: ignore[arg-type]
    stranger = room.store.people.create_user("other", "stranger", "x", ["inspector", "qa_lead", "ops_admin"])  # type: ignore[arg-type]
    assert room.store.reviews.queue(scope_of(stranger)) == []
    for ask in (lambda: room.desk.sheet(stranger, review.review_id), lambda: room.desk.history(stranger, "c")):  # type: ignore[arg-type]
        with pytest.raises(NotFound):
            ask()
