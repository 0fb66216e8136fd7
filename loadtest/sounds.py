"""Sound of a telephone line that is not speech: lines, tones, hold music, a desk. Deterministic, any length. Pure (numpy).

Every generator gives mono 8 kHz samples in [-1, 1] as they come out of a G.711 decoder; levels are given in dBFS RMS.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
Generator = np.random.Generator

RATE_HZ = 8000
_A4_MIDI = 69


def _level(dbfs: float) -> float:
    return float(10 ** (dbfs / 20))


def _to_level(samples: Samples, dbfs: float) -> Samples:
    rms = float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
    return samples * (_level(dbfs) / rms) if rms > 0 else samples


def _filter(samples: Samples, low_hz: float, high_hz: float, order: float = 4.0) -> Samples:
    """Zero-phase band-pass with slopes of ``order`` (Butterworth magnitude), over the whole array at once."""
    spectrum = np.fft.rfft(samples)
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    hz[0] = 1e-3
    magnitude = 1 / np.sqrt((1 + (low_hz / hz) ** (2 * order)) * (1 + (hz / high_hz) ** (2 * order)))
    return np.asarray(np.fft.irfft(spectrum * magnitude, len(samples)))


def through_telephone(samples: Samples) -> Samples:
    """100 to 3,600 Hz and mu-law, as a SIP leg with G.711 passes it."""
    from streaming.telephony import g711

    band = _filter(samples, 100, 3600) if len(samples) else samples
    linear = np.clip(np.rint(band * 32767), -32768, 32767).astype(np.int16)
    return np.asarray(g711.decode(g711.encode(linear, "pcmu"), "pcmu").astype(np.float64) / 32768)


# ---------------------------------------------------------------------- lines and tones


def line(seconds: float, draw: Generator) -> Samples:
    """Stretches of digital silence, comfort noise of −66 to −48 dBFS and mains hum with clicks, 4 to 20 s each."""
    pieces: list[Samples] = []
    left = round(seconds * RATE_HZ)
    while left > 0:
        n = min(left, round(draw.uniform(4, 20) * RATE_HZ))
        kind = draw.integers(3)
        if kind == 0:
            piece = np.zeros(n)
        else:
            high = draw.uniform(1200, 3400)
            piece = _to_level(_filter(draw.normal(0, 1, n), 120, high, 1.5), draw.uniform(-66, -48))
            if kind == 2:
                hum = sum(np.sin(2 * np.pi * 50 * k * np.arange(n) / RATE_HZ) / k for k in (2, 3, 4, 6))
                piece = piece + _to_level(np.asarray(hum), draw.uniform(-62, -50))
                for at in draw.integers(0, n, max(1, n // RATE_HZ)):
                    piece[at : at + 4] += draw.uniform(-1, 1) * _level(draw.uniform(-40, -22))
        pieces.append(piece)
        left -= n
    return np.concatenate(pieces)


def _cadence(seconds: float, hz: tuple[float, ...], on_s: float, off_s: float, draw: Generator) -> Samples:
    """Tones of −10 to −24 dBFS with the given cadence over a faint line; the level changes every few minutes, as another call's would."""
    n = round(seconds * RATE_HZ)
    time = np.arange(n) / RATE_HZ
    tone: Samples = np.sum([np.sin(2 * np.pi * f * time + draw.uniform(0, 6)) for f in hz], axis=0) / len(hz) * np.sqrt(2)
    on = (time + draw.uniform(0, on_s + off_s)) % (on_s + off_s) < on_s
    gate = np.convolve(on.astype(float), np.ones(40) / 40, mode="same")  # 5 ms edges
    levels = np.repeat(draw.uniform(-24, -10, n // (120 * RATE_HZ) + 1), 120 * RATE_HZ)[:n]
    heard: Samples = tone * gate * 10 ** (levels / 20) + draw.normal(0, _level(-62), n)
    return heard


def ring_back_china(seconds: float, draw: Generator) -> Samples:
    """450 Hz, 1 s on, 4 s off (GB/T 3380)."""
    return _cadence(seconds, (450.0,), 1.0, 4.0, draw)


def busy_china(seconds: float, draw: Generator) -> Samples:
    """450 Hz, 0.35 s on, 0.35 s off."""
    return _cadence(seconds, (450.0,), 0.35, 0.35, draw)


def ring_back_us(seconds: float, draw: Generator) -> Samples:
    """440 + 480 Hz, 2 s on, 4 s off."""
    return _cadence(seconds, (440.0, 480.0), 2.0, 4.0, draw)


# ---------------------------------------------------------------------- a desk


def _keystroke(draw: Generator, weight: float) -> Samples:
    """Press and release of a key: short noise through the resonances of a desk and a shell."""
    n = round(0.09 * RATE_HZ)
    time = np.arange(n) / RATE_HZ
    out = np.zeros(n)
    for start, strength in ((0.0, 1.0), (draw.uniform(0.03, 0.06), draw.uniform(0.2, 0.6))):
        late = np.clip(time - start, 0, None)
        live = time >= start
        for hz, decay in ((draw.uniform(250, 600), 90), (draw.uniform(1200, 2200), 220), (draw.uniform(2400, 3400), 400)):
            out += live * strength * np.exp(-late * decay) * np.sin(2 * np.pi * hz * late) * draw.uniform(0.3, 1.0)
        out += live * strength * np.exp(-late * 350) * draw.normal(0, 0.8, n)
    return out * weight


def keyboard(seconds: float, draw: Generator) -> Samples:
    """Bursts of typing (4 to 9 keys a second, peaks of −34 to −14 dBFS), mouse clicks and a chair, over an office's hiss."""
    n = round(seconds * RATE_HZ)
    out = np.zeros(n)
    at = 0.0
    while at < seconds:
        loud = _level(draw.uniform(-34, -14))
        if draw.random() < 0.75:
            for _ in range(draw.integers(4, 45)):
                _add(out, _keystroke(draw, loud * draw.uniform(0.4, 1.0) / 2), at)
                at += draw.gamma(4, 1 / 26)
        else:
            for _ in range(draw.integers(1, 4)):
                click = _keystroke(draw, loud / 3)[:160]
                _add(out, click, at)
                at += draw.uniform(0.1, 0.4)
        at += draw.gamma(2, 0.6)
    hiss = _to_level(_filter(draw.normal(0, 1, n), 150, 1800, 1.0), draw.uniform(-56, -48))
    fan = 1 + 0.2 * np.sin(2 * np.pi * 0.21 * np.arange(n) / RATE_HZ)
    return out + hiss * fan


def _add(out: Samples, piece: Samples, at_s: float) -> None:
    start = round(at_s * RATE_HZ)
    piece = piece[: max(0, len(out) - start)]
    out[start : start + len(piece)] += piece


# ---------------------------------------------------------------------- hold music

_CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14), (2, 5, 9), (4, 7, 11))
_SCALE = (0, 2, 4, 7, 9, 12, 14, 16)
_VOWELS = {
    "a": (800.0, 1200.0, 2600.0),
    "o": (450.0, 800.0, 2600.0),
    "u": (320.0, 800.0, 2300.0),
    "i": (290.0, 2250.0, 3000.0),
    "e": (480.0, 1900.0, 2500.0),
}


