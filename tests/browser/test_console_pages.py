"""The supervisors' console in a real browser, on the labelled calls: numbers lead to calls, the list is narrowed in its address."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.console_site import WEB, ConsoleSite, filled_site
from tests.browser.test_review_pages import SLOW, fits, open_page

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    if not (WEB / "index.html").exists():
        pytest.skip("the web app is not built: make web")
    made = filled_site(tmp_path_factory.mktemp("console"), recorded=0)
    with made.serving():
        yield made


def pick(page: Page, facet: str, value: str) -> None:
    """Chooses one value of a facet, and closes its menu."""
    menu = page.get_by_test_id(f"facet-{facet}")
    menu.locator("summary").click(timeout=SLOW)
    menu.locator(f'[data-value="{value}"]').check(timeout=SLOW)
    page.keyboard.press("Escape")


def test_the_dashboard_leads_to_the_calls(chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]) -> None:
    page = open_page(chromium, site, "qi1", "/overview?days=30", height=1250)
    expect(page.get_by_test_id("tiles")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("team-figures")).to_be_visible(timeout=SLOW)
    shoot(page, "console-overview")
    fits(page)
    page.get_by_test_id("chart-bands").get_by_role("button").click()
    expect(page.get_by_test_id("chart-bands").locator("table")).to_be_visible()
    tile = page.locator("a.tile", has_text="高投诉风险")
    number = int(tile.locator("strong").inner_text())
    assert number > 0
    tile.click()
    expect(page.get_by_test_id("call-row").first).to_be_visible(timeout=SLOW)
    assert page.get_by_test_id("call-row").count() == number
    expect(page.get_by_test_id("calls-count")).to_contain_text(str(number), timeout=SLOW)
    page.get_by_test_id("call-row").first.click()
    compared = page.get_by_test_id("rules-compared")
    compared.locator("summary").click(timeout=SLOW)
    expect(compared.locator("table, .empty")).to_be_visible(timeout=SLOW)
    compared.scroll_into_view_if_needed()
    shoot(page, "console-call-rules")


def test_the_list_is_narrowed_in_its_address_walked_by_keys_and_exported(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    page = open_page(chromium, site, "qi1", "/calls")
    expect(page.get_by_test_id("call-row").first).to_be_visible(timeout=SLOW)
    assert page.get_by_test_id("call-row").count() == len(site.call_ids)
    pick(page, "team", "south")
    expect(page.get_by_test_id("calls-count")).to_contain_text("12", timeout=SLOW)
    pick(page, "risk", "high")
    expect(page).to_have_url(re.compile(r"team=south&risk=high"))
    expect(page.get_by_test_id("call-row").first).to_be_visible(timeout=SLOW)
    shoot(page, "console-calls")
    rows = page.get_by_test_id("call-row").count()
    page.reload()
    expect(page.get_by_test_id("call-row")).to_have_count(rows, timeout=SLOW)
    with page.expect_download(timeout=SLOW) as saved:
        page.get_by_test_id("export").select_option("csv")
    saved.value.save_as(tmp_path / "calls.csv")
    lines = (tmp_path / "calls.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == rows + 1
    assert lines[0].startswith("通话编号,")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("call-page")).to_be_visible(timeout=SLOW)
    page.go_back()
    expect(page).to_have_url(re.compile(r"team=south&risk=high"))


def test_a_lead_sees_the_team_and_an_agent_no_console_in_english_and_dark(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]
) -> None:
    lead = open_page(chromium, site, "chen", "/overview", locale="en-GB", dark=True, height=1250)
    expect(lead.get_by_test_id("team-figures")).to_be_visible(timeout=SLOW)
    expect(lead.get_by_text("南区二组")).to_have_count(0)
    shoot(lead, "console-overview-en-dark")
    small = open_page(chromium, site, "chen", "/calls?score=fatal&since=2020-01-01&until=2020-01-02", locale="en-GB", width=480)
    expect(small.get_by_test_id("calls-empty")).to_be_visible(timeout=SLOW)
    shoot(small, "console-calls-empty-en-480")
    fits(small)
    agent = open_page(chromium, site, "zhang", "/overview")
    expect(agent.get_by_test_id("error")).to_be_visible(timeout=SLOW)
    assert agent.locator(".top nav a[href='/overview']").count() == 0
