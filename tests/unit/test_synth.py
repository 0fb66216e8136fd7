"""The renderer without its voices: the pitch of a voice leaves the pace alone."""

from __future__ import annotations

import numpy as np
import pytest

from loadtest.synth import Renderer, parse_voice, render_call
from loadtest.synth import parse_script as parse


class Hum:
    """Speaks a tone of 200 Hz, as long as the speed asks for, and remembers what it was asked."""

    identity = {"engine": "hum"}  # noqa: RUF012
    licence = "none"

    def __init__(self) -> None:
        self.speeds: list[float] = []

    def speak(self, text, language, voice):
        self.speeds.append(voice.speed)
        assert voice.pitch == 1.0
        time = np.arange(round(24_000 * len(text) * 0.25 / voice.speed)) / 24_000
        return (0.5 * np.sin(2 * np.pi * 200 * time)).astype(np.float32), 24_000


def peak_hz(samples, rate):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


@pytest.mark.parametrize("pitch", [0.86, 1.0, 1.1])
def test_pitch_moves_the_tone_and_not_the_pace(tmp_path, pitch):
    voice = parse_voice({"voice": "hum", "speed": 1.25, "pitch": pitch})
    samples, rate = Renderer(Hum(), tmp_path).turn("一二三四五六七八九十", "zh", voice)
    assert len(samples) / rate == pytest.approx(10 * 0.25 / 1.25, rel=0.02)
    assert peak_hz(samples, rate) == pytest.approx(200 * pitch, rel=0.02)


def test_a_pitch_nobody_has_is_refused():
    with pytest.raises(ValueError, match="pitch"):
        parse_voice({"voice": "hum", "pitch": 0.5})


def test_two_pitches_of_a_voice_with_one_pace_at_the_source_are_spoken_once(tmp_path):
    source = Hum()
    renderer = Renderer(source, tmp_path)
    renderer.turn("你好", "zh", parse_voice({"voice": "hum", "speed": 0.9, "pitch": 0.9}))
    renderer.turn("你好", "zh", parse_voice({"voice": "hum", "speed": 1.1, "pitch": 1.1}))
    assert source.speeds == [1.0]


def test_the_manifest_says_where_the_turns_are(tmp_path):
    script = parse(
        {
            "id": "x",
            "voices": {"customer": {"voice": "hum"}, "agent": {"voice": "hum", "pitch": 0.9}},
            "turns": [{"channel": "agent", "text": "一二三四", "pause_ms": 0}, {"channel": "customer", "text": "五六", "pause_ms": 250}],
        }
    )
    manifest = render_call(script, Hum(), Renderer(Hum(), tmp_path), tmp_path / "x.wav", 8000)
    first, second = manifest["turns"]
    assert second["start_ms"] - first["end_ms"] == 250
    assert first["end_ms"] - first["start_ms"] == pytest.approx(1000, abs=30)
    assert manifest["voices"]["agent"]["pitch"] == 0.9
