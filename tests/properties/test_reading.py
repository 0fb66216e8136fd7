"""Whatever is in a file: nothing is lost, nothing is made up, the same source gives the same articles, and passages never cut a row."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article
from kb.analysis import analyse
from kb.chunking import MAX_PASSAGE_CHARS, passages
from kb.reading import encodings
from kb.reading.articles import MAX_ARTICLE_CHARS, articles_of
from kb.reading.document import Block, Document, Heading, Item, Paragraph, Raw, Table, clean, even, markdown
from kb.reading.tabular import SheetParser, filled
from kb.reading.text import markdown_blocks
from kb.traditional import simplified

words = st.text(alphabet="年费挂失补卡三百元。 abc|#\\", min_size=1, max_size=40)
tables = st.lists(st.lists(words, min_size=2, max_size=4), min_size=2, max_size=30).map(lambda rows: Table(rows=even(rows)))
blocks = st.one_of(
    st.builds(Heading, level=st.integers(1, 6), text=words),
    st.builds(Paragraph, text=st.one_of(words, st.just("很长的一段话，写了很多。" * 120))),
    st.builds(Item, text=words, depth=st.integers(0, 2)),
    tables,
)


def letters(text: str) -> str:
    """What a text says, without how it is set."""
    return re.sub(r"[\s|#\\\-.\d·()]", "", text)


@given(st.lists(blocks, max_size=30), st.sampled_from(["手册", ""]))
def test_articles_hold_the_text_of_the_document_once_and_fit_a_reviewer(found: list[Block], title: str) -> None:
    document = Document(title=title, blocks=found)
    articles = articles_of(document, "manual.docx", "draft", "zh")
    assert articles == articles_of(document, "manual.docx", "draft", "zh")
    assert len({article.article_id for article in articles}) == len(articles)
    said = letters("".join(article.body for article in articles))
    assert all(letters(block.text) in said for block in found if isinstance(block, Paragraph | Item) and len(block.text) < 100)
    texts = [letters(block.text) for block in found if isinstance(block, Paragraph)]
    assert said.count("很长的一段话") == sum(text.count("很长的一段话") for text in texts), "each once"
    assert all(len(article.body) <= 2 * MAX_ARTICLE_CHARS["zh"] for article in articles)
    other = articles_of(document, "other.docx", "draft", "zh")
    assert not {article.article_id for article in articles} & {article.article_id for article in other}


@given(tables, st.sampled_from(["zh", "en"]))
def test_a_passage_never_cuts_a_row_and_says_what_its_columns_are(table: Table, language: str) -> None:
    if not table.rows or len(table.rows[0]) < 2:
        return
    body = "## 费用\n\n" + markdown([table])
    article = Article(article_id=ArticleId("a"), version=1, language=language, domain="", title="表", body=body)
    rows = set(markdown([table]).strip().split("\n"))
    found = [passage for passage in passages(article) if passage.kind == "body"]
    lines = [line for passage in found for line in passage.text.split("\n")]
    assert set(lines) == rows
    assert len(lines) == len(markdown([table]).strip().split("\n"))
    for number, passage in enumerate(found):
        assert passage.text == body[passage.start : passage.end]
        assert len(passage.text) <= MAX_PASSAGE_CHARS[language] or passage.text.count("\n") <= (2 if number == 0 else 0)
        assert passage.section.startswith("费用")
        if number:
            assert passage.section != "费用", "it goes on: the columns are named"


@given(st.text(max_size=200), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]))
def test_text_with_common_characters_comes_back_from_its_bytes(text: str, encoding: str) -> None:
    text = "信用卡的年费是多少，怎么办理挂失，" + text.encode(encoding, "ignore").decode(encoding)
    text = "".join(char for char in text if not "㐀" <= char <= "鿿" or char in "信用卡的年费是多少怎么办理挂失")
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return
    data = text.encode(encoding)
    if encoding == "gb18030":
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return  # bytes that are both are read as UTF-8
    assert encodings.decode(data) == text


@given(st.text(max_size=60))
def test_cleaning_is_done_once_and_leaves_one_line(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert "\n" not in once
    assert "\0" not in once


@given(st.lists(st.tuples(words, words), min_size=1, max_size=20))
def test_every_question_of_a_sheet_is_taken_once_or_named(rows: list[tuple[str, str]]) -> None:
    parser = SheetParser()
    assert parser.take(1, ["编码", "问题", "答案"]) is None
    taken = [row for number, (question, answer) in enumerate(rows, 2) if (row := parser.take(number, ["", question, answer])) is not None]
    asked = {clean(question) for question, answer in rows if clean(question) or clean(answer)}
    named = {int(fault.split()[1]) for fault in parser.faults}
    assert {row.question for row in taken} | {clean(rows[number - 2][0]) for number in named} == asked
    assert len({row.question for row in taken}) == len(taken)


@given(
    st.lists(st.lists(st.sampled_from(["", "a", "b"]), min_size=3, max_size=3), min_size=1, max_size=8),
    st.integers(1, 8),
    st.integers(0, 3),
)
def test_a_merged_cell_gives_its_value_to_every_row_and_changes_no_other(cells: list[list[str]], top: int, height: int) -> None:
    numbered = list(enumerate(cells, 1))
    found = list(filled(numbered, {top: [(top + height, 1, 1)]}))
    for (number, before), (_, after) in zip(numbered, found, strict=True):
        assert (before[0], before[2]) == (after[0], after[2])
        expected = cells[top - 1][1] if top <= number <= top + height and top <= len(cells) and not before[1] else before[1]
        assert after[1] == expected


@given(st.lists(st.sampled_from(["# 一", "## 二", "正文", "", "```", "    code", "标题\n===", "| a | b |"]), max_size=20))
def test_markdown_loses_no_line(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = list(markdown_blocks(text))
    said = "".join(block.text if isinstance(block, Raw | Heading) else "" for block in found)
    assert re.sub(r"[\s#=]", "", said) == re.sub(r"[\s#=]", "", text)


@given(st.text(max_size=80))
def test_simplifying_keeps_every_place_and_is_done_once(text: str) -> None:
    assert len(simplified(text)) == len(text)
    assert simplified(simplified(text)) == simplified(text)


def test_traditional_and_simplified_texts_have_the_same_terms() -> None:
    assert analyse("信用卡遺失掛失", "zh") == analyse("信用卡遗失挂失", "zh")
