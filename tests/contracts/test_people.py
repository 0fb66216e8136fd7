"""Enrolment, sign-in, sessions and tickets, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from copilot.domain.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from copilot.domain.people import User
from copilot.store import tables as t
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from tests.fakes.stores import AT, ORG, make_store, new_database, postgres_server, scope, sqlite_url

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse battery"
ORIGIN = "https://pangting.bank.example"


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


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


@pytest.fixture
def store(url: str, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = make_store(url, tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def agent(store: Store) -> User:
    user = store.people.create_user(ORG, "Xiao.Lin", "小林", ["agent"])
    return store.people.enrol(store.people.create_enrolment(ORG, user.user_id), PASSWORD)


def stored(store: Store) -> str:
    with store.database.read() as connection:
        return repr([connection.execute(sa.select(table)).all() for table in t.metadata.sorted_tables])


# --- first run and enrolment ----------------------------------------------------------------------------------------------------------


def test_the_first_run_gives_one_enrolment_link_until_somebody_has_a_password(store: Store) -> None:
    lost = store.people.ensure_first_admin()
    token = store.people.ensure_first_admin()
    assert lost is not None
    assert token is not None
    assert token not in stored(store)
    with pytest.raises(NotFound):
        store.people.enrolment(lost)
    invitation = store.people.enrolment(token)
    assert invitation.user.roles == {"sys_admin", "ops_admin"}
    admin = store.people.enrol(token, PASSWORD, "wang")
    assert (admin.username, admin.user_id) == ("wang", invitation.user.user_id)
    assert store.people.ensure_first_admin() is None
    assert store.signin.login("wang", PASSWORD).user == admin
    assert len(store.people.users(ORG)) == 1


async def test_two_processes_at_the_first_start_make_one_admin(store: Store) -> None:
    tokens = await asyncio.gather(*[asyncio.to_thread(store.people.ensure_first_admin) for _ in range(5)])
    assert len(store.people.users(ORG)) == 1
    valid = 0
    for token in tokens:
        try:
            store.people.enrolment(str(token))
            valid += 1
        except NotFound:
            continue
    assert valid == 1


def test_an_enrolment_works_once_and_not_forever(store: Store, clock: ManualClock) -> None:
    user = store.people.create_user(ORG, "lin", "小林", ["agent"])
    token = store.people.create_enrolment(ORG, user.user_id)
    store.people.enrol(token, PASSWORD)
    with pytest.raises(NotFound, match="new one"):
        store.people.enrol(token, PASSWORD + "2")
    old = store.people.create_enrolment(ORG, user.user_id)
    clock.advance(timedelta(days=3).total_seconds())
    with pytest.raises(NotFound):
        store.people.enrolment(old)
    assert store.signin.login("lin", PASSWORD).user.user_id == user.user_id


@pytest.mark.parametrize("password", ["short", "x" * 2000, "administrator"])
def test_weak_passwords_are_refused_and_the_link_still_works(store: Store, password: str) -> None:
    user = store.people.create_user(ORG, "administrator", "管理", ["sys_admin"])
    token = store.people.create_enrolment(ORG, user.user_id)
    with pytest.raises(InvalidInput):
        store.people.enrol(token, password)
    store.people.enrol(token, PASSWORD)


def test_usernames_are_unique_whatever_their_case(store: Store) -> None:
    store.people.create_user(ORG, "Lin", "小林", ["agent"])
    with pytest.raises(Conflict, match="taken"):
        store.people.create_user("other", "lIN", "x", ["agent"])
    other = store.people.create_user(ORG, "wang", "小王", ["agent"])
    with pytest.raises(Conflict, match="taken"):
        store.people.enrol(store.people.create_enrolment(ORG, other.user_id), PASSWORD, "LIN")


def test_users_teams_and_roles(store: Store) -> None:
    store.people.ensure_org(ORG)
    store.people.create_team(ORG, "t1", "一组")
    with pytest.raises(Conflict):
        store.people.create_team(ORG, "t1", "一组")
    assert store.people.teams(ORG) == {"t1": "一组"}
    user = store.people.create_user(ORG, "lin", "小林", ["agent"], ["t1"])
    assert store.people.user(ORG, user.user_id) == user
    assert store.people.user_by_name(ORG, "LIN") == user
    assert store.people.user_by_name(ORG, user.user_id) == user
    assert store.people.user_by_name("other", "lin") is None
    changed = store.people.update_user(ORG, user.user_id, roles=["team_lead"], team_ids=[], display_name="林组长")
    assert (changed.roles, changed.team_ids, changed.display_name) == ({"team_lead"}, frozenset(), "林组长")
    with pytest.raises(NotFound, match="t9"):
        store.people.update_user(ORG, user.user_id, team_ids=["t9"])
    with pytest.raises(InvalidInput, match="Roles"):
        store.people.update_user(ORG, user.user_id, roles=["king"])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="username"):
        store.people.create_user(ORG, "a b", "x", ["agent"])
    with pytest.raises(NotFound):
        store.people.user("other", user.user_id)


# --- signing in -----------------------------------------------------------------------------------------------------------------------


def test_a_session_lasts_until_logout_or_its_end(store: Store, agent: User, clock: ManualClock) -> None:
    session = store.signin.login("xiao.lin", PASSWORD)
    assert session.user == agent
    assert store.signin.user_of(session.token) == agent
    assert session.token not in stored(store)
    assert PASSWORD not in stored(store)
    store.signin.logout(session.token)
    store.signin.logout(session.token)
    for token in (session.token, "", "nonsense"):
        with pytest.raises(Unauthenticated):
            store.signin.user_of(token)
    other = store.signin.login("xiao.lin", PASSWORD)
    clock.advance((other.expires_at - clock.now()).total_seconds())
    with pytest.raises(Unauthenticated):
        store.signin.user_of(other.token)


def test_wrong_password_unknown_name_and_inactive_user_sound_the_same(store: Store, agent: User) -> None:
    off = store.people.create_user(ORG, "gone", "离职", ["agent"])
    store.people.enrol(store.people.create_enrolment(ORG, off.user_id), PASSWORD)
    store.people.update_user(ORG, off.user_id, active=False)
    waiting = store.people.create_user(ORG, "waiting", "未启用", ["agent"])
    sentences = set()
    for name, password in (("xiao.lin", "wrong password"), ("nobody", PASSWORD), ("gone", PASSWORD), (waiting.username, "")):
        with pytest.raises(Unauthenticated) as caught:
            store.signin.login(name, password)
        sentences.add(str(caught.value))
    assert len(sentences) == 1


def test_an_unknown_name_costs_a_hash_like_a_known_one(store: Store, agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    check = store.signin._passwords._hasher.verify

    class Spy:
        def verify(self, stored: str, password: str) -> bool:
            checked.append(stored[:9])
            return check(stored, password)

        hash = store.signin._passwords._hasher.hash

    monkeypatch.setattr(store.signin._passwords, "_hasher", Spy())
    for name in ("nobody", "xiao.lin"):
        with pytest.raises(Unauthenticated):
            store.signin.login(name, "wrong password")
    assert checked == ["$argon2id"] * 2


def test_guessing_is_slowed_down_also_for_names_that_do_not_exist(store: Store, agent: User, clock: ManualClock) -> None:
    for name in ("xiao.lin", "nobody"):
        for _ in range(5):
            with pytest.raises(Unauthenticated, match="wrong"):
                store.signin.login(name, "wrong password")
        with pytest.raises(Unauthenticated, match=r"wait [23] s"):
            store.signin.login(name, PASSWORD)
    clock.advance(3)
    with pytest.raises(Unauthenticated, match="wrong"):
        store.signin.login("xiao.lin", "wrong password")
    clock.advance(3)
    with pytest.raises(Unauthenticated, match="wait"):
        store.signin.login("Xiao.Lin ", PASSWORD)
    clock.advance(3)
    store.signin.login("xiao.lin", PASSWORD)
    with pytest.raises(Unauthenticated, match="wrong"):
        store.signin.login("xiao.lin", "wrong password")
    assert "nobody" not in stored(store)


def test_losing_a_role_or_the_account_ends_the_sessions(store: Store, agent: User) -> None:
    session = store.signin.login("xiao.lin", PASSWORD)
    store.people.update_user(ORG, agent.user_id, display_name="林")
    assert store.signin.user_of(session.token).display_name == "林"
    store.people.update_user(ORG, agent.user_id, roles=["inspector"])
    with pytest.raises(Unauthenticated):
        store.signin.user_of(session.token)


def test_sign_ins_are_audited_without_passwords(store: Store, agent: User) -> None:
    session = store.signin.login("xiao.lin", PASSWORD)
    with pytest.raises(Unauthenticated):
        store.signin.login("xiao.lin", "wrong password")
    store.signin.logout(session.token)
    lines = store.audit.entries(scope("x", "auditor"))
    assert [line.action for line in lines] == ["logout", "login.refuse", "login", "user.enrol", "user.invite", "user.create"]
    assert store.audit.first_broken(ORG) is None
    assert "wrong password" not in repr(lines)


# --- tickets --------------------------------------------------------------------------------------------------------------------------


def test_a_feed_ticket_opens_one_feed_from_its_own_origin(store: Store, agent: User, clock: ManualClock) -> None:
    ticket = store.signin.issue_ticket(agent, "feed", ORIGIN)
    assert ticket.expires_in_s == 30
    assert ticket.ticket not in stored(store)
    for purpose, origin, call_id in (
        ("audio", ORIGIN, None),
        ("feed", "https://evil.example", None),
        ("feed", None, None),
        ("feed", ORIGIN, "c1"),
    ):
        with pytest.raises(Unauthenticated):
            store.signin.redeem_ticket(ticket.ticket, purpose, origin, call_id)  # type: ignore[arg-type]
    assert store.signin.redeem_ticket(ticket.ticket, "feed", ORIGIN) == agent
    with pytest.raises(Unauthenticated, match="new one"):
        store.signin.redeem_ticket(ticket.ticket, "feed", ORIGIN)
    late = store.signin.issue_ticket(agent, "feed", ORIGIN)
    clock.advance(30)
    with pytest.raises(Unauthenticated):
        store.signin.redeem_ticket(late.ticket, "feed", ORIGIN)


async def test_one_ticket_redeemed_twice_at_once_opens_once(store: Store, agent: User) -> None:
    ticket = store.signin.issue_ticket(agent, "feed", ORIGIN).ticket
    tries = [asyncio.to_thread(store.signin.redeem_ticket, ticket, "feed", ORIGIN) for _ in range(6)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Unauthenticated"] * 5 + ["User"]


def test_an_audio_ticket_serves_ranges_of_one_call_for_a_while(store: Store, agent: User, clock: ManualClock) -> None:
    ticket = store.signin.issue_ticket(agent, "audio", ORIGIN, "c1").ticket
    for origin in (ORIGIN, None, ORIGIN):
        assert store.signin.redeem_ticket(ticket, "audio", origin, "c1") == agent
    for origin, call_id in ((ORIGIN, "c2"), ("https://evil.example", "c1"), (ORIGIN, None)):
        with pytest.raises(Unauthenticated):
            store.signin.redeem_ticket(ticket, "audio", origin, call_id)
    clock.advance(301)
    with pytest.raises(Unauthenticated):
        store.signin.redeem_ticket(ticket, "audio", ORIGIN, "c1")


def test_logout_voids_tickets(store: Store, agent: User) -> None:
    session = store.signin.login("xiao.lin", PASSWORD)
    ticket = store.signin.issue_ticket(agent, "feed", ORIGIN).ticket
    store.signin.logout(session.token)
    with pytest.raises(Unauthenticated):
        store.signin.redeem_ticket(ticket, "feed", ORIGIN)
