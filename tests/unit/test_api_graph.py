"""The knowledge graph's API: who reads and decides, filters, decisions, sources, and what a search adds."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from copilot.api import graph, kb, problems
from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article
from tests.fakes.knowledge_site import KnowledgeSite
from tests.fakes.stores import AT

pytestmark = pytest.mark.anyio
ROLES = {"ed": "editor", "ops": "ops_admin", "agent": "agent", "aud": "auditor", "qi": "inspector"}
BODY = "| 卡片 | 年费 |\n|---|---|\n| 普通卡 | 每年80元 |\n| 金卡 | 每年160元 |\n\n钻石卡的年费另行约定，为每年3600元整。\n"


class Site(KnowledgeSite):
    def __init__(self, tmp_path) -> None:
        super().__init__(tmp_path, {name: (role, name) for name, role in ROLES.items()})
        app = FastAPI()
        problems.install(app)
        app.include_router(kb.router(self.context))
        app.include_router(graph.router(self.context))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    async def ask(self, who: str, method: str, path: str, status: int = 200, **options):
        token = self.store.signin.start_session(self.users[who]).token
        answer = await self.http.request(method, f"/kb{path}", headers={"Authorization": f"Bearer {token}"}, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def change(self, status: int = 201, who: str = "ed", **body):
        return await self.ask(who, "POST", "/graph/changes", status, json=body)

    def publish(self, body: str = BODY, **more) -> None:
        made = Article(
            article_id=ArticleId("fee"), version=1, language="zh", domain="cards", title="普通卡、金卡年费多少", body=body,
            answer="普通卡年费每年80元，金卡160元。", products=("credit_card",), **more,
        )  # fmt: skip
        self.articles.upsert([made])
        self.refresh()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.publish()
    yield site
    site.store.close()


async def test_only_editors_decide_and_only_those_concerned_read(site):
    for who, status in (("agent", 403), ("qi", 403), ("aud", 200), ("ed", 200), ("ops", 200)):
        await site.ask(who, "GET", "/graph", status)
    for who in ("agent", "qi", "aud"):
        await site.change(403, who, kind="name", target="gold_card", name="朝霞卡")
        await site.ask(who, "POST", "/graph/changes/take-back", 403, json={"kind": "name", "target": "gold_card"})
    assert (await site.http.get("/kb/graph")).status_code == 401


async def test_facts_by_product_and_words_with_their_places(site):
    found = await site.ask("ed", "GET", "/graph")
    assert found["total"] == len(found["facts"]) == sum(found["states"].values())
    for fact in found["facts"]:
        assert BODY[fact["source"]["start"] : fact["source"]["end"]] == fact["source"]["quote"]
    gold = await site.ask("ed", "GET", "/graph", params={"product": "gold_card"})
    assert [fact["value"] for fact in gold["facts"]] == ["每年160元"]
    cards = await site.ask("ed", "GET", "/graph", params={"product": "credit_card", "relation": "fee", "q": "每年160"})
    assert [fact["subject"] for fact in cards["facts"]] == ["gold_card"]
    assert {one["entity_id"] for one in found["entities"]} >= {"credit_card", "gold_card", "standard_card"}
    page = await site.ask("ed", "GET", "/graph", params={"limit": 1, "offset": 1})
    assert (len(page["facts"]), page["total"]) == (1, found["total"])
    empty = await site.ask("ed", "GET", "/graph", params={"language": "en"})
    assert (empty["facts"], empty["entities"]) == ([], [])


async def test_decisions_are_kept_and_taken_back(site):
    gold = (await site.ask("ed", "GET", "/graph", params={"product": "gold_card"}))["facts"][0]
    await site.change(kind="verdict", target=gold["key"], state="rejected")
    rejected = await site.ask("ed", "GET", "/graph", params={"state": "rejected"})
    assert [fact["key"] for fact in rejected["facts"]] == [gold["key"]]
    site.publish(BODY.replace("80元", "90元"))
    assert (await site.ask("ed", "GET", "/graph", params={"state": "rejected"}))["total"] == 1
    await site.ask("ed", "POST", "/graph/changes/take-back", 200, json={"kind": "verdict", "target": gold["key"]})
    assert (await site.ask("ed", "GET", "/graph", params={"state": "rejected"}))["total"] == 0
    await site.ask("ed", "POST", "/graph/changes/take-back", 404, json={"kind": "verdict", "target": gold["key"]})
    await site.change(404, kind="verdict", target="nothing", state="confirmed")
    await site.change(422, kind="verdict", target=gold["key"], state="perhaps")
    await site.change(kind="name", target="gold_card", name="朝霞卡")
    await site.change(404, kind="merge", target="gold_card", into="no-such")
    await site.change(kind="merge", target="standard_card", into="gold_card")
    found = await site.ask("ed", "GET", "/graph")
    merged = next(one for one in found["entities"] if one["entity_id"] == "gold_card")
    assert (merged["name"], merged["merged"]) == ("朝霞卡", ["standard_card"])


async def test_a_fact_is_added_only_with_words_of_an_article_in_force(site):
    wanted = {"kind": "fact", "subject": "diamond_card", "relation": "fee", "value": "每年3600元", "topic": "年费", "article_id": "fee"}
    await site.change(404, **{**wanted, "article_id": "no-such", "quote": "为每年3600元整"})
    await site.change(422, **wanted, quote="每年一万元")
    await site.change(422, **wanted)
    made = await site.change(**wanted, quote="为每年3600元整")
    added = await site.ask("ed", "GET", "/graph", params={"state": "added"})
    assert [fact["key"] for fact in added["facts"]] == [made["target"]]
    assert added["facts"][0]["source"]["version"] == 1
    site.publish(BODY.replace("钻石卡的年费另行约定，为每年3600元整。", ""))
    assert (await site.ask("ed", "GET", "/graph", params={"state": "lost"}))["total"] == 1


async def test_a_search_says_which_product_may_be_meant_or_compares_and_nothing_of_what_ended(site):
    asked = await site.ask("agent", "GET", "/search", params={"q": "年费多少钱"})
    assert asked["guidance"]["kind"] == "ask"
    assert {choice["name"] for choice in asked["guidance"]["choices"]} == {"普通卡", "金卡"}
    compared = await site.ask("agent", "GET", "/search", params={"q": "普通卡和金卡年费差多少"})
    assert compared["guidance"]["kind"] == "compare"
    assert all(fact["source"]["article_id"] == "fee" for choice in compared["guidance"]["choices"] for fact in choice["facts"])
    assert (await site.ask("agent", "GET", "/search", params={"q": "金卡年费多少钱"}))["guidance"] is None
    site.publish(valid_to=AT.date())
    site.clock.advance(86_400 * 2)
    site.refresh()
    assert (await site.ask("agent", "GET", "/search", params={"q": "普通卡和金卡年费差多少"}))["guidance"] is None
