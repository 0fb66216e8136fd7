"""Fits the intent classifier to exemplars, and says by cross-validation how good it is. Does no I/O.

The linear separator is a ridge regression on one-hot classes, solved in closed form; classes count equally, whatever their size. The
weights that join it with the nearest exemplars and the rules are fitted to the scores of held-out folds by maximum likelihood, which is
what calibrates them. Exemplars with the same words stay in one fold; noisy copies go with their original and never judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kb.intent_features import Matrix, document_frequency, features, hashed, term_counts
from kb.intent_model import FOLLOW, NEIGHBOURS, OVERLAP, UNKNOWN, Exemplar, LinearPart, Trained, Weights, biases
from kb.measures import area_estimate

FOLDS = 5
RIDGE = 2.0
_SHRINK = 1e-3
_FINEST = 0.01
_DRAWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One language's sentences. ``vectors``: unit rows. ``rules``: per sentence the intents whose rule matches it.

    ``copies``: (number of the sentence it is a noisy copy of, its text, its vector).
    """

    exemplars: Sequence[Exemplar]
    vectors: Matrix
    rules: Sequence[frozenset[str]]
    copies: Sequence[tuple[int, str, Matrix]] = ()


def digest(samples: Mapping[str, Sequence[Exemplar]]) -> str:
    """sha256 of the sentences and their intents: whether a stored model was trained on these."""
    lines = [f"{language}\t{item.intent}\t{item.text}" for language, items in samples.items() for item in items]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def classes_of(samples: Mapping[str, Sequence[Exemplar]]) -> tuple[str, ...]:
    """The intents in order, then the two classes beside them. Raises ValueError without at least two intents."""
    names = {item.intent for items in samples.values() for item in items} - {UNKNOWN, FOLLOW}
    if len(names) < 2:
        raise ValueError("at least two intents with examples are needed")
    return (*sorted(names), UNKNOWN, FOLLOW)


def fit_linear(
    samples: Mapping[str, Sample], classes: Sequence[str], *, keep: Mapping[str, npt.NDArray[np.bool_]] | None = None
) -> LinearPart:
    """The separator over both languages; ``keep`` leaves sentences (and their copies) out."""
    mean = {language: sample.vectors.mean(axis=0) for language, sample in samples.items()}
    idf = {
        language: document_frequency([term_counts(item.text, language) for item in sample.exemplars])
        for language, sample in samples.items()
    }
    blocks: list[Matrix] = []
    targets: list[int] = []
    column = {name: number for number, name in enumerate(classes)}
    for language, sample in samples.items():
        chosen = keep[language] if keep is not None else np.ones(len(sample.exemplars), bool)
        rows = [int(row) for row in np.flatnonzero(chosen)]
        texts = [sample.exemplars[row].text for row in rows]
        vectors = [sample.vectors[rows]]
        targets += [column[sample.exemplars[row].intent] for row in rows]
        copies = [copy for copy in sample.copies if chosen[copy[0]]]
        if copies:
            texts += [text for _, text, _ in copies]
            vectors.append(np.stack([vector for _, _, vector in copies]))
            targets += [column[sample.exemplars[row].intent] for row, _, _ in copies]
        lexical = hashed([term_counts(text, language) for text in texts], idf[language])
        blocks.append(features(np.vstack(vectors), mean[language], lexical))
    weights = _ridge(np.vstack(blocks), np.array(targets), len(classes))
    return LinearPart(classes=tuple(classes), weights=weights, mean=mean, idf=idf)


def train(samples: Mapping[str, Sample], embedder: str) -> Trained:
    """Fits everything and measures it on held-out folds. Raises ValueError without at least two intents."""
    sentences = {language: sample.exemplars for language, sample in samples.items()}
    classes = classes_of(sentences)
    held = {language: _Held(language, sample, classes) for language, sample in samples.items()}
    for fold in range(FOLDS):
        keep = {language: part.fold != fold for language, part in held.items()}
        linear = fit_linear(samples, classes, keep=keep)
        for part in held.values():
            part.score(fold, linear)
    weights = _fit_weights(list(held.values()), classes)
    whole = fit_linear(samples, classes)
    report = {language: part.report(weights, classes) for language, part in held.items()}
    return Trained(embedder=embedder, exemplars=digest(sentences), linear=whole, weights=weights, report=report)


