import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.transcript import Word
from streaming.asr.finishing import finisher
from streaming.asr.itn import find_itn
from streaming.asr.lexicon import Lexicon
from streaming.asr.sounds import distance, parts, split

TERMS = [
    "盗刷",
    "挂失",
    "信用卡",
    "提前还款",
    "网上银行",
    "理财产品",
    "年费",
    "止付",
    "预留手机号",
    "UKey",
    "APP",
    "PIN码",
    "征信",
    "征信报告",
]
ALIASES = {"优盾": "UKey", "公本废": "工本费", "优key": "UKey"}
lexicon = Lexicon([*TERMS, "工本费"], aliases=ALIASES)
finish = finisher(lexicon.find_corrections, find_itn)


def words(text, confidence=0.5):
    """One word per character; ``confidence``: of all, or of each."""
    each = confidence if isinstance(confidence, list) else [confidence] * len(text)
    return tuple(Word(text=c, start_ms=10 * i, end_ms=10 * i + 10, confidence=p) for i, (c, p) in enumerate(zip(text, each, strict=True)))


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("我的信用卡被刀刷了", "我的信用卡被盗刷了"),
        ("我的心用卡被到刷了怎么办", "我的信用卡被盗刷了怎么办"),
        ("我想题前还款", "我想提前还款"),
        ("新用卡的年非多少", "信用卡的年费多少"),
        ("王上银行登录不了", "网上银行登录不了"),
        ("李财产品到期了", "理财产品到期了"),
        ("雨留手机好换了", "预留手机号换了"),
        ("我的真信，报告在哪里", "我的征信报告在哪里"),
    ],
)
def test_what_sounds_like_a_term_becomes_it_and_the_original_is_kept(heard, meant):
    finished = finish(heard, words(heard), "zh")
    assert finished.text == meant
    assert finished.corrections
    for correction in finished.corrections:
        assert correction.reason == "lexicon"
        assert finished.text[correction.start : correction.end] == correction.corrected != correction.original


@pytest.mark.parametrize("text", ["他到刷卡机那里", "我的信用卡挂失了", "今天天气不错", "这是道路两边", "到时候再说吧"])
def test_what_makes_sense_or_does_not_sound_the_same_is_left(text):
    assert lexicon.find_corrections(text, "zh", words(text, 0.9)) == []


def test_a_dictionary_word_is_not_replaced_by_a_term_that_sounds_like_it():
    # 权力 and 权利 are both words: the ear cannot decide, so what was heard stays.
    assert Lexicon(["权利"]).find_corrections("这是我的权力", "zh") == []


def test_the_surer_the_recogniser_was_the_nearer_a_term_must_be():
    card, heard = Lexicon(["信用卡"], segment=list), "怎么星用塔呢"
    assert [edit.replacement for edit in card.find_corrections(heard, "zh", words(heard, 0.3))] == ["信用卡"]
    assert card.find_corrections(heard, "zh", words(heard, 0.99)) == []


def test_two_characters_are_corrected_only_beside_another_term():
    assert lexicon.find_corrections("卡被刀刷了", "zh", words("卡被刀刷了")) == []
    assert [edit.replacement for edit in lexicon.find_corrections("信用卡被刀刷了", "zh", words("信用卡被刀刷了"))] == ["盗刷"]
    assert lexicon.near_terms("卡被刀刷了", "zh") == ("盗刷",)


@pytest.mark.parametrize(("text", "changes"), [("我叫张丹", 0), ("张丹女士您好", 0), ("户名是张丹", 0), ("挂失张丹", 1)])
def test_names_are_no_terms(text, changes):
    assert len(Lexicon(["账单", "挂失"]).find_corrections(text, "zh", words(text))) == changes


def test_two_terms_of_one_sound_correct_nothing():
    assert Lexicon(["直付", "止付"], segment=list).find_corrections("我要纸付", "zh") == []


def test_a_term_that_is_there_is_not_cut_into_but_may_grow():
    assert lexicon.find_corrections("征信包告", "zh", words("征信包告"))[0].replacement == "征信报告"
    assert Lexicon(["挂失", "失业"], segment=list).find_corrections("挂失叶", "zh") == []


def test_one_term_stays_one_correction_when_terms_are_nested():
    nested = Lexicon(["手续费", "分期手续费"], segment=list)
    edits = nested.find_corrections("分七手序费", "zh", words("分七手序费"))
    assert [(edit.start, edit.end, edit.replacement) for edit in edits] == [(0, 5, "分期手续费")]


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("插上u key没反应", "插上UKey没反应"),
        ("插上优key没反应", "插上UKey没反应"),
        ("我的优盾丢了", "我的UKey丢了"),
        ("你们的app打不开", "你们的APP打不开"),
        ("你们的A P P打不开", "你们的APP打不开"),
        ("输入pin码", "输入PIN码"),
        ("公本废多少", "工本费多少"),
    ],
)
def test_product_names_are_spelt_as_the_bank_spells_them(heard, meant):
    assert finish(heard, words(heard, 0.95), "zh").text == meant


