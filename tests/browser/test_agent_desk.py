"""The agent's sidebar as a product: keys, notes and form that lose nothing, a place that never jumps, both themes clean by axe."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from loadtest.calls import new_call_id
from loadtest.server_process import ServerProcess
from tests.browser.page_checks import axe_violations, count_shifts, forget_shifts, layout_shift
from tests.browser.test_sidebar import SLOW, new_page, play_in_background, sign_in, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
MOST_SHIFT = 0.05
"""Half of what browsers call good, for lines that come in between others of the transcript; every region beside it stays where it is."""


def both_themes_clean(page: Page, name: str, shoot, found: list[str]) -> None:
    """What axe finds goes to ``found``, with the name of the screen, so that one run tells of every screen."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.wait_for_timeout(200)
        shoot(page, f"{name}-{theme}")
        found += [f"{name}, {theme}: {line}" for line in axe_violations(page)]


@contextlib.contextmanager
def api(server: ServerProcess, username: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.base}/api/v1", timeout=60) as client:
        body = client.post("/auth/login", json={"username": username, "password": server.passwords[username]}).json()
        client.headers["Authorization"] = f"Bearer {body['token']}"
        yield client


def test_a_call_from_idle_to_the_form_handed_in(chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]):
    found: list[str] = []
    page = new_page(chromium, 420, 900, console_errors)
    count_shifts(page)
    sign_in(page, server, "/agent", "agent-a")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    both_themes_clean(page, "a1-idle", shoot, found)
    call_id = new_call_id("desk")
    playing = play_in_background(server, call_id, "short")
    expect(page.get_by_test_id("agent-page")).to_have_attribute("data-call-id", call_id, timeout=SLOW)
    page.wait_for_timeout(500)
    forget_shifts(page)  # from idle to a call everything changes; from here on nothing may jump

    # While the call runs: a note is typed, the server does not answer, the page is not lost.
    page.route("**/notes", lambda route: route.abort() if route.request.method == "PUT" else route.continue_())
    page.keyboard.press("Alt+j")
    page.get_by_test_id("note-text").type("客户下午三点后方便")
    expect(page.get_by_test_id("save-state")).to_have_attribute("data-state", "waiting", timeout=SLOW)
    suggestion = page.locator('[data-testid="suggestion"][data-suggestion-id]').first
    expect(suggestion).to_be_visible(timeout=SLOW)
    assert page.evaluate("document.activeElement.dataset.testid") == "note-text", "what arrives takes no focus"
    page.keyboard.press("Alt+1")
    expect(page.get_by_test_id("feedback-used")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.activeElement.dataset.testid") == "note-text"
    moved, nodes = layout_shift(page)
    assert [node for node in nodes if not node.startswith("transcript")] == [], "only lines of the transcript may move"
    assert moved < MOST_SHIFT
    both_themes_clean(page, "a2-live", shoot, found)
    page.reload()
    expect(page.get_by_test_id("agent-page")).to_have_attribute("data-call-id", call_id, timeout=SLOW)
    page.keyboard.press("Alt+j")
    expect(page.get_by_test_id("note-text")).to_have_value("客户下午三点后方便", timeout=SLOW)
    page.unroute("**/notes")
    expect(page.get_by_test_id("save-state")).to_have_attribute("data-state", "saved", timeout=SLOW)

    # The card that is edited stays; the keys of the reasons work without the mouse.
    page.get_by_test_id("notes-open").click()
    if page.get_by_test_id("call-phase").get_attribute("data-phase") == "live":
        page.keyboard.press("Alt+x")
        expect(page.get_by_test_id("reject-wrong_topic")).to_be_visible()
        page.keyboard.press("4")
        expect(page.get_by_test_id("reject-wrong_topic")).to_have_count(0)

    playing.join(120)
    overall = page.get_by_test_id("form-overall")
    expect(overall).not_to_have_value("", timeout=SLOW)
    expect(page.get_by_test_id("form-category")).not_to_have_value("", timeout=SLOW)
    overall.fill("客户来电说明情况，已处理，回电 13912345678。")
    expect(page.locator('.form-foot [data-testid="save-state"]')).to_have_attribute("data-state", "saved", timeout=SLOW)
    page.reload()
    expect(overall).to_have_value("客户来电说明情况，已处理，回电 【手机号】。", timeout=SLOW)
    both_themes_clean(page, "a3-form", shoot, found)
    page.get_by_test_id("form-submit").click()
    expect(page.get_by_test_id("form")).to_have_attribute("data-submitted", "true", timeout=SLOW)
    expect(overall).to_be_disabled()
    page.get_by_test_id("versions").locator("summary").click()
    expect(page.locator('[data-testid="version"][data-version="2"] ins').first).to_contain_text("已处理", timeout=SLOW)
    both_themes_clean(page, "a4-submitted", shoot, found)
    page.get_by_test_id("form-reopen").click()
    expect(page.get_by_test_id("form")).to_have_attribute("data-submitted", "false", timeout=SLOW)
    with api(server, "agent-a") as client:
        notes = client.get(f"/calls/{call_id}/notes").json()["notes"]
        assert [note["text"] for note in notes] == ["客户下午三点后方便"]
        versions = client.get(f"/calls/{call_id}/artifacts/summary/versions").json()["versions"]
        assert [item["author_name"] for item in versions] == ["", "坐席甲"]
    assert found == []
    assert console_errors == []


@pytest.mark.slow  # plays a whole call of three minutes
def test_a_card_that_is_edited_is_never_replaced_and_newer_ones_are_counted(
    chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]
):
    page = new_page(chromium, 420, 900, console_errors)
    sign_in(page, server, "/agent", "agent-a")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    call_id = new_call_id("queue")
    playing = play_in_background(server, call_id, "demo")
    first = page.locator('[data-testid="suggestion"][data-kind="faq"], [data-testid="suggestion"][data-kind="article"]').first
    expect(first).to_be_visible(timeout=3 * SLOW)
    page.keyboard.press("Alt+e")
    held = page.get_by_test_id("suggestion").get_attribute("data-suggestion-id")
    page.get_by_test_id("edit-text").type("改")
    expect(page.get_by_test_id("queued-count")).to_be_visible(timeout=3 * SLOW)
    assert page.get_by_test_id("suggestion").get_attribute("data-suggestion-id") == held
    assert page.get_by_test_id("edit-text").input_value().endswith("改")
    shoot(page, "a5-queued")
    page.keyboard.press("Escape")
    wait_until(page, lambda: page.get_by_test_id("suggestion").get_attribute("data-suggestion-id") != held)
    playing.join(180)
    assert console_errors == []


