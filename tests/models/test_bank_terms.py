"""Bank terms through the real models: a part of the held-out sentences, small enough for every run (all: python -m loadtest.terms)."""

from __future__ import annotations

import pytest

from copilot.assembly import engines
from copilot.live.packs import lexicon_terms
from copilot.settings import Settings
from loadtest.term_scoring import summarise
from loadtest.terms import FOLDER, LEXICON, Bench, RememberingRecognizer, load_clips, measure

pytestmark = pytest.mark.models


def test_terms_survive_and_nothing_else_becomes_one(recognizer, vad):
    lexicon = lexicon_terms(LEXICON.read_text(encoding="utf-8"))
    bench = Bench(
        recognizer=RememberingRecognizer(recognizer, None),
        vad=vad,
        config=engines.pipeline_config(Settings()),
        lexicon=engines.open_lexicon(lexicon),
        terms=tuple(term.text for term in lexicon),
    )
    clips = load_clips(FOLDER, "test")
    with_terms = [clip for clip in clips if clip.sentence.terms][::12][:14]
    without = [clip for clip in clips if not clip.sentence.terms][::20][:10]
    assert len(with_terms) + len(without) >= 22
    outcomes = measure([*with_terms, *without], bench, ["plain", "both"], workers=recognizer.workers)
    plain, both = summarise(outcomes["plain"]), summarise(outcomes["both"])
    print(f"recall {plain.recall.value:.2f} → {both.recall.value:.2f}; false corrections {both.false_corrections.count}")
    assert both.recall.value >= 0.6
    assert both.recall.value >= plain.recall.value + 0.2
    assert both.false_corrections.count == 0
