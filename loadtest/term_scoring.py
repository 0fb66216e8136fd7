"""How many bank terms survived recognition, and how often something else became one. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.scoring import cer
from loadtest.term_set import TermSentence, longest_terms

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One sentence under one condition. ``found`` of ``wanted`` terms are in the final text; ``corrections``: original → term."""

    sentence: TermSentence
    text: str
    wanted: int
    found: int
    missed: tuple[str, ...]
    corrections: tuple[tuple[str, str], ...]
    wrong_corrections: tuple[tuple[str, str], ...]
    """Corrections to a term that was not said."""
    wrong_terms: tuple[str, ...]
    """Terms in the final text that were not said, corrected to or not."""
    errors: float
    characters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A share with its 95% interval (percentile bootstrap over sentences)."""

    value: float
    low: float
    high: float
    count: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One row of the report. Rates of false corrections and terms are per sentence that holds no term of the lexicon."""

    recall: Estimate
    false_corrections: Estimate
    false_terms: Estimate
    wrong_corrections: Estimate
    """Corrections to a term that was not said, per sentence that holds other terms."""
    cer: float


def judge(sentence: TermSentence, text: str, corrections: Sequence[tuple[str, str]], lexicon: Collection[str]) -> Outcome:
    """``text``: the final text of the sentence; ``corrections``: what the lexicon changed in it."""
    wanted, missed = Counter(sentence.terms), []
    for term, times in wanted.items():
        missed += [term] * max(0, times - text.count(term))
    rate, characters = cer(sentence.text, text)
    return Outcome(
        sentence=sentence,
        text=text,
        wanted=len(sentence.terms),
        found=len(sentence.terms) - len(missed),
        missed=tuple(missed),
        corrections=tuple(corrections),
        wrong_corrections=tuple((original, term) for original, term in corrections if term not in sentence.text),
        wrong_terms=tuple(term for term in longest_terms(text, lexicon) if term not in sentence.text),
        errors=rate * characters,
        characters=characters,
    )


def ratio(pairs: Sequence[tuple[int, int]], *, seed: int = 1) -> Estimate:
    """Sum of firsts over sum of seconds, resampled by pair. Where nothing was counted, ``high`` is the exact 95% bound 1 − 0.05^(1/n)."""
    if not pairs or not sum(of for _, of in pairs):
        return Estimate(value=0.0, low=0.0, high=1.0, count=0, of=0)
    table = np.array(pairs, dtype=np.float64)
    count, of = int(table[:, 0].sum()), int(table[:, 1].sum())
    draws = np.random.default_rng(seed).integers(0, len(table), size=(_RESAMPLES, len(table)))
    sums = table[draws].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / np.maximum(sums[:, 1], 1), [2.5, 97.5])
    if count == 0:
        high = 1 - 0.05 ** (1 / of)
    return Estimate(value=count / of, low=float(low), high=float(high), count=count, of=of)


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """The row of a condition."""
    with_terms = [outcome for outcome in outcomes if outcome.wanted]
    without = [outcome for outcome in outcomes if not outcome.wanted]

    def share(rows: Sequence[Outcome], of: Callable[[Outcome], object]) -> Estimate:
        return ratio([(int(bool(of(row))), 1) for row in rows])

    return Summary(
        recall=ratio([(row.found, row.wanted) for row in with_terms]),
        false_corrections=share(without, lambda row: row.corrections),
        false_terms=share(without, lambda row: row.wrong_terms),
        wrong_corrections=share(with_terms, lambda row: row.wrong_corrections),
        cer=sum(row.errors for row in outcomes) / max(1, sum(row.characters for row in outcomes)),
    )
