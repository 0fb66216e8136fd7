"""The README's picture: the sidebar in the middle of the demo call, taken from a real server in a real Chromium."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from loadtest.calls import send
from loadtest.server_process import ROOT, ServerProcess

AT_S = 92.0
"""Seconds into the demo call: after the second need, with a card, a checklist and an alert on the screen."""


def main() -> None:
    target = ROOT / "docs" / "images" / "sidebar.png"
    with tempfile.TemporaryDirectory(prefix="pangting-shot-") as scratch:
        server = ServerProcess(data_dir=Path(scratch))
        server.prepare({"agent-a": ("agent", "演示坐席")})
        server.start()
        with server, sync_playwright() as playwright:
            server.wait_ready()
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_context(viewport={"width": 460, "height": 940}, locale="zh-CN", device_scale_factor=1.5).new_page()
            page.goto(f"{server.base}/agent")
            page.get_by_test_id("signin-username").fill("agent-a")
            page.get_by_test_id("signin-password").fill(server.passwords["agent-a"])
            page.get_by_test_id("signin-submit").click()
            page.get_by_test_id("idle").wait_for()
            playing = threading.Thread(target=lambda: asyncio.run(send(server, "demo-call", "demo", protocol="twilio")), daemon=True)
            begun = time.monotonic()
            playing.start()
            page.wait_for_timeout(1000 * max(0.0, AT_S - (time.monotonic() - begun)))
            page.screenshot(path=target)
            browser.close()
    print(target)


if __name__ == "__main__":
    main()
