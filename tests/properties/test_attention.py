"""The attention budget holds for any course of a call: no duplicates, one new card a turn, never more on the screen than allowed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.domain.ids import ArticleId, PassageId, SuggestionId
from copilot.domain.knowledge import Article, Hit, Passage
from copilot.live.guard import AttentionPolicy, Guard

ARTICLES = ("card-loss", "loan-prepay", "fee", "points", "transfer")


def hit(article_id: str, confidence: float, fits: bool) -> Hit:
    article = Article(article_id=ArticleId(article_id), version=1, language="zh", domain="d", title="t", body="b", answer="a")
    passage = Passage(
        passage_id=PassageId(article_id), article_id=article.article_id, version=1, language="zh", kind="answer", section="", text="a"
    )
    return Hit(article=article, passage=passage, score=1.0, confidence=confidence, fits=fits)


hits = st.lists(st.builds(hit, st.sampled_from(ARTICLES), st.floats(0, 1), st.booleans()), max_size=4).map(
    lambda found: tuple(sorted({one.article.article_id: one for one in found}.values(), key=lambda one: -one.confidence))
)
findings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60_000), hits, st.integers(0, 2)), max_size=40)
policies = st.builds(
    AttentionPolicy,
    min_confidence=st.floats(0, 0.9),
    repeat_after_ms=st.integers(0, 200_000),
    on_screen=st.integers(1, 4),
    screen_ms=st.integers(1_000, 200_000),
)


@settings(max_examples=200, deadline=None)
@given(policies, findings)
def test_the_budget_holds_whatever_is_found(policy: AttentionPolicy, course) -> None:
    guard = Guard(policy=policy)
    turn, at_ms, number = 1, 0, 0
    shown: list[tuple[str, int]] = []
    new_of_turn: dict[int, int] = {}
    screen: list[SuggestionId] = []
    for turns_on, later, found, behind in course:
        turn, at_ms = turn + turns_on, at_ms + later
        asked = max(1, turn - behind)
        offer = guard.consider(found, customer_turn=asked, at_ms=at_ms, current_turn=turn, now_ms=at_ms)
        if offer is None:
            continue
        best = offer.hits[0]
        assert best.fits
        assert best.confidence >= policy.min_confidence
        assert all(at_ms - before >= policy.repeat_after_ms for article, before in shown if article == best.article.article_id)
        number += 1
        name = SuggestionId(f"s{number}")
        guard.offered(name, offer, customer_turn=asked, at_ms=at_ms)
        shown.append((best.article.article_id, at_ms))
        new_of_turn[asked] = new_of_turn.get(asked, 0) + (offer.replaces is None)
        assert new_of_turn[asked] == 1, "a second card of a turn takes the place of the first"
        screen = [card for card in screen if card not in (offer.replaces, *offer.retires)] + [name]
        assert tuple(screen) == guard.screen
        assert len(screen) <= policy.on_screen
        assert offer.replaces not in offer.retires


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2), max_size=30))
def test_nothing_reliable_is_said_once_a_turn(steps) -> None:
    guard, turn, told = Guard(), 1, set()
    for step in steps:
        turn += step
        if guard.may_say_nothing(customer_turn=turn):
            assert turn not in told
            told.add(turn)


def test_what_the_talk_has_left_behind_is_not_offered() -> None:
    guard = Guard(policy=AttentionPolicy(stale_ms=8_000))
    found = (hit("fee", 0.9, True),)
    assert guard.consider(found, customer_turn=1, at_ms=10_000, current_turn=2, now_ms=19_000) is None
    assert guard.consider(found, customer_turn=1, at_ms=10_000, current_turn=2, now_ms=12_000) is not None
    assert guard.consider(found, customer_turn=1, at_ms=10_000, current_turn=1, now_ms=40_000) is not None, "it is still the question"
