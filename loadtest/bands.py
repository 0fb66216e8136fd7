"""What the telephone takes away: ``python -m loadtest.bands --clips DIR`` or ``python -m loadtest.bands --calls SCENARIO…``.

Sends the same speech through several lines (16 kHz linear, G.711 mu-law and A-law, an analogue trunk's steep 300 to 3,400 Hz) into the live
path and reports what the voice detector covers and what the recogniser makes of it. ``--start`` tries other onset thresholds of the VAD.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from copilot.domain.audio import Encoding, LegFormat
from loadtest.channel_run import ChannelOutcome, Engine, run_channel, to_wire
from loadtest.noises import open_engine
from loadtest.offline import recordings, summary
from loadtest.synth import CHANNELS, NOISE_RMS, PEAK, trim
from loadtest.turn_errors import TurnErrors, turn_errors

Samples = npt.NDArray[np.float64]
ANALOGUE_HZ = (300.0, 3400.0)
_TAPS_PER_KHZ = 40
"""A transition of about 140 Hz at either edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A way from mouth to recogniser."""

    name: str
    encoding: Encoding
    rate_hz: int
    analogue: bool = False


LINES = (
    Line(name="linear, 16 kHz", encoding="pcm_s16le", rate_hz=16_000),
    Line(name="mu-law, 8 kHz", encoding="pcmu", rate_hz=8_000),
    Line(name="A-law, 8 kHz", encoding="pcma", rate_hz=8_000),
    Line(name="mu-law, 8 kHz, 300–3,400 Hz", encoding="pcmu", rate_hz=8_000, analogue=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of one call: samples at ``rate_hz`` and what is said when (ms)."""

    samples: Samples
    rate_hz: int
    turns: Sequence[tuple[int, int, str]]


def analogue_band(samples: Samples, rate_hz: int) -> Samples:
    """300 to 3,400 Hz with steep edges: a linear-phase windowed sinc, its delay taken out."""
    taps = _TAPS_PER_KHZ * rate_hz // 1000 | 1
    n = np.arange(taps) - (taps - 1) / 2
    low, high = (2 * hz / rate_hz for hz in ANALOGUE_HZ)
    kernel = (high * np.sinc(high * n) - low * np.sinc(low * n)) * np.blackman(taps)
    return np.asarray(np.convolve(samples, kernel, mode="same"))


def over(line: Line, side: Side) -> tuple[bytes, LegFormat]:
    """The side as it arrives over the line, at the peak it had before."""
    samples = side.samples
    if side.rate_hz != line.rate_hz:
        samples = np.asarray(soxr.resample(samples, side.rate_hz, line.rate_hz), dtype=np.float64)
    if line.analogue:
        peak = np.abs(samples).max()
        samples = analogue_band(samples, line.rate_hz)
        samples = samples * (peak / max(1e-9, np.abs(samples).max()))
    return to_wire(samples, line.encoding), LegFormat(channel="customer", encoding=line.encoding, sample_rate_hz=line.rate_hz)


