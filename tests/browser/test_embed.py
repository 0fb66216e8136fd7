"""The sidebar inside a CRM on another origin: signed in by the CRM's back end, chords from the CRM's input, and nothing for strangers."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from loadtest.calls import new_call_id
from loadtest.host_page import Host, make_server, serving
from loadtest.server_process import ServerProcess, free_port
from tests.browser.test_sidebar import SLOW, new_page, play_in_background, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
KEY = secrets.token_urlsafe(24)


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """Of the CRM that may embed the sidebar, and of a page that may not."""
    return free_port(), free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ports: tuple[int, int]) -> Iterator[ServerProcess]:
    running = ServerProcess(data_dir=tmp_path_factory.mktemp("embed"))
    digest = "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()
    running.settings = {
        "PANGTING_SERVER__ORIGINS": f'["http://127.0.0.1:{ports[0]}"]',
        "PANGTING_SERVER__HOST_KEYS": f'["{digest}"]',
    }
    running.prepare({"agent-a": ("agent", "坐席甲")})
    running.start()
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def crm(server: ServerProcess, ports: tuple[int, int]) -> Iterator[str]:
    with serving(make_server(Host(pangting=server.base, key=KEY, agent="agent-a"), ports[0])) as origin:
        yield origin


def frame_of(page: Page):
    """The sidebar's frame: its element is in a closed shadow root."""
    return next(frame for frame in page.frames if "/embed" in frame.url)


@pytest.mark.slow  # plays a whole call of three minutes
def test_the_cursor_stays_in_the_crm_while_suggestions_arrive_and_chords_work(
    chromium: Browser, server: ServerProcess, crm: str, shoot, console_errors: list[str]
):
    page = new_page(chromium, 1200, 800, console_errors)
    page.goto(crm)
    frame = frame_of(page)
    expect(frame.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    need = page.locator("#need")
    need.click()
    call_id = new_call_id("crm")
    playing = play_in_background(server, call_id, "short")
    need.type("客户说")
    suggestion = frame.locator('[data-testid="suggestion"][data-suggestion-id]').first
    expect(suggestion).to_be_visible(timeout=SLOW)
    assert page.evaluate("document.activeElement.id") == "need"
    text = frame.get_by_test_id("suggestion-text").inner_text()

    page.keyboard.press("Alt+1")
    expect(frame.get_by_test_id("feedback-used")).to_have_attribute("aria-pressed", "true", timeout=SLOW)
    assert page.evaluate("document.activeElement.id") == "need"
    assert page.locator("#answer").input_value().strip() != "", "the CRM was told what was adopted"
    assert page.locator("#answer").input_value()[:4] == text[:4]
    page.keyboard.press("Alt+x")
    expect(frame.get_by_test_id("reject-wrong_topic")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "need", "the reasons open without taking the cursor"
    page.keyboard.press("Alt+x")
    expect(frame.get_by_test_id("reject-wrong_topic")).to_have_count(0)
    need.type("，卡丢了/?")
    assert need.input_value() == "客户说，卡丢了/?", "plain characters stay text"
    shoot(page, "c1-crm")

    # What is opened to type into takes the cursor, and gives it back.
    page.keyboard.press("Alt+k")
    expect(frame.get_by_test_id("kb-input")).to_be_focused(timeout=SLOW)
    page.keyboard.type("信用卡丢了")
    expect(frame.get_by_test_id("kb-hit").first).to_be_visible(timeout=SLOW)
    page.keyboard.press("Escape")
    wait_until(page, lambda: page.evaluate("document.activeElement.id") == "need")
    page.keyboard.type("？")
    assert need.input_value() == "客户说，卡丢了/?？", "what is typed now is typed into the CRM"
    playing.join(120)
    assert console_errors == []


def test_a_page_of_another_origin_is_refused(chromium: Browser, server: ServerProcess, ports: tuple[int, int], shoot):
    errors: list[str] = []
    page = new_page(chromium, 1000, 700, errors)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    with serving(make_server(Host(pangting=server.base, key=KEY, agent="agent-a"), ports[1])) as stranger:
        page.goto(stranger)
        page.wait_for_timeout(3000)
        assert any("frame-ancestors" in line for line in said), "the browser does not show it at all"
        assert not any(frame.url.startswith(server.base) for frame in page.frames if frame != page.main_frame)
        shoot(page, "c2-stranger")
        # Its back end gets no token either, even with the key.
        status = page.evaluate("async () => (await fetch('/pangting-token', {method: 'POST'})).status")
        assert status == 502


def test_a_host_that_is_named_wrongly_hears_nothing_and_its_messages_are_not_believed(
    chromium: Browser, server: ServerProcess, crm: str, ports: tuple[int, int], console_errors: list[str]
):
    """The frame is told that its host is another allowed page, or a page that is not allowed: it says nothing and does nothing."""
    page = new_page(chromium, 1000, 700, console_errors)
    heard = """
    window.heard = [];
    window.addEventListener('message', (event) => window.heard.push(event.data));
    """
    page.add_init_script(heard)
    page.goto(crm)
    expect(frame_of(page).get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    for host in ("https://crm.elsewhere.example", f"http://127.0.0.1:{ports[1]}"):
        page.evaluate(
            """([src]) => {
                document.querySelector('pangting-sidebar').remove();
                window.heard = [];
                document.querySelectorAll('iframe.forged').forEach((old) => old.remove());
                const frame = document.createElement('iframe');
                frame.className = 'forged';
                frame.src = src;
                document.body.append(frame);
                const again = document.createElement('pangting-sidebar');
                again.hidden = true;
                document.body.append(again);
            }""",
            [f"{server.base}/embed?host={host}"],
        )
        forged = page.locator("iframe.forged").content_frame
        expect(forged.locator('[data-testid="embed"][data-standing="refused"]')).to_be_visible(timeout=SLOW)
        page.evaluate(
            """([origin]) => document.querySelector('iframe.forged').contentWindow
                .postMessage({pangting: 1, type: 'chord', action: 'search'}, origin)""",
            [server.base],
        )
        page.wait_for_timeout(500)
        expect(forged.get_by_test_id("kb-search")).to_have_count(0)
        assert page.evaluate("window.heard.filter((m) => m && m.pangting)") == []


def test_without_a_token_the_agent_signs_in_inside_the_frame(
    chromium: Browser, server: ServerProcess, ports: tuple[int, int], shoot, console_errors: list[str]
):
    page = new_page(chromium, 1000, 700, console_errors)
    with serving(make_server(Host(pangting=server.base, key="wrong", agent="agent-a"), ports[0])) as origin:
        page.goto(origin)
        frame = frame_of(page)
        frame.get_by_test_id("signin-username").fill("agent-a", timeout=SLOW)
        frame.get_by_test_id("signin-password").fill(server.passwords["agent-a"])
        shoot(page, "c3-sign-in")
        frame.get_by_test_id("signin-submit").click()
        expect(frame.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
        # Signing out leaves the sidebar in its place.
        frame.get_by_test_id("sign-out").click()
        expect(frame.get_by_test_id("signin-username")).to_be_visible(timeout=SLOW)
    assert console_errors == []
