"""A real Chromium (Debian's package) against a real server. Screenshots go to reports/screenshots."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from loadtest.server_process import ROOT, ServerProcess

SHOTS = ROOT / "reports" / "screenshots"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--lang=zh-CN",
]  # fmt: skip


def chromium_program() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for each file: while Playwright's loop runs, no asynchronous test of another file can run in the same process."""
    program = chromium_program()
    if program is None:
        message = "No Chromium found: install Debian's chromium package (make setup-dev does)."
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(data_dir=tmp_path_factory.mktemp("browser"))
    running.prepare({"agent-a": ("agent", "坐席甲"), "inspector": ("inspector", "质检员")})
    running.start()
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def shoot() -> Callable[[Page, str], Path]:
    SHOTS.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> Path:
        path = SHOTS / f"{name}.png"
        page.screenshot(path=path)
        return path

    return take


@pytest.fixture
def console_errors() -> list[str]:
    return []
