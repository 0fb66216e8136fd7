"""One call from telephony events to the live loop: recorded, recognised, handed on in order.

Three tasks a call: whoever calls ``receive`` (the socket's reader) only records and queues; the recogniser's task decodes audio and runs
the pipelines' effects; the teller's task talks to the CallHandle, one thing after the other. Recording never waits for recognition.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import structlog

from copilot.domain.audio import CallStart, ChannelName, Dtmf, LegFormat, MediaFrame, MediaGap
from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, CopilotError, EngineError
from copilot.domain.events import SuggestionOffered
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.asr import Transcriber
from copilot.domain.ports.live import CallHandle, CallSink, Integration, Resumption
from copilot.domain.transcript import Hypothesis, TranscriptFinal, TranscriptPartial
from streaming.account import AudioAccount
from streaming.audio.leg import AudioChunk, LegAudio
from streaming.effects import CancelPartial, Confirm, EmitFinal, EmitPartial, EmitSpeech, PipelineEffect, Transcribe
from streaming.recording.recorder import CallRecording, Recorder
from streaming.recording.segment import BlobCipher
from streaming.teller import Degrade, Teller

log = structlog.get_logger(__name__)


class ChannelPipeline(Protocol):
    """``streaming.pipeline.ChannelPipeline``, or a scripted one."""

    def receive_audio(self, pcm16: bytes, start_ms: int) -> list[PipelineEffect]: ...

    def receive_hypothesis(self, tag: str, hypothesis: Hypothesis | None) -> list[PipelineEffect]: ...

    def tick(self, now_ms: float) -> list[PipelineEffect]: ...

    def flush(self) -> list[PipelineEffect]: ...

    def set_language(self, language: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRequest:
    """What a pipeline is made for."""

    call_id: CallId
    channel: ChannelName
    language: str
    hotwords: Callable[[], Sequence[str]]
    after: int = 0
    """The number of the channel's last utterance, if another node heard the beginning."""