class _Held:
    """Out-of-fold scores of one language's sentences: ``knn`` and ``linear`` are ``[sentences, classes]``."""

    def __init__(self, language: str, sample: Sample, classes: Sequence[str]) -> None:
        self._language, self._sample = language, sample
        column = {name: number for number, name in enumerate(classes)}
        self.gold = np.array([column[item.intent] for item in sample.exemplars])
        # By their words, so that the same sentence of an example and of an article is in one fold.
        keys = [hashlib.sha256(item.text.encode()).digest()[0] for item in sample.exemplars]
        self.fold = np.array(keys) % FOLDS
        self.rules = np.array([[float(name in matched) for name in classes] for matched in sample.rules], np.float32)
        self.linear = np.zeros((len(self.gold), len(classes)), np.float32)
        self.knn = np.full((len(self.gold), len(classes)), -1.0, np.float32)
        idf = document_frequency([term_counts(item.text, language) for item in sample.exemplars])
        self._lexical = hashed([term_counts(item.text, language) for item in sample.exemplars], idf)

    def score(self, fold: int, linear: LinearPart) -> None:
        rows, others = np.flatnonzero(self.fold == fold), np.flatnonzero(self.fold != fold)
        vectors = self._sample.vectors
        self.linear[rows] = features(vectors[rows], linear.mean[self._language], self._lexical[rows]) @ linear.weights
        similarity = vectors[rows] @ vectors[others].T + OVERLAP * (self._lexical[rows] @ self._lexical[others].T)
        for number in range(self.knn.shape[1]):
            members = np.flatnonzero(self.gold[others] == number)
            if len(members):
                best = np.sort(similarity[:, members], axis=1)[:, -NEIGHBOURS:]
                self.knn[rows, number] = best.mean(axis=1)

    def logits(self, weights: Weights, classes: Sequence[str]) -> Matrix:
        result: Matrix = weights.knn * self.knn + weights.linear * self.linear + weights.rule * self.rules + biases(classes, weights)
        return result

    def report(self, weights: Weights, classes: Sequence[str]) -> dict[str, Any]:
        """Macro-F1 over the intents and unknown, out-of-scope area, with 95% intervals, and the calibration error."""
        probability = _softmax(self.logits(weights, classes))
        best = probability.argmax(axis=1)
        judged = np.flatnonzero(self.gold != classes.index(FOLLOW))
        outside = classes.index(UNKNOWN)
        scores = probability[:, outside]
        area = area_estimate(
            [float(v) for v in scores[self.gold == outside]], [float(v) for v in scores[judged][self.gold[judged] != outside]]
        )
        f1 = [macro_f1(self.gold[judged], best[judged])]
        draw = np.random.default_rng(1)
        for _ in range(_DRAWS):
            rows = draw.choice(judged, len(judged))
            f1.append(macro_f1(self.gold[rows], best[rows]))
        low, high = np.quantile(f1[1:], (0.025, 0.975))
        right = best[judged] == self.gold[judged]
        return {
            "sentences": len(judged),
            "macro_f1": [round(float(value), 4) for value in (f1[0], low, high)],
            "out_of_scope_auc": [round(value, 4) for value in (area.value, area.low, area.high)],
            "accuracy": round(float(right.mean()), 4),
            "calibration_error": round(_calibration(probability[judged].max(axis=1), right), 4),
            "confused": _confused(self.gold[judged], best[judged], classes),
        }


def macro_f1(gold: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> float:
    """The mean F1 over the classes that occur in ``gold``."""
    values = []
    for number in np.unique(gold):
        hits = float(((gold == number) & (found == number)).sum())
        values.append(2 * hits / float((gold == number).sum() + (found == number).sum()))
    return float(np.mean(values))


def _calibration(confidence: Matrix, right: npt.NDArray[np.bool_]) -> float:
    order = np.argsort(confidence)
    bins = np.array_split(order, 10)
    return float(sum(len(rows) * abs(confidence[rows].mean() - right[rows].mean()) for rows in bins if len(rows)) / len(order))


def _confused(gold: npt.NDArray[np.int64], found: npt.NDArray[np.int64], classes: Sequence[str]) -> list[list[Any]]:
    """The ten pairs that are mistaken most often: [is, taken for, times]."""
    pairs: dict[tuple[int, int], int] = {}
    for is_, taken in zip(gold.tolist(), found.tolist(), strict=True):
        if is_ != taken:
            pairs[is_, taken] = pairs.get((is_, taken), 0) + 1
    worst = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:10]
    return [[classes[is_], classes[taken], times] for (is_, taken), times in worst]


def _fit_weights(held: Sequence[_Held], classes: Sequence[str]) -> Weights:
    """Maximum likelihood on held-out scores, every class counting the same; a whisper of shrinkage towards the defaults."""
    start = Weights()
    names = tuple(Weights.__dataclass_fields__)
    origin = np.array([getattr(start, name) for name in names])
    scale = np.array([20.0, 5.0, 2.0, 2.0, 2.0])
    gold = np.concatenate([part.gold for part in held])
    sizes = np.bincount(gold, minlength=len(classes))
    share = 1.0 / np.maximum(sizes[gold], 1)
    share /= share.sum()

    def loss(moved: npt.NDArray[np.float64]) -> float:
        weights = Weights(**dict(zip(names, (origin + scale * moved).tolist(), strict=True)))
        logits = np.vstack([part.logits(weights, classes) for part in held]).astype(np.float64)
        top = logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
        return float((share * (log_sum - logits[np.arange(len(gold)), gold])).sum() + _SHRINK * (moved**2).sum())

    found = _descend(loss, np.zeros(len(names)))
    return Weights(**dict(zip(names, (origin + scale * found).tolist(), strict=True)))


def _descend(loss: Callable[[npt.NDArray[np.float64]], float], start: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The lowest point near ``start``, one coordinate after the other with halving steps: enough for a handful of smooth weights."""
    at, lowest, step = start.copy(), loss(start), 0.5
    while step > _FINEST:
        moved = False
        for place in range(len(at)):
            for change in (step, -step):
                tried = at.copy()
                tried[place] += change
                if (value := loss(tried)) < lowest:
                    at, lowest, moved = tried, value, True
                    break
        step = step if moved else step / 2
    return at


def _softmax(logits: Matrix) -> Matrix:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Matrix = odds / odds.sum(axis=1, keepdims=True)
    return result


def _ridge(rows: Matrix, targets: npt.NDArray[np.int64], classes: int) -> Matrix:
    """``[features, classes]``."""
    sizes = np.bincount(targets, minlength=classes)
    weights = (len(targets) / classes / np.maximum(sizes, 1))[targets].astype(np.float32)
    # Half of the way to equal classes: a class of three sentences must not weigh as much as one of sixty.
    weighted = rows * np.sqrt(weights)[:, None]
    one_hot = np.eye(classes, dtype=np.float32)[targets]
    solved = np.linalg.solve(rows.T @ weighted + RIDGE * np.eye(rows.shape[1], dtype=np.float32), weighted.T @ one_hot)
    return np.asarray(solved, np.float32)
