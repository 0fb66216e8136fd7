"""The gold turns hold together, and their scorer counts as it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from loadtest.turn_score import MOODS, OUT_OF_SCOPE, SLOTS, Answer, Turn, parse, problems, score

ROOT = Path(__file__).parents[2]
GOLD = ROOT / "tests/data/turns"
BASE = ROOT / "kb/samples/bank"


def read(language: str) -> list[Turn]:
    return parse((GOLD / f"{language}.jsonl").read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def intents() -> frozenset[str]:
    return frozenset(entry["id"] for entry in yaml.load((BASE / "intents.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)["intents"])


def articles(language: str) -> frozenset[str]:
    files = [yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader) for path in BASE.glob(f"faq/*.{language}.yaml")]
    return frozenset(entry["id"] for file in files for entry in file["entries"]) | {
        path.name.split(".")[0] for path in BASE.glob(f"articles/*.{language}.md")
    }


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_gold_is_whole(language, intents):
    assert problems(read(language), intents=intents, articles=articles(language)) == []


def test_the_gold_is_large_enough():
    turns = [turn for turn in read("zh") if turn.channel == "customer"]
    assert len(turns) >= 220
    assert len({turn.dialogue for turn in turns}) >= 40
    assert len({turn.scenario for turn in turns}) >= 12
    for split in ("dev", "test"):
        part = [turn for turn in turns if turn.split == split]
        assert len(part) >= 100
        assert {turn.mood for turn in part} == set(MOODS)
        assert {slot for turn in part for slot in turn.slots or {}} == set(SLOTS)
        assert sum(turn.intent == OUT_OF_SCOPE for turn in part) >= 20
        assert len({turn.intent for turn in part}) >= 30


@pytest.mark.parametrize("language", ["zh", "en"])
def test_noise_changes_the_text_but_no_numeral(language):
    turns = [turn for turn in read(language) if turn.channel == "customer"]
    assert sum(turn.asr_text != turn.text for turn in turns) > 0.95 * len(turns)
    if language == "zh":
        for turn in turns:
            plain, noisy = turn.text.replace("，", ""), turn.asr_text.replace("，", "")
            assert len(plain) == len(noisy)
            assert all(one == two for one, two in zip(plain, noisy, strict=True) if one in "零一二三四五六七八九十百千万"), turn.id


@pytest.mark.parametrize(("language", "share"), [("zh", 0.25), ("en", 0.25)])
def test_the_second_pass_covers_enough_and_agrees(language, share):
    first = {turn.id: turn for turn in read(language) if turn.channel == "customer"}
    rows = [json.loads(row) for row in (GOLD / f"second_pass.{language}.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= share * len(first)
    assert all(row["text"] == first[row["id"]].text for row in rows)
    assert sum(row["intent"] == first[row["id"]].intent for row in rows) >= 0.95 * len(rows)


def turn(number: int, intent: str, found: tuple[str, ...], mood: str = "calm", **slots: list[str]) -> Turn:
    return Turn(
        id=f"s-{number}-01", dialogue=f"s-{number}", scenario="s", split="dev", language="zh", channel="customer",
        text="甲", asr_text="乙", intent=intent, slots=slots, articles=found, mood=mood,
    )  # fmt: skip


TURNS = [
    turn(1, "points", ("p",), amount=["100"]),
    turn(2, "points", ("p", "q"), mood="angry"),
    turn(3, "ukey", ("u",), product=["ukey"]),
    turn(4, OUT_OF_SCOPE, ()),
]


def perfect(of: Turn) -> Answer:
    return Answer(intent=of.intent, outside=float(of.intent == OUT_OF_SCOPE), slots=of.slots or {}, offered=of.articles, mood=of.mood)


def test_a_perfect_answer_scores_one_everywhere():
    report = score(TURNS, [perfect(of) for of in TURNS])
    for value in ("intent_f1", "outside_auc", "hit_1", "hit_3", "coverage", "precision", "slots_f1", "mood_f1"):
        assert getattr(report, value)[0] == 1, value
    assert report.false_offers[0] == 0
    assert report.wrong == ()


def test_faults_count_where_they_belong():
    answers = [perfect(of) for of in TURNS]
    answers[0] = replace(answers[0], offered=("x", "y", "p"), slots={"amount": ["10"]})
    answers[1] = replace(answers[1], offered=(), mood="calm", intent="ukey")
    answers[3] = replace(answers[3], offered=("p",), outside=0.0)
    report = score(TURNS, answers)
    assert report.hit_1[0] == pytest.approx(1 / 3)
    assert report.hit_3[0] == pytest.approx(2 / 3)
    assert report.coverage[0] == pytest.approx(2 / 3)
    assert report.precision[0] == pytest.approx(1 / 3)
    assert report.false_offers[0] == 1
    assert report.slots_f1[0] == pytest.approx(0.5)
    assert report.intent_f1[0] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert report.mood_f1[0] == pytest.approx((6 / 7 + 0) / 2)
    assert report.outside_auc[0] == 0.5
    assert report.wrong == ("s-2-01", "s-4-01")


def test_silence_has_no_hits_and_no_coverage():
    report = score(TURNS, [replace(perfect(of), offered=()) for of in TURNS])
    assert (report.hit_1[0], report.coverage[0], report.false_offers[0]) == (0, 0, 0)


def test_problems_are_named():
    bad = replace(TURNS[0], intent="dance", articles=("z",), mood="happy", slots={"date": ["2026-13-01"], "shoe": ["42"]}, split="test")
    found = " ".join(problems([TURNS[0], bad], intents=frozenset({"points"}), articles=frozenset({"p"})))
    for word in ("twice", "unknown intent", "unknown article", "unknown mood", "slot date", "slot shoe", "both splits"):
        assert word in found
