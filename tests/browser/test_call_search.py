"""Searching calls in a real browser: words in the address, lines that lead to their place, facets with counts, narrow and in English."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from copilot.domain.artifacts import Artifact, TicketClassification, TicketSlot
from copilot.domain.ids import CallId
from tests.browser.console_site import WEB, ConsoleSite, filled_site
from tests.browser.page_checks import axe_violations
from tests.browser.test_console_pages import pick
from tests.browser.test_review_pages import SLOW, fits, open_page
from tests.fakes.stores import ORG

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    if not (WEB / "index.html").exists():
        pytest.skip("the web app is not built: make web")
    made = filled_site(tmp_path_factory.mktemp("search"), recorded=1)
    with made.serving():
        yield made


def counted(page: Page) -> int:
    expect(page.get_by_test_id("calls-count")).to_contain_text(re.compile(r"\d"), timeout=SLOW)
    return int(re.sub(r"\D", "", page.get_by_test_id("calls-count").inner_text()))


def test_words_are_found_marked_and_lead_to_their_place(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    page = open_page(chromium, site, "qi1", "/calls")
    expect(page.get_by_test_id("call-row").first).to_be_visible(timeout=SLOW)
    every = page.get_by_test_id("call-row").count()
    page.keyboard.press("/")
    page.keyboard.type("信用卡")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/calls\?q="))
    expect(page.get_by_test_id("matches").first).to_be_visible(timeout=SLOW)
    rows = page.get_by_test_id("call-row").count()
    assert 0 < rows < every
    assert counted(page) >= rows
    assert {mark.inner_text() for mark in page.locator(".found-lines mark").all()} == {"信用卡"}
    shoot(page, "search-words")
    fits(page)
    assert axe_violations(page) == []
    # Facets count what is left, several values of one are one of them.
    page.get_by_test_id("facet-team").locator("summary").click()
    shoot(page, "search-facet-open")
    page.keyboard.press("Escape")
    pick(page, "team", "north")
    expect(page).to_have_url(re.compile(r"team=north"))
    expect(page.get_by_test_id("calls-count")).not_to_contain_text(f"找到 {rows} 通", timeout=SLOW)
    north = counted(page)
    pick(page, "team", "south")
    expect(page).to_have_url(re.compile(r"team=north&team=south"))
    expect(page.get_by_test_id("calls-count")).to_contain_text(f"找到 {rows} 通", timeout=SLOW)
    assert north < rows
    page.reload()
    expect(page.get_by_test_id("calls-query")).to_have_value("信用卡", timeout=SLOW)
    expect(page.get_by_test_id("calls-count")).to_contain_text(f"找到 {rows} 通", timeout=SLOW)
    with page.expect_download(timeout=SLOW) as saved:
        page.get_by_test_id("export").select_option("csv")
    saved.value.save_as(tmp_path / "found.csv")
    assert len((tmp_path / "found.csv").read_text(encoding="utf-8-sig").splitlines()) == rows + 1
    said = page.locator(".found-at.of-customer").first
    target = said.get_attribute("href") or ""
    said.click()
    expect(page.get_by_test_id("call-page")).to_be_visible(timeout=SLOW)
    line = page.locator(f'[data-utterance-id="{target.rpartition("=")[2]}"]').first
    expect(line).to_be_in_viewport(timeout=SLOW)
    page.go_back()
    expect(page.get_by_test_id("calls-query")).to_have_value("信用卡", timeout=SLOW)


def test_a_line_of_a_recorded_call_stands_in_its_recording(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]
) -> None:
    call_id = site.call_ids[0]
    lines = site.store.call_texts.utterances(ORG, [CallId(call_id)])[CallId(call_id)]
    said = next(one for one in lines if one.start_ms > 20_000)
    page = open_page(chromium, site, "qi1", f"/calls/{call_id}?at={said.utterance_id}")
    expect(page.get_by_test_id("audio-player")).to_be_visible(timeout=SLOW)
    clock = f"{said.start_ms // 60000:02}:{said.start_ms // 1000 % 60:02}"
    expect(page.get_by_test_id("audio-player")).to_contain_text(clock, timeout=SLOW)
    expect(page.locator(f"#u-{said.utterance_id}")).to_be_in_viewport(timeout=SLOW)
    shoot(page, "search-call-at-line")
    page.get_by_test_id("tab-ticket").click()
    expect(page.get_by_test_id("ticket-category")).to_be_visible(timeout=SLOW)
    page.get_by_test_id("ticket-category").scroll_into_view_if_needed()
    shoot(page, "search-call-ticket")


def test_what_a_ticket_says_stands_on_the_page(chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]) -> None:
    call_id = CallId("card-fraud-1")
    (made,) = [item.body for item in site.store.calls.artifacts(ORG, call_id) if isinstance(item.body, TicketClassification)]
    assert made.cause == "external-fraud"
    # The labelled calls have no slots of the live loop.
    slot = TicketSlot(name="amount", value="3000.00", utterance_id=made.cause_evidence[0])
    job = site.store.outbox.rerun(ORG, call_id, "ticket")
    site.store.outbox.finish(job.job_id, Artifact(kind="ticket", version=job.version, body=replace(made, slots=(slot,))))
    page = open_page(chromium, site, "qi1", f"/calls/{call_id}")
    page.get_by_test_id("tab-ticket").click(timeout=SLOW)
    expect(page.get_by_test_id("ticket-slots")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("ticket-cause")).to_contain_text("外部欺诈")
    expect(page.get_by_test_id("ticket-slots")).to_contain_text("金额")
    shoot(page, "search-call-ticket-full")


def test_sound_and_meaning_empty_and_narrow_and_english(chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]) -> None:
    page = open_page(chromium, site, "qi1", "/calls?q=" + "新用卡")
    expect(page.get_by_test_id("calls-empty")).to_be_visible(timeout=SLOW)
    shoot(page, "search-empty")
    page.get_by_test_id("mode-sound").click()
    expect(page).to_have_url(re.compile(r"mode=sound"))
    expect(page.get_by_test_id("matches").first).to_be_visible(timeout=SLOW)
    assert "信用卡" in {mark.inner_text() for mark in page.locator(".found-lines mark").all()}
    page.get_by_test_id("mode-meaning").click()
    expect(page.get_by_test_id("calls-count")).to_contain_text("最接近的", timeout=SLOW)
    shoot(page, "search-meaning")
    small = open_page(chromium, site, "chen", "/calls?q=" + "信用卡", locale="en-GB", dark=True, width=320)
    expect(small.get_by_test_id("matches").first).to_be_visible(timeout=SLOW)
    shoot(small, "search-en-dark-320")
    fits(small)
    assert axe_violations(small) == []
    small.get_by_test_id("facet-ticket").locator("summary").click()
    shoot(small, "search-facet-320")
    fits(small)
    agent = open_page(chromium, site, "zhang", "/calls?q=" + "信用卡")
    expect(agent.get_by_test_id("matches").first).to_be_visible(timeout=SLOW)
    names = {row.locator("td").nth(1).inner_text() for row in agent.get_by_test_id("call-row").all()}
    assert names == {"张晓"}, "an agent finds own calls"
    agent.context.set_offline(True)
    agent.get_by_test_id("calls-query").fill("挂失")
    agent.get_by_test_id("calls-search").click()
    expect(agent.get_by_test_id("error")).to_be_visible(timeout=SLOW)
    shoot(agent, "search-offline")
    agent.context.set_offline(False)
    agent.get_by_test_id("error").get_by_role("button").click()
    expect(agent.get_by_test_id("error")).to_have_count(0, timeout=SLOW)
