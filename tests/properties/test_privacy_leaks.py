"""Whatever surrounds it and however it is said, a number that was announced never comes through, whole or in part."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from copilot.domain.transcript import TranscriptFinal, TranscriptPartial, Word
from copilot.privacy.cues import HOTLINE
from copilot.privacy.find import find_pii
from copilot.privacy.masker import Masker

ZH = dict(zip("0123456789", "零幺二三四五六七八九", strict=True))
PLAIN = st.sampled_from(["", "您好，", "嗯", "我想问一下，", "那个三千块的事，", "昨天晚上，", "OK "])
AFTER = st.sampled_from(["", "，谢谢", "。我要挂失", " 对的", "，一共三千块", "的卡"])
CUES = {"卡号": "卡号是", "手机号": "我的手机号码", "身份证": "身份证号：", "验证码": "验证码是", "密码": "密码 ", "尾号": "尾号是"}
DIGITS = frozenset("0123456789零〇一二三四五六七八九幺")


@st.composite
def announced(draw: st.DrawFn) -> tuple[str, str, str]:
    """(kind, line, the digits as ASCII)."""
    kind = draw(st.sampled_from(sorted(CUES)))
    size = 4 if kind == "尾号" else draw(st.integers(5, 19))
    digits = draw(st.text("0123456789", min_size=size, max_size=size))
    # A hotline after 手机号码 is a hotline.
    assume(kind != "手机号" or HOTLINE.fullmatch(digits) is None)
    spoken = draw(st.booleans())
    groups, rest = [], digits
    while rest:
        size = draw(st.integers(2, 6)) if len(rest) > 3 else len(rest)
        # A group of one is a word as often as a digit, and not what this is about.
        size = len(rest) if len(rest) - size < 2 else size
        groups.append(rest[:size])
        rest = rest[size:]
    written = draw(st.sampled_from(["", " ", "，"] if spoken else ["", " ", "-"])).join(groups)
    if spoken:
        written = "".join(ZH.get(char, char) for char in written)
    return kind, draw(PLAIN) + CUES[kind] + written + draw(AFTER), digits


def clear(text: str) -> str:
    """The digits of a line as ASCII, those of tokens left out."""
    outside = "".join(part.split("】")[-1] for part in text.split("【"))
    back = {**{zh: digit for digit, zh in ZH.items()}, "一": "1"}
    return "".join(back.get(char, char) for char in outside if char in DIGITS)


@settings(deadline=None)
@given(announced())
def test_an_announced_number_is_masked_whole(case: tuple[str, str, str]) -> None:
    kind, line, digits = case
    masker = Masker()
    masked = masker.mask(line)
    assert digits not in clear(masked.text)
    values = masker.take_secrets().values()
    assert any(digits in value for value in values), (kind, masked.text, dict(enumerate(values)))


@settings(deadline=None)
@given(announced(), st.data())
def test_no_partial_on_the_way_shows_more_than_two_of_its_digits(case: tuple[str, str, str], data: st.DataObject) -> None:
    _, line, _ = case
    start = max(line.rfind(cue) + len(cue) for cue in CUES.values() if cue in line)
    for end in range(start, len(line) + 1):
        cut = data.draw(st.integers(0, end))
        partial = TranscriptPartial(
            channel="customer", utterance_id="customer-1", start_ms=0, end_ms=1, stable=line[:cut], unstable=line[cut:end], language="zh"
        )
        masked = Masker().partial(partial)
        shown = masked.stable + masked.unstable
        before, after = clear(line[:start]), clear(Masker().mask(line).text)
        assert len(clear(shown)) <= max(len(before), len(after)) + 2, shown


@settings(deadline=None)
@given(announced())
def test_words_never_say_what_the_text_hides(case: tuple[str, str, str]) -> None:
    _, line, digits = case
    words = tuple(Word(text=char, start_ms=index * 10, end_ms=index * 10 + 10, confidence=1.0) for index, char in enumerate(line))
    final = TranscriptFinal(
        channel="customer", utterance_id="customer-1", start_ms=0, end_ms=1, text=line, language="zh", confidence=1.0, words=words
    )
    masked, _ = Masker().final(final)
    assert digits not in clear("".join(word.text for word in masked.words))
    assert "".join(word.text for word in masked.words) == masked.text


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("卡号尾手机是我叫王先生姓0123456789零一二三幺千元，。 -a@.【】#"), max_size=60), st.booleans())
def test_any_line_gives_ordered_spans_inside_it_and_settles(line: str, expecting: bool) -> None:
    spans = find_pii(line, "卡号" if expecting else None)
    at = 0
    for span in spans:
        assert at <= span.start < span.end <= len(line)
        at = span.end
    masker = Masker()
    once = masker.mask(line).text
    assert masker.mask(once).text.count("【") >= once.count("【")
