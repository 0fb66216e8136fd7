"""How good a search is on labelled queries, clean and with noise, with all its fields and without some."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from copilot.domain.errors import InvalidInput
from copilot.domain.knowledge import Hit, Query
from copilot.domain.ports.knowledge import KnowledgeSearch
from kb.measures import DEPTH, RANKING, Estimate, area_estimate, bootstrap, calibration_error, gains, paired_bootstrap, ratio_estimate
from kb.noise import Noise, noisy

ALL_FIELDS = "all"
CLEAN = "none"
HEARD = "heard"
"""Names the variants with what a recogniser made of the queries, where every query of the set says it."""

WITHOUT = "without "
"""Begins the name of a variant without a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledQuery:
    """A query and the articles that answer it (any of them counts); no articles: nothing in the knowledge base answers it.

    ``heard``: what a recogniser made of it, None if it was not spoken.
    """

    text: str
    language: str
    article_ids: tuple[str, ...]
    heard: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A query whose answer was not first. ``rank`` is 0 if it was not among the first ten."""

    query: str
    expected: tuple[str, ...]
    first: str
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The queries under one noise (or ``none``), searched with some of the fields (or ``all``).

    ``against_clean``: difference to the same fields without noise; ``against_all``: to all fields under the same noise; both query by
    query, and empty for the variant that would be compared with itself. ``loss_kept``: of a variant without a field under noise, the
    share of its loss against its own clean figures that is left when the field is there (0.5: it halves the loss), if that has a meaning.
    """

    noise: str
    fields: str
    metrics: Mapping[str, Estimate]
    against_clean: Mapping[str, Estimate] = field(default_factory=dict)
    against_all: Mapping[str, Estimate] = field(default_factory=dict)
    loss_kept: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The report of one set of queries: ``metrics`` and ``misses`` of the queries as they are with all fields, and every variant."""

    queries: int
    metrics: Mapping[str, Estimate]
    misses: tuple[Miss, ...]
    unanswerable: int = 0
    variants: tuple[Variant, ...] = ()


def read_queries(path: Path) -> list[LabelledQuery]:
    """JSON lines ``{"query", "article_id" (one or a list) or "answerable": false, "language" (optional)}``.

    Raises InvalidInput naming the line.
    """
    queries = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as UTF-8 text ({error}).") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            queries.append(_labelled(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f'{path}, line {number}: must be {{"query": …, "article_id": …}} ({error}).') from error
    if not queries:
        raise InvalidInput(f"{path} holds no queries.")
    return queries


def language_of(text: str) -> str:
    """``zh`` if the text has a Han character, else ``en``."""
    return "zh" if any("㐀" <= character <= "鿿" for character in text) else "en"


def evaluate(
    search: KnowledgeSearch,
    queries: Sequence[LabelledQuery],
    progress: Callable[[int, int], None] | None = None,
    *,
    noises: Sequence[Noise] = (),
    seed: int = 1,
    fields: Mapping[str, KnowledgeSearch] | None = None,
) -> Evaluation:
    """Searches every query without intent or day and scores the ranks of the right articles.

    ``noises``: each also with that noise put on the queries; what was heard of them is one more where it is known for all. ``fields``:
    name → the same search with other weights, each also searched.
    ``progress`` is told (done, total) queries. Raises InvalidInput if nothing has an answer.
    """
    if not any(query.article_ids for query in queries):
        raise InvalidInput("No query names an article that answers it; there is nothing to measure.")
    searches = {ALL_FIELDS: search, **{name: other for name, other in (fields or {}).items() if name != ALL_FIELDS}}
    spoken = all(query.heard is not None for query in queries)
    runs = {(noise, name): _Run() for noise in (CLEAN, *map(str, noises), *((HEARD,) if spoken else ())) for name in searches}
    for number, query in enumerate(queries, 1):
        # All searches of a text follow one another, so that its vector is computed once (embedders remember the last texts).
        texts = {CLEAN: query.text} | {str(noise): noisy(query.text, noise, seed) for noise in noises}
        if spoken:
            texts[HEARD] = query.heard or ""
        for noise, text in texts.items():
            for name, one in searches.items():
                runs[noise, name].add(query, _found(one, text, query.language))
        if progress is not None:
            progress(number, len(queries))
    clean = runs[CLEAN, ALL_FIELDS]
    return Evaluation(
        queries=sum(bool(query.article_ids) for query in queries),
        unanswerable=sum(not query.article_ids for query in queries),
        metrics=_metrics(clean, with_area=True),
        misses=tuple(clean.misses),
        variants=tuple(
            Variant(
                noise=noise,
                fields=name,
                metrics=_metrics(run, with_area=name == ALL_FIELDS),
                against_clean=_differences(run, runs[CLEAN, name]) if noise != CLEAN else {},
                against_all=_differences(run, runs[noise, ALL_FIELDS]) if name != ALL_FIELDS else {},
                loss_kept=_loss_kept(runs, noise, name) if noise != CLEAN and name.startswith(WITHOUT) else {},
            )
            for (noise, name), run in runs.items()
        )
        if len(runs) > 1
        else (),
    )


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """The form of ``pangting kb eval --json`` (docs/reference/schemas/kb-eval.json)."""
    return {
        "queries": evaluation.queries,
        "unanswerable": evaluation.unanswerable,
        "metrics": _estimates_json(evaluation.metrics),
        "variants": [
            {
                "noise": variant.noise,
                "fields": variant.fields,
                "metrics": _estimates_json(variant.metrics),
                "against_clean": _estimates_json(variant.against_clean),
                "against_all": _estimates_json(variant.against_all),
                "loss_kept": _estimates_json(variant.loss_kept),
            }
            for variant in evaluation.variants
        ],
        "misses": [
            {"query": miss.query, "expected": list(miss.expected), "first": miss.first, "rank": miss.rank} for miss in evaluation.misses
        ],
    }


class _Run:
    """What one search did with all queries."""

    def __init__(self) -> None:
        self.gains: dict[str, list[float]] = {name: [] for name in RANKING}
        self.sure: list[float] = []
        self.unsure: list[float] = []
        self.offered: list[float] = []
        self.offered_wrongly: list[float] = []
        self.right: list[bool] = []
        self.misses: list[Miss] = []

    def add(self, query: LabelledQuery, found: Sequence[Hit]) -> None:
        confidence = found[0].confidence if found else 0.0
        fits = float(bool(found) and found[0].fits)
        if not query.article_ids:
            self.unsure.append(confidence)
            self.offered_wrongly.append(fits)
            return
        self.sure.append(confidence)
        self.offered.append(fits)
        names = [hit.article.article_id for hit in found]
        self.right.append(bool(names) and names[0] in query.article_ids)
        for measure, value in gains(names, query.article_ids).items():
            self.gains[measure].append(value)
        rank = next((place for place, name in enumerate(names, 1) if name in query.article_ids), 0)
        if rank != 1:
            self.misses.append(Miss(query=query.text, expected=query.article_ids, first=names[0] if names else "", rank=rank))


def _found(search: KnowledgeSearch, text: str, language: str) -> Sequence[Hit]:
    return search.search(Query(text=text, language=language, top_k=DEPTH))


def _metrics(run: _Run, *, with_area: bool) -> dict[str, Estimate]:
    """Answerability only with unanswerable queries, and with all fields: the confidence is calibrated for those."""
    found = {name: bootstrap(values) for name, values in run.gains.items()}
    if not with_area or not run.unsure:
        return found
    sure, right = [*run.sure, *run.unsure], [*run.right, *(False for _ in run.unsure)]
    distance = round(calibration_error(sure, right), 4)
    return {
        **found,
        "answerability_auc": area_estimate(run.sure, run.unsure),
        "offered": bootstrap(run.offered),
        "offered_wrongly": bootstrap(run.offered_wrongly),
        "brier": bootstrap([(value - float(truth)) ** 2 for value, truth in zip(sure, right, strict=True)]),
        # A resampled calibration error is greater than the one it resamples, so it has no interval of use.
        "calibration_error": Estimate(value=distance, low=distance, high=distance),
    }


def _loss_kept(runs: Mapping[tuple[str, str], _Run], noise: str, name: str) -> dict[str, Estimate]:
    kept = {}
    for measure in ("mrr", "recall@5"):
        whole, part = (
            [clean - heard for clean, heard in zip(runs[CLEAN, one].gains[measure], runs[noise, one].gains[measure], strict=True)]
            for one in (ALL_FIELDS, name)
        )
        estimate = ratio_estimate(whole, part)
        if estimate is not None:
            kept[measure] = estimate
    return kept


def _differences(run: _Run, reference: _Run) -> dict[str, Estimate]:
    return {name: paired_bootstrap(values, reference.gains[name]) for name, values in run.gains.items()}


def _estimates_json(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, float]]:
    return {name: {"value": estimate.value, "low": estimate.low, "high": estimate.high} for name, estimate in estimates.items()}


def _labelled(row: Mapping[str, Any]) -> LabelledQuery:
    text = row["query"]
    if row.get("answerable", True) is False:
        if row.get("article_id"):
            raise ValueError("a query that nothing answers must name no article_id")
        ids: tuple[str, ...] = ()
    else:
        wanted = row["article_id"]
        ids = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        if not ids or not all(isinstance(one, str) and one for one in ids):
            raise ValueError("article_id must name an article, or answerable must be false")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("query must be a text that is not empty")
    language = row.get("language") or language_of(text)
    if language not in {"zh", "en"}:
        raise ValueError("language must be zh or en")
    heard = row.get("heard")
    if heard is not None and not isinstance(heard, str):
        raise ValueError("heard must be a text")
    return LabelledQuery(text=text, language=language, article_ids=ids, heard=heard)
