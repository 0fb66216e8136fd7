import pytest

from streaming.asr.gates import doubled, echoes, loops, rejection

PROMPT = "以下是普通话的句子。"


def gate(text, **kwargs):
    return rejection(text, **{"avg_logprob": -0.3, "no_speech_prob": 0.05, "prompt": PROMPT, **kwargs})


@pytest.mark.parametrize(
    "text",
    [
        "我的信用卡被盗刷了三千块。",
        "对对对对，是的。",
        "谢谢，我会关注您的账户。",
        "请提供一下您的卡号。",
        "幺三八零零零零零零零零。"[:9],
        "Thank you for calling, how can I help?",
        "我想订阅短信通知。",
    ],
)
def test_what_callers_say_passes(text):
    assert gate(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("。。。", "empty"),
        ("请不吝点赞 订阅 转发 打赏支持明镜与点点栏目", "blocklist"),
        ("字幕由 Amara.org 社群提供", "blocklist"),
        ("谢谢观看！", "blocklist"),
        ("Thanks for watching!", "blocklist"),
        ("以下是普通话的句子。", "prompt_echo"),
        ("以下是普通话的句子。以下是普通话的句子。", "prompt_echo"),
        ("以下是普通的句子", "prompt_echo"),
        ("一下是普通话句子。", "prompt_echo"),
        ("我要挂失" * 12, "loop"),
        ("嗯" * 40, "loop"),
    ],
)
def test_what_the_decoder_makes_up_is_refused(text, reason):
    assert gate(text) == reason


def test_silence_needs_both_signs_unless_hopeless():
    assert gate("好的", no_speech_prob=0.9, avg_logprob=-1.2) == "no_speech"
    assert gate("奥秦", no_speech_prob=0.17, avg_logprob=-1.4) == "no_speech"
    assert gate("周末", no_speech_prob=0.07, avg_logprob=-1.2) is None
    assert gate("好的", no_speech_prob=0.9, avg_logprob=-0.2) is None
    assert gate("好", no_speech_prob=0.23, avg_logprob=-0.51) is None  # a clear answer of 300 ms
    assert gate("没有！", no_speech_prob=0.06, avg_logprob=-0.97) is None
    assert gate("账网银行", no_speech_prob=0.18, avg_logprob=-1.04) == "no_speech"  # a singer of syllables
    assert gate("好的", no_speech_prob=0.1, avg_logprob=-2.5) == "no_speech"


def test_a_partial_is_doubted_by_its_words_and_a_final_by_the_no_speech_token_too():
    doubted = {"no_speech_prob": 0.49, "avg_logprob": -0.75}
    assert gate("我要投诉", **doubted) == "no_speech"
    assert gate("我要投诉", **doubted, partial=True) is None
    assert gate("我要投诉", no_speech_prob=0.49, avg_logprob=-1.05, partial=True) == "no_speech"


def test_a_recital_of_hotwords_is_an_echo_but_one_hotword_is_an_answer():
    words = ("信用卡", "挂失", "年费", "盗刷")
    assert echoes("信用卡、挂失、年费", "", words)
    assert not echoes("信用卡挂失", "", words)
    assert not echoes("我的信用卡挂失要年费吗", "", words)


def test_a_doubled_sentence_is_noticed_but_not_refused():
    text = "你知道这个还没有什么奇怪的声音你知道这个还没有什么奇怪的声音"
    assert doubled(text)
    assert not loops(text)
    assert gate(text) is None


BANK = ("信用卡", "挂失", "盗刷", "年费", "提前还款", "分期付款", "理财产品", "网上银行", "账单")


@pytest.mark.parametrize(
    "text",
    [
        "普通话，普通话的句子。",
        "账单、以下是普通话。",
        "网上银行、分期付款、理败、提前",
        "信用卡、挂失、年费、盗刷、普",
        "挂失，普通话。",
    ],
)
def test_pieces_of_the_prompt_and_broken_recitals_are_echoes(text):
    """As whisper-base wrote them over a singer of syllables."""
    assert gate(text, hotwords=BANK) == "prompt_echo"


@pytest.mark.parametrize(
    "text",
    [
        "我说普通话。",
        "您会说普通话吗？",
        "网上银行。",
        "信用卡挂失。",
        "信用卡挂失吗？",
        "我要挂失信用卡、身份证、还有储蓄卡。",
        "信用卡、储蓄卡、身份证都丢了。",
        "我想问提前还款的年费。",
        "网上银行、账单、电话银行都可以。",
        "信用卡、账单、积分。",
        "您可以查账单、年费、信用卡额度。",
    ],
)
def test_what_callers_say_with_the_same_words_passes(text):
    assert gate(text, hotwords=BANK) is None


def test_a_hotword_that_the_decoder_doubts_is_an_echo():
    assert gate("网上银行", hotwords=BANK, avg_logprob=-1.1) == "prompt_echo"
    assert gate("账单", hotwords=BANK, avg_logprob=-0.78) is None  # a caller's, heard rightly
    assert gate("网上银行", hotwords=BANK, avg_logprob=-0.4) is None
    assert gate("可以的", hotwords=BANK, avg_logprob=-1.1) is None
    assert gate("付款、理财产品", hotwords=BANK, avg_logprob=-0.65) == "prompt_echo"
    assert gate("信用卡、账单", hotwords=BANK, avg_logprob=-0.2) is None
