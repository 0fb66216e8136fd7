import sys
from itertools import pairwise

import numpy as np
import pytest

from streaming.vad.silero import SileroVad, packaged_model_path


@pytest.fixture(scope="module")
def vad():
    return SileroVad()


def babble(seconds=3.0, seed=1):
    """A buzz with moving formants: voiced enough to move the model."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    wave = sum(np.sin(2 * np.pi * 120 * k * t + rng.uniform(0, 6)) / k for k in range(1, 20))
    return (0.1 * wave * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))).astype(np.float32)


def test_the_model_is_found_without_importing_faster_whisper():
    before = "faster_whisper" in sys.modules
    assert packaged_model_path().name == "silero_vad_v6.onnx"
    assert ("faster_whisper" in sys.modules) == before


def test_streaming_equals_the_whole_file_model(vad):
    from faster_whisper.vad import get_vad_model

    audio = babble()
    audio = audio[: len(audio) // 512 * 512]
    stream = vad.stream(gate_dbfs=None)
    streamed = [stream(audio[i : i + 512]) for i in range(0, len(audio), 512)]
    whole = get_vad_model()(audio)
    assert max(streamed) - min(streamed) > 0.05  # the signal moves it, so that equality means something
    # (The last window is left out: the whole-file wrapper zeroes its end by writing through a view.)
    np.testing.assert_allclose(streamed[:-1], np.asarray(whole).reshape(-1)[:-1], atol=1e-4)


def test_channels_do_not_share_state(vad):
    audio = babble()
    alone, first, second = vad.stream(gate_dbfs=None), vad.stream(gate_dbfs=None), vad.stream(gate_dbfs=None)
    for i in range(0, 16_000, 512):
        window = audio[i : i + 512]
        expected = alone(window)
        second(np.zeros(512, dtype=np.float32))
        assert first(window) == expected


def test_dead_air_does_not_run_the_model(vad):
    stream = vad.stream()
    quiet = np.full(512, 1e-4, dtype=np.float32)
    assert all(stream(quiet) < 0.35 for _ in range(500))
    assert stream.windows_run <= 16
    stream(babble()[:512])
    assert stream.windows_run <= 17


@pytest.mark.parametrize("kind", ["zeros", "noise", "dial tone"])
def test_what_is_not_speech_starts_nothing(vad, kind):
    rng = np.random.default_rng(3)
    t = np.arange(16_000 * 10) / 16_000
    audio = {
        "zeros": np.zeros(len(t)),
        "noise": rng.normal(0, 0.02, len(t)),
        "dial tone": 0.2 * np.sin(2 * np.pi * 450 * t),
    }[kind].astype(np.float32)
    stream = vad.stream()
    voiced = [stream(audio[i : i + 512]) >= 0.5 for i in range(0, len(audio) - 511, 512)]
    assert not any(a and b for a, b in pairwise(voiced))
