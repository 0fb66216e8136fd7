"""Files as a bank would import them, made here from invented text: a manual as PDF and DOCX, FAQ workbooks, a scan."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PRODUCTS = ("星河信用卡", "安居贷款", "随心存", "云帆借记卡", "稳稳理财", "商户收款码", "青禾消费贷", "长风外币账户")
ACTIONS = ("开通", "注销", "挂失", "补办", "提额", "改密码", "查账单", "申请分期", "提前还款", "修改预留手机号")
FONT = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
"""A CJK font for scans (Debian's fonts-noto-cjk)."""


def sentence(number: int) -> str:
    """An invented rule; another one for every number."""
    product, action = PRODUCTS[number % len(PRODUCTS)], ACTIONS[number // len(PRODUCTS) % len(ACTIONS)]
    return f"{product}{action}须由本人携带有效证件办理，受理后{number % 7 + 1}个工作日内完成，规则编号为{number}，不另收费用。"


def faq_rows(count: int) -> Iterator[tuple[str, str, str, str]]:
    """(question, answer, similar questions, category)."""
    for number in range(count):
        product, action = PRODUCTS[number % len(PRODUCTS)], ACTIONS[number // len(PRODUCTS) % len(ACTIONS)]
        similar = f"{product}怎么{action}{number}；我想{action}{product}{number}"
        yield f"{product}{action}第{number}种情况怎么处理", f"您好，{sentence(number)}", similar, product


def faq_xlsx(path: Path, rows: int) -> Path:
    """A workbook with a title above the header and ``rows`` questions."""
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("常见问题")
    sheet.append(["知识库导出"])
    sheet.append(["序号", "标准问题", "标准答案", "相似问法", "业务分类"])
    for number, (question, answer, similar, category) in enumerate(faq_rows(rows), 1):
        sheet.append([number, question, answer, similar, category])
    book.save(path)
    return path


def manual_pdf(path: Path, pages: int, *, password: str = "") -> Path:
    """A manual with a running head, page numbers, a chapter every ten pages, a section on each page and a fee table on every fifth."""
    from reportlab.lib import pdfencrypt
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    encrypt = pdfencrypt.StandardEncryption(password, canPrint=0) if password else None
    canvas = Canvas(str(path), pagesize=(595, 842), encrypt=encrypt)
    for page in range(1, pages + 1):
        _draw(canvas, 60, 805, 9, f"零售业务操作手册 内部资料 {page}")
        _draw(canvas, 280, 30, 9, f"- {page} -")
        top = 770.0
        if page == 1:
            _draw(canvas, 60, top, 26, "零售业务操作手册")
            top -= 50
        if page % 10 == 1:
            _draw(canvas, 60, top, 20, f"第{page // 10 + 1}章 {PRODUCTS[page // 10 % len(PRODUCTS)]}")
            top -= 40
        _draw(canvas, 60, top, 15, f"{page // 10 + 1}.{page % 10 + 1} {ACTIONS[page % len(ACTIONS)]}的办理{page}")
        top -= 30
        for paragraph in range(3):
            text = "".join(sentence(page * 20 + paragraph * 5 + line) for line in range(5))
            for at in range(0, len(text), 43):
                _draw(canvas, 60, top, 11, text[at : at + 43])
                top -= 17
            top -= 10
        if page % 5 == 0:
            rows = [("卡种", "年费", "免年费条件"), ("金卡", "300元", f"刷满{page}次"), ("白金卡", "800元", f"刷满{page + 10}次")]
            _grid(canvas, 60, top, rows)
        canvas.showPage()
    canvas.save()
    return path


def _draw(canvas: Any, x: float, y: float, size: float, text: str) -> None:
    canvas.setFont("STSong-Light", size)
    canvas.drawString(x, y, text)


def _grid(canvas: Any, left: float, top: float, rows: Sequence[Sequence[str]], width: float = 150, height: float = 22) -> None:
    for number in range(len(rows) + 1):
        canvas.line(left, top - number * height, left + width * len(rows[0]), top - number * height)
    for column in range(len(rows[0]) + 1):
        canvas.line(left + column * width, top, left + column * width, top - len(rows) * height)
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            _draw(canvas, left + column * width + 5, top - (number + 1) * height + 6, 11, cell)


def scanned_pdf(path: Path, pages: Sequence[Sequence[str]]) -> Path:
    """Every page a picture of its lines, slightly grey as from a scanner; the first line of each is large."""
    from PIL import Image, ImageDraw, ImageFont
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pagesize=(595, 842))
    for lines in pages:
        image = Image.new("L", (1240, 1754), 246)
        drawing = ImageDraw.Draw(image)
        top = 150
        for number, line in enumerate(lines):
            size = 60 if number == 0 else 34
            drawing.text((120, top), line, font=ImageFont.truetype(str(FONT), size, index=2), fill=40)
            top += size * 2
        data = io.BytesIO()
        image.save(data, "JPEG", quality=70)
        canvas.drawImage(ImageReader(io.BytesIO(data.getvalue())), 0, 0, 595, 842)
        canvas.showPage()
    canvas.save()
    return path
