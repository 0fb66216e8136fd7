"""What a listener got of a channel, and when, read off nothing but the text on show: the same for every server. PURE.

A server is seen through the text it shows of a channel: a *committed* part, which it does not mean to change any more, and a *tail*,
which it may. Times are ms after the first audio byte went out, reference times ms of media; sent in real time they are one clock.
Characters are paired with the reference by ``loadtest.alignment``.

- *final*: from an utterance's end to the arrival of its last right committed character.
- *first partial*: from an utterance's start to the first moment at which two of its characters are shown (committed or tail).
- *missed*: under half of an utterance's characters are right. A missed utterance has no final latency.
- *CER*: errors of the committed text over reference characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from loadtest.alignment import Outcome, Shown, align
from loadtest.excerpts import Utterance

KEPT_UP_MS = 3_000
_FIRST_CHARACTERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All the text of a channel that a server shows from ``at_ms`` on, from the call's start."""

    at_ms: float
    committed: str
    tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One reference utterance. Waits in ms, None where nothing came (``final_ms``: or the utterance was missed)."""

    outcome: Outcome
    first_partial_ms: float | None
    final_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Waits in ms as (p50, p95) over the utterances that have one; None without any.

    ``last_final_ms``: the latest wait among the channels' last utterances; None if one of those was missed. ``kept_up``: that and the
    p95 of the finals are at most 3 s. ``cer_interval``: 95%, percentile bootstrap over utterances.
    """

    utterances: int
    missed: int
    first_partial_ms: tuple[float, float] | None
    final_ms: tuple[float, float] | None
    last_final_ms: float | None
    cer: float
    cer_interval: tuple[float, float]
    kept_up: bool


def pieces(states: Sequence[State]) -> list[Shown]:
    """The committed text at the end, cut by arrival: each character came when it, and all before it, stood there for good."""
    text, times = "", list[float]()
    for state in states:
        kept = 0
        for old, new in zip(text, state.committed, strict=False):
            if old != new:
                break
            kept += 1
        text, times = state.committed, times[:kept] + [state.at_ms] * (len(state.committed) - kept)
    cuts = [index for index in range(len(times)) if index == 0 or times[index] != times[index - 1]]
    return [Shown(text=text[a:b], at_ms=times[a]) for a, b in pairwise([*cuts, len(text)])]


def score(utterances: Sequence[Utterance], states: Sequence[State]) -> list[Heard]:
    """Each utterance of one channel. Both sequences in order of time."""
    firsts = _first_partials(utterances, states)
    heard = []
    for utterance, first, outcome in zip(utterances, firsts, align(utterances, pieces(states)), strict=True):
        last = None if outcome.missed else outcome.last_right_ms
        heard.append(Heard(outcome=outcome, first_partial_ms=first, final_ms=None if last is None else last - utterance.end_ms))
    return heard


def _first_partials(utterances: Sequence[Utterance], states: Sequence[State]) -> list[float | None]:
    firsts: list[float | None] = [None] * len(utterances)
    for state in states:
        begun = [utterance for utterance in utterances if utterance.start_ms <= state.at_ms]
        if None not in firsts[: len(begun)]:
            continue
        for index, outcome in enumerate(align(begun, [Shown(text=state.committed + state.tail, at_ms=state.at_ms)])):
            if firsts[index] is None and outcome.right >= _FIRST_CHARACTERS:
                firsts[index] = state.at_ms - utterances[index].start_ms
    return firsts


def summarise(channels: Sequence[Sequence[Heard]], *, draws: int = 2_000, seed: int = 1) -> Summary:
    """Over all utterances of all channels. Raises ValueError when nothing was said."""
    every = [heard for channel in channels for heard in channel]
    if not every:
        raise ValueError("Without an utterance there is nothing to sum up.")
    finals = [heard.final_ms for heard in every if heard.final_ms is not None]
    lasts = [channel[-1].final_ms for channel in channels if channel]
    known = [last for last in lasts if last is not None]
    table = np.array([(heard.outcome.errors, heard.outcome.characters) for heard in every], dtype=np.float64)
    drawn = table[np.random.default_rng(seed).integers(0, len(table), size=(draws, len(table)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / np.maximum(1.0, drawn[:, 1]), (0.025, 0.975))
    last = max(known) if len(known) == len(lasts) else None
    waits = _middle_and_tail(finals)
    return Summary(
        utterances=len(every),
        missed=sum(heard.outcome.missed for heard in every),
        first_partial_ms=_middle_and_tail([heard.first_partial_ms for heard in every if heard.first_partial_ms is not None]),
        final_ms=waits,
        last_final_ms=last,
        cer=float(table[:, 0].sum() / max(1.0, table[:, 1].sum())),
        cer_interval=(float(low), float(high)),
        kept_up=last is not None and last <= KEPT_UP_MS and waits is not None and waits[1] <= KEPT_UP_MS,
    )


def _middle_and_tail(values: Sequence[float]) -> tuple[float, float] | None:
    if not values:
        return None
    middle, tail = np.quantile(np.asarray(values, dtype=np.float64), (0.5, 0.95))
    return float(middle), float(tail)
