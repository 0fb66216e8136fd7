"""What a page is checked for beside what it says: accessibility by axe-core, layout shifts by the browser's own count."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from loadtest.server_process import ROOT

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    window.shifts.push({value: entry.value, nodes: entry.sources.map((s) => {
      const node = s.node?.nodeType === 1 ? s.node : s.node?.parentElement;
      const where = node?.closest('.transcript') ? 'transcript ' : '';
      return `${where}${node?.tagName}.${node?.className} ${JSON.stringify(s.previousRect)} ${JSON.stringify(s.currentRect)}`;
    })});
  }
}).observe({type: 'layout-shift', buffered: true});
"""


def axe_violations(page: Page) -> list[str]:
    """What WCAG 2.2 A and AA forbid on the page as it is now, one line a finding."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate(
        """async () => (await axe.run(document, {
            runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
            resultTypes: ['violations'],
        })).violations"""
    )
    return [f"{item['id']}: {item['help']}: {node['html'][:160]}" for item in found for node in item["nodes"]]


def count_shifts(page: Page) -> None:
    """To be called before the page is opened."""
    page.add_init_script(_SHIFTS)


def forget_shifts(page: Page) -> None:
    page.evaluate("() => { window.shifts = []; }")


def layout_shift(page: Page) -> tuple[float, list[str]]:
    """The sum of all shifts that no input explains (more than the usual CLS, which takes the worst window), and every node that moved."""
    shifts = page.evaluate("() => window.shifts")
    return sum(item["value"] for item in shifts), [node for item in shifts for node in item["nodes"]]
