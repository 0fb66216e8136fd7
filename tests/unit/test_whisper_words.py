from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from streaming.asr.word_times import _token_times, words_of


@dataclass
class Aligned:
    alignments: list = field(default_factory=list)
    text_token_probs: list = field(default_factory=list)


@dataclass
class Pieces:
    """A tokenizer whose tokens are already pieces."""

    pieces: list
    language_code: str = "zh"

    def split_to_word_tokens(self, tokens):
        return [self.pieces[token] for token in tokens], [[token] for token in tokens]


def test_without_an_alignment_times_are_spread_evenly():
    times, probabilities = _token_times(None, 4, 2_000)
    assert times.tolist() == [0, 500, 1000, 1500, 2000]
    assert probabilities is None


def test_an_alignment_shorter_than_the_text_is_not_believed():
    times, _ = _token_times(Aligned([(0, 10), (1, 20)], [0.5, 0.5]), 4, 2_000)
    assert times.tolist() == [0, 500, 1000, 1500, 2000]


def test_times_come_from_where_the_path_moves_to_the_next_token_and_stay_in_the_audio():
    path = [(0, 0), (0, 1), (1, 10), (1, 11), (2, 20), (3, 200)]
    times, probabilities = _token_times(Aligned(path, [0.9, 0.8, 0.7]), 3, 1_000)
    assert times.tolist() == [0, 200, 400, 1000]
    assert np.allclose(probabilities, [0.9, 0.8, 0.7])


def test_marks_join_the_character_before_and_digits_make_one_word():
    words = words_of(Pieces(["刷", "了", "3", "28", ".", "5", "元", "。", "。"]), list(range(9)), None, 900, 0.5)
    assert [word.text for word in words] == ["刷", "了", "328.5", "元。。"]
    assert words[2].start_ms == 200
    assert words[2].end_ms == 600
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(words))


def test_english_words_carry_no_spaces():
    words = words_of(Pieces(["Hello", ",", " world", "."], "en"), [0, 1, 2, 3], None, 400, 0.5)
    assert [word.text for word in words] == ["Hello,", "world."]


def test_half_characters_are_dropped():
    assert words_of(Pieces(["\ufffd"]), [0], None, 100, 0.5) == []
