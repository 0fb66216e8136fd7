"""Offline transcription with the engine of live calls, without partials: of files, and of what a call left unheard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from copilot.domain.audio import RECOGNITION_RATE_HZ, ChannelName, LegFormat, MediaFrame
from copilot.domain.errors import EngineError, InvalidInput
from copilot.domain.ports.asr import Recognizer
from copilot.domain.transcript import Hypothesis, RecognizeRequest, TranscriptFinal
from streaming.asr.utterance import Finish
from streaming.audio.leg import AudioChunk, LegAudio
from streaming.effects import EmitFinal, PipelineEffect, Transcribe
from streaming.pipeline import ChannelPipeline, PipelineConfig
from streaming.vad.silero import SileroVad

_BLOCK_SECONDS = 10
_NEVER_MS = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTranscript:
    """What one channel of a file said."""

    channel: ChannelName
    duration_ms: int
    finals: tuple[TranscriptFinal, ...]


def transcribe_file(
    path: Path,
    recognizer: Recognizer,
    vad: SileroVad,
    language: str = "zh",
    *,
    channels: Sequence[ChannelName] = ("customer", "agent"),
    finish: Finish | None = None,
    hotwords: Sequence[str] = (),
    nearby: Callable[[str, str], Sequence[str]] | None = None,
    beam_size: int = 5,
    workers: int = 1,
    config: PipelineConfig | None = None,
) -> list[ChannelTranscript]:
    """Every channel of an audio file (anything libsndfile reads), in file order.

    ``nearby``: (text, language) → terms that may have been meant; where there are any, the utterance is decoded again with them as
    hotwords (a live call has its partials for the first hearing). One channel is ``mixed``; two are named by ``channels``; more are
    refused. ``workers`` threads decode at once: at most as many as the recognizer allows. Raises
    InvalidInput for a file that is no audio, EngineError when decoding fails twice.
    """
    names, blocks = _open(path, channels)
    offline = offline_config(config, beam_size)
    transcripts: list[ChannelTranscript] = []
    pipelines = [
        ChannelPipeline(
            call_id=path.name,
            channel=name,
            language=language,
            vad=vad.stream(),
            clock_ms=lambda: 0.0,
            config=offline,
            hotwords=lambda: hotwords,
            finish=finish,
        )
        for name in names
    ]
    finals: list[list[TranscriptFinal]] = [[] for _ in names]
    samples = 0

    def decode(request: RecognizeRequest) -> Hypothesis:
        first = _decode(recognizer, request)
        return first if nearby is None else _decode_again(recognizer, request, first, nearby(first.text, first.language))

    with ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="transcribe") as pool:
        for block in blocks:
            for index, pipeline in enumerate(pipelines):
                effects = pipeline.receive_audio(block[:, index].tobytes(), samples * 1000 // RECOGNITION_RATE_HZ)
                finals[index] += _run(effects, pipeline, decode, pool)
            samples += len(block)
        for index, pipeline in enumerate(pipelines):
            finals[index] += _run(pipeline.flush(), pipeline, decode, pool)
    for name, said in zip(names, finals, strict=True):
        transcripts.append(ChannelTranscript(channel=name, duration_ms=samples * 1000 // RECOGNITION_RATE_HZ, finals=tuple(said)))
    return transcripts


def transcribe_rest(
    frames: Iterable[MediaFrame],
    leg: LegFormat,
    recognizer: Recognizer,
    vad: SileroVad,
    language: str = "zh",
    *,
    after: int = 0,
    finish: Finish | None = None,
    hotwords: Sequence[str] = (),
    beam_size: int = 5,
    config: PipelineConfig | None = None,
) -> list[TranscriptFinal]:
    """The finals of what is left of one leg: ``frames`` in media order, in the codec of ``leg``; times are the call's.

    ``after``: the number of the leg's last utterance that has a final already. Raises EngineError when decoding fails twice.
    """

    def decode(request: RecognizeRequest) -> Hypothesis:
        return _decode(recognizer, request)

    audio = LegAudio(leg)
    pipeline = ChannelPipeline(
        call_id="rest",
        channel=leg.channel,
        language=language,
        vad=vad.stream(),
        clock_ms=lambda: 0.0,
        config=offline_config(config, beam_size),
        hotwords=lambda: hotwords,
        finish=finish,
        after=after,
    )
    finals: list[TranscriptFinal] = []
    for frame in frames:
        for chunk in audio.receive(frame):
            finals += _run(pipeline.receive_audio(chunk.pcm16, chunk.start_ms), pipeline, decode, None)
    for chunk in audio.flush():
        finals += _run(pipeline.receive_audio(chunk.pcm16, chunk.start_ms), pipeline, decode, None)
    return finals + _run(pipeline.flush(), pipeline, decode, None)


def offline_config(config: PipelineConfig | None, beam_size: int) -> PipelineConfig:
    """The whole utterance is there: nothing to speculate on, nobody watches partials."""
    base = config or PipelineConfig()
    endpoint = replace(base.endpoint, speculate_ms=base.endpoint.end_ms)
    return replace(base, first_partial_ms=_NEVER_MS, final_beam=beam_size, endpoint=endpoint)


def _run(
    effects: list[PipelineEffect],
    pipeline: ChannelPipeline,
    decode: Callable[[RecognizeRequest], Hypothesis],
    pool: ThreadPoolExecutor | None,
) -> list[TranscriptFinal]:
    finals: list[TranscriptFinal] = []
    each = map if pool is None else pool.map
    while effects:
        finals += [effect.final for effect in effects if isinstance(effect, EmitFinal)]
        asked = [effect for effect in effects if isinstance(effect, Transcribe)]
        answers = list(each(lambda ask: decode(ask.request), asked))
        effects = [effect for ask, answer in zip(asked, answers, strict=True) for effect in pipeline.receive_hypothesis(ask.tag, answer)]
    return finals


def _decode(recognizer: Recognizer, request: RecognizeRequest) -> Hypothesis:
    try:
        return recognizer.recognize([request])[0]
    except EngineError as error:
        if not error.retryable:
            raise
        return recognizer.recognize([request])[0]


def _decode_again(recognizer: Recognizer, request: RecognizeRequest, first: Hypothesis, terms: Sequence[str]) -> Hypothesis:
    """The same audio with ``terms`` as hotwords; the first hearing stays where the second is refused."""
    if not terms:
        return first
    second = _decode(recognizer, replace(request, hotwords=tuple(terms)))
    return first if second.rejected else second


def _open(path: Path, channels: Sequence[ChannelName]) -> tuple[Sequence[ChannelName], Iterator[npt.NDArray[np.int16]]]:
    import soundfile

    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise InvalidInput(f"{path.name} is not an audio file that can be read ({error}): convert it to WAV or FLAC.") from error
    if info.channels == 1:
        names: Sequence[ChannelName] = ("mixed",)
    elif info.channels == len(channels):
        names = channels
    else:
        raise InvalidInput(f"{path.name} has {info.channels} channels: at most {len(channels)} can be told apart.")
    return names, _blocks(path, info.samplerate, info.channels)


def _blocks(path: Path, rate: int, channels: int) -> Iterator[npt.NDArray[np.int16]]:
    """``[samples, channels]`` at 16 kHz, some seconds at a time.

    Resampled as the legs of a live call are: another resampler is as good, but moves a doubtful beginning of speech by some windows.
    """
    import soundfile

    legs = [LegAudio(LegFormat(channel="mixed", encoding="pcm_s16le", sample_rate_hz=rate)) for _ in range(channels)]
    position = 0
    with soundfile.SoundFile(str(path)) as file:
        while len(block := file.read(_BLOCK_SECONDS * rate, dtype="int16", always_2d=True)):
            yield _side_by_side([leg.receive(_frame(block[:, index], position)) for index, leg in enumerate(legs)])
            position += len(block)
    yield _side_by_side([leg.flush() for leg in legs])


def _frame(samples: npt.NDArray[np.int16], start_sample: int) -> MediaFrame:
    return MediaFrame(channel="mixed", start_sample=start_sample, payload=samples.astype("<i2").tobytes())


def _side_by_side(legs: Sequence[Sequence[AudioChunk]]) -> npt.NDArray[np.int16]:
    return np.stack([np.frombuffer(b"".join(chunk.pcm16 for chunk in chunks), dtype="<i2") for chunks in legs], axis=1)
