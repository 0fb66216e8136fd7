"""The evaluation queries of the sample bank: enough of them, balanced, disjoint, and none copied from the bank or from one another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from copilot.domain.knowledge import Article
from kb.loaders import load_articles

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data/kb_eval"
BANK = ROOT / "kb/samples/bank"

BOUND = {"zh": 0.4, "en": 0.5}
"""The greatest Jaccard similarity of character bigrams allowed; English letters repeat more than Han characters, hence its higher bound."""

LEAST = {
    "test.zh": 600,
    "test.en": 200,
    "test.unanswerable": 150,
    "dev.zh": 250,
    "dev.en": 80,
    "dev.unanswerable": 80,
}


@cache
def rows(name: str) -> tuple[dict, ...]:
    return tuple(json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())


def ids(row: dict) -> list[str]:
    wanted = row.get("article_id", [])
    return [wanted] if isinstance(wanted, str) else wanted


def letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def grams(text: str) -> frozenset[str]:
    run = letters(text)
    return frozenset(run[at : at + 2] for at in range(len(run) - 1))


def nearest(queries: Sequence[str], others: Sequence[str]) -> list[tuple[float, str, str]]:
    """For each query its most similar other text."""
    left, right = [grams(text) for text in queries], [grams(text) for text in others]
    column = {gram: number for number, gram in enumerate(sorted(frozenset().union(*left, *right)))}

    def table(sets: Sequence[frozenset[str]]) -> np.ndarray:
        filled = np.zeros((len(sets), len(column)), np.float32)
        for number, held in enumerate(sets):
            filled[number, [column[gram] for gram in held]] = 1
        return filled

    both = table(left) @ table(right).T
    sizes = np.array([len(held) for held in left])[:, None] + np.array([len(held) for held in right])
    similar = both / (sizes - both)
    return [(float(row[at]), query, others[at]) for row, query in zip(similar, queries, strict=True) for at in (int(row.argmax()),)]


@cache
def articles(language: str) -> tuple[Article, ...]:
    return tuple(article for article in load_articles(BANK) if article.language == language)


@cache
def exemplars() -> tuple[str, ...]:
    return tuple(strings(yaml.safe_load((BANK / "intents.yaml").read_text(encoding="utf-8"))))


def bank_texts(language: str) -> list[str]:
    """Everything a search index or an intent classifier of the sample bank has learnt from."""
    return [text for article in articles(language) for text in (article.title, *article.questions)] + list(exemplars())


def strings(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


def texts(part: str, language: str) -> list[str]:
    return [row["query"] for kind in (language, "unanswerable") for row in rows(f"{part}.{kind}") if row["language"] == language]


def test_the_measure_of_similarity_by_hand() -> None:
    assert grams("挂失，补卡") == {"挂失", "失补", "补卡"}
    assert [round(found[0], 3) for found in nearest(["挂失补卡"], ["挂失", "补卡办理"])] == [0.333]
    assert nearest(["The card!"], ["the card"])[0][0] == 1.0


@pytest.mark.parametrize("name", sorted(LEAST))
def test_there_are_enough_queries_and_each_is_well_formed(name: str) -> None:
    assert len(rows(name)) >= LEAST[name]
    for row in rows(name):
        assert row["language"] in {"zh", "en"}
        assert row["query"] == row["query"].strip()
        assert any("㐀" <= character <= "鿿" for character in row["query"]) == (row["language"] == "zh"), row
        if name.endswith("unanswerable"):
            assert row["answerable"] is False
            assert row["scope"] in {"in_domain", "out_of_domain"}
            assert "article_id" not in row
        else:
            assert name.endswith(row["language"])
            assert ids(row)
            assert len(set(ids(row))) == len(ids(row))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_article_is_asked_for_about_equally(language: str) -> None:
    known = {article.article_id for article in articles(language)}
    for part, least in (("test", 3 if language == "zh" else 1), ("dev", 1 if language == "zh" else 0)):
        asked = Counter(article_id for row in rows(f"{part}.{language}") for article_id in ids(row))
        assert set(asked) <= known
        assert min(asked[article_id] for article_id in known) >= least
        assert max(asked.values()) <= least + 4


def test_some_queries_hold_two_needs_and_unanswerable_ones_are_in_and_out_of_domain() -> None:
    assert sum(len(ids(row)) > 1 for row in rows("test.zh")) >= 40
    for part in ("test", "dev"):
        scopes = Counter((row["scope"], row["language"]) for row in rows(f"{part}.unanswerable"))
        assert min(scopes.values()) >= 10
        assert len(scopes) == 4


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_query_is_there_twice(language: str) -> None:
    counted = Counter(map(letters, texts("test", language) + texts("dev", language)))
    assert [text for text, times in counted.items() if times > 1] == []


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("part", ["test", "dev"])
def test_no_query_is_a_near_copy_of_the_bank(part: str, language: str) -> None:
    copies = [found for found in nearest(texts(part, language), bank_texts(language)) if found[0] >= BOUND[language]]
    assert copies == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_test_query_is_a_near_copy_of_a_query_used_for_tuning(language: str) -> None:
    earlier = (ROOT / f"tests/data/kb_queries.{language}.jsonl").read_text(encoding="utf-8").splitlines()
    seen = [*texts("dev", language), *(json.loads(line)["query"] for line in earlier)]
    copies = [found for found in nearest(texts("test", language), seen) if found[0] >= BOUND[language]]
    assert copies == []
