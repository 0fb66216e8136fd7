"""Which step may follow which, who may take it, and what is in force on a day."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copilot.domain.article_life import (
    MOVES,
    VersionHead,
    check_reason,
    check_reviewer,
    check_role,
    main_version,
    moved,
    ruling,
    standing,
)
from copilot.domain.errors import Conflict, Forbidden, InvalidInput
from copilot.domain.ids import OrgId, UserId
from copilot.domain.people import User

DAY = date(2026, 3, 1)


def head(version: int, state: str = "published", begins: int | None = None, ends: int | None = None) -> VersionHead:
    """``begins`` and ``ends`` in days from DAY."""
    first, last = (DAY + timedelta(days=days) if days is not None else None for days in (begins, ends))
    return VersionHead(version=version, state=state, valid_from=first, valid_to=last)  # type: ignore[arg-type]


def user(name: str, *roles: str) -> User:
    return User(org_id=OrgId("o"), user_id=UserId(name), username=name, display_name=name, roles=frozenset(roles))  # type: ignore[arg-type]


def test_only_the_steps_of_the_table_may_be_taken():
    states = ("draft", "in_review", "published", "expired", "retired")
    steps = ("save", "submit", "withdraw", "reject", "publish", "retire", "discard")
    for state, step in itertools.product(states, steps):
        if (state, step) in MOVES:
            assert moved(state, step) == MOVES[state, step]
        else:
            with pytest.raises(Conflict, match=state):
                moved(state, step)
    assert not any(state in ("expired", "retired") for state, _ in MOVES), "what is over stays over"
    assert [pair for pair, after in MOVES.items() if after == "published"] == [("in_review", "publish")], "no way round the review"


def test_who_wrote_it_may_not_decide_and_others_need_the_role():
    check_reviewer(user("b", "editor"), ("a",))
    with pytest.raises(Forbidden, match="another person"):
        check_reviewer(user("a", "editor", "ops_admin"), ("b", "a"))
    for role in ("agent", "team_lead", "inspector", "auditor", "sys_admin"):
        with pytest.raises(Forbidden):
            check_role(user("c", role))
    with pytest.raises(InvalidInput):
        check_reason("  a ")


def test_a_version_that_begins_later_leaves_todays_in_force_until_its_eve():
    versions = [head(1), head(2, begins=10)]
    today = ruling(versions, DAY)
    assert today is not None
    assert (today.version, today.valid_to) == (1, DAY + timedelta(days=9))
    assert ruling(versions, DAY + timedelta(days=9)) is not None
    then = ruling(versions, DAY + timedelta(days=10))
    assert then is not None
    assert (then.version, then.valid_to) == (2, None)
    assert standing(versions[1], versions, DAY) == "scheduled"
    assert standing(versions[0], versions, DAY + timedelta(days=10)) == "superseded"


def test_what_ended_brings_nothing_back():
    versions = [head(1), head(2, begins=-5, ends=-1)]
    assert ruling(versions, DAY) is None
    assert [standing(version, versions, DAY) for version in versions] == ["superseded", "expired"]
    assert main_version(versions, DAY).version == 2
    assert ruling([head(1), head(2, "retired")], DAY) is None
    assert ruling([head(1), head(2, "draft"), head(3, "in_review")], DAY) == head(1)
    assert ruling([head(1, ends=0)], DAY) == head(1, ends=0), "the last day is a valid one"


HEADS = st.lists(
    st.tuples(
        st.sampled_from(["draft", "in_review", "published", "published", "expired", "retired"]),
        st.none() | st.integers(-4, 4),
        st.none() | st.integers(-4, 4),
    ),
    min_size=1,
    max_size=6,
).map(lambda rows: [head(number, *row) for number, row in enumerate(rows, 1)])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HEADS, st.integers(-5, 5))
def test_at_most_one_version_rules_it_is_valid_and_nothing_newer_has_begun(heads, days):
    day = DAY + timedelta(days=days)
    rules = ruling(heads, day)
    standings = [standing(one, heads, day) for one in heads]
    assert standings.count("in_force") == (rules is not None)
    main_version(heads, day)
    if rules is None:
        return
    assert (rules.valid_from or day) <= day <= (rules.valid_to or day)
    for other in heads:
        if other.version > rules.version and other.state in ("published", "expired", "retired"):
            assert other.valid_from is not None
            assert other.valid_from > day
            assert rules.valid_to is not None
            assert rules.valid_to < other.valid_from, "the two never overlap"
