"""Fitting: the arrays rank as the search does, a field that is needed gains weight, one article's queries stay in one fold."""

from __future__ import annotations

import json
import random
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from copilot.cli.evaluations import tuning_lines
from copilot.domain.ids import ArticleId, PassageId
from copilot.domain.knowledge import Article, Passage, Query
from kb.embedded import EmbeddedEngine
from kb.engine import Candidates
from kb.evaluation import LabelledQuery
from kb.fusion import FIELDS, best_scores, fuse
from kb.noise import Noise
from kb.ranking import DEFAULT_RANKING, ranking_text
from kb.service import KnowledgeBase, Observed
from kb.tuning import FOLDS, LEAST_QUERIES, Reading, _Table, fit, observe, tuning_json
from tests.fakes.gram_embedder import GramEmbedder

SCHEMA = Path(__file__).parents[2] / "docs/reference/schemas/kb-tune.json"


def labelled(text: str, *ids: str, language: str = "zh") -> LabelledQuery:
    return LabelledQuery(text=text, language=language, article_ids=ids)


def drawn(rng: random.Random) -> Candidates:
    """A few passages of a few articles, each found by some of the fields; scores repeat, so there are ties."""
    passages = {
        f"a{article}/{number}": Passage(
            passage_id=PassageId(f"a{article}/{number}"),
            article_id=ArticleId(f"a{article}"),
            version=1,
            language="zh",
            kind="question",
            section="",
            text="",
        )
        for article in range(8)
        for number in range(2)
    }
    scores = {
        name: {passage: rng.choice([0.25, 0.5, 0.75, 1.0]) for passage in passages if rng.random() < 0.4}
        for name in FIELDS
        if rng.random() < 0.9
    }
    return Candidates(scores=scores, passages=passages)


def test_the_arrays_rank_as_the_search_does() -> None:
    rng = random.Random(7)
    compared = 0
    for _ in range(300):
        found = drawn(rng)
        weights = {name: rng.choice([0.0, 0.5, 1.0]) for name in FIELDS}
        if not any(weights.get(name) for name in found.scores):
            continue
        right = f"a{rng.randrange(8)}"
        best = dict(sorted(best_scores(found, FIELDS).items()))
        reading = Reading(query=labelled("一", right), found=Observed(scores=best, overlaps=dict.fromkeys(best, 0.0)))
        order = [article.article_id for article in fuse(found, weights)]
        place = order.index(right) + 1 if right in order else 0
        assert int(_Table([reading]).ranks(weights)[0]) == place
        compared += 1
    assert compared > 250


def observed(scores: dict[str, dict[str, float]], overlap: float = 0.5) -> Observed:
    return Observed(scores=dict(sorted(scores.items())), overlaps=dict.fromkeys(scores, overlap))


def sounds_help(count: int, rng: random.Random) -> list[Reading]:
    """Dense is a coin between two articles; the sounds know. Without an answer both are low."""
    readings = []
    for number in range(count):
        right, wrong = f"a{number}", f"b{number}"
        dense = {right: rng.uniform(0.8, 0.9), wrong: rng.uniform(0.8, 0.9), "c": 0.7}
        found = {name: {"dense": value, "pinyin": {right: 9.0, wrong: 4.0}.get(name, 1.0)} for name, value in dense.items()}
        readings.append(Reading(query=labelled(f"问题{number}", right), found=observed(found, 0.9)))
        low = {name: {"dense": value - 0.15, "pinyin": 2.0} for name, value in dense.items()}
        readings.append(Reading(query=labelled(f"别的{number}"), found=observed(low, 0.2)))
    return readings


def test_a_field_that_is_needed_gains_weight_and_the_baseline_is_fitted_without_it() -> None:
    ranking, (report,) = fit(sounds_help(60, random.Random(3)), DEFAULT_RANKING, "grams:96")
    chinese = ranking.of("zh")
    assert report.adopted
    assert report.cross_validated["mrr"].value == 1.0
    assert report.before["mrr"].value < 1.0
    assert report.gain.low > 0
    assert chinese.weights["pinyin"] > DEFAULT_RANKING.of("zh").weights["pinyin"]
    assert chinese.without["pinyin"]["pinyin"] == 0.0
    assert any(chinese.without["pinyin"].values())
    assert report.auc is not None
    assert report.auc.low > 0.95
    assert 0.05 <= chinese.threshold <= 0.95
    assert ranking.of("en") == DEFAULT_RANKING.of("en")
    assert ranking.embedder == "grams:96"


