"""One channel of one call, from 16 kHz samples to transcript events. Sans-I/O. PURE.

It returns effects; it never awaits, sleeps or reads a clock of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from copilot.domain.audio import ChannelName
from copilot.domain.ids import utterance_id
from copilot.domain.moods import VoiceMeasure
from copilot.domain.transcript import (
    AsrTimings,
    Hypothesis,
    RecognizeRequest,
    SpeechEnded,
    SpeechStarted,
    TranscriptFinal,
    TranscriptPartial,
)
from streaming.asr.lead import MARGIN_MS, Past, Spoken
from streaming.asr.utterance import ClosedUtterance, Finish, FinishedText, OpenUtterance, Speculation
from streaming.audio.voice import measure
from streaming.effects import CancelPartial, Confirm, EmitFinal, EmitPartial, EmitSpeech, PipelineEffect, Transcribe
from streaming.vad.endpoint import (
    SAMPLES_PER_MS,
    WINDOW_SAMPLES,
    Capped,
    Ended,
    EndpointConfig,
    Endpointer,
    Paused,
    Resumed,
    Started,
)

_SENTENCE_ENDS = ("。", "？", "！", ".", "?", "!")
_SURE_LOGPROB = -0.5
"""Mean log-probability over which an ending is believed."""


class SpeechProbability(Protocol):
    """A streaming VAD: ``streaming.vad.silero.SileroStream``, or a scripted one in tests."""

    def __call__(self, window: npt.NDArray[np.float32]) -> float:
        """The speech probability of the next 512 samples ([-1, 1], 16 kHz)."""
        ...

    def reset(self) -> None:
        """The next window does not follow the last one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """Durations in ms of media time."""

    endpoint: EndpointConfig = EndpointConfig()
    pre_roll_ms: int = 400
    tail_ms: int = 350
    overlap_ms: int = 400
    """How much both sides of a forced cut hear of each other; words belong to the side their middle is on."""
    gap_ms: int = 300
    """A longer hole in the audio closes the utterance; a shorter one is filled with silence."""
    jitter_ms: int = 40
    """Start times this far off are rounding, not holes."""
    stall_ms: int = 1_500
    """Audio that stops coming for so long (by the injected clock) closes the utterance."""
    first_partial_ms: int = 700
    opening_step_ms: int = 160
    """How often a partial is offered while nothing of the utterance is shown."""
    partial_step_ms: int = 320
    """How often a fresh partial is offered; the schedule decides which ones are decoded."""
    lock_after_ms: int = 5_000
    """Partials of longer windows ask for word times, so that agreed words can leave the window."""
    lock_guard_ms: int = 1_500
    max_partial_ms: int = 8_000
    final_beam: int = 2
    sure_end_ms: int = 0
    """Silence that closes an utterance whose speculative final reads like a finished sentence; 0: the endpoint's own, always."""
    lead_ms: int = 0
    """Earlier speech of the channel kept for the decoder to hear before a final."""
    context_chars: int = 0
    """Characters of this channel's last final given to the next final as previous text."""


