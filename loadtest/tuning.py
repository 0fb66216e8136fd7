"""``python -m loadtest.tuning``: what each setting of the recogniser costs and gains, on recordings with a gold, as tables and one chart.

Costs are processor seconds of this process, which other work on the machine disturbs less than wall time; compare rows of one run, not
runs. Error rates are of whole channels through the pipeline of live calls (``streaming.batch``), one change at a time against the shipped
settings, with a 95% interval of the difference over channels (paired bootstrap).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import soundfile
import soxr

from copilot.assembly import engines
from copilot.domain.transcript import RecognizeRequest
from copilot.settings import Settings
from loadtest.charts import line_chart
from loadtest.scoring import cer
from loadtest.server_process import ROOT
from loadtest.statistics import paired_rate_difference
from streaming.asr.compact import compact_model
from streaming.asr.whisper import WhisperRecognizer
from streaming.asr.window import BUCKETS_MS
from streaming.batch import transcribe_file
from streaming.pipeline import PipelineConfig

Json = dict[str, Any]
_REPEATS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One change against the shipped settings. ``economy``: what decoders under load save (see ``RecognizeRequest``)."""

    name: str
    compact: bool = True
    beam: int = 5
    economy: int = 0
    change: Callable[[PipelineConfig], PipelineConfig] = lambda config: config


def _endpoint(milliseconds: int) -> Callable[[PipelineConfig], PipelineConfig]:
    return lambda config: replace(config, endpoint=replace(config.endpoint, end_ms=milliseconds), tail_ms=min(450, milliseconds))


TRIALS = (
    Trial(name="as shipped"),
    Trial(name="whole vocabulary", compact=False),
    Trial(name="beam 2", beam=2),
    Trial(name="greedy", beam=1),
    Trial(name="saving 1: beam 2, from 8 s", economy=1),
    Trial(name="saving 2: greedy, from 6 s", economy=2),
    Trial(name="utterances alone", change=lambda config: replace(config, lead_ms=0)),
    Trial(name="40 characters of text before", change=lambda config: replace(config, context_chars=40)),
    Trial(name="endpoint 300 ms", change=_endpoint(300)),
    Trial(name="endpoint 450 ms", change=_endpoint(450)),
    Trial(name="endpoint 800 ms", change=_endpoint(800)),
    Trial(name="pre-roll 200 ms", change=lambda config: replace(config, pre_roll_ms=200)),
)


class Saving:
    """The recogniser with ``economy`` set in every final, as the dispatcher does under load."""

    def __init__(self, inner: WhisperRecognizer, economy: int) -> None:
        self._inner = inner
        self._economy = economy

    @property
    def model_id(self) -> str:
        return self._inner.model_id

    def recognize(self, requests: Sequence[RecognizeRequest]) -> list[Any]:
        return list(self._inner.recognize([replace(request, economy=self._economy) for request in requests]))


def channels(folders: Sequence[Path]) -> list[tuple[Path, Json]]:
    return [(folder / "call.wav", json.loads((folder / "gold.json").read_text(encoding="utf-8"))) for folder in folders]


def run_trial(trial: Trial, recognizers: dict[bool, WhisperRecognizer], calls: Sequence[tuple[Path, Json]], settings: Settings) -> Json:
    """Errors per channel, finals, and processor seconds per second of audio."""
    recognizer = Saving(recognizers[trial.compact], trial.economy)
    vad = engines.open_vad(settings)
    config = trial.change(engines.pipeline_config(settings))
    finals, audio_ms, rows, began = 0, 0, [], time.process_time()
    for path, gold in calls:
        for heard in transcribe_file(path, recognizer, vad, "zh", beam_size=trial.beam, config=config):
            reference = "".join(turn["text"] for turn in gold["turns"] if turn["channel"] == heard.channel)
            rate, length = cer(reference, "".join(final.text for final in heard.finals))
            rows.append((round(rate * length), length))
            finals += len(heard.finals)
            audio_ms += heard.duration_ms
    cpu = time.process_time() - began
    return {
        "name": trial.name,
        "channels": rows,
        "cer": sum(errors for errors, _ in rows) / max(1, sum(length for _, length in rows)),
        "finals": finals,
        "cpu_per_audio_second": 1000 * cpu / max(1, audio_ms),
    }


