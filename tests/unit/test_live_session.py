"""The live session: what it makes of what was heard and found."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from copilot.domain.artifacts import Turn
from copilot.domain.errors import InvalidInput
from copilot.domain.events import ChecklistTicked, ComplianceAlerted, IntentDetected, NextActionProposed, SlotFilled, SuggestionOffered
from copilot.domain.ids import ArticleId, PassageId, UtteranceId
from copilot.domain.intents import UNKNOWN_INTENT, IntentPrediction, IntentScore
from copilot.domain.knowledge import Article, Hit, Passage
from copilot.domain.ports.llm import ReplyPiece
from copilot.live.guard import AttentionPolicy
from copilot.live.rules import parse_checklists, parse_compliance
from copilot.live.session import Effect, Findings, Heard, Investigate, LiveSession, Record, ReplyWritten, WriteReply

COMPLIANCE = """
rules:
  - {id: no-promise, severity: critical, kind: forbidden, channel: agent, patterns: {zh: ['一定能?追回'], en: ['definitely get .* back']},
     name: {zh: 承诺追回, en: Promise}, advice: {zh: 不要承诺, en: Do not promise}}
  - {id: safe-account, severity: critical, kind: fraud_signal, channel: customer, patterns: {zh: ['安全账户'], en: []},
     name: {zh: x}, advice: {zh: x}}
  - {id: say-risk, severity: warn, kind: must_say, channel: agent, patterns: {zh: ['非存款'], en: []}, name: {zh: x}, advice: {zh: x}}
"""
SOP = """
checklists:
  - id: fraud
    intents: [card_fraud]
    name: {zh: 盗刷, en: Fraud}
    steps:
      - {id: verify, channel: agent, name: {zh: 核身}, patterns: {zh: ['后四位'], en: []}, hint: {zh: x}}
      - {id: freeze, channel: agent, name: {zh: 冻结}, patterns: {zh: ['冻结'], en: []}, hint: {zh: 我马上冻结您的卡},
         script: {zh: '我马上冻结{card}的卡'}}
