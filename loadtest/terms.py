"""Bank terms in recognised speech, measured: ``python -m loadtest.terms``.

The sentences of ``tests/data/terms`` are recognised by the engine of live calls, with and without hotwords, and finished with and without
the correction of terms. Each clip is decoded once per set of hotwords; what the decoder said is kept under ``var/terms``, so that a change
of the corrector is measured again without decoding. Prints a table; ``--json`` writes every figure.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from copilot.assembly import engines
from copilot.domain.ports.asr import Recognizer
from copilot.domain.transcript import Hypothesis, RecognizeRequest, Word
from copilot.live.packs import lexicon_terms
from copilot.settings import Settings
from loadtest.mulaw_steps import from_steps
from loadtest.server_process import ROOT
from loadtest.term_scoring import Estimate, Outcome, Summary, judge, summarise
from loadtest.term_set import TermSentence, parse_sentences
from streaming.asr.finishing import finisher
from streaming.asr.itn import find_itn
from streaming.asr.lexicon import Lexicon
from streaming.batch import transcribe_file
from streaming.pipeline import PipelineConfig
from streaming.vad.silero import SileroVad

FOLDER = ROOT / "tests" / "data" / "terms"
LEXICON = ROOT / "kb" / "samples" / "bank" / "lexicon.yaml"
CONDITIONS: Mapping[str, tuple[bool, bool]] = {
    "plain": (False, False),
    "hotwords only": (True, False),
    "correction only": (False, True),
    "both": (True, True),
}
"""Row → (hotwords, correction)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A sentence and where it lies in a file, in samples."""

    sentence: TermSentence
    file: Path
    start: int
    end: int


def load_clips(folder: Path, name: str) -> list[Clip]:
    """The clips of one set. Raises ValueError when a file is not the one of the manifest."""
    sentences = {row.sentence_id: row for row in parse_sentences((folder / f"{name}.tsv").read_text(encoding="utf-8"))}
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    clips: list[Clip] = []
    for entry in manifest["files"]:
        if entry["set"] != name:
            continue
        path = folder / entry["file"]
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            raise ValueError(f"{path.name} is not the file of the manifest: render it again or restore it")
        clips += [Clip(sentence=sentences[row["id"]], file=path, start=row["start"], end=row["end"]) for row in entry["clips"]]
    return sorted(clips, key=lambda clip: clip.sentence.sentence_id)


def read_clip(clip: Clip) -> tuple[npt.NDArray[np.int16], int]:
    """Its samples and their rate in Hz."""
    steps, rate = soundfile.read(clip.file, start=clip.start, stop=clip.end, dtype="int16")
    return from_steps((steps >> 8).astype(np.int8)), int(rate)


class RememberingRecognizer:
    """Keeps what a recogniser answered, under the audio and everything else of the request that matters. ``path``: None forgets."""

    def __init__(self, recognizer: Recognizer, path: Path | None) -> None:
        self._recognizer = recognizer
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, Hypothesis] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                key, answer = json.loads(line)
                words = tuple(Word(**word) for word in answer.pop("words"))
                self._known[key] = Hypothesis(**answer, words=words)

    @property
    def model_id(self) -> str:
        return self._recognizer.model_id

    def recognize(self, requests: Sequence[RecognizeRequest]) -> list[Hypothesis]:
        """As the port says."""
        return [self._one(request) for request in requests]

    def _one(self, request: RecognizeRequest) -> Hypothesis:
        asked = [request.lane, request.language, request.previous_text, request.hotwords, request.beam_size, request.word_times]
        key = hashlib.sha256(json.dumps([self.model_id, *asked], ensure_ascii=False).encode() + request.pcm16).hexdigest()[:24]
        if key not in self._known:
            (answer,) = self._recognizer.recognize([request])
            with self._lock:
                self._known[key] = answer
                if self._path is not None:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    with self._path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps([key, asdict(answer)], ensure_ascii=False) + "\n")
        return self._known[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What recognises: the engine of live calls, as set up for this installation."""

    recognizer: RememberingRecognizer
    vad: SileroVad
    config: PipelineConfig
    lexicon: Lexicon
    terms: tuple[str, ...]

    def hear(self, clip: Clip, *, hotwords: bool, correction: bool) -> Outcome:
        """One sentence under one condition."""
        samples, rate = read_clip(clip)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.wav"
            soundfile.write(path, samples, rate, subtype="PCM_16")
            (channel,) = transcribe_file(
                path,
                self.recognizer,
                self.vad,
                "zh",
                nearby=self.lexicon.near_terms if hotwords else None,
                finish=finisher(self.lexicon.find_corrections, find_itn) if correction else finisher(find_itn),
                beam_size=self.config.final_beam,
                config=self.config,
            )
        corrections = [
            (item.original, item.corrected) for final in channel.finals for item in final.corrections if item.reason == "lexicon"
        ]
        return judge(clip.sentence, "".join(final.text for final in channel.finals), corrections, self.terms)


