"""The machine's gate: what it finds in a text, where, and what it leaves alone; facts and their comparison; differences of versions."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article
from copilot.domain.text_diff import diff_articles, diff_texts
from copilot.live.rules import parse_compliance
from kb.article_checks import PromiseRule, check, fields
from kb.comparison import Said, compare, disagreements
from kb.facts import quantities, stances
from kb.loaders import load_articles

BANK = Path(__file__).parents[2] / "kb/samples/bank"
DAY = date(2026, 11, 27)
GOOD = Article(
    article_id=ArticleId("fee"), version=1, language="zh", domain="cards", title="信用卡年费怎么收", body="", answer="每年100元。",
    questions=("年费多少",), source="公示", owner="卡组",
)  # fmt: skip
RULE = PromiseRule(rule_id="capital", name="承诺保本", advice="不得承诺", patterns=(re.compile("(?<!不)保本"),))


def codes(article: Article, rules: tuple[PromiseRule, ...] = (RULE,)) -> list[str]:
    return [finding.code for finding in check(article, rules, (), DAY)]


def test_a_good_article_has_nothing_to_mend():
    assert codes(GOOD) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"title": " "}, "no_title"),
        ({"answer": ""}, "no_text"),
        ({"source": ""}, "no_source"),
        ({"owner": ""}, "no_owner"),
        ({"questions": ()}, "no_question"),
        ({"title": "长" * 61}, "long_title"),
        ({"answer": "长" * 161}, "long_answer"),
        ({"body": "长" * 20_001}, "too_long"),
        ({"valid_from": date(2027, 2, 1), "valid_to": date(2027, 1, 1)}, "dates_reversed"),
        ({"valid_to": date(2026, 11, 26)}, "already_over"),
        ({"answer": "请打13812345678。"}, "pii"),
        ({"answer": "本产品保，本。"}, "forbidden"),
        ({"body": "骗子会说保本。"}, "forbidden_possible"),
    ],
)
def test_each_fault_is_found_alone(change, code):
    assert codes(replace(GOOD, **change)) == [code]


def test_what_customers_say_and_what_is_denied_is_left_alone():
    assert codes(replace(GOOD, questions=("这个保本吗",))) == []
    assert codes(replace(GOOD, answer="本产品不保本。")) == []
    assert codes(replace(GOOD, answer="客服热线95588，网点9:00营业。")) == []
    assert codes(replace(GOOD, valid_to=DAY)) == []


def test_every_span_is_the_quote_in_its_field():
    bad = replace(GOOD, title="李雷的卡", answer="请打13812345678，本产品保，本。", body="卡号6222020200112233445")
    texts = dict(fields(bad))
    found = [finding for finding in check(bad, (RULE,), (), DAY) if finding.end]
    assert {finding.code for finding in found} >= {"pii", "forbidden"}
    for finding in found:
        assert texts[finding.field][finding.start : finding.end] == finding.quote


def test_nothing_in_the_sample_bank_has_to_be_mended():
    compliance = parse_compliance((BANK / "compliance.yaml").read_text(encoding="utf-8"))
    for article in load_articles(BANK):
        rules = [
            PromiseRule(rule_id=rule.rule_id, name="", advice="", patterns=rule.patterns.get(article.language, ()))
            for rule in compliance
            if rule.kind in ("forbidden", "sensitive_request") and rule.channel in ("agent", "any")
        ]
        assert [finding for finding in check(article, rules, (), DAY) if finding.blocks] == [], article.article_id


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("每年100元，满5笔", "zh", [("money", 100), ("times", 5)]),
        ("五十万元以内", "zh", [("money", 500_000)]),
        ("等值5万美元", "zh", [("usd", 50_000)]),
        ("费率百分之零点六", "zh", [("percent", 0.006)]),
        ("每期0.72%", "zh", [("percent", 0.0072)]),
        ("T+1个工作日，两年内", "zh", [("days", 1), ("months", 24)]),
        ("二十四期，三千二百块", "zh", [("terms", 24), ("money", 3200)]),
        ("请拨打95588", "zh", []),
        ("costs $1,500 and takes three business days", "en", [("money", 1500), ("days", 3)]),
        ("1.2% a year", "en", [("percent", 0.012), ("every_months", 12)]),
    ],
)
def test_quantities_are_read_in_their_unit(text, language, expected):
    found = [(one.unit, one.value) for one in quantities(text, language)]
    assert found == [(unit, pytest.approx(value)) for unit, value in expected]


def test_a_denial_is_not_also_a_claim():
    assert stances("实时到账的转账不能撤回", "zh")["possible"].made is False
    assert stances("可以撤回", "zh")["possible"].made is True


def test_an_answer_that_says_more_does_not_disagree():
    assert disagreements("每年100元。", "每年100元，刷满5笔免次年。", "zh") == ()
    (found,) = disagreements("需提前15天预约。", "请提前30天申请预约。", "zh")
    assert (found.kind, found.mine, found.theirs) == ("days", "15天", "30天")


def test_other_cards_other_terms_and_other_aspects_are_other_needs():
    fee = Said(question="信用卡年费多少钱", answer="100元")
    for question in ("借记卡年费多少钱", "信用卡年费什么时候扣"):
        assert compare(fee, Said(question=question, answer="10元"), 0.99, "zh").relation == "neither"
    terms = Said(question="分12期手续费多少", answer="0.6%")
    assert compare(terms, Said(question="分24期手续费多少", answer="0.55%"), 0.99, "zh").relation == "neither"
    assert compare(fee, Said(question="信用卡年费怎么收", answer="200元"), 0.5, "zh").relation == "neither"
    assert compare(fee, Said(question="信用卡年费怎么收", answer="200元"), 0.95, "zh").relation == "contradiction"


TEXTS = st.text(alphabet="年费100元，。\nab c", max_size=60)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, TEXTS)
def test_a_difference_holds_both_texts(old, new):
    pieces = diff_texts(old, new)
    assert "".join(piece.text for piece in pieces if piece.op != "added") == old
    assert "".join(piece.text for piece in pieces if piece.op != "removed") == new


def test_a_new_article_is_all_added_and_lists_are_lines():
    found = {one.field: one.pieces for one in diff_articles(None, replace(GOOD, questions=("甲", "乙")))}
    assert {piece.op for pieces in found.values() for piece in pieces} == {"added"}
    assert found["questions"][0].text == "甲\n乙"
    assert diff_articles(GOOD, GOOD) == ()
