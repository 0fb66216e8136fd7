"""The agent's sidebar and the supervisor's pages in a real browser, on a real call."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from copilot.domain.errors import RemoteProtocolError
from loadtest.calls import new_call_id, send
from loadtest.server_process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]
SLOW = 60_000


def sign_in(page: Page, server: ServerProcess, path: str, username: str) -> None:
    page.goto(f"{server.base}{path}")
    page.get_by_test_id("signin-username").fill(username)
    page.get_by_test_id("signin-password").fill(server.passwords[username])
    page.get_by_test_id("signin-submit").click()


def play_in_background(server: ServerProcess, call_id: str, name: str, *, speed: float = 1.0, cut_off: bool = False) -> threading.Thread:
    """``cut_off``: the server goes away during the call, so the sender may end with a protocol error."""

    def run() -> None:
        with contextlib.suppress(*([RemoteProtocolError] if cut_off else [])):
            asyncio.run(send(server, call_id, name, protocol="twilio", speed=speed))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def position(page: Page) -> int:
    """Where the player is, ms of media time."""
    return int(page.get_by_test_id("audio-player").get_attribute("data-position-ms") or 0)


def wait_until(page: Page, true: Callable[[], bool]) -> None:
    """The page's policy forbids evaluated scripts, so that the browser's own waiting for a condition does not work."""
    for _ in range(SLOW // 100):
        if true():
            return
        page.wait_for_timeout(100)
    pytest.fail("not within a minute")


def new_page(chromium: Browser, width: int, height: int, errors: list[str]) -> Page:
    context = chromium.new_context(viewport={"width": width, "height": height}, locale="zh-CN")
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    return page


def test_an_agent_sees_partials_a_cited_suggestion_and_the_artifacts(
    chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]
):
    page = new_page(chromium, 420, 900, console_errors)
    sign_in(page, server, "/agent", "agent-a")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    shoot(page, "1-idle")
    call_id = new_call_id("browser")
    playing = play_in_background(server, call_id, "short")

    partial = page.locator('[data-testid="utterance"][data-partial="true"]').first
    expect(partial).to_be_visible(timeout=SLOW)
    suggestion = page.locator('[data-testid="suggestion"][data-suggestion-id]').first
    expect(suggestion).to_be_visible(timeout=SLOW)
    expect(suggestion.get_by_test_id("source-line")).to_contain_text("v1")
    expect(page.get_by_test_id("intent").first).to_be_visible()
    shoot(page, "2-live")
    page.get_by_test_id("feedback-used").click()

    playing.join(120)
    for kind in ("summary", "ticket", "qa"):
        expect(page.get_by_test_id(f"tab-{kind}")).to_have_attribute("data-ready", "true", timeout=SLOW)
    page.get_by_test_id("tab-qa").click()
    expect(page.get_by_test_id("qa-item").first).to_be_visible()
    shoot(page, "3-after-call")
    used = page.evaluate(
        """async (id) => {
            const token = JSON.parse(JSON.stringify(sessionStorage));
            const value = Object.values(token).map((v) => { try { return JSON.parse(v) } catch { return {token: v} } })
              .map((v) => v.token ?? v).find((v) => typeof v === 'string' && v.length > 20);
            const r = await fetch(`/api/v1/calls/${id}`, {headers: {authorization: `Bearer ${value}`}});
            return (await r.json()).suggestions_used;
        }""",
        call_id,
    )
    assert used == 1, "the click on 采用 reached the store"
    assert console_errors == []


def test_a_supervisor_opens_the_call_and_hears_the_evidence(chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]):
    call_id = new_call_id("evidence")
    play_in_background(server, call_id, "short", speed=4).join(60)
    page = new_page(chromium, 1360, 900, console_errors)
    sign_in(page, server, "/calls", "inspector")
    row = page.locator(f'[data-testid="call-row"][data-call-id="{call_id}"]')
    expect(row).to_be_visible(timeout=SLOW)
    shoot(page, "4-calls")
    row.click()
    expect(page.get_by_test_id("call-page")).to_have_attribute("data-call-id", call_id)
    expect(page.get_by_test_id("tab-qa")).to_have_attribute("data-ready", "true", timeout=SLOW)
    page.get_by_test_id("tab-qa").click()
    evidence = page.get_by_test_id("evidence").first
    expect(evidence).to_be_visible()
    evidence.click()
    player = page.get_by_test_id("audio-player")
    expect(player).to_have_attribute("data-playing", "true", timeout=SLOW)
    shoot(page, "5-call-page")
    assert console_errors == []


def test_the_listening_copy_is_played_masked_in_step_with_the_transcript(
    chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]
):
    call_id = new_call_id("copy")
    play_in_background(server, call_id, "demo", speed=4).join(120)
    page = new_page(chromium, 1360, 900, console_errors)
    sign_in(page, server, "/calls", "inspector")
    page.locator(f'[data-testid="call-row"][data-call-id="{call_id}"]').click(timeout=SLOW)
    player = page.get_by_test_id("audio-player")
    expect(player).to_have_attribute("data-source", "copy", timeout=SLOW)
    expect(player).to_have_attribute("data-masked", "true")
    expect(page.get_by_test_id("audio-source")).to_contain_text("已遮蔽")
    expect(page.get_by_test_id("original")).to_have_count(0)
    assert page.locator("rect.wave-hidden").count() > 0, "a card tail and a telephone number are read out in this call"
    wait_until(page, lambda: page.evaluate("document.querySelector('audio').readyState") > 0)
    total = page.evaluate("Number(document.querySelector('[data-testid=scrub]').max)")
    assert abs(page.evaluate("document.querySelector('audio').duration") * 1000 - total) < 1
    # The line with a token in it: the player goes to where it was said, and the line is the one that is marked.
    line = page.locator('[data-testid="utterance"]', has=page.locator(".secret")).first
    said = line.get_attribute("data-utterance-id")
    line.locator(".seek").click()
    expect(player).to_have_attribute("data-playing", "true", timeout=SLOW)
    expect(page.locator(f'.line.active[data-utterance-id="{said}"]')).to_be_visible(timeout=SLOW)
    page.get_by_test_id("channel-customer").click()
    expect(player).to_have_attribute("data-channel", "customer")
    before = position(page)
    wait_until(page, lambda: position(page) > before + 200)
    shoot(page, "8-listening-copy")
    page.get_by_test_id("play").click()

    own = new_page(chromium, 1360, 900, console_errors)
    sign_in(own, server, f"/calls/{call_id}", "agent-a")
    player = own.get_by_test_id("audio-player")
    expect(player).to_have_attribute("data-masked", "true", timeout=SLOW)
    own.get_by_test_id("original").click()
    expect(player).to_have_attribute("data-masked", "false")
    expect(own.locator("rect.wave-hidden")).to_have_count(0)
    own.get_by_test_id("play").click()
    wait_until(own, lambda: position(own) > 300)
    shoot(own, "9-original")
    assert console_errors == []


def test_the_sidebar_survives_a_server_restart(chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]):
    page = new_page(chromium, 420, 900, console_errors)
    sign_in(page, server, "/agent", "agent-a")
    connection = page.get_by_test_id("connection")
    expect(connection).to_have_attribute("data-state", "online", timeout=SLOW)
    before = new_call_id("before")
    play_in_background(server, before, "short", cut_off=True)
    finals = page.locator('[data-testid="utterance"][data-partial="false"]')
    expect(finals.first).to_be_visible(timeout=SLOW)
    server.kill()
    expect(connection).not_to_have_attribute("data-state", "online", timeout=SLOW)
    kept = finals.count()
    assert kept >= 1, "what was heard stays on the screen while the server is away"
    shoot(page, "6-reconnecting")
    server.start()
    server.wait_ready()
    expect(connection).to_have_attribute("data-state", "online", timeout=SLOW)
    expect(page.get_by_test_id("call-phase")).to_have_attribute("data-phase", "ended", timeout=SLOW)
    ids = page.eval_on_selector_all('[data-testid="utterance"][data-partial="false"]', "rows => rows.map(r => r.dataset.utteranceId)")
    assert len(ids) == len(set(ids)) >= kept, "nothing is shown twice or lost"
    after = new_call_id("after")
    playing = play_in_background(server, after, "short")
    expect(page.get_by_test_id("agent-page")).to_have_attribute("data-call-id", after, timeout=SLOW)
    expect(page.locator('[data-testid="suggestion"][data-suggestion-id]').first).to_be_visible(timeout=SLOW)
    shoot(page, "7-after-restart")
    playing.join(60)


def test_english_and_dark(chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]):
    page = new_page(chromium, 360, 800, console_errors)
    page.emulate_media(color_scheme="dark")
    page.goto(f"{server.base}/agent")
    page.get_by_test_id("language-switch").first.click()
    expect(page.get_by_test_id("signin-submit")).to_contain_text("Sign in")
    shoot(page, "8-sign-in-dark-en")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out at 360 px"
