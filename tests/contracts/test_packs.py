"""Versions of packs and their dry runs on the real store, both databases: states, who may, one thing in force, what the audit says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from copilot.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Overloaded
from copilot.domain.packs import PackConflict
from copilot.domain.people import Role, User
from copilot.store import tables as t
from copilot.store.dry_runs import MOST_KEPT, MOST_WAITING
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from tests.fakes.stores import AT, ORG, make_store, new_database, postgres_server, scope, sqlite_url


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))
    made = make_store(url, tmp_path, ManualClock(AT))
    made.people.ensure_org(ORG)
    yield made
    made.close()


def person(name: str, *roles: Role) -> User:
    return User(org_id=ORG, user_id=name, username=name, display_name=name, roles=frozenset(roles))  # type: ignore[arg-type]


ANN, BEN, LEAD, EDITOR = person("ann", "inspector"), person("ben", "qa_lead"), person("lead", "qa_lead"), person("ed", "editor")


def audited(store: Store) -> list[tuple[str, str, str]]:
    return [(entry.action, entry.target, entry.actor) for entry in reversed(store.audit.entries(scope("x", "auditor"), 1000))]


def states(store: Store, name: str = "rubric") -> dict[int, str]:
    return {found.version: found.state for found in store.packs(ORG).versions(name)}


def test_a_draft_is_in_force_only_when_another_person_has_published_it(store: Store) -> None:
    packs, articles = store.packs(ORG), store.articles(ORG)
    articles.put_pack("rubric", "*", "v: 1")
    draft = packs.begin("rubric", "v: 2", "stricter", ANN)
    assert (draft.version, draft.state, draft.base_version, draft.revision, draft.note) == (2, "draft", 1, 1, "stricter")
    assert articles.pack("rubric") == (1, "v: 1"), "a draft judges nothing"
    saved = packs.save("rubric", 2, 1, "v: 2b", "stricter still", 1, ANN)
    assert (saved.revision, packs.version("rubric", 2)[1]) == (2, "v: 2b")
    with pytest.raises(PackConflict) as stale:
        packs.save("rubric", 2, 1, "v: other", "", 1, ANN)
    assert stale.value.stored.revision == 2
    with pytest.raises(Forbidden):
        packs.save("rubric", 2, 2, "v: mine", "", 1, BEN)
    with pytest.raises(Forbidden, match="role"):
        packs.publish("rubric", 2, 2, person("ann2", "inspector"))
    with pytest.raises(PackConflict):
        packs.publish("rubric", 2, 1, BEN)
    done = packs.publish("rubric", 2, 2, BEN)
    assert (done.state, done.published_by, done.author) == ("published", "ben", "ann")
    assert articles.pack("rubric") == (2, "v: 2b")
    assert states(store) == {2: "published", 1: "superseded"}
    with pytest.raises(Conflict):
        packs.publish("rubric", 2, 2, LEAD)
    with pytest.raises(Conflict):
        packs.save("rubric", 2, 2, "v: 9", "", 1, ANN)
    assert audited(store) == [
        ("pack.publish", "rubric@1", "cli"),
        ("pack.draft", "rubric@2", "ann"),
        ("pack.publish", "rubric@2", "ben"),
    ]
    assert store.audit.first_broken(ORG) is None


def test_nobody_publishes_what_they_wrote(store: Store) -> None:
    packs = store.packs(ORG)
    packs.begin("sop", "a: 1", "", LEAD)
    with pytest.raises(Forbidden, match="somebody else"):
        packs.publish("sop", 1, 1, LEAD)
    assert packs.publish("sop", 1, 1, BEN).state == "published"


def test_what_was_published_meanwhile_must_be_taken_over_first(store: Store) -> None:
    packs = store.packs(ORG)
    packs.put("rubric", "v: 1", "", "cli")
    packs.begin("rubric", "v: mine", "", ANN)
    assert packs.put("rubric", "v: import", "from a file", "cli").version == 3
    with pytest.raises(Conflict, match="Version 3 was published"):
        packs.publish("rubric", 2, 1, BEN)
    with pytest.raises(InvalidInput, match="not the published one"):
        packs.save("rubric", 2, 1, "v: both", "", 2, ANN)
    packs.save("rubric", 2, 1, "v: both", "", 3, ANN)
    packs.publish("rubric", 2, 2, BEN)
    assert states(store) == {3: "superseded", 2: "published", 1: "superseded"}
    assert store.articles(ORG).pack("rubric") == (2, "v: both"), "in force is what is published, whatever its number"
    assert packs.put("rubric", "v: both", "", "cli").version == 2, "the same text again changes nothing"
    assert packs.put("rubric", "v: next", "", "cli").base_version == 2


def test_one_open_draft_each_and_giving_it_up(store: Store) -> None:
    packs = store.packs(ORG)
    packs.begin("taxonomy", "a: 1", "", EDITOR)
    with pytest.raises(Conflict, match="version 1"):
        packs.begin("taxonomy", "a: 2", "", EDITOR)
    packs.begin("taxonomy", "a: 2", "", ANN)
    with pytest.raises(Forbidden):
        packs.discard("taxonomy", 1, ANN)
    assert packs.discard("taxonomy", 2, BEN).state == "discarded", "who may publish clears up"
    with pytest.raises(Conflict):
        packs.discard("taxonomy", 2, BEN)
    packs.discard("taxonomy", 1, EDITOR)
    assert packs.begin("taxonomy", "a: 3", "", EDITOR).version == 3
    assert [found.version for found in packs.drafts()] == [3]
    for outsider in (person("x", "agent"), person("y", "auditor")):
        with pytest.raises(Forbidden):
            packs.begin("taxonomy", "a: 4", "", outsider)


def test_what_is_no_pack_and_what_is_too_large(store: Store) -> None:
    packs = store.packs(ORG)
    for call in (lambda: packs.begin("intent_model", "x", "", ANN), lambda: packs.versions("ranking"), lambda: packs.version("rubric", 7)):
        with pytest.raises(NotFound):
            call()
    for text in (" ", "x" * 500_001):
        with pytest.raises(InvalidInput):
            packs.begin("rubric", text, "", ANN)
    store.articles(ORG).put_pack("intent_model", "*", "{}")
    assert packs.in_force() == [], "what commands make is not listed among what people write"
    assert store.packs("other").numbers_in_force() == ()  # type: ignore[arg-type]
    before = packs.numbers_in_force()
    packs.put("rubric", "v: 1", "", "cli")
    assert packs.numbers_in_force() != before, "who remembers parsed packs notices"


def test_a_dry_run_from_queue_to_result(store: Store) -> None:
    runs = store.dry_runs
    made = runs.create(ORG, "rubric", 2, 1, 1, "v: 2", {"limit": 5}, "ann", "node")
    assert runs.of_node("node", ("queued",)) == [(ORG, made.run_id)]
    assert runs.begin(ORG, made.run_id)
    assert runs.progress(ORG, made.run_id, 1, 2)
    change = {"before_score": 90.0, "after_score": 80.0, "changes": [{"key": "greet", "before": "pass", "after": "fail"}]}
    other = {"before_score": None, "after_score": None, "changes": [{"key": "level2", "before": "loss", "after": "fraud"}]}
    runs.finish(ORG, made.run_id, {"calls": 2}, [("c1", change), ("c2", other)])  # type: ignore[list-item]
    done = runs.run(ORG, made.run_id)
    assert (done.state, done.done, done.total, done.result) == ("done", 1, 2, {"calls": 2})
    assert [row.call_id for row in runs.changed(ORG, made.run_id, None, -1, 10)] == ["c1", "c2"]
    assert [row.call_id for row in runs.changed(ORG, made.run_id, None, 0, 10)] == ["c2"]
    for key in ("level2", "level2/loss", "level2/fraud"):
        assert [row.call_id for row in runs.changed(ORG, made.run_id, key, -1, 10)] == ["c2"]
    with pytest.raises(Conflict):
        runs.cancel(ORG, made.run_id, "ann")
    with pytest.raises(NotFound):
        runs.run("other", made.run_id)  # type: ignore[arg-type]


def test_a_cancelled_run_stops_and_stays_cancelled(store: Store) -> None:
    runs = store.dry_runs
    made = runs.create(ORG, "sop", 1, 1, 1, "x", {}, "ann", "node")
    runs.begin(ORG, made.run_id)
    assert runs.cancel(ORG, made.run_id, "ben").state == "cancelled"
    assert not runs.progress(ORG, made.run_id, 1, 2), "the work is told to stop"
    runs.finish(ORG, made.run_id, {"calls": 1}, [])
    runs.fail(ORG, made.run_id, "late")
    assert (runs.run(ORG, made.run_id).state, runs.run(ORG, made.run_id).result) == ("cancelled", None)
    assert not runs.begin(ORG, made.run_id)
    assert [action for action, _, _ in audited(store)] == ["pack.dry_run", "pack.dry_run_cancel"]


def test_runs_are_bounded(store: Store) -> None:
    runs = store.dry_runs
    for _ in range(MOST_KEPT + 5):
        made = runs.create(ORG, "sop", 1, 1, 1, "x", {}, "ann", "node")
        runs.begin(ORG, made.run_id)
        runs.finish(ORG, made.run_id, {}, [("c", {"changes": []})])  # type: ignore[list-item]
    with store.database.read() as connection:
        kept = [connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in (t.dry_runs, t.dry_run_calls)]
    assert kept == [MOST_KEPT, MOST_KEPT]
    for _ in range(MOST_WAITING):
        runs.create(ORG, "sop", 1, 1, 1, "x", {}, "ann", "node")
    with pytest.raises(Overloaded):
        runs.create(ORG, "sop", 1, 1, 1, "x", {}, "ann", "node")
