"""Whether a card was said: the labelled pairs, and the cards of a call as they are offered, replaced and left."""

from __future__ import annotations

import pytest

from copilot.domain.artifacts import Turn
from copilot.domain.events import SuggestionOffered
from copilot.domain.ids import SuggestionId, UtteranceId
from copilot.live.outcome import Card, Outcomes
from loadtest.outcome_score import judged, precision, recall

FEE = "手机银行和网银转账，本行跨行都免费。柜台跨行每笔收5元。"


def turn(number: int, text: str, at_s: float, channel: str = "agent") -> Turn:
    start = int(1000 * at_s)
    return Turn(utterance_id=UtteranceId(f"{channel}-{number}"), channel=channel, start_ms=start, end_ms=start + 2000, text=text)


def card(number: int, text: str, at_s: float, replaces: str | None = None, kind: str = "faq") -> SuggestionOffered:
    return SuggestionOffered(
        suggestion_id=SuggestionId(f"s{number}"), kind=kind, confidence=0.9, trigger=UtteranceId("customer-1"), at_ms=int(1000 * at_s),
        title="t", text=text, replaces=SuggestionId(replaces) if replaces else None,
    )  # fmt: skip


def test_what_was_measured_on_the_labelled_pairs_holds() -> None:
    dev = judged("dev")
    assert len(dev) >= 60
    assert precision(dev, "said") >= 0.95
    assert recall(dev, "said") >= 0.9
    assert precision(dev, "not_said") >= 0.75


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (["您用手机银行转账，本行跨行都是免费的", "柜台跨行的话一笔五块"], "said"),
        (["手机营行和网银转帐本行夸行都免费柜台夸行每笔收五元"], "said"),
        (["手机银行转账是免费的"], "partly"),
        (["手机银行跨行转账每笔收3元"], "not_said"),
        (["好的，请您稍等"], "not_said"),
        ([], "not_said"),
    ],
)
def test_an_outcome_is_told_from_words_sound_and_numbers(said, outcome) -> None:
    assert Card(FEE).judge(said).outcome == outcome


def test_a_card_is_told_said_as_soon_as_it_was_and_once() -> None:
    calls = Outcomes()
    calls.offered(card(1, FEE, 10))
    assert calls.heard(turn(1, "好的您稍等", 9)) == []
    assert calls.heard(turn(2, "网银转账跨行免费", 14)) == []
    (told,) = calls.heard(turn(3, "手机银行本行也免费，柜台跨行每笔收5元", 18))
    assert (told.suggestion_id, told.outcome) == ("s1", "said")
    assert set(told.utterance_ids) == {"agent-2", "agent-3"}
    assert calls.heard(turn(4, "手机银行转账免费", 20)) == []
    assert calls.end() == []


def test_what_was_said_before_the_card_does_not_count() -> None:
    calls = Outcomes()
    calls.offered(card(1, FEE, 30))
    calls.heard(turn(1, FEE, 10))
    assert [told.outcome for told in calls.end()] == ["not_said"]


def test_the_time_for_a_card_runs_out() -> None:
    calls = Outcomes(window_ms=60_000)
    calls.offered(card(1, FEE, 10))
    assert calls.heard(turn(1, "手机银行转账是免费的", 20)) == []
    (told,) = calls.heard(turn(2, "还有别的问题吗", 75, "customer"))
    assert told.outcome == "partly"


def test_the_answer_that_a_generated_reply_replaced_counts_as_its_own() -> None:
    calls = Outcomes()
    calls.offered(card(1, FEE, 10))
    calls.offered(card(2, "手机银行转账不收费。", 10, replaces="s1", kind="reply"))
    (told,) = calls.heard(turn(1, FEE, 15))
    assert (told.suggestion_id, told.outcome) == ("s2", "said")


def test_nothing_found_has_no_outcome() -> None:
    calls = Outcomes()
    calls.offered(card(1, "", 10, kind="nothing"))
    assert calls.end() == []
