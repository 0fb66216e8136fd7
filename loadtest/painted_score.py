"""From the moments of a call to the waits of its agent: customer speech end → card painted. PURE.

All moments are seconds of the wall clock that callers, server and browser of one machine share; ``ClockMap`` brings the page's time there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtest.statistics import quantile

Json = dict[str, Any]
NEAR_MS = 700
"""An utterance's end belongs to a gold turn's end within this; else the turn was cut where the customer paused, and its own end counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMap:
    """``offset_s`` is added to the page's ``performance.timeOrigin + performance.now()``; true to ± ``error_s``."""

    offset_s: float
    error_s: float


def map_clock(samples: Sequence[tuple[float, float, float]]) -> ClockMap:
    """From (asked, page time, answered) the one with the shortest way there and back. Raises ValueError for none."""
    asked, page, answered = min(samples, key=lambda item: item[2] - item[0])
    return ClockMap(offset_s=(asked + answered) / 2 - page, error_s=(answered - asked) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One card. ``wait_ms``: speech end → painted. ``after_final_ms``: the final stored → painted. ``by_gold``: whose speech end it is."""

    suggestion_id: str
    kind: str
    wait_ms: float
    after_final_ms: float
    by_gold: bool
    stages: Mapping[str, float]


def speech_end_ms(utterance: Json, turns: Sequence[Json]) -> tuple[float, bool]:
    """(end of the customer's speech in media time, whether the gold says so) for the utterance that a card answers."""
    ends = [turn["end_ms"] for turn in turns if turn["channel"] == utterance["channel"]]
    nearest = min(ends, key=lambda end: abs(end - utterance["end_ms"]), default=None)
    if nearest is not None and abs(nearest - utterance["end_ms"]) <= NEAR_MS:
        return float(nearest), True
    return float(utterance["end_ms"]), False


def waits(events: Sequence[Json], turns: Sequence[Json], call_began: float, painted: Mapping[str, float]) -> tuple[list[Wait], list[str]]:
    """The waits of a call, and the ids of cards that were offered and never painted.

    ``events``: envelopes of the call; ``call_began``: moment of media time 0; ``painted``: suggestion id → moment of the frame it was in.
    A generated reply that takes the place of an approved answer is no new card.
    """
    finals = {e["event"]["utterance_id"]: e for e in events if e["event"]["type"] == "utterance_final"}
    found, missing = [], []
    for envelope in events:
        offer = envelope["event"]
        if offer["type"] != "suggestion_offered" or offer["generated"]:
            continue
        if offer["suggestion_id"] not in painted:
            missing.append(offer["suggestion_id"])
            continue
        final = finals[offer["trigger"]]
        end_ms, by_gold = speech_end_ms(final["event"], turns)
        moment = painted[offer["suggestion_id"]]
        found.append(
            Wait(
                suggestion_id=offer["suggestion_id"],
                kind=offer["kind"],
                wait_ms=1000 * (moment - call_began) - end_ms,
                after_final_ms=1000 * (moment - final["at_s"]),
                by_gold=by_gold,
                stages={stage["name"]: stage["ms"] for stage in offer["stages"]},
            )
        )
    return found, missing


def summary(found: Sequence[Wait], missing: int, draws: int = 2_000, seed: int = 1) -> Json:
    """Quantiles with a 95% bootstrap interval of each p95, and the median of each stage."""
    total = [wait.wait_ms for wait in found]
    after = [wait.after_final_ms for wait in found]
    names = list(dict.fromkeys(name for wait in found for name in wait.stages))
    return {
        "cards": len(found),
        "not_painted": missing,
        "by_gold": sum(wait.by_gold for wait in found),
        "painted_ms": _spread(total, draws, seed),
        "after_final_ms": _spread(after, draws, seed),
        "stages_p50_ms": {name: quantile([wait.stages[name] for wait in found if name in wait.stages], 0.5) for name in names},
    }


def _spread(values: Sequence[float], draws: int, seed: int) -> Json:
    if not values:
        return {"p50": None, "p95": None, "p95_interval": None, "max": None}
    table = np.asarray(values, dtype=np.float64)
    drawn = np.quantile(table[np.random.default_rng(seed).integers(0, len(table), size=(draws, len(table)))], 0.95, axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {
        "p50": quantile(values, 0.5),
        "p95": quantile(values, 0.95),
        "p95_interval": [float(low), float(high)],
        "max": float(table.max()),
    }


def table(levels: Mapping[int, Json]) -> str:
    """The levels as a Markdown table, the stages in a second one."""
    lines = [
        "| calls at once | cards | speech end → painted p50 | p95 (95% interval) | final → painted p50 | p95 | not painted |",
        "|---|---|---|---|---|---|---|",
    ]
    for calls, level in levels.items():
        painted, after = level["painted_ms"], level["after_final_ms"]
        interval = painted["p95_interval"]
        between = f" ({interval[0]:.0f}–{interval[1]:.0f})" if interval else ""
        lines.append(
            f"| {calls} | {level['cards']} | {_ms(painted['p50'])} | {_ms(painted['p95'])}{between} "
            f"| {_ms(after['p50'])} | {_ms(after['p95'])} | {level['not_painted']} |"
        )
    names = list(dict.fromkeys(name for level in levels.values() for name in level["stages_p50_ms"]))
    lines += ["", f"| stage, p50 ms | {' | '.join(f'{calls} calls' for calls in levels)} |", f"|---|{'---|' * len(levels)}"]
    lines += [f"| {name} | {' | '.join(_ms(level['stages_p50_ms'].get(name)) for level in levels.values())} |" for name in names]
    return "\n".join(lines) + "\n"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
