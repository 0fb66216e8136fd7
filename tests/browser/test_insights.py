"""The insights page in a real browser: planted patterns are shown, a figure leads to its sentence, both languages, narrow and dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from copilot.domain.ids import CallId
from copilot.domain.insights import CallDigest, Checked, DigestedCall, Lead, Place, TermPlace
from copilot.settings import ReportSettings
from copilot.store import rows
from copilot.store import tables as t
from postcall.analytics.clusters import packed
from tests.browser.console_site import WEB, ConsoleSite, filled_site
from tests.browser.test_review_pages import SLOW, fits, open_page
from tests.fakes.stores import ORG

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
PROBLEMS = {
    "card-billing": "账单金额怎么对不上",
    "card-credit-limit": "额度能不能提高一点",
    "ebank-login": "手机银行升级之后登录不上",
    "transfer-wrong-payee": "转账转错人了怎么追回",
}


def plant(site: ConsoleSite) -> None:
    """Two weeks of invented digests: signing in becomes a new problem, wrong transfers make customers angry, Li does not greet."""
    rng = np.random.default_rng(3)
    middles = {topic: rng.normal(size=96) for topic in PROBLEMS}
    today = site.bench.review.policies(ORG).calendar.local_day(site.bench.clock.now())
    calls = []
    for back in range(14, 0, -1):
        shares = {"card-billing": 20, "card-credit-limit": 10, "transfer-wrong-payee": 6, "ebank-login": 9 if back <= 7 else 0}
        for topic, count in shares.items():
            for n in range(count):
                name = CallId(f"p{back}-{topic}-{n}")
                agent, team = [("zhang", "north"), ("li", "north"), ("wu", "south")][n % 3]
                vector = middles[topic] + 0.3 * rng.normal(size=96)
                place = Place(utterance_id="customer-1", at_ms=4000, text=PROBLEMS[topic])
                term = TermPlace(term="登录" if topic == "ebank-login" else "额度", known=True, place=place)
                calls.append(
                    DigestedCall(
                        call_id=name,
                        day=today - timedelta(days=back),
                        started_at=datetime.now(UTC) - timedelta(days=back, minutes=n),
                        team_id=team,
                        agent_id=agent,
                        product={"ebank-login": "ebanking", "transfer-wrong-payee": "transfer"}.get(topic, "credit-card"),
                        topic=topic,
                        cause="system-fault" if topic == "ebank-login" else "",
                        upset=topic == "transfer-wrong-payee" and n < 4,
                        digest=CallDigest(
                            problem=place,
                            vector=packed((vector / np.linalg.norm(vector)).astype(np.float32)),
                            terms=(term,),
                            questions=(Checked(item_id="opening-greeting", passed=agent != "li" or n % 2 == 0, place=place),),
                            leads=(Lead(lead="higher-limit", place=place),) if topic == "card-credit-limit" else (),
                        ),
                    )
                )
    store = site.store
    with store.database.write() as connection:
        for call in calls:
            rows.create_call(connection, store.insights._keyring, ORG, call.call_id, "node")
            here = rows.is_call(t.calls, ORG, call.call_id)
            connection.execute(sa.update(t.calls).where(here).values(phase="ended", started_at=call.started_at, team_id=call.team_id))
    for day in store.insights.save(ORG, calls):
        store.insights.roll(ORG, day)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    if not (WEB / "index.html").exists():
        pytest.skip("the web app is not built: make web")
    made = filled_site(tmp_path_factory.mktemp("insights"), recorded=0)
    plant(made)
    made.bench.insight_rounds.run(ORG)
    made.bench.insights._settings = made.bench.insights._settings.model_copy(update={"reports": (ReportSettings(name="all-week"),)})
    assert made.bench.insights.write_due(ORG) == 1
    with made.serving():
        yield made


def part(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="洞察内容").get_by_role("link", name=name).click()


def test_what_is_new_stands_first_and_leads_to_its_calls(chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]) -> None:
    page = open_page(chromium, site, "qi1", "/overview", height=1500)
    page.get_by_role("link", name="洞察").click()
    emerging = page.get_by_test_id("insights-emerging")
    expect(emerging).to_be_visible(timeout=SLOW)
    first = emerging.locator("tbody tr", has_text="登录").first
    expect(first).to_contain_text("新增")
    expect(page.get_by_test_id("insights-cluster")).to_contain_text("登录")
    shoot(page, "insights-trends")
    fits(page)
    page.get_by_test_id("insights-days").get_by_role("button").click()
    expect(page.get_by_test_id("insights-days").locator("table")).to_be_visible()
    page.get_by_test_id("insights-topic").get_by_role("button", name="登录").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_test_id("insights-evidence")
    expect(dialog.locator("li").first).to_contain_text("登录", timeout=SLOW)
    shoot(page, "insights-evidence")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_test_id("insights-product").select_option("ebanking")
    expect(page).to_have_url(re.compile(r"product=ebanking"))
    expect(page.get_by_test_id("insights-topic")).not_to_contain_text("账单", timeout=SLOW)
    page.get_by_role("button", name="28 天").click()
    expect(page).to_have_url(re.compile(r"days=28"))


def test_a_figure_leads_to_the_sentence_in_the_call(chromium: Browser, site: ConsoleSite) -> None:
    page = open_page(chromium, site, "qi1", "/insights")
    rows_ = page.get_by_test_id("insights-topic").locator("tbody tr")
    expect(rows_.first).to_be_visible(timeout=SLOW)
    real = rows_.filter(has_not_text=re.compile("账单|额度|登录|转错")).first
    real.get_by_role("button").click()
    line = page.get_by_test_id("insights-evidence").locator("a.row-link").first
    expect(line).to_be_visible(timeout=SLOW)
    line.click()
    expect(page.get_by_test_id("call-page")).to_be_visible(timeout=SLOW)
    assert "?at=" in page.url
    expect(page.locator("[data-testid=utterance].active")).to_be_visible(timeout=SLOW)


def test_drivers_coaching_leads_and_reports(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    page = open_page(chromium, site, "qalead", "/insights", height=1000)
    expect(page.get_by_test_id("insights-emerging")).to_be_visible(timeout=SLOW)
    part(page, "不满因素")
    expect(page.get_by_test_id("insights-drivers-table").locator("tbody tr").first).to_contain_text("转错", timeout=SLOW)
    shoot(page, "insights-drivers")
    part(page, "辅导点")
    expect(page.get_by_test_id("insights-coaching").locator("tbody tr", has_text="李敏").first).to_contain_text("高于其他", timeout=SLOW)
    shoot(page, "insights-coaching")
    part(page, "线索与问答")
    expect(page.get_by_test_id("insights-leads")).to_be_visible(timeout=SLOW)
    expect(page.locator(".lead-list")).to_contain_text("提升额度")
    expect(page.get_by_test_id("insights-faq").locator("li, .empty").first).to_be_visible(timeout=SLOW)
    shoot(page, "insights-leads")
    part(page, "定期报告")
    with page.expect_download(timeout=SLOW) as saved:
        page.get_by_test_id("insights-reports").get_by_role("button").first.click()
    saved.value.save_as(tmp_path / "report.html")
    assert "客服洞察" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with page.expect_download(timeout=SLOW) as saved:
        page.get_by_test_id("insights-export").select_option("xlsx")
    assert saved.value.suggested_filename.endswith(".xlsx")
    fits(page)


def test_a_lead_on_a_narrow_dark_screen_in_english_and_errors_are_said(
    chromium: Browser, site: ConsoleSite, shoot: Callable[[Page, str], Path]
) -> None:
    page = open_page(chromium, site, "chen", "/insights", locale="en-GB", dark=True, width=320, height=1400)
    expect(page.get_by_test_id("insights-emerging")).to_contain_text("new", timeout=SLOW)
    expect(page.get_by_test_id("insights-team").locator("option")).to_have_count(2)
    shoot(page, "insights-narrow-dark")
    fits(page)
    page.get_by_test_id("insights-channel").select_option("outbound")
    expect(page.get_by_test_id("insights-emerging")).to_contain_text("Nothing grew significantly", timeout=SLOW)
    page.route("**/console/insights?*", lambda route: route.abort())
    page.get_by_role("button", name="90 days").click()
    expect(page.get_by_test_id("error")).to_be_visible(timeout=SLOW)
    page.unroute("**/console/insights?*")
    page.get_by_test_id("error").get_by_role("button").click()
    expect(page.get_by_test_id("error")).to_be_hidden(timeout=SLOW)


def test_an_agent_has_no_insights(chromium: Browser, site: ConsoleSite) -> None:
    page = open_page(chromium, site, "zhang", "/insights")
    expect(page.get_by_test_id("error")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("navigation").first.get_by_role("link", name="洞察")).to_have_count(0)
