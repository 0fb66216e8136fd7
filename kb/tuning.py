"""Fitting a ranking to labelled queries: weights of the fields, confidence, and the bar below which nothing fits. Deterministic.

Weights: coordinate ascent over a small grid, on the mean reciprocal rank over all readings (each query as it is, and with noise). They are
judged by cross-validation over articles: the weights that rank an article's queries were fitted without any query of that article.
Confidence: logistic regression on the features of ``kb.fusion.confidence``, taken if it tells answerable queries from others no worse than
the present one. The bar: where the shares of right decisions on queries with and without an answer are best on average. Both are
cross-validated too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from kb.evaluation import LabelledQuery
from kb.fusion import FIELDS, Calibration, lead, standardised
from kb.measures import DEPTH, Estimate, area_estimate, bootstrap, paired_bootstrap
from kb.noise import Noise, noisy
from kb.ranking import LanguageRanking, Ranking
from kb.service import KnowledgeBase, Observed

Floats = npt.NDArray[np.float64]

FOLDS = 5
GRID = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0)
"""Weights tried for a field, beside 1 for the leading one. Finer steps change no ranking that a few hundred queries could tell apart."""

LEAST_QUERIES = 30
"""With fewer answerable queries in a language its ranking is left as it is."""

_ROUNDS = 6
_RIDGE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One query as it was looked up, clean or noisy. ``found`` is None if nothing was."""

    query: LabelledQuery
    found: Observed | None

    @property
    def fold(self) -> int:
        """Of cross-validation: all queries of an article are in one (of the first it names; without an answer, by the text)."""
        name = self.query.article_ids[0] if self.query.article_ids else self.query.text
        return hashlib.sha256(name.encode()).digest()[0] % FOLDS


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageReport:
    """What fitting did for one language; the measures are over all readings. ``cross_validated`` are those to believe.

    ``gain``: cross-validated against before, in MRR, reading by reading. ``adopted``: false if that was below 0, then the weights stay.
    ``auc``: answerable against not, with the confidence that was taken (cross-validated if it was fitted); None without unanswerable
    queries, then confidence and bar stay too.
    """

    language: str
    queries: int
    unanswerable: int
    readings: int
    before: Mapping[str, Estimate]
    after: Mapping[str, Estimate]
    cross_validated: Mapping[str, Estimate]
    gain: Estimate
    adopted: bool
    auc: Estimate | None


def observe(
    base: KnowledgeBase,
    queries: Sequence[LabelledQuery],
    noises: Sequence[Noise],
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Reading]:
    """Looks every query up, as it is, as it was heard if it was spoken, and with each noise that changes it.

    ``progress`` is told (done, total) queries.
    """
    readings = []
    for number, query in enumerate(queries, 1):
        spoken = [query.heard] if query.heard is not None else []
        texts = dict.fromkeys([query.text, *spoken, *(noisy(query.text, noise, seed) for noise in noises)])
        readings += [Reading(query=query, found=base.observe(text, query.language)) for text in texts]
        if progress is not None:
            progress(number, len(queries))
    return readings


def fit(readings: Sequence[Reading], current: Ranking, embedder: str) -> tuple[Ranking, list[LanguageReport]]:
    """A ranking fitted to ``readings``, starting from ``current``; languages with too few queries keep theirs."""
    languages = dict(current.languages)
    reports = []
    for language in sorted({reading.query.language for reading in readings}):
        mine = [reading for reading in readings if reading.query.language == language]
        if len({reading.query.text for reading in mine if reading.query.article_ids}) >= LEAST_QUERIES:
            languages[language], report = _fit_language(mine, current.of(language), language)
            reports.append(report)
    return Ranking(languages=languages, embedder=embedder), reports


def fitted_weights(readings: Sequence[Reading], start: Mapping[str, float], fields: Sequence[str]) -> dict[str, float]:
    """Weights of ``fields`` fitted to the readings that have an answer; the other fields get 0."""
    right = [reading for reading in readings if reading.query.article_ids]
    return _ascend(_Table(right), np.ones(len(right), bool), start, fields)


def ranks(readings: Sequence[Reading], weights: Mapping[str, float]) -> npt.NDArray[np.int64]:
    """[readings]: place of the first right article from 1, 0 if it is not among the first ten."""
    return _Table(readings).ranks(weights)


