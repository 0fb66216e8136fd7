"""The graph beside the index of an organisation: it follows articles and decisions by itself, and answers from memory."""

from __future__ import annotations

import asyncio

import pytest

from copilot.assembly.graph import GraphDesk
from copilot.assembly.organisation import Organisation
from copilot.domain.graph import GraphEdit
from copilot.domain.ids import ArticleId, UserId
from copilot.domain.knowledge import Article
from copilot.settings import Settings
from copilot.telemetry.clock import ManualClock
from tests.fakes.gram_embedder import GramEmbedder
from tests.fakes.stores import AT, ORG, make_store, sqlite_url

pytestmark = pytest.mark.anyio
BODY = "| 卡片 | 年费 |\n|---|---|\n| 普通卡 | 每年80元 |\n| 金卡 | 每年160元 |\n"


def fees(body: str) -> Article:
    return Article(
        article_id=ArticleId("fee"),
        version=1,
        language="zh",
        domain="cards",
        title="普通卡、金卡年费多少",
        body=body,
        products=("credit_card",),
    )


async def until(check) -> None:
    async with asyncio.timeout(120):
        while not check():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.05)


async def test_an_organisation_notices_decisions_and_articles(tmp_path):
    store = make_store(sqlite_url(tmp_path), tmp_path, ManualClock(AT))
    store.people.ensure_org(ORG)
    editor = store.people.create_user(ORG, "ed", "编辑", ["editor"], user_id=UserId("ed"))
    articles = store.articles(ORG)
    articles.upsert([fees(BODY)])
    desk = GraphDesk(articles, store.graph_edits(ORG))
    organisation = Organisation(Settings(data_dir=tmp_path / "data"), ORG, articles, GramEmbedder(), desk)

    def values() -> set[str]:
        guidance = desk.guide("年费多少钱", "zh", {"fee"})
        return {fact.value for choice in guidance.choices for fact in choice.facts} if guidance is not None else set()

    async def changed() -> None:
        return None

    task = asyncio.create_task(organisation.keep_fresh(changed))
    try:
        await until(lambda: values() == {"每年80元", "每年160元"})
        gold = next(fact for fact in desk.graph("zh").facts if fact.subject == "gold_card")
        desk.put(GraphEdit(kind="verdict", target=gold.key, language="zh", body={"state": "rejected"}), editor)
        await until(lambda: values() == set())
        articles.upsert([fees(BODY.replace("160", "190"))])
        await until(lambda: values() == {"每年80元", "每年190元"})
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        organisation.close()
        store.close()
