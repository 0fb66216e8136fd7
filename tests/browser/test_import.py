"""The import page in a real browser: files chosen and dropped, progress, faults with their remedy, both languages; really imported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from loadtest.import_files import faq_xlsx, manual_pdf
from tests.fakes.import_server import ImportServer, import_server
from tests.fakes.stores import ORG

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
SLOW = 180_000


@pytest.fixture
def imports(tmp_path: Path) -> Iterator[ImportServer]:
    with import_server(tmp_path / "data", {"editor": ("editor",), "auditor": ("auditor",), "agent": ("agent",)}) as server:
        yield server


def page_of(chromium: Browser, server: ImportServer, username: str, errors: list[str], language: str = "zh", dark: bool = False) -> Page:
    context = chromium.new_context(viewport={"width": 1100, "height": 900}, color_scheme="dark" if dark else "light")
    session = server.bench.sessions[username]
    user = server.bench.people[username]
    stored = {
        "token": session.token,
        "expires_at": session.expires_at.isoformat(),
        "user": {"user_id": user.user_id, "username": username, "display_name": "知识专员", "roles": sorted(user.roles), "org_id": ORG},
    }
    context.add_init_script(f"sessionStorage.setItem('pangting.session', {json.dumps(json.dumps(stored))})")
    # Only where nothing is chosen yet: the script runs again on every page.
    context.add_init_script(f"localStorage['pangting.language'] ??= '{language}'")
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{server.base}/kb/import")
    return page


def test_files_are_imported_with_progress_and_faults(
    chromium: Browser, imports: ImportServer, tmp_path: Path, shoot, console_errors: list[str]
):
    page = page_of(chromium, imports, "editor", console_errors)
    expect(page.get_by_test_id("import-empty")).to_be_visible(timeout=SLOW)
    shoot(page, "20-import-empty")
    page.keyboard.press("Tab")
    for _ in range(20):
        if page.evaluate("document.activeElement?.dataset.testid") == "import-choose":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement?.dataset.testid") == "import-choose", "the button is reached by keyboard"

    bad = tmp_path / "费率.csv"
    bad.write_bytes("卡种,年费\n金卡,300\n".encode("gb18030"))
    broken = tmp_path / "旧手册.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing")
    page.get_by_test_id("import-file-input").set_input_files(
        [faq_xlsx(tmp_path / "常见问题.xlsx", 300), manual_pdf(tmp_path / "零售手册.pdf", 40), bad, broken]
    )
    run = page.get_by_test_id("import-run").first
    expect(run).to_be_visible(timeout=SLOW)
    reading = page.locator('[data-testid="import-file"][data-state="reading"] progress')
    expect(reading.first).to_be_visible(timeout=SLOW)
    shoot(page, "21-import-running")
    expect(run).to_have_attribute("data-state", "done", timeout=4 * SLOW)
    states = page.get_by_test_id("import-file").evaluate_all("(rows) => rows.map((row) => row.dataset.state)")
    assert states == ["failed", "failed", "done", "done"], "what needs a person comes first"
    faults = page.get_by_test_id("import-fault")
    expect(faults.first).to_contain_text("卡种, 年费")
    assert [fault.get_attribute("data-fault") for fault in faults.all()] == ["columns", "damaged"]
    expect(run.get_by_test_id("import-summary")).to_contain_text("2 个文件未导入")
    shoot(page, "22-import-done")
    expect(run.get_by_role("link", name="查看草稿")).to_have_attribute("href", "/kb?state=draft")
    assert len(imports.bench.store.articles(ORG).published()) == 0, "drafts only"
    counts = imports.bench.store.imports(ORG).runs()[0].counts
    assert counts.new > 330
    page.get_by_test_id("language-switch").click()
    expect(run.get_by_test_id("import-summary")).to_contain_text("2 files not imported")
    page.get_by_test_id("theme-switch").click()
    page.get_by_test_id("theme-switch").click()
    shoot(page, "23-import-done-en-dark")
    page.set_viewport_size({"width": 380, "height": 800})
    shoot(page, "24-import-narrow")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
    assert console_errors == []


def test_a_running_import_is_stopped_from_the_page_and_a_lost_server_is_said(
    chromium: Browser, imports: ImportServer, tmp_path: Path, shoot, console_errors: list[str]
):
    page = page_of(chromium, imports, "editor", console_errors, language="en")
    expect(page.get_by_test_id("import-empty")).to_be_visible(timeout=SLOW)
    page.get_by_test_id("import-file-input").set_input_files([manual_pdf(tmp_path / "manual.pdf", 300)])
    expect(page.locator('[data-testid="import-file"][data-state="reading"]')).to_be_visible(timeout=SLOW)
    page.get_by_test_id("import-cancel").click()
    run = page.get_by_test_id("import-run").first
    expect(run).to_have_attribute("data-state", "cancelled", timeout=SLOW)
    assert imports.bench.store.imports(ORG).runs()[0].counts.new == 0
    page.context.set_offline(True)
    expect(page.get_by_test_id("import-offline")).to_be_visible(timeout=SLOW)
    expect(run).to_be_visible()
    shoot(page, "25-import-offline")
    page.context.set_offline(False)
    expect(page.get_by_test_id("import-offline")).to_have_count(0, timeout=SLOW)
    assert console_errors == []


def test_those_who_may_only_look_and_those_who_may_not(chromium: Browser, imports: ImportServer, console_errors: list[str]):
    page = page_of(chromium, imports, "auditor", console_errors)
    expect(page.get_by_test_id("import-empty")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("import-drop")).to_have_count(0)
    page = page_of(chromium, imports, "agent", console_errors)
    expect(page.get_by_test_id("error")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("import-drop")).to_have_count(0)
