"""Real recordings as a call: ``python -m loadtest.clips_call --clips ../shared/data/speech --out call.wav``.

Puts single clips on a two-channel telephone time line with a stated share of speech and writes ``call.wav`` (8 kHz, mu-law, customer left)
and ``call.gold.json`` (turns). The clips stay where they are: nothing of them belongs in this repository.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from loadtest.synth import CHANNELS, NOISE_RMS, PEAK, PlacedTurn, band_pass, trim, write_json

Samples = npt.NDArray[np.float32]
RATE_HZ = 8000
_SHORTEST_GAP_MS = 600
"""Less would run two clips into one utterance."""


class NoClips(Exception):
    """The folder of recordings is not there or holds none of the language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One recording, trimmed, at 8 kHz and the level of all others."""

    text: str
    samples: Samples

    @property
    def duration_ms(self) -> int:
        return len(self.samples) * 1000 // RATE_HZ


def read_clips(folder: Path, language: str = "zh") -> list[Clip]:
    """The clips of ``folder/manifest.jsonl`` (file, text, lang) in the given language. Raises NoClips."""
    manifest = folder / "manifest.jsonl"
    if not manifest.is_file():
        raise NoClips(f"{manifest} is not there: give --clips a folder with a manifest.jsonl of recordings (file, text, lang).")
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines() if line.strip()]
    wanted = [line for line in lines if line["lang"] == language and line.get("text")]
    if not wanted:
        raise NoClips(f"{manifest} lists no clip in {language!r} with a text.")
    clips = []
    for line in wanted:
        path = folder / line["file"]
        if not path.is_file():
            raise NoClips(f"{path} is listed in the manifest but is not there: the folder is not complete.")
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
        mono = np.asarray(soxr.resample(samples[:, 0], rate, RATE_HZ), dtype=np.float32)
        mono = band_pass(trim(mono, RATE_HZ), RATE_HZ)
        clips.append(Clip(text=line["text"], samples=mono * np.float32(PEAK / max(float(np.abs(mono).max()), 1e-6))))
    return clips


def place_clips(durations_ms: Sequence[int], total_ms: int, share: float, draw: np.random.Generator) -> list[tuple[int, int]]:
    """(clip, start ms) for one side: clips in shuffled rounds, gaps so that speech stays near ``share`` of the time gone by.

    The first clip begins within the first pause, so that two sides do not start together. Raises ValueError for a share outside 0.05–0.9.
    """
    if not 0.05 <= share <= 0.9:
        raise ValueError(f"a share of speech of {share} cannot be made: it must lie between 0.05 and 0.9")
    placed: list[tuple[int, int]] = []
    spoken = 0
    at = int(draw.uniform(300, 300 + 4000 * (1 - share)))
    for clip in _rounds(len(durations_ms), draw):
        duration = durations_ms[clip]
        if at + duration > total_ms:
            return placed
        placed.append((clip, at))
        spoken += duration
        # Elapsed time at which the share is right, give or take a third of the gap.
        gap = spoken / share - (at + duration)
        at += duration + max(_SHORTEST_GAP_MS, round(gap * draw.uniform(0.67, 1.33)))
    raise AssertionError("rounds do not end")


def _rounds(count: int, draw: np.random.Generator) -> Iterator[int]:
    while True:
        yield from (int(index) for index in draw.permutation(count))


def build(clips: Sequence[Clip], seconds: float, share: float, seed: int) -> tuple[Samples, list[PlacedTurn]]:
    """Samples ``[n, 2]`` and turns in order of their start. The same seed gives the same call."""
    total = round(seconds * RATE_HZ)
    turns: list[PlacedTurn] = []
    sides = []
    for index, channel in enumerate(CHANNELS):
        draw = np.random.default_rng([seed, index])
        side = draw.normal(0, NOISE_RMS, total).astype(np.float32)
        for number, start in place_clips([clip.duration_ms for clip in clips], round(seconds * 1000), share, draw):
            clip = clips[number]
            at = start * RATE_HZ // 1000
            side[at : at + len(clip.samples)] += clip.samples[: total - at]
            turns.append(PlacedTurn(channel=channel, start_ms=start, end_ms=start + clip.duration_ms, text=clip.text))
        sides.append(side)
    return np.stack(sides, axis=1), sorted(turns, key=lambda turn: turn.start_ms)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.clips_call", description="Real recordings on a call's time line.")
    parser.add_argument("--clips", type=Path, required=True, help="a folder with manifest.jsonl and recordings")
    parser.add_argument("--out", type=Path, required=True, help="the WAV file; the gold goes beside it as NAME.gold.json")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--share", type=float, default=0.45, help="of the time that each side speaks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--language", default="zh")
    options = parser.parse_args(arguments)
    try:
        clips = read_clips(options.clips, options.language)
    except NoClips as error:
        print(error, file=sys.stderr)
        return 2
    stereo, turns = build(clips, options.seconds, options.share, options.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(options.out, stereo, RATE_HZ, subtype="ULAW")
    said = [{"channel": turn.channel, "start_ms": turn.start_ms, "end_ms": turn.end_ms, "text": turn.text} for turn in turns]
    write_json(options.out.with_suffix(".gold.json"), {"language": options.language, "turns": said})
    shares = {c: round(sum(t.end_ms - t.start_ms for t in turns if t.channel == c) / 1000 / options.seconds, 3) for c in CHANNELS}
    print(json.dumps({"file": options.out.name, "seconds": options.seconds, "turns": len(turns), "speech_share": shares}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
