"""Short answers survive the voice detector and the gates: what a caller says between two pauses is not thrown away as noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from copilot.assembly.engines import pipeline_config
from copilot.settings import Settings
from loadtest.channel_run import Engine, run_channel, to_wire
from loadtest.noises import HOTWORDS, LEG
from loadtest.scoring import normalise

pytestmark = pytest.mark.models

SCENARIOS = Path(__file__).parents[2] / "loadtest" / "scenarios"
RATE_HZ = 8000


def turn(scenario, text):
    """A second of silence, the turn, a second of silence."""
    folder = SCENARIOS / scenario
    wanted = next(t for t in json.loads((folder / "gold.json").read_text(encoding="utf-8"))["turns"] if t["text"] == text)
    audio, _ = soundfile.read(folder / "call.wav", dtype="float32")
    side = audio[:, 0 if wanted["channel"] == "customer" else 1]
    quiet = np.zeros(RATE_HZ)
    return np.concatenate([quiet, side[wanted["start_ms"] * 8 - 400 : wanted["end_ms"] * 8 + 400], quiet])


@pytest.fixture(scope="module")
def engine(recognizer, vad) -> Engine:
    return Engine(vad=vad, recognizer=recognizer, config=pipeline_config(Settings()), hotwords=HOTWORDS, partial_every_ms=0)


@pytest.mark.parametrize(
    ("scenario", "text"),
    [
        ("load/stolen-card", "好的。"),
        ("demo", "三六七八。"),
        ("demo", "好，我明白。"),
        ("demo", "好的，再见。"),
    ],
)
def test_a_short_answer_is_a_final(engine, scenario, text):
    outcome = run_channel(engine, to_wire(turn(scenario, text), "pcmu"), LEG)
    assert normalise(outcome.text) == normalise(text)


@pytest.mark.parametrize("text", ["对。", "嗯，"])
def test_a_single_syllable_opens_an_utterance(engine, text):
    """Its text is another matter: whisper-base makes 驳动 of this 对, and refuses the 240 ms of this 嗯 (诶, no-speech token 0.65)."""
    outcome = run_channel(engine, to_wire(turn("load/stolen-card", text), "pcmu"), LEG)
    assert len(outcome.spans) == 1
    assert outcome.final_decodes >= 1
