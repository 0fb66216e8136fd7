"""A scanned page, really read: what is on it is in the article, and the article says that it was read by OCR."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.reading.files import read_file
from kb.reading.ocr import RapidOcr, ocr_installed
from kb.reading.port import Reading
from loadtest.import_files import FONT, scanned_pdf
from loadtest.scoring import edit_distance

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]

LINES = (
    "信用卡挂失办理须知",
    "客户发现卡片遗失后，应立即致电客服热线办理挂失。",
    "挂失自受理时起生效，补卡工本费为十五元，",
    "新卡在七个工作日内寄出。",
)


@pytest.mark.skipif(not FONT.exists(), reason="needs Debian's fonts-noto-cjk")
def test_a_scan_is_read_and_marked(tmp_path: Path) -> None:
    assert ocr_installed(), "the extra ocr is part of the development environment"
    found = read_file(scanned_pdf(tmp_path / "scan.pdf", [LINES]), "scan.pdf", "draft", Reading(ocr=RapidOcr))
    (article,) = found.articles
    assert article.title == LINES[0]
    wanted, read = "".join(LINES[1:]), article.body.replace("\n", "")
    assert edit_distance(wanted, read) <= 0.05 * len(wanted), read
    assert article.tags == ("OCR",)
    assert found.notes == ("read by OCR, check the text: pages 1",)