def _hz(midi: float) -> float:
    return float(440 * 2 ** ((midi - _A4_MIDI) / 12))


def _envelope(n: int, attack_s: float, release_s: float) -> Samples:
    time = np.arange(n) / RATE_HZ
    shape: Samples = np.minimum(1, time / attack_s) * np.minimum(1, (n / RATE_HZ - time) / release_s).clip(0)
    return shape


def _partials(hz: float, time: Samples, weights: Callable[[float], float], phase: Samples | float = 0.0) -> Samples:
    out = np.zeros(len(time))
    for k in range(1, int(3600 // hz) + 1):
        out += weights(k * hz) / k * np.sin(k * (2 * np.pi * hz * time + phase))
    return out


def pad(midi: float, seconds: float, draw: Generator) -> Samples:
    """Strings: detuned saw-like partials with a slow attack."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    bright = draw.uniform(600, 1800)
    tones = [_partials(_hz(midi) * 2 ** (cents / 1200), time, lambda hz: 1 / (1 + (hz / bright) ** 2)) for cents in (-7, 0, 8)]
    return np.asarray(sum(tones)) * _envelope(len(time), 0.25, 0.3) / 3


def pluck(midi: float, seconds: float, draw: Generator) -> Samples:
    """A plucked string or piano: partials that die the faster the higher they are."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    hz, decay = _hz(midi), draw.uniform(1.5, 4)
    out = np.zeros(len(time))
    for k in range(1, int(3600 // hz) + 1):
        out += np.sin(2 * np.pi * k * hz * time) * np.exp(-decay * np.sqrt(k) * time) / k
    return out * _envelope(len(time), 0.003, 0.02)


def flute(midi: float, seconds: float, draw: Generator) -> Samples:
    """A wind instrument: few partials, vibrato, breath."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wobble = 0.25 * np.sin(2 * np.pi * draw.uniform(4.5, 6) * time)
    tone = _partials(_hz(midi), time, lambda hz: 1 / (1 + (hz / 900) ** 2), wobble)
    return (tone + draw.normal(0, 0.01, len(time))) * _envelope(len(time), 0.06, 0.08)


def voice_like(midi: float, seconds: float, draw: Generator, glide_from: float | None = None) -> Samples:
    """Somebody singing a syllable ("la", "mou", "hei"): a glottal spectrum through moving formants, vibrato, breath, and an onset.

    The pitch glides from the note before; the onset is a hum, a hiss or a stop's burst. It is no language.
    """
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    start = _hz(glide_from if glide_from is not None else midi - 0.5)
    track = _hz(midi) + (start - _hz(midi)) * np.exp(-time / 0.05)
    track = track * (1 + 0.012 * np.sin(2 * np.pi * draw.uniform(5, 6) * time) * np.minimum(1, time / 0.3))
    track = track * (1 + 0.004 * np.convolve(draw.normal(0, 1, len(time)), np.ones(200) / 14, mode="same"))
    phase = 2 * np.pi * np.cumsum(track) / RATE_HZ
    first, second = (_VOWELS[str(draw.choice(list(_VOWELS)))] for _ in range(2))
    onset = min(draw.uniform(0.04, 0.12), seconds / 3)
    # From one vowel to the other over the note, as diphthongs and slurred syllables do.
    turn = 1 / (1 + np.exp(-(time - onset - draw.uniform(0.2, 0.7) * seconds) / draw.uniform(0.02, 0.08)))
    opening = np.clip(time / onset, 0, 1)
    out = np.zeros(len(time))
    for k in range(1, int(3600 // track.min()) + 1):
        hz = k * track
        gain: Samples = np.full(len(time), 0.02)
        for a, b, strength in zip(first, second, (1.0, 0.6, 0.3), strict=True):
            centre = (a + (b - a) * turn) * (0.6 + 0.4 * opening)
            gain = gain + strength * (0.15 + 0.85 * opening) / (1 + ((hz - centre) / 90) ** 2)
        out += gain * (hz < 3600) / np.sqrt(k) * np.sin(k * phase)
    kind = draw.integers(3)
    noise = draw.normal(0, 1, len(time)) * (time < onset)
    if kind == 1:
        out = out * opening + 0.25 * np.diff(noise, prepend=0)
    elif kind == 2:
        burst = np.exp(-np.abs(time - onset * 0.7) / 0.006)
        out = out * (time > onset * 0.7) + 0.5 * burst * draw.normal(0, 1, len(time))
    return (out + 0.02 * draw.normal(0, 1, len(time))) * _envelope(len(time), 0.02, 0.06)


def _drums(out: Samples, start_s: float, beat_s: float, beats: int, draw: Generator) -> None:
    n = round(0.15 * RATE_HZ)
    time = np.arange(n) / RATE_HZ
    for beat in range(beats * 2):
        at = start_s + beat * beat_s / 2
        hat = draw.normal(0, 1, n) * np.exp(-time * 90)
        _add(out, np.diff(hat, prepend=0) * 0.15, at)
        if beat % 4 == 0:
            _add(out, np.sin(2 * np.pi * (55 + 90 * np.exp(-time * 40)) * time) * np.exp(-time * 18) * 0.9, at)
        if beat % 4 == 2:
            _add(out, (draw.normal(0, 0.5, n) + np.sin(2 * np.pi * 190 * time)) * np.exp(-time * 25) * 0.5, at)


def _section(bars: int, draw: Generator) -> Samples:
    """A few bars in one key, tempo and arrangement."""
    beat = 60 / draw.uniform(66, 126)
    key = int(draw.integers(52, 62))
    out = np.zeros(round(bars * 4 * beat * RATE_HZ) + RATE_HZ)
    with_pad, with_pluck, with_drums = draw.random() < 0.7, draw.random() < 0.7, draw.random() < 0.5
    lead = (flute, voice_like, pluck, None)[draw.integers(4)]
    chords = [_CHORDS[i] for i in draw.permutation(len(_CHORDS))[:4]]
    previous: float | None = None
    for bar in range(bars):
        start, chord = bar * 4 * beat, chords[bar % 4]
        for note in chord:
            if with_pad or not (with_pluck or lead):
                _add(out, 0.25 * pad(key + note, 4 * beat + 0.2, draw), start)
        if with_pluck:
            for eighth in range(8):
                _add(out, 0.3 * pluck(key + chord[eighth % 3] + 12 * (eighth % 4 == 3), beat, draw), start + eighth * beat / 2)
        position = 0.0
        while lead is not None and position < 4:
            length = float(draw.choice([0.5, 1.0, 1.0, 2.0]))
            note = key + 12 + _SCALE[draw.integers(len(_SCALE))]
            if draw.random() < 0.85:
                sung = voice_like(note, length * beat, draw, previous) if lead is voice_like else lead(note, length * beat, draw)
                _add(out, 0.5 * sung, start + position * beat)
                previous = note
            position += length
        if with_drums:
            _drums(out, start, beat, 4, draw)
    return _to_level(out, draw.uniform(-30, -14))


def music(seconds: float, draw: Generator) -> Samples:
    """Hold music: sections of 4 to 8 bars, each with a key, tempo, loudness (−30 to −14 dBFS) and set of instruments of its own.

    A quarter of them have a lead that sings.
    """
    out = np.zeros(round(seconds * RATE_HZ))
    at = 0.0
    while at < seconds:
        section = _section(int(draw.integers(4, 9)), draw)
        _add(out, section, at)
        at += len(section) / RATE_HZ - draw.uniform(0, 1.5)
    swell = 10 ** (3 * np.sin(2 * np.pi * np.arange(len(out)) / RATE_HZ / 37) / 20)
    return np.clip(out * swell, -0.99, 0.99)


def singing(seconds: float, draw: Generator) -> Samples:
    """The hard case: a singer of syllables without words, low or high, in patter or long notes, alone or over pads."""
    out = np.zeros(round(seconds * RATE_HZ))
    at, previous = 0.3, None
    while at < seconds:
        with_pad, begun = draw.random() < 0.5, at
        key = int(draw.integers(38, 60))
        shortest, longest = (0.12, 0.35) if draw.random() < 0.5 else (0.25, 1.4)  # patter, or long notes
        for _ in range(draw.integers(4, 14)):
            length, note = float(draw.uniform(shortest, longest)), key + _SCALE[draw.integers(len(_SCALE))]
            _add(out, voice_like(note, length, draw, previous), at)
            at, previous = at + length, note
        if with_pad:
            _add(out, 0.5 * np.sum([pad(key - 12 + note, at - begun, draw) for note in (12, 16, 19)], axis=0), begun)
        at += draw.uniform(0.3, 1.5)
    return _to_level(out, draw.uniform(-24, -18))


SOUNDS: dict[str, Callable[[float, Generator], Samples]] = {
    "line": line,
    "ring-back-cn": ring_back_china,
    "busy-cn": busy_china,
    "ring-back-us": ring_back_us,
    "music": music,
    "singing": singing,
    "keyboard": keyboard,
}


def sound(kind: str, seconds: float, seed: int) -> Samples:
    """``seconds`` of a kind of ``SOUNDS`` after the telephone. The same seed gives the same samples. Raises KeyError for another kind."""
    draw = np.random.default_rng([seed, *kind.encode()])
    return through_telephone(SOUNDS[kind](seconds, draw))
