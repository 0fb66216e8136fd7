"""Fusion of rankers and confidence."""

import pytest

from copilot.domain.ids import ArticleId, PassageId
from copilot.domain.knowledge import Passage
from kb.engine import Candidates
from kb.fusion import Calibration, confidence, fuse


def candidates(scores: dict[str, dict[str, float]], kinds: dict[str, str] | None = None) -> Candidates:
    """Passage ids are ``article/n``."""
    ids = {name for ranker in scores.values() for name in ranker}
    passages = {
        name: Passage(
            passage_id=PassageId(name),
            article_id=ArticleId(name.split("/")[0]),
            version=1,
            language="zh",
            kind=(kinds or {}).get(name, "question"),
            section="",
            text=name,
        )
        for name in ids
    }
    return Candidates(scores=scores, passages=passages)


def order(found: Candidates, **weights: float) -> list[str]:
    return [article.article_id for article in fuse(found, weights)]


def test_an_article_is_ranked_once_by_its_best_passage() -> None:
    ranked = fuse(candidates({"dense": {"a/1": 0.9, "a/2": 0.95, "b/1": 0.8}}), {"dense": 1.0})
    assert [article.article_id for article in ranked] == ["a", "b"]
    assert ranked[0].passage.passage_id == "a/2"
    assert ranked[0].scores == {"dense": 0.95}


def test_a_second_ranker_settles_a_near_tie() -> None:
    dense = {"a/1": 0.900, "b/1": 0.899, "c/1": 0.80}
    assert order(candidates({"dense": dense}), dense=1.0) == ["a", "b", "c"]
    assert order(candidates({"dense": dense, "pinyin": {"b/1": 12.0, "c/1": 1.0}}), dense=1.0, pinyin=0.3) == ["b", "a", "c"]


def test_scales_do_not_matter_only_spread_does() -> None:
    dense = {"a/1": 0.9, "b/1": 0.8, "c/1": 0.7}
    for scale in (10.0, 1000.0):
        words = {"c/1": 3 * scale, "b/1": 2 * scale, "a/1": 1 * scale}
        assert order(candidates({"dense": dense, "words": words}), dense=1.0, words=1.5) == ["c", "b", "a"]
        assert order(candidates({"dense": dense, "words": words}), dense=1.0, words=0.5) == ["a", "b", "c"]


def test_rankers_that_found_nothing_and_no_candidates_at_all() -> None:
    assert order(candidates({"dense": {"a/1": 0.9}, "words": {}}), dense=1.0, words=1.0) == ["a"]
    assert fuse(candidates({}), {"dense": 1.0}) == []


def test_boosts_settle_ties_and_equal_scores_keep_a_stable_order() -> None:
    found = candidates({"dense": {"b/1": 0.9, "a/1": 0.9}})
    assert [article.article_id for article in fuse(found, {"dense": 1.0})] == ["a", "b"]
    assert [article.article_id for article in fuse(found, {"dense": 1.0}, {"b": 0.1})] == ["b", "a"]


def test_confidence_grows_with_cosine_and_lead_and_is_lower_for_the_rest() -> None:
    calibration = Calibration(bias=-45.0, cosine=50.0, margin=1.0, overlap=1.0)
    clear = fuse(candidates({"dense": {"a/1": 0.95, "b/1": 0.80, "c/1": 0.79}}), {"dense": 1.0})
    close = fuse(candidates({"dense": {"a/1": 0.95, "b/1": 0.949, "c/1": 0.79}}), {"dense": 1.0})
    far = fuse(candidates({"dense": {"a/1": 0.80, "b/1": 0.79, "c/1": 0.78}}), {"dense": 1.0})
    sure = confidence(clear, 0.5, calibration)
    assert all(0 <= value <= 1 for value in sure)
    assert sure[0] > confidence(close, 0.5, calibration)[0] > confidence(far, 0.5, calibration)[0]
    assert sure == sorted(sure, reverse=True)
    assert confidence(clear, 0.9, calibration)[0] > sure[0]
    assert confidence([], 0.0, calibration) == []


@pytest.mark.parametrize("cosine", [-1.0, 0.0, 1.0])
def test_confidence_of_a_single_article_is_a_probability(cosine: float) -> None:
    ranked = fuse(candidates({"dense": {"a/1": cosine}}), {"dense": 1.0})
    assert 0 <= confidence(ranked, 1.0, Calibration(bias=-900, cosine=900, margin=1, overlap=1))[0] <= 1
