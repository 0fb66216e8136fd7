"""Customer speech end → suggestion painted, measured in a real Chromium on real two-channel calls: ``python -m loadtest.painted``.

A real server, a browser page an agent, calls in real time. The page notes the frame in which each card first stands; its clock is mapped to
the machine's. docs/explanation/screen-latency.md says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from loadtest.calls import audio, gold, new_call_id, signed_in
from loadtest.painted_score import ClockMap, Wait, map_clock, summary, table, waits
from loadtest.server_process import ROOT, ServerProcess
from streaming.calling import FRAME_MS
from streaming.play import play

Json = dict[str, Any]
SCENARIOS = ("demo", "transfer", "load/stolen-card", "load/mortgage", "load/instalment", "load/account-freeze")
LIMITS_MS = {1: 1200, 4: 2000}
"""p95 that must not be passed, by calls at once; other levels are measured without a limit."""
_PAINTED = """
window.painted = {};
const seen = new Set();
const look = () => {
  for (const card of document.querySelectorAll('[data-testid="suggestion"][data-suggestion-id]')) {
    const id = card.dataset.suggestionId;
    if (seen.has(id)) continue;
    seen.add(id);
    // The first callback runs before the frame with the card is drawn, the second once it was.
    requestAnimationFrame(() => requestAnimationFrame((now) => { window.painted[id] = (performance.timeOrigin + now) / 1000; }));
  }
};
new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['data-suggestion-id']});
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRun:
    """One call: its waits, cards that were never painted, and how well the page's clock is known."""

    scenario: str
    waits: list[Wait]
    not_painted: list[str]
    clock: ClockMap
    late_ms: float


async def _clock(page: Page) -> ClockMap:
    samples = []
    for _ in range(15):
        asked = time.time()
        there = await page.evaluate("(performance.timeOrigin + performance.now()) / 1000")
        samples.append((asked, float(there), time.time()))
    return map_clock(samples)


async def _open(browser: Browser, server: ServerProcess, agent: str) -> Page:
    context = await browser.new_context(viewport={"width": 420, "height": 900}, locale="zh-CN")
    page = await context.new_page()
    await page.add_init_script(_PAINTED)
    await page.goto(f"{server.base}/agent")
    await page.get_by_test_id("signin-username").fill(agent)
    await page.get_by_test_id("signin-password").fill(server.passwords[agent])
    await page.get_by_test_id("signin-submit").click()
    await page.locator('[data-testid="connection"][data-state="online"]').wait_for(timeout=60_000)
    return page


async def _call(server: ServerProcess, page: Page, agent: str, scenario: str, delay_s: float) -> CallRun:
    """Plays a scenario to this agent's page. The call's own end is waited for, so that the last card counts too."""
    await asyncio.sleep(delay_s)
    began: list[float] = []

    def note(event: Json) -> None:
        if event.get("type") == "playing" and not began:
            began.append(time.time() - FRAME_MS / 1000)

    await page.evaluate("() => { window.painted = {}; }")
    call_id = new_call_id("painted")
    url = server.telephony_url("raw")
    result = await play(audio(scenario), protocol="raw", url=url, key=server.key, call_id=call_id, metadata={"agent": agent}, on_event=note)
    phase = page.locator(f'[data-call-id="{call_id}"] [data-testid="call-phase"][data-phase="ended"]')
    await phase.wait_for(timeout=120_000)
    clock = await _clock(page)
    painted = {key: float(at) + clock.offset_s for key, at in (await page.evaluate("() => window.painted")).items()}
    async with signed_in(server, agent) as client:
        events = (await client.get(f"/calls/{call_id}/events", limit=5000))["events"]
    for envelope in events:
        envelope["at_s"] = datetime.fromisoformat(envelope["at"]).timestamp()
    found, missing = waits(events, gold(scenario)["turns"], began[0], painted)
    return CallRun(scenario=scenario, waits=found, not_painted=missing, clock=clock, late_ms=result.late_ms)


async def _level(browser: Browser, server: ServerProcess, calls: int, rounds: int) -> Json:
    agents = [f"agent-{number}" for number in range(calls)]
    pages = [await _open(browser, server, agent) for agent in agents]
    runs: list[CallRun] = []
    for turn in range(rounds):
        # Out of step, as calls are: everybody's first question at the same moment would be no measurement of four calls.
        tasks = [
            _call(server, page, agent, SCENARIOS[(turn * calls + number) % len(SCENARIOS)], 2.3 * number)
            for number, (page, agent) in enumerate(zip(pages, agents, strict=True))
        ]
        runs += await asyncio.gather(*tasks)
        print(f"{calls} calls, round {turn + 1} of {rounds}: {sum(len(run.waits) for run in runs)} cards", file=sys.stderr, flush=True)
    for page in pages:
        await page.context.close()
    level = summary([wait for run in runs for wait in run.waits], sum(len(run.not_painted) for run in runs))
    return {
        **level,
        "clock_error_ms": 1000 * max(run.clock.error_s for run in runs),
        "sender_late_ms": max(run.late_ms for run in runs),
        "runs": [asdict(run) for run in runs],
    }


async def measure(levels: Sequence[int], rounds: int) -> Json:
    """The report: one entry a level."""
    with tempfile.TemporaryDirectory(prefix="pangting-painted-") as scratch:
        server = ServerProcess(data_dir=Path(scratch))
        server.prepare({f"agent-{number}": ("agent", f"坐席{number}") for number in range(max(levels))})
        server.start()
        with server:
            await server.wait_ready_async()
            async with async_playwright() as playwright:
                arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-renderer-backgrounding"]
                browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
                # One page after another is in front in a headless browser; none may be slowed for it.
                found = {calls: await _level(browser, server, calls, rounds) for calls in levels}
                await browser.close()
    return {"at": datetime.now(UTC).isoformat(), "rounds": rounds, "levels": {str(calls): level for calls, level in found.items()}}


def verdict(report: Json) -> list[str]:
    """One sentence for every limit that was passed, or that could not be judged."""
    faults = []
    for calls, limit in LIMITS_MS.items():
        level = report["levels"].get(str(calls))
        if level is None:
            continue
        p95 = level["painted_ms"]["p95"]
        if p95 is None:
            faults.append(f"{calls} calls: no card was painted")
        elif p95 > limit:
            faults.append(f"{calls} calls: p95 {p95:.0f} ms is above {limit} ms")
        if level["not_painted"]:
            faults.append(f"{calls} calls: {level['not_painted']} cards were offered and not painted")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.painted", description="Customer speech end → suggestion painted, in Chromium."
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 4], help="levels: two-channel calls at once")
    parser.add_argument("--rounds", type=int, default=6, help="calls one after another on each page (about two minutes each)")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "painted.json")
    options = parser.parse_args()
    report = asyncio.run(measure(options.calls, options.rounds))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    print(table({int(calls): level for calls, level in report["levels"].items()}))
    for fault in verdict(report):
        print(fault)
    print(options.out)
    return 1 if verdict(report) else 0


if __name__ == "__main__":
    sys.exit(main())
