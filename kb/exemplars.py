"""The numbers behind intents: exemplar sentences as vectors and terms → a score per class, and how likely none of them is meant.

Three views are added: the nearest exemplars (dense cosine plus a little overlap of terms), a linear least-squares separator per class, and
a separator between talk that is a request and talk that is not. All are fitted in closed form when the exemplars are loaded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kb.analysis import analyse

Matrix = npt.NDArray[np.float32]

NEIGHBOURS = 3
TERM_WEIGHT = 0.1
LINEAR_WEIGHT = 0.1
RIDGE = 3.0
TEMPERATURE = 0.012
GATE_MARGIN = 10.0
"""Chosen on the sample bank's 347 Chinese and 228 English exemplars by leave-one-out likelihood; the held-out queries played no part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """A sentence that means ``intent``."""

    text: str
    intent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """``classes``: probability per intent, given that one of them is meant. ``gate``: positive if rather none is meant.

    ``nearest``: (exemplar, similarity), best first.
    """

    classes: Mapping[str, float]
    gate: float
    nearest: tuple[tuple[Exemplar, float], ...]


class ExemplarModel:
    """One language's exemplars. ``vectors``: ``[len(exemplars), dimension]``, unit rows. ``unknown`` names the class of idle talk.

    Immutable after construction, so it needs no lock. Raises ValueError without at least two intents.
    """

    def __init__(self, exemplars: Sequence[Exemplar], vectors: Matrix, language: str, unknown: str) -> None:
        intents = sorted({exemplar.intent for exemplar in exemplars} - {unknown})
        if len(intents) < 2:
            raise ValueError("at least two intents with examples are needed")
        self._language = language
        self._exemplars = tuple(exemplars)
        self._intents = intents
        self._vectors = vectors
        column = {intent: number for number, intent in enumerate([*intents, unknown])}
        self._column = np.array([column[exemplar.intent] for exemplar in exemplars])
        self._rows = [np.flatnonzero(self._column == number) for number in range(len(column))]
        self._terms = _TermIndex([_features(exemplar.text, language) for exemplar in exemplars])
        self._mean = vectors.mean(axis=0)
        self._linear, self._gate = self._fit()

    def scores(self, text: str, vector: Matrix, boosts: Mapping[str, float]) -> Scores:
        """Scores of a text with its unit ``vector``. ``boosts``: intent → addition to its score (a rule matched)."""
        similarity = self._vectors @ vector + TERM_WEIGHT * self._terms.similarity(_features(text, self._language))
        best = np.array([_mean_of_best(similarity[rows]) for rows in self._rows])
        features = self._centred(vector[None, :])[0]
        known, idle = best[:-1], best[-1]
        raw = known + LINEAR_WEIGHT * (features @ self._linear)[:-1] + np.array([boosts.get(intent, 0.0) for intent in self._intents])
        odds = np.exp((raw - raw.max()) / TEMPERATURE)
        gate = float(features @ self._gate) + GATE_MARGIN * float(idle - known.max()) if len(self._rows[-1]) else -1.0
        order = np.argsort(-similarity)[:NEIGHBOURS]
        return Scores(
            classes={intent: float(value) for intent, value in zip(self._intents, odds / odds.sum(), strict=True)},
            gate=gate,
            nearest=tuple((self._exemplars[row], float(similarity[row])) for row in order),
        )

    def _fit(self) -> tuple[Matrix, Matrix]:
        """Ridge regression with balanced classes: ``[dimension + 1, classes]`` and the request/idle direction ``[dimension + 1]``."""
        features = self._centred(self._vectors).astype(np.float64)
        count = len(features)
        sizes = np.array([max(len(rows), 1) for rows in self._rows], np.float64)
        targets = np.eye(len(self._rows))[self._column]
        weights = np.sqrt(count / len(sizes) / sizes[self._column])
        linear = _ridge(features, targets, weights)
        idle = self._column == len(self._rows) - 1
        if not idle.any() or idle.all():
            return linear.astype(np.float32), np.zeros(features.shape[1], np.float32)
        weights = np.where(idle, count / 2 / idle.sum(), count / 2 / (~idle).sum())
        gate = _ridge(features, np.where(idle, 1.0, -1.0)[:, None], weights)[:, 0]
        return linear.astype(np.float32), gate.astype(np.float32)

    def _centred(self, vectors: Matrix) -> Matrix:
        # The model's vectors share one large common direction; without it the differences have room.
        moved = vectors - self._mean
        moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-6)
        return np.hstack([moved, np.ones((len(moved), 1), np.float32)])


class _TermIndex:
    """Cosine of tf-idf terms against every exemplar, by posting lists."""

    def __init__(self, documents: Sequence[Counter[str]]) -> None:
        self._count = len(documents)
        frequency = Counter(term for document in documents for term in document)
        self._idf = {term: math.log(1 + self._count / number) for term, number in frequency.items()}
        self._postings: dict[str, list[tuple[int, float]]] = {}
        for row, document in enumerate(documents):
            norm = math.sqrt(sum(self._idf[term] ** 2 for term in document)) or 1.0
            for term in document:
                self._postings.setdefault(term, []).append((row, self._idf[term] / norm))

    def similarity(self, query: Counter[str]) -> Matrix:
        result = np.zeros(self._count, np.float32)
        known = [term for term in query if term in self._idf]
        norm = math.sqrt(sum(self._idf[term] ** 2 for term in known)) or 1.0
        for term in known:
            for row, weight in self._postings[term]:
                result[row] += weight * self._idf[term] / norm
        return result


def _features(text: str, language: str) -> Counter[str]:
    terms = analyse(text, language)
    return Counter(terms.words) + Counter(terms.pinyin)


def _mean_of_best(similarity: Matrix) -> float:
    if not len(similarity):
        return -1.0
    return float(np.sort(similarity)[-NEIGHBOURS:].mean())


def _ridge(
    features: npt.NDArray[np.float64], targets: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    weighted = features * weights[:, None]
    return np.asarray(np.linalg.solve(features.T @ weighted + RIDGE * np.eye(features.shape[1]), weighted.T @ targets), np.float64)
