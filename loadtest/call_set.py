"""The labelled calls on disk (tests/data/calls): sources → ``calls.jsonl`` and ``gold.jsonl``.

python -m loadtest.call_set            writes both anew from scripts and labels
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from loadtest.call_labels import Sheet, adjudicated, as_gold, parse_sheets
from loadtest.call_scripts import Confusions, parse_scripts, rendered

ROOT = Path(__file__).resolve().parents[1]
CALLS = ROOT / "tests" / "data" / "calls"
BANK = ROOT / "kb" / "samples" / "bank"
TEST_SCENARIOS = frozenset({"scam", "fee-complaint", "wealth", "loan-prepay", "card-loss", "overdue"})
"""Chosen before the first run, by subject: what was tuned on one subject must not be judged on it."""
Json = dict[str, Any]


def confusions(language: str) -> Confusions:
    table = yaml.safe_load((CALLS / "confusions.yaml").read_text(encoding="utf-8"))[language]
    return Confusions(words=table["words"], characters=table["characters"], fillers=table["fillers"])


def parents() -> dict[str, str]:
    """Level-2 id → level-1 id of the sample bank's taxonomy."""
    taxonomy = yaml.safe_load((BANK / "taxonomy.yaml").read_text(encoding="utf-8"))
    return {leaf["id"]: category["id"] for category in taxonomy["categories"] for leaf in category["children"]}


def build_calls() -> list[Json]:
    """Every call, rendered. Per scenario, in alphabetical order by turns, calls 1 and 3 or call 2 get errors: half of each split."""
    made = []
    counts = {"dev": 0, "test": 0}
    for path in sorted((CALLS / "scripts").glob("*.txt")):
        split = "test" if path.stem in TEST_SCENARIOS else "dev"
        turn, counts[split] = counts[split], counts[split] + 1
        for number, script in enumerate(parse_scripts(path.read_text(encoding="utf-8"))):
            spoilt = (number + turn) % 2 == 0
            made.append(rendered(script, split=split, confusions=confusions(script.language) if spoilt else None))
    return made


def sheets(which: str) -> dict[str, Sheet]:
    """The sheets of the pass ``first`` or ``second``."""
    found: dict[str, Sheet] = {}
    for path in sorted((CALLS / "labels" / which).glob("*.yaml")):
        found |= parse_sheets(yaml.safe_load(path.read_text(encoding="utf-8")))
    return found


def decisions() -> dict[str, Mapping[str, Any]]:
    """Call → what was decided about it."""
    loaded = yaml.safe_load((CALLS / "labels" / "adjudication.yaml").read_text(encoding="utf-8"))
    both = set(loaded["differences"]) & set(loaded["sweep"])
    if both:
        raise ValueError(f"adjudication.yaml decides twice about {', '.join(sorted(both))}.")
    return {**loaded["differences"], **loaded["sweep"]}


def build_gold() -> list[Json]:
    """The gold of every call: first pass and decisions."""
    decided, of = decisions(), parents()
    return [as_gold(call, adjudicated(sheet, decided.get(call, {})), of) for call, sheet in sorted(sheets("first").items())]


def lines(entries: list[Json]) -> str:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def load(name: str) -> list[Json]:
    """``calls`` or ``gold``, as committed."""
    return [json.loads(line) for line in (CALLS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def main() -> None:
    for name, entries in (("calls", build_calls()), ("gold", build_gold())):
        (CALLS / f"{name}.jsonl").write_text(lines(entries), encoding="utf-8")
        print(f"{name}.jsonl: {len(entries)} calls")


if __name__ == "__main__":
    main()
