"""How often analytics finds what is there, and how often it finds what is not: invented counts with and without a planted pattern.

    python -m loadtest.insights_eval [--seeds 400] [--json]
    python -m loadtest.insights_eval --clusters            homogeneity of clusters on the sample bank's labelled sentences (loads the model)

Each draw is two windows of a week: calls fall on 40 topics with the uneven shares of a contact center and on 300 keywords; 8 % of the calls
are upset. Planted: a topic that was not there before (1.5 % of the calls), a topic that doubles (from 2 %), and a topic whose calls are
upset three times as often. ``clumped``: a topic's share moves from day to day by chance (a standard deviation of 30 %), as campaigns and
outages make it, which the tests' assumption (calls come independently) does not know.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from copilot.domain.insights import Counted
from postcall.analytics.movements import Key, counted, drivers, emerging, movements

TOPICS, TERMS, DAYS = 40, 300, 7
UPSET = 0.08
NEW, RISING, DRIVER = "t38", "t20", "t10"
_NEW_SHARE, _RISING_SHARE, _DRIVER_SHARE = 0.015, 0.02, 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Counts by day of two windows, the second from day ``07`` on."""

    daily: dict[Key, dict[str, Counted]]
    totals: dict[str, Counted]


FIRST = f"{DAYS:02}"
WINDOW = tuple(f"{day:02}" for day in range(DAYS, 2 * DAYS))


def draw(seed: int, calls: int, *, planted: bool, clumped: bool = False) -> Drawn:
    """``calls``: a week's, on average."""
    rng = np.random.default_rng(seed)
    made = Drawn(daily={}, totals={})
    for day in range(2 * DAYS):
        late = planted and day >= DAYS
        upset = np.full(TOPICS, UPSET)
        if late:
            upset[int(DRIVER[1:])] = 3 * UPSET
        _day(made, f"{day:02}", rng, calls / DAYS, _shares(planted=late) * (rng.lognormal(0, 0.3, TOPICS) if clumped else 1), upset)
    return made


