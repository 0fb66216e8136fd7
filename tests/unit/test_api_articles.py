"""The knowledge console's API: who may write and who may publish, conflicts with both texts, the two gates, versions, gaps and use."""

from __future__ import annotations

from datetime import date

import httpx
import pytest
from fastapi import FastAPI

from copilot.api import articles, kb, problems
from copilot.domain.events import CallEnded, SuggestionFeedback, SuggestionOffered
from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article, Citation
from tests.fakes.knowledge_site import KnowledgeSite
from tests.fakes.stores import CALL, ORG, said, scope, started

pytestmark = pytest.mark.anyio
ROLES = {"ed": "editor", "ed2": "editor", "ops": "ops_admin", "agent": "agent", "aud": "auditor", "qi": "inspector"}
TEXT = {
    "title": "信用卡年费怎么收", "questions": ["信用卡年费多少钱"], "answer": "普卡年费每年100元，刷满5笔免次年年费。",
    "source": "信用卡收费公示", "owner": "卡组", "products": ["credit_card"],
}  # fmt: skip


class Site(KnowledgeSite):
    def __init__(self, tmp_path) -> None:
        super().__init__(tmp_path, {name: (role, f"{name}氏") for name, role in ROLES.items()})
        app = FastAPI()
        problems.install(app)
        app.include_router(kb.router(self.context))
        app.include_router(articles.router(self.context))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    def published(self, *found: Article) -> None:
        self.articles.upsert(found)
        self.refresh()

    async def ask(self, who: str, method: str, path: str, **options) -> httpx.Response:
        token = self.store.signin.start_session(self.users[who]).token
        return await self.http.request(method, f"/kb{path}", headers={"Authorization": f"Bearer {token}"}, **options)

    async def post(self, who: str, path: str, status: int = 200, **body):
        answer = await self.ask(who, "POST", path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, who: str, path: str, status: int = 200, **params):
        answer = await self.ask(who, "GET", path, params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def in_review(self, article_id: str = "fee", **more) -> int:
        made = await self.post("ed", "/articles", 201, article_id=article_id, **{**TEXT, **more})
        sent = await self.post("ed", f"/articles/{article_id}/submit", revision=made["version"]["revision"])
        return int(sent["version"]["revision"])


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.store.close()


def existing(answer: str, title: str = "信用卡年费怎么收", name: str = "old-fee") -> Article:
    return Article(
        article_id=ArticleId(name), version=1, language="zh", domain="cards", title=title, body="", answer=answer,
        questions=(title.replace("怎么收", "多少钱"),), source="旧手册",
    )  # fmt: skip


async def test_only_editors_write_and_only_those_concerned_read(site):
    for who, status in (("agent", 403), ("qi", 403), ("aud", 200), ("ed", 200), ("ops", 200)):
        await site.get(who, "/articles", status)
        await site.get(who, "/gaps", status)
    for who in ("agent", "qi", "aud"):
        await site.post(who, "/articles", 403, **TEXT)
        await site.post(who, "/preview", 403, **TEXT)
        for step in ("submit", "withdraw", "reject", "publish", "discard"):
            await site.post(who, f"/articles/fee/{step}", 403, revision=1)
        await site.post(who, "/articles/fee/retire", 403, reason="产品下线")
    await site.get("ed", "/articles/none/versions", 404)
    await site.post("ed", "/articles", 422, article_id="Bad Id", **TEXT)


async def test_from_draft_to_search_and_out_again(site):
    revision = await site.in_review()
    assert (await site.get("ed", "/articles", state="in_review"))["counts"] == {"in_review": 1}
    await site.post("ed", "/articles/fee/publish", 403, revision=revision)
    done = await site.post("ed2", "/articles/fee/publish", revision=revision, reason="与公示一致")
    assert done["version"]["article"]["state"] == "published"
    assert done["names"]["ed2"] == "ed2氏"
    site.refresh()
    assert [hit["article"]["article_id"] for hit in (await site.get("agent", "/search", q="信用卡年费多少钱"))["hits"]] == ["fee"]
    assert await site.post("ops", "/articles/fee/retire", reason="产品下线") == {"retired": 1}
    assert (await site.get("agent", "/search", q="信用卡年费多少钱"))["hits"] == [], "though the index has it still"
    (line,) = (await site.get("ed", "/articles"))["items"]
    assert (line["standing"], line["open"]) == ("retired", "")
    lines = [
        (entry.actor, entry.action) for entry in site.store.audit.entries(scope("x", "auditor")) if entry.action.startswith("article.")
    ]
    assert lines == [("ops", "article.retire"), ("ed2", "article.publish"), ("ed", "article.submit"), ("ed", "article.create")]


async def test_who_saves_second_gets_the_text_that_is_there(site):
    made = await site.post("ed", "/articles", 201, article_id="fee", **TEXT)
    revision = made["version"]["revision"]
    await site.post("ed2", "/articles/fee/draft", revision=revision, **{**TEXT, "answer": "每年200元。"})
    clash = await site.post("ed", "/articles/fee/draft", 409, revision=revision, **{**TEXT, "answer": "每年300元。"})
    assert (clash["stored"]["article"]["answer"], clash["stored"]["revision"]) == ("每年200元。", revision + 1)
    assert clash["names"]["ed2"] == "ed2氏"
    saved = await site.post("ed", "/articles/fee/draft", revision=revision + 1, **{**TEXT, "answer": "每年300元。"})
    assert saved["version"]["authors"] == ["ed", "ed2"]


async def test_what_must_be_mended_stops_at_the_first_gate_with_its_place(site):
    bad = {**TEXT, "answer": "请拨打13812345678，本产品保本。", "source": "", "valid_from": "2026-05-01", "valid_to": "2026-04-01"}
    made = await site.post("ed", "/articles", 201, article_id="fee", **bad)
    refused = await site.post("ed", "/articles/fee/submit", 422, revision=made["version"]["revision"])
    found = {one["code"]: one for one in refused["findings"]}
    assert set(found) == {"pii", "forbidden", "no_source", "dates_reversed"}
    assert found["pii"]["quote"] == "13812345678"
    assert bad["answer"][found["pii"]["start"] : found["pii"]["end"]] == "13812345678"
    assert (found["forbidden"]["quote"], found["forbidden"]["facts"]["advice"]) == ("保本", "不得承诺保本。")
    assert (await site.get("ed", "/articles", state="draft"))["total"] == 1


async def test_a_contradiction_must_be_confirmed_by_the_reviewer_and_that_is_audited(site):
    site.published(existing("普卡年费每年200元，刷满5笔免次年年费。"))
    revision = await site.in_review()
    refused = await site.post("ed2", "/articles/fee/publish", 422, revision=revision)
    (finding,) = refused["findings"]
    assert (finding["code"], finding["quote"], finding["facts"]["theirs"], finding["facts"]["article_id"]) == (
        "contradiction", "100元", "200元", "old-fee",
    )  # fmt: skip
    assert not finding["blocks"]
    await site.post("ed2", "/articles/fee/publish", 422, revision=revision, confirmed=["something else"])
    await site.post("ed2", "/articles/fee/publish", revision=revision, confirmed=[finding["key"]])
    entry = next(entry for entry in site.store.audit.entries(scope("x", "auditor")) if entry.action == "article.publish")
    assert entry.detail == "confirmed contradiction answer"


async def test_a_double_is_found_and_another_need_is_not(site):
    site.published(
        existing("每年100元年费，一年刷满5笔就免次年的。"),
        existing("借记卡年费每年10元。", "借记卡年费怎么收", "debit-fee"),
    )
    shown = await site.post("ed", "/preview", **TEXT)
    assert [(one["code"], one["facts"]["article_id"]) for one in shown["findings"]] == [("duplicate", "old-fee")]
    assert [passage["kind"] for passage in shown["passages"]] == ["question", "question", "answer"]


async def test_versions_and_their_differences(site):
    site.published(existing("每年100元。", name="fee"))
    saved = await site.post("ed", "/articles/fee/draft", revision=0, **{**TEXT, "answer": "每年120元。", "title": existing("").title})
    assert saved["version"]["article"]["version"] == 2
    listed = (await site.get("aud", "/articles/fee/versions"))["versions"]
    assert [(one["article"]["version"], one["standing"]) for one in listed] == [(2, "draft"), (1, "in_force")]
    shown = await site.get("aud", "/articles/fee/diff")
    assert (shown["old"], shown["new"]) == (1, 2)
    answer = next(one for one in shown["fields"] if one["field"] == "answer")
    assert [(piece["op"], piece["text"]) for piece in answer["pieces"]] == [
        ("same", "每年"), ("removed", "100"), ("added", "120"), ("same", "元。"),
    ]  # fmt: skip
    await site.get("aud", "/articles/fee/diff", 404, old=7)


async def test_rejection_needs_a_reason_and_brings_the_draft_back(site):
    revision = await site.in_review()
    await site.post("ed2", "/articles/fee/reject", 422, revision=revision, reason=" ")
    back = await site.post("ed2", "/articles/fee/reject", revision=revision, reason="费用与公示不一致")
    assert (back["version"]["article"]["state"], back["version"]["reason"]) == ("draft", "费用与公示不一致")


async def test_use_and_gaps_come_from_ended_calls_and_go_with_an_erased_one(site):
    store = site.store
    citation = Citation(article_id=ArticleId("fee"), version=1, passage_id="fee:zh:1:a", title="信用卡年费", section="", quote="年费")  # type: ignore[arg-type]
    opened = await store.journal.open(ORG, CALL, "node")
    await store.journal.append(
        ORG,
        opened,
        [
            started(),
            said("信用卡年费怎么收", 1),
            SuggestionOffered(
                suggestion_id="s1",
                kind="faq",
                confidence=0.9,
                trigger="customer-1",
                at_ms=1,
                title="信用卡年费",
                text="普卡年费每年100元，刷满5笔免次年年费。",
                citations=(citation,),
            ),
            said("数字人民币钱包怎么开", 2),
            SuggestionOffered(suggestion_id="s2", kind="nothing", confidence=0, trigger="customer-2", at_ms=2, intent="wallet"),
            SuggestionFeedback(suggestion_id="s1", action="used", user_id="agent"),
            CallEnded(reason="hangup", duration_ms=3000),
        ],
    )
    use = await site.get("ed", "/use", days=30)
    assert (use["calls"], use["capped"]) == (1, False)
    assert [(one["article_id"], one["counts"]) for one in use["articles"]] == [("fee", {"offered": 1, "used": 1})]
    gaps = await site.get("ed", "/gaps", days=30)
    assert [(one["count"], one["intent"], one["examples"]) for one in gaps["gaps"]] == [(1, "wallet", ["数字人民币钱包怎么开"])]
    store.calls.erase_call(ORG, CALL, "ops")
    assert (await site.get("ed", "/gaps", days=30))["gaps"] == []
    assert (await site.get("ed", "/use", days=30))["articles"] == []


async def test_a_day_is_read_as_a_day(site):
    made = await site.post("ed", "/articles", 201, article_id="fee", valid_from="2026-05-01", **TEXT)
    assert date.fromisoformat(made["version"]["article"]["valid_from"]) == date(2026, 5, 1)
    await site.post("ed", "/articles", 422, valid_from="yesterday", **TEXT)
