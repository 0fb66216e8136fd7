"""Measures of the knowledge graph against labels (tests/data/graph): facts of statements, and questions. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from copilot.domain.graph import Fact
from kb.facts import quantities

Json = Mapping[str, Any]
Counts = tuple[int, int, int, int]
"""Right predictions, predictions, found labels, labels."""


def judge(predicted: Sequence[Fact], labels: Sequence[Sequence[str]], language: str) -> tuple[Counts, list[str]]:
    """Of one statement, by the rules of tests/data/graph/README.md; and what is wrong, a line each."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for subject, relation, value in labels:
        groups[subject, relation].append(value)
    right: dict[tuple[str, str], list[str]] = defaultdict(list)
    errors = []
    for fact in predicted:
        key = (fact.subject, fact.relation)
        if any(_fits(fact.value, groups[key], language) for _ in (0,) if key in groups):
            right[key].append(fact.value)
        else:
            errors.append(f"+ {fact.subject} {fact.relation} {fact.value}")
    found = 0
    for subject, relation, value in labels:
        if _held(value, right[subject, relation], language):
            found += 1
        else:
            errors.append(f"- {subject} {relation} {value}")
    return (sum(map(len, right.values())), len(predicted), found, len(labels)), errors


def scores(counts: Iterable[Counts]) -> dict[str, float]:
    right, predicted, found, labels = (sum(column) for column in zip(*counts, strict=True))
    precision = right / predicted if predicted else 1.0
    recall = found / labels if labels else 1.0
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0}


def _numbers(text: str, language: str) -> frozenset[tuple[str, float]]:
    return frozenset((one.unit, one.value) for one in quantities(text, language))


def _fits(value: str, labels: Sequence[str], language: str) -> bool:
    numbers = _numbers(value, language)
    known = frozenset[tuple[str, float]]().union(*(_numbers(label, language) for label in labels))
    return bool(numbers and numbers <= known) or any(_same(value, label) for label in labels)


def _held(label: str, values: Sequence[str], language: str) -> bool:
    numbers = _numbers(label, language)
    known = frozenset[tuple[str, float]]().union(*(_numbers(value, language) for value in values))
    return bool(numbers and numbers <= known) or any(_same(value, label) for value in values)


def _same(one: str, other: str) -> bool:
    left, right = ("".join(text.split()).casefold() for text in (one, other))
    return bool(left and right) and (left in right or right in left)