def _fit_language(readings: Sequence[Reading], current: LanguageRanking, language: str) -> tuple[LanguageRanking, LanguageReport]:
    right = [reading for reading in readings if reading.query.article_ids]
    table = _Table(right)
    folds = np.array([reading.fold for reading in right])
    everything = np.ones(len(right), bool)
    fitted = _ascend(table, everything, current.weights, FIELDS)
    ranks = np.zeros(len(right), np.int64)
    for fold in np.unique(folds):
        weights = _ascend(table, folds != fold, current.weights, FIELDS)
        ranks[folds == fold] = table.ranks(weights)[folds == fold]
    before = table.ranks(current.weights)
    gain = paired_bootstrap(_reciprocal(ranks).tolist(), _reciprocal(before).tolist())
    adopted = gain.value >= 0
    weights = fitted if adopted else dict(current.weights)
    without = {
        name: _ascend(table, everything, weights, [other for other in FIELDS if other != name]) for name in FIELDS if weights.get(name)
    }
    calibration, threshold, auc = _confidence(readings, weights, current)
    report = LanguageReport(
        language=language,
        queries=len({reading.query.text for reading in right}),
        unanswerable=len({reading.query.text for reading in readings if not reading.query.article_ids}),
        readings=len(right),
        before=_measures(before),
        after=_measures(table.ranks(weights)),
        cross_validated=_measures(ranks),
        gain=gain,
        adopted=adopted,
        auc=auc,
    )
    return LanguageRanking(weights=weights, calibration=calibration, threshold=threshold, mend=current.mend, without=without), report


