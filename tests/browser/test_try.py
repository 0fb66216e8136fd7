"""A person with a microphone in a real browser: Start, be understood, End; and each way in which it may not come to that.

The microphone is Chromium's own fake device, which plays the customer's side of a scenario call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from playwright.sync_api import Browser, BrowserType, Page, expect

from loadtest.calls import audio
from loadtest.server_process import ServerProcess, free_port
from tests.browser.cable import Cable
from tests.browser.conftest import FLAGS, chromium_program
from tests.browser.test_sidebar import SLOW, new_page, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cable() -> Iterator[Cable]:
    cable = Cable(free_port())
    yield cable
    cable.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, cable: Cable) -> Iterator[ServerProcess]:
    """Pages reach its telephony through a cable that the tests may cut."""
    settings = {"PANGTING_TELEPHONY__BROWSER_CALLS": "1", "PANGTING_TELEPHONY__PUBLIC_URL": f"ws://127.0.0.1:{cable.port}"}
    running = ServerProcess(data_dir=tmp_path_factory.mktemp("try"), telephony_port=cable.to_port, settings=settings)
    running.prepare({"agent-a": ("agent", "坐席甲"), "agent-b": ("agent", "坐席乙")})
    running.start()
    try:
        running.wait_ready(timeout_s=240)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def customer_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the customer says in the short call, as a 16-bit WAV of one channel."""
    samples, rate = soundfile.read(str(audio("short")), dtype="int16", always_2d=True)
    path = tmp_path_factory.mktemp("voice") / "customer.wav"
    soundfile.write(str(path), samples[:, 0], rate, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def speaking(chromium: Browser, customer_voice: Path) -> Iterator[Browser]:
    """A browser whose person allows the microphone, which plays the voice once for whoever opens it."""
    voice = f"--use-file-for-fake-audio-capture={customer_voice}%noloop"
    yield from launched(chromium.browser_type, ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", voice])


@pytest.fixture(scope="module")
def refusing(chromium: Browser) -> Iterator[Browser]:
    """A browser whose person allows no microphone; ``desk.test`` is this machine by a name that browsers do not take for it."""
    names = "--host-resolver-rules=MAP desk.test 127.0.0.1"
    yield from launched(chromium.browser_type, ["--use-fake-device-for-media-stream", "--deny-permission-prompts", names])


def launched(kind: BrowserType, flags: list[str]) -> Iterator[Browser]:
    browser = kind.launch(executable_path=chromium_program(), args=[*FLAGS, *flags])
    yield browser
    browser.close()


OpenPage = Callable[[Browser, int, int], Page]


@pytest.fixture
def open_page(console_errors: list[str]) -> Iterator[OpenPage]:
    """Pages that are closed after the test, whatever became of it: a call that went on would be in the next one's way."""
    pages: list[Page] = []

    def open_one(browser: Browser, width: int, height: int) -> Page:
        page = new_page(browser, width, height, console_errors)
        page.set_default_timeout(2 * SLOW)
        pages.append(page)
        return page

    yield open_one
    for page in pages:
        page.context.close()


def line(page: Page):
    return page.get_by_test_id("line")


def finals(page: Page):
    return page.locator('[data-testid="utterance"][data-partial="false"]')


def call(page: Page, path: str) -> dict[str, Any]:
    """What the API answers to the page's own session."""
    return page.evaluate(
        """async (path) => {
            const { token } = JSON.parse(sessionStorage.getItem('pangting.session'));
            return (await fetch(`/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } })).json();
        }""",
        path,
    )


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_person_speaks_and_sees_a_suggestion(
    speaking: Browser, server: ServerProcess, shoot, open_page: OpenPage, console_errors: list[str]
):
    page = open_page(speaking, 420, 900)
    sign_in(page, server, "/try", "agent-a")
    expect(page.get_by_test_id("try-setup")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("try-role-customer")).to_be_checked()
    shoot(page, "try-1-setup")
    page.get_by_test_id("try-start").click()
    expect(line(page)).to_have_attribute("data-state", "live", timeout=SLOW)
    expect(page.get_by_test_id("call-phase")).to_have_attribute("data-phase", "live", timeout=SLOW)
    question = finals(page).filter(has_text="密码")
    expect(question).to_be_visible(timeout=SLOW)
    expect(question).to_have_attribute("data-channel", "customer")
    suggestion = page.locator('[data-testid="suggestion"][data-suggestion-id]').first
    expect(suggestion).to_be_visible(timeout=SLOW)
    expect(suggestion).to_contain_text("密码")
    shoot(page, "try-2-live")
    call_id = page.get_by_test_id("try-page").get_attribute("data-call-id")
    assert call_id is not None
    page.keyboard.press("Alt+Shift+M")
    expect(line(page)).to_have_attribute("data-state", "ended", timeout=SLOW)
    expect(page.get_by_test_id("tab-summary")).to_have_attribute("data-ready", "true", timeout=SLOW)
    shoot(page, "try-3-ended")
    page.get_by_role("link", name="通话", exact=True).click()
    row = page.locator(f'[data-testid="call-row"][data-call-id="{call_id}"]')
    expect(row).to_have_attribute("data-phase", "ended", timeout=SLOW)
    assert console_errors == []


def test_a_line_that_breaks_goes_on_where_it_was(
    speaking: Browser, server: ServerProcess, cable: Cable, shoot, open_page: OpenPage, console_errors: list[str]
):
    """The first question is heard before the cut, the second after it: one call, and no second of it missing."""
    page = open_page(speaking, 1280, 800)
    sign_in(page, server, "/try", "agent-a")
    page.get_by_test_id("try-start").click()
    expect(finals(page).filter(has_text="密码")).to_be_visible(timeout=SLOW)
    call_id = page.get_by_test_id("try-page").get_attribute("data-call-id")
    before = cable.carried
    cable.cut()
    expect(line(page)).to_have_attribute("data-state", "waiting", timeout=SLOW)
    shoot(page, "try-5-line-lost")
    cable.mend()
    expect(line(page)).to_have_attribute("data-state", "live", timeout=SLOW)
    assert cable.carried > before
    expect(finals(page).filter(has_text="开门")).to_be_visible(timeout=SLOW)
    shoot(page, "try-6-line-back")
    assert page.get_by_test_id("try-page").get_attribute("data-call-id") == call_id
    page.get_by_test_id("try-end").click()
    expect(line(page)).to_have_attribute("data-state", "ended", timeout=SLOW)
    events = [row["event"] for row in call(page, f"/calls/{call_id}/events")["events"]]
    assert [event["type"] for event in events if event["type"] == "media_gap"] == [], "what was said meanwhile came later, and whole"
    assert [event["reason"] for event in events if event["type"] == "call_ended"] == ["hangup"]
    # The browser itself complains of sockets that could not be opened; the page's own scripts do not.
    assert console_errors == []


def test_a_file_is_a_call_too_and_pauses_by_keyboard(
    chromium: Browser, server: ServerProcess, customer_voice: Path, shoot, open_page: OpenPage, console_errors: list[str]
):
    page = open_page(chromium, 320, 900)
    page.emulate_media(color_scheme="dark")
    sign_in(page, server, "/try", "agent-a")
    page.get_by_test_id("try-source-file").check()
    expect(page.get_by_test_id("try-start")).to_be_disabled()
    page.get_by_test_id("try-file").set_input_files(customer_voice)
    page.keyboard.press("Alt+m")
    expect(line(page)).to_have_attribute("data-state", "live", timeout=SLOW)
    page.keyboard.press("Alt+m")
    expect(line(page)).to_have_attribute("data-state", "paused")
    expect(page.get_by_test_id("try-level")).to_have_attribute("data-level", "0.00", timeout=SLOW)
    shoot(page, "try-7-paused-dark")
    assert fits(page)
    page.keyboard.press("Alt+m")
    expect(line(page)).to_have_attribute("data-state", "ended", timeout=5 * SLOW)
    expect(finals(page).filter(has_text="密码")).to_be_visible(timeout=SLOW)
    expect(finals(page).filter(has_text="开门")).to_be_visible()
    page.get_by_test_id("try-again").click()
    expect(page.get_by_test_id("try-setup")).to_be_visible()
    assert console_errors == []


def test_one_call_at_once_is_said_in_words(
    speaking: Browser, chromium: Browser, server: ServerProcess, customer_voice: Path, shoot, open_page: OpenPage, console_errors: list[str]
):
    first = open_page(speaking, 420, 900)
    sign_in(first, server, "/try", "agent-b")
    first.get_by_test_id("try-start").click()
    expect(line(first)).to_have_attribute("data-state", "live", timeout=SLOW)
    second = open_page(chromium, 420, 900)
    sign_in(second, server, "/try", "agent-b")
    second.get_by_test_id("try-source-file").check()
    second.get_by_test_id("try-file").set_input_files(customer_voice)
    second.get_by_test_id("try-start").click()
    problem = second.get_by_test_id("try-problem")
    expect(problem).to_have_attribute("data-problem", "full", timeout=SLOW)
    expect(problem).to_contain_text("in another window")
    shoot(second, "try-8-full")
    expect(line(first)).to_have_attribute("data-state", "live")
    # Who leaves the page ends the call, and makes room.
    first.get_by_role("link", name="通话", exact=True).click()
    expect(first.locator('[data-testid="call-row"]').first).to_have_attribute("data-phase", "ended", timeout=SLOW)
    second.get_by_test_id("try-start").click()
    expect(line(second)).to_have_attribute("data-state", "live", timeout=SLOW)
    assert console_errors == []


def test_a_refused_microphone_says_what_to_do(
    refusing: Browser, server: ServerProcess, shoot, open_page: OpenPage, console_errors: list[str]
):
    page = open_page(refusing, 360, 800)
    sign_in(page, server, "/try", "agent-a")
    page.get_by_test_id("try-start").click()
    problem = page.get_by_test_id("try-problem")
    expect(problem).to_have_attribute("data-problem", "denied", timeout=SLOW)
    expect(problem).to_contain_text("地址栏")
    expect(page.get_by_test_id("try-start")).to_be_enabled()
    shoot(page, "try-4-denied")
    assert console_errors == []


def test_an_address_without_https_says_what_to_do(refusing: Browser, server: ServerProcess, shoot, open_page: OpenPage):
    page = open_page(refusing, 360, 800)
    page.goto(f"http://desk.test:{server.http_port}/try")
    page.get_by_test_id("signin-username").fill("agent-a")
    page.get_by_test_id("signin-password").fill(server.passwords["agent-a"])
    page.get_by_test_id("signin-submit").click()
    expect(page.get_by_test_id("try-page")).to_have_attribute("data-obstacle", "insecure", timeout=SLOW)
    expect(page.get_by_test_id("try-page")).to_contain_text(f"http://localhost:{server.http_port}/try")
    shoot(page, "try-9-insecure")


def test_a_line_that_cannot_be_reached_is_not_called_a_broken_network(
    speaking: Browser, server: ServerProcess, cable: Cable, open_page: OpenPage
):
    page = open_page(speaking, 420, 900)
    sign_in(page, server, "/try", "agent-a")
    cable.cut()
    page.get_by_test_id("try-start").click()
    expect(page.get_by_test_id("try-problem")).to_have_attribute("data-problem", "unreachable", timeout=SLOW)
    cable.mend()
    page.get_by_test_id("try-start").click()
    expect(line(page)).to_have_attribute("data-state", "live", timeout=SLOW)


def test_off_is_said_plainly_with_the_setting_that_turns_it_on(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory, shoot, open_page: OpenPage, console_errors: list[str]
):
    with ServerProcess(data_dir=tmp_path_factory.mktemp("off")) as server:
        server.prepare({"agent-a": ("agent", "坐席甲"), "ops": ("ops_admin", "运维")})
        server.start()
        server.wait_ready(timeout_s=240)
        page = open_page(chromium, 360, 800)
        sign_in(page, server, "/try", "agent-a")
        expect(page.get_by_test_id("try-page")).to_have_attribute("data-obstacle", "off", timeout=SLOW)
        expect(page.get_by_test_id("try-page")).to_contain_text("PANGTING_TELEPHONY__BROWSER_CALLS")
        expect(page.get_by_test_id("try-start")).to_have_count(0)
        shoot(page, "try-10-off")
        page.get_by_role("link", name="坐席", exact=True).click()
        expect(page.get_by_role("link", name="试一试", exact=True)).to_have_count(0)
        admin = open_page(chromium, 1280, 800)
        sign_in(admin, server, "/calls", "ops")
        admin.get_by_role("link", name="试一试", exact=True).click()
        expect(admin.get_by_test_id("try-page")).to_have_attribute("data-obstacle", "off")
    assert console_errors == []


@pytest.mark.parametrize(("width", "dark", "language"), [(320, False, "zh"), (320, True, "en"), (768, False, "en"), (1280, True, "zh")])
def test_the_form_fits_every_width(
    chromium: Browser, server: ServerProcess, shoot, open_page: OpenPage, console_errors: list[str], width: int, dark: bool, language: str
):
    page = open_page(chromium, width, 800)
    page.emulate_media(color_scheme="dark" if dark else "light")
    sign_in(page, server, "/try", "agent-a")
    expect(page.get_by_test_id("try-setup")).to_be_visible(timeout=SLOW)
    if language == "en":
        page.get_by_test_id("language-switch").click()
        expect(page.get_by_test_id("try-start")).to_contain_text("Start")
    shoot(page, f"try-form-{width}-{'dark' if dark else 'light'}-{language}")
    assert fits(page), f"something sticks out at {width} px"
    assert console_errors == []
