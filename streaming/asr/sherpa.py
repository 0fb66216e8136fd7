"""SenseVoice and Paraformer on sherpa-onnx behind the Recognizer port. Needs the extra ``pangting[sherpa]``.

Both are encoders without a language model that writes on: work is proportional to the audio (no 30 s window, no token loop), and silence
comes out empty. What they do not give is said where it is missing: no token probabilities (``UNKNOWN_CONFIDENCE``), no previous text, no
hotwords (terms are still put right by sound afterwards), and beams mean nothing to them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from copilot.domain.errors import ConfigError, EngineError
from copilot.domain.transcript import Hypothesis, RecognizeRequest
from streaming.asr import gates
from streaming.asr.detect import SherpaModel, sherpa_model
from streaming.asr.pieces import simplified, words_of
from streaming.asr.window import audio_ms

UNKNOWN_CONFIDENCE = 0.5
"""What every word carries, since sherpa-onnx reports no probability for these models: neither trusted nor distrusted."""
_LEAST_SAMPLES = 16 * 400
"""Shorter audio is padded: the first output frame needs seven frames of features, and a process without any ends."""
_GPU_BATCH = 16


@dataclass(frozen=True, slots=True)
class BatchKey:
    """On a CPU nothing is gained by decoding together, so ``alone`` is the request's own; on a GPU equal lengths share a pass."""

    language: str
    seconds: int
    alone: str


