"""One channel of wire audio through the live path, faster than real time: codec, resampler, VAD, endpoints, windows, gates.

Time is virtual and every decode is answered at once, so the outcome does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from copilot.domain.audio import Encoding, LegFormat, MediaFrame
from copilot.domain.ports.asr import Recognizer
from copilot.domain.transcript import Hypothesis, RecognizeRequest, SpeechStarted, TranscriptFinal
from streaming.audio.leg import LegAudio
from streaming.effects import EmitFinal, EmitPartial, EmitSpeech, PipelineEffect, Transcribe
from streaming.pipeline import ChannelPipeline, PipelineConfig
from streaming.telephony import g711
from streaming.vad.silero import SileroVad

_FRAME_MS = 20


@dataclass(slots=True, kw_only=True)
class ChannelOutcome:
    """What a channel gave. ``partials``: texts that were shown; ``spans``: (start, end) ms of what the VAD took for speech."""

    duration_ms: int = 0
    finals: list[TranscriptFinal] = field(default_factory=list)
    partials: list[str] = field(default_factory=list)
    spans: list[list[int]] = field(default_factory=list)
    final_decodes: int = 0
    partial_decodes: int = 0
    refused: list[str] = field(default_factory=list)
    """Reasons of the gates for every refused decode of a final."""

    @property
    def speech_ms(self) -> int:
        return sum(end - start for start, end in self.spans)

    @property
    def text(self) -> str:
        return "".join(final.text for final in self.finals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What every channel is run with. ``partial_every_ms``: the cadence that a lightly loaded schedule grants (0: no partials)."""

    vad: SileroVad
    recognizer: Recognizer
    config: PipelineConfig
    hotwords: Sequence[str] = ()
    partial_every_ms: int = 960
    language: str = "zh"


def to_wire(samples: npt.NDArray[np.floating], encoding: Encoding) -> bytes:
    """Samples in [-1, 1] in the wire codec."""
    return g711.encode(np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16), encoding)


def run_channel(engine: Engine, payload: bytes, leg: LegFormat) -> ChannelOutcome:
    """``payload``: the whole channel as it travels, fed in frames of 20 ms."""
    pipeline = ChannelPipeline(
        call_id="run",
        channel=leg.channel,
        language=engine.language,
        vad=engine.vad.stream(),
        clock_ms=lambda: 0.0,
        config=engine.config,
        hotwords=lambda: engine.hotwords,
    )
    audio, outcome, turn = LegAudio(leg), ChannelOutcome(), _Turn()
    step = leg.sample_rate_hz * _FRAME_MS // 1000
    width = leg.bytes_per_sample
    total = len(payload) // width
    for start in range(0, total, step):
        frame = MediaFrame(channel=leg.channel, start_sample=start, payload=payload[start * width : (start + step) * width])
        for chunk in audio.receive(frame):
            turn.now_ms = chunk.start_ms
            _run(engine, pipeline, pipeline.receive_audio(chunk.pcm16, chunk.start_ms), outcome, turn)
    for chunk in audio.flush():
        _run(engine, pipeline, pipeline.receive_audio(chunk.pcm16, chunk.start_ms), outcome, turn)
    _run(engine, pipeline, pipeline.flush(), outcome, turn)
    outcome.duration_ms = total * 1000 // leg.sample_rate_hz
    return outcome


@dataclass(slots=True)
class _Turn:
    now_ms: int = 0
    last_partial_ms: int = -1_000_000


def _run(engine: Engine, pipeline: ChannelPipeline, effects: list[PipelineEffect], outcome: ChannelOutcome, turn: _Turn) -> None:
    pending = list(effects)
    while pending:
        effect = pending.pop(0)
        match effect:
            case Transcribe(request=request, tag=tag):
                pending += pipeline.receive_hypothesis(tag, _answer(engine, request, outcome, turn))
            case EmitFinal(final=final):
                outcome.finals.append(final)
            case EmitPartial(partial=partial):
                if shown := partial.stable + partial.unstable:
                    outcome.partials.append(shown)
            case EmitSpeech(event=event):
                if isinstance(event, SpeechStarted):
                    outcome.spans.append([event.at_ms, event.at_ms])
                else:
                    outcome.spans[-1][1] = event.at_ms
            case _:
                pass


def _answer(engine: Engine, request: RecognizeRequest, outcome: ChannelOutcome, turn: _Turn) -> Hypothesis | None:
    if request.lane == "partial":
        if not engine.partial_every_ms or turn.now_ms - turn.last_partial_ms < engine.partial_every_ms:
            return None
        turn.last_partial_ms = turn.now_ms
        outcome.partial_decodes += 1
        return engine.recognizer.recognize([request])[0]
    outcome.final_decodes += 1
    hypothesis = engine.recognizer.recognize([request])[0]
    if hypothesis.rejected:
        outcome.refused.append(hypothesis.rejected)
    return hypothesis