class ChannelPipeline:
    """Feeds samples through VAD, endpointing, partials with LocalAgreement, and finals.

    ``nearby``: (text of the partials, language) → terms that may have been meant; they become the hotwords of the final.
    ``clock_ms`` is monotonic and only measures ``AsrTimings.after_speech_ms`` and stalls. Memory is bounded by the cap of an utterance.
    """

    def __init__(
        self,
        *,
        call_id: str,
        channel: ChannelName,
        language: str,
        vad: SpeechProbability,
        clock_ms: Callable[[], float],
        config: PipelineConfig | None = None,
        hotwords: Callable[[], Sequence[str]] = tuple,
        nearby: Callable[[str, str], Sequence[str]] | None = None,
        finish: Finish | None = None,
        after: int = 0,
    ) -> None:
        """``after``: the number of the channel's last utterance, when an earlier pipeline has heard the beginning of the call."""
        self._call_id = call_id
        self._channel = channel
        self._language = language
        self._vad = vad
        self._clock_ms = clock_ms
        self._config = config or PipelineConfig()
        self._hotwords = hotwords
        self._nearby = nearby
        self._finish = finish or (lambda text, words, _language: FinishedText(text=text, words=words))
        self._endpointer = Endpointer(self._config.endpoint)
        self._pcm = bytearray()
        self._pcm_start = 0
        self._cursor: int | None = None
        self._framed = 0
        self._floor = 0
        self._open: OpenUtterance | None = None
        self._closed: deque[ClosedUtterance] = deque()
        self._count = after
        self._tags = 0
        self._last_audio_ms = 0.0
        self._context = ""
        self._past = Past(self._config.lead_ms)

    @property
    def waiting(self) -> int:
        """Utterances that are closed and wait for their final."""
        return len(self._closed)

    def set_language(self, language: str) -> None:
        """For windows asked for from now on; an utterance keeps the language in which its last window was asked for."""
        if language != self._language:
            self._past = Past(self._config.lead_ms)  # what was said in one language is no lead for the other
        self._language = language

    def receive_audio(self, pcm16: bytes, start_ms: int) -> list[PipelineEffect]:
        """Mono 16 kHz s16le samples that begin at ``start_ms`` of media time. How the audio is cut into chunks changes nothing."""
        if len(pcm16) % 2:
            raise ValueError("16-bit audio has an even number of bytes: do not split a sample between two chunks.")
        self._last_audio_ms = self._clock_ms()
        effects: list[PipelineEffect] = []
        position, jitter = start_ms * SAMPLES_PER_MS, self._config.jitter_ms * SAMPLES_PER_MS
        if self._cursor is None:
            self._anchor(position)
        cursor = self._cursor if self._cursor is not None else position
        if position - cursor > self._config.gap_ms * SAMPLES_PER_MS:
            effects += self.flush()
            self._anchor(position)
            cursor = position
        elif position - cursor > jitter:
            self._pcm += bytes(2 * (position - cursor))
            cursor = position
        elif cursor - position > jitter:
            pcm16 = pcm16[2 * (cursor - position) :]  # heard already
        self._pcm += pcm16
        self._cursor = cursor + len(pcm16) // 2
        # The window in hand goes through float once; a view of the bytearray would forbid growing it, hence the copy of the slice.
        while self._framed + WINDOW_SAMPLES <= self._cursor:
            samples = np.frombuffer(self._audio(self._framed, self._framed + WINDOW_SAMPLES), dtype="<i2")
            probability = self._vad(samples.astype(np.float32) / np.float32(32768.0))
            start, self._framed = self._framed, self._framed + WINDOW_SAMPLES
            effects += self._window(probability, start)
        return effects

    def receive_hypothesis(self, tag: str, hypothesis: Hypothesis | None) -> list[PipelineEffect]:
        """The outcome of a ``Transcribe``; outcomes nobody waits for any more are ignored."""
        current = self._open
        if current is not None:
            if tag in current.partials:
                return self._partial_arrived(current, tag, hypothesis)
            if current.speculation is not None and current.speculation.tag == tag:
                return self._speculation_arrived(current, current.speculation, hypothesis)
        for closed in self._closed:
            if closed.tag == tag:
                return self._final_arrived(closed, hypothesis)
        return []

    def tick(self, now_ms: float) -> list[PipelineEffect]:
        """``now_ms`` by the injected clock: closes the utterance when audio has stopped coming."""
        if self._open is None or now_ms - self._last_audio_ms < self._config.stall_ms:
            return []
        return self.flush()

    def flush(self) -> list[PipelineEffect]:
        """No audio follows what was received: closes the open utterance. Finals still arrive through ``receive_hypothesis``."""
        effects: list[PipelineEffect] = []
        if self._open is not None and self._cursor is not None:
            silence = self._endpointer.silence_start
            self._framed = self._cursor
            effects = self._close(self._open, speech_end=self._cursor if silence is None else silence)
        self._endpointer.reset()
        self._vad.reset()
        if self._cursor is not None:
            self._anchor(self._cursor)
        return effects

    # ------------------------------------------------------------------ audio

    def _anchor(self, position: int) -> None:
        self._pcm.clear()
        self._pcm_start = self._cursor = self._framed = self._floor = position

    def _audio(self, start: int, end: int) -> bytes:
        return bytes(self._pcm[2 * (start - self._pcm_start) : 2 * (end - self._pcm_start)])

    def _trim(self) -> None:
        """Forgets audio that no window can need."""
        if self._open is not None:
            keep = self._open.audio_start
        else:
            before_ms = max(self._config.pre_roll_ms, MARGIN_MS) + self._config.endpoint.start_ms
            keep = self._framed - before_ms * SAMPLES_PER_MS - WINDOW_SAMPLES
        if keep - self._pcm_start > WINDOW_SAMPLES:
            del self._pcm[: 2 * (keep - self._pcm_start)]
            self._pcm_start = keep

    def _window(self, probability: float, start: int) -> list[PipelineEffect]:
        effects: list[PipelineEffect] = []
        ms = SAMPLES_PER_MS
        for event in self._endpointer.push(probability, start):
            current = self._open
            match event:
                case Started(at=at):
                    effects += self._begin(at, audio_start=max(at - self._config.pre_roll_ms * ms, self._floor, self._pcm_start))
                case Paused() if current is not None:
                    effects += self._speculate(current)
                case Resumed() if current is not None:
                    effects += self._drop_speculation(current)
                case Ended(at=at) if current is not None:
                    effects += self._close(current, speech_end=at)
                case Capped(at=at) if current is not None:
                    overlap = self._config.overlap_ms * ms
                    effects += self._close(current, speech_end=at, audio_end=min(at + overlap, self._framed), own_until=at)
                    effects += self._begin(at, audio_start=at - overlap, own_from=at)
        current = self._open
        if current is not None and self._framed >= current.next_partial and self._endpointer.silence_start is None:
            effects.append(self._ask_partial(current))
        self._trim()
        return effects

    # ------------------------------------------------------------------ utterances

    def _begin(self, at: int, *, audio_start: int, own_from: int | None = None) -> list[PipelineEffect]:
        self._count += 1
        self._open = OpenUtterance(
            utterance=utterance_id(self._channel, self._count),
            language=self._language,
            speech_start=at,
            audio_start=audio_start,
            next_partial=at + self._config.first_partial_ms * SAMPLES_PER_MS,
            own_from=own_from,
        )
        return [EmitSpeech(event=SpeechStarted(channel=self._channel, utterance_id=self._open.utterance, at_ms=at // SAMPLES_PER_MS))]

    def _ask(
        self,
        lane: Literal["final", "partial"],
        start: int,
        end: int,
        *,
        context: str,
        word_times: bool,
        guess: bool = False,
        heard: str = "",
        onset: int = 0,
    ) -> Transcribe:
        self._tags += 1
        tag = f"{self._channel}:{lane[0]}{self._tags}"
        request = RecognizeRequest(
            request_id=f"{self._call_id}/{tag}",
            call_id=self._call_id,
            channel=self._channel,
            lane=lane,
            pcm16=self._audio(start, end),
            language=self._language,
            previous_text=context,
            hotwords=self._hotwords_for(heard),
            beam_size=self._config.final_beam if lane == "final" else 1,
            word_times=word_times,
            speculative=guess,
            opening=lane == "partial" and self._open is not None and not any(self._open.shown),
            onset_ms=max(0, onset - start) // SAMPLES_PER_MS,
            leads=self._past.before(start) if lane == "final" else (),
        )
        return Transcribe(request=request, tag=tag)

    def _hotwords_for(self, heard: str) -> tuple[str, ...]:
        """Terms near to what the partials heard; where there are none, those of the call."""
        nearby = self._nearby(heard, self._language) if self._nearby is not None and heard else ()
        return tuple(nearby or self._hotwords())

    def _ask_partial(self, current: OpenUtterance) -> Transcribe:
        config, end = self._config, self._framed
        step = config.partial_step_ms if any(current.shown) else config.opening_step_ms
        current.next_partial = end + step * SAMPLES_PER_MS
        lock_after = config.lock_after_ms * SAMPLES_PER_MS
        start = current.open_window(end, longest=config.max_partial_ms * SAMPLES_PER_MS, shortened=lock_after)
        ask = self._ask("partial", start, end, context=current.agreement.locked[-40:], word_times=end - start > lock_after)
        current.partials[ask.tag] = (start, end)
        return ask

    def _ask_final(self, current: OpenUtterance, end: int, *, guess: bool = False) -> Transcribe:
        context = self._context[-self._config.context_chars :] if self._config.context_chars else ""
        heard = "".join(current.shown)
        return self._ask(
            "final", current.audio_start, end, context=context, word_times=True, guess=guess, heard=heard, onset=current.speech_start
        )

    def _speculate(self, current: OpenUtterance) -> list[PipelineEffect]:
        ask = self._ask_final(current, self._framed, guess=True)
        current.speculation = Speculation(tag=ask.tag, request=ask.request)
        return [ask]

    def _speculation_arrived(self, current: OpenUtterance, speculation: Speculation, hypothesis: Hypothesis | None) -> list[PipelineEffect]:
        if hypothesis is None:
            current.speculation = None  # the endpoint asks again
            return []
        speculation.hypothesis = hypothesis
        if self._config.sure_end_ms and self._sure(hypothesis):
            self._endpointer.end_after(self._config.sure_end_ms)
        if not current.take_whole(hypothesis, speculation.request):
            return []
        current.next_partial = self._framed + self._config.partial_step_ms * SAMPLES_PER_MS
        return [self._partial(current, self._framed, *current.shown)]

    @staticmethod
    def _sure(hypothesis: Hypothesis) -> bool:
        """True if what was heard reads like a finished sentence."""
        return not hypothesis.rejected and hypothesis.avg_logprob > _SURE_LOGPROB and hypothesis.text.endswith(_SENTENCE_ENDS)

    def _drop_speculation(self, current: OpenUtterance) -> list[PipelineEffect]:
        speculation, current.speculation = current.speculation, None
        return [] if speculation is None or speculation.hypothesis is not None else [CancelPartial(tag=speculation.tag)]

    def _close(
        self, current: OpenUtterance, *, speech_end: int, audio_end: int | None = None, own_until: int | None = None
    ) -> list[PipelineEffect]:
        effects: list[PipelineEffect] = [CancelPartial(tag=tag) for tag in current.partials]
        hypothesis: Hypothesis | None = None
        end = audio_end or min(speech_end + self._config.tail_ms * SAMPLES_PER_MS, self._framed)
        if current.speculation is not None:
            tag, request, hypothesis = current.speculation.tag, current.speculation.request, current.speculation.hypothesis
            if hypothesis is None:
                request = replace(request, pcm16=self._audio(current.audio_start, end), speculative=False)
                effects.append(Confirm(request=request))
        else:
            ask = self._ask_final(current, end)
            tag, request = ask.tag, ask.request
            effects.append(ask)
        first = max(current.speech_start - MARGIN_MS * SAMPLES_PER_MS, current.audio_start)
        last = min(speech_end + MARGIN_MS * SAMPLES_PER_MS, self._framed)
        self._closed.append(
            ClosedUtterance(
                utterance=current.utterance,
                language=current.language,
                request=request,
                tag=tag,
                audio_start=current.audio_start,
                speech_start=current.speech_start,
                speech_end=speech_end,
                endpoint=self._framed,
                # The end of speech arrived this long ago by media time; the clock says when the window in hand did.
                ended_at_ms=self._clock_ms() - (self._framed - speech_end) / SAMPLES_PER_MS,
                own_from=current.own_from,
                own_until=own_until,
                shown=current.shown,
                hypothesis=hypothesis,
                spoken=(first, last, self._audio(first, last) if self._config.lead_ms else b""),
            )
        )
        self._open, self._floor = None, speech_end
        ended = SpeechEnded(channel=self._channel, utterance_id=current.utterance, at_ms=speech_end // SAMPLES_PER_MS)
        return [*effects, EmitSpeech(event=ended), *self._publish()]

    # ------------------------------------------------------------------ what comes out

    def _partial_arrived(self, current: OpenUtterance, tag: str, hypothesis: Hypothesis | None) -> list[PipelineEffect]:
        end = current.partial_arrived(tag, hypothesis, lock_guard=self._config.lock_guard_ms * SAMPLES_PER_MS)
        return [] if end is None else [self._partial(current, end, *current.shown)]

    def _final_arrived(self, closed: ClosedUtterance, hypothesis: Hypothesis | None) -> list[PipelineEffect]:
        if hypothesis is not None:
            closed.hypothesis = hypothesis
        elif closed.retried:
            closed.failed = True
        else:
            self._tags += 1
            closed.retried, closed.tag = True, f"{self._channel}:f{self._tags}"
            request = replace(closed.request, request_id=f"{self._call_id}/{closed.tag}")
            return [Transcribe(request=request, tag=closed.tag)]
        return self._publish()

    def _publish(self) -> list[PipelineEffect]:
        """Settled finals, in media order: one that is ready waits for those before it."""
        effects: list[PipelineEffect] = []
        while self._closed and self._closed[0].settled:
            closed = self._closed.popleft()
            outcome = closed.finished(self._finish)
            if outcome is None:
                if any(closed.shown):
                    effects.append(self._partial(closed, closed.speech_end, "", ""))
                continue
            finished, confidence = outcome
            self._context = finished.text
            if self._config.lead_ms and closed.hypothesis is not None:
                start, end, pcm16 = closed.spoken
                self._past.add(Spoken(start=start, end=end, pcm16=pcm16, text=closed.hypothesis.text))
            effects.append(EmitFinal(final=self._final(closed, finished, confidence)))
        return effects

    def _partial(self, source: OpenUtterance | ClosedUtterance, end: int, stable: str, unstable: str) -> EmitPartial:
        partial = TranscriptPartial(
            channel=self._channel,
            utterance_id=source.utterance,
            start_ms=source.speech_start // SAMPLES_PER_MS,
            end_ms=end // SAMPLES_PER_MS,
            stable=stable,
            unstable=unstable,
            language=source.language,
        )
        return EmitPartial(partial=partial)

    def _final(self, closed: ClosedUtterance, finished: FinishedText, confidence: float) -> TranscriptFinal:
        hypothesis = closed.hypothesis
        return TranscriptFinal(
            channel=self._channel,
            utterance_id=closed.utterance,
            start_ms=closed.speech_start // SAMPLES_PER_MS,
            end_ms=closed.speech_end // SAMPLES_PER_MS,
            text=finished.text,
            language=hypothesis.language if hypothesis else closed.language,
            confidence=confidence,
            words=finished.words,
            corrections=finished.corrections,
            voice=self._voice(closed),
            timings=AsrTimings(
                queue_ms=hypothesis.queue_ms if hypothesis else 0.0,
                decode_ms=hypothesis.decode_ms if hypothesis else 0.0,
                endpoint_ms=(closed.endpoint - closed.speech_end) / SAMPLES_PER_MS,
                after_speech_ms=max(0.0, self._clock_ms() - closed.ended_at_ms),
                batch_size=hypothesis.batch_size if hypothesis else 1,
                window_ms=hypothesis.window_ms if hypothesis else 0,
            ),
        )

    def _voice(self, closed: ClosedUtterance) -> VoiceMeasure | None:
        """Only of customers: an agent's voice is nobody's business."""
        if self._channel != "customer":
            return None
        first, last = closed.speech_start - closed.audio_start, closed.speech_end - closed.audio_start
        return measure(closed.request.pcm16[2 * max(0, first) : 2 * max(0, last)])
