"""How good a search is on labelled queries: recall@k, MRR and nDCG@10 with bootstrap intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from copilot.domain.errors import InvalidInput
from copilot.domain.knowledge import Query
from copilot.domain.ports.knowledge import KnowledgeSearch

DEPTH = 10
RESAMPLES = 1000
_SEED = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledQuery:
    """A query and the articles that answer it (any of them counts)."""

    text: str
    language: str
    article_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over queries with its 95% bootstrap interval (percentiles of 1,000 resamples, fixed seed)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A query whose answer was not first. ``rank`` is 0 if it was not among the first ten."""

    query: str
    expected: tuple[str, ...]
    first: str
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The report of one set of queries."""

    queries: int
    metrics: Mapping[str, Estimate]
    misses: tuple[Miss, ...]


def read_queries(path: Path) -> list[LabelledQuery]:
    """JSON lines ``{"query", "article_id" (one or a list), "language" (optional)}``. Raises InvalidInput naming the line."""
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


def evaluate(search: KnowledgeSearch, queries: Sequence[LabelledQuery], progress: Callable[[int, int], None] | None = None) -> Evaluation:
    """Searches every query without intent or day and scores the ranks of the right articles."""
    ranks: list[int] = []
    misses: list[Miss] = []
    for number, query in enumerate(queries, 1):
        found = [hit.article.article_id for hit in search.search(Query(text=query.text, language=query.language, top_k=DEPTH))]
        rank = next((place for place, article_id in enumerate(found, 1) if article_id in query.article_ids), 0)
        ranks.append(rank)
        if rank != 1:
            misses.append(Miss(query=query.text, expected=query.article_ids, first=found[0] if found else "", rank=rank))
        if progress is not None:
            progress(number, len(queries))
    return Evaluation(queries=len(queries), metrics=metrics(ranks), misses=tuple(misses))


def metrics(ranks: Sequence[int]) -> dict[str, Estimate]:
    """From the rank of the first right article per query (0: not found).

    nDCG@10 with one right article per query: 1/log2(rank + 1), Järvelin & Kekäläinen 2002.
    """
    gains: dict[str, list[float]] = {
        **{f"recall@{k}": [float(0 < rank <= k) for rank in ranks] for k in (1, 3, 5, 10)},
        "mrr": [1.0 / rank if rank else 0.0 for rank in ranks],
        "ndcg@10": [1.0 / math.log2(rank + 1) if 0 < rank <= DEPTH else 0.0 for rank in ranks],
    }
    return {name: bootstrap(values) for name, values in gains.items()}


def bootstrap(values: Sequence[float]) -> Estimate:
    """Mean with a 95% percentile interval over resampled queries."""
    sample = np.asarray(values, np.float64)
    chosen = np.random.default_rng(_SEED).integers(0, len(sample), (RESAMPLES, len(sample)))
    means = sample[chosen].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(value=round(float(sample.mean()), 4), low=round(float(low), 4), high=round(float(high), 4))


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """The form of ``pangting kb eval --json`` (docs/reference/schemas/kb-eval.json)."""
    return {
        "queries": evaluation.queries,
        "metrics": {
            name: {"value": estimate.value, "low": estimate.low, "high": estimate.high} for name, estimate in evaluation.metrics.items()
        },
        "misses": [
            {"query": miss.query, "expected": list(miss.expected), "first": miss.first, "rank": miss.rank} for miss in evaluation.misses
        ],
    }


def _labelled(row: Mapping[str, Any]) -> LabelledQuery:
    text, wanted = row["query"], row["article_id"]
    ids = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    if not isinstance(text, str) or not text.strip() or not ids or not all(isinstance(one, str) and one for one in ids):
        raise ValueError("query and article_id must be texts that are not empty")
    language = row.get("language") or language_of(text)
    if language not in {"zh", "en"}:
        raise ValueError("language must be zh or en")
    return LabelledQuery(text=text, language=language, article_ids=ids)
