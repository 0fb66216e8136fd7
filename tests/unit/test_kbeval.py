"""The metrics of a search, and the JSON forms of results."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import pytest

from copilot.domain.errors import InvalidInput, NotFound
from copilot.domain.ids import ArticleId, PassageId
from copilot.domain.knowledge import Article, Hit, Passage, Query
from kb.evaluation import bootstrap, evaluate, evaluation_json, metrics, read_queries
from kb.results import hits_json

SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"


class Fixed:
    """Always finds these articles in this order."""

    def __init__(self, *found: str) -> None:
        self.found = found

    def search(self, query: Query) -> tuple[Hit, ...]:
        return tuple(hit(name, query.language) for name in self.found[: query.top_k])

    def article(self, article_id: str, language: str) -> Article:
        raise NotFound(article_id + language)


def hit(name: str, language: str) -> Hit:
    article = Article(article_id=ArticleId(name), version=2, language=language, domain="d", title=name, body="## S\nb", answer="a")
    passage = Passage(
        passage_id=PassageId(f"{name}:b"),
        article_id=ArticleId(name),
        version=2,
        language=language,
        kind="body",
        section="S",
        text="b",
        start=5,
        end=6,
    )
    return Hit(article=article, passage=passage, score=1.5, confidence=0.8, scores={"dense": 0.9, "pinyin": 3.2})


def test_metrics_by_hand() -> None:
    found = metrics([1, 2, 0, 4])
    assert found["recall@1"].value == 0.25
    assert found["recall@3"].value == 0.5
    assert found["recall@5"].value == found["recall@10"].value == 0.75
    assert found["mrr"].value == pytest.approx((1 + 1 / 2 + 1 / 4) / 4, abs=1e-4)
    assert found["ndcg@10"].value == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(5)) / 4, abs=1e-4)


def test_intervals_hold_the_mean_and_shrink_with_more_queries() -> None:
    few, many = bootstrap([1.0, 0.0] * 10), bootstrap([1.0, 0.0] * 1000)
    assert few.low < few.value == 0.5 < few.high
    assert many.high - many.low < (few.high - few.low) / 3
    assert bootstrap([1.0] * 5) == bootstrap([1.0] * 5)
    assert (bootstrap([1.0] * 5).low, bootstrap([1.0] * 5).high) == (1.0, 1.0)


def test_evaluation_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    rows = [
        {"query": "卡丢了", "article_id": "a"},
        {"query": "lost card", "article_id": ["x", "b"]},
        {"query": "不在", "article_id": "nowhere", "language": "zh"},
    ]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", encoding="utf-8")
    queries = read_queries(path)
    assert [query.language for query in queries] == ["zh", "en", "zh"]
    report = evaluate(Fixed("a", "b", "c"), queries)
    assert report.metrics["recall@1"].value == pytest.approx(1 / 3, abs=1e-4)
    assert report.metrics["mrr"].value == 0.5
    assert [(miss.query, miss.rank, miss.first) for miss in report.misses] == [("lost card", 2, "a"), ("不在", 0, "a")]
    jsonschema.validate(evaluation_json(report), json.loads((SCHEMAS / "kb-eval.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("line", ["{", '{"query": "a"}', '{"query": "", "article_id": "a"}', '{"query": "a", "article_id": []}', '"text"'])
def test_bad_lines_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"query": "a", "article_id": "b"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 2"):
        read_queries(path)


def test_hits_follow_their_schema() -> None:
    schema = json.loads((SCHEMAS / "kb-search.json").read_text(encoding="utf-8"))
    form = hits_json([hit("a", "zh"), hit("b", "en")])
    jsonschema.validate(form, schema)
    assert form[0]["article_id"] == "a"
    assert (form[0]["start"], form[0]["end"], form[0]["section"]) == (5, 6, "S")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{**form[0], "confidence": 2}], schema)
