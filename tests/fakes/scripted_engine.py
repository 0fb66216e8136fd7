"""A whole recognition engine without a model: it hears the levels of tests.fakes.tone_speech."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from copilot.domain.ports.asr import RecognitionEngine
from copilot.domain.transcript import Hypothesis, RecognizeRequest
from streaming.asr.window import audio_ms, window_ms
from tests.fakes.tone_speech import recognise


class ScriptedEngine(RecognitionEngine):
    model_id = "scripted"
    workers = 4
    max_batch = 8

    def batch_key(self, request: RecognizeRequest) -> Hashable:
        return request.lane, window_ms(audio_ms(request), request.lane)

    def recognize(self, requests: Sequence[RecognizeRequest]) -> list[Hypothesis]:
        windows = [window_ms(audio_ms(request), request.lane) for request in requests]
        return [replace(_recognise(request), window_ms=window) for request, window in zip(requests, windows, strict=True)]

    def warm_up(self) -> None:
        self.recognize([])


def _recognise(request: RecognizeRequest) -> Hypothesis:
    language = "en" if request.language.startswith("en") else "zh"
    hypothesis = recognise(replace(request, language=language))
    return replace(hypothesis, text=" ".join(hypothesis.text)) if language == "en" else hypothesis
