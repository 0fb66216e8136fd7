"""Packs in a real browser: a fault at its line, a dry run over the labelled calls with its words, publication by another person."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from copilot.assembly import dry_runs
from copilot.settings import Settings
from loadtest.postcall_eval import open_tools
from tests.browser.console_site import WEB, ConsoleSite, filled_site
from tests.browser.page_checks import axe_violations
from tests.browser.test_review_pages import SLOW, fits, open_page
from tests.fakes.stores import ORG

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    if not (WEB / "index.html").exists():
        pytest.skip("the web app is not built: make web")
    made = filled_site(tmp_path_factory.mktemp("site"), recorded=0)
    with made.serving():
        yield made


@pytest.fixture(scope="module", autouse=True)
def working(site: ConsoleSite) -> Iterator[None]:
    """Dry runs are carried out as a server does, without its child process and without models."""
    patch, stop = pytest.MonkeyPatch(), threading.Event()
    patch.setattr(dry_runs, "postcall_tools", lambda *_: open_tools(None))
    patch.setattr(dry_runs, "Likeness", lambda _settings: lambda *_: {})
    settings = Settings(data_dir=site.directory)

    def work() -> None:
        while not stop.wait(0.2):
            for org, run in site.store.dry_runs.of_node("node", ("queued",)):
                dry_runs.carry_out(settings, site.store, org, run)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(30)
    patch.undo()


def edit(page: Page, old: str, new: str) -> None:
    area = page.get_by_test_id("pack-text")
    text = area.input_value()
    assert old in text
    area.fill(text.replace(old, new, 1))


def accessible(page: Page) -> None:
    assert axe_violations(page) == []


def saved(page: Page) -> None:
    expect(page.get_by_test_id("pack-saved")).to_have_attribute("data-state", "saved", timeout=SLOW)


def test_a_rubric_is_changed_tried_on_past_calls_and_published_by_another(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]
) -> None:
    page = open_page(chromium, site, "qi1", "/packs")
    expect(page.get_by_test_id("pack-row")).to_have_count(8, timeout=SLOW)
    shoot(page, "packs")
    accessible(page)
    page.get_by_role("link", name="质检评分表").click()
    expect(page.get_by_test_id("pack-outline")).to_be_visible(timeout=SLOW)
    page.get_by_test_id("pack-begin").click()
    expect(page.get_by_test_id("pack-head")).to_have_attribute("data-state", "draft", timeout=SLOW)

    edit(page, "weight: 4", "weight: 很重")
    faults = page.get_by_test_id("pack-faults")
    expect(faults).to_have_attribute("data-count", "1", timeout=SLOW)
    faults.get_by_role("button").click()
    marked = page.get_by_test_id("pack-text").evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)")
    assert marked.strip() == "weight: 很重", "a click on a fault selects its line"
    expect(page.get_by_test_id("code-lines").locator(".bad")).to_have_count(1)
    shoot(page, "packs-fault")
    accessible(page)
    fits(page)

    edit(page, "weight: 很重", "weight: 4")
    edit(page, "id: opening-greeting", "id: opening-greeting\n    fatal: true")
    expect(faults).to_have_attribute("data-count", "0", timeout=SLOW)
    page.get_by_test_id("pack-note").fill("开头语改为致命项")
    saved(page)
    page.get_by_role("link", name="差异").click()
    expect(page.get_by_test_id("pack-diff").locator("ins")).to_contain_text("fatal: true", timeout=SLOW)
    shoot(page, "packs-diff")
    page.get_by_role("link", name="试运行").click()
    page.get_by_test_id("run-limit").select_option("50")
    shoot(page, "packs-run-form")
    page.get_by_test_id("run-start").click()
    expect(page.get_by_test_id("run-page")).to_have_attribute("data-state", "done", timeout=3 * SLOW)
    expect(page.get_by_test_id("changed-call").first).to_contain_text("致命", timeout=SLOW)
    expect(page.get_by_test_id("run-lines")).to_contain_text("开头语")
    shoot(page, "packs-run")
    accessible(page)
    fits(page)

    lead = open_page(chromium, site, "qalead", "/packs", locale="en-GB", dark=True)
    lead.get_by_role("link", name="v2").click(timeout=SLOW)
    expect(lead.get_by_test_id("pack-publish")).to_be_visible(timeout=SLOW)
    expect(lead.get_by_test_id("pack-outline")).to_be_visible(timeout=SLOW)
    shoot(lead, "packs-publish-en-dark")
    accessible(lead)
    lead.get_by_test_id("pack-publish").click()
    lead.get_by_test_id("pack-confirm-yes").click()
    expect(lead.get_by_test_id("pack-head")).to_have_attribute("data-state", "published", timeout=SLOW)
    assert site.store.articles(ORG).pack("rubric")[0] == 2  # type: ignore[index]
    lead.get_by_role("link", name="History").click()
    expect(lead.get_by_test_id("pack-versions").locator("tbody tr")).to_have_count(2, timeout=SLOW)
    shoot(lead, "packs-history-en-dark")


def test_rules_live_against_after_the_call_and_a_rule_taken_out(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]
) -> None:
    page = open_page(chromium, site, "qalead", "/packs/compliance?tab=runs&v=1", locale="en-GB")
    page.get_by_test_id("run-start").click(timeout=SLOW)
    expect(page.get_by_test_id("run-page")).to_have_attribute("data-state", "done", timeout=3 * SLOW)
    expect(page.get_by_test_id("run-live").locator("tbody tr").nth(1)).to_be_visible(timeout=SLOW)
    shoot(page, "packs-live-en")
    accessible(page)
    narrow = open_page(chromium, site, "qalead", "/packs/compliance", width=320, height=700)
    expect(narrow.get_by_test_id("pack-faults")).to_have_attribute("data-count", "0", timeout=SLOW)
    fits(narrow)
    shoot(narrow, "packs-narrow")
    narrow.get_by_role("link", name="试运行").click()
    expect(narrow.get_by_test_id("pack-runs")).to_be_visible(timeout=SLOW)
    fits(narrow)
    shoot(narrow, "packs-runs-narrow")


def test_the_server_is_away_and_the_text_stays(chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]) -> None:
    page = open_page(chromium, site, "qi2", "/packs/sop")
    page.get_by_test_id("pack-begin").click(timeout=SLOW)
    expect(page.get_by_test_id("pack-head")).to_have_attribute("data-state", "draft", timeout=SLOW)
    page.context.set_offline(True)
    edit(page, "version: 1", "version: 2")
    expect(page.get_by_test_id("pack-saved")).to_have_attribute("data-state", "failed", timeout=SLOW)
    assert "version: 2" in page.get_by_test_id("pack-text").input_value()
    page.context.set_offline(False)
    saved(page)
    draft = next(found for found in site.store.packs(ORG).drafts() if found.name == "sop")
    assert "version: 2" in site.store.packs(ORG).version("sop", draft.version)[1]
    agent = open_page(chromium, site, "zhang", "/packs")
    expect(agent.get_by_test_id("error")).to_be_visible(timeout=SLOW)
