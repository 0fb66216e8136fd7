"""The measures of a search, its variants by noise and by field, and the JSON forms of results."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from copilot.cli.evaluations import evaluation_lines
from copilot.domain.errors import InvalidInput, NotFound
from copilot.domain.ids import ArticleId, PassageId
from copilot.domain.knowledge import Article, Hit, Passage, Query
from kb.evaluation import LabelledQuery, evaluate, evaluation_json, read_queries
from kb.measures import area, area_estimate, bootstrap, calibration_error, gains, paired_bootstrap, ratio_estimate
from kb.noise import Noise, noisy
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


def test_gains_by_hand() -> None:
    first, fourth, none = gains(["a", "b"], ["a"]), gains(["x", "y", "z", "a"], ["a"]), gains(["x"], ["a"])
    assert (first["recall@1"], first["mrr"], first["ndcg@10"]) == (1, 1, 1)
    assert [fourth[f"recall@{k}"] for k in (1, 3, 5, 10)] == [0, 0, 1, 1]
    assert fourth["mrr"] == 0.25
    assert fourth["ndcg@10"] == pytest.approx(1 / math.log2(5))
    assert set(none.values()) == set(gains([], ["a"]).values()) == {0.0}


def test_gains_with_several_right_articles_by_hand() -> None:
    both = gains(["x", "b", "a"], ["a", "b"])
    assert (both["recall@1"], both["recall@3"], both["mrr"]) == (0, 1, 0.5)
    assert both["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(4)) / (1 + 1 / math.log2(3)))
    assert gains(["b", "a"], ["a", "b"])["ndcg@10"] == pytest.approx(1)


def test_what_lies_below_the_tenth_place_is_not_found() -> None:
    tenth = [*map(str, range(9)), "a"]
    assert (gains(tenth, ["a"])["recall@10"], gains(tenth, ["a"])["mrr"]) == (1, 0.1)
    assert set(gains(["0", *tenth[1:9], "x", "a"], ["a"]).values()) == {0.0}


def test_area_by_hand() -> None:
    assert area([0.9, 0.8], [0.1, 0.2, 0.3]) == 1
    assert area([0.1], [0.9]) == 0
    assert area([0.5, 0.5], [0.5]) == 0.5
    # Of six pairs: 0.6 beats 0.2 and 0.4; 0.4 beats 0.2 and ties with 0.4.
    assert area([0.6, 0.4], [0.2, 0.4, 0.8]) == pytest.approx(3.5 / 6)
    assert area([0.6, 0.4], [0.8, 0.2, 0.4]) == area([0.4, 0.6], [0.4, 0.8, 0.2])


def test_the_interval_of_an_area_holds_it() -> None:
    found = area_estimate([0.6, 0.4, 0.7, 0.9] * 10, [0.2, 0.5, 0.8] * 10)
    assert found.value == round(area([0.6, 0.4, 0.7, 0.9], [0.2, 0.5, 0.8]), 4)
    assert 0 < found.low < found.value < found.high < 1
    assert (area_estimate([1.0] * 3, [0.0] * 3).low, area_estimate([1.0] * 3, [0.0] * 3).high) == (1, 1)


def test_a_paired_comparison_sees_what_two_intervals_do_not() -> None:
    reference = [float(number % 2) for number in range(200)]
    better = [1.0 if number < 16 else value for number, value in enumerate(reference)]
    gained = paired_bootstrap(better, reference)
    assert gained.value == 0.04
    assert gained.low > 0
    assert bootstrap(better).low < bootstrap(reference).high, "the plain intervals overlap"
    assert paired_bootstrap(reference, better).high == -gained.low
    assert paired_bootstrap(reference, reference) == bootstrap([0.0])
    with pytest.raises(ValueError, match="same queries"):
        paired_bootstrap([1.0], [1.0, 0.0])


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


class Echo(Fixed):
    """Finds what the table says for a text, with the confidence given there; remembers what was asked."""

    def __init__(self, table: dict[str, tuple[str, float]]) -> None:
        self.table = table
        self.asked: list[str] = []

    def search(self, query: Query) -> tuple[Hit, ...]:
        self.asked.append(query.text)
        name, confidence = self.table.get(query.text, ("", 0.0))
        return (replace(hit(name, query.language), confidence=confidence),) if name else ()


def labelled(text: str, *ids: str) -> LabelledQuery:
    return LabelledQuery(text=text, language="zh", article_ids=ids)


def test_unanswerable_queries_count_for_answerability_only() -> None:
    search = Echo({"一": ("a", 0.9), "二": ("x", 0.4), "三": ("a", 0.6)})
    report = evaluate(search, [labelled("一", "a"), labelled("二", "b"), labelled("三"), labelled("四")])
    assert (report.queries, report.unanswerable) == (2, 2)
    assert report.metrics["recall@1"].value == 0.5
    # 0.9 beats 0.6 and nothing (0); 0.4 beats nothing only.
    assert report.metrics["answerability_auc"].value == 0.75
    assert [miss.query for miss in report.misses] == ["二"]
    assert "answerability_auc" not in evaluate(search, [labelled("一", "a")]).metrics
    with pytest.raises(InvalidInput, match="nothing to measure"):
        evaluate(search, [labelled("三")])


def test_every_noise_is_searched_with_every_choice_of_fields() -> None:
    everything, part = Echo({"信用卡年费": ("a", 0.9)}), Echo({})
    report = evaluate(
        everything,
        [labelled("信用卡年费", "a")],
        noises=[Noise(kind="homophone", rate=0.4), Noise(kind="drop", rate=0.4)],
        fields={"all": part, "without dense": part},
    )
    assert everything.asked == part.asked, "what is called all is the search itself"
    assert everything.asked[0] == "信用卡年费"
    assert [len(text) for text in everything.asked] == [5, 5, 3]
    found = {(variant.noise, variant.fields): variant for variant in report.variants}
    assert list(found) == [(noise, name) for noise in ("none", "homophone:0.4", "drop:0.4") for name in ("all", "without dense")]
    assert (found["none", "all"].metrics, found["none", "all"].against_clean, found["none", "all"].against_all) == (report.metrics, {}, {})
    assert found["drop:0.4", "all"].against_clean["mrr"].value == -1
    assert found["none", "without dense"].against_all["mrr"].value == -1
    assert found["none", "without dense"].against_clean == {}
    assert found["drop:0.4", "without dense"].against_clean["mrr"].value == 0
    form = evaluation_json(report)
    jsonschema.validate(form, json.loads((SCHEMAS / "kb-eval.json").read_text(encoding="utf-8")))
    lines = list(evaluation_lines(form))
    assert lines[0] == "1 queries"
    assert next(line for line in lines if line.startswith("none") and "without dense" in line).endswith("-1.000*")


def test_how_much_of_a_loss_is_left_with_a_field_by_hand() -> None:
    """Ten queries; noise costs the search without the field four of them, the whole search one."""
    texts = [f"信用卡年费第{number}次" for number in "一二三四五六七八九十"]
    queries = [labelled(text, "a") for text in texts]
    noise = Noise(kind="homophone", rate=0.4)
    clean = dict.fromkeys(texts, ("a", 0.9))
    heard = [noisy(text, noise, 1) for text in texts]
    whole = Echo({**dict.fromkeys(heard, ("a", 0.9)), heard[0]: ("x", 0.9), **clean})
    part = Echo({**dict.fromkeys(heard, ("a", 0.9)), **dict.fromkeys(heard[:4], ("x", 0.9)), **clean})
    report = evaluate(whole, queries, noises=[noise], fields={"without pinyin": part})
    found = {(variant.noise, variant.fields): variant.loss_kept for variant in report.variants}
    share = ratio_estimate([1.0, *[0.0] * 9], [1.0] * 4 + [0.0] * 6)
    # Some of the resamples hold no query that is lost: then the share has no meaning, and nothing is said.
    assert share is None
    assert found["homophone:0.4", "without pinyin"] == {}
    many = ratio_estimate([1.0, *[0.0] * 9] * 20, ([1.0] * 4 + [0.0] * 6) * 20)
    assert many is not None
    assert many.value == 0.25
    assert 0 < many.low < 0.25 < many.high < 0.5
    with pytest.raises(ValueError, match="same queries"):
        ratio_estimate([1.0], [1.0, 0.0])


def test_calibration_error_by_hand() -> None:
    assert calibration_error([0.5] * 20, [True, False] * 10) == 0
    assert calibration_error([0.9] * 20, [True, False] * 10) == pytest.approx(0.4)
    assert calibration_error([1.0] * 10 + [0.0] * 10, [True] * 10 + [False] * 10) == 0


def test_what_would_be_offered_is_counted_on_either_side() -> None:
    class Bar(Echo):
        def search(self, query: Query) -> tuple[Hit, ...]:
            return tuple(replace(one, fits=one.confidence >= 0.5) for one in super().search(query))

    search = Bar({"一": ("a", 0.9), "二": ("a", 0.4), "三": ("x", 0.6), "四": ("x", 0.1)})
    metrics = evaluate(search, [labelled("一", "a"), labelled("二", "a"), labelled("三"), labelled("四"), labelled("五")]).metrics
    assert metrics["offered"].value == 0.5
    assert metrics["offered_wrongly"].value == round(1 / 3, 4)
    assert metrics["brier"].value == pytest.approx((0.1**2 + 0.6**2 + 0.6**2 + 0.1**2 + 0) / 5, abs=1e-4)
    form = evaluation_json(evaluate(search, [labelled("一", "a"), labelled("三")]))
    jsonschema.validate(form, json.loads((SCHEMAS / "kb-eval.json").read_text(encoding="utf-8")))


def test_a_line_may_say_that_nothing_answers(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text(
        '{"query": "下雨吗", "answerable": false, "scope": "out_of_domain"}\n{"query": "a", "article_id": "b"}', encoding="utf-8"
    )
    assert [query.article_ids for query in read_queries(path)] == [(), ("b",)]
    path.write_text('{"query": "a", "article_id": "b", "answerable": false}', encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1"):
        read_queries(path)


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
    assert form[0]["fits"] is True
    assert hits_json([replace(hit("a", "zh"), fits=False)])[0]["fits"] is False
    assert (form[0]["start"], form[0]["end"], form[0]["section"]) == (5, 6, "S")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{**form[0], "confidence": 2}], schema)
