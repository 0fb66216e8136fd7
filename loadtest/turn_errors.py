"""Which turn the errors of a whole channel's transcript belong to, by edit alignment. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.scoring import lattice


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnErrors:
    """``errors`` (substitutions, deletions, insertions) of a turn of ``characters`` normalised ones; ``heard``: what aligned with it."""

    errors: int
    characters: int
    heard: str


@dataclass(frozen=True, slots=True)
class _Step:
    """The rows after a piece of the hypothesis: for every column the cost, and the reading (with its inner rows) that gave it."""

    cost: list[int]
    chosen: list[int]
    readings: tuple[str, ...]
    rows: list[list[list[int]]]


def _forward(wanted: str, hypothesis: str) -> list[_Step]:
    row = list(range(len(wanted) + 1))
    steps: list[_Step] = []
    for piece in lattice(hypothesis):
        all_rows = []
        for reading in piece:
            rows = [row]
            for got in reading:
                before = rows[-1]
                after = [before[0] + 1]
                for j, character in enumerate(wanted, start=1):
                    after.append(min(before[j] + 1, after[j - 1] + 1, before[j - 1] + (character != got)))
                rows.append(after)
            all_rows.append(rows)
        lasts = [rows[-1] for rows in all_rows]
        chosen = [min(range(len(piece)), key=lambda reading, j=j: lasts[reading][j]) for j in range(len(wanted) + 1)]  # type: ignore[misc]
        row = [lasts[reading][j] for j, reading in enumerate(chosen)]
        steps.append(_Step(row, chosen, piece, all_rows))
    return steps


def _backward(wanted: str, steps: Sequence[_Step]) -> tuple[list[int], list[str]]:
    """Errors and heard text per reference position; what was inserted belongs to the position before it."""
    errors, heard = [0] * len(wanted), [""] * len(wanted)
    j = len(wanted)
    for step in reversed(steps):
        reading = step.chosen[j]
        rows, said = step.rows[reading], step.readings[reading]
        i = len(said)
        while i > 0:
            cost = rows[i][j]
            if j > 0 and cost == rows[i - 1][j - 1] + (wanted[j - 1] != said[i - 1]):
                j, i = j - 1, i - 1
                errors[j] += wanted[j] != said[i]
                heard[j] = said[i] + heard[j]
            elif cost == rows[i - 1][j] + 1:
                i -= 1
                errors[max(0, j - 1)] += 1
                heard[max(0, j - 1)] = said[i] + heard[max(0, j - 1)]
            else:
                j -= 1
                errors[j] += 1
    for rest in range(j):
        errors[rest] += 1
    return errors, heard


def turn_errors(turns: Sequence[str], hypothesis: str) -> list[TurnErrors]:
    """Errors per turn of one side's turns (in time order) against its whole transcript; they add up to ``scoring.cer`` of the whole.

    Numbers as in ``scoring.cer``: the hypothesis' in the reading that fits best, the reference's all by digits or all as quantities.
    """
    outcomes: list[list[TurnErrors]] = []
    for choice in (0, 1):
        texts = ["".join(piece[min(choice, len(piece) - 1)] for piece in lattice(turn)) for turn in turns]
        wanted = "".join(texts)
        if not wanted:
            return [TurnErrors(errors=0, characters=0, heard="") for _ in turns]
        errors, heard = _backward(wanted, _forward(wanted, hypothesis))
        outcome, position = [], 0
        for text in texts:
            end = position + len(text)
            outcome.append(TurnErrors(errors=sum(errors[position:end]), characters=len(text), heard="".join(heard[position:end])))
            position = end
        outcomes.append(outcome)
    return min(outcomes, key=lambda outcome: sum(turn.errors for turn in outcome) / sum(turn.characters for turn in outcome))


def bootstrap_interval(turns: Sequence[TurnErrors], *, rounds: int = 1000, seed: int = 1, coverage: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the character error rate when turns are drawn again with replacement.

    Turns are the unit because errors cluster in them; (0, 0) when there is nothing to draw.
    """
    spoken = [turn for turn in turns if turn.characters]
    if not spoken:
        return 0.0, 0.0
    draw = random.Random(seed)
    rates = []
    for _ in range(rounds):
        sample = draw.choices(spoken, k=len(spoken))
        rates.append(sum(turn.errors for turn in sample) / sum(turn.characters for turn in sample))
    rates.sort()
    tail = (1 - coverage) / 2
    return rates[int(tail * (rounds - 1))], rates[int((1 - tail) * (rounds - 1))]
