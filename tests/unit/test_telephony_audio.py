"""Leg audio: what recognition hears lies where the wire said, whatever the rate, the chunking and the gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.domain.audio import LegFormat, MediaFrame
from streaming.audio.leg import LegAudio
from streaming.telephony import g711


def leg(encoding="pcm_s16le", rate=8000):
    return LegFormat(channel="customer", encoding=encoding, sample_rate_hz=rate)


def timeline(chunks, total_ms):
    """The chunks laid on a 16 kHz line by their own start times."""
    line = np.zeros(total_ms * 16, np.int16)
    for chunk in chunks:
        samples = np.frombuffer(chunk.pcm16, "<i2")
        line[chunk.start_ms * 16 : chunk.start_ms * 16 + len(samples)] = samples
    return line


def send(audio, samples, encoding, start, step):
    chunks = []
    for at in range(0, len(samples), step):
        payload = g711.encode(samples[at : at + step], encoding)
        chunks += audio.receive(MediaFrame(channel="customer", start_sample=start + at, payload=payload))
    return chunks


@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcmu", "pcma"])
@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("step", [80, 160, 333])
def test_a_click_lands_within_two_ms(encoding, rate, step):
    samples = np.zeros(rate, np.int16)
    for ms in (150, 700):
        samples[ms * rate // 1000] = 20000
    audio = LegAudio(leg(encoding, rate))
    line = timeline(send(audio, samples, encoding, 0, step) + audio.flush(), 1100)
    for ms in (150, 700):
        window = line[(ms - 100) * 16 : (ms + 100) * 16].astype(np.int32)
        assert abs(int(np.argmax(abs(window))) / 16 - 100) <= 2


def test_a_click_after_a_gap_lands_where_the_wire_says():
    samples = np.zeros(1600, np.int16)
    samples[800] = 20000
    audio = LegAudio(leg())
    chunks = send(audio, samples, "pcm_s16le", 0, 160) + send(audio, samples, "pcm_s16le", 80_003, 160) + audio.flush()
    line = timeline(chunks, 10_400)
    assert abs(int(np.argmax(abs(line[:16_000].astype(np.int32)))) / 16 - 100) <= 2
    assert abs((int(np.argmax(abs(line[16_000:].astype(np.int32)))) + 16_000) / 16 - (80_003 + 800) / 8) <= 2


def test_the_delay_is_a_constant_two_ms():
    audio, sent, got, lags = LegAudio(leg()), 0, 0, set()
    for at in range(0, 80_000, 160):
        got += sum(len(c.pcm16) // 2 for c in audio.receive(MediaFrame(channel="customer", start_sample=at, payload=bytes(320))))
        sent += 320
        if at > 8000:
            lags.add((sent - got) // 16)
    assert lags <= {2, 3}


def test_telephone_speech_band_is_kept_flat_and_no_image_appears_above_it():
    t = np.arange(16_000) / 8000
    tones = sum(np.sin(2 * np.pi * f * t) for f in (300, 1000, 2000, 3000, 3300)) * 5000
    audio = LegAudio(leg())
    line = timeline(send(audio, tones.astype(np.int16), "pcm_s16le", 0, 160) + audio.flush(), 2000)[8000:24_000]
    spectrum = abs(np.fft.rfft(line * np.hanning(16_000))) * 4 / 16_000
    for f in (300, 1000, 2000, 3000, 3300):
        assert spectrum[f] == pytest.approx(5000, rel=0.02)
        assert spectrum[8000 - f] < 5


@given(cuts=st.lists(st.integers(min_value=1, max_value=700), min_size=1, max_size=30))
@settings(max_examples=30)
def test_chunking_changes_no_sample(cuts):
    rng = np.random.default_rng(7)
    samples = rng.integers(-20_000, 20_000, 4000).astype(np.int16)

    def run(edges):
        audio, chunks = LegAudio(leg()), []
        for start, end in edges:
            frame = MediaFrame(channel="customer", start_sample=start, payload=samples[start:end].tobytes())
            chunks += audio.receive(frame)
        chunks += audio.flush()
        assert b"".join(c.pcm16 for c in chunks) == timeline(chunks, 500).tobytes()
        return b"".join(c.pcm16 for c in chunks)

    edges, at = [], 0
    for cut in cuts:
        if at < 4000:
            edges.append((at, min(4000, at + cut)))
            at += cut
    if at < 4000:
        edges.append((at, 4000))
    assert run(edges) == run([(0, 4000)])


def test_half_a_sample_is_an_error():
    with pytest.raises(ValueError):
        LegAudio(leg()).receive(MediaFrame(channel="customer", start_sample=0, payload=b"\x00\x00\x00"))