def test_terms_in_latin_letters_become_hotwords_by_the_sound_of_their_aliases():
    visa = Lexicon(["VISA", "U盾"], aliases={"维萨": "VISA", "优盾": "U盾"})
    assert visa.near_terms("我的唯洒卡", "zh") == ("VISA",)
    assert visa.near_terms("拿着尤顿", "zh") == ("U盾",)
    assert visa.find_corrections("我的唯洒卡", "zh", words("我的唯洒卡")) == []


@pytest.mark.parametrize("text", ["happy birthday", "这个apple很甜", "mapping", "打开APP", "APP2"])
def test_latin_letters_inside_other_words_stay(text):
    assert lexicon.find_corrections(text, "zh") == []


def test_other_languages_are_left_alone():
    assert lexicon.find_corrections("my app and u key", "en") == []
    assert lexicon.near_terms("my app", "en") == ()


def test_edits_never_overlap_lexicon_before_numbers():
    heard = "尾号三六七八的新用卡被刀刷了三千块"
    finished = finish(heard, words(heard), "zh")
    assert finished.text == "尾号3678的信用卡被盗刷了3000块"
    assert [c.reason for c in finished.corrections] == ["itn", "lexicon", "lexicon", "itn"]


HEARD = st.text(alphabet="我的卡被刀到刷了新用年非万一三千块王上银行真信报告题前还款手机好，a1 优key", max_size=24)


@given(HEARD, st.floats(0, 1))
def test_corrections_tell_the_whole_story(text, confidence):
    finished = finish(text, words(text, confidence), "zh")
    rebuilt, position = "", 0
    for correction in finished.corrections:
        rebuilt += finished.text[position : correction.start] + correction.original
        position = correction.end
    assert rebuilt + finished.text[position:] == text


@given(HEARD)
def test_what_was_corrected_stays_corrected(text):
    once = finish(text, (), "zh").text
    kept = [term for term in TERMS if term in once]
    again = finish(once, (), "zh").text
    assert all(term in again for term in kept)


@given(HEARD)
def test_digits_and_letters_of_no_term_are_never_touched(text):
    edits = lexicon.find_corrections(text, "zh", words(text))
    for edit in edits:
        assert not any(character.isdigit() for character in text[edit.start : edit.end])
    spans = sorted((edit.start, edit.end) for edit in edits)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


@given(st.text(alphabet="哦嗯啊你他吃喝猫狗鸟雪雷", max_size=20), st.floats(0, 1))
def test_a_text_with_nothing_near_is_never_changed(text, confidence):
    assert lexicon.find_corrections(text, "zh", words(text, confidence)) == []


def test_terms_that_may_have_been_meant_become_hotwords():
    assert "预留手机号" in lexicon.near_terms("雨流，熟之后已经不用了", "zh")
    assert "信用卡" in lexicon.near_terms("我的心用卡丢了", "zh")
    assert lexicon.near_terms("今天吃猫", "zh") == ()
    assert lexicon.near_terms("", "zh") == ()
    assert len(Lexicon(["挂失", "挂实", "瓜失", "挂是"], segment=list).near_terms("刮试", "zh", limit=2)) == 2


def test_syllables():
    assert split("jiu") == ("j", "iou")
    assert split("ju") == ("j", "v")
    assert split("shi")[1] != split("xi")[1]
    assert parts("iang") == ("i", "a", "g")
    assert parts("uei") == ("u", "e", "i")


SYLLABLES = st.sampled_from(
    [
        "zhang",
        "zang",
        "shi",
        "si",
        "fei",
        "hui",
        "liu",
        "niu",
        "ban",
        "pan",
        "kai",
        "ka",
        "wei",
        "yi",
        "yuan",
        "xue",
        "lv",
        "er",
        "weng",
        "a",
    ]
)


@given(SYLLABLES, SYLLABLES)
def test_the_distance_is_symmetric_and_bounded(a, b):
    assert distance(a, b) == distance(b, a)
    assert 0 <= distance(a, b) <= 1
    assert (distance(a, b) == 0) == (a == b)


@pytest.mark.parametrize(
    ("near", "far"), [(("zhang", "zang"), ("zhang", "fang")), (("xin", "xing"), ("xin", "xian")), (("ban", "pan"), ("ban", "san"))]
)
def test_what_is_often_confused_is_nearer(near, far):
    assert distance(*near) < distance(*far)
