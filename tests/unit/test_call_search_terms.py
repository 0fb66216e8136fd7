"""How a query is read, what is blinded, and what is marked in a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.search.highlight import Line, marks_of, snippets
from copilot.search.terms import MOST_NEEDS, Blinder, Word, wanted

BLIND = Blinder(b"k" * 32)


def han(*runs: str) -> tuple[Word, ...]:
    return tuple(Word(han=run) for run in runs)


def latin(*stems: str) -> Word:
    return Word(latin=stems)


@pytest.mark.parametrize(
    ("query", "words", "without"),
    [
        ("", (), ()),
        ("  ！？ ", (), ()),
        ("盗刷", han("盗刷"), ()),
        ("信用卡 盗刷", han("信用卡", "盗刷"), ()),
        ("信用卡，盗刷", han("信用卡", "盗刷"), ()),
        ("我的信用卡被盗刷了怎么办", han("信用卡", "被盗"), ()),
        ('"我的信用卡被盗刷了"', han("我的信用卡被盗刷了"), ()),
        ("“信用卡年费”", han("信用卡年费"), ()),
        ("年费 -投诉", han("年费"), han("投诉")),
        ("UKey锁了", (latin("ukey"), *han("锁了")), ()),
        ("the credit cards", (latin("credit"), latin("card")), ()),
        ('"credit cards" -"hold music"', (latin("credit", "card"),), (latin("hold", "music"),)),
        ("信用卡 信用卡", han("信用卡"), ()),
        ("賬單", han("账单"), ()),
        ("【卡号#1】", (), ()),
        ("卡", han("卡"), ()),
    ],
)
def test_a_query_is_read(query: str, words: tuple[Word, ...], without: tuple[Word, ...]) -> None:
    found = wanted(query)
    assert (found.words, found.without) == (words, without)


@given(st.text(max_size=200))
def test_any_text_is_a_query_of_few_words(text: str) -> None:
    found = wanted(text)
    assert len(found.words) <= MOST_NEEDS
    for word in (*found.words, *found.without):
        for by_sound in (False, True):
            for phrase in BLIND.phrases(word, by_sound):
                assert phrase.terms
                assert all(term for term in phrase.terms)


@given(st.text(alphabet="信用卡盗刷年费账单abc 0，。", min_size=1, max_size=40))
def test_no_term_tells_its_word_and_the_same_key_makes_the_same(text: str) -> None:
    made = BLIND.terms([text])
    assert made == Blinder(b"k" * 32).terms([text])
    for term in (*made.text, *made.sounds, *made.chars):
        assert term == "." or (len(term) == 12 and term.isascii())
    other = Blinder(b"x" * 32).terms([text])
    assert not set(made.text) & set(other.text) - {"."}


@given(st.text(alphabet="我的信用卡被盗刷了 ，card Ukey3", max_size=60), st.integers(0, 60), st.integers(2, 4))
def test_what_is_cut_out_of_a_run_is_found_and_marked(text: str, at: int, size: int) -> None:
    part = text[at : at + size]
    if not part or not all("㐀" <= char <= "鿿" for char in part) or len(part) < 2:
        return
    terms = BLIND.terms([text]).text
    (phrase,) = BLIND.phrases(Word(han=part), by_sound=False)
    assert any(terms[start : start + len(phrase.terms)] == phrase.terms for start in range(len(terms)))
    assert any(start <= at and at + len(part) <= end for start, end in marks_of(text, Word(han=part), by_sound=False))


def marked(text: str, word: Word, *, by_sound: bool = False) -> list[str]:
    return [text[start:end] for start, end in marks_of(text, word, by_sound)]


def test_marks() -> None:
    assert marked("我要查年费，年费太贵", Word(han="年费")) == ["年费", "年费"]
    assert marked("我的信用卡被到刷了", Word(han="盗刷")) == []
    assert marked("我的信用卡被到刷了", Word(han="盗刷"), by_sound=True) == ["到刷"]
    assert marked("查一下賬單", Word(han="账单")) == ["賬單"]
    assert marked("My Credit Cards are lost", latin("credit", "card")) == ["Credit Cards"]
    assert marked("ＵＫｅｙ锁了", latin("ukey")) == ["ＵＫｅｙ"]
    assert marked("①号", Word(han="号")) == ["号"]
    assert marked("年年年", Word(han="年年")) == ["年年年"], "marks that touch are one"


def test_the_lines_with_most_words_are_shown_in_their_order_and_long_ones_cut() -> None:
    texts = ["年费", "信用卡", "信用卡的年费", "没有", "年费很贵", "年费", "那个" * 100 + "信用卡年费" + "然后" * 100]
    lines = [Line(utterance_id=str(n), channel="customer", start_ms=n, text=text) for n, text in enumerate(texts)]
    found = snippets(lines, han("信用卡", "年费"), by_sound=False)
    assert [one.line.utterance_id for one in found] == ["0", "2", "6"]
    long = found[-1]
    assert len(long.text) <= 122
    assert long.text.startswith("…")
    assert long.text.endswith("…")
    assert [long.text[start:end] for start, end in long.marks] == ["信用卡年费"]
    assert snippets(lines, han("不存在"), by_sound=False) == ()
