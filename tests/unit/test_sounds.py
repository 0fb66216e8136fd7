"""The sounds are what they say they are: bands, cadences, levels, and the same from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from loadtest.sounds import RATE_HZ, SOUNDS, sound


def db(samples):
    return 20 * np.log10(np.sqrt(np.mean(np.square(samples))) + 1e-9)


def tones(samples, count):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    found = []
    for _ in range(count):
        top = int(np.argmax(spectrum))
        found.append(round(float(hz[top])))
        spectrum[np.abs(hz - hz[top]) < 15] = 0
    return sorted(found)


@pytest.mark.parametrize("kind", sorted(SOUNDS))
def test_the_same_seed_gives_the_same_samples_and_another_seed_does_not(kind):
    first = sound(kind, 12, 5)
    assert len(first) == 12 * RATE_HZ
    assert np.array_equal(first, sound(kind, 12, 5))
    assert not np.array_equal(first, sound(kind, 12, 6))
    assert np.abs(first).max() <= 1.0
    assert -75 < db(sound(kind, 60, 5)) < -8


@pytest.mark.parametrize(
    ("kind", "hz", "share"),
    [("ring-back-cn", [450], 1 / 5), ("busy-cn", [450], 1 / 2), ("ring-back-us", [440, 480], 2 / 6)],
)
def test_tones_have_their_frequencies_and_cadence(kind, hz, share):
    samples = sound(kind, 60, 2)
    assert tones(samples, len(hz)) == pytest.approx(hz, abs=1)
    frames = np.sqrt(np.mean(samples.reshape(-1, 160) ** 2, axis=1))
    assert np.mean(frames > 0.01) == pytest.approx(share, abs=0.05)


def test_music_changes_its_loudness_and_instruments():
    samples = sound("music", 120, 3)
    levels = [db(samples[at : at + 4 * RATE_HZ]) for at in range(0, len(samples), 4 * RATE_HZ)]
    assert max(levels) - min(levels) > 6


def test_typing_comes_in_bursts_over_a_quiet_room():
    frames = np.sqrt(np.mean(sound("keyboard", 60, 4).reshape(-1, 80) ** 2, axis=1))
    assert 20 * np.log10(np.median(frames)) < -45
    assert np.percentile(frames, 99) > 4 * np.median(frames)
