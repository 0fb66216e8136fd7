"""Renders the sentences of ``tests/data/terms``: ``python -m loadtest.terms_audio tests/data/terms``.

Needs the packaged voices in a venv of their own (see ``loadtest.synth``). One FLAC file per set and voice, 8 kHz mono, of the steps of
G.711 mu-law (``loadtest.mulaw_steps``); ``manifest.json`` says where each sentence lies in it. What is rendered comes from the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import yaml

from loadtest import synth
from loadtest.mulaw_steps import to_steps
from loadtest.term_set import TermSentence, parse_sentences, spoken_form

RATE_HZ = 8000
LEAD_MS = 300
TAIL_MS = 500
"""Line noise before and after each sentence; both belong to the clip."""


def mulaw(samples: synth.Samples) -> npt.NDArray[np.int16]:
    """What is left of samples in [-1, 1] after G.711 mu-law."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, format="WAV", subtype="ULAW")
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="int16")
    return np.asarray(decoded, dtype=np.int16)


def clip(spoken: synth.Samples, source_rate: int, noise: np.random.Generator) -> npt.NDArray[np.int16]:
    """One sentence as it comes over the line: 8 kHz, the telephone band, a low noise floor, mu-law."""
    lead, tail = LEAD_MS * RATE_HZ // 1000, TAIL_MS * RATE_HZ // 1000
    samples = synth.band_pass(np.pad(np.asarray(soxr.resample(spoken, source_rate, RATE_HZ), dtype=np.float32), (lead, tail)), RATE_HZ)
    samples *= synth.PEAK / max(float(np.abs(samples).max()), 1e-6)
    return mulaw(samples + noise.normal(0, synth.NOISE_RMS, len(samples)).astype(np.float32))


def render_set(
    name: str,
    sentences: Sequence[TermSentence],
    voices: Sequence[synth.Voice],
    said: dict[str, str],
    renderer: synth.Renderer,
    out: Path,
    *,
    only_cached: bool,
) -> list[dict[str, Any]]:
    """Writes the files of one set; the manifest entry of each."""
    entries = []
    for turn, voice in enumerate(voices):
        pieces: list[npt.NDArray[np.int16]] = []
        clips: list[dict[str, Any]] = []
        at = 0
        for index in range(turn, len(sentences), len(voices)):
            sentence = sentences[index]
            text = spoken_form(sentence.text, said)
            if only_cached and not renderer.has(text, "zh", voice):
                continue
            spoken, rate = renderer.turn(text, "zh", voice)
            pieces.append(clip(spoken, rate, np.random.default_rng(index)))
            clips.append({"id": sentence.sentence_id, "start": at, "end": at + len(pieces[-1])})
            at += len(pieces[-1])
            print(f"{name} {voice.voice} {len(clips)} {at / RATE_HZ:.0f} s", file=sys.stderr, flush=True)
        path = out / f"{name}-{voice.voice}.flac"
        steps = to_steps(np.concatenate(pieces)).astype(np.int16) << 8  # libsndfile keeps the upper eight bits
        soundfile.write(path, steps, RATE_HZ, subtype="PCM_S8", compression_level=1.0)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        entries.append({"set": name, "file": path.name, "sha256": digest, "voice": voice.voice, "speed": voice.speed, "clips": clips})
    return entries


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.terms_audio", description="Renders the sentences with bank terms.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=synth.CACHE)
    parser.add_argument("--warm", help="I/N: only speak part I of N into the cache, so that processes can share the work")
    parser.add_argument("--only-cached", action="store_true", help="leave out sentences that are not spoken yet")
    options = parser.parse_args(arguments)
    source = synth.KokoroVoices()
    renderer = synth.Renderer(source, options.cache)
    raw = yaml.safe_load((options.folder / "sets.yaml").read_text(encoding="utf-8"))
    files: list[dict[str, Any]] = []
    for name, listed in raw["sets"].items():
        voices = [synth.parse_voice(voice) for voice in listed]
        sentences = parse_sentences((options.folder / f"{name}.tsv").read_text(encoding="utf-8"))
        if options.warm:
            part, parts = map(int, options.warm.split("/"))
            for index in range(part, len(sentences), parts):
                renderer.turn(spoken_form(sentences[index].text, raw["said"]), "zh", voices[index % len(voices)])
                print(name, index, file=sys.stderr, flush=True)
            continue
        files += render_set(name, sentences, voices, raw["said"], renderer, options.folder, only_cached=options.only_cached)
    if not options.warm:
        manifest = {"sample_rate_hz": RATE_HZ, "encoding": "mu-law steps", "band_hz": list(synth.BAND_HZ)}
        synth.write_json(
            options.folder / "manifest.json", manifest | {"source": source.identity, "licence": source.licence, "files": files}
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
