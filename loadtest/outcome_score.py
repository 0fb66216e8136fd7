"""Judges ``copilot.live.outcome`` on the labelled pairs of ``tests/data/outcomes``: ``python -m loadtest.outcome_score [dev|test]``.

Precision and recall of each outcome, and how often it is the label; 95% intervals by a bootstrap that draws scenarios.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from copilot.live.outcome import Card

PAIRS = Path(__file__).resolve().parents[1] / "tests" / "data" / "outcomes" / "pairs.jsonl"
Rate = tuple[float, float, float]
"""(value, low, high); the interval is 95%."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    id: str
    scenario: str
    noisy: bool
    label: str
    outcome: str
    coverage: float


def judged(split: str) -> list[Judged]:
    """Every pair of the split with what the code makes of it."""
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    found = []
    for row in rows:
        if row["split"] == split:
            made = Card(row["card"]).judge(row["said"])
            found.append(
                Judged(
                    id=row["id"],
                    scenario=row["scenario"],
                    noisy=row["noisy"],
                    label=row["label"],
                    outcome=made.outcome,
                    coverage=made.coverage,
                )
            )
    return found


def precision(rows: Sequence[Judged], name: str) -> float:
    """Of the pairs with this outcome, those so labelled."""
    chosen = [row for row in rows if row.outcome == name]
    return sum(row.label == name for row in chosen) / len(chosen) if chosen else float("nan")


def recall(rows: Sequence[Judged], name: str) -> float:
    """Of the pairs so labelled, those with this outcome."""
    chosen = [row for row in rows if row.label == name]
    return sum(row.outcome == name for row in chosen) / len(chosen) if chosen else float("nan")


def interval(rows: Sequence[Judged], measure: Callable[[Sequence[Judged]], float], draws: int = 2000, seed: int = 1) -> Rate:
    """The measure with its interval."""
    scenarios = sorted({row.scenario for row in rows})
    grouped = {name: [row for row in rows if row.scenario == name] for name in scenarios}
    random = np.random.default_rng(seed)
    values = [measure([row for name in random.choice(scenarios, len(scenarios)) for row in grouped[str(name)]]) for _ in range(draws)]
    low, high = np.nanquantile(np.array(values), (0.025, 0.975))
    return measure(rows), float(low), float(high)


def main() -> None:
    split = sys.argv[1] if len(sys.argv) > 1 else "dev"
    rows = judged(split)
    for name in ("said", "partly", "not_said"):
        for title, measure in (("precision", precision), ("recall", recall)):
            value, low, high = interval(rows, lambda some, m=measure, n=name: m(some, n))  # type: ignore[misc]
            print(f"{name:9} {title:10} {value:.3f}  [{low:.3f}, {high:.3f}]")
    value, low, high = interval(rows, lambda some: sum(row.label == row.outcome for row in some) / len(some))
    print(f"{'same':9} {'':10} {value:.3f}  [{low:.3f}, {high:.3f}]   n={len(rows)}")
    for row in rows:
        if row.label != row.outcome:
            print(f"  {row.id}: {row.label}, taken for {row.outcome} ({row.coverage:.2f}){' noisy' if row.noisy else ''}")


if __name__ == "__main__":
    main()
