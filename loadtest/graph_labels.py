"""The knowledge graph against its labels (tests/data/graph): ``python -m loadtest.graph_labels --part dev``.

Facts: precision and recall of the statements. Questions: when the customer has to be asked, which options, and comparisons; with the
articles that the sample bank's search finds (``--no-search``: with any article, and no model is needed). 95% intervals by bootstrap over
statements and questions.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from copilot.domain.graph import Guidance
from copilot.domain.knowledge import Article, Query
from kb.facts import quantities
from kb.graph import KnowledgeGraph
from kb.graph_eval import Counts, judge, scores
from kb.graph_extraction import extractor
from kb.graph_questions import HITS, Questions, questions
from kb.loaders import load_articles

ROOT = Path(__file__).parents[1]
BANK = ROOT / "kb/samples/bank"
DATA = ROOT / "tests/data/graph"
DAY = date(2026, 11, 27)
Json = dict[str, Any]
Search = Callable[[str, str], set[str] | None]


def rows(name: str, part: str) -> list[Json]:
    """The labels of a part (``dev``, ``test``)."""
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["split"] == part]


def judged_statements(part: str, articles: Sequence[Article]) -> list[tuple[str, Counts, list[str]]]:
    """(id, counts, errors) of every statement."""
    by_key = {(article.article_id, article.language): article for article in articles}
    found = []
    for row in rows("statements", part):
        if "article_id" in row:
            article = by_key[row["article_id"], row["language"]]
            start = article.body.index(row["text"])
        else:
            start = len(row["before"])
            article = Article(
                article_id=row["id"], version=1, language=row["language"], domain="", title=row["title"], body=row["before"] + row["text"],
                products=tuple(row["products"]),
            )  # fmt: skip
        end = start + len(row["text"])
        facts = [fact for fact in extractor(row["language"]).read(article) if fact.source.start < end and fact.source.end > start]
        counts, errors = judge(facts, row["triples"], row["language"])
        found.append((row["id"], counts, errors))
    return found


def judged_questions(part: str, made: dict[str, Questions], search: Search) -> list[Json]:
    """Of every question: ``kind`` and what was ``found``; ``options`` as counts; ``right`` for a comparison; ``ms``."""
    for asked in made.values():  # what is compiled on first use is not the cost of a question
        asked.guide("年费多少钱 annual fee")
    judged = []
    for row in rows("questions", part):
        asked, articles = made[row["language"]], search(row["query"], row["language"])
        begun = time.thread_time()
        guidance = asked.guide(row["query"], articles)
        taken = 1000 * (time.thread_time() - begun)
        found: Json = {"id": row["id"], "kind": row["kind"], "found": guidance.kind if guidance else "clear", "ms": taken}
        if row["kind"] == found["found"] == "ask" and guidance:
            found["options"] = _options(asked, [choice.entity_id for choice in guidance.choices], row["options"])
        if row["kind"] == "compare":
            found["right"] = bool(guidance and guidance.kind == "compare" and _compared(guidance, row["values"], row["language"]))
        judged.append(found)
    return judged


def _options(asked: Questions, shown: Sequence[str], wanted: Sequence[str]) -> tuple[int, int, int, int]:
    def same(one: str, other: str) -> bool:
        return one == other or one in asked.words.ancestors(other) or other in asked.words.ancestors(one)

    right = sum(any(same(one, other) for other in wanted) for one in shown)
    held = sum(any(same(one, other) for one in shown) for other in wanted)
    return right, len(shown), held, len(wanted)


def _compared(guidance: Guidance, values: dict[str, str], language: str) -> bool:
    shown = {choice.entity_id: [fact.value for fact in choice.facts] for choice in guidance.choices}

    def held(value: str, facts: Sequence[str]) -> bool:
        if value == "free":
            return "free" in facts
        wanted = {(one.unit, one.value) for one in quantities(value, language)}
        return any(wanted <= {(one.unit, one.value) for one in quantities(fact, language)} for fact in facts)

    return all(held(value, shown.get(entity, ())) for entity, value in values.items())


def question_scores(judged: Sequence[Json]) -> dict[str, float]:
    """Precision and recall of asking, of the options where it was right to ask, and the share of comparisons that are right."""
    shown = sum(one["found"] == "ask" for one in judged)
    right = sum(one["found"] == one["kind"] == "ask" for one in judged)
    there = sum(one["kind"] == "ask" for one in judged)
    options = [one["options"] for one in judged if "options" in one]
    good, all_, held, wanted = (sum(column) for column in zip(*options, strict=True)) if options else (0, 0, 0, 0)
    compared = [one["right"] for one in judged if "right" in one]
    offered = sum(one["found"] == "compare" for one in judged)
    return {
        "ask_precision": right / shown if shown else 1.0,
        "ask_recall": right / there if there else 1.0,
        "option_precision": good / all_ if all_ else 1.0,
        "option_recall": held / wanted if wanted else 1.0,
        "comparisons_right": sum(compared) / len(compared) if compared else 1.0,
        "comparison_precision": sum(compared) / offered if offered else 1.0,
    }


def intervals(items: Sequence[Any], measure: Callable[[Sequence[Any]], dict[str, float]], seed: int = 1) -> dict[str, list[float]]:
    """95% bootstrap intervals over the items."""
    rng = np.random.default_rng(seed)
    draws = [measure([items[index] for index in rng.integers(len(items), size=len(items))]) for _ in range(2000)]
    return {name: np.percentile([draw[name] for draw in draws], [2.5, 97.5]).round(3).tolist() for name in draws[0]}


def searched() -> Search:
    """The sample bank's search with the model that ships."""
    from copilot.assembly import engines
    from copilot.settings import load
    from kb.embedded import EmbeddedEngine
    from kb.service import KnowledgeBase

    settings = load(None)
    embedder = engines.open_embedder(settings, threads=1)
    folder = Path(tempfile.mkdtemp()) / "index"
    base = KnowledgeBase(EmbeddedEngine(folder, engines.remembering(settings, embedder)), embedder)
    base.load(load_articles(BANK), 1)

    def search(text: str, language: str) -> set[str] | None:
        return {hit.article.article_id for hit in base.search(Query(text=text, language=language, day=DAY, top_k=HITS))}

    return search


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("dev", "test"), default="dev")
    parser.add_argument("--no-search", action="store_true", help="facts of any article may answer")
    parser.add_argument("--errors", action="store_true", help="print every error (never of the test part, if it is to stay one)")
    options = parser.parse_args()
    articles = load_articles(BANK)
    statements = judged_statements(options.part, articles)
    groups = {"all": statements}
    groups |= {
        "bank": [one for one in statements if not one[0].startswith("new")],
        "invented": [one for one in statements if one[0].startswith("new")],
    }
    for name, group in groups.items():
        if group:
            counts = [one[1] for one in group]
            print(f"statements {name} n={len(group)} {_rounded(scores(counts))} 95% {intervals(counts, scores)}")
    graph = KnowledgeGraph()
    graph.take(articles, (), DAY)
    made = {language: questions(graph.graph(language)) for language in ("zh", "en")}
    judged = judged_questions(options.part, made, (lambda _text, _language: None) if options.no_search else searched())
    print(f"questions n={len(judged)} {_rounded(question_scores(judged))} 95% {intervals(judged, question_scores)}")
    times = sorted(one["ms"] for one in judged)
    print(f"processor ms per question: median {times[len(times) // 2]:.3f}, p95 {times[int(0.95 * len(times))]:.3f}")
    if options.errors:
        for row_id, _, errors in statements:
            if errors:
                print(row_id, *errors, sep="\n    ")
        for one in judged:
            if one["kind"] != one["found"] or one.get("right") is False:
                print(one)


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in found.items()}


if __name__ == "__main__":
    main()
