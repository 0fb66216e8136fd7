"""Calls laid out from single recordings of speech with known text: the hardest audio at hand, made when it is needed, never kept.

A directory of clips has a ``manifest.jsonl`` (in it or above it): one JSON object a line with ``file``, ``lang`` and ``text``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from copilot.domain.errors import InvalidInput
from loadtest.excerpts import Utterance
from streaming.telephony import g711

RATE_HZ = 8_000
_PEAK = 0.5
_FRAME = 160
_SPEECH_DB = -40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One channel of a call as the telephone network carries it: 8 kHz samples [n] that have been through μ-law, and what is said."""

    name: str
    samples: NDArray[np.int16]
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """8 kHz samples [n] in [-1, 1]; speech from ``start`` to ``end`` (samples)."""

    samples: NDArray[np.float32]
    text: str
    start: int
    end: int


def speech_bounds(samples: NDArray[np.float32]) -> tuple[int, int]:
    """First and last 20 ms frame within 40 dB of the loudest one, as samples. Raises InvalidInput for silence."""
    count = len(samples) // _FRAME
    power = np.mean(samples[: count * _FRAME].reshape(count, _FRAME).astype(np.float64) ** 2, axis=1) if count else np.zeros(1)
    if power.max() <= 0:
        raise InvalidInput("A clip without sound has no speech to time: take it out of the manifest.")
    loud = np.flatnonzero(10 * np.log10(power / power.max() + 1e-12) > _SPEECH_DB)
    return int(loud[0]) * _FRAME, (int(loud[-1]) + 1) * _FRAME


def load_clips(manifest: Path, language: str) -> list[Clip]:
    """Every clip of ``language`` whose text is known. Raises InvalidInput without any."""
    clips = []
    for line in manifest.read_text(encoding="utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line)
        if entry["lang"].split("-")[0] != language or not entry.get("text"):
            continue
        samples, rate = soundfile.read(manifest.parent / entry["file"], dtype="float32", always_2d=True)
        mono = np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE_HZ), dtype=np.float32)
        mono *= _PEAK / max(float(np.abs(mono).max()), 1e-6)
        start, end = speech_bounds(mono)
        clips.append(Clip(samples=mono, text=entry["text"], start=start, end=end))
    if not clips:
        raise InvalidInput(f"{manifest} has no clip in {language} with a text.")
    return clips


def telephone(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples [n] in [-1, 1] as they come out of a μ-law line."""
    linear = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype(np.int16)
    return g711.decode(g711.encode(linear, "pcmu"), "pcmu")


def lay_out(clips: Sequence[Clip], *, name: str, seconds: float, share: float, seed: int) -> Leg:
    """A leg of ``seconds`` in which clips, drawn without repeating until all were used, speak for about ``share`` of the time."""
    draw = random.Random(seed)
    chosen: list[Clip] = []
    pool: list[Clip] = []
    spoken = 0
    while True:
        if not pool:
            pool = draw.sample(list(clips), k=len(clips))
        clip = pool.pop()
        if spoken + (clip.end - clip.start) > share * seconds * RATE_HZ and chosen:
            break
        chosen.append(clip)
        spoken += clip.end - clip.start
    total = int(seconds * RATE_HZ)
    spare = max(0, total - sum(len(clip.samples) for clip in chosen))
    weights = [draw.uniform(0.5, 1.5) for _ in range(len(chosen) + 1)]
    gaps = [int(spare * weight / sum(weights)) for weight in weights]
    line = np.zeros(max(total, total - spare), dtype=np.float32)
    utterances, at = [], 0
    for clip, gap in zip(chosen, gaps, strict=False):
        at += gap
        line[at : at + len(clip.samples)] = clip.samples[: len(line) - at]
        start_ms, end_ms = (1000 * (at + place) // RATE_HZ for place in (clip.start, clip.end))
        utterances.append(Utterance(channel=name, start_ms=start_ms, end_ms=end_ms, text=clip.text))
        at += len(clip.samples)
    return Leg(name=name, samples=telephone(line), utterances=tuple(utterances))


def scenario_legs(folder: Path, *, seconds: float | None = None) -> list[Leg]:
    """The legs of a scenario (``call.wav`` and ``gold.json``), cut after ``seconds`` at the end of the last turn that fits."""
    samples, rate = soundfile.read(folder / "call.wav", dtype="int16", always_2d=True)
    if rate != RATE_HZ:
        raise InvalidInput(f"{folder / 'call.wav'} has {rate} Hz: telephone legs have {RATE_HZ}.")
    turns = json.loads((folder / "gold.json").read_text(encoding="utf-8"))["turns"]
    if seconds is not None:
        fitting = [turn["end_ms"] <= 1000 * seconds - 1000 for turn in turns]
        turns = turns[: fitting.index(False)] if False in fitting else turns
        samples = samples[: (turns[-1]["end_ms"] + 300) * RATE_HZ // 1000]
    legs = []
    for index, name in enumerate(("customer", "agent")[: samples.shape[1]]):
        said = [Utterance(channel=name, start_ms=t["start_ms"], end_ms=t["end_ms"], text=t["text"]) for t in turns if t["channel"] == name]
        legs.append(Leg(name=name, samples=np.ascontiguousarray(samples[:, index]), utterances=tuple(said)))
    return legs