def test_a_chord_is_given_another_key_for_this_person_everywhere(
    chromium: Browser, server: ServerProcess, shoot, console_errors: list[str]
):
    found: list[str] = []
    page = new_page(chromium, 360, 800, console_errors)
    sign_in(page, server, "/agent", "agent-a")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    page.keyboard.press("?")
    page.get_by_test_id("key-search").click()
    page.keyboard.press("Alt+1")
    expect(page.get_by_role("alert")).to_contain_text("Alt+1")
    page.keyboard.press("Alt+g")
    expect(page.get_by_test_id("key-search")).to_contain_text("Alt+G")
    both_themes_clean(page, "a6-keys", shoot, found)
    page.keyboard.press("Escape")
    other = new_page(chromium, 360, 800, console_errors)
    sign_in(other, server, "/agent", "agent-a")
    expect(other.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    other.keyboard.press("Alt+g")
    wait_until(other, lambda: other.evaluate("document.activeElement?.dataset.testid") == "kb-input")
    other.get_by_test_id("kb-input").fill("信用卡丢了怎么办")
    expect(other.get_by_test_id("kb-hit").first).to_be_visible(timeout=SLOW)
    both_themes_clean(other, "a7-search", shoot, found)
    with api(server, "agent-a") as client:
        assert client.get("/me/preferences").json()["keys"] == {"search": "Alt+G"}
        client.put("/me/preferences", json={"keys": {}, "style": "standard"})
    assert found == []
    assert console_errors == []


@pytest.mark.parametrize("width", [320, 500, 1100])
def test_nothing_sticks_out_at_any_width_and_at_twice_the_size(
    chromium: Browser, server: ServerProcess, shoot, console_errors: list[str], width: int
):
    page = new_page(chromium, width, 800, console_errors)
    sign_in(page, server, "/agent", "agent-a")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "online", timeout=SLOW)
    for zoom in (1, 2):
        # A browser's zoom makes the window smaller in its own pixels.
        page.set_viewport_size({"width": width // zoom, "height": 800 // zoom})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{width} px at {zoom * 100} %"
    shoot(page, f"a8-width-{width}")
    assert console_errors == []
