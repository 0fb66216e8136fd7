"""The page of the knowledge graph in a real browser, over a real store: list, picture, decisions by keyboard, adding, naming, states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article
from tests.browser.knowledge_pages import SLOW, pages, served
from tests.fakes.knowledge_site import KnowledgeSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]
BODY = """| 卡片 | 年费 | 减免 |
|---|---|---|
| 普通卡 | 每年80元 | 首年免，当年消费满6笔免次年 |
| 金卡 | 每年160元 | 首年免 |

钻石卡的收费另行约定，须与客户经理面谈，每年不少于3600元。
"""
LOSS = "本人带身份证到任意网点办理，当场拿卡，补卡工本费每张10元。\n\n电话、手机银行也可以挂失，立即生效，不收费。"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeSite]:
    site = KnowledgeSite(
        tmp_path_factory.mktemp("graph"), {"ed": ("editor", "周知识"), "aud": ("auditor", "审计员"), "agent": ("agent", "坐席甲")}
    )
    made = [("fee", "普通卡、金卡年费多少", BODY, "credit_card"), ("loss", "借记卡丢了怎么补", LOSS, "debit_card")]
    site.articles.upsert(
        [
            Article(
                article_id=ArticleId(name), version=1, language="zh", domain="cards", title=title, body=body, answer="见正文。",
                products=(product,), source="收费公示", owner="卡组",
            )
            for name, title, body, product in made
        ]
    )  # fmt: skip
    site.refresh()
    yield site
    site.store.close()


@pytest.fixture(scope="module")
def base(site: KnowledgeSite) -> Iterator[str]:
    with served(site) as address:
        yield address


@pytest.fixture
def open_page(chromium: Browser, site: KnowledgeSite, base: str, console_errors: list[str]) -> Iterator[Callable[..., Page]]:
    with pages(chromium, site, base, console_errors) as go:
        yield go


def test_facts_with_sources_are_filtered_and_decided_by_keyboard(
    open_page, site: KnowledgeSite, shoot: Callable[[Page, str], Path], console_errors
):
    page = open_page("ed", "/kb/graph")
    facts = page.get_by_test_id("kg-fact")
    expect(facts.first).to_be_visible(timeout=SLOW)
    shoot(page, "graph-1-list")
    page.get_by_test_id("kg-product").select_option("gold_card")
    expect(facts).to_have_count(2, timeout=SLOW)
    expect(facts.first.get_by_test_id("kg-source")).to_contain_text("| 金卡 | 每年160元 |")
    page.get_by_test_id("kg-relation").select_option("fee")
    page.get_by_test_id("kg-words").fill("减免")
    expect(facts).to_have_count(1, timeout=SLOW)
    page.get_by_test_id("kg-words").blur()
    page.keyboard.press("j")
    page.keyboard.press("y")
    expect(facts.get_by_test_id("kg-fact-state")).to_contain_text("已确认", timeout=SLOW)
    page.keyboard.press("x")
    expect(facts.get_by_test_id("kg-fact-state")).to_contain_text("已否定", timeout=SLOW)
    shoot(page, "graph-2-rejected")
    page.keyboard.press("x")
    expect(facts.get_by_test_id("kg-fact-state")).to_contain_text("机器提取", timeout=SLOW)
    page.get_by_test_id("kg-words").fill("没有这样的话")
    expect(page.get_by_test_id("kg-empty")).to_be_visible(timeout=SLOW)
    assert console_errors == []


def test_the_picture_of_products_and_of_one_of_them(open_page, shoot, console_errors):
    page = open_page("aud", "/kb/graph")
    expect(page.get_by_test_id("kg-fact").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("kg-confirm")).to_have_count(0)
    page.get_by_test_id("kg-view-picture").click()
    node = page.get_by_test_id("kg-product-node").filter(has_text="信用卡").first
    expect(node).to_be_visible(timeout=SLOW)
    shoot(page, "graph-3-products")
    node.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("kg-picture")).to_contain_text("每年160元", timeout=SLOW)
    shoot(page, "graph-4-picture")
    assert console_errors == []


def test_a_fact_is_added_with_its_words_and_a_product_is_renamed(open_page, site: KnowledgeSite, shoot, console_errors):
    page = open_page("ed", "/kb/graph")
    expect(page.get_by_test_id("kg-fact").first).to_be_visible(timeout=SLOW)
    page.get_by_test_id("kg-add").click()
    page.get_by_test_id("kg-add-product").select_option("gold_card")
    for name, text in (("value", "每年不少于3600元"), ("topic", "面谈"), ("article_id", "fee"), ("quote", "这句话条目里没有")):
        page.get_by_test_id(f"kg-{name}").fill(text)
    page.get_by_test_id("kg-add-save").click()
    expect(page.get_by_test_id("kg-add-dialog").get_by_test_id("error")).to_be_visible(timeout=SLOW)
    shoot(page, "graph-5-add-refused")
    page.get_by_test_id("kg-quote").fill("每年不少于3600元")
    page.get_by_test_id("kg-add-save").click()
    expect(page.get_by_test_id("kg-add-dialog")).to_have_count(0, timeout=SLOW)
    page.get_by_test_id("kg-product").select_option("gold_card")
    page.get_by_test_id("kg-edit-product").click()
    page.get_by_test_id("kg-name").fill("朝霞金卡")
    page.get_by_test_id("kg-name-save").click()
    expect(page.get_by_test_id("kg-fact").first).to_contain_text("朝霞金卡", timeout=SLOW)
    expect(page.get_by_test_id("kg-fact").filter(has_text="人工添加")).to_have_count(1)
    assert console_errors == []


def test_english_dark_narrow_and_without_the_right(open_page, shoot, console_errors):
    dark = open_page("ed", "/kb/graph", language="en", theme="dark")
    expect(dark.get_by_test_id("kg-empty")).to_be_visible(timeout=SLOW)
    dark.get_by_test_id("kg-language").select_option("zh")
    expect(dark.get_by_test_id("kg-fact").first).to_be_visible(timeout=SLOW)
    shoot(dark, "graph-6-list-en-dark")
    narrow = open_page("ed", "/kb/graph", width=320)
    expect(narrow.get_by_test_id("kg-fact").first).to_be_visible(timeout=SLOW)
    shoot(narrow, "graph-7-narrow")
    assert narrow.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out at 320 px"
    agent = open_page("agent", "/kb/graph")
    expect(agent.get_by_test_id("error")).to_be_visible(timeout=SLOW)
    search = open_page("ed", "/kb/search")
    search.get_by_test_id("kb-query").fill("年费多少钱")
    expect(search.get_by_test_id("guidance")).to_have_attribute("data-kind", "ask", timeout=SLOW)
    shoot(search, "graph-8-search-asks")
    assert console_errors == []
