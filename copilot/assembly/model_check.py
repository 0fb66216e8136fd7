"""What a recognition model does on this machine: loaded as the server loads it, timed on a clip."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from copilot.assembly import engines
from copilot.domain.errors import InvalidInput
from copilot.domain.transcript import RecognizeRequest
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.domain.ports.asr import RecognitionEngine

CLIP = Path(__file__).with_name("check-zh.flac")
CLIP_TEXT = "我的信用卡昨天被人刷了三千块，不是我自己刷的。"
"""A rendered voice; what a recogniser makes of it says that it works, not how good it is on telephone speech."""
_PARTIAL_MS, _FINAL_MS = 2_400, 4_000
"""Middle of the windows that an utterance of four seconds is decoded in."""
_ENOUGH_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTiming:
    """One kind of window. ``alone_ms``: one thread, one window; of it ``encode_ms`` in features and encoder (None: not told apart).

    ``full_ms``: decoder-ms of a window when every worker decodes full batches. ``rtf``: of one thread on one window.
    """

    lane: Literal["partial", "final"]
    audio_ms: int
    window_ms: int
    alone_ms: float
    encode_ms: float | None
    full_ms: float
    rtf: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCheck:
    """The report. ``decoders``: threads over all devices. ``usual`` and ``most``: live channels at the usual and the longest cadence."""

    model: str
    engine: str
    device: str
    devices: int
    compute_type: str
    decoders: int
    max_batch: int
    load_ms: float
    text: str
    partial: WindowTiming
    final: WindowTiming
    usual: float
    most: float


def check_model(settings: Settings, audio: Path | None = None) -> ModelCheck:
    """Loads the model of ``asr.model`` and times it on the first channel of ``audio`` (default: a clip that comes along)."""
    from streaming.asr.capacity import channels
    from streaming.asr.schedule import ScheduleConfig

    pcm16 = _pcm16(audio or CLIP)
    began = time.perf_counter()
    recognizers = engines.open_recognizers(settings)
    for recognizer in recognizers:
        recognizer.warm_up()
    load_ms = (time.perf_counter() - began) * 1000
    first, schedule = recognizers[0], ScheduleConfig()
    config = engines.schedule_config(settings, recognizers)
    heard = first.recognize([_request(pcm16, "final", settings)])[0]
    partial = _time(recognizers, _request(pcm16[: _PARTIAL_MS * 32], "partial", settings), config.max_batch)
    final = _time(recognizers, _request(pcm16[: _FINAL_MS * 32], "final", settings), config.max_batch)
    decoders = sum(recognizer.workers for recognizer in recognizers)
    described: Any = first
    placement = getattr(described, "placement", None)
    return ModelCheck(
        model=settings.asr.model,
        engine="CTranslate2 Whisper" if placement is not None else f"sherpa-onnx {described.family}",
        device=placement.device if placement is not None else described.device,
        devices=len(recognizers),
        compute_type=placement.compute_type if placement is not None else "as in the file",
        decoders=decoders,
        max_batch=config.max_batch,
        load_ms=load_ms,
        text=heard.text or f"({heard.rejected})",
        partial=partial,
        final=final,
        usual=channels(partial.full_ms, final.full_ms, decoders, schedule.cadence_ms),
        most=channels(partial.full_ms, final.full_ms, decoders, schedule.max_cadence_ms),
    )


def _time(recognizers: Sequence[RecognitionEngine], request: RecognizeRequest, batch: int) -> WindowTiming:
    first: Any = recognizers[0]
    window = first.recognize([request])[0].window_ms
    alone = min(_seconds(first, [request]) for _ in range(3)) * 1000
    encode = min(first.encode_ms([request]) for _ in range(3)) if hasattr(first, "encode_ms") else None
    threads = [recognizer for recognizer in recognizers for _ in range(recognizer.workers)]
    stop_at = time.perf_counter() + _ENOUGH_S

    def work(recognizer: RecognitionEngine) -> int:
        done = 0
        while done == 0 or time.perf_counter() < stop_at:
            recognizer.recognize([request] * batch)
            done += batch
        return done

    began = time.perf_counter()
    with ThreadPoolExecutor(len(threads)) as pool:
        windows = sum(pool.map(work, threads))
    full = (time.perf_counter() - began) * 1000 * len(threads) / windows
    length = len(request.pcm16) // 32
    return WindowTiming(
        lane=request.lane, audio_ms=length, window_ms=window, alone_ms=alone, encode_ms=encode, full_ms=full, rtf=alone / max(1, length)
    )


def _seconds(recognizer: RecognitionEngine, requests: Sequence[RecognizeRequest]) -> float:
    began = time.perf_counter()
    recognizer.recognize(requests)
    return time.perf_counter() - began


def _request(pcm16: bytes, lane: Literal["partial", "final"], settings: Settings) -> RecognizeRequest:
    asr = settings.asr
    return RecognizeRequest(
        request_id="check",
        call_id="check",
        channel="mixed",
        lane=lane,
        pcm16=pcm16,
        language=asr.language,
        beam_size=asr.beam_size if lane == "final" else 1,
        word_times=lane == "final",
    )


def _pcm16(path: Path) -> bytes:
    """The first 20 s of the first channel at 16 kHz."""
    import numpy as np
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InvalidInput(f"{path.name} is not an audio file that can be read ({error}): convert it to WAV or FLAC.") from error
    audio = soxr.resample(samples[:, 0], rate, 16_000)[: 20 * 16_000]
    if len(audio) < _PARTIAL_MS * 16:
        raise InvalidInput(f"{path.name} is shorter than {_PARTIAL_MS / 1000} s: give a longer one.")
    return bytes(np.clip(np.rint(audio * 32768), -32768, 32767).astype("<i2").tobytes())
