"""Words from tokens that carry their spaces (SenseVoice) or their continuations (Paraformer)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.asr.pieces import MAX_WORD_MS, simplified, words_of


def texts(tokens, language="zh", marked=True):
    return [word.text for word in words_of(tokens, None, 1_000, language, confidence=0.5, marked=marked)]


@pytest.mark.parametrize(
    ("tokens", "language", "marked", "words"),
    [
        (["我", "要", "挂", "失", "。"], "zh", True, ["我", "要", "挂", "失。"]),
        (["▁the", "▁lo", "an", ",", "▁please", "."], "en", True, ["the", "loan,", "please."]),
        ([" the", " lo", "an"], "en", True, ["the", "loan"]),
        (["the", "lo@@", "an", "is"], "en", False, ["the", "loan", "is"]),
        (["我", "的", "▁V", "IP", "▁card", "卡"], "zh", True, ["我", "的", "VIP", " card", "卡"]),
        (["3", "2", "8", ".", "5", "元"], "zh", True, ["328.5", "元"]),
        (["▁1", "2", "▁3"], "en", True, ["12", "3"]),
        ([" ", "▁", ""], "zh", True, []),
        (["，", "好"], "zh", True, ["，", "好"]),
        ([], "zh", True, []),
    ],
)
def test_words(tokens, language, marked, words):
    assert texts(tokens, language, marked) == words


def test_a_word_ends_where_the_next_begins_but_is_never_held_for_long():
    words = words_of(["挂", "失", "。", "卡"], [60, 240, 400, 2_000], 5_000, "zh", confidence=0.5, marked=True)
    assert [(word.start_ms, word.end_ms) for word in words] == [(60, 240), (240, 400), (2_000, 2_000 + MAX_WORD_MS)]


def test_without_times_words_are_spread_evenly():
    words = words_of(["挂", "失"], [], 1_000, "zh", confidence=0.5, marked=True)
    assert [(word.start_ms, word.end_ms) for word in words] == [(0, 500), (500, 1_000)]


def test_traditional_becomes_simplified_with_context():
    from opencc import OpenCC

    words = words_of(["最", "後", "乾", "杯"], None, 1_000, "zh", confidence=0.5, marked=True)
    assert "".join(word.text for word in simplified(words, OpenCC("t2s").convert)) == "最后干杯"


def test_a_conversion_of_another_length_goes_word_by_word():
    words = words_of(["甲", "乙"], None, 1_000, "zh", confidence=0.5, marked=True)
    assert [word.text for word in simplified(words, lambda text: text.replace("甲", "丙丁"))] == ["丙丁", "乙"]


TOKENS = st.lists(st.sampled_from(["信", "用", "卡", "，", "。", "▁card", "lo", "an", "lo@@", "3", ".", " is", "'", "▁", " "]), max_size=12)


@given(tokens=TOKENS, starts=st.lists(st.integers(-50, 9_000), max_size=12), audio=st.integers(0, 8_000), marked=st.booleans())
def test_times_are_in_order_and_nothing_said_is_lost(tokens, starts, audio, marked):
    for language in ("zh", "en"):
        words = words_of(tokens, starts, audio, language, confidence=0.5, marked=marked)
        for word in words:
            assert 0 <= word.start_ms <= word.end_ms <= audio
            assert word.text
        for before, after in pairwise(words):
            assert before.start_ms <= after.start_ms
            assert before.end_ms <= after.end_ms
        said = "".join(token.replace("▁", "").strip().removesuffix("@@") for token in tokens)
        assert "".join(word.text for word in words).replace(" ", "") == said
