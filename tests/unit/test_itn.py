import pytest

from copilot.domain.transcript import Word
from streaming.asr.finishing import Edit, apply_edits, finisher
from streaming.asr.itn import find_itn

finish = finisher(find_itn)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("被刷了三千块", "被刷了3000块"),
        ("还了三万五千元", "还了35000元"),
        ("三百万元", "300万元"),
        ("刷了十二点五元", "刷了12.5元"),
        ("一百零五块钱", "105块钱"),
        ("两百美元", "200美元"),
        ("年利率百分之三点五", "年利率3.5%"),
        ("尾号三六七八的卡", "尾号3678的卡"),
        ("尾号是幺二三四", "尾号是1234"),
        ("幺三八零零幺三八零零零", "13800138000"),
        ("请拨打九五五八八", "请拨打95588"),
        ("二零二六年三月十五号", "2026年3月15号"),
        ("十二月三十一日", "12月31日"),
        ("验证码，四五六七八九", "验证码，456789"),
    ],
)
def test_written(said, written):
    finished = finish(said, (), "zh")
    assert finished.text == written
    for correction in finished.corrections:
        assert finished.text[correction.start : correction.end] == correction.corrected
        assert correction.original in said
        assert correction.reason == "itn"


@pytest.mark.parametrize(
    "text",
    [
        "我们一块去",
        "一块儿办",
        "万一丢了",
        "三五百块钱",
        "一五一十地说",
        "三个月",
        "第一次",
        "一下",
        "百分之百",
        "三心二意",
        "十分感谢",
        "星期一",
        "千万别",
        "一点",
        "十号",
    ],
)
def test_left_as_said(text):
    assert finish(text, (), "zh").text == text


def test_english_is_left_alone():
    assert find_itn("three thousand 三千块", "en") == []


def test_words_follow_the_text_and_keep_their_times():
    words = tuple(Word(text=c, start_ms=i * 100, end_ms=i * 100 + 100, confidence=0.8) for i, c in enumerate("刷了三千块。"[:-1]))
    words = (*words[:-1], Word(text="块。", start_ms=400, end_ms=500, confidence=0.8))
    finished = finish("刷了三千块。", words, "zh")
    assert [word.text for word in finished.words] == ["刷", "了", "3000", "块。"]
    assert (finished.words[2].start_ms, finished.words[2].end_ms) == (200, 400)


def test_words_that_do_not_make_the_text_are_left_alone():
    words = (Word(text="别", start_ms=0, end_ms=1, confidence=1.0),)
    edits = [Edit(start=0, end=2, replacement="3000", reason="itn")]
    finished = apply_edits("三千块", words, "zh", edits)
    assert finished.text == "3000块"
    assert finished.words == words


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("转了一万二", "转了12000"),
        ("从两万提到三万五，谢谢", "从两万提到35000，谢谢"),
        ("还了四千八百六", "还了4860"),
        ("一百二十块五", "120.5块"),
        ("三块五毛钱", "3.5块钱"),
        ("两百来块", "200来块"),
        ("三千多块", "3000多块"),
        ("年化三点八五", "年化3.85"),
        ("年化利率是百分之三点八五", "年化利率是3.85%"),
        ("汇率今天是七点一三", "汇率今天是7.13"),
        ("还款日是每个月二十五号", "还款日是每个月25号"),
        ("十一月二十二号", "11月22号"),
        ("幺三八 零零幺三 八零零零", "13800138000"),
        ("后四位是幺零二四", "后四位是1024"),
    ],
)
def test_amounts_rates_days_and_groups_of_digits(said, written):
    assert finish(said, (), "zh").text == written


@pytest.mark.parametrize(
    "text",
    [
        "等一会儿",
        "二话不说",
        "他是个二百五",
        "上个月底之前",
        "三点二十五分见",
        "三点半",
        "两点三四十个人",
        "一块五个人",
        "一万一年",
        "两千一个月",
        "十万八千里",
        "千万一定记得",
        "万一呢",
        "一五一十",
        "七上八下",
        "十几块",
        "三三两两",
        "一分为二",
    ],
)
def test_idioms_counters_and_vague_quantities_stay(text):
    assert finish(text, (), "zh").text == text
