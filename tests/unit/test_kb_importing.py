"""Import into a store: idempotent, checked first, all or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from copilot.domain.errors import InvalidInput
from kb import packs
from kb.importing import import_path, report_json
from tests.fakes.memory_articles import MemoryArticles

SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"

INTENTS = """
intents:
  - id: card_loss
    name: {zh: 挂失, en: Loss}
    examples: {zh: [卡丢了], en: [I lost my card]}
    rules: {zh: ['挂失|丢(了|失)']}
  - id: card_lock
    name: {zh: 锁卡, en: Lock}
    examples: {zh: [锁卡], en: [lock my card]}
unknown_examples: {zh: [你好], en: [hello]}
"""

FAQ = "domain: cards\nlang: zh\nentries:\n  - {id: card-loss, title: 挂失, answer: 马上为您挂失。}\n"


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    (tmp_path / "faq").mkdir()
    (tmp_path / "faq/cards.zh.yaml").write_text(FAQ, encoding="utf-8")
    (tmp_path / "intents.yaml").write_text(INTENTS, encoding="utf-8")
    return tmp_path


def test_importing_twice_changes_nothing(bank: Path) -> None:
    store = MemoryArticles()
    said: list[str] = []
    first = import_path(bank, store, said.append)
    assert (first.articles, first.changed, first.packs) == (1, 1, {"intents": True})
    mark = store.watermark()
    second = import_path(bank, store)
    assert (second.changed, second.packs, store.watermark()) == (0, {"intents": False}, mark)
    assert said
    whole = {**report_json(first), "held": 0, "files": [], "removed": [], "dry_run": False}
    jsonschema.validate(whole, json.loads((SCHEMAS / "kb-import.json").read_text(encoding="utf-8")))


def test_a_faulty_pack_stores_nothing(bank: Path) -> None:
    (bank / "intents.yaml").write_text(INTENTS.replace("'挂失|丢(了|失)'", "'挂失|丢(了'"), encoding="utf-8")
    store = MemoryArticles()
    with pytest.raises(InvalidInput, match=r"intents\.yaml, intents 1 \(card_loss\): the pattern .* does not compile"):
        import_path(bank, store)
    assert (store.watermark(), store.pack("intents")) == (0, None)


def test_a_faulty_article_stores_nothing(bank: Path) -> None:
    (bank / "faq/cards.zh.yaml").write_text(FAQ.replace("title", "tittle"), encoding="utf-8")
    store = MemoryArticles()
    with pytest.raises(InvalidInput, match="unknown key tittle"):
        import_path(bank, store)
    assert (store.watermark(), store.pack("intents")) == (0, None)


def test_a_single_pack_or_a_folder_of_packs(bank: Path) -> None:
    assert import_path(bank / "intents.yaml", MemoryArticles()).packs == {"intents": True}
    (bank / "faq/cards.zh.yaml").unlink()
    assert import_path(bank, MemoryArticles()).articles == 0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("id: card_lock", "id: card_loss", r"intents 2 \(card_loss\): is there twice"),
        ("name: {zh: 锁卡, en: Lock}", "name: {zh: 锁卡}", "name must be given in zh and en"),
        ("examples: {zh: [锁卡], en: [lock my card]}", "description: {zh: a, en: b}", "examples is missing"),
        ("intents:", "intent:", "must hold a list called intents"),
        ("intents:", "intents: [", "not valid YAML at line"),
    ],
)
def test_what_is_wrong_with_a_pack(old: str, new: str, says: str) -> None:
    found = packs.faults("intents", INTENTS.replace(old, new, 1))
    with pytest.raises(AssertionError, match=says):
        raise AssertionError("; ".join(map(str, found)))


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ("[{text: 年费, weight: -1}]", "weight must be a number above 0"),
        ("[{text: 年费, weight: heavy}]", "weight must be a number above 0"),
        ("[{text: 年费, aliases: 年非}]", "aliases must be a list"),
        ("[{text: 年费, aliases: [非]}]", "must be a text of at least 2 characters"),
        ("[{text: 年费, aliases: [7]}]", "must be a text of at least 2 characters"),
        ("[{text: 年费, aliases: [挂失]}, {text: 挂失}]", "the alias '挂失' is itself a term"),
        ("[{text: UKey, aliases: [u可]}, {text: U盾, aliases: [U可]}]", "the alias 'U可' belongs to UKey already"),
    ],
)
def test_what_is_wrong_with_a_lexicon(terms: str, says: str) -> None:
    assert any(says in str(fault) for fault in packs.faults("lexicon", f"terms: {terms}"))
    assert packs.faults("lexicon", "terms: [{text: 年费, weight: 2, aliases: [年非]}, {text: 挂失}]") == []


def test_patterns_by_language_are_checked_wherever_they_are() -> None:
    rubric = """
items:
  - id: opening
    section: service
    weight: 5
    name: {zh: 开头语, en: Opening}
    check: {kind: said, channel: agent, patterns: {zh: ['您好['], en: [hello]}}
"""
    assert len(packs.faults("rubric", rubric)) == 1
    assert packs.faults("rubric", rubric.replace("您好[", "您好")) == []
