"""Ticket classification: order, evidence, alternatives, fallback, and the taxonomy file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from copilot.domain.errors import InvalidInput
from copilot.domain.intents import UNKNOWN_INTENT, IntentPrediction
from copilot.domain.ports.knowledge import Embedder
from postcall.classify import CategoryIndex, classify
from postcall.needs import find_intents
from postcall.packs import parse_taxonomy
from postcall.run import Tools, produce
from postcall.turns import FoundIntent, Transcript, turns_from_json
from tests.fakes.celery_target import sample_packs

PACKS = sample_packs()


def call(*lines: tuple[str, str], language: str = "zh", found: Sequence[tuple[str, str]] = ()) -> Transcript:
    spoken = [{"channel": who, "start_ms": n * 3000, "end_ms": n * 3000 + 2500, "text": text} for n, (who, text) in enumerate(lines)]
    intents = tuple(FoundIntent(utterance_id=name, intent=intent, confidence=0.9) for name, intent in found)  # type: ignore[arg-type]
    return Transcript(language=language, turns=tuple(turns_from_json(spoken)), found=intents)


def ticket(transcript: Transcript, embedder: Embedder | None = None):  # type: ignore[no-untyped-def]
    index = CategoryIndex(PACKS.taxonomy, embedder, embedder) if embedder is not None else None
    return classify(PACKS.taxonomy, transcript, find_intents(transcript, PACKS, None), index)


def test_the_first_need_decides_and_the_others_are_alternatives() -> None:
    first, second = ("customer", "我的信用卡丢了，要挂失"), ("customer", "另外短信提醒怎么开通")
    loss = ticket(call(first, ("agent", "好的"), second))
    assert (loss.level1, loss.level2) == ("credit-card", "card-loss-replacement")
    assert [one.level2 for one in loss.alternatives][:1] == ["account-sms-alert"]
    assert loss.evidence == ("customer-1",)
    assert loss.measures == ("办理挂失", "核对寄送地址并补发新卡")
    sms = ticket(call(second, ("agent", "好的"), first))
    assert sms.level2 == "account-sms-alert"


def test_confidence_grows_with_evidence_and_falls_with_rivals() -> None:
    alone = ticket(call(("customer", "我的信用卡丢了，要挂失")))
    contested = ticket(call(("customer", "我的信用卡丢了，要挂失"), ("agent", "好"), ("customer", "还有我转错账了怎么追回")))
    assert 0 < contested.confidence < alone.confidence < 1
    assert all(one.confidence < contested.confidence for one in contested.alternatives)


def test_keywords_alone_are_enough_without_an_intent() -> None:
    found = classify(PACKS.taxonomy, call(("customer", "那个大额存单的存款利率")), ())
    assert found.level2 == "deposit-rate"
    assert found.evidence == ("customer-1",)


def test_a_call_without_a_need_goes_to_the_fallback_with_no_confidence() -> None:
    for lines in ((), (("customer", "喂喂听得到吗"), ("agent", "您好"))):
        found = ticket(call(*lines))
        assert (found.level1, found.level2, found.confidence, found.evidence) == ("branch-other", "agent-request", 0, ())


def test_what_the_live_loop_found_counts() -> None:
    found = ticket(call(("customer", "就是那个事情啊"), found=[("customer-1", "loan_prepay")]))
    assert found.level2 == "loan-prepayment"


def test_english_calls_are_classified_by_english_words() -> None:
    found = ticket(call(("customer", "There's a payment on my card that I never made"), language="en"))
    assert found.level2 == "card-fraud-dispute"
    assert found.measures[0] == "Freeze or replace the card"


def test_a_mono_recording_is_classified_from_both_voices() -> None:
    assert ticket(call(("mixed", "我的信用卡丢了，要挂失"))).level2 == "card-loss-replacement"


class ByWord:
    """An embedder whose vectors are equal for texts that share the word 泊车, and far apart otherwise."""

    identity = "by-word"
    dimension = 3

    def __init__(self) -> None:
        self.passages = 0

    def embed(self, texts: Sequence[str], kind: str) -> npt.NDArray[np.float32]:
        rows = [[1.0, 0.0, 0.0] if ("立减" in text or "泊车" in text) else [0.0, 1.0, 0.0] for text in texts]
        self.passages += kind == "passage"
        if kind == "query":
            rows = [row if row[0] else [0.0, 0.0, 1.0] for row in rows]
        return np.array(rows, dtype=np.float32)


def test_meaning_helps_where_words_do_not() -> None:
    silent = call(("customer", "机场泊车的那个在哪里用"))
    assert ticket(silent).confidence == 0
    found = ticket(silent, ByWord())
    assert (found.level2, found.evidence) == ("promotion-campaign", ("customer-1",))


def test_descriptions_are_embedded_once_by_the_embedder_for_packs() -> None:
    embedder, for_calls = ByWord(), ByWord()
    tools = Tools(packs=PACKS, embedder=for_calls, pack_embedder=embedder)
    tools.warm_up("zh")
    for _ in range(3):
        produce("ticket", call(("customer", "机场泊车的那个在哪里用")), tools)
    assert (embedder.passages, for_calls.passages) == (1, 0)


class Recording:
    """A classifier that knows one word and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def classify(self, text: str, language: str, context: Sequence[str] = ()) -> IntentPrediction:
        self.asked.append((text, tuple(context)))
        known = "挂失" in text
        return IntentPrediction(intent="card_loss" if known else UNKNOWN_INTENT, confidence=0.8 if known else 0.1)


def test_a_turn_cut_into_pieces_is_asked_as_a_whole_and_short_words_never() -> None:
    classifier = Recording()
    transcript = call(
        ("customer", "嗯好的"), ("customer", "我的卡要挂"), ("customer", "失可以吗"), ("agent", "好的可以"), ("customer", "行")
    )
    found = find_intents(transcript, PACKS, classifier)
    assert [(one.intent, one.utterance_id) for one in found] == [("card_loss", "customer-3")]
    assert [text for text, _ in classifier.asked] == ["我的卡要挂", "失可以吗", "嗯好的我的卡要挂失可以吗"]
    assert classifier.asked[1][1] == ("嗯好的", "我的卡要挂")


LEAF = "{id: b, name: {zh: 二}, description: {zh: 说}, intents: [i]}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\ncategories: []", "at least one"),
        ("version: 1\ncategories: [{id: a, name: {zh: 一}}]", "children"),
        (
            f"version: 1\ncategories: [{{id: a, name: {{zh: 一}}, children: [{LEAF}]}}, {{id: c, name: {{zh: 三}}, children: [{LEAF}]}}]",
            "two level-2",
        ),
        (
            f"version: 1\ncategories: [{{id: a, name: {{zh: 一}}, children: [{LEAF}, {LEAF.replace('id: b', 'id: d')}]}}]",
            "the intent i belongs to b and to d",
        ),
        (f"version: 1\ncategories: [{{id: a, name: {{zh: 一}}, children: [{LEAF.replace('[i]', '7')}]}}]", "intents"),
        ("- just a list", "mapping"),
    ],
)
def test_a_fault_of_the_taxonomy_names_the_place(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        parse_taxonomy(text)


def test_every_category_of_the_sample_bank_is_found_from_its_own_intent() -> None:
    for leaf in PACKS.taxonomy.leaves:
        for intent in leaf.intents:
            found = ticket(call(("customer", "就是那个事情啊"), found=[("customer-1", intent)]))
            assert (found.level1, found.level2) == (leaf.parent_id, leaf.category_id)
