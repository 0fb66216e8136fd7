"""The tests and intervals that findings rest on. Pure.

Sources: Przyborowski and Wilenski, Biometrika 31 (1940), for two Poisson counts; Benjamini and Hochberg, J. R. Stat. Soc. B 57 (1995), for
many tests at once; Katz et al., Biometrics 34 (1978), for a ratio of shares; Wilson, J. Am. Stat. Assoc. 22 (1927), for a share; Clopper
and Pearson, Biometrika 26 (1934), for the interval of a share behind the ratio of counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Counts = Sequence[int]
Shares = npt.NDArray[np.float64]
Z95 = 1.959964


def clumping(counts: Shares, exposures: Shares, split: int) -> float:
    """How much more than by chance the rates of a kind of things move from day to day: α in Var = μ + α μ², pooled, never below 0.

    ``counts``: [things, days], ``exposures``: [days]; days before ``split`` and from it on have each a rate of their own. 0 where neither
    side has two days with something counted. A method of moments, as Robinson and Smyth (Biostatistics 9, 2008) pool a common dispersion.
    """
    surplus, weight = 0.0, 0.0
    for side in (slice(None, split), slice(split, None)):
        y, n = counts[:, side], exposures[side]
        y, n = y[:, n > 0], n[n > 0]
        if len(n) < 2:
            continue
        expected = y.sum(axis=1, keepdims=True) * (n / n.sum())
        y, expected = y[expected[:, 0] > 0], expected[expected[:, 0] > 0]
        surplus += float(((y - expected) ** 2 / expected).sum()) - len(y) * (len(n) - 1)
        weight += float(expected.sum()) * (1 - 1 / len(n))
    return max(0.0, surplus / weight) if weight else 0.0


def rate_ratios(now: Shares, before: Shares, exposure_now: float, exposure_before: float) -> tuple[Shares, Shares, Shares]:
    """(p, low, high) of the ratio of two rates for each pair of counts: the two-sided exact p that both are one, and its 95 % interval.

    Given their sum, ``now`` is binomial with the share of the exposure if both counts are Poisson with one rate. p is twice the smaller
    tail, which goes with Clopper and Pearson's interval; high is inf where there was none before. Counts may be parts of a call: those of
    clumped calls are divided by their design effect first (Rao and Scott, Biometrics 48, 1992). Raises ValueError when an exposure is not
    positive.
    """
    if exposure_now <= 0 or exposure_before <= 0:
        raise ValueError("a rate needs something counted in both windows")
    a, b = np.asarray(now, np.float64), np.asarray(before, np.float64)
    share = exposure_now / (exposure_now + exposure_before)
    at_least = np.where(a > 0, special.betainc(np.maximum(a, 1e-12), b + 1, share), 1.0)
    at_most = np.where(b > 0, special.betaincc(a + 1, np.maximum(b, 1e-12), share), 1.0)
    low = np.where(a > 0, stats.beta.ppf(0.025, np.maximum(a, 1e-12), b + 1), 0.0)
    high = np.where(b > 0, stats.beta.ppf(0.975, a + 1, np.maximum(b, 1e-12)), 1.0)
    scale = exposure_before / exposure_now
    with np.errstate(divide="ignore"):
        return np.minimum(2 * np.minimum(at_least, at_most), 1.0), scale * low / (1 - low), scale * high / (1 - high)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values (q), in the order given: what is ≤ α holds false discoveries to a share of α."""
    count = len(p_values)
    order = sorted(range(count), key=p_values.__getitem__, reverse=True)
    found, least = [1.0] * count, 1.0
    for rank, index in zip(range(count, 0, -1), order, strict=True):
        least = min(least, p_values[index] * count / rank)
        found[index] = least
    return found


def more_often_p(hits: Counts, total: Counts, other_hits: Counts, other_total: Counts) -> Shares:
    """Fisher's exact test, one-sided, of each row: the chance of at least ``hits`` of ``total`` if hits fell on both groups alike."""
    a, n, b, m = (np.asarray(one) for one in (hits, total, other_hits, other_total))
    found: Shares = stats.hypergeom.sf(a - 1, n + m, a + b, n)
    return found


def share_ratio(hits: int, total: int, other_hits: int, other_total: int) -> tuple[float, float, float]:
    """(ratio of the two shares, low, high) of 95 %, on the log scale; half a call is added to each cell where one is empty."""
    a, n, b, m = float(hits), float(total), float(other_hits), float(other_total)
    if min(a, n - a, b, m - b) == 0:
        a, n, b, m = a + 0.5, n + 1, b + 0.5, m + 1
    ratio = (a / n) / (b / m)
    spread = Z95 * math.sqrt(max(1 / a - 1 / n + 1 / b - 1 / m, 0.0))
    return ratio, ratio * math.exp(-spread), ratio * math.exp(spread)


def wilson(hits: int, total: int) -> tuple[float, float]:
    """95 % interval of a share. (0, 1) without cases."""
    if total == 0:
        return 0.0, 1.0
    share, z2 = hits / total, Z95 * Z95
    middle = share + z2 / (2 * total)
    spread = Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(0.0, (middle - spread) / (1 + z2 / total)), min(1.0, (middle + spread) / (1 + z2 / total))
