"""Digests, figures by day and clusters on both databases: what is counted, for whom, and that nothing outlives an erased call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from copilot.domain.events import CallEnded
from copilot.domain.ids import CallId, TeamId, UserId
from copilot.domain.insights import CallDigest, Checked, Cluster, Counted, DigestedCall, InsightFilter, Lead, Place, TermPlace
from copilot.domain.people import Scope
from copilot.store import tables as t
from copilot.store.insights import StoredCluster
from copilot.store.store import Store
from tests.fakes.stores import ORG, make_store, new_database, postgres_server, sqlite_url, started

pytestmark = pytest.mark.anyio
DAY = date(2026, 3, 1)
ALL = Scope(org_id=ORG, user_id=UserId("qa"), roles=frozenset({"qa_lead"}))
LEAD = Scope(org_id=ORG, user_id=UserId("lead"), roles=frozenset({"team_lead"}), team_ids=frozenset({TeamId("t1")}))
AGENT = Scope(org_id=ORG, user_id=UserId("a1"), roles=frozenset({"agent"}))
WINDOW = InsightFilter(first=DAY, last=DAY + timedelta(days=1))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))
    made = make_store(url, tmp_path)
    made.people.ensure_org(ORG)
    yield made
    made.close()


def digest(*terms: str, failed: bool = False, lead: str = "", problem: str = "年费怎么收") -> CallDigest:
    place = Place(utterance_id="customer-1", at_ms=1000, text=problem)
    return CallDigest(
        problem=place,
        vector="AAAA",
        terms=tuple(TermPlace(term=term, known=term == "年费", place=place) for term in terms),
        questions=(Checked(item_id="greet", passed=not failed, place=place),),
        leads=(Lead(lead=lead, place=place),) if lead else (),
    )


async def filled(store: Store) -> list[DigestedCall]:
    """Six calls of two days, two teams and three agents."""
    rows = [
        ("c1", 0, "t1", "a1", "inbound", "card", "fee", "g1", True, digest("年费", "王府井", failed=True)),
        ("c2", 0, "t1", "a1", "inbound", "card", "fee", "g1", False, digest("年费", failed=True)),
        ("c3", 0, "t2", "a2", "inbound", "card", "loss", "", False, digest("年费", lead="loan")),
        ("c4", 1, "t2", "a2", "outbound", "loan", "rate", "g2", True, digest("利率", lead="loan")),
        ("c5", 1, "t2", "a3", "inbound", "loan", "rate", "g2", False, digest("利率")),
        ("c6", 1, "", "", "imported", "loan", "rate", "g2", False, digest("利率", failed=True)),
    ]
    calls = []
    for number, (name, day, team, agent, channel, product, topic, cluster, upset, body) in enumerate(rows):
        at = datetime(2026, 3, 1 + day, 9, number, tzinfo=UTC)
        opened = await store.journal.open(ORG, CallId(name), "node")
        await store.journal.append(ORG, opened, [started(None, at), CallEnded(reason="hangup", duration_ms=60_000)])
        calls.append(
            DigestedCall(
                call_id=CallId(name),
                day=DAY + timedelta(days=day),
                started_at=at,
                team_id=team,
                agent_id=agent,
                channel=channel,
                product=product,
                topic=topic,
                cluster_id=cluster,
                upset=upset,
                digest=body,
            )
        )
    days = store.insights.save(ORG, calls)
    assert days == {DAY, DAY + timedelta(days=1)}
    for day in days:
        store.insights.roll(ORG, day)
    return calls


async def test_what_is_saved_is_counted_and_read_back(store: Store) -> None:
    calls = await filled(store)
    assert list(store.insights.every(ORG, DAY, WINDOW.last)) == calls[::-1]
    assert store.insights.totals(ALL, WINDOW) == {"2026-03-01": Counted(calls=3, upset=1), "2026-03-02": Counted(calls=3, upset=1)}
    daily = store.insights.daily(ALL, WINDOW)
    assert daily["topic", "fee"] == {"2026-03-01": Counted(calls=2, upset=1)}
    assert daily["topic", "rate"] == {"2026-03-02": Counted(calls=3, upset=1)}
    assert daily["cluster", "g2"] == {"2026-03-02": Counted(calls=3, upset=1)}
    assert daily["term", "年费"] == {"2026-03-01": Counted(calls=3, upset=1)}
    assert daily["term", "利率"] == {"2026-03-02": Counted(calls=3, upset=1)}, "no word of the bank, but three calls have it"
    assert ("term", "王府井") not in daily, "what one customer said stays sealed"
    assert store.insights.answers(ALL, WINDOW) == {("a1", "greet"): (2, 2), ("a2", "greet"): (2, 0), ("a3", "greet"): (1, 0)}
    assert store.insights.leads(ALL, WINDOW) == {"loan": 2}
    assert store.insights.facets(ALL, WINDOW) == {"product": [("card", 3), ("loan", 3)], "team_id": [("t2", 3), ("t1", 2)]}


async def test_filters_and_scopes_narrow_every_figure(store: Store) -> None:
    await filled(store)
    insights = store.insights

    def calls(scope: Scope, chosen: InsightFilter) -> int:
        return sum(one.calls for one in insights.totals(scope, chosen).values())

    assert calls(ALL, replace(WINDOW, team="t2")) == 3
    assert calls(ALL, replace(WINDOW, product="loan")) == 3
    assert calls(ALL, replace(WINDOW, channel="outbound")) == 1
    assert calls(ALL, replace(WINDOW, last=DAY)) == 3
    assert calls(LEAD, WINDOW) == 2
    assert calls(LEAD, replace(WINDOW, team="t2")) == 0
    assert calls(AGENT, WINDOW) == 2
    assert calls(Scope(org_id=ORG, user_id=UserId("e"), roles=frozenset({"editor"})), WINDOW) == 0
    assert set(insights.answers(LEAD, WINDOW)) == {("a1", "greet")}
    assert ("topic", "rate") not in insights.daily(LEAD, WINDOW)
    assert ("term", "利率") not in insights.daily(LEAD, WINDOW)
    assert [call.call_id for call in insights.newest(ALL, WINDOW, 10, about=("cluster", "g2"))] == ["c6", "c5", "c4"]
    assert [call.call_id for call in insights.newest(ALL, WINDOW, 10, about=("lead", "loan"))] == ["c4", "c3"]
    assert [call.call_id for call in insights.newest(LEAD, WINDOW, 10)] == ["c2", "c1"]
    assert [call.call_id for call in insights.newest(ALL, WINDOW, 1, agent_id="a2")] == ["c4"]


async def test_saving_again_replaces_and_an_erased_call_is_in_no_figure(store: Store) -> None:
    calls = await filled(store)
    store.insights.save(ORG, [replace(calls[0], topic="loss", digest=digest("王府井"))])
    store.insights.roll(ORG, DAY)
    assert store.insights.daily(ALL, WINDOW)["topic", "loss"] == {"2026-03-01": Counted(calls=2, upset=1)}
    assert store.insights.daily(ALL, WINDOW)["term", "年费"] == {"2026-03-01": Counted(calls=2, upset=0)}
    store.calls.erase_call(ORG, CallId("c2"), "tester")
    store.insights.roll(ORG, DAY)
    assert ("topic", "fee") not in store.insights.daily(ALL, WINDOW)
    assert store.insights.daily(ALL, WINDOW)["term", "年费"] == {"2026-03-01": Counted(calls=1, upset=0)}
    assert store.insights.save(ORG, [calls[1]]) == set(), "an erased call gets no digest any more"
    with store.database.read() as connection:
        rows = connection.execute(sa.select(t.call_digests)).mappings().all()
    assert "王府井" not in "".join(str(row) for row in rows)


async def test_clusters_are_kept_in_their_order_and_calls_move_between_them(store: Store) -> None:
    await filled(store)
    assert store.insights.clusters(ORG) == []
    assert store.insights.clustered_at(ORG) is None
    mean = StoredCluster(cluster=Cluster(cluster_id="", language="zh", terms=(), size=6), middle=b"\0" * 8)
    made = [mean] + [
        StoredCluster(cluster=Cluster(cluster_id=f"zh-{n}", language="zh", terms=("年费", "扣"), size=5), middle=bytes([n]) * 8)
        for n in (3, 1, 2)
    ]
    store.insights.save_clusters(ORG, "zh", made)
    store.insights.save_clusters(ORG, "zh", made[:3])
    assert store.insights.clusters(ORG) == made[:3]
    assert store.insights.clustered_at(ORG) is not None
    store.insights.regroup(ORG, {CallId("c1"): "zh-3", CallId("c2"): "zh-3", CallId("c3"): ""})
    counts = Counter(call.cluster_id for call in store.insights.every(ORG, DAY, DAY))
    assert counts == {"zh-3": 2, "": 1}
    assert store.insights.ids(ORG, "zh", DAY, DAY) == ["c3", "c2", "c1"]
    assert [call.call_id for call in store.insights.some(ORG, [CallId("c1"), CallId("c5")])] == ["c5", "c1"]
    assert store.insights.days_of(ORG, [CallId("c1"), CallId("c9")]) == {DAY}