class _Table:
    """The standardised scores of all readings as arrays, for each choice of fields (which decides the articles that are compared)."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings
        self._made: dict[tuple[str, ...], tuple[Floats, npt.NDArray[np.bool_]]] = {}

    def ranks(self, weights: Mapping[str, float]) -> npt.NDArray[np.int64]:
        """[readings]: place of the first right article from 1, 0 if it is not among the first ten. As ``kb.fusion.fuse`` ranks."""
        fields = tuple(name for name in FIELDS if weights.get(name))
        scores, right = self._scores(fields)
        fused: Floats = scores @ np.array([weights[name] for name in fields])
        best = np.where(right, fused, -np.inf).max(axis=1, keepdims=True)
        # Equal scores are ordered by id, and the columns are in that order.
        first = np.argmax(right & (fused == best), axis=1)[:, None]
        columns = np.arange(fused.shape[1])[None, :]
        ahead = ((fused > best) | ((fused == best) & (columns < first))).sum(axis=1)
        found = right.any(axis=1) & (ahead < DEPTH)
        return np.where(found, ahead + 1, 0)

    def _scores(self, fields: tuple[str, ...]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """[readings, articles, fields], −∞ where there is no article; and [readings, articles]: is it a right one?"""
        if fields not in self._made:
            rows = [_standardised(reading.found, fields) for reading in self._readings]
            width = max((len(ids) for ids, _ in rows), default=0) or 1
            scores = np.full((len(rows), width, len(fields)), -1e9)
            right = np.zeros((len(rows), width), bool)
            for number, (reading, (ids, values)) in enumerate(zip(self._readings, rows, strict=True)):
                scores[number, : len(ids)] = values
                right[number, : len(ids)] = [article_id in reading.query.article_ids for article_id in ids]
            self._made[fields] = scores, right
        return self._made[fields]


def _standardised(found: Observed | None, fields: Sequence[str]) -> tuple[list[str], Floats]:
    """Article ids in order, and [articles, fields]."""
    kept = {} if found is None else {name: of for name, of in found.scores.items() if any(field in of for field in fields)}
    return list(kept), np.array([standardised(kept, field) for field in fields]).T.reshape(len(kept), len(fields))


def _ascend(table: _Table, chosen: npt.NDArray[np.bool_], start: Mapping[str, float], fields: Sequence[str]) -> dict[str, float]:
    """Weights of ``fields`` with the best mean reciprocal rank on the chosen readings, from two starts; the first best one wins a tie."""

    def value(weights: Mapping[str, float]) -> float:
        return float(_reciprocal(table.ranks(weights))[chosen].mean()) if any(weights.values()) else -1.0

    best: tuple[float, dict[str, float]] | None = None
    for given in ({name: start.get(name, 0.0) for name in fields}, dict.fromkeys(fields, 0.5) | {fields[0]: 1.0}):
        top = max(given.values()) or 1.0
        weights = {name: weight / top for name, weight in given.items()}
        held = value(weights)
        for _ in range(_ROUNDS):
            before = held
            for name in fields:
                for step in GRID:
                    tried = {**weights, name: step}
                    found = value(tried)
                    if found > held + 1e-9:
                        weights, held = tried, found
            if held == before:
                break
        if best is None or held > best[0] + 1e-9:
            best = held, weights
    assert best is not None
    top = max(best[1].values())
    return {name: round(best[1].get(name, 0.0) / top, 4) for name in FIELDS}


def _confidence(
    readings: Sequence[Reading], weights: Mapping[str, float], current: LanguageRanking
) -> tuple[Calibration, float, Estimate | None]:
    """Calibration and bar for ``weights``, and the area under the curve with them; the current ones without unanswerable queries.

    A fitted calibration that tells answerable queries from others less well than the current one, cross-validated, is not taken: then only
    the bar is fitted. What makes a first article right (its lead, shared words) is not all that makes a query answerable.
    """
    rows = [_features(reading, weights) for reading in readings]
    features = np.array([row[0] for row in rows])
    label = np.array([row[1] for row in rows])
    answerable = np.array([bool(reading.query.article_ids) for reading in readings])
    folds = np.array([reading.fold for reading in readings])
    if answerable.all() or label.all() or not label.any():
        return current.calibration, current.threshold, None
    sure = np.zeros(len(rows))
    for fold in np.unique(folds):
        kept = folds != fold
        if len(set(label[kept])) < 2:
            return current.calibration, current.threshold, None
        sure[~kept] = _probability(features[~kept], *_regression(features[kept], label[kept]))
    held = current.calibration
    as_before = _probability(features, held.bias, np.array([held.cosine, held.margin, held.overlap]))
    fitted, before = (area_estimate(one[answerable].tolist(), one[~answerable].tolist()) for one in (sure, as_before))
    if fitted.value < before.value:
        return held, _bar(as_before, answerable), before
    bias, slopes = _regression(features, label)
    cosine, margin, overlap = (round(float(slope), 4) for slope in slopes)
    return Calibration(bias=round(bias, 4), cosine=cosine, margin=margin, overlap=overlap), _bar(sure, answerable), fitted


def _features(reading: Reading, weights: Mapping[str, float]) -> tuple[list[float], bool]:
    """Cosine, lead and overlap of the article that ``weights`` rank first, and whether it is a right one."""
    fields = [name for name in FIELDS if weights.get(name)]
    ids, values = _standardised(reading.found, fields)
    if reading.found is None or not ids:
        return [0.0, 0.0, 0.0], False
    fused = values @ np.array([weights[name] for name in fields])
    order = np.argsort(-fused, kind="stable")
    first = ids[int(order[0])]
    cosine = reading.found.scores[first].get("dense", 0.0) if weights.get("dense") else 0.0
    return [cosine, lead(fused[order].tolist(), 0), reading.found.overlaps[first]], first in reading.query.article_ids


def _regression(features: Floats, label: npt.NDArray[np.bool_]) -> tuple[float, Floats]:
    """Bias and slopes for the features as they are, fitted on standardised ones so that the ridge treats them alike."""
    mean, spread = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    model = LogisticRegression(C=1.0 / _RIDGE, max_iter=1000).fit((features - mean) / spread, label)
    slopes: Floats = model.coef_[0] / spread
    return float(model.intercept_[0] - slopes @ mean), slopes


def _probability(features: Floats, bias: float, slopes: Floats) -> Floats:
    sure: Floats = 1.0 / (1.0 + np.exp(-np.clip(features @ slopes + bias, -30, 30)))
    return sure


def _bar(sure: Floats, answerable: npt.NDArray[np.bool_]) -> float:
    """The lowest confidence at which the share offered of the answerable plus the share refused of the others is greatest."""
    steps = np.round(np.arange(0.05, 0.96, 0.01), 2)
    gained = [(sure[answerable] >= step).mean() + (sure[~answerable] < step).mean() for step in steps]
    return float(steps[int(np.argmax(gained))])


def _reciprocal(ranks: npt.NDArray[np.int64]) -> Floats:
    return np.where(ranks > 0, 1.0 / np.maximum(ranks, 1), 0.0)


def _measures(ranks: npt.NDArray[np.int64]) -> dict[str, Estimate]:
    return {
        "recall@1": bootstrap((ranks == 1).astype(float).tolist()),
        "recall@5": bootstrap(((ranks > 0) & (ranks <= 5)).astype(float).tolist()),
        "mrr": bootstrap(_reciprocal(ranks).tolist()),
    }


def tuning_json(ranking: Ranking, reports: Sequence[LanguageReport], *, kept: bool) -> dict[str, Any]:
    """The form of ``pangting kb tune --json`` (docs/reference/schemas/kb-tune.json). ``kept``: it was stored."""
    return {"kept": kept, "languages": [_report_json(report, ranking.of(report.language)) for report in reports]}


def _report_json(report: LanguageReport, ranking: LanguageRanking) -> dict[str, Any]:
    def form(estimate: Estimate) -> dict[str, float]:
        return {"value": estimate.value, "low": estimate.low, "high": estimate.high}

    return {
        "language": report.language,
        "queries": report.queries,
        "unanswerable": report.unanswerable,
        "readings": report.readings,
        **{
            name: {measure: form(estimate) for measure, estimate in measures.items()}
            for name, measures in (("before", report.before), ("after", report.after), ("cross_validated", report.cross_validated))
        },
        "gain": form(report.gain),
        "adopted": report.adopted,
        "answerability_auc": None if report.auc is None else form(report.auc),
        "weights": dict(ranking.weights),
        "threshold": ranking.threshold,
    }