def stage_costs(recognizers: dict[bool, WhisperRecognizer], audio: np.ndarray[Any, np.dtype[np.int16]]) -> list[Json]:
    """Processor ms of whole decodes of 2.5 s of speech, by window and vocabulary; the least of a few runs."""
    rows = []
    for window in (bucket for bucket in BUCKETS_MS if bucket <= 20_000):
        row: Json = {"window_ms": window}
        # Long enough for its window, speech at the front: what is said, and so the number of tokens, stays the same.
        samples = np.zeros(16 * max(0, window - 2_000), dtype="<i2")
        kept = min(len(samples), len(audio), 40_000)
        samples[:kept] = audio[:kept]
        request = RecognizeRequest(
            request_id="cost", call_id="cost", channel="customer", lane="partial", pcm16=samples.tobytes(), language="zh"
        )
        for compact, recognizer in recognizers.items():
            row["compact_ms" if compact else "whole_ms"] = _least(lambda r=recognizer, q=request: r.recognize([q]))  # type: ignore[misc]
        row["encode_ms"] = min(recognizers[True].encode_ms([request]) for _ in range(_REPEATS))
        rows.append(row)
    return rows


def _least(work: Callable[[], Any]) -> float:
    spent = []
    for _ in range(_REPEATS):
        began = time.process_time()
        work()
        spent.append(1000 * (time.process_time() - began))
    return min(spent)


def table(report: Json) -> str:
    """Markdown."""
    shipped = report["trials"][0]
    lines = ["| setting | CER | against shipped | finals | processor s per audio s |", "|---|---|---|---|---|"]
    for trial in report["trials"]:
        pairs = [(mine, theirs, size) for (mine, size), (theirs, _) in zip(trial["channels"], shipped["channels"], strict=True)]
        difference = paired_rate_difference(pairs)
        gap = "" if trial is shipped or difference is None else "{:+.3f} [{:+.3f}, {:+.3f}]".format(*difference)
        lines.append(f"| {trial['name']} | {trial['cer']:.3f} | {gap} | {trial['finals']} | {trial['cpu_per_audio_second']:.3f} |")
    lines += ["", "| window | encoder | whole decode, compact vocabulary | whole vocabulary |", "|---|---|---|---|"]
    for row in report["costs"]:
        lines.append(
            f"| {row['window_ms'] / 1000:g} s | {row['encode_ms']:.0f} ms | {row['compact_ms']:.0f} ms | {row['whole_ms']:.0f} ms |"
        )
    return "\n".join(lines)


def chart(report: Json) -> str:
    """An SVG that stands alone."""
    series = {
        name: [(row["window_ms"] / 1000, row[key]) for row in report["costs"]]
        for name, key in (("encoder", "encode_ms"), ("compact", "compact_ms"), ("whole", "whole_ms"))
    }
    svg = line_chart("A decode by its window", series, x_label="window, s", y_label="processor ms")
    style = "<style>text{font:12px sans-serif}.t{font-weight:600}.a{font-size:11px;fill:#57606a}.g{stroke:#d0d7de;fill:none}</style>"
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f">{style}", 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.tuning", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", help="folders with call.wav and gold.json (default: the rendered load calls)")
    parser.add_argument("--trials", nargs="*", help="only trials whose name begins so; the shipped settings are always tried")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "tuning.json")
    options = parser.parse_args()
    folders = options.folders or sorted(path.parent for path in (ROOT / "loadtest" / "scenarios" / "load").glob("*/call.wav"))
    settings = Settings(data_dir=ROOT / "var")
    source = engines.asr_directory(settings)
    compact = compact_model(source, settings.models_dir / "derived")
    recognizers = {
        True: WhisperRecognizer(source, "cpu", "int8", 1, compact_dir=compact),
        False: WhisperRecognizer(source, "cpu", "int8", 1),
    }
    calls = channels(folders)
    samples, rate = soundfile.read(calls[0][0], dtype="float32", always_2d=True)
    turn = calls[0][1]["turns"][2]
    side = ("customer", "agent").index(turn["channel"])
    speech = soxr.resample(samples[turn["start_ms"] * rate // 1000 :, side], rate, 16_000)
    report: Json = {"calls": [folder.name for folder in folders], "trials": []}
    report["costs"] = stage_costs(recognizers, np.clip(np.rint(speech * 32768), -32768, 32767).astype("<i2"))
    for trial in TRIALS:
        if trial is TRIALS[0] or not options.trials or any(trial.name.startswith(name) for name in options.trials):
            report["trials"].append(run_trial(trial, recognizers, calls, settings))
            row = report["trials"][-1]
            print(f"{trial.name}: CER {row['cer']:.4f}, {row['cpu_per_audio_second']:.3f} cores", file=sys.stderr, flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, ensure_ascii=False, indent=2), encoding="utf-8")
    options.out.with_suffix(".svg").write_text(chart(report) + "\n", encoding="utf-8")
    print(table(report))


if __name__ == "__main__":
    main()
