"""Intents from exemplars and rules, on an embedder without a model: what holds whatever the vectors are."""

from __future__ import annotations

import json

import pytest

from copilot.domain.errors import InvalidInput
from copilot.domain.ids import ArticleId
from copilot.domain.intents import UNKNOWN_INTENT
from copilot.domain.knowledge import Article
from kb.intent_eval import judge, parse_turns
from kb.intent_model import parse_trained, trained_text
from kb.intent_training import Sample, train
from kb.intents import ExemplarIntents, checked, exemplars, says_nothing
from tests.fakes.gram_embedder import GramEmbedder

PACK = """
intents:
  - id: card_loss
    name: {zh: 挂失, en: Loss}
    examples: {zh: [我的信用卡丢了, 卡不见了想挂失, 补一张新卡], en: [I lost my card, my card is gone, replace my card]}
    rules: {zh: ['挂失'], en: ['\\blost\\b']}
  - id: transfer_limit
    name: {zh: 转账限额, en: Limit}
    examples:
      zh: [一天最多能转多少钱, 转账限额怎么调高, 每天只能转五万]
      en: [how much can I transfer, raise my transfer limit, daily limit]
  - id: points
    name: {zh: 积分, en: Points}
    examples: {zh: [积分怎么换礼品, 还有多少积分], en: [redeem my points, how many points]}
unknown_examples:
  zh: [今天天气真好, 你们那边吃饭了没有, 宝宝别闹, 我先挂了, 信号不好你再说一遍]
  en: [nice weather today, what did you have for lunch, the line is bad, hang on a second]
follow_up_examples:
  zh: [那要多久, 要多少钱呢, 在哪里弄]
  en: [how long is that, how much is it]
"""


@pytest.fixture(scope="module")
def intents() -> ExemplarIntents:
    article = Article(
        article_id=ArticleId("a"),
        version=1,
        language="zh",
        domain="d",
        title="补卡工本费多少",
        body="",
        questions=("新卡几天寄到",),
        intent="card_loss",
    )
    return ExemplarIntents(PACK, [article], GramEmbedder(dimension=256))


@pytest.mark.parametrize(
    ("said", "language", "intent"),
    [
        ("嗯我的信用卡丢了", "zh", "card_loss"),
        ("转账限额怎么调高啊", "zh", "transfer_limit"),
        ("新卡几天寄到", "zh", "card_loss"),
        ("how many points do i have", "en", "points"),
    ],
)
def test_the_nearest_exemplars_decide(intents: ExemplarIntents, said: str, language: str, intent: str) -> None:
    found = intents.classify(said, language)
    assert found.intent == intent
    assert 0.3 <= found.confidence <= 1
    assert any(reason.kind == "exemplar" and reason.detail.startswith(intent) for reason in found.why)
    assert intent not in {other.intent for other in found.alternatives}


def test_a_rule_outweighs_and_is_named(intents: ExemplarIntents) -> None:
    found = intents.classify("帮我办一下挂失吧", "zh")
    assert found.intent == "card_loss"
    assert found.why[0].kind == "rule"
    assert found.why[0].detail == "挂失"


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("嗯", "zh"),
        ("好的", "zh"),
        ("对对对，是的", "zh"),
        ("幺三九，零零零零，五六七八", "zh"),
        ("尾号是六二八三", "zh"),
        ("【姓名#1】，【手机号#1】", "zh"),
        ("我姓陈", "zh"),
        ("好的谢谢您再见", "zh"),
        ("", "zh"),
        ("okay, thank you", "en"),
        ("three six seven eight", "en"),
    ],
)
def test_acknowledgements_and_read_out_digits_want_nothing(intents: ExemplarIntents, said: str, language: str) -> None:
    assert says_nothing(said, language)
    assert intents.classify(said, language, ["我的信用卡丢了"]).intent == UNKNOWN_INTENT


@pytest.mark.parametrize("said", ["不是我自己刷的", "我要挂失", "卡号被人知道了", "三千块被刷走了", "可以补卡吗"])
def test_short_requests_are_not_taken_for_acknowledgements(said: str) -> None:
    assert not says_nothing(said, "zh")