"""


def turn(number: int, text: str, channel: str = "customer") -> Turn:
    return Turn(
        utterance_id=UtteranceId(f"{channel}-{number}"), channel=channel, start_ms=number * 1000, end_ms=number * 1000 + 900, text=text
    )


def hit(article_id: str, confidence: float, answer: str = "请放心，我为您冻结。") -> Hit:
    article = Article(
        article_id=ArticleId(article_id), version=3, language="zh", domain="cards", title="标题", body="正文", answer=answer,
        valid_from=date(2026, 1, 1),
    )  # fmt: skip
    passage = Passage(
        passage_id=PassageId(f"{article_id}#0"),
        article_id=article.article_id,
        version=3,
        language="zh",
        kind="answer",
        section="",
        text="正",
    )
    return Hit(article=article, passage=passage, score=confidence, confidence=confidence)


def session(**changes: object) -> LiveSession:
    return LiveSession(
        language="zh", day=date(2026, 11, 27), rules=parse_compliance(COMPLIANCE), checklists=parse_checklists(SOP), **changes
    )


def records(effects: list[Effect], kind: type) -> list:
    return [event for effect in effects if isinstance(effect, Record) for event in effect.events if isinstance(event, kind)]


def asks(effects: list[Effect]) -> list[Investigate]:
    return [effect for effect in effects if isinstance(effect, Investigate)]


def found(utterance: str, intent: str, *hits: Hit) -> Findings:
    return Findings(utterance_id=UtteranceId(utterance), prediction=IntentPrediction(intent=intent, confidence=0.9), hits=hits)


def test_a_customers_need_becomes_intent_and_one_cited_card():
    live = session()
    (ask,) = asks(live.receive(Heard(turn=turn(1, "您好，我的信用卡昨天被人刷了3000元"))))
    assert ask.text == "我的信用卡昨天被人刷了3000元"
    effects = live.receive(found("customer-1", "card_fraud", hit("fraud", 0.9), hit("other", 0.6), hit("weak", 0.2)))
    (intent,) = records(effects, IntentDetected)
    assert intent.intent == "card_fraud"
    (card,) = records(effects, SuggestionOffered)
    assert (card.kind, card.text, card.citations[0].article_id, card.citations[0].version) == ("faq", "请放心，我为您冻结。", "fraud", 3)
    assert [option.citation.article_id for option in card.options] == ["other"]


def test_the_same_article_is_not_offered_again_within_the_cooldown():
    live = session()
    live.receive(Heard(turn=turn(1, "我的信用卡被盗刷了怎么办")))
    live.receive(found("customer-1", "card_fraud", hit("fraud", 0.9)))
    live.receive(Heard(turn=turn(2, "好的我帮您看一下", "agent")))
    live.receive(Heard(turn=turn(3, "盗刷了怎么办呢")))
    assert records(live.receive(found("customer-3", "card_fraud", hit("fraud", 0.95))), SuggestionOffered) == []


def test_within_one_turn_a_second_card_must_be_another_and_better_and_replaces_the_first():
    live = session()
    live.receive(Heard(turn=turn(1, "我想问一下我的信用卡")))
    live.receive(found("customer-1", "card_loss", hit("loss", 0.6)))
    (ask,) = asks(live.receive(Heard(turn=turn(2, "被人盗刷了三千块钱"))))
    assert ask.text == "我的信用卡，被人盗刷了三千块钱"
    (card,) = records(live.receive(found("customer-2", "card_fraud", hit("fraud", 0.9))), SuggestionOffered)
    assert card.replaces == "s1"
    live.receive(Heard(turn=turn(3, "就是昨天晚上的事情")))
    assert records(live.receive(found("customer-3", "card_fraud", hit("third", 0.91))), SuggestionOffered) == []


def test_when_nothing_fits_it_says_so_once_per_turn():
    live = session()
    live.receive(Heard(turn=turn(1, "你们行有没有卖月球土地的")))
    (card,) = records(live.receive(found("customer-1", UNKNOWN_INTENT, hit("weak", 0.2))), SuggestionOffered)
    assert card.kind == "nothing"
    assert card.citations == ()
    live.receive(Heard(turn=turn(2, "到底有没有月球土地卖")))
    assert records(live.receive(found("customer-2", UNKNOWN_INTENT)), SuggestionOffered) == []


def test_without_a_known_intent_a_question_may_be_answered_and_a_statement_not():
    live = session()
    live.receive(Heard(turn=turn(1, "我要换一张信卡")))
    assert records(live.receive(found("customer-1", UNKNOWN_INTENT, hit("open", 0.8))), SuggestionOffered) == []
    live.receive(Heard(turn=turn(2, "新卡要多少钱")))
    assert records(live.receive(found("customer-2", UNKNOWN_INTENT, hit("fee", 0.8))), SuggestionOffered) != []


def test_a_statement_about_a_need_known_already_is_not_answered_with_nothing():
    live = session()
    live.receive(Heard(turn=turn(1, "我的信用卡被盗刷了怎么办")))
    live.receive(found("customer-1", "card_fraud", hit("fraud", 0.9)))
    live.receive(Heard(turn=turn(2, "是您本人做的吗", "agent")))
    live.receive(Heard(turn=turn(3, "卡一直在我身上这笔消费我不知道")))
    assert records(live.receive(found("customer-3", "card_fraud", hit("weak", 0.3))), SuggestionOffered) == []


def test_where_only_the_customer_is_heard_a_long_pause_begins_a_new_turn():
    live = session()
    live.receive(Heard(turn=turn(1, "我的信用卡被盗刷了怎么办")))
    live.receive(found("customer-1", "card_fraud", hit("fraud", 0.95)))
    (ask,) = asks(live.receive(Heard(turn=turn(12, "补一张新卡要多少钱"))))
    assert ask.text == "补一张新卡要多少钱"
    (card,) = records(live.receive(found("customer-12", "card_loss", hit("loss", 0.8))), SuggestionOffered)
    assert card.replaces is None


def test_small_talk_gets_no_card_even_when_an_article_matches_its_words():
    live = session()
    live.receive(Heard(turn=turn(1, "我叫张三卡号我报给你")))
    assert records(live.receive(found("customer-1", UNKNOWN_INTENT, hit("card", 0.8))), SuggestionOffered) == []


def test_agents_words_raise_alerts_and_tick_steps_said_before_the_intent_was_known():
    live = session()
    live.receive(Heard(turn=turn(1, "请报一下卡号后四位", "agent")))
    live.receive(Heard(turn=turn(2, "我的卡被盗刷了怎么办")))
    ticks = records(live.receive(found("customer-2", "card_fraud", hit("fraud", 0.9))), ChecklistTicked)
    assert [(tick.step_id, tick.utterance_id) for tick in ticks] == [("verify", "agent-1")]
    effects = live.receive(Heard(turn=turn(3, "我为您冻结，钱一定能追回来", "agent")))
    assert [tick.step_id for tick in records(effects, ChecklistTicked)] == ["freeze"]
    (alert,) = records(effects, ComplianceAlerted)
    assert (alert.rule_id, alert.quote, alert.severity) == ("no-promise", "一定能追回", "critical")


def test_a_rule_is_for_its_channel_only_and_must_say_rules_wait():
    live = session()
    assert records(live.receive(Heard(turn=turn(1, "你们一定能追回吗", "customer"))), ComplianceAlerted) == []
    assert records(live.receive(Heard(turn=turn(2, "理财非存款", "agent"))), ComplianceAlerted) == []
    assert len(records(live.receive(Heard(turn=turn(3, "他让我转到安全账户", "customer"))), ComplianceAlerted)) == 1


def test_slots_are_normalised_at_every_mention():
    live = session()
    filled = records(live.receive(Heard(turn=turn(1, "昨天被刷了1.2万元，【尾号#1】的卡"))), SlotFilled)
    assert {(slot.name, slot.value) for slot in filled} == {("amount", "12000.00"), ("card", "【尾号#1】"), ("date", "2026-11-26")}
    (again,) = records(live.receive(Heard(turn=turn(2, "就是昨天"))), SlotFilled)
    assert (again.utterance_id, again.value) == ("customer-2", "2026-11-26")
    assert records(live.receive(Heard(turn=turn(3, "昨天的消费", "agent"))), SlotFilled) == []


def test_a_model_is_asked_only_when_the_approved_answer_does_not_clearly_fit():
    live = session(generate=True)
    live.receive(Heard(turn=turn(1, "提前还款要不要违约金")))
    assert not [e for e in live.receive(found("customer-1", "loan_prepay", hit("prepay", 0.95))) if isinstance(e, WriteReply)]
    live.receive(Heard(turn=turn(2, "稍等", "agent")))
    live.receive(Heard(turn=turn(3, "那公积金贷款可以吗")))
    effects = live.receive(found("customer-3", "mortgage", hit("fund", 0.6)))
    (write,) = [effect for effect in effects if isinstance(effect, WriteReply)]
    assert write.card == "s2"
    (card,) = records(
        live.receive(
            ReplyWritten(card=write.card, pieces=(ReplyPiece(text="可以的。", sources=(0,), ends=True),), hits=write.hits, model="m")
        ),
        SuggestionOffered,
    )
    assert (card.generated, card.replaces, card.citations[0].article_id) == (True, "s2", "fund")


def test_findings_for_an_unknown_utterance_have_no_effect():
    assert session().receive(found("customer-9", "card_fraud", hit("fraud", 0.9))) == []


def test_the_attention_policy_sets_the_bar():
    live = session(policy=AttentionPolicy(min_confidence=0.95))
    live.receive(Heard(turn=turn(1, "我的信用卡被盗刷了怎么办")))
    (card,) = records(live.receive(found("customer-1", "card_fraud", hit("fraud", 0.9))), SuggestionOffered)
    assert card.kind == "nothing"


def test_what_is_below_the_bar_of_the_knowledge_base_is_not_offered_however_sure():
    live = session(policy=AttentionPolicy(min_confidence=0.0))
    live.receive(Heard(turn=turn(1, "我的信用卡被盗刷了怎么办")))
    (card,) = records(live.receive(found("customer-1", "card_fraud", replace(hit("fraud", 0.9), fits=False))), SuggestionOffered)
    assert card.kind == "nothing"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [{id: a, severity: loud, kind: forbidden, channel: agent}]", "severity"),
        ("rules: [{id: a, severity: warn, kind: forbidden, channel: agent, patterns: {zh: ['(']}}]", "regular expression"),
        ("rules: 3", "list `rules`"),
        ("rules: [", "valid YAML"),
    ],
)
def test_a_faulty_rule_file_is_refused_with_the_place(text: str, message: str):
    with pytest.raises(InvalidInput, match=message):
        parse_compliance(text)


def test_the_next_action_is_the_first_step_that_is_left_with_the_callers_slots():
    live = session()
    live.receive(Heard(turn=turn(1, "【尾号#1】的卡被盗刷了三千块怎么办")))
    effects = live.receive(found("customer-1", "card_fraud", hit("fraud", 0.9)))
    (action,) = records(effects, NextActionProposed)
    assert action.step_id == "verify"
    effects = live.receive(Heard(turn=turn(2, "请问您卡号后四位", "agent")))
    (action,) = records(effects, NextActionProposed)
    assert (action.step_id, action.script, action.missing) == ("freeze", "我马上冻结【尾号#1】的卡", ())
    effects = live.receive(Heard(turn=turn(3, "已经为您冻结", "agent")))
    (action,) = records(effects, NextActionProposed)
    assert action.step_id == ""


def test_a_script_whose_slot_nobody_has_named_stays_a_plain_hint():
    live = session()
    live.receive(Heard(turn=turn(1, "我的卡被盗刷了怎么办")))
    live.receive(found("customer-1", "card_fraud", hit("fraud", 0.9)))
    (action,) = records(live.receive(Heard(turn=turn(2, "请问您卡号后四位", "agent"))), NextActionProposed)
    assert (action.script, action.missing) == ("我马上冻结您的卡", ("card",))


def test_every_need_of_a_turn_is_told_once_with_the_turn_it_refers_to():
    live = session()
    live.receive(Heard(turn=turn(1, "我的卡被盗刷了怎么办")))
    live.receive(found("customer-1", "card_fraud", hit("fraud", 0.9)))
    live.receive(Heard(turn=turn(2, "请稍等", "agent")))
    live.receive(Heard(turn=turn(3, "那要多久，还有年费怎么收")))
    prediction = IntentPrediction(
        intent="card_fraud", confidence=0.7, also=(IntentScore(intent="fee_inquiry", confidence=0.6),), refers_to=0
    )
    effects = live.receive(Findings(utterance_id=UtteranceId("customer-3"), prediction=prediction, hits=()))
    assert [(e.intent, e.refers_to) for e in records(effects, IntentDetected)] == [("fee_inquiry", None), ("card_fraud", "customer-1")]
