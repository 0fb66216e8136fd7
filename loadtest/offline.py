"""How well the stock recogniser hears a recording with all the time in the world: ``python -m loadtest.offline SCENARIO…``.

Each channel is decoded whole by unchanged faster-whisper (beam 5, its own VAD filter, 30 s windows) and scored against the gold turns.
That is the reference a live run on the same audio is compared with. A SCENARIO is a folder with ``call.wav`` and ``gold.json``, or a
folder of such folders; ``--wav CALL.wav --gold GOLD.json`` takes any other recording.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtest.turn_errors import TurnErrors, bootstrap_interval, turn_errors

Json = dict[str, Any]
Samples = npt.NDArray[np.float32]
Listen = Callable[[Samples], str]
"""16 kHz mono samples of one channel → its text."""

CHANNELS = ("customer", "agent")
RATE_HZ = 16_000
PROMPT = "以下是普通话的句子。"
OPTIONS: Json = {"beam_size": 5, "vad_filter": True, "initial_prompt": PROMPT, "language": "zh"}


def stock_recogniser(model_dir: Path, threads: int) -> Listen:
    """faster-whisper as it comes: int8 on the CPU."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(model_dir), device="cpu", compute_type="int8", cpu_threads=threads)

    def listen(samples: Samples) -> str:
        segments, _ = model.transcribe(samples, **OPTIONS)
        return "".join(segment.text for segment in segments)

    return listen


def read_channels(wav: Path) -> list[Samples]:
    """The channels of a recording at 16 kHz. Raises ValueError for more than two."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(str(wav), dtype="float32", always_2d=True)
    if samples.shape[1] > len(CHANNELS):
        raise ValueError(f"{wav} has {samples.shape[1]} channels: a call has at most two.")
    return [np.asarray(soxr.resample(samples[:, n], rate, RATE_HZ), dtype=np.float32) for n in range(samples.shape[1])]


def recordings(folders: Sequence[Path]) -> list[tuple[str, Path, Path]]:
    """(name, wav, gold) of every scenario in ``folders``. Raises FileNotFoundError when a folder holds none."""
    found: list[tuple[str, Path, Path]] = []
    for folder in folders:
        calls = [folder] if (folder / "call.wav").exists() else sorted(path.parent for path in folder.glob("*/call.wav"))
        calls = [call for call in calls if (call / "gold.json").exists()]
        if not calls:
            raise FileNotFoundError(f"{folder} holds no call.wav with a gold.json: render it first (python -m loadtest.synth).")
        found += [(call.name, call / "call.wav", call / "gold.json") for call in calls]
    return found


def summary(turns: Sequence[TurnErrors], rounds: int) -> Json:
    """Character error rate over turns with its interval."""
    errors, characters = sum(turn.errors for turn in turns), sum(turn.characters for turn in turns)
    low, high = bootstrap_interval(turns, rounds=rounds)
    return {
        "turns": len(turns),
        "characters": characters,
        "errors": errors,
        "cer": round(errors / max(1, characters), 4),
        "cer_95": [round(low, 4), round(high, 4)],
        "turns_missed": sum(turn.characters > 0 and len(turn.heard) * 2 < turn.characters for turn in turns),
    }


def judge(name: str, wav: Path, gold: Path, listen: Listen, rounds: int) -> tuple[Json, list[TurnErrors]]:
    """One recording: per channel and whole, and every turn with what was heard."""
    document = json.loads(gold.read_text(encoding="utf-8"))
    channels: Json = {}
    everything: list[TurnErrors] = []
    detail: list[Json] = []
    for channel, samples in zip(CHANNELS, read_channels(wav), strict=False):
        turns = sorted((turn for turn in document["turns"] if turn["channel"] == channel), key=lambda turn: turn["start_ms"])
        scored = turn_errors([turn["text"] for turn in turns], listen(samples))
        channels[channel] = summary(scored, rounds)
        everything += scored
        for turn, score in zip(turns, scored, strict=True):
            detail.append({**turn, "heard": score.heard, "errors": score.errors, "characters": score.characters})
    detail.sort(key=lambda turn: turn["start_ms"])
    return {"call": name, **summary(everything, rounds), "channels": channels, "detail": detail}, everything


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.offline", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scenario", type=Path, nargs="*", help="folders with call.wav and gold.json")
    parser.add_argument("--wav", type=Path)
    parser.add_argument("--gold", type=Path, help="turns (channel, start_ms, end_ms, text) of --wav")
    parser.add_argument("--model-dir", type=Path, help="a CTranslate2 Whisper directory (default: whisper-base of the model hub)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bootstrap", type=int, default=1000, help="rounds for the 95%% interval over turns")
    parser.add_argument("--turns", action="store_true", help="keep every turn with what was heard in the result")
    parser.add_argument("--out", type=Path, help="write the JSON here instead of standard output")
    options = parser.parse_args(arguments)
    if (options.wav is None) != (options.gold is None) or (options.wav is None and not options.scenario):
        parser.error("give scenario folders, or --wav and --gold together")
    todo = recordings(options.scenario)
    if options.wav is not None:
        todo.append((options.wav.stem, options.wav, options.gold))
    model_dir = options.model_dir or _packaged_model()
    listen = stock_recogniser(model_dir, options.threads)
    calls: list[Json] = []
    everything: list[TurnErrors] = []
    for name, wav, gold in todo:
        call, turns = judge(name, wav, gold, listen, options.bootstrap)
        print(f"{name}: CER {call['cer']:.3f} {call['cer_95']}, {call['characters']} characters", file=sys.stderr, flush=True)
        if not options.turns:
            del call["detail"]
        calls.append(call)
        everything += turns
    result = {"model": model_dir.name, "options": OPTIONS, "total": summary(everything, options.bootstrap), "calls": calls}
    text = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def _packaged_model() -> Path:
    from copilot.modelhub.hub import ModelHub
    from copilot.settings import Settings

    return ModelHub(Settings().models_dir).path("whisper-base")


if __name__ == "__main__":
    sys.exit(main())
