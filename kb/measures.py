"""Measures of a ranking and of a confidence, with bootstrap intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DEPTH = 10
RESAMPLES = 1000
RECALL_AT = (1, 3, 5, 10)
RANKING = (*(f"recall@{k}" for k in RECALL_AT), "mrr", "ndcg@10")
_SEED = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over queries (or a difference of means, or an area) with its 95% bootstrap interval: percentiles of 1,000 resamples."""

    value: float
    low: float
    high: float


def gains(found: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """One query's value of every measure in ``RANKING``. ``found``: article ids, best first; ``wanted``: those that count as right.

    Recall and MRR look at the first right article only: an agent needs one. nDCG@10 (Järvelin & Kekäläinen 2002, every right article
    gains 1) also counts how high the others are.
    """
    right = frozenset(wanted)
    places = [place for place, article_id in enumerate(found[:DEPTH], 1) if article_id in right]
    first = places[0] if places else 0
    ideal = sum(1.0 / math.log2(place + 1) for place in range(1, min(len(right), DEPTH) + 1))
    return {
        **{f"recall@{k}": float(0 < first <= k) for k in RECALL_AT},
        "mrr": 1.0 / first if first else 0.0,
        "ndcg@10": sum(1.0 / math.log2(place + 1) for place in places) / ideal if ideal else 0.0,
    }


def bootstrap(values: Sequence[float]) -> Estimate:
    """Mean with a 95% percentile interval over resampled queries. ``values`` must not be empty. The same on every run."""
    sample = np.asarray(values, np.float64)
    return _estimate(float(sample.mean()), _resampled(sample))


def paired_bootstrap(values: Sequence[float], reference: Sequence[float]) -> Estimate:
    """Mean of ``values`` − ``reference``, query by query: above 0 with its whole interval, it is better on more than these queries."""
    if len(values) != len(reference):
        raise ValueError("a paired comparison needs the same queries on both sides")
    return bootstrap([value - other for value, other in zip(values, reference, strict=True)])


def area(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Area under the ROC curve: how often a positive score is above a negative one (Mann–Whitney), ties counting half."""
    return _area(np.asarray(positive, np.float64), np.sort(np.asarray(negative, np.float64)))


def area_estimate(positive: Sequence[float], negative: Sequence[float]) -> Estimate:
    """``area`` with its interval, both sides resampled on their own. Neither side may be empty."""
    above, below = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    rng = np.random.default_rng(_SEED)
    areas = [_area(rng.choice(above, len(above)), np.sort(rng.choice(below, len(below)))) for _ in range(RESAMPLES)]
    return _estimate(area(positive, negative), np.asarray(areas))


def ratio_estimate(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate | None:
    """Sum over sum, with the interval of both resampled together, query by query. None if a denominator is 0 or changes its sign."""
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    if len(above) != len(below):
        raise ValueError("a ratio needs the same queries on both sides")
    bottom = _resampled(below)
    if below.sum() == 0 or np.any(bottom * below.sum() <= 0):
        return None
    return _estimate(float(above.sum() / below.sum()), _resampled(above) / bottom)


def calibration_error(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """Expected calibration error, ten bins of equally many: the mean distance of a bin's confidence from its share of right ones."""
    order = np.argsort(np.asarray(confidence, np.float64), kind="stable")
    sure, truth = np.asarray(confidence, np.float64)[order], np.asarray(right, np.float64)[order]
    bins = [part for part in np.array_split(np.arange(len(order)), 10) if len(part)]
    return float(sum(len(part) * abs(sure[part].mean() - truth[part].mean()) for part in bins) / len(order))


def _area(positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64]) -> float:
    """``negative`` is sorted."""
    below = np.searchsorted(negative, positive, "left").sum()
    level = np.searchsorted(negative, positive, "right").sum()
    return float((below + level) / 2 / (len(positive) * len(negative)))


def _resampled(sample: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    chosen = np.random.default_rng(_SEED).integers(0, len(sample), (RESAMPLES, len(sample)))
    means: npt.NDArray[np.float64] = sample[chosen].mean(axis=1)
    return means


def _estimate(value: float, resampled: npt.NDArray[np.float64]) -> Estimate:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Estimate(value=round(value, 4), low=round(float(low), 4), high=round(float(high), 4))
