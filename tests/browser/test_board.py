"""The supervisors' live board: a call is watched as it is spoken, gets a whisper and a note, and goes; hundreds of lines; signing out."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from loadtest.calls import new_call_id
from loadtest.server_process import ServerProcess
from tests.browser.page_checks import axe_violations
from tests.browser.test_sidebar import SLOW, new_page, play_in_background, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(data_dir=tmp_path_factory.mktemp("board"))
    running.prepare({"agent-a": ("agent", "坐席甲"), "inspector": ("inspector", "质检员")})
    running.start()
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


def test_a_supervisor_watches_whispers_and_takes_a_note(chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]):
    board = new_page(chromium, 1280, 800, console_errors)
    sign_in(board, server, "/board", "inspector")
    expect(board.get_by_test_id("board-empty")).to_be_visible(timeout=SLOW)
    found = [f"empty: {line}" for line in axe_violations(board)]
    agent = new_page(chromium, 420, 900, console_errors)
    sign_in(agent, server, "/agent", "agent-a")
    expect(agent.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    call_id = new_call_id("watched")
    playing = play_in_background(server, call_id, "demo", cut_off=True)
    row = board.locator(f'[data-testid="board-row"][data-call-id="{call_id}"]')
    expect(row).to_be_visible(timeout=SLOW)
    expect(row).to_contain_text("坐席甲")
    row.get_by_test_id("board-open").click()
    expect(row.locator('[data-testid="utterance"]').first).to_be_visible(timeout=SLOW)
    row.get_by_test_id("whisper-text").fill("先核实身份，再说时限")
    row.get_by_test_id("whisper-send").click()
    expect(agent.get_by_test_id("whisper")).to_contain_text("先核实身份，再说时限", timeout=SLOW)
    agent.keyboard.press("Alt+a")
    expect(agent.get_by_test_id("whisper")).to_have_count(0)
    row.get_by_test_id("board-note").fill("开场规范")
    expect(row.locator('[data-testid="save-state"][data-state="saved"]')).to_be_visible(timeout=SLOW)
    for theme in ("light", "dark"):
        board.emulate_media(color_scheme=theme)
        shoot(board, f"b1-board-{theme}")
        found += [f"open, {theme}: {line}" for line in axe_violations(board)]
    with httpx.Client(base_url=f"{server.base}/api/v1", timeout=60) as client:
        for who, notes in (("inspector", ["开场规范"]), ("agent-a", [])):
            body = client.post("/auth/login", json={"username": who, "password": server.passwords[who]}).json()
            answer = client.get(f"/calls/{call_id}/notes", headers={"Authorization": f"Bearer {body['token']}"})
            assert [note["text"] for note in answer.json()["notes"]] == notes
    ended = httpx.post(f"{server.base}/api/v1/telephony/calls/{call_id}/end", headers={"Authorization": f"Bearer {server.key}"}, timeout=60)
    assert ended.is_success, ended.text
    playing.join(60)
    expect(row).to_have_count(0, timeout=SLOW)
    assert found == []
    assert console_errors == []


def test_signing_out_elsewhere_of_the_same_session_closes_the_board(chromium: Browser, server: ServerProcess, console_errors: list[str]):
    page = new_page(chromium, 1280, 800, console_errors)
    sign_in(page, server, "/board", "inspector")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    token = page.evaluate("JSON.parse(sessionStorage.getItem('pangting.session')).token")
    httpx.post(f"{server.base}/api/v1/auth/logout", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    expect(page.get_by_test_id("signin-username")).to_be_visible(timeout=SLOW)
    assert console_errors == []


def test_hundreds_of_lines_stay_quick(chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]):
    """The feed's messages for 600 calls, made up at the socket: what changes is drawn, and what is read stays where it is."""
    page = new_page(chromium, 1280, 800, console_errors)
    page.add_init_script(_MANY)
    sign_in(page, server, "/board", "inspector")
    rows = page.get_by_test_id("board-row")
    expect(rows).to_have_count(600, timeout=SLOW)
    page.mouse.move(5, 5)  # from the sign-in button, over which the list stands now
    page.wait_for_timeout(200)
    drawn = page.evaluate(
        """async () => {
            const list = document.querySelector('.board-rows');
            window.push({type: 'board', reset: false, gone: [], rows: [window.line(599, {risk: 0.99, seq: 9, alerts: {critical: 3}})]});
            await new Promise((done) => setTimeout(done, 300));
            return {first: list.firstElementChild.dataset.callId, chips: list.querySelectorAll('.alert-chip.critical').length};
        }"""
    )
    assert drawn == {"first": "many-599", "chips": 1}
    page.locator('[data-call-id="many-5"] .row-open').hover()
    top = "rows => rows.slice(0, 20).map(r => r.dataset.callId)"
    before = page.eval_on_selector_all('[data-testid="board-row"]', top)
    page.evaluate("window.push({type: 'board', reset: false, gone: [], rows: [window.line(300, {risk: 0.999, seq: 9})]})")
    page.wait_for_timeout(300)
    after = page.eval_on_selector_all('[data-testid="board-row"]', top)
    assert after == before, "while somebody reads, lines keep their places"
    page.mouse.move(5, 5)
    expect(rows.first).to_have_attribute("data-call-id", "many-300")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('.board-row').dataset.callId") == "many-300"
    shoot(page, "b2-many")
    assert console_errors == []


_MANY = """
window.line = (i, more = {}) => ({
  call_id: `many-${i}`, started_at: new Date(Date.now() - i * 1000).toISOString(), agent_id: `u${i}`, agent_name: `坐席${i}`,
  team_id: 'cards', own: false, language: 'zh', direction: 'inbound', skill: '', held_since: null,
  mood: '', mood_trend: '', mood_confidence: 0, complaint_risk: 0, alerts: {}, last_rule: '', intent: '', whispers: 0, down: [], seq: 1,
  risk: 0.5 - i / 10000, ...more,
});
const Real = window.WebSocket;
window.WebSocket = class extends Real {
  set onmessage(listener) {
    window.push = (message) => listener({data: JSON.stringify(message)});
    super.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type === 'board') window.push({...message, rows: Array.from({length: 600}, (_, i) => window.line(i))});
      else listener(event);
    };
  }
};
"""
