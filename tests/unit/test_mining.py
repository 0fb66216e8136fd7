"""Pairs out of documents and calls, with their places; other ways to ask; drafts that are made once."""

from __future__ import annotations

import pytest

from copilot.domain.events import UtteranceFinal
from copilot.domain.ids import UtteranceId
from kb.expansion import expanded, variants
from kb.mining import draft, from_call, from_document, is_question
from tests.fakes.gram_embedder import GramEmbedder

HANDBOOK = """# 卡片业务手册

## 一、挂失

问：银行卡丢了怎么办？
答：请立即拨打客服热线挂失，挂失即时生效。

**问题2：** 挂失收费吗
**答：** 挂失不收手续费，
补卡工本费15元。

## 二、补卡要多久？

补卡后7个工作日内寄到。

## 三、费用表

| 常见问题 | 标准答案 | 备注 |
|---|---|---|
| 补卡要多少钱 | 补卡收工本费15元，从账户扣收。 | 无 |
| 银行卡丢了怎么办 | 这里是另一种写法，不应重复。 | 无 |

## 四、适用范围

本手册适用于全部网点。
"""


def test_the_pairs_of_a_document_have_their_place():
    found = from_document(HANDBOOK, "handbook.md", "zh")
    assert [(pair.question, pair.answer) for pair in found] == [
        ("银行卡丢了怎么办？", "请立即拨打客服热线挂失，挂失即时生效。"),
        ("挂失收费吗", "挂失不收手续费，\n补卡工本费15元。"),
        ("补卡要多久？", "补卡后7个工作日内寄到。"),
        ("补卡要多少钱", "补卡收工本费15元，从账户扣收。"),
        ("银行卡丢了怎么办", "这里是另一种写法，不应重复。"),
    ]
    for pair in found:
        place = HANDBOOK[pair.origin.start : pair.origin.end]
        assert pair.origin.quote == place
        assert pair.answer.split("\n", maxsplit=1)[0] in place
    assert [pair.origin.section for pair in found][:2] == ["一、挂失", "一、挂失"]


def test_english_pairs_and_nothing_from_plain_prose():
    text = "Q: How long does a wire take?\nA: It usually arrives within three business days.\n\nSome prose about wires.\n"
    (pair,) = from_document(text, "faq.txt", "en")
    assert (pair.question, pair.answer[:10]) == ("How long does a wire take?", "It usually")
    assert from_document("本手册适用于全部网点。请遵照执行。", "x.md", "zh") == []
    assert from_document("", "x.md", "zh") == []
    assert from_document("# 怎么看\n这里说明表格怎样阅读，共分三栏。\n# How to read it\nThe table has three columns.", "x.md", "zh") == []


def line(channel: str, number: int, text: str) -> UtteranceFinal:
    return UtteranceFinal(
        utterance_id=UtteranceId(f"{channel}-{number}"), channel=channel, start_ms=number * 1000, end_ms=number * 1000 + 900,
        language="zh", confidence=0.9, text=text,
    )  # fmt: skip


def call(*lines: tuple[str, str]) -> list[UtteranceFinal]:
    return [line(channel, number, text) for number, (channel, text) in enumerate(lines, 1)]


def test_what_the_customer_agreed_to_is_a_pair_with_its_utterances():
    events = call(
        ("agent", "您好，请问有什么可以帮您"),
        ("customer", "我想问一下提前还款要违约金吗"),
        ("agent", "贷款满一年后提前还款，"),
        ("agent", "是不收违约金的。"),
        ("customer", "好的，明白了"),
    )
    (pair,) = from_call("c1", "zh", events)
    assert (pair.question, pair.answer) == ("提前还款要违约金吗", "贷款满一年后提前还款，是不收违约金的。")
    assert pair.origin.utterances == ("customer-2", "agent-3", "agent-4")
    assert draft(pair).source == "", "a call is no source an answer may rest on"


@pytest.mark.parametrize(
    "lines",
    [
        [("customer", "提前还款要违约金吗"), ("agent", "满一年提前还款不收违约金的。"), ("customer", "不对吧，上次收了")],
        [("customer", "提前还款要违约金吗"), ("agent", "请您稍等，我帮您查一下这笔贷款。"), ("customer", "好的")],
        [("customer", "我卡里还有多少钱"), ("agent", "您尾号【尾号#1】的账户余额是三千元。"), ("customer", "好的谢谢")],
        [("customer", "我要投诉你们"), ("agent", "非常抱歉给您带来不好的体验。"), ("customer", "嗯好的")],
        [("customer", "提前还款要违约金吗"), ("agent", "不收。"), ("customer", "好的")],
        [("customer", "提前还款要违约金吗"), ("agent", "满一年提前还款不收违约金的。")],
    ],
)
def test_what_was_not_resolved_or_is_this_customers_alone_is_left_out(lines):
    assert from_call("c1", "zh", call(*lines)) == []


def test_the_same_pair_has_the_same_id():
    first, again = (from_document(HANDBOOK, name, "zh")[0] for name in ("a.md", "b.md"))
    assert first.article_id == again.article_id
    other = from_document(HANDBOOK.replace("即时生效", "次日生效"), "a.md", "zh")[0]
    assert other.article_id != first.article_id


def test_other_ways_to_ask_keep_the_meaning_and_are_no_copies():
    found = variants("手机银行转账限额是多少？", "zh")
    assert len(found) == len(set(found))
    assert "手机银行转账限额是多少" not in found
    assert "手机银行汇款限额是多少" in found
    assert any("请问" in text for text in found)
    near = expanded("手机银行转账限额是多少", "zh", GramEmbedder().embed)
    assert near
    assert set(near) <= set(found)
    assert expanded("手机银行转账限额是多少", "zh", GramEmbedder().embed) == near
    assert is_question("how do i close it", "en")
    assert not is_question("我要挂失", "zh")
