"""Quality review in a real browser, on the labelled calls: a sheet with sound, an appeal through all hands, a blind calibration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from copilot.domain.people import scope_of
from tests.browser.console_site import PASSWORD, WEB, ConsoleSite, filled_site
from tests.fakes.stores import ORG

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
SLOW = 60_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    if not (WEB / "index.html").exists():
        pytest.skip("the web app is not built: make web")
    made = filled_site(tmp_path_factory.mktemp("site"))
    with made.serving():
        yield made


def open_page(
    chromium: Browser,
    site: ConsoleSite,
    who: str,
    path: str,
    *,
    locale: str = "zh-CN",
    dark: bool = False,
    width: int = 1360,
    height: int = 900,
) -> Page:
    context = chromium.new_context(
        viewport={"width": width, "height": height}, locale=locale, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(f"{site.base}{path}")
    page.get_by_test_id("signin-username").fill(who)
    page.get_by_test_id("signin-password").fill(PASSWORD)
    page.get_by_test_id("signin-submit").click()
    expect(page.get_by_test_id("bell")).to_be_visible(timeout=SLOW)
    return page


def fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"


def test_an_inspector_hears_the_evidence_changes_an_answer_and_the_agent_is_told(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]
) -> None:
    call = site.call_ids[0]
    page = open_page(chromium, site, "qi1", "/qa")
    expect(page.get_by_test_id("review-row").first).to_be_visible(timeout=SLOW)
    shoot(page, "qa-queue")
    page.goto(f"{site.base}/calls/{call}")
    page.get_by_test_id("review-call").click(timeout=SLOW)
    expect(page.get_by_test_id("review-page")).to_have_attribute("data-state", "open", timeout=SLOW)
    page.get_by_test_id("claim").click()
    expect(page.get_by_test_id("review-page")).to_have_attribute("data-state", "claimed", timeout=SLOW)
    evidence = page.get_by_test_id("evidence").first
    evidence.click()
    expect(page.get_by_test_id("audio-player")).to_have_attribute("data-playing", "true", timeout=SLOW)
    question = page.locator('[data-testid="question"]', has=page.locator('[data-testid="machine-answer"][data-answer="fail"]')).first
    question.get_by_test_id("answer-pass").click()
    page.get_by_test_id("review-submit").click()
    expect(page.get_by_role("alert")).to_be_visible()
    question.get_by_test_id("review-reason").fill("客户主动提供，已核实，电话 13800138000")
    page.get_by_test_id("review-comment").fill("其余正确")
    shoot(page, "qa-review")
    fits(page)
    page.get_by_test_id("review-submit").click()
    expect(page.get_by_test_id("review-page")).to_have_attribute("data-state", "done", timeout=SLOW)
    verdict = page.get_by_test_id("verdict").first
    expect(verdict).to_contain_text("其余正确")
    expect(verdict).not_to_contain_text("13800138000")
    shoot(page, "qa-reviewed")
    stored = site.store.reviews.verdicts(ORG, call)  # type: ignore[arg-type]
    assert len(stored) == 1
    agent = site.store.calls.call(scope_of(site.store.people.user(ORG, "qi1")), call).agent_id  # type: ignore[arg-type]
    own = open_page(chromium, site, str(agent), "/agent")
    expect(own.get_by_test_id("bell")).to_have_attribute("data-unread", re.compile("[1-9]"), timeout=SLOW)
    own.get_by_test_id("bell").click()
    expect(own.get_by_test_id("notices")).to_be_visible()
    shoot(own, "qa-notices")


def test_an_appeal_goes_from_agent_to_lead_to_qa_lead_to_inspector(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]
) -> None:
    north = {"zhang", "li"}
    everybody = scope_of(site.store.people.user(ORG, "qi1"))  # type: ignore[arg-type]
    call = next(name for name in site.call_ids[1:] if site.store.calls.call(everybody, name).agent_id in north)  # type: ignore[arg-type]
    agent = str(site.store.calls.call(everybody, call).agent_id)  # type: ignore[arg-type]
    page = open_page(chromium, site, agent, f"/calls/{call}")
    page.get_by_test_id("appeal").click(timeout=SLOW)
    page.get_by_test_id("appeal-form").locator("input[type=checkbox]").first.check()
    page.get_by_test_id("appeal-reason").fill("客户已在开头确认")
    shoot(page, "qa-appeal-form")
    page.get_by_test_id("appeal-send").click()
    link = page.locator("a[href^='/qa/appeals/']")
    expect(link).to_be_visible(timeout=SLOW)
    path = str(link.get_attribute("href"))

    lead = open_page(chromium, site, "chen", path)
    lead.get_by_test_id("appeal-note").fill("属实，请复核")
    lead.get_by_test_id("appeal-forward").click(timeout=SLOW)
    expect(lead.get_by_test_id("appeal-page")).to_have_attribute("data-state", "with_qa_lead", timeout=SLOW)
    qa = open_page(chromium, site, "qalead", path)
    qa.get_by_test_id("appeal-assignee").select_option("qi2", timeout=SLOW)
    shoot(qa, "qa-appeal-assign")
    qa.get_by_test_id("appeal-assign").click()
    expect(qa.get_by_test_id("appeal-page")).to_have_attribute("data-state", "re_review", timeout=SLOW)
    inspector = open_page(chromium, site, "qi2", path, locale="en-GB", dark=True)
    expect(inspector.get_by_test_id("question").first).to_be_visible(timeout=SLOW)
    shoot(inspector, "qa-appeal-decide-en-dark")
    fits(inspector)
    inspector.get_by_test_id("review-comment").fill("录音中没有听到确认，维持")
    inspector.get_by_test_id("review-submit").click()
    expect(inspector.get_by_test_id("appeal-page")).to_have_attribute("data-state", "kept", timeout=SLOW)
    page.goto(f"{site.base}{path}")
    expect(page.locator('[data-testid="appeal-step"][data-action="decide"]')).to_contain_text("维持", timeout=SLOW)
    shoot(page, "qa-appeal-kept")


def test_a_calibration_hides_the_machine_and_shows_agreement_when_closed(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]
) -> None:
    lead = open_page(chromium, site, "qalead", "/qa?tab=calibrations")
    lead.get_by_test_id("new-calibration").click(timeout=SLOW)
    form = lead.get_by_test_id("calibration-form")
    form.locator("input").first.fill("三月口径校准")
    form.get_by_test_id("calibration-calls").fill(f"{site.call_ids[2]} {site.call_ids[3]}")
    for name in ("孙宁", "何欣"):
        form.get_by_label(name).check(timeout=SLOW)
    shoot(lead, "qa-calibration-form")
    form.get_by_role("button").last.click()
    lead.get_by_text("三月口径校准").click(timeout=SLOW)
    path = lead.url.removeprefix(site.base)
    for who, answer in (("qi1", "pass"), ("qi2", "fail")):
        page = open_page(chromium, site, who, path)
        page.get_by_text("去评分").first.click(timeout=SLOW)
        expect(page.get_by_test_id("question").first).to_be_visible(timeout=SLOW)
        assert page.get_by_test_id("machine-answer").count() == 0
        for question in page.get_by_test_id("question").all():
            question.get_by_test_id("answer-pass").click()
        page.get_by_test_id("question").first.get_by_test_id(f"answer-{answer}").click()
        if who == "qi1":
            shoot(page, "qa-blind")
        page.get_by_test_id("review-submit").click()
        expect(page.get_by_test_id("review-page")).to_have_attribute("data-state", "done", timeout=SLOW)
    lead.reload()
    lead.get_by_test_id("close-calibration").click(timeout=SLOW)
    expect(lead.get_by_test_id("agreement-table")).to_be_visible(timeout=SLOW)
    shoot(lead, "qa-calibration-result")
    site.bench.clock.advance(1)  # the period of the figures ends now, without this moment
    english = open_page(chromium, site, "qi1", "/qa?tab=agreement", locale="en-GB")
    expect(english.get_by_test_id("agreement-table")).to_be_visible(timeout=SLOW)
    shoot(english, "qa-agreement-en")


def test_the_queue_fits_a_small_window_in_english_and_says_when_it_is_empty(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]
) -> None:
    page = open_page(chromium, site, "qi2", "/qa", locale="en-GB", dark=True, width=480, height=800)
    expect(page.get_by_test_id("review-row").first).to_be_visible(timeout=SLOW)
    shoot(page, "qa-queue-en-480")
    fits(page)
    page.locator("input[type=checkbox]").check()
    page.keyboard.press("j")
    shoot(page, "qa-queue-mine-en-480")
