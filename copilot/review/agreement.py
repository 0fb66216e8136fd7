"""How far raters agree: percent agreement, Cohen's kappa and weighted kappa. Pure; a test compares it with scikit-learn.

With O the table of two raters' answers (shares), E the product of its margins and w the cost of each disagreement (0 on the diagonal)::

    kappa = 1 − Σ w·O / Σ w·E

Cohen (1960) has w = 1 off the diagonal; the weighted kappa of Cohen (1968) has w = |i − j| (linear) or (i − j)² (quadratic).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

Weights = Literal["none", "linear", "quadratic"]
ORDERED_ANSWERS: tuple[str, ...] = ("fail", "not_scorable", "pass")
"""The answers that stand on one scale, for the weighted kappa; ``na`` says that the question was not asked and stands on none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Over ``pairs`` pairs of answers to one question. Kappas are None where they are not defined: no pair, or one answer only."""

    pairs: int
    percent: float | None
    kappa: float | None
    weighted: float | None


def percent_agreement(pairs: Sequence[tuple[str, str]]) -> float | None:
    """The share of equal pairs in [0, 1]; None for no pairs."""
    return sum(one == two for one, two in pairs) / len(pairs) if pairs else None


def kappa(pairs: Sequence[tuple[str, str]], order: Sequence[str] = (), weights: Weights = "none") -> float | None:
    """Kappa in [−1, 1]; None where chance alone already agrees wholly (both gave one and the same answer throughout) or there are no pairs.

    ``order``: the answers on their scale, needed for weights other than ``none``; raises ValueError for an answer that is not on it.
    """
    if not pairs:
        return None
    places = {answer: at for at, answer in enumerate(order)}
    if weights == "none":
        places = {answer: at for at, answer in enumerate(sorted({answer for pair in pairs for answer in pair}))}
    elif unknown := {answer for pair in pairs for answer in pair} - set(places):
        raise ValueError(f"{min(unknown)} is not on the scale {', '.join(order)}")

    def cost(one: str, two: str) -> float:
        distance = abs(places[one] - places[two])
        if weights == "none":
            return float(distance > 0)
        return float(distance if weights == "linear" else distance**2)

    count = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(two for _, two in pairs)
    observed = sum(cost(one, two) for one, two in pairs) / count
    expected = sum(cost(one, two) * first[one] * second[two] for one in first for two in second) / count**2
    return 1 - observed / expected if expected else None


def agreement(pairs: Sequence[tuple[str, str]], order: Sequence[str] = ORDERED_ANSWERS, weights: Weights = "linear") -> Agreement:
    """All figures of one question. The weighted kappa leaves out pairs with an answer that is not on the scale."""
    scaled = [pair for pair in pairs if pair[0] in order and pair[1] in order]
    return Agreement(
        pairs=len(pairs), percent=percent_agreement(pairs), kappa=kappa(pairs), weighted=kappa(scaled, order, weights) if scaled else None
    )


def pairs_of(answers: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str]]:
    """Rater → {thing: answer} → the answers of every two raters to every thing that both answered, raters in the order of their names."""
    found = []
    for one, two in combinations(sorted(answers), 2):
        both = sorted(answers[one].keys() & answers[two].keys())
        found += [(answers[one][thing], answers[two][thing]) for thing in both]
    return found