def measure(clips: Sequence[Clip], bench: Bench, conditions: Sequence[str], workers: int = 1) -> dict[str, list[Outcome]]:
    """Condition → the outcome of every clip."""
    results = {}
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for condition in conditions:
            hotwords, correction = CONDITIONS[condition]
            hear = functools.partial(bench.hear, hotwords=hotwords, correction=correction)
            results[condition] = list(pool.map(hear, clips))
    return results


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f}% ({100 * estimate.low:.1f}–{100 * estimate.high:.1f}; {estimate.count}/{estimate.of})"


def table(summaries: Mapping[str, Summary]) -> str:
    """A Markdown table, one row per condition."""
    lines = ["| | bank-term recall | false corrections | false terms | wrong corrections | CER |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {_percent(row.recall)} | {_percent(row.false_corrections)} | {_percent(row.false_terms)}"
        f" | {_percent(row.wrong_corrections)} | {row.cer:.3f} |"
        for name, row in summaries.items()
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.terms", description="Measures bank terms in recognised speech.")
    parser.add_argument("--set", choices=("dev", "test", "both"), default="both", dest="which")
    parser.add_argument("--condition", choices=tuple(CONDITIONS), action="append", help="only these rows")
    parser.add_argument("--json", type=Path, help="write every figure here")
    parser.add_argument("--misses", action="store_true", help="print what was missed and what was wrongly corrected")
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "terms", help="what the decoder said")
    options = parser.parse_args(arguments)
    settings = Settings()
    lexicon = lexicon_terms(LEXICON.read_text(encoding="utf-8"))
    recognizer = engines.open_recognizer(settings)
    bench = Bench(
        recognizer=RememberingRecognizer(recognizer, options.cache / "heard.jsonl"),
        vad=engines.open_vad(settings),
        config=engines.pipeline_config(settings),
        lexicon=engines.open_lexicon(lexicon),
        terms=tuple(term.text for term in lexicon),
    )
    document: dict[str, Any] = {"model": recognizer.model_id, "beam": settings.asr.beam_size, "sets": {}}
    for name in ("dev", "test") if options.which == "both" else (options.which,):
        clips = load_clips(FOLDER, name)
        outcomes = measure(clips, bench, options.condition or tuple(CONDITIONS), recognizer.workers)
        summaries = {condition: summarise(rows) for condition, rows in outcomes.items()}
        document["sets"][name] = {
            condition: asdict(summary) | {"outcomes": [asdict(row) for row in outcomes[condition]]}
            for condition, summary in summaries.items()
        }
        print(f"\n{name}: {len(clips)} sentences\n\n{table(summaries)}")
        if options.misses:
            for condition, rows in outcomes.items():
                _print_misses(condition, rows)
    if options.json:
        options.json.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 0


def _print_misses(condition: str, rows: Sequence[Outcome]) -> None:
    print(f"\n{condition}")
    for row in rows:
        if row.missed or row.wrong_corrections:
            print(
                f"  {row.sentence.sentence_id} missed {row.missed} wrong {row.wrong_corrections}\n    {row.sentence.text}\n    {row.text}"
            )


if __name__ == "__main__":
    sys.exit(main())
