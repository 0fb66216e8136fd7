"""Two questions with their answers: the same need or not, and if so, do the answers agree? Pure; vectors come from the caller.

A need is the same when the questions are near in meaning, ask about the same aspect, and use no words that tell needs apart
(信用卡, 借记卡). Answers to one need disagree when an amount, rate, duration or date of the same unit differs, or one denies what
the other claims. ``kb/wordings.yaml`` holds the words; docs/explanation/article-checks.md tells how well it works.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kb.analysis import normalise
from kb.facts import Quantity, quantities, stances
from kb.wordings import wordings

Relation = Literal["duplicate", "contradiction", "neither"]

SAME_NEED = 0.86
"""Least nearness of two questions of one need; chosen on tests/data/kb_pairs (dev)."""
NO_ASPECT = 0.9
"""The same where a question names no aspect that can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A question with its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """What differs: ``kind`` is a unit (``money``, ``days`` …) or a claim (``possible`` …); the spans are of the two answers."""

    kind: str
    mine: str
    theirs: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    relation: Relation
    nearness: float
    disagreements: tuple[Disagreement, ...] = ()


def compare(mine: Said, theirs: Said, nearness: float, language: str) -> Verdict:
    """``nearness``: cosine of the vectors of the two questions, in [-1, 1]."""
    if not same_need(mine, theirs, nearness, language):
        return Verdict(relation="neither", nearness=nearness)
    found = disagreements(mine.answer, theirs.answer, language)
    return Verdict(relation="contradiction" if found else "duplicate", nearness=nearness, disagreements=found)


def same_need(mine: Said, theirs: Said, nearness: float, language: str) -> bool:
    """True if a customer who asks the one would be served by an answer to the other."""
    if nearness < SAME_NEED:
        return False
    if _told_apart(mine.question, theirs.question, language) or _other_conditions(mine.question, theirs.question, language):
        return False
    here, there = aspects(mine.question, language), aspects(theirs.question, language)
    if here and there:
        return bool(here & there)
    return nearness >= NO_ASPECT


def disagreements(mine: str, theirs: str, language: str) -> tuple[Disagreement, ...]:
    """Where the first answer differs from the second. An answer that says more does not disagree."""
    found = []
    here, there = quantities(mine, language), quantities(theirs, language)
    for unit in sorted({quantity.unit for quantity in here} & {quantity.unit for quantity in there}):
        values, others = _values(here, unit), _values(there, unit)
        if values <= others or others <= values:
            continue
        first = next(quantity for quantity in here if quantity.unit == unit and quantity.value not in others)
        other = next(quantity for quantity in there if quantity.unit == unit and quantity.value not in values)
        found.append(
            Disagreement(
                kind=unit,
                mine=mine[first.start : first.end],
                theirs=theirs[other.start : other.end],
                start=first.start,
                end=first.end,
            )
        )
    own, others_stances = stances(mine, language), stances(theirs, language)
    for claim in sorted(own.keys() & others_stances.keys()):
        stance, opposite = own[claim], others_stances[claim]
        if stance.made != opposite.made:
            found.append(
                Disagreement(
                    kind=claim,
                    mine=mine[stance.start : stance.end],
                    theirs=theirs[opposite.start : opposite.end],
                    start=stance.start,
                    end=stance.end,
                )
            )
    return tuple(found)


def aspects(question: str, language: str) -> frozenset[str]:
    """What the question asks about: ``fee``, ``time``, ``limit`` …"""
    text = normalise(question)
    return frozenset(name for name, patterns in wordings(language).aspects.items() if any(pattern.search(text) for pattern in patterns))


def _told_apart(mine: str, theirs: str, language: str) -> bool:
    here, there = normalise(mine), normalise(theirs)
    for group in wordings(language).contrasts:
        left = {index for index, spellings in enumerate(group) if _has(here, spellings)}
        right = {index for index, spellings in enumerate(group) if _has(there, spellings)}
        if left and right and not left & right:
            return True
    return False


def _has(text: str, spellings: Sequence[str]) -> bool:
    return any(re.search(rf"\b{re.escape(spelling.lower())}", text) if spelling.isascii() else spelling in text for spelling in spellings)


def _other_conditions(mine: str, theirs: str, language: str) -> bool:
    """True if the questions themselves name different amounts or terms: 12期, 24期."""
    here, there = quantities(mine, language), quantities(theirs, language)
    shared = {quantity.unit for quantity in here} & {quantity.unit for quantity in there}
    return any(_values(here, unit) != _values(there, unit) for unit in shared)


def _values(found: Sequence[Quantity], unit: str) -> frozenset[float]:
    return frozenset(quantity.value for quantity in found if quantity.unit == unit)
