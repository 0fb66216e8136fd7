"""Doubles and contradictions on the labelled pairs, with the model that ships. Figures: docs/explanation/article-checks.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kb.comparison import Said, compare

pytestmark = pytest.mark.models
DATA = Path(__file__).parents[1] / "data/kb_pairs"
FLOORS = {("zh", "contradiction"): (0.6, 0.55), ("zh", "duplicate"): (0.6, 0.6)}
"""(precision, recall) that the test part must reach: below the figures told, so that only a real loss fails."""


@pytest.fixture(scope="module")
def embed():
    from copilot.assembly import engines
    from copilot.settings import load

    return engines.open_embedder(load(None), threads=1).embed


def judged(language: str, part: str, embed) -> list[tuple[str, str]]:
    """(label, found) of every pair."""
    rows = [json.loads(line) for line in (DATA / f"pairs.{language}.{part}.jsonl").read_text(encoding="utf-8").splitlines()]
    near = [embed([row[side]["question"] for row in rows], "query") for side in "ab"]
    cosines = (near[0] * near[1]).sum(axis=1)
    return [
        (row["label"], compare(Said(**row["a"]), Said(**row["b"]), float(cosine), language).relation)
        for row, cosine in zip(rows, cosines, strict=True)
    ]


def rates(pairs: Sequence[tuple[str, str]], label: str) -> tuple[float, float]:
    """(precision, recall); nan where nothing was found or there is nothing to find."""
    right = sum(found == wanted == label for wanted, found in pairs)
    found = sum(found == label for _, found in pairs)
    there = sum(wanted == label for wanted, _ in pairs)
    return right / found if found else float("nan"), right / there if there else float("nan")


def interval(pairs: Sequence[tuple[str, str]], label: str, seed: int = 1) -> list[list[float]]:
    """95% bootstrap intervals of precision and recall, over pairs."""
    rng = np.random.default_rng(seed)
    draws = [rates([pairs[index] for index in rng.integers(len(pairs), size=len(pairs))], label) for _ in range(2000)]
    return np.nanpercentile(np.array(draws), [2.5, 97.5], axis=0).T.round(2).tolist()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_test_part_is_judged_as_told(language: str, embed):
    pairs = judged(language, "test", embed)
    for label in ("contradiction", "duplicate"):
        precision, recall = rates(pairs, label)
        print(f"\n{language} {label}: precision {precision:.2f}, recall {recall:.2f}, 95% {interval(pairs, label)} of {len(pairs)} pairs")
        least = FLOORS.get((language, label))
        if least is not None:
            assert precision >= least[0]
            assert recall >= least[1]


def test_the_two_parts_share_no_scenario():
    for language in ("zh", "en"):
        texts = [(DATA / f"pairs.{language}.{part}.jsonl").read_text(encoding="utf-8").splitlines() for part in ("dev", "test")]
        scenarios = [{json.loads(line)["scenario"] for line in lines} for lines in texts]
        assert not scenarios[0] & scenarios[1]
        assert sum(len(lines) for lines in texts) == {"zh": 86, "en": 24}[language]
