"""Level and pitch of an utterance, for the customer's mood: two numbers that say nothing about whose voice it is. Does no I/O.

At most ``FRAMES`` frames are looked at, evenly spread, so that the work has a bound whatever the length (a few ms).
"""

from __future__ import annotations

import numpy as np

from copilot.domain.moods import VoiceMeasure

RATE_HZ = 16_000
FRAMES = 120
_FRAME = 640
"""40 ms."""
_LOWEST_HZ, _HIGHEST_HZ = 70, 400
_VOICED = 0.5
"""Share of the energy that a period must explain."""
_NEARLY = 0.9
_PEAK = 8
"""Lags over which a peak reaches."""
_LEAST_FRAMES = 5
_FFT = 2048


def measure(pcm16: bytes) -> VoiceMeasure | None:
    """``pcm16``: mono 16 kHz s16le. None for less than 0.2 s or silence."""
    samples = np.frombuffer(pcm16, "<i2").astype(np.float32) / 32768
    count = len(samples) // _FRAME
    if count < _LEAST_FRAMES:
        return None
    frames = samples[: count * _FRAME].reshape(count, _FRAME)
    if count > FRAMES:
        frames = frames[np.linspace(0, count - 1, FRAMES).astype(int)]
    power = (frames**2).mean(axis=1)
    loud = power > max(float(power.max()) * 0.01, 1e-8)
    if not loud.any():
        return None
    level_db = 10 * float(np.log10(power[loud].mean()))
    centred = (frames[loud] - frames[loud].mean(axis=1, keepdims=True)) * np.hanning(_FRAME).astype(np.float32)
    spectrum = np.fft.rfft(centred, _FFT)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, _FFT)
    first, last = RATE_HZ // _HIGHEST_HZ, RATE_HZ // _LOWEST_HZ
    # The window shrinks the correlation with the lag: divided by its own, a perfect period comes to 1.
    shrink = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(_FRAME), _FFT)) ** 2, _FFT)
    normal = correlation[:, first:last] / np.maximum(correlation[:, :1], 1e-12) / (shrink[first:last] / shrink[0])
    # A period's multiples correlate as well: the shortest that does is meant.
    near = (normal >= _NEARLY * normal.max(axis=1, keepdims=True)).argmax(axis=1)
    best = np.array([at + row[at : at + _PEAK].argmax() for at, row in zip(near, normal, strict=True)])
    voiced = normal[np.arange(len(best)), best] >= _VOICED
    pitch = float(np.median(RATE_HZ / (best[voiced] + first))) if voiced.sum() >= _LEAST_FRAMES else None
    return VoiceMeasure(
        level_db=round(level_db, 2), pitch_hz=round(pitch, 1) if pitch is not None else None, speech_ms=len(samples) * 1000 // RATE_HZ
    )
