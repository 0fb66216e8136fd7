"""Which character of a transcript is which of the reference, and when it arrived. PURE.

Edit alignment over normalised characters (``loadtest.scoring``). A character may not be paired with an utterance that had not begun when
it arrived. A number of the transcript counts in the reading that fits best (9 点 as 九点).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtest.excerpts import Utterance
from loadtest.scoring import lattice, normalise

Row = NDArray[np.int32]
_FORBIDDEN = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Text as it arrived; ``at_ms`` on the clock of the reference."""

    text: str
    at_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one reference utterance.

    ``errors``: substitutions, deletions, and the insertions that follow its characters. ``last_right_ms``: arrival of the last character
    that is paired with an equal one; None if there is none.
    """

    characters: int
    right: int
    errors: int
    last_right_ms: float | None

    @property
    def missed(self) -> bool:
        """Under half of its characters are right."""
        return 2 * self.right < self.characters


@dataclass(slots=True)
class _Tally:
    characters: int = 0
    right: int = 0
    errors: int = 0
    last_right_ms: float | None = None


def align(utterances: Sequence[Utterance], shown: Sequence[Shown]) -> list[Outcome]:
    """One channel: its utterances in order of beginning, and its texts in media order; one outcome an utterance."""
    owner: list[int] = []
    wanted: list[str] = []
    for index, utterance in enumerate(utterances):
        characters = normalise(utterance.text)
        wanted += characters
        owner += [index] * len(characters)
    reference = np.array([ord(character) for character in wanted], dtype=np.int32)
    begins = np.array([utterances[index].start_ms for index in owner], dtype=np.float64)
    pieces = [(readings, item.at_ms) for item in shown for readings in lattice(item.text)]
    tallies = [_Tally() for _ in utterances]
    for index in owner:
        tallies[index].characters += 1
    if owner:
        _trace(reference, begins, owner, pieces, tallies)
    return [
        Outcome(characters=tally.characters, right=tally.right, errors=tally.errors, last_right_ms=tally.last_right_ms) for tally in tallies
    ]


def _step(row: Row, character: str, reference: Row, allowed: NDArray[np.bool_]) -> Row:
    """The next row of the edit distance; the chain of deletions as a running minimum."""
    pair = np.where(allowed, reference != ord(character), _FORBIDDEN)
    best = row + 1
    np.minimum(best[1:], row[:-1] + pair, out=best[1:])
    count = np.arange(len(best), dtype=np.int32)
    return (np.minimum.accumulate(best - count) + count).astype(np.int32)


def _trace(
    reference: Row,
    begins: NDArray[np.float64],
    owner: list[int],
    pieces: list[tuple[tuple[str, ...], float]],
    tallies: list[_Tally],
) -> None:
    merged: Row = np.arange(len(reference) + 1, dtype=np.int32)
    branches: list[list[list[Row]]] = []
    for readings, at_ms in pieces:
        allowed = begins <= at_ms
        branch: list[list[Row]] = []
        for reading in readings:
            rows = [merged]
            for character in reading:
                rows.append(_step(rows[-1], character, reference, allowed))
            branch.append(rows)
        branches.append(branch)
        merged = np.minimum.reduce([rows[-1] for rows in branch])
    j = len(reference)
    for (readings, at_ms), branch in zip(reversed(pieces), reversed(branches), strict=True):
        best = min(range(len(branch)), key=lambda index: int(branch[index][-1][j]))
        rows, reading, allowed = branch[best], readings[best], begins <= at_ms
        i = len(reading)
        while i > 0:
            here = int(rows[i][j])
            differs = j > 0 and int(reference[j - 1]) != ord(reading[i - 1])
            if j > 0 and allowed[j - 1] and int(rows[i - 1][j - 1]) + differs == here:
                tally = tallies[owner[j - 1]]
                if differs:
                    tally.errors += 1
                else:
                    tally.right += 1
                    tally.last_right_ms = at_ms if tally.last_right_ms is None else max(tally.last_right_ms, at_ms)
                i, j = i - 1, j - 1
            elif int(rows[i - 1][j]) + 1 == here:
                tallies[owner[max(0, j - 1)]].errors += 1
                i -= 1
            else:
                tallies[owner[j - 1]].errors += 1
                j -= 1
    while j > 0:
        tallies[owner[j - 1]].errors += 1
        j -= 1
