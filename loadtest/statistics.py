"""Quantiles, bootstrap intervals and slopes, for reports on measurements. PURE."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def quantile(values: Sequence[float], share: float) -> float | None:
    """The ``share`` quantile (0–1), linear between ranks; None for no values."""
    return float(np.quantile(np.asarray(values, dtype=np.float64), share)) if len(values) else None


def paired_rate_difference(
    pairs: Sequence[tuple[int, int, int]], *, draws: int = 2_000, seed: int = 1
) -> tuple[float, float, float] | None:
    """(difference, low, high) of two error rates over the same utterances, with a 95% interval.

    ``pairs``: (errors of A, errors of B, length) of each utterance; utterances are drawn with replacement, both sides together (Bisani and
    Ney 2004). None for no utterances.
    """
    if not pairs:
        return None
    table = np.asarray(pairs, dtype=np.float64)
    chosen = np.random.default_rng(seed).integers(0, len(table), size=(draws, len(table)))
    sums = table[chosen].sum(axis=1)
    differences = (sums[:, 0] - sums[:, 1]) / np.maximum(1.0, sums[:, 2])
    low, high = np.quantile(differences, (0.025, 0.975))
    total = table.sum(axis=0)
    return float((total[0] - total[1]) / max(1.0, total[2])), float(low), float(high)


def sign_test(worse: int, better: int) -> float:
    """One-sided p of so many worse pairs, or more, when worse and better are equally likely; pairs that are equal say nothing."""
    total = worse + better
    return float(sum(math.comb(total, k) for k in range(worse, total + 1)) / 2**total)


def median_difference(
    first: Sequence[float], second: Sequence[float], *, draws: int = 2_000, seed: int = 1
) -> tuple[float, float, float] | None:
    """(difference, low, high) of the medians second − first, with a 95% bootstrap interval; None when either has no values."""
    if not len(first) or not len(second):
        return None
    rng = np.random.default_rng(seed)
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)

    def medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
        drawn: NDArray[np.float64] = np.median(values[rng.integers(0, len(values), size=(draws, len(values)))], axis=1)
        return drawn

    low, high = np.quantile(medians(b) - medians(a), (0.025, 0.975))
    return float(np.median(b) - np.median(a)), float(low), float(high)


def theil_sen(times: Sequence[float], values: Sequence[float], *, at_most: int = 600) -> float:
    """The median of the slopes between all pairs of points (Theil 1950, Sen 1968): 29% of wild points do not move it. 0 for under two.

    Longer series are thinned evenly to ``at_most`` points.
    """
    if len(times) < 2:
        return 0.0
    kept = np.unique(np.linspace(0, len(times) - 1, min(len(times), at_most)).astype(int))
    x, y = np.asarray(times, dtype=np.float64)[kept], np.asarray(values, dtype=np.float64)[kept]
    i, j = np.triu_indices(len(x), k=1)
    spans = x[j] - x[i]
    usable = spans > 0
    return float(np.median((y[j] - y[i])[usable] / spans[usable])) if usable.any() else 0.0
