"""The summary: what each sentence becomes, what never gets in, and when a model's text is let through."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from copilot.domain.artifacts import Summary
from copilot.domain.errors import EngineError
from copilot.llm.client import LlmConfig, open_text_model
from postcall.generated import MOST_CHARACTERS
from postcall.needs import find_intents
from postcall.polarity import polarity
from postcall.summary import extract, summarise, third_person
from postcall.turns import Transcript, turns_from_json
from tests.fakes.celery_target import sample_packs
from tests.fakes.model_server import ModelServer

PACKS = sample_packs()


def call(*lines: tuple[Any, ...], language: str = "zh") -> Transcript:
    spoken = [
        {"channel": who, "start_ms": n * 3000, "end_ms": n * 3000 + 2500, "text": text, "confidence": rest[0] if rest else 1.0}
        for n, (who, text, *rest) in enumerate(lines)
    ]
    return Transcript(language=language, turns=tuple(turns_from_json(spoken)))


def summary(transcript: Transcript) -> Summary:
    return extract(transcript, find_intents(transcript, PACKS, None), PACKS)


def texts(statements: tuple[Any, ...]) -> list[str]:
    return [statement.text for statement in statements]


LOSS = call(
    ("agent", "您好，和穗银行，请问有什么可以帮您？"),
    ("customer", "嗯，那个，我的信用卡丢了，要挂失。"),
    ("agent", "请问您的姓名是什么？"),
    ("customer", "我姓王。"),
    ("agent", "请稍等。"),
    ("agent", "已经帮您挂失了。新卡三到五个工作日寄到您的账单地址。"),
    ("customer", "好的，补卡的工本费多少钱？"),
    ("agent", "工本费是十五元。有问题我们会电话联系您。"),
    ("agent", "请问还有其他问题吗？"),
    ("customer", "没有了，谢谢。"),
    ("agent", "感谢您的来电，再见。"),
)


def test_each_sentence_goes_where_it_belongs() -> None:
    made = summary(LOSS)
    assert texts(made.problems) == ["客户的信用卡丢了，要挂失", "补卡的工本费多少钱？"]
    assert texts(made.actions) == ["核实客户身份：姓名", "已经为客户挂失了（卡片挂失补卡）", "告知：工本费是十五元"]
    assert texts(made.commitments) == ["新卡三到五个工作日寄到客户的账单地址"]
    assert texts(made.follow_ups) == ["有问题银行会电话联系客户"]
    assert made.overall.startswith("客户来电：信用卡丢了，要挂失。坐席处理：已经为客户挂失了")
    assert made.method == "extractive"
    assert made.problems[0].utterance_ids == ("customer-1",)


def test_english_calls_get_an_english_summary() -> None:
    made = summary(
        call(
            ("customer", "Hello, I've lost my credit card and I'd like to report it lost."),
            ("agent", "May I have your full name?"),
            ("customer", "It's Li."),
            ("agent", "I've blocked your card. You will receive a new card within five working days."),
            ("customer", "How much is the replacement card?"),
            ("agent", "The fee is fifteen yuan."),
            language="en",
        )
    )
    assert texts(made.problems)[0].startswith("I've lost the customer's credit card")
    assert texts(made.actions) == [
        "Verified the customer: name",
        "I've blocked the customer's card",
        "Told: The fee is fifteen yuan",
    ]
    assert "five working days" in texts(made.follow_ups)[0]
    assert made.overall.startswith("The customer called: ")


def test_announced_then_done_is_told_once_and_a_price_is_kept() -> None:
    done = summary(
        call(("customer", "我的信用卡丢了，要挂失"), ("agent", "我帮您把卡挂失。"), ("customer", "快点吧谢谢"), ("agent", "已经挂失好了。"))
    )
    assert texts(done.actions) == ["已经挂失好了（卡片挂失补卡）"]
    priced = summary(
        call(
            ("customer", "短信提醒怎么开通"), ("agent", "我帮您开通，每个月三块钱。"), ("customer", "可以开通吧"), ("agent", "已经开通了。")
        )
    )
    assert texts(priced.actions) == ["为客户开通，每个月三块钱", "已经开通了（动账短信）"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("嗯，那个，你好，我想问一下，那笔钱怎么还没到账？", "那笔钱怎么还没到账？"),
        ("对方说没收到我的转账，怎么查？", "对方说没收到客户的转账，怎么查？"),
        ("好像我的信用卡被人盗刷了", "好像客户的信用卡被人盗刷了"),
        ("还有一个问题。那被盗刷的钱要先还吗？", "被盗刷的钱要先还吗？"),
        ("好的，我记住了。短信提醒怎么开通？", "短信提醒怎么开通？"),
    ],
)
def test_fillers_go_and_words_that_begin_like_them_stay(said: str, told: str) -> None:
    assert texts(summary(call(("customer", said))).problems) == [told]


def test_pii_tokens_stay_tokens() -> None:
    made = summary(call(("customer", "我的尾号【尾号#1】的信用卡丢了，要挂失"), ("agent", "已经给【姓名#1】挂失了")))
    assert "【尾号#1】" in made.problems[0].text
    assert "【姓名#1】" in made.actions[0].text


def test_poorly_recognised_words_stay_out() -> None:
    made = summary(call(("customer", "我的信用卡丢了，要挂失"), ("agent", "已经挂失了，收您三百元", 0.3)))
    assert made.actions == ()


def test_a_forbidden_promise_is_not_repeated_as_a_fact() -> None:
    made = summary(call(("customer", "我的钱被骗了怎么办"), ("agent", "您放心，一定能追回来。")))
    assert "追回" not in str(made)


def test_a_call_without_words_says_so() -> None:
    assert summary(call()).overall == "通话中没有识别到客户的业务诉求。"
    assert summary(call(language="en")).overall == "No banking need was recognised in the call."


@pytest.mark.parametrize(
    ("text", "speaker", "told"),
    [
        ("我的卡被人刷了，不是我自己刷的", "customer", "客户的卡被人刷了，不是本人刷的"),
        ("帮我查一下你们银行的利率", "customer", "帮客户查一下银行的利率"),
        ("我现在就帮您办理", "agent", "为客户办理"),
        ("我们会联系您", "agent", "银行会联系客户"),
    ],
)
def test_speakers_become_third_persons(text: str, speaker: str, told: str) -> None:
    assert third_person(text, "zh", speaker) == told


# --- with a model ---------------------------------------------------------------------------------------------------------------------

ANSWER = {
    "overall": "客户信用卡丢失，已挂失，补卡工本费15元。",
    "problems": [{"text": "信用卡丢失需挂失", "utterance_ids": ["customer-1"]}],
    "actions": [{"text": "已挂失，工本费15元", "utterance_ids": ["agent-4", "agent-5"]}],
    "commitments": [{"text": "新卡3到5个工作日寄到", "utterance_ids": ["agent-4"]}],
    "follow_ups": [],
}


class Scripted:
    """A text model that answers as told."""

    model_id = "scripted"

    def __init__(self, answer: dict[str, Any] | EngineError) -> None:
        self._answer = answer
        self.variables: dict[str, object] = {}

    def complete_json(self, prompt_name: str, variables: dict[str, object], schema: dict[str, object]) -> dict[str, object]:
        assert prompt_name == "summary"
        self.variables = variables
        if isinstance(self._answer, EngineError):
            raise self._answer
        return self._answer


def generated(answer: dict[str, Any] | EngineError) -> Summary:
    return summarise(LOSS, find_intents(LOSS, PACKS, None), PACKS, Scripted(answer))


def test_a_grounded_answer_of_the_model_is_used() -> None:
    made = generated(ANSWER)
    assert (made.method, made.model, made.overall) == ("llm", "scripted", ANSWER["overall"])
    assert made.commitments[0].utterance_ids == ("agent-4",)


@pytest.mark.parametrize(
    "change",
    [
        {"overall": "工本费20元"},
        {"actions": [{"text": "工本费15元", "utterance_ids": ["agent-1"]}]},
        {"actions": [{"text": "已挂失", "utterance_ids": ["agent-99"]}]},
        {"problems": [{"text": "卡【卡号#3】丢失", "utterance_ids": ["customer-1"]}]},
    ],
)
def test_an_answer_with_a_foreign_number_or_citation_is_refused_visibly(change: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made = generated({**ANSWER, **change})
    assert (made.method, made.model) == ("extractive", "scripted")
    assert made.problems[0].text == "客户的信用卡丢了，要挂失"
    assert "generated summary was not used" in caplog.text
    assert "工本费" not in caplog.text


def test_a_model_that_fails_leaves_the_extractive_summary() -> None:
    assert generated(EngineError("gone", retryable=True)).method == "extractive"


def test_the_whole_way_over_a_socket() -> None:
    import json

    with ModelServer([("json", json.dumps(ANSWER, ensure_ascii=False))]) as server:
        model = open_text_model(LlmConfig(base_url=server.base_url, model="m"))
        made = summarise(LOSS, find_intents(LOSS, PACKS, None), PACKS, model)
        sent = server.requests[0]["messages"][1]["content"]
    assert made.method == "llm"
    assert "customer-1" in sent


# --- who, until when, done or not ---------------------------------------------------------------------------------------------------


def test_promises_name_their_owner_and_their_time() -> None:
    made = summary(
        call(
            ("customer", "我的信用卡逾期了怎么办"),
            ("agent", "处理结果我们会在三天内电话联系您。"),
            ("customer", "好的，我二十八号把余款还清。"),
            ("agent", "请您携带身份证到网点办理。"),
        )
    )
    assert [(item.owner, item.due) for item in made.follow_ups] == [("bank", "三天内"), ("customer", "")]
    assert [(item.text, item.owner, item.due) for item in made.commitments] == [("客户二十八号把余款还清", "customer", "二十八号")]


def test_what_was_not_done_is_not_told_as_done() -> None:
    made = summary(
        call(
            ("customer", "我要取消分期，能办吗"),
            ("agent", "系统显示暂时无法办理取消。"),
            ("agent", "投诉已经帮您登记了。"),
            ("customer", "那个保险我不需要了。"),
        )
    )
    told = {item.text: item.polarity for item in made.actions}
    assert [text for text, way in told.items() if way == "not_done"] == ["系统显示暂时无法办理取消", "客户未同意：那个保险客户不需要了"]
    assert any(way == "done" and "登记" in text for text, way in told.items())


@pytest.mark.parametrize(
    ("text", "language", "way"),
    [
        ("已经为您冻结了", "zh", "done"),
        ("还没有登记", "zh", "not_done"),
        ("分期办理成功了", "zh", "done"),
        ("没有办法查到", "zh", ""),
        ("卡片已冻结，争议还没有登记", "zh", ""),
        ("请稍等", "zh", ""),
        ("I have cancelled the card", "en", "done"),
        ("the card has not been cancelled", "en", "not_done"),
    ],
)
def test_polarity(text: str, language: str, way: str) -> None:
    assert polarity(text, language) == way


def test_a_model_that_turns_an_act_around_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    lines = call(("customer", "分期能取消吗"), ("agent", "分期还没有取消。"))
    answer = {
        "overall": "客户要求取消分期。",
        "problems": [],
        "actions": [{"text": "已经为客户取消了分期", "utterance_ids": ["agent-1"]}],
        "commitments": [],
        "follow_ups": [],
    }
    made = summarise(lines, (), PACKS, Scripted(answer))
    assert made.method == "extractive"
    assert "as not done" in caplog.text


# --- long calls -------------------------------------------------------------------------------------------------------------------------


def long_call(turns: int = 600) -> Transcript:
    lines = [("agent" if number % 2 else "customer", f"第{number}句说的是账单和还款的事情，请您再核对一下明细") for number in range(turns)]
    return call(*lines)


class Sections:
    """Answers each section with one statement about its first line, and keeps what it is told to."""

    model_id = "sections"

    def __init__(self, keep: list[str], overall: str = "客户核对账单。") -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.keep, self.overall = keep, overall

    def complete_json(self, prompt_name: str, variables: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((prompt_name, variables))
        if prompt_name == "summary_merge":
            return {"overall": self.overall, "keep": self.keep}
        first = variables["lines"][2]
        problem = {"text": first["text"], "utterance_ids": [first["id"]]}
        return {"overall": "核对账单。", "problems": [problem], "actions": [], "commitments": [], "follow_ups": []}


def test_a_long_call_is_asked_in_sections_and_brought_together() -> None:
    model = Sections(["s1", "s2"])
    transcript = long_call()
    made = summarise(transcript, (), PACKS, model)
    sections = [variables for name, variables in model.asked if name == "summary"]
    assert len(sections) == len(model.asked) - 1 >= 2
    assert all(sum(len(line["text"]) for line in section["lines"]) <= MOST_CHARACTERS + 100 for section in sections)
    seen = [line["id"] for section in sections for line in section["lines"]]
    assert set(seen) == {turn.utterance_id for turn in transcript.turns}, "no line is left out"
    assert (made.method, len(made.problems), made.overall) == ("llm", 2, "客户核对账单。")


@pytest.mark.parametrize(("keep", "overall"), [(["s99"], "好"), (["s1"], "一共九千八百七十六元。")])
def test_a_merge_that_invents_is_refused(keep: list[str], overall: str) -> None:
    assert summarise(long_call(), (), PACKS, Sections(keep, overall)).method == "extractive"
