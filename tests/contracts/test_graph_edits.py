"""Editors' decisions about the knowledge graph, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from copilot.domain.errors import Forbidden, InvalidInput
from copilot.domain.graph import GraphEdit
from copilot.domain.ids import OrgId, UserId
from copilot.domain.people import Scope, User
from copilot.store.store import Store
from tests.fakes.stores import ORG, make_store, new_database, postgres_server, sqlite_url


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))
    opened = make_store(url, tmp_path)
    opened.people.ensure_org(ORG)
    yield opened
    opened.close()


def user(name: str, role: str) -> User:
    return User(org_id=ORG, user_id=UserId(name), username=name, display_name=name, roles=frozenset({role}))  # type: ignore[arg-type]


EDITOR, AGENT = user("ed", "editor"), user("ag", "agent")


def verdict(state: str, key: str = "k1", language: str = "zh") -> GraphEdit:
    return GraphEdit(kind="verdict", target=key, language=language, body={"state": state})


def test_the_newest_decision_of_a_target_counts_and_every_one_is_audited(store: Store) -> None:
    edits = store.graph_edits(ORG)
    assert (edits.all(), edits.mark()) == ([], 0)
    edits.put(verdict("confirmed"), EDITOR)
    edits.put(verdict("rejected"), EDITOR)
    edits.put(verdict("rejected", language="en"), EDITOR)
    edits.put(GraphEdit(kind="name", target="k1", language="zh", body={"name": "朝霞卡"}), EDITOR)
    assert {(one.kind, one.language, one.author, *one.body.values()) for one in edits.all()} == {
        ("verdict", "zh", "ed", "rejected"),
        ("verdict", "en", "ed", "rejected"),
        ("name", "zh", "ed", "朝霞卡"),
    }
    assert edits.mark() == 4
    assert edits.take_back("zh", "verdict", "k1", EDITOR)
    assert not edits.take_back("zh", "verdict", "k1", EDITOR)
    assert len(edits.all()) == 2
    scope = Scope(org_id=ORG, user_id=UserId("aud"), roles=frozenset({"auditor"}))
    assert [line.action for line in store.audit.entries(scope)] == ["graph.take_back", "graph.name", *["graph.verdict"] * 3]


def test_who_may_not_decide_and_what_says_nothing_is_refused(store: Store) -> None:
    edits = store.graph_edits(ORG)
    for refused, who, error in ((verdict("confirmed"), AGENT, Forbidden), (verdict("perhaps"), EDITOR, InvalidInput)):
        with pytest.raises(error):
            edits.put(refused, who)
    with pytest.raises(Forbidden):
        edits.take_back("zh", "verdict", "k1", AGENT)
    assert (edits.all(), edits.mark()) == ([], 0)


def test_organisations_do_not_see_each_other_and_two_at_once_lose_nothing(store: Store) -> None:
    edits, other = store.graph_edits(ORG), store.graph_edits(OrgId("other"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: edits.put(verdict("confirmed", f"k{number % 5}"), EDITOR), range(20)))
    assert len(edits.all()) == 5
    assert edits.mark() == 20
    assert (other.all(), other.mark()) == ([], 0)
