"""Files of every kind as other programs write them → articles; and for every kind of bad file one sentence with what to do."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import docx
import msoffcrypto
import openpyxl
import pytest
from docx.oxml import OxmlElement
from msoffcrypto.format.ooxml import OOXMLFile

from kb.chunking import passages
from kb.reading.files import FileArticles, read_file
from kb.reading.limits import Limits
from kb.reading.port import Reading, Unreadable
from loadtest.import_files import faq_rows, faq_xlsx, manual_pdf, scanned_pdf


def read(path: Path, name: str = "", reading: Reading | None = None) -> FileArticles:
    return read_file(path, name or path.name, "draft", reading or Reading())


def fault_of(path: Path, name: str = "", reading: Reading | None = None) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(path, name, reading)
    assert str(caught.value).endswith((".", ").")), "one sentence"
    return caught.value


def protected(path: Path) -> Path:
    """The Office file with a password."""
    with path.open("rb") as source:
        target = io.BytesIO()
        OOXMLFile(source).encrypt("pw", target)
    path.write_bytes(target.getvalue())
    assert msoffcrypto.OfficeFile(io.BytesIO(target.getvalue())).is_encrypted()
    return path


def word(path: Path) -> Path:
    """A manual with nested headings, a list, a merged table, a deletion and an insertion."""
    document = docx.Document()
    document.add_heading("个人贷款手册", 0)
    document.add_heading("提前还款", 1)
    document.add_paragraph("放款满一年后可以申请。")
    document.add_heading("违约金", 2)
    table = document.add_table(rows=3, cols=3)
    for row, cells in enumerate((("期限", "比例", "备注"), ("一年内", "1%", "|按本金"), ("", "免收", "满一年"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    document.add_paragraph("带身份证", style="List Number")
    document.add_paragraph("带合同", style="List Number")
    changed = document.add_paragraph("需要")
    for tag, text in (("w:del", "三天"), ("w:ins", "五天")):
        change, run, inner = OxmlElement(tag), OxmlElement("w:r"), OxmlElement("w:delText" if tag == "w:del" else "w:t")
        inner.text = text
        run.append(inner)
        change.append(run)
        changed._p.append(change)
    document.save(str(path))
    return path


# Word


def test_a_word_document_keeps_headings_lists_and_merged_tables(tmp_path: Path) -> None:
    (article,) = read(word(tmp_path / "loan.docx")).articles
    assert (article.title, article.language, article.state, article.source) == ("个人贷款手册", "zh", "draft", "loan.docx")
    assert article.body == (
        "## 提前还款\n\n放款满一年后可以申请。\n\n### 违约金\n\n"
        "| 期限 | 比例 | 备注 |\n| --- | --- | --- |\n| 一年内 | 1% | \\|按本金 |\n| 一年内 | 免收 | 满一年 |\n\n"
        "1. 带身份证\n2. 带合同\n\n需要五天\n"
    )
    found = {passage.text: passage.section for passage in passages(article) if passage.kind == "body"}
    assert {section for text, section in found.items() if "免收" in text} == {"提前还款 › 违约金"}


def test_a_heading_that_is_the_only_one_of_its_level_is_the_title_and_a_long_document_is_cut_at_headings(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("服务手册", 1)
    for chapter in ("开户", "销户"):
        document.add_heading(chapter, 2)
        for section in ("条件", "材料"):
            document.add_heading(section, 3)
            for _ in range(30):
                document.add_paragraph(f"{chapter}{section}说明" * 12 + "。")
    document.save(str(tmp_path / "m.docx"))
    titles = [article.title for article in read(tmp_path / "m.docx").articles]
    assert titles == [f"服务手册 · {chapter} · {section}" for chapter in ("开户", "销户") for section in ("条件", "材料")]


# Workbooks and CSV


def test_a_workbook_with_a_title_above_its_header(tmp_path: Path) -> None:
    found = read(faq_xlsx(tmp_path / "faq.xlsx", 30))
    question, answer, similar, category = next(faq_rows(1))
    first = found.articles[0]
    assert (first.title, first.answer, first.domain, first.kind) == (question, answer, category, "faq")
    assert first.questions == tuple(similar.split("；"))
    assert len({article.article_id for article in found.articles}) == 30


def workbook(path: Path, rows: list[list[object]], merged: str = "") -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if merged:
        book.active.merge_cells(merged)
    book.save(path)
    return path


def test_merged_cells_count_for_every_row_and_dates_are_dates(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["业务类型", "问题*", "标准答案（对外）", "失效日期"],
        ["信用卡", "年费多少", "三百元。", date(2026, 12, 31)],
        [None, "怎么免年费", "刷满六次。", "2027年1月31日"],
        ["贷款", "几天放款", "三天。", "长期有效"],
    ]
    found = read(workbook(tmp_path / "m.xlsx", rows, "A2:A3")).articles
    assert [article.domain for article in found] == ["信用卡", "信用卡", "贷款"]
    assert [article.valid_to for article in found] == [date(2026, 12, 31), date(2027, 1, 31), None]


def test_without_question_and_answer_columns_the_headers_found_are_named(tmp_path: Path) -> None:
    fault = fault_of(workbook(tmp_path / "fees.xlsx", [["2026 价目"], ["卡种", "年费"], ["金卡", 300]]))
    assert (fault.fault, fault.detail) == ("columns", "卡种, 年费")
    assert "问题" in str(fault)


def test_faulty_rows_are_all_named_and_nothing_is_taken(tmp_path: Path) -> None:
    rows: list[list[object]] = [["问题", "答案"], ["甲", "一"], ["乙", ""], [None, "三"], ["甲", "四"], ["甲", "一"], [None, None]]
    fault = fault_of(workbook(tmp_path / "m.xlsx", rows))
    assert fault.fault == "rows"
    assert fault.detail == "row 3 has no answer; row 4 has no question; row 5 asks what row 2 asks, with another answer"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gb18030", "问题,答案\n信用卡怎么挂失,您好，我马上为您挂失。\n年费多少,三百元\n"),
        ("utf-8-sig", "问题,答案\n信用卡怎么挂失,您好，我马上为您挂失。\n年费多少,三百元\n"),
        ("utf-16", "问题\t答案\n信用卡怎么挂失\t您好，我马上为您挂失。\n年费多少\t三百元\n"),
        ("big5", "問題,答案\n信用卡怎麼掛失,您好，我馬上為您掛失。\n年費多少,三百元\n"),
        ("utf-8", "Question;Answer\n信用卡怎么挂失;您好，我马上为您挂失。\n年费多少;三百元\n"),
    ],
)
def test_csv_files_in_the_encodings_of_banks(tmp_path: Path, encoding: str, text: str) -> None:
    path = tmp_path / "faq.csv"
    path.write_bytes(text.encode(encoding))
    titles = [article.title for article in read(path).articles]
    # What is stored is what was written: traditional characters stay.
    assert titles == (["信用卡怎麼掛失", "年費多少"] if encoding == "big5" else ["信用卡怎么挂失", "年费多少"])


def test_bytes_that_are_no_text_in_any_known_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "faq.csv"
    path.write_bytes("Frage,Antwort\nGrüße,schöne Grüße für Ärzte\n".encode("latin-1"))
    assert fault_of(path).fault == "encoding"


# HTML, Markdown, text


def test_a_page_in_gbk_without_its_navigation(tmp_path: Path) -> None:
    page = (
        '<html><head><meta charset="gb2312"><title>帮助</title><script>x="问题"</script></head><body><nav>首页</nav>'
        "<h1>挂失</h1><p>请尽快<b>致电</b>客服。</p><h2>费用</h2><table><tr><th>卡</th><th>元</th></tr>"
        '<tr><td rowspan="2">金卡</td><td>15</td></tr><tr><td>20</td></tr></table>'
        "<ul><li>身份证</li><li>卡号<ol><li>后四位</li></ol></li></ul><div hidden>内部</div></body></html>"
    )
    path = tmp_path / "help.html"
    path.write_bytes(page.encode("gb18030"))
    (article,) = read(path).articles
    assert article.title == "挂失"
    assert article.body == (
        "请尽快致电客服。\n\n## 费用\n\n| 卡 | 元 |\n| --- | --- |\n| 金卡 | 15 |\n| 金卡 | 20 |\n\n- 身份证\n- 卡号\n  1. 后四位\n"
    )


def test_markdown_is_kept_word_for_word_and_traditional_text_stays_traditional(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(
        "---\ntitle: 掛失補卡\n---\n先凍結。\n\n```\n# 不是標題\n```\n\n# 費用\n\n- 十五元\n\n# 時間\n\n三天\n", encoding="utf-8"
    )
    (article,) = read(path).articles
    assert article.title == "掛失補卡"
    assert article.body == "先凍結。\n\n```\n# 不是標題\n```\n\n## 費用\n\n- 十五元\n\n## 時間\n\n三天\n"


def test_pangtings_own_files_keep_their_ids_and_arrive_as_drafts(tmp_path: Path) -> None:
    path = tmp_path / "000001"
    path.write_text("domain: cards\nlang: zh\nentries:\n  - {id: card-loss, title: 挂失, answer: 好。}\n", encoding="utf-8")
    (article,) = read(path, "bank/faq/cards.zh.yaml").articles
    assert (article.article_id, article.state, article.source) == ("card-loss", "draft", "bank/faq/cards.zh.yaml")
    path.write_text("lang: zh\nentries:\n  - {id: Card Loss, title: 挂失, answer: 好。}\n", encoding="utf-8")
    assert fault_of(path, "bank/faq/cards.zh.yaml").detail.startswith("entry 1 (Card Loss): id 'Card Loss' must be")
    path.write_text("intents: []\n", encoding="utf-8")
    assert fault_of(path, "bank/intents.yaml").fault == "pack"


# PDF


def test_a_manual_as_pdf(tmp_path: Path) -> None:
    found = read(manual_pdf(tmp_path / "manual.pdf", 12))
    assert [article.title for article in found.articles[:2]] == [
        "零售业务操作手册 · 第1章 星河信用卡 · 1.2 注销的办理1",
        "零售业务操作手册 · 第1章 星河信用卡 · 1.3 挂失的办理2",
    ]
    text = "\n".join(article.body for article in found.articles)
    assert "内部资料" not in text, "the running head is left out"
    assert "- 7 -" not in text
    assert "| 卡种 | 年费 | 免年费条件 |\n| --- | --- | --- |\n| 金卡 | 300元 | 刷满10次 |" in text
    numbers = [int(part.split("，")[0]) for part in text.split("规则编号为")[1:]]
    assert numbers == [page * 20 + paragraph * 5 + line for page in range(1, 13) for paragraph in range(3) for line in range(5)]


def test_progress_is_told_page_by_page_and_may_stop_the_reading(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    steps: list[tuple[int, int]] = []

    def step(done: int, total: int) -> None:
        steps.append((done, total))
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        read(manual_pdf(tmp_path / "m.pdf", 5), reading=Reading(step=step))
    assert steps == [(1, 5), (2, 5), (3, 5)]


def test_a_scan_without_ocr_says_what_to_install(tmp_path: Path) -> None:
    fault = fault_of(scanned_pdf(tmp_path / "scan.pdf", [["挂失须知"]]))
    assert (fault.fault, "pangting[ocr]" in str(fault)) == ("needs_ocr", True)


# Bad files


def test_protected_files_are_told_from_damaged_ones(tmp_path: Path) -> None:
    for path in (protected(word(tmp_path / "a.docx")), protected(faq_xlsx(tmp_path / "b.xlsx", 3)), tmp_path / "c.pdf"):
        if path.suffix == ".pdf":
            manual_pdf(path, 1, password="pw")
        assert fault_of(path).fault == "password", path.name


def test_damaged_files(tmp_path: Path) -> None:
    whole = {
        "a.docx": word(tmp_path / "w.docx").read_bytes(),
        "b.xlsx": faq_xlsx(tmp_path / "w.xlsx", 50).read_bytes(),
        "c.pdf": manual_pdf(tmp_path / "w.pdf", 3).read_bytes(),
    }
    for name, data in whole.items():
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        assert fault_of(tmp_path / name).fault in {"damaged", "no_text"}, name
    (tmp_path / "d.pdf").write_bytes(b"%PDF-1.7\n" + b"garbage " * 500)
    assert fault_of(tmp_path / "d.pdf").fault == "damaged"


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("a.pdf", b"", "empty"),
        ("a.docx", b"just text", "wrong_type"),
        ("a.csv", b"\0\1\2\3" * 9, "wrong_type"),
        ("a.doc", bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600, "old_office"),
        ("a.exe", b"MZ\x90", "unknown_type"),
        ("a.txt", b"  \n ", "no_text"),
        ("a.html", b"<html><body><script>1</script></body></html>", "no_text"),
        ("a.csv", "问题,答案\n".encode(), "no_text"),
        ("a.csv", "甲,乙\n1,2\n".encode(), "columns"),
    ],
)
def test_what_cannot_be_read_says_which_way(tmp_path: Path, name: str, data: bytes, fault: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert fault_of(tmp_path / name).fault == fault


def test_the_content_counts_where_the_name_is_wrong(tmp_path: Path) -> None:
    assert read(faq_xlsx(tmp_path / "faq.xlsx", 2), "faq.pdf").kind == "xlsx"
    (tmp_path / "page.xls").write_bytes("<html><body><h1>挂失</h1><p>正文</p></body></html>".encode())
    assert read(tmp_path / "page.xls").kind == "html"


def test_files_are_read_under_any_name_on_disk(tmp_path: Path) -> None:
    for path in (faq_xlsx(tmp_path / "a.xlsx", 2), word(tmp_path / "b.docx"), manual_pdf(tmp_path / "c.pdf", 2)):
        kind = read(path.rename(tmp_path / "000001"), f"手册/{path.name}").kind
        assert kind == path.suffix[1:]


def test_an_office_file_that_unpacks_to_too_much_is_not_opened(tmp_path: Path) -> None:
    path = faq_xlsx(tmp_path / "a.xlsx", 2)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet9.xml", b"0" * (16 << 20))
    assert fault_of(path).fault == "archive_bomb"


def test_limits_of_size_rows_and_pages(tmp_path: Path) -> None:
    small = Reading(limits=Limits(rows=20, pages=2, file_bytes=50_000))
    assert fault_of(faq_xlsx(tmp_path / "a.xlsx", 30), reading=small).fault == "too_large"
    assert fault_of(manual_pdf(tmp_path / "a.pdf", 3), reading=small).fault == "too_large"
    (tmp_path / "a.txt").write_bytes(b"x" * 50_001)
    assert fault_of(tmp_path / "a.txt", reading=small).fault == "too_large"