def _shares(*, planted: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    shares = 1 / np.arange(1, TOPICS + 1) ** 0.8
    fixed = {
        int(NEW[1:]): _NEW_SHARE if planted else 0.0,
        int(RISING[1:]): _RISING_SHARE * (2 if planted else 1),
        int(DRIVER[1:]): _DRIVER_SHARE,
    }
    for topic in fixed:
        shares[topic] = 0.0
    shares *= (1 - sum(fixed.values())) / shares.sum()
    for topic, share in fixed.items():
        shares[topic] = share
    return shares


def _day(made: Drawn, day: str, rng: np.random.Generator, calls: float, shares: Any, upset: Any) -> None:
    counts = rng.multinomial(rng.poisson(calls), shares / shares.sum())
    angry = rng.binomial(counts, upset)
    total = made.totals[day] = Counted(calls=int(counts.sum()), upset=int(angry.sum()))
    said = rng.binomial(total.calls, 0.05 / np.arange(1, TERMS + 1) ** 0.5)
    cross = rng.hypergeometric(total.upset, total.calls - total.upset, said)
    for kind, name, found, of_them in (("topic", "t", counts, angry), ("term", "w", said, cross)):
        for n in np.flatnonzero(found):
            key: Key = (kind, f"{name}{n}")  # type: ignore[assignment]
            made.daily.setdefault(key, {})[day] = Counted(calls=int(found[n]), upset=int(of_them[n]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one draw: what was planted and found, and what else was found."""

    new: bool
    rising: bool
    driver: bool
    false_emerging: int
    false_drivers: int
    all_emerging: int
    all_drivers: int


def judged(one: Drawn, *, planted: bool) -> Outcome:
    moved = movements(one.daily, {day: counts.calls for day, counts in one.totals.items()}, FIRST)
    total = Counted(calls=sum(one.totals[day].calls for day in WINDOW), upset=sum(one.totals[day].upset for day in WINDOW))
    risen = {(found.kind, found.key) for found in emerging(moved)}
    driven = {(found.kind, found.key) for found in drivers(counted(one.daily, WINDOW), total)}
    true = {("topic", NEW), ("topic", RISING)} if planted else set()
    return Outcome(
        new=("topic", NEW) in risen,
        rising=("topic", RISING) in risen,
        driver=("topic", DRIVER) in driven,
        false_emerging=len(risen - true),
        false_drivers=len(driven - ({("topic", DRIVER)} if planted else set())),
        all_emerging=len(risen),
        all_drivers=len(driven),
    )


def figures(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Shares of the draws; ``*_fdr``: the mean share of false ones among what was found (0 where nothing was)."""

    def share(values: Iterable[bool]) -> float:
        kept = list(values)
        return round(sum(kept) / len(kept), 4)

    def fdr(false: str, every: str) -> float:
        shares = [getattr(one, false) / getattr(one, every) if getattr(one, every) else 0.0 for one in outcomes]
        return round(sum(shares) / len(shares), 4)

    return {
        "new_found": share(one.new for one in outcomes),
        "rising_found": share(one.rising for one in outcomes),
        "driver_found": share(one.driver for one in outcomes),
        "draws_with_false_emerging": share(one.false_emerging > 0 for one in outcomes),
        "draws_with_false_drivers": share(one.false_drivers > 0 for one in outcomes),
        "emerging_fdr": fdr("false_emerging", "all_emerging"),
        "drivers_fdr": fdr("false_drivers", "all_drivers"),
    }


def clusters() -> list[dict[str, Any]]:
    """Average-linkage clusters of the sentences that the sample bank gives for its intents, against those intents."""
    import yaml
    from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure

    from copilot.assembly import engines
    from copilot.settings import load
    from loadtest import call_set
    from postcall.analytics.clusters import cluster

    embedder = engines.open_embedder(load())
    pack = yaml.safe_load((call_set.BANK / "intents.yaml").read_text(encoding="utf-8"))
    found = []
    for language in ("zh", "en"):
        pairs = [(entry["id"], text) for entry in pack["intents"] for text in entry.get("examples", {}).get(language, ())]
        vectors = embedder.embed([text for _, text in pairs], "query")
        made = cluster(vectors, [text for _, text in pairs], language)
        rows = [(pairs[row][0], number) for number, one in enumerate(made.clusters) for row in one.members]
        truth, labels = [name for name, _ in rows], [number for _, number in rows]
        parts = homogeneity_completeness_v_measure(truth, labels)
        found.append(
            {
                "language": language,
                "sentences": len(pairs),
                "intents": len({name for name, _ in pairs}),
                "clusters": len(made.clusters),
                "in_a_cluster": round(len(rows) / len(pairs), 3),
                "homogeneity": round(parts[0], 3),
                "completeness": round(parts[1], 3),
                "adjusted_rand": round(adjusted_rand_score(truth, labels), 3),
                "names": [list(one.terms) for one in made.clusters[:10]],
            }
        )
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.insights_eval", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--clusters", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    if given.clusters:
        print(json.dumps(clusters(), ensure_ascii=False, indent=2))
        return
    rows = []
    for calls in (500, 2_000, 20_000):
        for clumped in (False, True):
            for planted in (True, False):
                outcomes = [judged(draw(seed, calls, planted=planted, clumped=clumped), planted=planted) for seed in range(given.seeds)]
                rows.append({"calls": calls, "clumped": clumped, "planted": planted, **figures(outcomes)})
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("  ".join(f"{name}={value}" for name, value in row.items()))
    spread = math.sqrt(0.05 * 0.95 / given.seeds)
    print(f"{given.seeds} draws each; a share of 0.05 is measured to ±{1.96 * spread:.3f}")


if __name__ == "__main__":
    main()