class SherpaRecognizer:
    """Thread-safe: ``workers`` threads may call ``recognize`` at once. On a CPU each call uses one core.

    ``device``: ``cpu``, ``cuda`` (needs a CUDA build of sherpa-onnx) or ``auto``. SenseVoice is told the language when it is loaded, so a
    second language costs the memory of a second copy, taken at its first request.
    """

    def __init__(self, model_dir: Path, device: str = "auto", threads: int = 1, *, model_id: str | None = None) -> None:
        try:
            import sherpa_onnx
        except ImportError as error:
            raise ConfigError(f"{model_dir} is a model for sherpa-onnx, which is not installed: pip install 'pangting[sherpa]'.") from error
        from opencc import OpenCC

        cuda = any((Path(sherpa_onnx.__file__).parent / "lib").glob("*onnxruntime_providers_cuda*"))
        if device == "cuda" and not cuda:
            raise ConfigError(
                "asr.device is cuda, but the installed sherpa-onnx was built for CPUs: install its CUDA wheel, or set asr.device = cpu."
            )
        self._device = "cuda" if cuda and device != "cpu" else "cpu"
        self._sherpa: Any = sherpa_onnx.OfflineRecognizer
        self._model: SherpaModel = sherpa_model(model_dir)
        self._workers = threads
        self._model_id = model_id or f"sherpa:{self._model.family}:{model_dir.name}"
        self._to_simplified: Any = OpenCC("t2s").convert
        self._loading = threading.Lock()
        self._recognizers: dict[str, Any] = {}
        self._recognizer("zh")

    @property
    def model_id(self) -> str:
        return self._model_id

    @property
    def family(self) -> str:
        return self._model.family

    @property
    def device(self) -> str:
        return self._device

    @property
    def workers(self) -> int:
        return self._workers

    @property
    def max_batch(self) -> int:
        return 1 if self._device == "cpu" else _GPU_BATCH

    def batch_key(self, request: RecognizeRequest) -> BatchKey:
        """What must be equal for requests to be decoded together."""
        language, length = _language(request), audio_ms(request)
        return BatchKey(language, length // 1000, request.request_id if self._device == "cpu" else "")

    def recognize(self, requests: Sequence[RecognizeRequest]) -> list[Hypothesis]:
        """One hypothesis per request, in order. Any mix is accepted."""
        lengths = [audio_ms(request) for request in requests]
        groups: dict[BatchKey, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(self.batch_key(request), []).append(index)
        results: dict[int, Hypothesis] = {}
        for key, indices in groups.items():
            heard = self._decode(key.language, [requests[index] for index in indices])
            for index, result in zip(indices, heard, strict=True):
                results[index] = self._hypothesis(requests[index], result, lengths[index])
        return [results[index] for index in range(len(requests))]

    def warm_up(self) -> None:
        """Decodes a little noise, so that the first call does not pay for lazy initialisation."""
        noise = np.random.default_rng(1).integers(-300, 300, 16_000, dtype=np.int16).astype("<i2").tobytes()
        self.recognize(
            [RecognizeRequest(request_id="warm-up", call_id="warm-up", channel="mixed", lane="partial", pcm16=noise, language="zh")]
        )

    def _recognizer(self, language: str) -> Any:
        key = language if self._model.family == "sense_voice" else "zh"
        with self._loading:
            if key not in self._recognizers:
                try:
                    self._recognizers[key] = self._load(key)
                except Exception as error:  # pybind raises what onnxruntime threw
                    raise EngineError(f"{self._model.model} cannot be loaded ({error}): copy it again.") from error
            return self._recognizers[key]

    def _load(self, language: str) -> Any:
        files = {"tokens": str(self._model.tokens), "num_threads": 1, "provider": self._device}
        if self._model.family == "paraformer":
            return self._sherpa.from_paraformer(paraformer=str(self._model.model), **files)
        # use_itn also brings the punctuation marks.
        return self._sherpa.from_sense_voice(model=str(self._model.model), language=language, use_itn=True, **files)

    def _decode(self, language: str, requests: Sequence[RecognizeRequest]) -> list[Any]:
        """A result for each request; None where there was no sound at all."""
        recognizer = self._recognizer(language)
        streams: list[Any] = []
        for request in requests:
            audio = np.frombuffer(request.pcm16, dtype="<i2").astype(np.float32) / np.float32(32768.0)
            if not audio.any():
                streams.append(None)
                continue
            stream = recognizer.create_stream()
            # A list: the binding walks a numpy array element by element, at twice the time.
            stream.accept_waveform(16_000, np.pad(audio, (0, max(0, _LEAST_SAMPLES - len(audio)))).tolist())
            streams.append(stream)
        asked = [stream for stream in streams if stream is not None]
        try:
            if self._device == "cpu":
                for stream in asked:
                    recognizer.decode_stream(stream)
            elif asked:
                recognizer.decode_streams(asked)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"Decoding {len(asked)} windows failed ({error}): it may be tried again.", retryable=True) from error
        return [None if stream is None else stream.result for stream in streams]

    def _hypothesis(self, request: RecognizeRequest, result: Any, length_ms: int) -> Hypothesis:
        language = _language(request)
        tokens = [] if result is None else list(result.tokens)
        sense_voice = self._model.family == "sense_voice"
        if sense_voice and result is not None and not result.lang:
            # It always names a language, even over silence: the library swallowed an error of onnxruntime and left the result empty.
            raise EngineError(f"Decoding a window of {length_ms} ms failed in onnxruntime: it may be tried again.", retryable=True)
        starts = [round(second * 1000) for second in result.timestamps] if result is not None else None
        words = words_of(tokens, starts, length_ms, language, confidence=UNKNOWN_CONFIDENCE, marked=sense_voice)
        if language == "zh":
            words = simplified(words, self._to_simplified)
        text = ("" if language == "zh" else " ").join(word.text for word in words)
        silent = sense_voice and result is not None and result.lang == "<|nospeech|>"
        rejected = gates.rejection(text, avg_logprob=0.0, no_speech_prob=0.0, hotwords=request.hotwords)
        if rejected is None and silent:
            rejected = "no_speech"
        return Hypothesis(
            text="" if rejected else text,
            language=language,
            avg_logprob=float(np.log(UNKNOWN_CONFIDENCE)),
            no_speech_prob=1.0 if silent else 0.0,
            compression_ratio=gates.compression_ratio(text),
            words=() if rejected or not request.word_times else tuple(words),
            rejected=rejected,
            window_ms=length_ms,
        )


def _language(request: RecognizeRequest) -> str:
    return "en" if request.language.lower().startswith("en") else "zh"
