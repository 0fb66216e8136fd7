"""Tokens within one call: stable numbering, nothing of a value anywhere, partials that hold back what they do not know yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from copilot.domain.transcript import Correction, TranscriptFinal, TranscriptPartial, Word
from copilot.privacy.masker import HELD, Masker

CARD = "6222021234567890123"


def final(text: str, channel: str = "customer", words: tuple[Word, ...] = (), corrections: tuple[Correction, ...] = ()) -> TranscriptFinal:
    return TranscriptFinal(
        channel=channel,
        utterance_id=f"{channel}-1",
        start_ms=0,
        end_ms=1000,
        text=text,
        language="zh",
        confidence=0.9,
        words=words,
        corrections=corrections,
    )


def partial(stable: str, unstable: str, channel: str = "customer") -> TranscriptPartial:
    return TranscriptPartial(
        channel=channel, utterance_id="customer-1", start_ms=0, end_ms=1, stable=stable, unstable=unstable, language="zh"
    )


def characters(text: str) -> tuple[Word, ...]:
    return tuple(Word(text=char, start_ms=i * 100, end_ms=i * 100 + 100, confidence=1 - i / 100) for i, char in enumerate(text))


def test_same_value_same_token_other_value_next_number() -> None:
    masker = Masker()
    assert masker.mask("尾号是三六七八").text == "尾号是【尾号#1】"
    assert masker.mask("对，尾号3678，另一张尾号9912").text == "对，尾号【尾号#1】，另一张尾号【尾号#2】"
    assert masker.take_secrets() == {"【尾号#1】": "3678", "【尾号#2】": "9912"}
    assert masker.take_secrets() == {}


def test_spans_point_at_both_texts() -> None:
    text = f"卡号{CARD}，尾号3678，谢谢"
    masked = Masker().mask(text)
    assert masked.text == "卡号【卡号#1】，尾号【尾号#1】，谢谢"
    for span in masked.spans:
        assert masked.text[span.masked_start : span.masked_end] == span.token
        assert text[span.start : span.end] in (CARD, "3678")


def test_masking_twice_changes_nothing_more() -> None:
    masker = Masker()
    once = masker.mask(f"我叫王小明，卡号{CARD}，住在杭州市文三路12号，尾号3678，转3000").text
    assert masker.mask(once).text == once
    assert Masker().mask(once).text == once


def test_a_name_once_met_is_masked_without_its_cue() -> None:
    masker = Masker()
    masker.mask("我叫王小明")
    assert masker.mask("王小明的卡丢了").text == "【姓名#1】的卡丢了"


def test_a_question_on_the_other_channel_explains_a_bare_answer() -> None:
    masker = Masker()
    masker.final(final("请报一下您的卡号后四位", "agent"))
    masked, secrets = masker.final(final("三六七八"))
    assert masked.text == "【尾号#1】"
    assert secrets == {"【尾号#1】": "3678"}


def test_a_question_is_forgotten_after_two_answers() -> None:
    masker = Masker()
    masker.final(final("请报一下您的卡号后四位", "agent"))
    masker.final(final("好的"))
    masker.final(final("稍等一下"))
    assert masker.final(final("我要转5000"))[0].text == "我要转5000"


def test_a_number_said_in_two_breaths() -> None:
    masker = Masker()
    assert masker.final(final("卡号是六二二二零二一二"))[0].text == "卡号是【卡号#1】"
    assert masker.final(final("三四五六七八九零"))[0].text == "【卡号#2】"


def test_words_of_a_span_become_one_word() -> None:
    text = "尾号是3678的卡"
    masked, _ = Masker().final(final(text, words=characters(text)))
    assert [word.text for word in masked.words] == ["尾", "号", "是", "【尾号#1】", "的", "卡"]
    token = masked.words[3]
    assert (token.start_ms, token.end_ms, token.confidence) == (300, 700, pytest.approx(0.94))


def test_words_written_otherwise_than_the_text_are_masked_too() -> None:
    masked, _ = Masker().final(final("尾号是3678的卡", words=characters("尾号是三六七八的卡")))
    assert [word.text for word in masked.words] == ["尾", "号", "是", "【尾号#1】", "的", "卡"]


def test_words_that_do_not_tell_the_same_story_are_dropped() -> None:
    assert Masker().final(final("尾号是3678的卡", words=characters("没有号码")))[0].words == ()
    assert Masker().final(final("你好", words=characters(f"你好{CARD}")))[0].words == ()


def test_corrections_move_with_the_text_and_go_with_a_value() -> None:
    text = "卡号6222021234567890，挂失补卡三千"
    kept = Correction(start=text.index("挂失"), end=text.index("挂失") + 2, original="挂是", corrected="挂失", reason="lexicon")
    gone = Correction(start=2, end=18, original="六二二二零二一二三四五六七八九零", corrected="6222021234567890", reason="itn")
    masked, _ = Masker().final(final(text, corrections=(gone, kept)))
    (moved,) = masked.corrections
    assert masked.text[moved.start : moved.end] == "挂失"


def test_metadata_masks_the_caller_but_not_the_agent() -> None:
    masked, secrets = Masker().metadata(
        {"ani": "02187654321", "from": "+1 415 555 0123", "agent": "8001", "dnis": "95000", "note": f"卡号{CARD}"}
    )
    assert masked == {"ani": "【手机号#1】", "from": "【手机号#2】", "agent": "8001", "dnis": "95000", "note": "卡号【卡号#1】"}
    assert secrets["【手机号#1】"] == "02187654321"


def test_a_customers_number_and_a_withheld_one() -> None:
    masked, secrets = Masker().metadata({"customer_id": "C-7788", "ani": "sip:wang@bank.example", "skill": "cards"})
    assert masked == {"customer_id": "【客户号#1】", "ani": "【手机号#1】", "skill": "cards"}
    assert secrets == {"【客户号#1】": "C-7788", "【手机号#1】": "sip:wang@bank.example"}
    assert Masker().metadata({"ani": "Anonymous", "customer_id": ""}) == ({"ani": "Anonymous", "customer_id": ""}, {})


def shown(masker: Masker, text: str, cut: int | None = None) -> str:
    cut = len(text) if cut is None else cut
    masked = masker.partial(partial(text[:cut], text[cut:]))
    return masked.stable + masked.unstable


def test_partials_never_show_digits_of_a_number_that_is_still_growing() -> None:
    masker = Masker()
    line = f"我的卡号是{CARD}谢谢"
    for end in range(1, len(line) + 1):
        for cut in range(end + 1):
            text = shown(masker, line[:end], cut)
            assert not any(char.isdigit() for char in text), text
    assert shown(masker, line) == "我的卡号是【卡号】谢谢"


def test_a_long_number_without_a_cue_is_held_from_its_third_digit() -> None:
    masker = Masker()
    assert shown(masker, "六二二二零") == HELD
    assert shown(masker, "转3000") == "转" + HELD
    assert shown(masker, "转3000元") == "转3000元"


def test_partials_make_no_tokens_but_show_known_ones() -> None:
    masker = Masker()
    assert shown(masker, "尾号3678的卡") == "尾号【尾号】的卡"
    assert masker.take_secrets() == {}
    masker.final(final("尾号3678的卡"))
    assert shown(masker, "尾号3678的卡") == "尾号【尾号#1】的卡"


def test_stable_stops_before_what_may_still_change() -> None:
    masked = Masker().partial(partial("尾号36", "78的卡"))
    assert (masked.stable, masked.unstable) == ("尾号", "【尾号】的卡")
    masked = Masker().partial(partial("你好尾号3678的卡", "丢了"))
    assert (masked.stable, masked.unstable) == ("你好尾号【尾号】的卡", "丢了")


def said(masker: Masker, *lines: tuple[str, str]) -> list[str]:
    """The masked texts of the lines (channel, text), late finds included."""
    texts: dict[str, str] = {}
    for number, (channel, text) in enumerate(lines):
        masked, _ = masker.final(replace(final(text, channel), utterance_id=f"{channel}-{number}"))
        texts[masked.utterance_id] = masked.text
        texts |= {late.final.utterance_id: late.final.text for late in masker.take_rewritten()}
    return list(texts.values())


def test_pieces_that_nobody_asked_for_are_one_number_in_the_end() -> None:
    lines = [("customer", "一三七八八"), ("agent", "嗯"), ("customer", "零零九"), ("customer", "二三一")]
    assert said(Masker(), *lines) == ["【手机号#1】", "嗯", "【手机号#2】", "【手机号#3】"]


def test_short_counts_in_a_row_are_no_number() -> None:
    lines = [("customer", "三十"), ("customer", "五十二"), ("customer", "12")]
    assert said(Masker(), *lines) == ["三十", "五十二", "12"]


def test_a_number_is_named_afterwards() -> None:
    assert said(Masker(), ("customer", "三六七八"), ("customer", "这是我卡的尾号")) == ["【尾号#1】", "这是我卡的尾号"]
    assert said(Masker(), ("customer", "三六七八"), ("agent", "这是金额吗")) == ["三六七八", "这是金额吗"]


def test_a_name_known_now_is_taken_out_of_earlier_lines() -> None:
    lines = [("customer", "柴静怡的卡丢了"), ("agent", "请问您怎么称呼"), ("customer", "我叫柴静怡")]
    assert said(Masker(), *lines) == ["【姓名#1】的卡丢了", "请问您怎么称呼", "我叫【姓名#1】"]


def test_what_was_in_clear_is_handed_out_with_its_token() -> None:
    masker = Masker()
    said(masker, ("customer", "三六七八"))
    masker.final(replace(final("这是卡的尾号"), utterance_id="customer-9"))
    (late,) = masker.take_rewritten()
    assert late.tokens == (("三六七八", "【尾号#1】"),)
    assert masker.take_rewritten() == []


def test_both_sides_say_one_number() -> None:
    lines = [
        ("agent", "请您说一下手机号"),
        ("customer", "幺六三"),
        ("agent", "幺六三，后面呢"),
        ("customer", "二五零零"),
        ("agent", "嗯"),
        ("customer", "八八零幺"),
        ("agent", "参考号零二四五八八五"),
    ]
    masked = said(Masker(), *lines)
    assert masked[2] == "【手机号#1】，后面呢"
    assert all(line.startswith("【手机号#") for line in (masked[1], masked[3], masked[5]))
    assert masked[6] == "参考号零二四五八八五"
