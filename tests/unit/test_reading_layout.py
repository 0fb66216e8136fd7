"""Lines on pages → blocks."""

from __future__ import annotations

from kb.reading.document import Heading, Item, Paragraph, Table
from kb.reading.layout import Line, Page, PageTable, blocks_of, lines_of


def line(text: str, top: float, size: float = 10, x1: float = 500) -> Line:
    return Line(text=text, x0=50, x1=x1, top=top, bottom=top + size, size=size)


def page(*lines: Line, tables: tuple[PageTable, ...] = ()) -> Page:
    return Page(height=800, lines=lines, tables=tables)


def test_characters_become_lines_with_blanks_where_gaps_are() -> None:
    def char(text: str, x0: float, top: float = 100) -> dict[str, object]:
        return {"text": text, "x0": x0, "x1": x0 + 10, "top": top, "bottom": top + 10, "size": 10.0}

    found = lines_of([char("乙", 70), char("甲", 50), char("A", 90), char("丙", 50, 120), char("²", 60, 118)])
    assert [item.text for item in found] == ["甲 乙 A", "丙²"]


def test_full_lines_are_one_paragraph_and_short_ones_end_it() -> None:
    first = (line("第一行写满了这一行的全部宽度", 100), line("到这里结束。", 115, x1=200))
    second = (line("另一段写满了这一行的全部宽度", 130), line("结束", 145, x1=90))
    found = blocks_of([page(*first, *second)])
    assert found == [
        Paragraph(text="第一行写满了这一行的全部宽度到这里结束。"),
        Paragraph(text="另一段写满了这一行的全部宽度结束"),
    ]


def test_a_paragraph_goes_on_over_the_page_but_not_after_a_full_stop() -> None:
    first, second = page(line("这一段没有写完而且写满", 700)), page(line("下一页接着写", 100, x1=200))
    assert blocks_of([first, second]) == [Paragraph(text="这一段没有写完而且写满下一页接着写")]
    assert len(blocks_of([page(line("这一段写完而且正好写满。", 700)), second])) == 2


def test_words_and_numbers_broken_at_the_end_of_a_line() -> None:
    found = blocks_of([page(line("Call the re-", 100), line("tail desk and", 115), line("wait", 130, x1=90))])
    assert found == [Paragraph(text="Call the retail desk and wait")]
    assert blocks_of([page(line("年费为3", 100), line("00元", 115, x1=90))]) == [Paragraph(text="年费为300元")]


def test_larger_lines_and_numbered_short_lines_are_headings() -> None:
    found = blocks_of(
        [
            page(
                line("手册", 80, 24, 120),
                line("第一章 开户", 120, 16, 150),
                line("正文写在这里，很长很长的一段话，用来表示正文的字号。", 150),
                line("1.1 条件", 170, x1=120),
                line("又一段正文写在这里，这一行也很长很长的。", 190, x1=300),
                line("1.1 条件如下，须同时满足：", 210, x1=200),
            )
        ]
    )
    assert [(block.level, block.text) for block in found if isinstance(block, Heading)] == [
        (1, "手册"),
        (2, "第一章 开户"),
        (4, "1.1 条件"),
    ]


def test_bullets_are_items() -> None:
    found = blocks_of([page(line("• 身份证", 100), line("• 合同", 115), line("（一）说明", 130, x1=100))])
    assert found == [Item(text="身份证"), Item(text="合同"), Paragraph(text="（一）说明")]


def test_running_heads_and_page_numbers_are_left_out_but_not_what_stands_once() -> None:
    pages = [
        page(line(f"内部资料 {number}", 20), line(f"第 {number} 页", 780, x1=100), line("正文在此。", 300, x1=200))
        for number in range(1, 13)
    ]
    pages[0] = page(line("只有一次的标题行", 20, x1=200), *pages[0].lines)
    texts = [block.text for block in blocks_of(pages) if isinstance(block, Paragraph)]
    assert texts == ["只有一次的标题行", *["正文在此。"] * 12]


def test_a_table_goes_on_over_the_page_with_one_header() -> None:
    head = ("卡种", "年费")
    found = blocks_of(
        [
            page(tables=(PageTable(top=700, rows=(head, ("金卡", "300"))),)),
            page(tables=(PageTable(top=60, rows=(head, ("白金卡", "800"))),)),
        ]
    )
    assert found == [Table(rows=(head, ("金卡", "300"), ("白金卡", "800")))]