def sides_of_clips(folder: Path, language: str = "zh", gap_ms: int = 900) -> list[Side]:
    """All recordings of a folder one after another at 16 kHz, at equal peaks over a faint line."""
    rate, draw = 16_000, np.random.default_rng(3)
    pieces: list[Samples] = [np.zeros(rate * gap_ms // 1000)]
    turns: list[tuple[int, int, str]] = []
    for text in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        clip = json.loads(text)
        if clip["lang"] != language or not clip.get("text"):
            continue
        samples, from_rate = soundfile.read(str(folder / clip["file"]), dtype="float32", always_2d=True)
        if from_rate < rate:
            continue  # recorded over a telephone already
        mono = trim(np.asarray(soxr.resample(samples[:, 0], from_rate, rate), dtype=np.float32), rate)
        start = sum(len(piece) for piece in pieces) * 1000 // rate
        turns.append((start, start + len(mono) * 1000 // rate, clip["text"]))
        pieces += [mono.astype(np.float64) * (PEAK / max(float(np.abs(mono).max()), 1e-6)), np.zeros(rate * gap_ms // 1000)]
    whole = np.concatenate(pieces)
    return [Side(samples=whole + draw.normal(0, NOISE_RMS, len(whole)), rate_hz=rate, turns=turns)]


def sides_of_calls(folders: Sequence[Path]) -> list[Side]:
    """Both channels of every scenario."""
    sides = []
    for _, wav, gold in recordings(folders):
        stereo, rate = soundfile.read(str(wav), dtype="float64", always_2d=True)
        turns = json.loads(gold.read_text(encoding="utf-8"))["turns"]
        for index, channel in enumerate(CHANNELS):
            said = [(turn["start_ms"], turn["end_ms"], turn["text"]) for turn in turns if turn["channel"] == channel]
            sides.append(Side(samples=stereo[:, index], rate_hz=rate, turns=sorted(said)))
    return sides


def coverage(outcome: ChannelOutcome, side: Side) -> tuple[int, int, int]:
    """(ms of turns, ms of them that the VAD took for speech, turns of which it took nothing)."""
    wanted = covered = untouched = 0
    for start, end, _ in side.turns:
        inside = sum(max(0, min(end, b) - max(start, a)) for a, b in outcome.spans)
        wanted, covered = wanted + end - start, covered + inside
        untouched += inside == 0
    return wanted, covered, untouched


def measure(engine: Engine, line: Line, sides: Sequence[Side]) -> dict[str, Any]:
    """One row: a line with an engine over all sides."""
    scored: list[TurnErrors] = []
    wanted = covered = untouched = 0
    for side in sides:
        payload, leg = over(line, side)
        outcome = run_channel(engine, payload, leg)
        scored += turn_errors([text for _, _, text in side.turns], outcome.text)
        one = coverage(outcome, side)
        wanted, covered, untouched = wanted + one[0], covered + one[1], untouched + one[2]
    found = summary(scored, 1000)
    return {
        "line": line.name,
        "start": engine.config.endpoint.start_probability,
        "covered": round(covered / max(1, wanted), 4),
        "turns_without_vad": untouched,
        **{name: found[name] for name in ("turns", "turns_missed", "characters", "cer", "cer_95")},
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| line | onset | turn time covered by the VAD | turns missed | CER (95%) |", "|---|---|---|---|---|"]
    for row in rows:
        low, high = row["cer_95"]
        lines.append(
            f"| {row['line']} | {row['start']:g} | {row['covered']:.0%} | {row['turns_missed']} of {row['turns']} "
            f"| {row['cer']:.3f} ({low:.3f}–{high:.3f}) |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bands", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--clips", type=Path, help="a folder with manifest.jsonl and recordings of 16 kHz or more")
    source.add_argument("--calls", type=Path, nargs="+", help="scenario folders (8 kHz already: the 16 kHz line tells nothing)")
    parser.add_argument(
        "--lines", type=int, nargs="+", choices=range(len(LINES)), default=list(range(len(LINES))), help="which of the lines"
    )
    parser.add_argument("--start", type=float, nargs="+", help="onset thresholds of the VAD to try (default: the installation's)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    engine = replace(open_engine(), partial_every_ms=0)
    sides = sides_of_clips(options.clips) if options.clips else sides_of_calls(options.calls)
    rows = []
    for start in options.start or [engine.config.endpoint.start_probability]:
        endpoint = replace(
            engine.config.endpoint, start_probability=start, end_probability=min(engine.config.endpoint.end_probability, start * 0.7)
        )
        tried = replace(engine, config=replace(engine.config, endpoint=endpoint))
        for index in options.lines:
            rows.append(measure(tried, LINES[index], sides))
            print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr, flush=True)
    print(table(rows))
    if options.out:
        options.out.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
