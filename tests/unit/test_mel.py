"""Our log-mel against the one Whisper's users know, as faster-whisper ships it."""

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.asr.mel import LogMel


@pytest.fixture(scope="module", params=[80, 128])
def pair(request):
    theirs = FeatureExtractor(feature_size=request.param)
    return theirs, LogMel(theirs.mel_filters)


def noise(samples, seed=0, level=0.05):
    return (np.random.default_rng(seed).normal(size=samples) * level).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "window_ms"), [(48_000, 10_000), (31_999, 4_000), (1, 3_000), (399, 3_000), (63_700, 4_000), (0, 3_000)]
)
def test_the_same_numbers_as_faster_whisper(pair, samples, window_ms):
    theirs, ours = pair
    audio = noise(samples)
    expected = theirs(np.pad(audio, (0, window_ms * 16 - samples)), padding=0)
    got = ours(audio, window_ms)
    assert got.shape == expected.shape == (ours.n_mels, window_ms // 10)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_audio_that_fills_its_window_differs_only_at_the_very_end(pair):
    # They reflect the end, we let silence follow.
    theirs, ours = pair
    audio = noise(64_000)
    expected, got = theirs(audio, padding=0), ours(audio, 4_000)
    np.testing.assert_allclose(got[:, :-2], expected[:, :-2], atol=1e-4)


def test_longer_audio_is_cut_at_the_window(pair):
    _, ours = pair
    audio = noise(80_000)
    np.testing.assert_array_equal(ours(audio, 4_000), ours(audio[:64_000], 4_000))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40_000), st.sampled_from([3_000, 5_000]), st.floats(0, 1, width=32))
def test_any_audio_gives_finite_features_in_range(samples, window_ms, level):
    ours = LogMel(FeatureExtractor(feature_size=80).mel_filters)
    mel = ours(noise(samples, level=level), window_ms)
    assert mel.shape == (80, window_ms // 10)
    assert np.isfinite(mel).all()
    assert float(mel.max() - mel.min()) <= 2.0 + 1e-5  # 8 decades, a quarter each
