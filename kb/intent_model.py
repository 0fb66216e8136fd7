"""The trained intent classifier: a linear separator and the nearest exemplars, calibrated together. Immutable; no locks.

Per class c: logit = knn · (mean similarity of its nearest exemplars) + linear · (separator) + rule · (a rule of c matched) + bias. Beside
the intents there are two classes: talk that is no request (``UNKNOWN``) and short turns that go on with the need before (``FOLLOW``).
The four weights and the biases are fitted to held-out folds (``kb.intent_training``), so the softmax is a calibrated probability.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from copilot.domain.errors import InvalidInput
from copilot.domain.intents import UNKNOWN_INTENT
from kb.intent_features import BUCKETS, Matrix, features, hashed, term_counts

UNKNOWN = UNKNOWN_INTENT
FOLLOW = "follow_up"
PACK = "intent_model"
FORMAT = 1
NEIGHBOURS = 3
OVERLAP = 0.1
"""What shared terms add to the cosine of two sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """See the module. The defaults were fitted on the sample bank and serve a pack that was never trained."""

    knn: float = 60.0
    linear: float = 11.6
    rule: float = 3.5
    unknown_bias: float = -0.44
    follow_bias: float = -0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """A sentence that means ``intent``."""

    text: str
    intent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """``classes``: probability of every class, ``UNKNOWN`` and ``FOLLOW`` among them. ``nearest``: (exemplar, similarity), best first."""

    classes: Mapping[str, float]
    nearest: tuple[tuple[Exemplar, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearPart:
    """``weights``: ``[features, classes]``; ``mean``: per language ``[dimension]``; ``idf``: per language ``[BUCKETS]``."""

    classes: tuple[str, ...]
    weights: Matrix
    mean: Mapping[str, Matrix]
    idf: Mapping[str, Matrix]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training leaves behind; stored per organisation as the pack ``intent_model``.

    ``embedder``: identity of the model whose vectors it was fitted to. ``exemplars``: sha256 of the sentences. ``report``: the figures of
    its cross-validation, as ``pangting intents eval`` prints them.
    """

    embedder: str
    exemplars: str
    linear: LinearPart
    weights: Weights
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(trained_text(self).encode()).hexdigest()


class IntentModel:
    """Scores sentences of one language. ``vectors``: ``[len(exemplars), dimension]``, unit rows."""

    def __init__(self, language: str, exemplars: Sequence[Exemplar], vectors: Matrix, linear: LinearPart, weights: Weights) -> None:
        self._language = language
        self._exemplars = tuple(exemplars)
        self._vectors = vectors
        self._linear = linear
        self._weights = weights
        self._idf = linear.idf[language]
        # By bucket: a sentence has a few dozen of the 2,048, and only those rows are read.
        lexical = hashed([term_counts(exemplar.text, language) for exemplar in exemplars], self._idf)
        self._by_bucket = np.ascontiguousarray(lexical.T)
        column = {name: number for number, name in enumerate(linear.classes)}
        found = np.array([column[exemplar.intent] for exemplar in exemplars])
        self._rows = [np.flatnonzero(found == number) for number in range(len(column))]
        self._bias = biases(linear.classes, weights)

    def scores(self, text: str, vector: Matrix, matched: Sequence[str] = ()) -> Scored:
        """``vector``: the sentence's unit vector. ``matched``: intents whose rule matched it."""
        lexical = hashed([term_counts(text, self._language)], self._idf)
        buckets = np.flatnonzero(lexical[0])
        similarity = self._vectors @ vector + OVERLAP * (lexical[0, buckets] @ self._by_bucket[buckets])
        knn = np.array([_mean_of_best(similarity[rows]) for rows in self._rows])
        linear = (features(vector[None, :], self._linear.mean[self._language], lexical) @ self._linear.weights)[0]
        rules = np.array([float(name in matched) for name in self._linear.classes])
        logits = self._weights.knn * knn + self._weights.linear * linear + self._weights.rule * rules + self._bias
        odds = np.exp(logits - logits.max())
        order = np.argpartition(-similarity, NEIGHBOURS)[:NEIGHBOURS] if len(similarity) > NEIGHBOURS else np.arange(len(similarity))
        order = order[np.argsort(-similarity[order])]
        return Scored(
            classes={name: float(value) for name, value in zip(self._linear.classes, odds / odds.sum(), strict=True)},
            nearest=tuple((self._exemplars[row], float(similarity[row])) for row in order),
        )


def biases(classes: Sequence[str], weights: Weights) -> Matrix:
    """``[len(classes)]``."""
    special = {UNKNOWN: weights.unknown_bias, FOLLOW: weights.follow_bias}
    return np.array([special.get(name, 0.0) for name in classes], np.float32)


def _mean_of_best(similarity: Matrix) -> float:
    if not len(similarity):
        return -1.0
    return float(np.sort(similarity)[-NEIGHBOURS:].mean())


def trained_text(trained: Trained) -> str:
    """The stored form: JSON, matrices as base64 of 16-bit floats."""
    return json.dumps(
        {
            "format": FORMAT,
            "embedder": trained.embedder,
            "exemplars": trained.exemplars,
            "classes": trained.linear.classes,
            "weights": {name: round(getattr(trained.weights, name), 6) for name in Weights.__dataclass_fields__},
            "linear": _packed(trained.linear.weights),
            "mean": {language: _packed(matrix) for language, matrix in trained.linear.mean.items()},
            "idf": {language: _packed(matrix) for language, matrix in trained.linear.idf.items()},
            "report": trained.report,
        },
        ensure_ascii=False,
        sort_keys=True,
    )


def parse_trained(text: str) -> Trained:
    """The reverse of ``trained_text``. Raises InvalidInput for anything else."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']}")
        classes = tuple(str(name) for name in data["classes"])
        linear = LinearPart(
            classes=classes,
            weights=_unpacked(data["linear"], len(classes)),
            mean={language: _unpacked(packed, 0) for language, packed in data["mean"].items()},
            idf={language: _unpacked(packed, 0) for language, packed in data["idf"].items()},
        )
        if any(idf.shape != (BUCKETS,) for idf in linear.idf.values()):
            raise ValueError("idf")
        return Trained(
            embedder=str(data["embedder"]),
            exemplars=str(data["exemplars"]),
            linear=linear,
            weights=Weights(**{name: float(value) for name, value in data["weights"].items()}),
            report=data["report"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"The stored intent model cannot be read ({type(error).__name__}); run: pangting intents train") from None


def _packed(matrix: Matrix) -> str:
    return base64.b64encode(matrix.astype("<f2").tobytes()).decode("ascii")


def _unpacked(text: str, columns: int) -> Matrix:
    values = np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float32)
    return values.reshape(-1, columns) if columns else values
