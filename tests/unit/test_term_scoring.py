"""How terms are counted."""

import pytest

from loadtest.term_scoring import judge, ratio, summarise
from loadtest.term_set import TermSentence

LEXICON = ("还款", "还款日", "挂失", "年费")


def outcome(text, terms, heard, corrections=()):
    sentence = TermSentence(sentence_id=text, text=text, terms=tuple(terms))
    return judge(sentence, heard, corrections, LEXICON)


def test_a_term_said_twice_must_be_there_twice():
    row = outcome("年费和年费", ["年费", "年费"], "年费和年飞")
    assert (row.wanted, row.found, row.missed) == (2, 1, ("年费",))


def test_what_was_not_said_is_wrong_whoever_wrote_it():
    row = outcome("分歧很大", [], "挂失很大", [("瓜是", "挂失")])
    assert row.wrong_corrections == (("瓜是", "挂失"),)
    assert row.wrong_terms == ("挂失",)
    assert outcome("我要挂失", ["挂失"], "我要挂失", [("瓜丝", "挂失")]).wrong_corrections == ()


def test_a_summary_tells_sentences_with_terms_from_those_without():
    rows = [
        outcome("我要挂失", ["挂失"], "我要挂失"),
        outcome("年费多少", ["年费"], "年飞多少", [("多少", "还款")]),
        outcome("分歧很大", [], "挂失很大"),
        outcome("天气不错", [], "天气不错"),
    ]
    summary = summarise(rows)
    assert (summary.recall.count, summary.recall.of) == (1, 2)
    assert (summary.false_corrections.count, summary.false_corrections.of) == (0, 2)
    assert (summary.false_terms.count, summary.false_terms.of) == (1, 2)
    assert (summary.wrong_corrections.count, summary.wrong_corrections.of) == (1, 2)
    assert 0 < summary.cer < 0.5


def test_intervals():
    half = ratio([(1, 1), (0, 1)] * 50)
    assert half.low < half.value == 0.5 < half.high
    assert half.high - half.low == pytest.approx(0.196, abs=0.03)
    none = ratio([(0, 1)] * 200)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.0149, abs=1e-3)  # the rule of three
    assert ratio([]).of == 0
