"""The pure rules of review: working days, sampling, appeals, the human scorecard, the review pack."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.artifacts import QaItem, QaScorecard, Turn
from copilot.domain.errors import Conflict, Forbidden, InvalidInput
from copilot.review.appeals import ACTIONS, OPEN_STATES, Actor, Appeal, Clocks, file, step
from copilot.review.policy import RiskWeights, parse_policy
from copilot.review.risk import risk_of
from copilot.review.sampling import Candidate, Plan, chance, chosen, due_by
from copilot.review.scorecard import HumanAnswer, blind, changes, reviewed, total
from copilot.review.workdays import Calendar, deadline
from kb import packs
from postcall.qa.rubric import parse_rubric
from postcall.qa.score import score

BANK = Path(__file__).parents[2] / "kb/samples/bank"
FRIDAY = datetime(2026, 3, 6, 9, 0, tzinfo=UTC)  # 17:00 in Shanghai
CALENDAR = Calendar()
CLOCKS = Clocks()

# Working days


@pytest.mark.parametrize(
    ("at", "days", "expected"),
    [
        ("2026-03-06T09:00", 0, "2026-03-06T16:00"),  # the end of Friday in Shanghai
        ("2026-03-06T09:00", 1, "2026-03-09T16:00"),  # over the weekend
        ("2026-03-06T09:00", 3, "2026-03-11T16:00"),
        ("2026-03-06T17:00", 1, "2026-03-09T16:00"),  # that is Saturday morning there
        ("2026-03-08T15:59", 1, "2026-03-09T16:00"),
        ("2026-09-30T01:00", 3, "2026-10-10T16:00"),  # 8, 9 and, worked instead, Saturday the 10th of October
    ],
)
def test_deadlines_count_working_days_of_the_bank(at: str, days: int, expected: str) -> None:
    calendar = parse_policy((BANK / "review.yaml").read_text(encoding="utf-8")).calendar
    moment, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (at, expected))
    assert deadline(calendar, moment, days) == end


@given(st.integers(0, 700 * 1440), st.integers(0, 20))
def test_a_deadline_is_never_on_a_free_day_and_grows_with_the_days(minutes: int, days: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    end = deadline(CALENDAR, moment, days)
    assert end > moment
    last_day = CALENDAR.local_day(end - timedelta(seconds=1))
    assert days == 0 or CALENDAR.works(last_day)
    assert deadline(CALENDAR, moment, days + 1) > end


def test_a_calendar_without_working_days_has_no_deadline() -> None:
    with pytest.raises(ValueError, match="no working days"):
        deadline(Calendar(weekend=frozenset(range(7))), FRIDAY, 1)


# Sampling


def call(name: str, agent: str | None = "a", **more: object) -> Candidate:
    return Candidate(call_id=name, agent_id=agent, team_id="t1", started_at=FRIDAY, **more)  # type: ignore[arg-type]


def test_every_kind_of_plan_takes_what_it_says() -> None:
    calls = [call("risky", risk=70), call("doubtful", confidence=0.4), call("plain"), call("card", categories=("credit-card", "card-loss"))]
    plans = [
        Plan(plan_id="risk", kind="risk", at_least=60),
        Plan(plan_id="doubt", kind="low_confidence", at_most=0.5),
        Plan(plan_id="cards", kind="all", categories=frozenset({"credit-card"})),
        Plan(plan_id="other team", kind="all", teams=frozenset({"t2"})),
    ]
    assert [(item.call_id, plan) for item, plan in chosen(plans, calls)] == [("risky", "risk"), ("doubtful", "doubt"), ("card", "cards")]
    assert chosen([], calls) == []


def test_a_random_share_is_repeatable_and_near_its_size() -> None:
    calls = [call(f"c{number}") for number in range(5000)]
    plan = Plan(plan_id="chance", kind="random", share=0.1)
    first = {item.call_id for item, _ in chosen([plan], calls)}
    assert first == {item.call_id for item, _ in chosen([plan], reversed(calls))}
    assert 430 < len(first) < 570
    assert first != {item.call_id for item, _ in chosen([replace(plan, plan_id="other")], calls)}
    assert all(0 <= chance("p", item.call_id) < 1 for item in calls)


def test_a_quota_fills_up_over_its_period_and_never_over() -> None:
    plan = Plan(plan_id="quota", kind="agent_quota", count=4)
    calls = [call(f"{agent}{number}", agent) for agent in "ab" for number in range(10)] + [call("nobody", None)]
    early = chosen([plan], calls, elapsed=0.25)
    assert sorted(item.agent_id or "" for item, _ in early) == ["a", "b"]
    taken = {("quota", "a"): 1, ("quota", "b"): 4}
    late = chosen([plan], [item for item in calls if item not in {one for one, _ in early}], taken=taken)
    assert [item.agent_id for item, _ in late] == ["a"] * 3
    assert [due_by(4, share) for share in (0, 0.2, 0.5, 0.99, 1, 2)] == [0, 1, 2, 4, 4, 4]


# Appeals

AGENT = Actor(user_id="agent", roles=frozenset({"agent"}))
LEAD = Actor(user_id="lead", roles=frozenset({"team_lead"}), leads_team=True)
OTHER_LEAD = Actor(user_id="other", roles=frozenset({"team_lead"}))
QA_LEAD = Actor(user_id="qa", roles=frozenset({"qa_lead"}))
FIRST = Actor(user_id="first", roles=frozenset({"inspector"}))
SECOND = Actor(user_id="second", roles=frozenset({"inspector"}))
CLOCK = Actor(user_id="", roles=frozenset(), is_clock=True)
EVERYBODY = (AGENT, LEAD, OTHER_LEAD, QA_LEAD, FIRST, SECOND, CLOCK)


def filed(actor: Actor = AGENT, now: datetime = FRIDAY) -> Appeal:
    return file(actor=actor, agent_id="agent", scored_at=FRIDAY, reviewer_id="first", now=now, calendar=CALENDAR, clocks=CLOCKS)


def go(appeal: Appeal, action: str, actor: Actor, now: datetime = FRIDAY, **more: object) -> Appeal:
    return step(appeal, action, actor, now=now, calendar=CALENDAR, clocks=CLOCKS, **more)  # type: ignore[arg-type]


def test_the_whole_way_with_its_clocks() -> None:
    appeal = filed()
    assert (appeal.state, appeal.due_at) == ("filed", deadline(CALENDAR, FRIDAY, 2))
    appeal = go(appeal, "forward", LEAD)
    assert (appeal.state, appeal.due_at) == ("with_qa_lead", deadline(CALENDAR, FRIDAY, 1))
    appeal = go(appeal, "assign", QA_LEAD, assignee=SECOND)
    assert (appeal.state, appeal.assigned_to, appeal.due_at) == ("re_review", "second", deadline(CALENDAR, FRIDAY, 3))
    assert go(appeal, "decide", SECOND, changed=True).state == "changed"
    assert go(appeal, "decide", SECOND).state == "kept"


def test_the_window_of_three_working_days() -> None:
    end = deadline(CALENDAR, FRIDAY, 3)
    assert filed(now=end - timedelta(seconds=1)).state == "filed"
    with pytest.raises(Conflict, match="3 working days"):
        filed(now=end)
    with pytest.raises(Forbidden):
        filed(actor=LEAD)


def test_a_lead_who_does_not_answer_stops_nothing() -> None:
    appeal = filed()
    with pytest.raises(Forbidden):
        go(appeal, "escalate", CLOCK)
    assert go(appeal, "escalate", CLOCK, now=appeal.due_at).state == "with_qa_lead"  # type: ignore[arg-type]
    with pytest.raises(Forbidden):
        go(appeal, "escalate", LEAD, now=appeal.due_at)  # type: ignore[arg-type]


def test_who_may_take_which_step_in_which_state() -> None:
    states = {
        "filed": filed(),
        "with_qa_lead": go(filed(), "forward", LEAD),
        "re_review": go(go(filed(), "forward", LEAD), "assign", QA_LEAD, assignee=SECOND),
        "changed": replace(filed(), state="changed"),
        "kept": replace(filed(), state="kept"),
        "dismissed": replace(filed(), state="dismissed"),
        "withdrawn": replace(filed(), state="withdrawn"),
    }
    may = set()
    for (name, appeal), action, actor in product(states.items(), ACTIONS, EVERYBODY):
        try:
            go(appeal, action, actor, assignee=SECOND)
        except (Forbidden, Conflict):
            continue
        may.add((name, action, actor.user_id))
    assert may == {
        ("filed", "forward", "lead"),
        ("filed", "dismiss", "lead"),
        ("filed", "withdraw", "agent"),
        ("with_qa_lead", "withdraw", "agent"),
        ("with_qa_lead", "assign", "qa"),
        ("re_review", "assign", "qa"),
        ("re_review", "decide", "second"),
    }
    assert all(state in OPEN_STATES for state, _, _ in may)


@pytest.mark.parametrize("actor", [replace(actor, user_id="agent") for actor in (LEAD, QA_LEAD, SECOND)])
def test_nobody_takes_part_in_the_decision_about_their_own(actor: Actor) -> None:
    """An agent who is a lead or an inspector as well stays the author."""
    everything = replace(actor, roles=frozenset({"agent", "team_lead", "qa_lead", "inspector"}), leads_team=True)
    for appeal, action in [
        (filed(), "forward"),
        (filed(), "dismiss"),
        (replace(filed(), state="with_qa_lead"), "assign"),
        (replace(filed(), state="re_review", assigned_to="agent"), "decide"),
    ]:
        with pytest.raises(Forbidden, match="own appeal"):
            go(appeal, action, everything, assignee=SECOND)


@pytest.mark.parametrize("assignee", [FIRST, AGENT, LEAD, replace(SECOND, user_id="lead")])
def test_who_gave_the_score_or_forwarded_it_does_not_re_review(assignee: Actor) -> None:
    appeal = go(filed(), "forward", LEAD)
    with pytest.raises(Forbidden):
        go(appeal, "assign", QA_LEAD, assignee=assignee)
    with pytest.raises(Conflict, match="Name the inspector"):
        go(appeal, "assign", QA_LEAD)


# The human scorecard


def card() -> QaScorecard:
    items = (
        QaItem(item_id="greet", section="s", answer="pass", points=4, max_points=4),
        QaItem(item_id="verify", section="s", answer="fail", points=0, max_points=6, deduction=5),
        QaItem(item_id="leak", section="s", answer="pass", points=0, max_points=0, fatal=True),
        QaItem(item_id="hold", section="s", answer="na", points=0, max_points=4),
    )
    value, fatal = total(items)
    return QaScorecard(rubric_version="1", score=value, fatal=fatal, items=items)


def test_the_score_of_a_persons_answers_is_the_rubrics() -> None:
    assert card().score == 35.0
    better = reviewed(card(), [HumanAnswer(item_id="verify", answer="pass", reason="核实在转接前完成")])
    assert (better.score, better.fatal) == (100.0, False)
    worse = reviewed(card(), [HumanAnswer(item_id="leak", answer="fail", reason="说出了他人姓名")])
    assert (worse.score, worse.fatal) == (0.0, True)
    assert changes({"a": "pass", "b": "na"}, {"a": "fail", "b": "na"}) == {"a": ("pass", "fail")}


def test_the_same_sum_as_the_machines_scorer() -> None:
    rubric = parse_rubric((BANK / "rubric.yaml").read_text(encoding="utf-8"))
    turns = [Turn(utterance_id="agent-1", channel="agent", start_ms=0, end_ms=4000, text="您好，请问有什么可以帮您，肯定保本")]
    made = score(rubric, turns, "zh", {"wealth_buy"})
    assert total(made.items) == (made.score, made.fatal)


@pytest.mark.parametrize(
    "answers",
    [
        [HumanAnswer(item_id="verify", answer="pass")],
        [HumanAnswer(item_id="verify", answer="pass", reason="  ")],
        [HumanAnswer(item_id="other", answer="pass", reason="x")],
        [HumanAnswer(item_id="hold", answer="na"), HumanAnswer(item_id="hold", answer="na")],
    ],
)
def test_a_change_needs_a_reason_and_a_question_that_exists(answers: list[HumanAnswer]) -> None:
    with pytest.raises(InvalidInput):
        reviewed(card(), answers)


def test_blind_answers_are_complete_and_need_no_reason() -> None:
    every = [HumanAnswer(item_id=item.item_id, answer="pass") for item in card().items]
    assert blind(card(), every).score == 100.0
    with pytest.raises(InvalidInput, match="missing: hold"):
        blind(card(), every[:-1])


# The pack


def test_the_sample_pack_is_fit_for_use() -> None:
    text = (BANK / "review.yaml").read_text(encoding="utf-8")
    assert packs.faults("review", text) == []
    policy = parse_policy(text)
    assert [plan.plan_id for plan in policy.plans] == ["risk", "doubtful", "quota", "chance"], "one is switched off"
    assert date(2026, 10, 3) in policy.calendar.holidays
    for pack, ids in (("intents", policy.risk.intents), ("taxonomy", policy.risk.categories)):
        known = (BANK / f"{pack}.yaml").read_text(encoding="utf-8")
        assert [name for name in ids if f"id: {name}\n" not in known] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("plans: []", "version"),
        ("version: 1\nextra: 1", "extra"),
        ("version: 1\nplans: [{id: a, kind: some}]", "kind"),
        ("version: 1\nplans: [{id: a, kind: random}]", "share"),
        ("version: 1\nplans: [{id: a, kind: random, share: 2}]", "between 0 and 1"),
        ("version: 1\nplans: [{id: a, kind: all}, {id: a, kind: all}]", "two plans"),
        ("version: 1\ncalendar: {holidays: [soon]}", "no day"),
        ("version: 1\ncalendar: {time_zone: Nowhere/At All}", "time_zone"),
        ("version: 1\ncalendar: {weekend: [mon, tue, wed, thu, fri, sat, sun]}", "no day of the week"),
        ("version: 1\nappeal: {file_days: -1}", "file_days"),
        ("version: 1\nrisk: {alert: 200}", "alert"),
        ("{", "not valid YAML"),
    ],
)
def test_a_faulty_pack_is_named(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_policy(text)


def test_risk_is_capped_and_takes_the_strongest() -> None:
    weights = RiskWeights(intents={"a": 40, "b": 20}, categories={"complaint": 40}, alert=10, fatal=30)
    assert risk_of(weights, intents={"a", "b"}, categories={"complaint", "x"}, alerts=1, fatal=False) == 90
    assert risk_of(weights, intents={"a"}, categories={"complaint"}, alerts=5, fatal=True) == 100
    assert risk_of(RiskWeights(), intents={"a"}, categories=set(), alerts=9, fatal=True) == 0
