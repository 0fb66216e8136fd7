"""Sound that is not speech must give no words: ``python -m loadtest.noises --minutes 10``.

Runs the sounds of ``loadtest.sounds`` through the live path with the real models and counts what a person would have read: finals
(stored as said, must be none) and partials (shown and withdrawn).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from copilot.domain.audio import LegFormat
from loadtest.channel_run import ChannelOutcome, Engine, run_channel, to_wire
from loadtest.sounds import RATE_HZ, SOUNDS, sound

LEG = LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=RATE_HZ)
HOTWORDS = ("信用卡", "挂失", "盗刷", "年费", "提前还款", "分期付款", "理财产品", "网上银行", "手机银行", "验证码", "额度", "账单", "利率")
"""Terms such as a bank's knowledge base gives: a decoder that hears nothing likes to recite them."""


def open_engine(threads: int = 1) -> Engine:
    """The models and settings of an installation as it comes."""
    from copilot.assembly.engines import open_vad, pipeline_config
    from copilot.modelhub.hub import ModelHub
    from copilot.settings import Settings
    from streaming.asr.whisper import WhisperRecognizer

    settings = Settings()
    recognizer = WhisperRecognizer(ModelHub(settings.models_dir).path("whisper-base"), device="cpu", threads=threads)
    return Engine(vad=open_vad(settings), recognizer=recognizer, config=pipeline_config(settings), hotwords=HOTWORDS)


def hear(engine: Engine, kind: str, seconds: float, seed: int) -> ChannelOutcome:
    """One kind of sound through the live path."""
    return run_channel(engine, to_wire(sound(kind, seconds, seed), LEG.encoding), LEG)


def row(kind: str, outcome: ChannelOutcome) -> dict[str, Any]:
    return {
        "sound": kind,
        "minutes": round(outcome.duration_ms / 60_000, 2),
        "taken_for_speech_s": round(outcome.speech_ms / 1000, 1),
        "utterances": len(outcome.spans),
        "final_decodes": outcome.final_decodes,
        "partials_shown": len(outcome.partials),
        "finals": len(outcome.finals),
        "texts": [final.text for final in outcome.finals],
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| sound | minutes | taken for speech | utterances | decodes | partials shown | finals |", "|---|---|---|---|---|---|---|"]
    for one in rows:
        lines.append(
            f"| {one['sound']} | {one['minutes']:g} | {one['taken_for_speech_s']:g} s | {one['utterances']} | {one['final_decodes']} "
            f"| {one['partials_shown']} | {one['finals']} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.noises", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each sound")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sounds", nargs="+", choices=sorted(SOUNDS), default=list(SOUNDS))
    parser.add_argument("--out", type=Path, help="also write the rows here as JSON")
    options = parser.parse_args(arguments)
    engine = open_engine()
    rows = []
    for kind in options.sounds:
        begun = time.process_time()
        one = row(kind, hear(engine, kind, options.minutes * 60, options.seed))
        rows.append({**one, "cpu_s": round(time.process_time() - begun, 1)})
        print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr, flush=True)
    print(table(rows))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 1 if any(one["finals"] for one in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