@pytest.mark.parametrize(("said", "language"), [("今天天气真好啊", "zh"), ("宝宝别闹了", "zh"), ("the line is bad", "en")])
def test_idle_talk_is_unknown(intents: ExemplarIntents, said: str, language: str) -> None:
    found = intents.classify(said, language)
    assert found.intent == UNKNOWN_INTENT
    assert found.confidence > 0.5


def test_the_same_text_always_gets_the_same_answer(intents: ExemplarIntents) -> None:
    assert intents.classify("一天能转多少", "zh") == intents.classify("一天能转多少", "zh")


def test_a_faulty_pack_is_refused_with_its_entry() -> None:
    with pytest.raises(InvalidInput, match=r"intents 3 \(points\): examples is missing"):
        ExemplarIntents(
            PACK.replace("examples: {zh: [积分怎么换礼品, 还有多少积分], en: [redeem my points, how many points]}", ""), [], GramEmbedder()
        )


def test_one_intent_is_not_enough() -> None:
    lonely = "intents:\n  - {id: a, name: {zh: 甲, en: A}, examples: {zh: [挂失], en: [lost]}}\n"
    with pytest.raises(InvalidInput, match="at least two intents"):
        ExemplarIntents(lonely, [], GramEmbedder())


def test_a_short_turn_goes_on_with_the_need_before_and_says_so(intents: ExemplarIntents) -> None:
    assert intents.classify("那要多久", "zh").intent == UNKNOWN_INTENT
    found = intents.classify("那要多久", "zh", ["我的信用卡丢了，想挂失", "嗯"])
    assert found.intent == "card_loss"
    assert found.refers_to == 0
    assert any(reason.kind == "context" for reason in found.why)


def test_a_turn_with_two_needs_tells_both_and_answers_the_last(intents: ExemplarIntents) -> None:
    found = intents.classify("我的信用卡丢了，顺便问一下，转账限额怎么调高", "zh")
    assert found.intent == "transfer_limit"
    assert [other.intent for other in found.also] == ["card_loss"]


def test_what_is_trained_is_stored_and_read_again_and_used_only_if_it_fits() -> None:
    embedder = GramEmbedder(dimension=256)
    data = checked(PACK)
    samples = {}
    for language in ("zh", "en"):
        items = exemplars(data, [], language)
        vectors = embedder.embed([item.text for item in items], "query")
        copies = [(0, "我的信用咖丢了", vectors[0])] if language == "zh" else []
        samples[language] = Sample(exemplars=items, vectors=vectors, rules=[frozenset()] * len(items), copies=copies)
    trained = train(samples, embedder.identity)
    again = parse_trained(trained_text(trained))
    assert again.sha256 == parse_trained(trained_text(again)).sha256
    assert 0 < again.report["zh"]["macro_f1"][0] <= 1
    used = ExemplarIntents(PACK, [], embedder, trained=again)
    assert (used.trained, used.stale) == (again, False)
    assert used.classify("我的信用卡丢了", "zh").intent == "card_loss"
    changed = ExemplarIntents(PACK.replace("还有多少积分", "积分还剩几个"), [], embedder, trained=again)
    assert (changed.trained, changed.stale) == (again, True)
    other = ExemplarIntents(PACK, [], GramEmbedder(dimension=128), trained=again)
    assert other.trained is None
    with pytest.raises(InvalidInput, match="pangting intents train"):
        parse_trained("{}")


def test_labelled_turns_are_judged_with_what_was_said_before(intents: ExemplarIntents) -> None:
    said = [("a", "我的信用卡丢了", "我的信用咖丢了", "card_loss"), ("a", "那要多久", "那要多就", "card_loss")]
    said.append(("b", "今天天气真好", "今天天气真号", "out_of_scope"))
    lines = [json.dumps({"dialogue": "a", "language": "zh", "channel": "agent", "text": "您好"})]
    lines += [
        json.dumps({"dialogue": dialogue, "language": "zh", "channel": "customer", "text": text, "asr_text": noisy, "intent": intent})
        for dialogue, text, noisy, intent in said
    ]
    result = judge(intents, parse_turns(lines))
    assert result["turns"] == 3
    assert result["text"]["macro_f1"][0] == 1
    assert result["text"]["out_of_scope_auc"][0] == 1
    assert result["text"]["wrong"] == []
    with pytest.raises(InvalidInput, match="Line 1"):
        parse_turns(["{}"])
