import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.asr.finishing import finisher
from streaming.asr.itn import find_itn
from streaming.asr.lexicon import Lexicon, near

TERMS = ["盗刷", "挂失", "信用卡", "提前还款", "网上银行", "理财产品", "年费", "止付"]
lexicon = Lexicon(TERMS)
finish = finisher(lexicon.find_corrections, find_itn)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("我的卡被刀刷了", "我的卡被盗刷了"),
        ("我的银行卡被到刷了怎么办", "我的银行卡被盗刷了怎么办"),
        ("我想题前还款", "我想提前还款"),
        ("新用卡的年非多少", "信用卡的年费多少"),
        ("王上银行登录不了", "网上银行登录不了"),
        ("李财产品到期了", "理财产品到期了"),
    ],
)
def test_homophones_become_terms_and_the_original_is_kept(heard, meant):
    finished = finish(heard, (), "zh")
    assert finished.text == meant
    assert finished.corrections
    for correction in finished.corrections:
        assert correction.reason == "lexicon"
        assert finished.text[correction.start : correction.end] == correction.corrected != correction.original


@pytest.mark.parametrize("text", ["他到刷卡机那里", "我的信用卡挂失了", "今天天气不错"])
def test_what_makes_sense_or_does_not_sound_the_same_is_left(text):
    assert lexicon.find_corrections(text, "zh") == []


def test_a_dictionary_word_is_never_replaced_by_a_term_that_sounds_like_it():
    # 权力 and 权利 are both words: the ear cannot decide, so what was heard stays.
    assert Lexicon(["权利"]).find_corrections("这是我的权力", "zh") == []


def test_two_terms_of_one_sound_correct_nothing():
    assert Lexicon(["直付", "止付"], segment=list).find_corrections("我要纸付", "zh") == []


def test_two_character_terms_need_the_same_syllables():
    assert Lexicon(["挂失"], segment=list).find_corrections("我要瓜丝", "zh") == []  # shī is not sī
    assert near("shang") == near("san")


def test_edits_never_overlap_lexicon_before_numbers():
    finished = finish("尾号三六七八的新用卡被刀刷了三千块", (), "zh")
    assert finished.text == "尾号3678的信用卡被盗刷了3000块"
    assert [c.reason for c in finished.corrections] == ["itn", "lexicon", "lexicon", "itn"]


@given(st.text(alphabet="我的卡被刀到刷了新用年非万一三千块，a1 ", max_size=24))
def test_corrections_tell_the_whole_story(text):
    finished = finish(text, (), "zh")
    rebuilt, position = "", 0
    for correction in finished.corrections:
        rebuilt += finished.text[position : correction.start] + correction.original
        position = correction.end
    assert rebuilt + finished.text[position:] == text


def test_hotwords_are_few():
    assert len(Lexicon([f"词{i}" for i in range(100)]).hotwords) == 20
