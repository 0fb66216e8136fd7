"""Bank folders: what is read, and that faults are named by file and entry with nothing half-imported."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from copilot.domain.errors import InvalidInput
from kb.loaders import load_articles

FAQ = """
domain: cards
lang: zh
entries:
  - id: card-loss
    title: 信用卡丢失怎么挂失
    questions: [我的卡不见了, 补卡要几天]
    answer: 您好，我可以马上为您挂失。
    body: |
      挂失立即生效。
    products: [credit_card]
    channels: [phone, app]
    intent: card_loss
    tags: [挂失]
    owner: 信用卡中心知识组
    valid_from: 2026-01-01
    valid_to: "2026-12-31"
  - id: card-lock
    title: 怎么设置夜间锁
    answer: 您在手机银行里设置。
"""

ARTICLE = """---
id: fee-table
lang: en
domain: fees
title: Fees at a glance
questions: ["What does it cost?"]
answer: ""
valid_from: 2026-01-01
---

## Cards

Replacement: 15 yuan.
"""


def bank(root: Path, faq: str = FAQ, article: str = ARTICLE) -> Path:
    (root / "faq").mkdir(parents=True)
    (root / "articles").mkdir()
    (root / "faq/cards.zh.yaml").write_text(faq, encoding="utf-8")
    (root / "articles/fee-table.en.md").write_text(article, encoding="utf-8")
    (root / "taxonomy.yaml").write_text("categories: []", encoding="utf-8")
    return root


def test_faq_entries_and_articles_with_every_field(tmp_path: Path) -> None:
    lock, loss, fees = load_articles(bank(tmp_path))
    assert (loss.article_id, loss.language, loss.domain, loss.kind, loss.intent) == ("card-loss", "zh", "cards", "faq", "card_loss")
    assert loss.questions == ("我的卡不见了", "补卡要几天")
    assert loss.body == "挂失立即生效。\n"
    assert (loss.valid_from, loss.valid_to) == (date(2026, 1, 1), date(2026, 12, 31))
    assert (loss.products, loss.channels, loss.tags, loss.owner) == (("credit_card",), ("phone", "app"), ("挂失",), "信用卡中心知识组")
    assert loss.source == "faq/cards.zh.yaml"
    assert (lock.questions, lock.body, lock.state) == ((), "", "published")
    assert (fees.kind, fees.language, fees.body) == ("article", "en", "## Cards\n\nReplacement: 15 yuan.\n")


def test_one_file_alone_can_be_read(tmp_path: Path) -> None:
    root = bank(tmp_path)
    assert [article.article_id for article in load_articles(root / "faq/cards.zh.yaml")] == ["card-lock", "card-loss"]
    assert [article.article_id for article in load_articles(root / "articles/fee-table.en.md")] == ["fee-table"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lang: zh", "lang: fr", r"faq/cards\.zh\.yaml: lang must be zh or en"),
        ("id: card-lock", "id: Card Lock", r"entry 2 \(Card Lock\): id 'Card Lock' must be lower-case"),
        ("id: card-lock", "id: card-loss", r"entry 2 \(card-loss\): the id card-loss \(zh\) is used in .*entry 1"),
        ("title: 怎么设置夜间锁", "titel: 怎么设置夜间锁", r"entry 2 \(card-lock\): unknown key titel"),
        ("answer: 您在手机银行里设置。", "tags: []", r"entry 2 \(card-lock\): needs an answer or a body"),
        ("valid_from: 2026-01-01", "valid_from: soon", r"entry 1 \(card-loss\): valid_from must be a date such as"),
        ('valid_to: "2026-12-31"', 'valid_to: "2025-12-31"', r"valid_to is before valid_from"),
        ("[我的卡不见了, 补卡要几天]", "[我的卡不见了, 15]", r"questions must be a list of texts"),
        ("entries:", "entries: {", r"faq/cards\.zh\.yaml: not valid YAML at line \d+"),
    ],
)
def test_faults_are_named_by_file_and_entry(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in FAQ
    with pytest.raises(InvalidInput, match=r"Nothing was imported") as caught:
        load_articles(bank(tmp_path, FAQ.replace(old, new)))
    with pytest.raises(InvalidInput, match=says):
        raise caught.value


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    faulty = FAQ.replace("id: card-lock", "id: X").replace("valid_from: 2026-01-01", "valid_from: soon")
    with pytest.raises(InvalidInput) as caught:
        load_articles(bank(tmp_path, faulty, ARTICLE.replace("lang: en", "lang: 中文")))
    assert "correct 3 fault(s)" in str(caught.value)
    assert "articles/fee-table.en.md: lang must be zh or en" in str(caught.value)


def test_missing_front_matter_bad_bytes_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="front matter"):
        load_articles(bank(tmp_path / "a", FAQ, "# Just a title\n"))
    root = bank(tmp_path / "b")
    (root / "faq/cards.zh.yaml").write_bytes("信用卡".encode("gb18030"))
    with pytest.raises(InvalidInput, match="cannot be read as UTF-8"):
        load_articles(root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no articles found"):
        load_articles(tmp_path / "empty")
    with pytest.raises(InvalidInput, match="does not exist"):
        load_articles(tmp_path / "nowhere")


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    root = bank(tmp_path)
    (root / "articles/fee-table.en.md").write_bytes(b"\xef\xbb\xbf" + ARTICLE.replace("\n", "\r\n").encode())
    assert load_articles(root)[-1].body == "## Cards\n\nReplacement: 15 yuan.\n"