PipelineFactory = Callable[[PipelineRequest], ChannelPipeline]
Publish = Callable[[TranscriptPartial | TranscriptFinal], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Times in seconds unless named otherwise."""

    max_backlog_ms: int = 20_000
    """Audio waiting for recognition, both legs together; beyond it recognition skips (said as degraded), the recording does not."""
    tick_s: float = 0.25
    drain_s: float = 20.0
    """How long the end of a call waits for its last finals."""
    recording_close_s: float = 15.0
    store_retries_s: tuple[float, ...] = (0.2, 1.0, 3.0)
    """Waits between attempts to store a final while the store is away."""
    resume_back_ms: int = 30_000
    """How far before the last final a call begins again that another node had."""
    least_gap_ms: int = 100
    """Shorter holes are filled without an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestServices:
    """What all calls of a node share. ``cipher_for`` may block (it reads the store); without ``recorder`` nothing is recorded."""

    sink: CallSink
    transcriber: Transcriber
    make_pipeline: PipelineFactory
    clock: Clock
    recorder: Recorder | None = None
    cipher_for: Callable[[OrgId, CallId], BlobCipher] | None = None
    config: IngestConfig = IngestConfig()
    on_account: Callable[[AudioAccount], None] = lambda _account: None
    """Told once per call, when it has ended."""


@dataclass(slots=True, eq=False)
class _Leg:
    audio: LegAudio
    pipeline: ChannelPipeline
    form: LegFormat
    end_sample: int = 0
    known_sample: int = 0
    """What lies before it has its final already."""

    def begin(self, start_ms: int, known_ms: int) -> None:
        """The leg goes on from ``start_ms``, and is recognised up to ``known_ms``."""
        self.end_sample = start_ms * self.form.sample_rate_hz // 1000
        self.known_sample = known_ms * self.form.sample_rate_hz // 1000

    def unknown(self, frame: MediaFrame) -> MediaFrame | None:
        """What of a frame recognition has not heard."""
        repeated = self.known_sample - frame.start_sample
        if repeated <= 0:
            return frame
        payload = frame.payload[repeated * self.form.bytes_per_sample :]
        return replace(frame, start_sample=self.known_sample, payload=payload) if payload else None

    def samples(self, event: MediaFrame | MediaGap) -> int:
        return event.samples if isinstance(event, MediaGap) else len(event.payload) // self.form.bytes_per_sample

    def duration_ms(self, event: MediaFrame | MediaGap) -> float:
        return self.samples(event) * 1000 / self.form.sample_rate_hz


class CallIngest:
    """One live call. ``open`` makes it; ``receive`` in media order; ``finish`` exactly once is enough, more often is allowed."""

    def __init__(
        self, services: IngestServices, start: CallStart, integration: Integration, handle: CallHandle, resumed: Resumption | None = None
    ) -> None:
        self._services = services
        self._config = services.config
        self._handle = handle
        self.start = start
        self.publish: Publish | None = None
        """Where masked transcripts go beside the live loop: the peer, if it asked. May be replaced when the peer reconnects."""
        language = start.language or integration.language
        self._legs: dict[ChannelName, _Leg] = {}
        for leg in start.legs:
            after = resumed.utterances[leg.channel] if resumed is not None else 0
            wanted = PipelineRequest(call_id=handle.call_id, channel=leg.channel, language=language, hotwords=handle.hotwords, after=after)
            self._legs[leg.channel] = _Leg(LegAudio(leg), services.make_pipeline(wanted), leg)
            if resumed is not None:
                self._legs[leg.channel].begin(self._begins_ms(resumed), resumed.heard_ms[leg.channel])
        self._start_ms = self._begins_ms(resumed) if resumed is not None else 0
        self._recording: CallRecording | None = None
        self._teller = Teller(handle, self._show, retries_s=self._config.store_retries_s)
        self._queue: deque[MediaFrame | MediaGap] = deque()
        self._backlog_ms = 0.0
        self._account = AudioAccount()
        self._skipping = False
        self._stopping = False
        self._waiting = False
        self._wake = asyncio.Event()
        self._asks: dict[str, tuple[asyncio.Task[None], _Leg, bool]] = {}
        self._recognition_down = False
        self._recogniser: asyncio.Task[None] | None = None
        self._finish: asyncio.Task[int] | None = None

    @classmethod
    async def open(cls, services: IngestServices, start: CallStart, integration: Integration) -> CallIngest:
        """Admits the call, opens it and its recording. Raises Overloaded, Conflict, and what the sink raises."""
        services.transcriber.admit()
        handle = await services.sink.open_call(start, integration)
        try:
            ingest = cls(services, start, integration, handle)
        except Exception:
            await handle.end("error", 0)
            raise
        await ingest._begin(integration)
        return ingest

    @classmethod
    async def resume(cls, services: IngestServices, start: CallStart, integration: Integration) -> CallIngest:
        """Goes on with a call that another node began. Raises Overloaded, NotFound, and what the sink raises."""
        services.transcriber.admit()
        resumed = await services.sink.resume_call(start, integration)
        ingest = cls(services, start, integration, resumed.handle, resumed)
        await ingest._begin(integration)
        return ingest

    async def _begin(self, integration: Integration) -> None:
        await self._open_recording(integration.org_id)
        self._teller.start()
        self._recogniser = asyncio.create_task(self._recognise(), name=f"recognise-{self.call_id}")

    def _begins_ms(self, resumed: Resumption) -> int:
        """Where this node's part of the call begins: nothing before it is unheard, on any leg; not further back than a peer would keep."""
        ends = resumed.heard_ms.values()
        return max(min(ends), max(ends) - self._config.resume_back_ms)

    @property
    def call_id(self) -> CallId:
        return self._handle.call_id

    @property
    def heard_samples(self) -> int:
        """Samples of every leg that have been taken, gaps included."""
        return min(leg.end_sample for leg in self._legs.values())

    @property
    def duration_ms(self) -> int:
        """Media time so far: of the longest leg, gaps included."""
        return max(leg.form.samples_to_ms(leg.end_sample) for leg in self._legs.values())

    @property
    def handle(self) -> CallHandle:
        return self._handle

    @property
    def finishing(self) -> bool:
        return self._finish is not None

    def listen(self, tell: Callable[[SuggestionOffered], None]) -> None:
        """``tell`` gets every card that is offered to the agent from now on, masked."""
        self._handle.listen(tell)

    def set_language(self, language: str) -> None:
        """The call goes on in another language: for what is recognised from now on."""
        for leg in self._legs.values():
            leg.pipeline.set_language(language)

    def wait_for_peer(self) -> None:
        """The connection broke and may come back: until audio comes again, audio that does not come is no end of an utterance.

        Else the word that was being spoken would be heard in two halves.
        """
        self._waiting = True

    async def receive(self, event: MediaFrame | MediaGap | Dtmf) -> None:
        """Takes the next event; waits only when the recording's writer is behind. Raises Conflict once another node owns the call."""
        self._teller.check()
        if isinstance(event, Dtmf) or self._finish is not None:
            return  # key presses may be a PIN: they are neither kept nor told
        leg = self._legs[event.channel]
        if self._recording is not None:
            if isinstance(event, MediaFrame):
                await self._recording.write(event)
            else:
                await self._recording.gap(event)
        leg.end_sample = max(leg.end_sample, event.start_sample + leg.samples(event))
        unheard = leg.unknown(event) if isinstance(event, MediaFrame) else event
        if unheard is not None:
            self._enqueue(leg, unheard)

    async def finish(self, reason: str) -> int:
        """Ends the call: what was heard is recognised, told and sealed, then after-call work is queued. Returns the duration in ms.

        The first reason counts. Cancelling the caller does not stop it.
        """
        if self._finish is None:
            self._finish = asyncio.create_task(self._do_finish(reason), name=f"finish-{self.call_id}")
        return await asyncio.shield(self._finish)

    # ------------------------------------------------------------------ recording

    async def _open_recording(self, org_id: OrgId) -> None:
        recorder, cipher_for = self._services.recorder, self._services.cipher_for
        if recorder is None or cipher_for is None:
            return
        try:
            cipher = await asyncio.to_thread(cipher_for, org_id, self.call_id)
            self._recording = recorder.open(
                org_id,
                self.call_id,
                self.start.legs,
                cipher,
                self._recording_state,
                part=self._handle.epoch,
                start_ms=self._start_ms,
            )
        except Exception as error:  # the call is worth more than its recording
            log.exception("recording_not_opened", call_id=self.call_id)
            self._recording_state("down", f"The recording could not be opened ({type(error).__name__}).")

    def _recording_state(self, state: str, reason: str) -> None:
        self._teller.tell(Degrade("recording", state, reason))

    async def _close_recording(self) -> None:
        if self._recording is None:
            return
        try:
            async with asyncio.timeout(self._config.recording_close_s):
                await self._recording.close()
        except TimeoutError:
            log.warning("recording_sealed_later", call_id=self.call_id)

    # ------------------------------------------------------------------ recognition

    def _enqueue(self, leg: _Leg, event: MediaFrame | MediaGap) -> None:
        if isinstance(event, MediaFrame):
            if self._skipping or self._backlog_ms > self._config.max_backlog_ms:
                if not self._skipping:
                    self._skipping = True
                    self._teller.tell(Degrade("recognition", "down", "Recognition is behind: audio is skipped until it has caught up."))
                if self._backlog_ms > self._config.max_backlog_ms / 2:
                    self._account.skipped += leg.duration_ms(event)
                    return
                self._skipping = False
                self._teller.tell(Degrade("recognition", "up", ""))
            self._backlog_ms += leg.duration_ms(event)
        self._queue.append(event)
        self._wake.set()

    async def _recognise(self) -> None:
        """Never raises: a fault of recognition degrades the call, and the recording goes on."""
        ticked = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.tick_s):
                    await self._wake.wait()
            self._wake.clear()
            while self._queue:
                event = self._queue.popleft()
                leg = self._legs[event.channel]
                if isinstance(event, MediaFrame):
                    self._hear(leg, event)
                    self._backlog_ms = max(0.0, self._backlog_ms - leg.duration_ms(event))
                else:
                    self._pause(leg, event)
                await self._teller.room()
                await asyncio.sleep(0)  # voice detection is some work: let the other calls have theirs
            now = self._services.clock.monotonic()
            if now - ticked >= self._config.tick_s:  # by time, since one leg may be silent while the other is not
                ticked = now
                for leg in self._legs.values() if not self._waiting else ():
                    self._guarded(leg, partial(leg.pipeline.tick, now * 1000))
            if self._stopping:
                for leg in self._legs.values():
                    self._feed(leg, leg.audio.flush)
                    self._guarded(leg, leg.pipeline.flush)
                return

    def _hear(self, leg: _Leg, frame: MediaFrame) -> None:
        self._waiting = False
        heard = self._feed(leg, partial(leg.audio.receive, frame))
        self._account.heard(leg.duration_ms(frame), failed=not heard)

    def _pause(self, leg: _Leg, gap: MediaGap) -> None:
        self._feed(leg, leg.audio.flush)
        self._account.gap += leg.duration_ms(gap)
        start_ms = leg.form.samples_to_ms(gap.start_sample)
        duration_ms = leg.form.samples_to_ms(gap.samples)
        if duration_ms >= self._config.least_gap_ms:
            self._teller.tell((gap, start_ms, duration_ms))

    def _feed(self, leg: _Leg, chunks: Callable[[], list[AudioChunk]]) -> bool:
        def heard() -> list[PipelineEffect]:
            return [effect for chunk in chunks() for effect in leg.pipeline.receive_audio(chunk.pcm16, chunk.start_ms)]

        return self._guarded(leg, heard)

    def _guarded(self, leg: _Leg, step: Callable[[], list[PipelineEffect]]) -> bool:
        """False if the step met a fault."""
        try:
            effects = step()
        except Exception:
            if not self._recognition_down:  # once, not for every frame
                log.exception("pipeline_fault", call_id=self.call_id)
            self._recognition_state("down", "Recognition met a fault of its own; the recording goes on.")
            return False
        for effect in effects:
            self._run(leg, effect)
        return True

    def _run(self, leg: _Leg, effect: PipelineEffect) -> None:
        match effect:
            case Transcribe():
                final = effect.request.lane == "final"
                task = asyncio.create_task(self._ask(leg, effect), name=f"ask-{effect.request.request_id}")
                self._asks[effect.tag] = (task, leg, final)
                task.add_done_callback(lambda _: self._asks.pop(effect.tag, None))
            case Confirm():
                self._services.transcriber.confirm(effect.request)
            case CancelPartial():
                ask = self._asks.pop(effect.tag, None)
                if ask is not None:
                    ask[0].cancel()
            case EmitPartial():
                self._teller.tell(effect.partial)
            case EmitFinal():
                self._teller.tell(effect.final)
            case EmitSpeech():
                self._account.voice(effect.event)
                self._teller.tell(effect.event)

    async def _ask(self, leg: _Leg, effect: Transcribe) -> None:
        final = effect.request.lane == "final"
        hypothesis: Hypothesis | None = None
        try:
            hypothesis = await self._services.transcriber.transcribe(effect.request)
            if hypothesis is not None:
                self._recognition_state("up", "")
        except Exception as error:  # whatever an engine raises, the call goes on without this window
            log.warning("recognition_failed", call_id=self.call_id, lane=effect.request.lane, error=type(error).__name__)
            if final or not isinstance(error, CopilotError):
                self._recognition_state("down", str(error) if isinstance(error, EngineError) else "Recognition failed.")
        # No longer waiting: an effect of the hypothesis may reuse nothing of this ask, and finishing must not count it.
        self._asks.pop(effect.tag, None)
        self._guarded(leg, partial(leg.pipeline.receive_hypothesis, effect.tag, hypothesis))

    def _recognition_state(self, state: str, reason: str) -> None:
        down = state == "down"
        if down != self._recognition_down:
            self._recognition_down = down
            self._teller.tell(Degrade("recognition", state, reason))

    def _show(self, event: TranscriptPartial | TranscriptFinal) -> None:
        if self.publish is not None:
            self.publish(event)

    # ------------------------------------------------------------------ the end

    async def _do_finish(self, reason: str) -> int:
        closing = asyncio.create_task(self._close_recording(), name=f"close-recording-{self.call_id}")
        try:
            self._stopping = True
            self._wake.set()
            if self._recogniser is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._config.drain_s):
                        await self._recogniser
            await self._last_finals()
            async with asyncio.timeout(self._config.drain_s):
                await self._teller.close()
        except Exception:  # whatever went wrong on the way, the call must be closed in the record
            log.exception("finish_fault", call_id=self.call_id)
        await asyncio.gather(closing, return_exceptions=True)
        self._services.on_account(self._account)
        try:
            await self._handle.end(reason, self.duration_ms)
        except Conflict:
            log.warning("call_taken_over", call_id=self.call_id)
        except Exception:
            log.exception("end_not_stored", call_id=self.call_id)
        return self.duration_ms

    async def _last_finals(self) -> None:
        """Waits for finals that are being decoded; past the limit the pipelines keep what the partials had."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.drain_s
        while waiting := {task for task, _, final in self._asks.values() if final}:
            left = deadline - loop.time()
            if left <= 0:
                log.warning("finals_given_up", call_id=self.call_id, finals=len(waiting))
                self._recognition_state("down", "The last words of the call were not recognised in time.")
                break
            await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        while self._asks:
            tag, (task, leg, final) = next(iter(self._asks.items()))
            del self._asks[tag]
            task.cancel()
            if final:  # the pipeline asks once more; that ask gets the same answer
                self._guarded(leg, partial(leg.pipeline.receive_hypothesis, tag, None))
