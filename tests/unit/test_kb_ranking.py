"""The ranking as the store keeps it, what is ablated, and who takes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article, Query
from kb.embedded import EmbeddedEngine
from kb.fusion import Calibration
from kb.ranking import DEFAULT_RANKING, PACK, PRIOR, LanguageRanking, Ranking, ablations, parse_ranking, ranking_text, stored_ranking
from kb.service import KnowledgeBase
from tests.fakes.gram_embedder import GramEmbedder
from tests.fakes.memory_articles import MemoryArticles

CALIBRATION = Calibration(bias=-1.0, cosine=2.0, margin=0.5, overlap=0.25)
CHINESE = LanguageRanking(
    weights={"dense": 1.0, "words": 0.0, "bigrams": 0.3, "pinyin": 0.4},
    calibration=CALIBRATION,
    threshold=0.61,
    without={"pinyin": {"dense": 1.0, "words": 0.2, "bigrams": 0.5, "pinyin": 0.0}},
)
RANKING = Ranking(embedder="grams:96", languages={"zh": CHINESE, "en": DEFAULT_RANKING.of("en")})


def test_a_stored_ranking_is_the_same_again() -> None:
    again = parse_ranking(ranking_text(RANKING))
    assert again.of("zh") == CHINESE
    assert again.embedder == "grams:96"
    assert ranking_text(again) == ranking_text(RANKING)
    assert again.of("fr") == again.of("en")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(format=2),
        lambda data: data.pop("embedder"),
        lambda data: data["languages"].pop("en"),
        lambda data: data["languages"]["zh"].update(threshold=1.5),
        lambda data: data["languages"]["zh"]["weights"].update(dense=-1),
        lambda data: data["languages"]["zh"]["weights"].update(dense="1"),
        lambda data: data["languages"]["zh"]["weights"].update(colour=1),
        lambda data: data["languages"]["zh"]["calibration"].update(bias=True),
        lambda data: data["languages"]["zh"]["calibration"].pop("bias"),
        lambda data: data["languages"]["zh"].update(weights=dict.fromkeys(["dense", "pinyin"], 0)),
    ],
)
def test_what_is_no_ranking_is_refused_and_never_taken(change) -> None:  # type: ignore[no-untyped-def]
    data = json.loads(ranking_text(RANKING))
    change(data)
    with pytest.raises(ValueError):
        parse_ranking(json.dumps(data))
    assert stored_ranking(json.dumps(data), "grams:96") is DEFAULT_RANKING


def test_a_ranking_of_another_model_is_not_taken() -> None:
    assert stored_ranking(ranking_text(RANKING), "grams:96").of("zh") == CHINESE
    assert stored_ranking(ranking_text(RANKING), "another") is DEFAULT_RANKING
    assert stored_ranking(None, "grams:96") is DEFAULT_RANKING


def test_ablations_compare_with_weights_that_were_fitted_without_the_field() -> None:
    found = ablations(RANKING)
    assert list(found) == [
        "all",
        *(f"without {name}" for name in ("dense", "words", "bigrams", "pinyin")),
        "without mending",
        "without sounds",
        *(f"only {name}" for name in ("dense", "words", "bigrams", "pinyin")),
    ]
    assert found["all"] is RANKING
    assert found["without pinyin"].of("zh").weights == CHINESE.without["pinyin"]
    assert found["without bigrams"].of("zh").weights == {**CHINESE.weights, "bigrams": 0.0}
    assert found["only dense"].of("zh").weights == {"dense": 1.0}
    single = replace(CHINESE, weights={"dense": 1.0})
    assert list(ablations(Ranking(languages={"zh": single, "en": single}))) == ["all"]


def test_a_knowledge_base_ranks_as_its_store_says_and_sees_a_newer_ranking(tmp_path: Path) -> None:
    embedder, store = GramEmbedder(), MemoryArticles()
    store.upsert(
        [
            Article(article_id=ArticleId(name), version=1, language="zh", domain="d", title=title, body="", answer=f"{title}。")
            for name, title in (("loss", "信用卡丢失怎么挂失"), ("sms", "短信提醒多少钱"))
        ]
    )
    base = KnowledgeBase(EmbeddedEngine(tmp_path, embedder), embedder)
    base.refresh(store)
    assert base.ranking is DEFAULT_RANKING
    assert not base.has_newer_ranking(store)
    store.put_pack(PACK, "*", ranking_text(replace(RANKING, embedder=embedder.identity)))
    assert base.has_newer_ranking(store)
    base.refresh(store)
    assert not base.has_newer_ranking(store)
    hit = base.search(Query(text="短信提醒", language="zh"))[0]
    assert set(hit.scores) == {"dense", "bigrams", "pinyin"}
    assert hit.fits == (hit.confidence >= 0.61)


def test_below_the_bar_nothing_fits(tmp_path: Path) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(EmbeddedEngine(tmp_path, embedder), embedder)
    base.load([Article(article_id=ArticleId("a"), version=1, language="zh", domain="d", title="短信提醒多少钱", body="")], 1)
    query = Query(text="短信提醒", language="zh")
    for bar in (0.0, 1.0):
        chinese = replace(CHINESE, threshold=bar, calibration=Calibration(bias=0.0, cosine=0.0, margin=0.0, overlap=0.0))
        hit = base.ranked_by(Ranking(languages={"zh": chinese, "en": chinese})).search(query)[0]
        assert (hit.confidence, hit.fits) == (0.5, bar == 0.0)


@given(st.floats(0.0, 1.0), st.floats(0.05, 0.95), st.floats(0.0, 1.0))
def test_an_intent_only_ever_adds_confidence(by_words: float, bar: float, likely: float) -> None:
    alone, with_it, sure = (PRIOR.confidence(by_words, bar, chance) for chance in (0.0, likely, 1.0))
    assert 0.0 <= alone <= with_it <= sure <= 1.0


def test_words_alone_must_be_clearer_and_a_sure_intent_needs_less_of_them() -> None:
    assert PRIOR.confidence(0.6, 0.5, 0.0) < 0.5 < PRIOR.confidence(0.97, 0.5, 0.0)
    assert PRIOR.confidence(0.3, 0.5, 0.95) > 0.5 > PRIOR.confidence(0.02, 0.5, 0.95)
    assert PRIOR.confidence(0.3, 0.3, 0.4) == PRIOR.confidence(0.5, 0.5, 0.4), "what counts is how far above the bar"
