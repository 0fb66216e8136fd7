"""An agent asks the bank's systems from the sidebar: a question over a real database, a look-up over real HTTP, confirmed."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from loadtest.server_process import ROOT, ServerProcess
from tests.browser.page_checks import axe_violations
from tests.browser.test_sidebar import new_page, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.models]
SAMPLE = ROOT / "kb" / "samples" / "tools" / "tools.yaml"
SLOW = 20_000
CARD = "0123456789abcdef" * 2


class Core(BaseHTTPRequestHandler):
    """A system of the bank; ``asked`` are the paths it was asked for."""

    asked: list[str] = []  # noqa: RUF012  one server a test module

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = json.dumps({"state": "frozen", "owner": "not a declared field"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("tools")
    with sqlite3.connect(folder / "views.db") as connection:
        connection.executescript(
            """
            CREATE TABLE fee_schedule (item TEXT, product TEXT, fee INTEGER, note TEXT);
            INSERT INTO fee_schedule VALUES ('补卡', '信用卡', 15, '金卡免收'), ('补卡', '借记卡', 5, '');
            CREATE TABLE branch_hours (branch TEXT, district TEXT, weekday TEXT, weekend TEXT);
            """
        )
    core = ThreadingHTTPServer(("127.0.0.1", 0), Core)
    threading.Thread(target=core.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{core.server_port}"
    text = SAMPLE.read_text(encoding="utf-8").replace("https://core.bank.example", f"http://{host}").replace("core.bank.example", host)
    (folder / "tools.yaml").write_text(text, encoding="utf-8")
    settings = {"PANGTING_TOOLS__FILE": str(folder / "tools.yaml"), "PANGTING_TOOLS__DATABASE_URL": f"sqlite:///{folder / 'views.db'}"}
    running = ServerProcess(data_dir=folder / "data", settings=settings)
    running.prepare({"agent-a": ("agent", "坐席甲"), "inspector": ("inspector", "质检员")})
    running.start()
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()
        core.shutdown()
        core.server_close()


def test_questions_refusals_and_a_confirmed_look_up(chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]) -> None:
    page = new_page(chromium, 420, 900, console_errors)
    sign_in(page, server, "/agent", "agent-a")
    expect(page.get_by_test_id("open-tools")).to_be_visible(timeout=SLOW)
    page.keyboard.press("Alt+q")
    dialog = page.get_by_test_id("tools")
    question = dialog.get_by_test_id("tool-question")
    expect(question).to_be_focused()
    shoot(page, "t1-tools")

    question.fill("补卡的工本费要多少钱")
    question.press("Enter")
    expect(dialog.get_by_test_id("tool-answer")).to_contain_text("金卡免收", timeout=SLOW)
    assert dialog.locator("tbody tr").count() == 2
    found = [f"answer: {line}" for line in axe_violations(page)]
    shoot(page, "t2-tools-answer")
    question.fill("给我讲个笑话")
    question.press("Enter")
    expect(dialog.get_by_test_id("tool-refused")).to_have_attribute("data-reason", "no_match", timeout=SLOW)
    question.fill("卡号6222021234567890123的手续费多少钱")
    question.press("Enter")
    expect(dialog.get_by_test_id("tool-refused")).to_have_attribute("data-reason", "personal", timeout=SLOW)

    dialog.get_by_test_id("tool-which").select_option("card_state")
    dialog.get_by_test_id("tool-value-card").fill("12")
    dialog.get_by_test_id("tool-run").click()
    expect(dialog.get_by_test_id("tool-value-card")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_test_id("tool-value-card").fill(CARD)
    dialog.get_by_test_id("tool-run").click()
    expect(dialog.get_by_test_id("tool-confirm")).to_be_visible(timeout=SLOW)
    assert Core.asked == [], "nothing is asked before the agent confirms"
    found += [f"confirm: {line}" for line in axe_violations(page)]
    page.emulate_media(color_scheme="dark")
    shoot(page, "t3-tools-confirm-dark")
    dialog.get_by_test_id("tool-confirmed").click()
    expect(dialog.get_by_test_id("tool-answer")).to_contain_text("frozen", timeout=SLOW)
    assert "not a declared field" not in dialog.inner_text()
    assert Core.asked == [f"/v1/cards/{CARD}/state"]
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    shoot(page, "t4-tools-320")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert found == []


def test_who_may_not_ask_has_no_button(chromium: Browser, server: ServerProcess, console_errors: list[str]) -> None:
    page = new_page(chromium, 420, 900, console_errors)
    sign_in(page, server, "/agent", "inspector")
    expect(page.get_by_test_id("open-search")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("open-tools")).to_have_count(0)
