"""The knowledge console in a real browser, over a real store and index: write, review, publish, conflicts, gaps, use, both languages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from copilot.domain.events import CallEnded, SuggestionFeedback, SuggestionOffered
from copilot.domain.ids import ArticleId, CallId, PassageId
from copilot.domain.knowledge import Article, Citation
from tests.browser.knowledge_pages import SLOW, pages, served
from tests.fakes.knowledge_site import KnowledgeSite
from tests.fakes.stores import AT, ORG, said, started

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]
PEOPLE = {"ed": ("editor", "周知识"), "ed2": ("editor", "吴审核"), "agent": ("agent", "坐席甲")}


def article(name: str, title: str, answer: str, **more) -> Article:
    return Article(
        article_id=ArticleId(name), version=1, language="zh", domain="cards", title=title, body="", answer=answer,
        questions=(title.replace("怎么收", "多少钱"),), source="收费公示", owner="卡组", products=("credit_card",), **more,
    )  # fmt: skip


async def calls(site: KnowledgeSite) -> None:
    """Three ended calls: an answer used, one rejected, and a question without an answer."""
    citation = Citation(
        article_id=ArticleId("old-fee"),
        version=1,
        passage_id=PassageId("old-fee:zh:1:a"),
        title="信用卡年费怎么收",
        section="",
        quote="年费",
    )
    for number in range(3):
        site.clock.advance(86_400)
        opened = await site.store.journal.open(ORG, CallId(f"c{number}"), "node")
        card = SuggestionOffered(
            suggestion_id="s1", kind="faq", confidence=0.9, trigger="customer-1", at_ms=1, title="信用卡年费怎么收",
            text="普卡年费每年200元。", citations=(citation,),
        )  # fmt: skip
        nothing = SuggestionOffered(suggestion_id="s2", kind="nothing", confidence=0, trigger="customer-2", at_ms=2)
        action = SuggestionFeedback(suggestion_id="s1", action="rejected" if number else "used", user_id="agent", reason="outdated")
        events = [started(), said("信用卡年费怎么收", 1), card, said("数字人民币钱包怎么开通", 2), nothing, action]
        await site.store.journal.append(ORG, opened, [*events, CallEnded(reason="hangup", duration_ms=3000)])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeSite]:
    site = KnowledgeSite(tmp_path_factory.mktemp("kb"), PEOPLE)
    site.articles.upsert(
        [
            article("old-fee", "信用卡年费怎么收", "普卡年费每年200元，刷满5笔免次年年费。", valid_to=AT.date() + timedelta(days=20)),
            article("loss", "银行卡挂失怎么办", "请立即拨打客服热线挂失，挂失即时生效。"),
        ]
    )
    with ThreadPoolExecutor(1) as pool:  # the browser's own loop runs in this thread
        pool.submit(lambda: asyncio.run(calls(site))).result()
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


def test_written_reviewed_by_another_and_found(open_page, site: KnowledgeSite, shoot: Callable[[Page, str], Path], console_errors):
    page = open_page("ed", "/kb/new")
    page.get_by_test_id("kb-title").fill("信用卡年费怎么收取")
    page.get_by_test_id("kb-questions").fill("信用卡年费多少钱")
    page.get_by_test_id("kb-answer").fill("普卡年费每年100元，本产品保本。")
    finding = page.locator('[data-testid="kb-finding"][data-code="forbidden"]')
    expect(finding).to_be_visible(timeout=SLOW)
    expect(page.locator('[data-testid="kb-finding"][data-code="contradiction"]')).to_contain_text("200元")
    expect(page.get_by_test_id("kb-save-state")).to_have_attribute("data-state", "saved", timeout=SLOW)
    shoot(page, "kb-1-editor-findings")
    page.get_by_test_id("kb-answer").fill("普卡年费每年100元，刷满5笔免次年年费。")
    page.get_by_test_id("kb-source").fill("信用卡收费公示")
    page.keyboard.press("Control+s")
    expect(page.get_by_test_id("kb-save-state")).to_have_attribute("data-state", "saved", timeout=SLOW)
    expect(finding).to_have_count(0)
    page.get_by_test_id("kb-submit").click()
    expect(page.get_by_test_id("kb-withdraw")).to_be_visible(timeout=SLOW)
    shoot(page, "kb-2-editor-in-review")

    own = open_page("ed", "/kb/review")
    expect(own.get_by_test_id("kb-own")).to_be_visible(timeout=SLOW)
    review = open_page("ed2", "/kb/review")
    expect(review.get_by_test_id("kb-diff")).to_be_visible(timeout=SLOW)
    publish = review.get_by_test_id("kb-publish")
    expect(publish).to_be_disabled()
    shoot(review, "kb-3-review")
    for box in review.get_by_test_id("kb-confirm").all():
        box.check()
    publish.click()
    expect(review.get_by_test_id("kb-review-empty")).to_be_visible(timeout=SLOW)
    site.refresh()
    agent = open_page("ed", "/kb/search")
    agent.get_by_test_id("kb-query").fill("信用卡年费多少钱")
    expect(agent.get_by_test_id("kb-found").first).to_be_visible(timeout=SLOW)
    shoot(agent, "kb-4-search")
    assert console_errors == []


def test_two_who_write_at_once_are_shown_both_texts(open_page, site: KnowledgeSite, shoot, console_errors):
    first, second = open_page("ed", "/kb/articles/zh/loss"), open_page("ed2", "/kb/articles/zh/loss")
    for page in (first, second):
        expect(page.get_by_test_id("kb-answer")).to_have_value("请立即拨打客服热线挂失，挂失即时生效。", timeout=SLOW)
    first.get_by_test_id("kb-answer").fill("请拨打客服热线挂失，免费。")
    first.keyboard.press("Control+s")
    expect(first.get_by_test_id("kb-save-state")).to_have_attribute("data-state", "saved", timeout=SLOW)
    second.get_by_test_id("kb-answer").fill("请在手机银行挂失，免费。")
    second.keyboard.press("Control+s")
    dialog = second.get_by_test_id("kb-conflict")
    expect(dialog).to_contain_text("请拨打客服热线挂失，免费。", timeout=SLOW)
    shoot(second, "kb-5-conflict")
    second.get_by_test_id("kb-keep-mine").click()
    expect(second.get_by_test_id("kb-save-state")).to_have_attribute("data-state", "saved", timeout=SLOW)
    assert site.store.article_desk(ORG).open_version("loss", "zh").article.answer == "请在手机银行挂失，免费。"
    second.get_by_test_id("kb-discard").click()
    second.get_by_test_id("kb-ask-done").click()
    expect(second.get_by_test_id("kb-versions")).to_contain_text("v1", timeout=SLOW)
    assert console_errors == []


def test_the_list_by_keyboard_in_both_languages_and_themes(open_page, shoot, console_errors):
    page = open_page("ed", "/kb")
    rows = page.get_by_test_id("kb-row")
    expect(rows.first).to_be_visible(timeout=SLOW)
    shoot(page, "kb-6-list")
    page.get_by_test_id("kb-filter-text").fill("挂失")
    expect(rows).to_have_count(1, timeout=SLOW)
    page.get_by_test_id("kb-filter-text").blur()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("kb-answer")).to_be_visible(timeout=SLOW)
    dark = open_page("ed", "/kb", language="en", theme="dark")
    expect(dark.get_by_test_id("kb-row").first).to_be_visible(timeout=SLOW)
    shoot(dark, "kb-7-list-en-dark")
    dark.goto(dark.url.replace("/kb", "/kb/articles/zh/old-fee"))
    expect(dark.get_by_test_id("kb-preview")).to_contain_text("200元", timeout=SLOW)
    shoot(dark, "kb-8-editor-en-dark")
    narrow = open_page("ed", "/kb/articles/zh/old-fee", width=390)
    expect(narrow.get_by_test_id("kb-title")).to_be_visible(timeout=SLOW)
    assert narrow.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out at 390 px"
    assert console_errors == []


def test_a_gap_becomes_an_article_and_use_is_a_chart_and_a_table(open_page, site: KnowledgeSite, shoot, console_errors):
    page = open_page("ed", "/kb/gaps")
    gap = page.get_by_test_id("kb-gap").filter(has_text="数字人民币")
    expect(gap).to_contain_text("3", timeout=SLOW)
    shoot(page, "kb-9-gaps")
    gap.get_by_test_id("kb-write").click()
    expect(page.get_by_test_id("kb-title")).to_have_value("数字人民币钱包怎么开通", timeout=SLOW)
    use = open_page("ed", "/kb/use")
    expect(use.get_by_test_id("kb-use-table")).to_contain_text("信用卡年费", timeout=SLOW)
    shoot(use, "kb-10-use")
    use.get_by_test_id("kb-as-table").click()
    expect(use.get_by_test_id("kb-day-table")).to_be_visible()
    english = open_page("ed", "/kb/use", language="en", theme="dark")
    expect(english.get_by_test_id("kb-use-table")).to_be_visible(timeout=SLOW)
    shoot(english, "kb-11-use-en-dark")
    agent = open_page("agent", "/kb")
    expect(agent.get_by_test_id("error")).to_be_visible(timeout=SLOW)
    shoot(agent, "kb-12-not-allowed")
    assert console_errors == []
