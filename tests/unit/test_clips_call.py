"""Clips on a time line: the stated share of speech, nothing lost or overlapping, the same call from the same seed."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.clips_call import main, place_clips


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(500, 12_000), min_size=1, max_size=20), st.integers(0, 1000), st.sampled_from([0.2, 0.45, 0.6]))
def test_a_side_speaks_its_share_and_never_over_itself(durations, seed, share):
    total = 300_000
    placed = place_clips(durations, total, share, np.random.default_rng(seed))
    spoken = sum(durations[clip] for clip, _ in placed)
    for (clip, start), (_, following) in itertools.pairwise(placed):
        assert following - (start + durations[clip]) >= 600
    assert all(start + durations[clip] <= total for clip, start in placed)
    # Short clips cannot come closer than 600 ms.
    reachable = min(share, sum(durations) / (sum(durations) + 600 * len(durations)))
    assert spoken / total == pytest.approx(reachable, abs=0.1)


def test_a_share_that_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match="share"):
        place_clips([1000], 10_000, 1.2, np.random.default_rng(1))


def clips(folder):
    folder.mkdir()
    lines = []
    for index in range(4):
        tone = 0.3 * np.sin(2 * np.pi * (300 + 100 * index) * np.arange(16_000 * (index + 1)) / 16_000)
        soundfile.write(folder / f"{index}.wav", tone, 16_000)
        lines.append(json.dumps({"file": f"{index}.wav", "text": f"第{index}句", "lang": "zh"}))
    (folder / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_the_call_is_telephone_audio_with_gold_and_repeats(tmp_path, capsys):
    folder = clips(tmp_path / "clips")
    for name in ("a", "b"):
        assert main(["--clips", str(folder), "--out", str(tmp_path / f"{name}.wav"), "--seconds", "60", "--seed", "3"]) == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.channels, info.subtype, info.duration) == (8000, 2, "ULAW", 60)
    audio, _ = soundfile.read(tmp_path / "a.wav")
    turns = json.loads((tmp_path / "a.gold.json").read_text(encoding="utf-8"))["turns"]
    assert {turn["channel"] for turn in turns} == {"customer", "agent"}
    inside = np.zeros(audio.shape, dtype=bool)
    for turn in turns:
        side = 0 if turn["channel"] == "customer" else 1
        inside[turn["start_ms"] * 8 : turn["end_ms"] * 8, side] = True
    assert np.abs(audio[inside]).mean() > 0.1
    assert np.abs(audio[~inside]).max() < 0.01
    assert json.loads(capsys.readouterr().out.splitlines()[0])["speech_share"]["customer"] == pytest.approx(0.45, abs=0.08)


def test_without_recordings_it_says_so(tmp_path, capsys):
    assert main(["--clips", str(tmp_path / "nowhere"), "--out", str(tmp_path / "x.wav")]) == 2
    assert "manifest.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "x.wav").exists()


def test_an_incomplete_folder_is_refused(tmp_path, capsys):
    folder = clips(tmp_path / "clips")
    (folder / "2.wav").unlink()
    assert main(["--clips", str(folder), "--out", str(tmp_path / "x.wav")]) == 2
    assert "2.wav" in capsys.readouterr().err
