"""The rows of the cards follow the events, on every database, and show nobody more calls than their scope."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from copilot.domain.events import CallEnded, ReplyRefused, SuggestionFeedback, SuggestionOffered, SuggestionOutcome
from copilot.domain.ids import OrgId, UserId
from copilot.domain.knowledge import Citation
from copilot.domain.people import Scope
from copilot.domain.suggestions import Stage
from copilot.store import tables as t
from tests.fakes.stores import CALL, ORG, make_store, new_database, postgres_server, sqlite_url, started

pytestmark = pytest.mark.anyio
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CITATION = Citation(article_id="card-loss", version=3, passage_id="p", title="挂失", section="", quote="q")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))


def offered(number: int, **changes) -> SuggestionOffered:
    values = {
        "suggestion_id": f"s{number}", "kind": "faq", "confidence": 0.8, "trigger": "customer-1", "at_ms": 1000 * number,
        "intent": "card_loss", "title": "挂失", "text": "请说", "citations": (CITATION,), "total_ms": 700.0,
        "stages": (Stage(name="retrieve", ms=30.0),),
    }  # fmt: skip
    return SuggestionOffered(**(values | changes))


async def test_a_row_tells_what_became_of_a_card(url: str, tmp_path: Path) -> None:
    store = make_store(url, tmp_path)
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(ORG, opened, [started()])
    await store.journal.append(
        ORG,
        opened,
        [
            offered(1),
            ReplyRefused(suggestion_id="s1", model="m", reason="number"),
            offered(2, kind="reply", generated=True, model="m", replaces="s1"),
            SuggestionOutcome(suggestion_id="s2", outcome="said", confidence=0.9, coverage=0.8, at_ms=9000),
            offered(3, kind="nothing", citations=(), intent="fee"),
        ],
    )
    for action in ("used", "copied", "used"):
        store.calls.record_feedback(ORG, CALL, SuggestionFeedback(suggestion_id="s2", action=action, user_id=UserId("u1")))
    everyone = Scope(org_id=ORG, user_id=UserId("q"), roles=frozenset({"inspector"}))
    rows = {row.suggestion_id: row for row in store.suggestions.rows(everyone, since=LONG_AGO)}
    assert (rows["s1"].refused, rows["s1"].article_id, rows["s1"].article_version) == ("number", "card-loss", 3)
    assert (rows["s2"].outcome, rows["s2"].feedback, rows["s2"].replaces) == ("said", ("used", "copied"), "s1")
    assert rows["s2"].stages == (Stage(name="retrieve", ms=30.0),)
    assert rows["s3"].article_id == ""
    use = {(row.article_id, row.intent): row for row in store.suggestions.use(everyone, since=LONG_AGO)}
    assert (use["card-loss", "card_loss"].offered, use["card-loss", "card_loss"].said, use["card-loss", "card_loss"].used) == (1, 1, 1)
    assert use["", "fee"].offered == 1
    assert [row.suggestion_id for row in store.suggestions.rows(everyone, since=LONG_AGO, outcome="said")] == ["s2"]
    for stranger in (
        Scope(org_id=ORG, user_id=UserId("someone"), roles=frozenset({"agent"})),
        Scope(org_id=OrgId("other"), user_id=UserId("q"), roles=frozenset({"inspector"})),
    ):
        assert store.suggestions.rows(stranger, since=LONG_AGO) == []
        assert store.suggestions.use(stranger, since=LONG_AGO) == []
    store.close()


async def test_the_rows_can_be_written_again_from_the_events(url: str, tmp_path: Path) -> None:
    store = make_store(url, tmp_path)
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(ORG, opened, [started()])
    outcome = SuggestionOutcome(suggestion_id="s1", outcome="said", confidence=0.9, coverage=0.8, at_ms=9000)
    await store.journal.append(ORG, opened, [offered(1), offered(2), outcome])
    await store.journal.append(ORG, opened, [CallEnded(reason="hangup", duration_ms=9_000)])
    everyone = Scope(org_id=ORG, user_id=UserId("q"), roles=frozenset({"inspector"}))
    told = store.suggestions.rows(everyone, since=LONG_AGO)
    assert store.calls.rebuild_projections() == 0
    with store.database.write() as connection:
        connection.execute(sa.update(t.suggestions).values(outcome="", article_id="wrong"))
        connection.execute(sa.delete(t.suggestions).where(t.suggestions.c.suggestion_id == "s2"))
    assert store.calls.rebuild_projections() == 1
    assert store.suggestions.rows(everyone, since=LONG_AGO) == told
    store.calls.erase_call(ORG, CALL, "test")
    assert store.calls.rebuild_projections() == 0, "what happened is told also of a call whose words are gone"
    assert [row.article_id for row in store.suggestions.rows(everyone, since=LONG_AGO)] == ["card-loss", "card-loss"]
    store.close()