def test_a_confidence_that_tells_answerable_queries_less_well_is_not_taken() -> None:
    """A third of the queries has a wrong article first, near and close to its rival: learning from that, one would doubt what is near."""
    rng = random.Random(13)
    readings = []
    for number in range(120):
        right, wrong, far = f"a{number}", f"b{number}", f"c{number}"
        close = {right: 0.899, wrong: 0.905, far: 0.70}
        clear = {right: 0.885, wrong: 0.80, far: 0.75}
        for cosines, query in ((clear if number % 3 else close, labelled(f"问{number}", right)), (clear, labelled(f"别的{number}"))):
            found = {name: {"dense": cosine + rng.uniform(-0.002, 0.002)} for name, cosine in cosines.items()}
            readings.append(Reading(query=query, found=observed(found)))
    ranking, (report,) = fit(readings, DEFAULT_RANKING, "m")
    assert ranking.of("zh").calibration == DEFAULT_RANKING.of("zh").calibration
    assert report.auc is not None
    assert 0.4 < report.auc.value < 0.8
    assert ranking.of("zh").threshold != DEFAULT_RANKING.of("zh").threshold, "the bar is fitted all the same"


def test_the_same_queries_fit_the_same_ranking() -> None:
    first, _ = fit(sounds_help(40, random.Random(5)), DEFAULT_RANKING, "m")
    second, _ = fit(sounds_help(40, random.Random(5)), DEFAULT_RANKING, "m")
    assert ranking_text(first) == ranking_text(second)


def test_noise_to_learn_from_leaves_the_weights_as_they_are() -> None:
    """Right and wrong are told apart by nothing: what fits by chance is worse on other articles, or no better."""
    rng = random.Random(11)
    readings = []
    for number in range(80):
        names = [f"x{number}", f"y{number}", f"z{number}"]
        found = {name: {field: rng.random() for field in FIELDS} for name in names}
        readings.append(Reading(query=labelled(f"问{number}", rng.choice(names)), found=observed(found)))
    ranking, (report,) = fit(readings, DEFAULT_RANKING, "m")
    assert report.adopted == (report.gain.value >= 0)
    if not report.adopted:
        assert ranking.of("zh").weights == DEFAULT_RANKING.of("zh").weights
    assert report.after["mrr"].value >= report.before["mrr"].value
    assert report.gain.low < 0, "chance is not taken for a gain"
    assert report.auc is None
    assert ranking.of("zh").calibration == DEFAULT_RANKING.of("zh").calibration


def test_too_few_queries_change_nothing() -> None:
    ranking, reports = fit(sounds_help(LEAST_QUERIES - 1, random.Random(3)), DEFAULT_RANKING, "m")
    assert reports == []
    assert ranking.languages == dict(DEFAULT_RANKING.languages)
    assert next(tuning_lines(tuning_json(ranking, reports, kept=False))).startswith("Too few queries")


def test_all_queries_of_an_article_are_in_one_fold_and_no_fold_is_empty() -> None:
    readings = [Reading(query=labelled(f"问{number}", f"a{number // 3}"), found=None) for number in range(300)]
    folds = np.array([reading.fold for reading in readings]).reshape(-1, 3)
    assert (folds == folds[:, :1]).all()
    assert set(folds[:, 0]) == set(range(FOLDS))


@pytest.fixture
def base(tmp_path: Path) -> KnowledgeBase:
    embedder = GramEmbedder()
    built = KnowledgeBase(EmbeddedEngine(tmp_path, embedder), embedder)
    built.load(
        [
            Article(article_id=ArticleId(name), version=1, language="zh", domain="d", title=title, body="", answer=f"{title}。")
            for name, title in (("loss", "信用卡丢失怎么挂失"), ("sms", "短信提醒多少钱"), ("hours", "网点几点开门"))
        ],
        1,
    )
    return built


def test_what_is_observed_is_what_is_searched(base: KnowledgeBase) -> None:
    texts = ["信用卡丢了", "短信要钱吗", "几点开门", "，。"]
    readings = observe(base, [labelled(text, "sms") for text in texts], [], 1)
    ranks = _Table(readings).ranks(base.ranking.of("zh").weights)
    for text, rank in zip(texts, ranks, strict=True):
        found = [hit.article.article_id for hit in base.search(Query(text=text, language="zh", top_k=10))]
        assert int(rank) == (found.index("sms") + 1 if "sms" in found else 0)


def test_each_noise_is_one_more_reading_where_it_changes_something(base: KnowledgeBase) -> None:
    told: list[tuple[int, int]] = []
    queries = [labelled("信用卡丢失了怎么办", "loss"), labelled("text message fee", "sms", language="en")]
    readings = observe(base, queries, [Noise(kind="homophone", rate=0.3)], 1, lambda done, total: told.append((done, total)))
    assert [reading.query.language for reading in readings] == ["zh", "zh", "en"]
    assert told == [(1, 2), (2, 2)]


def test_the_report_follows_its_schema() -> None:
    ranking, reports = fit(sounds_help(40, random.Random(3)), DEFAULT_RANKING, "m")
    form = tuning_json(ranking, reports, kept=True)
    jsonschema.validate(form, json.loads(SCHEMA.read_text(encoding="utf-8")))
    lines = list(tuning_lines(form))
    assert lines[0] == "zh: 40 queries (40 readings with noise), 40 without an answer"
    assert lines[-1].startswith("Stored")
