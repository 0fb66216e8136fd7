"""LocalAgreement-2: what two consecutive hypotheses agree on is committed and never taken back. PURE.

Units are characters in Chinese (a run of Latin letters or digits is one) and words in English. (Algorithm: Liu et al. 2020, "Low-Latency
Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis Selection".)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CORE_ZH = r"[A-Za-z0-9]+(?:['.\-%][A-Za-z0-9]+)*|\w"
_CORE_EN = r"[\w]+(?:['’.,\-][\w]+)*"


@dataclass(frozen=True, slots=True)
class Unit:
    """A character or word: ``lead`` (spaces and opening marks before it), ``core``, ``tail`` (marks after it)."""

    lead: str
    core: str
    tail: str

    @property
    def key(self) -> str:
        """What agreement compares: case and marks do not matter."""
        return self.core.casefold()

    @property
    def text(self) -> str:
        return self.lead + self.core + self.tail


_PATTERN = {
    "zh": re.compile(rf"(?P<lead>[\s“‘《（(\"]*)(?P<core>{_CORE_ZH})(?P<tail>[^\w\s“‘《（(\"]*)"),
    "en": re.compile(rf"(?P<lead>[\s“‘(\"$£€]*)(?P<core>{_CORE_EN})(?P<tail>[^\w\s“‘(\"$£€]*)"),
}


def split_units(text: str, language: str) -> list[Unit]:
    """``text`` as units; joining their ``text`` gives it back except for marks with no unit before them."""
    pattern = _PATTERN["zh" if language.startswith("zh") else "en"]
    return [Unit(match["lead"], match["core"], match["tail"]) for match in pattern.finditer(text)]


def join_units(units: list[Unit]) -> str:
    return "".join(unit.text for unit in units)


class LocalAgreement:
    """The text of one open utterance.

    ``locked`` text belongs to audio that has left the window; ``push`` takes hypotheses of the audio after it.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._locked: list[Unit] = []
        self._committed: list[Unit] = []
        self._previous: list[Unit] = []
        self._unstable: list[Unit] = []

    @property
    def stable(self) -> str:
        """Committed text. Marks after its last unit are still open, so that it only ever grows."""
        units = self._locked + self._committed
        if not units:
            return ""
        last = units[-1]
        return (join_units(units[:-1]) + last.lead + last.core).lstrip()

    @property
    def unstable(self) -> str:
        units = self._locked + self._committed
        text = (units[-1].tail if units else "") + join_units(self._unstable)
        return text if units else text.lstrip()

    @property
    def locked(self) -> str:
        return join_units(self._locked).strip()

    @property
    def committed_units(self) -> int:
        """How many committed units are still inside the window."""
        return len(self._committed)

    @property
    def window_units(self) -> int:
        """How many units, committed or not, are inside the window."""
        return len(self._committed) + len(self._unstable)

    def push(self, text: str) -> None:
        """A new hypothesis of the audio after the locked text."""
        units = split_units(text, self._language)
        if units and not self._language.startswith("zh") and not units[0].lead[:1].isspace():
            units[0] = Unit(" " + units[0].lead, units[0].core, units[0].tail)
        rest = units[_matched_prefix(self._committed, units) :]
        agreed = _common_prefix(self._previous, rest)
        self._committed.extend(rest[:agreed])
        self._unstable = rest[agreed:]
        self._previous = rest[agreed:]

    def lock(self, count: int) -> None:
        """The audio of the first ``count`` units (committed ones, then, when forced, unstable ones) leaves the window."""
        forced = max(0, count - len(self._committed))
        self._locked.extend((self._committed + self._unstable)[:count])
        self._committed = self._committed[count:]
        self._unstable = self._unstable[forced:]
        self._previous = self._unstable


def _common_prefix(a: list[Unit], b: list[Unit]) -> int:
    count = 0
    for x, y in zip(a, b, strict=False):
        if x.key != y.key:
            break
        count += 1
    return count


def _matched_prefix(committed: list[Unit], units: list[Unit]) -> int:
    """How many of ``units`` say what ``committed`` says already.

    Usually the committed units lead the hypothesis. When the model has changed its mind about them, the prefix of ``units`` nearest to
    them in edit distance is taken (of equals, the one nearest to their length), so that what follows is neither repeated nor lost.
    """
    if not committed:
        return 0
    if _common_prefix(committed, units) == len(committed):
        return len(committed)
    distances = list(range(len(units) + 1))
    for i, mine in enumerate(committed, start=1):
        diagonal, distances[0] = distances[0], i
        for j, theirs in enumerate(units, start=1):
            diagonal, distances[j] = (
                distances[j],
                min(distances[j] + 1, distances[j - 1] + 1, diagonal + (mine.key != theirs.key)),
            )
    return min(range(len(units) + 1), key=lambda j: (distances[j], abs(j - len(committed))))
