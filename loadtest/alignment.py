"""What a listener got of a channel, and when: one scorer for every server, whatever its protocol. PURE.

A server is seen through the text it shows of a channel: a *committed* part, which it does not mean to change any more, and a *tail*,
which it may. Times are ms after the first audio byte went out, reference times ms of media; sent in real time they are one clock.

- The reference and the committed text are aligned by edit distance over normalised characters (``loadtest.scoring.normalise``), with
  one rule added: no character can match one of an utterance that had not begun when the character arrived.
- *final*: from an utterance's end to the arrival of the last committed character that matches one of its own.
- *first partial*: from an utterance's start to the first moment at which two of its characters (all, if it has fewer) are shown.
- *missed*: fewer than half of an utterance's characters were matched. A missed utterance has no final latency.
- *CER*: errors over reference characters. An inserted character is charged to the utterance before it.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.scoring import lattice

KEPT_UP_MS = 3_000
_FIRST_CHARACTERS = 2
_RIGHT, _WRONG, _EXTRA, _LOST = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What was really said, in ms of media time."""

    start_ms: float
    end_ms: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All the text of a channel that a server shows from ``at_ms`` on, from the call's start."""

    at_ms: float
    committed: str
    tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceScore:
    """``errors`` and ``characters`` are of the normalised reference; latencies in ms, None where there was nothing to measure."""

    characters: int
    errors: int
    matched: int
    first_partial_ms: float | None
    final_ms: float | None

    @property
    def missed(self) -> bool:
        return 2 * self.matched < self.characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Latencies in ms as (p50, p95) over the utterances that were not missed, None without any.

    ``last_final_ms``: the latest of the channels' last utterances; None if one of those was missed. ``kept_up``: that and the p95 of
    the finals are at most 3 s.
    """

    utterances: int
    missed: int
    first_partial_ms: tuple[float, float] | None
    final_ms: tuple[float, float] | None
    last_final_ms: float | None
    cer: float
    cer_interval: tuple[float, float]
    kept_up: bool


def percentile(values: Sequence[float], share: float) -> float:
    """The ``share`` quantile (0–1), linear between neighbours. Raises ValueError for no values."""
    if not values:
        raise ValueError("No values, no percentile.")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spoken(text: str, reference: str) -> str:
    """``text`` normalised; each number in the reading that ``reference`` (normalised) contains, else digit by digit."""
    return "".join(next((reading for reading in piece if reading in reference), piece[0]) for piece in lattice(text))


def arrivals(shown: Sequence[Shown], reference: str) -> tuple[str, list[float]]:
    """The committed text at the end, normalised, and for each of its characters the time from which on it stood there unchanged."""
    text, times = "", list[float]()
    seen = ""
    for state in shown:
        if state.committed == seen:
            continue
        seen = state.committed
        now = spoken(seen, reference)
        kept = 0
        for old, new in zip(text, now, strict=False):
            if old != new:
                break
            kept += 1
        text, times = now, times[:kept] + [state.at_ms] * (len(now) - kept)
    return text, times


def align(reference: Sequence[tuple[str, float]], hypothesis: str, times: Sequence[float]) -> list[tuple[int, int, int]]:
    """The cheapest edit path as (kind, index in the reference, index in the hypothesis) in order.

    ``reference``: (character, start of its utterance in ms); ``times``: arrival of each character of the hypothesis. An index of what
    does not take part is that of the next character on its side. Of equally cheap paths, the one that substitutes.
    """
    rows, columns = len(reference), len(hypothesis)
    cost = [list(range(columns + 1))]
    for i in range(1, rows + 1):
        wanted, began = reference[i - 1]
        above, row = cost[-1], [i]
        for j in range(1, columns + 1):
            # What arrived before the utterance began was not heard from it: neither right nor a mishearing.
            diagonal = above[j - 1] + (hypothesis[j - 1] != wanted) if times[j - 1] >= began else rows + columns + 1
            row.append(min(diagonal, above[j] + 1, row[j - 1] + 1))
        cost.append(row)
    path, i, j = list[tuple[int, int, int]](), rows, columns
    while i or j:
        here = cost[i][j]
        if i and j and times[j - 1] >= reference[i - 1][1]:
            right = hypothesis[j - 1] == reference[i - 1][0]
            if here == cost[i - 1][j - 1] + (not right):
                i, j = i - 1, j - 1
                path.append((_RIGHT if right else _WRONG, i, j))
                continue
        if j and here == cost[i][j - 1] + 1:
            j -= 1
            path.append((_EXTRA, i, j))
        else:
            i -= 1
            path.append((_LOST, i, j))
    return path[::-1]


def score(utterances: Sequence[Utterance], shown: Sequence[Shown]) -> list[UtteranceScore]:
    """Each utterance of one channel, in order. ``shown`` in order of arrival."""
    pieces = ["".join(piece[0] for piece in lattice(utterance.text)) for utterance in utterances]
    reference = "".join(pieces)
    owners = [index for index, piece in enumerate(pieces) for _ in piece]
    tagged = [(character, utterances[owner].start_ms) for character, owner in zip(reference, owners, strict=True)]
    text, times = arrivals(shown, reference)
    matched, errors = [0] * len(utterances), [0] * len(utterances)
    last: list[float | None] = [None] * len(utterances)
    for kind, i, j in align(tagged, text, times):
        if kind == _EXTRA:
            errors[owners[max(0, i - 1)] if owners else 0] += 1
            continue
        owner = owners[i]
        if kind == _RIGHT:
            matched[owner] += 1
            last[owner] = max(last[owner] or 0.0, times[j])
        else:
            errors[owner] += 1
    firsts = _first_partials(utterances, pieces, owners, tagged, shown)
    scores = []
    for index, (utterance, piece) in enumerate(zip(utterances, pieces, strict=True)):
        arrived = last[index]
        final = None if arrived is None or 2 * matched[index] < len(piece) else arrived - utterance.end_ms
        scores.append(
            UtteranceScore(
                characters=len(piece), errors=errors[index], matched=matched[index], first_partial_ms=firsts[index], final_ms=final
            )
        )
    return scores


def _first_partials(
    utterances: Sequence[Utterance],
    pieces: Sequence[str],
    owners: Sequence[int],
    tagged: Sequence[tuple[str, float]],
    shown: Sequence[Shown],
) -> list[float | None]:
    """Each state of the screen is aligned with what had been begun by then, until every utterance has been seen once."""
    reference = "".join(pieces)
    firsts: list[float | None] = [None] * len(utterances)
    seen = None
    for state in shown:
        text = state.committed + state.tail
        if text == seen:
            continue
        seen = text
        begun = bisect_right([utterance.start_ms for utterance in utterances], state.at_ms)
        if all(first is not None for first in firsts[:begun]):
            continue
        known = [item for item, owner in zip(tagged, owners, strict=True) if owner < begun]
        now = spoken(text, reference)
        right = [0] * len(utterances)
        for kind, i, _ in align(known, now, [state.at_ms] * len(now)):
            if kind == _RIGHT:
                right[owners[i]] += 1
        for index in range(begun):
            if firsts[index] is None and pieces[index] and right[index] >= min(_FIRST_CHARACTERS, len(pieces[index])):
                firsts[index] = state.at_ms - utterances[index].start_ms
    return firsts


def summarise(channels: Sequence[Sequence[UtteranceScore]], *, resamples: int = 2_000, seed: int = 20_261_127) -> Summary:
    """Over all utterances of all channels. The interval of the CER is the 95% percentile bootstrap over utterances."""
    every = [score for channel in channels for score in channel]
    firsts = [score.first_partial_ms for score in every if score.first_partial_ms is not None]
    finals = [score.final_ms for score in every if score.final_ms is not None]
    lasts = [channel[-1].final_ms for channel in channels if channel]
    known = [last for last in lasts if last is not None]
    size = sum(score.characters for score in every)
    rate = sum(score.errors for score in every) / max(1, size)
    draw = random.Random(seed)
    rates = []
    for _ in range(resamples if every else 0):
        sample = draw.choices(every, k=len(every))
        rates.append(sum(score.errors for score in sample) / max(1, sum(score.characters for score in sample)))
    final_p95 = percentile(finals, 0.95) if finals else None
    last_final = max(known) if known and len(known) == len(lasts) else None
    return Summary(
        utterances=len(every),
        missed=sum(score.missed for score in every),
        first_partial_ms=(percentile(firsts, 0.5), percentile(firsts, 0.95)) if firsts else None,
        final_ms=(percentile(finals, 0.5), percentile(finals, 0.95)) if finals else None,
        last_final_ms=last_final,
        cer=rate,
        cer_interval=(percentile(rates, 0.025), percentile(rates, 0.975)) if rates else (rate, rate),
        kept_up=last_final is not None and last_final <= KEPT_UP_MS and final_p95 is not None and final_p95 <= KEPT_UP_MS,
    )
