"""Terms: homophones meet in pinyin, inflections in stems, and no term can break an index."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.analysis import analyse, fold_syllable, normalise, spoken_core, syllables


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("到刷", "盗刷"),  # what the recogniser writes for it
        ("身请", "申请"),
        ("林钱", "零钱"),  # in/ing
        ("四点", "十点"),  # s/sh
        ("刘行卡", "流行卡"),
        ("南色", "蓝色"),  # n/l
    ],
)
def test_what_sounds_alike_has_the_same_pinyin_terms(heard: str, meant: str) -> None:
    assert analyse(heard, "zh").pinyin == analyse(meant, "zh").pinyin != ()


def test_different_sounds_stay_different() -> None:
    assert not set(analyse("盗刷", "zh").pinyin) & set(analyse("挂失", "zh").pinyin)
    assert fold_syllable("zhang") == "zan"
    assert fold_syllable("xing") == "xin"
    assert fold_syllable("fei") == fold_syllable("hei")
    assert syllables("银行") == ("yin", "han")


def test_chinese_words_and_bigrams_without_fillers() -> None:
    terms = analyse("我的信用卡年费是多少", "zh")
    assert {"信用卡", "年费", "多少"} <= set(terms.words)
    assert "的" not in terms.words
    assert {"信用", "用卡", "年费"} <= set(terms.bigrams)


def test_english_words_are_stemmed_and_stop_words_gone() -> None:
    assert analyse("The cards were disputed", "en").words == analyse("dispute a card", "en").words[::-1]
    assert set(analyse("phishing", "en").bigrams) & set(analyse("fishing", "en").bigrams)


def test_latin_names_inside_chinese_are_terms() -> None:
    assert {"ukey", "app"} <= set(analyse("UKey插上APP没反应", "zh").words)


def test_placeholders_of_personal_data_are_not_searched() -> None:
    assert normalise("尾号【尾号#1】的卡").split() == ["尾号", "的卡"]
    assert analyse("【姓名#1】", "zh").words == ()


@pytest.mark.parametrize(
    ("said", "core"),
    [
        ("喂你好，嗯，我想问一下，那个，就是说我的卡不见了", "我的卡不见了"),
        ("嗯嗯", "嗯嗯"),
        ("请问年费多少", "年费多少"),
    ],
)
def test_hesitation_and_courtesy_are_left_out(said: str, core: str) -> None:
    assert spoken_core(said, "zh") == core


@given(st.text(max_size=60), st.sampled_from(["zh", "en"]))
def test_any_text_gives_terms_without_white_space(text: str, language: str) -> None:
    terms = analyse(text, language)
    for term in (*terms.words, *terms.bigrams, *terms.pinyin):
        assert term
        assert not any(character.isspace() for character in term)
    assert analyse(text, language) == terms
    spoken_core(text, language)
