"""What the recogniser makes of spoken queries: ``python -m loadtest.spoken_queries speak``, then ``… hear``.

A part of ``tests/data/kb_eval`` is spoken by the packaged Mandarin voices, sent through the telephone band and mu-law, and recognised as
the calls of this installation are (terms put right, numbers written). The texts are kept as ``spoken.{dev,test}.zh.jsonl`` beside the
queries: ``pangting kb eval --queries`` takes them. The audio is not kept in the repository; both steps take up where they stopped.

``speak`` needs the voices in a venv of their own (see ``loadtest.synth``), ``hear`` the product's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from loadtest import synth
from loadtest.terms_audio import RATE_HZ, clip

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "data" / "kb_eval"
AUDIO = ROOT / "var" / "spoken"
VOICES = {
    "dev": (("jf_gongitsune", 1.1), ("jf_tebukuro", 1.0)),
    "test": (("jm_kumo", 0.95), ("jf_nezumi", 1.05), ("jf_alpha", 0.9)),
}
"""Set → (voice, speed), taken in turn. No voice speaks in both."""

COUNTS = {"dev": 47, "test": 80}
_LATIN = re.compile(r"[0-9A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenQuery:
    """One query to speak: ``row`` is its line in the file of queries."""

    row: dict[str, Any]
    voice: synth.Voice
    path: Path


def chosen(name: str, folder: Path, audio: Path) -> list[SpokenQuery]:
    """The first queries in the order of their hashes, so that any number of them is a sample without a choice.

    Queries with digits or Latin letters are passed over: the packaged voices cannot say them.
    """
    lines = (folder / f"{name}.zh.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if not _LATIN.search(row["query"])]
    rows.sort(key=lambda row: _digest(row["query"]))
    voices = [synth.Voice(voice=voice, speed=speed, edge_voice="") for voice, speed in VOICES[name]]
    return [
        SpokenQuery(row=row, voice=voices[number % len(voices)], path=audio / f"{name}-{_digest(row['query'])[:16]}.wav")
        for number, row in enumerate(rows[: COUNTS[name]])
    ]


def speak(audio: Path, cache: Path) -> None:
    """Renders what is not there yet, dev and test by turns."""
    source = synth.KokoroVoices()
    renderer = synth.Renderer(source, cache)
    audio.mkdir(parents=True, exist_ok=True)
    todo = [query for name in COUNTS for query in enumerate(chosen(name, FOLDER, audio))]
    for done, (number, query) in enumerate(sorted(todo, key=lambda one: one[0]), 1):
        if not query.path.exists():
            spoken, rate = renderer.turn(query.row["query"], "zh", query.voice)
            partial = query.path.with_suffix(".part.wav")
            soundfile.write(partial, clip(spoken, rate, np.random.default_rng(number)), RATE_HZ, subtype="PCM_16")
            partial.replace(query.path)
        print(f"{done}/{len(todo)}", file=sys.stderr, flush=True)
    synth.write_json(audio / "source.json", {"source": source.identity, "licence": source.licence})


def hear(audio: Path, out: Path) -> None:
    """Recognises what was rendered and writes the texts and the manifest. What a run before has heard is not heard again."""
    from copilot.assembly import engines
    from copilot.live.packs import lexicon_terms
    from copilot.settings import Settings
    from loadtest.terms import LEXICON
    from streaming.batch import transcribe_file

    settings = Settings()
    recognizer, vad, config = engines.open_recognizer(settings), engines.open_vad(settings), engines.pipeline_config(settings)
    lexicon = engines.open_lexicon(lexicon_terms(LEXICON.read_text(encoding="utf-8")))
    finish = engines.open_finish(lexicon)
    counts, characters = {}, {}
    for name in COUNTS:
        kept = audio / f"heard.{name}.jsonl"
        known = dict(map(json.loads, kept.read_text(encoding="utf-8").splitlines())) if kept.exists() else {}
        rows: list[dict[str, Any]] = []
        rendered = [query for query in chosen(name, FOLDER, audio) if query.path.exists()]
        for query in rendered:
            text = known.get(query.path.stem)
            if text is None:
                (channel,) = transcribe_file(
                    query.path,
                    recognizer,
                    vad,
                    "zh",
                    nearby=lexicon.near_terms,
                    finish=finish,
                    beam_size=settings.asr.beam_size,
                    config=config,
                )
                text = "".join(final.text for final in channel.finals)
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([query.path.stem, text], ensure_ascii=False) + "\n")
                print(f"{name} {len(rows) + 1}/{len(rendered)}", file=sys.stderr, flush=True)
            rows.append({**query.row, "heard": text, "voice": query.voice.voice})
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (out / f"spoken.{name}.zh.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        counts[name] = len(rows)
        characters[name] = sum(len(row["query"]) for row in rows)
    manifest = {
        "queries": counts,
        "characters": characters,
        "voices": {name: [{"voice": voice, "speed": speed} for voice, speed in voices] for name, voices in VOICES.items()},
        "line": {"sample_rate_hz": RATE_HZ, "encoding": "mu-law", "band_hz": list(synth.BAND_HZ)},
        "recogniser": {"model": recognizer.model_id, "beam": settings.asr.beam_size},
        **json.loads((audio / "source.json").read_text(encoding="utf-8")),
    }
    synth.write_json(out / "spoken.manifest.json", manifest)


def _digest(query: str) -> str:
    return hashlib.sha256(f"spoken:{query}".encode()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.spoken_queries", description="Speaks and recognises queries.")
    parser.add_argument("step", choices=("speak", "hear"))
    parser.add_argument("--audio", type=Path, default=AUDIO)
    parser.add_argument("--cache", type=Path, default=synth.CACHE, help="of spoken sentences")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    if options.step == "speak":
        speak(options.audio, options.cache)
    else:
        hear(options.audio, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
