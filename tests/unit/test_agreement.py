from hypothesis import given
from hypothesis import strategies as st

from streaming.asr.agreement import LocalAgreement, join_units, split_units


def test_two_agreeing_hypotheses_commit_their_common_prefix():
    agreement = LocalAgreement("zh")
    agreement.push("我的信用卡被")
    assert (agreement.stable, agreement.unstable) == ("", "我的信用卡被")
    agreement.push("我的信用卡北刷了")
    assert (agreement.stable, agreement.unstable) == ("我的信用卡", "北刷了")


def test_committed_text_survives_a_changed_mind_and_is_not_repeated():
    agreement = LocalAgreement("zh")
    for text in ("我想挂失", "我想挂失我的", "我要挂失我的信用卡"):
        agreement.push(text)
    assert agreement.stable == "我想挂失我的"
    assert agreement.unstable == "信用卡"


def test_marks_do_not_break_agreement_and_never_retract():
    agreement = LocalAgreement("zh")
    agreement.push("你好。")
    agreement.push("你好，我")
    assert agreement.stable == "你好"
    agreement.push("你好，我是")
    assert agreement.stable.startswith("你好")
    assert agreement.stable.endswith("我")


def test_english_agrees_by_words():
    agreement = LocalAgreement("en")
    agreement.push("I lost my car")
    agreement.push("I lost my card yesterday")
    assert agreement.stable == "I lost my"
    assert agreement.unstable == " card yesterday"


def test_locked_words_leave_the_window_and_stay_on_screen():
    agreement = LocalAgreement("en")
    agreement.push("I lost my card")
    agreement.push("I lost my card yesterday")
    agreement.lock(2)
    assert agreement.locked == "I lost"
    agreement.push("my card yesterday evening")
    assert agreement.stable == "I lost my card yesterday"
    assert agreement.unstable == " evening"


def test_forced_lock_keeps_unagreed_text():
    agreement = LocalAgreement("zh")
    agreement.push("春夏秋冬")
    agreement.lock(3)
    assert agreement.stable == "春夏秋"
    assert agreement.unstable == "冬"


@given(
    st.lists(st.text(alphabet="甲乙丙丁，。 ab1", max_size=12), max_size=12),
    st.lists(st.integers(min_value=0, max_value=3), max_size=12),
    st.sampled_from(["zh", "en"]),
)
def test_stable_only_ever_grows(hypotheses, locks, language):
    agreement = LocalAgreement(language)
    before = ""
    for index, text in enumerate(hypotheses):
        agreement.push(text)
        assert agreement.stable.startswith(before)
        before = agreement.stable
        if index < len(locks):
            agreement.lock(min(locks[index], agreement.window_units))
            assert agreement.stable.startswith(before)
            before = agreement.stable


@given(st.lists(st.sampled_from("甲乙丙丁戊"), max_size=30), st.integers(min_value=1, max_value=5))
def test_a_growing_text_is_committed_up_to_the_last_but_one_step(characters, step):
    agreement = LocalAgreement("zh")
    text = "".join(characters)
    for end in range(step, len(text) + 1, step):
        agreement.push(text[:end])
        assert agreement.stable == text[: end - step]
        assert agreement.stable + agreement.unstable == text[:end]


@given(st.text(alphabet="甲乙ab1 ，。,.“”", max_size=20))
def test_units_lose_no_letters(text):
    for language in ("zh", "en"):
        joined = join_units(split_units(text, language))
        assert [c for c in joined if c.isalnum()] == [c for c in text if c.isalnum()]
