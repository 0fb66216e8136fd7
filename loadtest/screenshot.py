"""The README's pictures: the sidebar in the middle of the demo call, and the call's page after it; real server, real Chromium."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from loadtest.calls import send
from loadtest.server_process import ROOT, ServerProcess

AT_S = 92.0
"""Seconds into the demo call: after the second need, with a card, a checklist and an alert on the screen."""


AFTER_CALL_S = 120.0
"""How long the after-call work may take before the picture is given up."""


def signed_in(browser: Browser, server: ServerProcess, path: str, username: str, width: int, height: int) -> Page:
    page = browser.new_context(viewport={"width": width, "height": height}, locale="zh-CN", device_scale_factor=1.5).new_page()
    page.goto(f"{server.base}{path}")
    page.get_by_test_id("signin-username").fill(username)
    page.get_by_test_id("signin-password").fill(server.passwords[username])
    page.get_by_test_id("signin-submit").click()
    page.get_by_test_id("signin-submit").wait_for(state="detached")
    return page


def main() -> None:
    images = ROOT / "docs" / "images"
    with tempfile.TemporaryDirectory(prefix="pangting-shot-") as scratch:
        server = ServerProcess(data_dir=Path(scratch))
        server.prepare({"agent-a": ("agent", "演示坐席"), "inspector-a": ("inspector", "演示质检")})
        server.start()
        with server, sync_playwright() as playwright:
            server.wait_ready()
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
            page = signed_in(browser, server, "/agent", "agent-a", 460, 940)
            page.get_by_test_id("idle").wait_for()
            playing = threading.Thread(target=lambda: asyncio.run(send(server, "demo-call", "demo", protocol="twilio")), daemon=True)
            begun = time.monotonic()
            playing.start()
            page.wait_for_timeout(1000 * max(0.0, AT_S - (time.monotonic() - begun)))
            page.screenshot(path=images / "sidebar.png")
            playing.join()
            page = signed_in(browser, server, "/calls/demo-call", "inspector-a", 1280, 900)
            page.get_by_test_id("tab-qa").click(timeout=1000 * AFTER_CALL_S)
            page.get_by_test_id("qa-score").wait_for(timeout=1000 * AFTER_CALL_S)
            page.screenshot(path=images / "call.png")
            browser.close()
    print(images / "sidebar.png", images / "call.png", sep="\n")


if __name__ == "__main__":
    main()
