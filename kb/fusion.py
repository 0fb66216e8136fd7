"""Scores of several rankers → one ranking and a confidence. Pure.

Weighted z-scores: each ranker's article scores are standardised over the candidates, then added with weights. Plain reciprocal-rank fusion
was worse on short titles, because it forgets by how much the first is ahead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from copilot.domain.knowledge import Passage
from kb.engine import Candidates

FIELDS = ("dense", "words", "bigrams", "pinyin")
"""What can be weighted; every engine gives a score for each."""

DEFAULT_WEIGHTS: Mapping[str, float] = MappingProxyType({"dense": 1.0, "words": 0.2, "bigrams": 0.3, "pinyin": 0.3})
"""Dense leads; words and character bigrams settle names of products; pinyin saves what the recogniser misheard."""

_KIND_BONUS: Mapping[str, float] = MappingProxyType({"question": 0.0, "answer": 0.0, "body": -0.05})
"""Which passage is shown when several fit alike, in units of the fused score; the article's score does not depend on it."""

_MIN_SPREAD = {"dense": 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedArticle:
    """An article with its fused score, its raw score per ranker (best passage each) and its best passage."""

    article_id: str
    score: float
    passage: Passage
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Confidence = logistic(bias + Σ weight·feature); see ``confidence``."""

    bias: float
    cosine: float
    margin: float
    overlap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What the intents that the caller may mean add. P: how likely the article's own intent is meant.

    ``boost``·P is added to the fused score. Confidence = logistic(bias + evidence · e + intent · P), where e is the log odds of the
    confidence by words alone above the bar of the ranking, within ±8.
    """

    boost: float
    bias: float
    evidence: float
    intent: float

    def confidence(self, by_words: float, bar: float, likely: float) -> float:
        """``by_words``: the confidence without the intent; ``bar``: from which it is said to fit; ``likely``: P. The new bar is 0.5."""
        above = max(-8.0, min(8.0, _log_odds(by_words) - _log_odds(bar)))
        return 1.0 / (1.0 + math.exp(-(self.bias + self.evidence * above + self.intent * likely)))


def _log_odds(probability: float) -> float:
    held = min(1 - 1e-9, max(1e-9, probability))
    return math.log(held / (1 - held))


def fuse(
    candidates: Candidates, weights: Mapping[str, float] = DEFAULT_WEIGHTS, boosts: Mapping[str, float] | None = None
) -> list[FusedArticle]:
    """Articles, best first; ties by id. ``boosts``: article id → what is added to its fused score."""
    per_ranker = {name: scores for name, scores in candidates.scores.items() if weights.get(name) and scores}
    best = best_scores(candidates, per_ranker)
    scales = {name: _scale(name, [scores.get(name) for scores in best.values()]) for name in per_ranker}

    def fused(raw: Mapping[str, float]) -> float:
        return sum(weights[name] * scale.standard(raw.get(name)) for name, scale in scales.items())

    # Of passages only the order within an article matters: what the missing scores add is the same for all, and is left out.
    values: dict[str, float] = {}
    for name, scores in per_ranker.items():
        scale, weight = scales[name], weights[name] / scales[name].spread
        for passage_id, score in scores.items():
            values[passage_id] = values.get(passage_id, 0.0) + weight * (score - scale.floor)
    shown: dict[str, tuple[float, Passage]] = {}
    for passage_id, sum_ in values.items():
        passage = candidates.passages[passage_id]
        value = sum_ + _KIND_BONUS.get(passage.kind, 0.0)
        held = shown.get(passage.article_id)
        if held is None or (value, passage_id) > (held[0], held[1].passage_id):
            shown[passage.article_id] = (value, passage)
    ranked = [
        FusedArticle(
            article_id=article_id, score=fused(raw) + (boosts or {}).get(article_id, 0.0), passage=shown[article_id][1], scores=raw
        )
        for article_id, raw in best.items()
    ]
    return sorted(ranked, key=lambda article: (-article.score, article.article_id))


def best_scores(candidates: Candidates, fields: Iterable[str]) -> dict[str, dict[str, float]]:
    """Article id → field → the score of its best passage, for the articles that any of ``fields`` found."""
    best: dict[str, dict[str, float]] = {}
    for name in fields:
        for passage_id, score in candidates.scores.get(name, {}).items():
            of_article = best.setdefault(candidates.passages[passage_id].article_id, {})
            of_article[name] = max(score, of_article.get(name, -math.inf))
    return best


def standardised(best: Mapping[str, Mapping[str, float]], name: str) -> list[float]:
    """The scores of one field as ``fuse`` adds them, in the order of ``best``; zeros if the field found nothing."""
    values = [scores.get(name) for scores in best.values()]
    if all(value is None for value in values):
        return [0.0] * len(values)
    scale = _scale(name, values)
    return [scale.standard(value) for value in values]


def lead(scores: Iterable[float], number: int) -> float:
    """By how much the article at place ``number`` (from 0) is ahead of the best other one, within ±3; 0 if it is alone."""
    ordered = list(scores)
    if len(ordered) < 2:
        return 0.0
    return max(-3.0, min(3.0, ordered[number] - ordered[1 if number == 0 else 0]))


def confidence(ranked: list[FusedArticle], overlap: float, calibration: Calibration) -> list[float]:
    """How likely each article answers, in [0, 1], in the order of ``ranked``.

    Features: the article's cosine with the query; its lead over the best other article in fused score (negative for all but the first);
    ``overlap``, the share of the query's words that the first article's passages contain.
    """
    result = []
    for number, article in enumerate(ranked):
        cosine = article.scores.get("dense", 0.0)
        ahead = lead((one.score for one in ranked), number)
        logit = calibration.bias + calibration.cosine * cosine + calibration.margin * ahead + calibration.overlap * overlap
        result.append(1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit)))))
    return result


@dataclass(frozen=True, slots=True)
class _Scale:
    mean: float
    spread: float
    floor: float

    def standard(self, value: float | None) -> float:
        return ((self.floor if value is None else value) - self.mean) / self.spread


def _scale(name: str, values: Iterable[float | None]) -> _Scale:
    """Mean and deviation over the candidates. Missing from a lexical ranker means 0; from the dense one, the last of its list."""
    present = list(values)
    known = [value for value in present if value is not None]
    floor = min(known) if name == "dense" else 0.0
    filled = [floor if value is None else value for value in present]
    mean = sum(filled) / len(filled)
    spread = math.sqrt(sum((value - mean) ** 2 for value in filled) / len(filled))
    return _Scale(mean, max(spread, _MIN_SPREAD.get(name, 0.1)), floor)
