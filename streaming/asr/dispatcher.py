"""The one place that owns recognition queues: decoder threads take batches by the schedule, callers await their hypotheses.

A batch that fails fails alone. A decoder thread that dies or hangs is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

from copilot.domain.errors import EngineError
from copilot.domain.ports.asr import Recognizer
from copilot.domain.transcript import Hypothesis, RecognizeRequest
from streaming.asr.schedule import Schedule, ScheduleConfig, Ticket
from streaming.asr.window import window_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedBatch:
    """One batch, for metrics."""

    lane: str
    size: int
    decode_ms: float
    queue_ms: tuple[float, ...]
    audio_ms: int
    failed: bool


@dataclass(slots=True, kw_only=True)
class DispatcherStats:
    """Totals since the start, and the present state. Times in ms, audio in s."""

    requests: int = 0
    batches: int = 0
    finals: int = 0
    partials: int = 0
    dropped_partials: int = 0
    cancelled: int = 0
    failed: int = 0
    refused_calls: int = 0
    restarted_decoders: int = 0
    queue_ms: float = 0.0
    decode_ms: float = 0.0
    audio_s: float = 0.0
    waiting_finals: int = 0
    waiting_partials: int = 0
    live_channels: int = 0
    load: float = 0.0
    cadence_ms: float = 0.0


def default_key(request: RecognizeRequest) -> Hashable:
    """For engines that only need equal windows: (window, lane, beam, prompted or not)."""
    window = window_ms(len(request.pcm16) // 32, request.lane)
    return window, request.lane, request.beam_size, bool(request.previous_text), request.hotwords


@dataclass(slots=True, eq=False)
class _Entry:
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Hypothesis | None]


@dataclass(slots=True, eq=False)
class _Decoder:
    """A thread and the batch in its hands. ``abandoned``: it hung and was replaced; whatever it returns is ignored."""

    recognizer: Recognizer
    thread: threading.Thread | None = None
    batch: tuple[Ticket, ...] = ()
    began_ms: float = 0.0
    abandoned: bool = False


@dataclass(slots=True)
class _State:
    entries: dict[Ticket, _Entry] = field(default_factory=dict)
    stopping: bool = False
    started: bool = False


class Dispatcher:
    """The ``Transcriber`` port. ``recognizers``: one per decoder thread (a thread-safe engine may be given several times).

    Waiting is bounded: a channel has at most one partial in the queue, and ``max_finals`` finals may wait in all; past that, finals
    fail with a retryable EngineError, which admission control is there to prevent.
    """

    def __init__(
        self,
        recognizers: Sequence[Recognizer],
        *,
        config: ScheduleConfig | None = None,
        key: Callable[[RecognizeRequest], Hashable] = default_key,
        on_batch: Callable[[DecodedBatch], None] | None = None,
        clock_ms: Callable[[], float] = lambda: time.monotonic() * 1000.0,
        max_finals: int = 512,
        hung_after_ms: float = 30_000,
        watch_every_s: float = 1.0,
    ) -> None:
        if not recognizers:
            raise ValueError("A dispatcher needs at least one recognizer.")
        self._schedule = Schedule(replace(config or ScheduleConfig(), decoders=len(recognizers)))
        self._decoders = [_Decoder(recognizer) for recognizer in recognizers]
        self._key = key
        self._on_batch = on_batch
        self._clock_ms = clock_ms
        self._max_finals = max_finals
        self._hung_after_ms = hung_after_ms
        self._watch_every_s = watch_every_s
        self._wake = threading.Condition()
        self._state = _State()
        self._stats = DispatcherStats()
        self._watch: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Starts the decoder threads and their watch."""
        with self._wake:
            self._state.started, self._state.stopping = True, False
            for decoder in self._decoders:
                self._spawn(decoder)
        self._watch = asyncio.create_task(self._watch_decoders(), name="recognition-watch")

    async def stop(self, grace_s: float = 5.0) -> None:
        """Lets running batches finish; everything that waits fails with a retryable EngineError (partials: None)."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        with self._wake:
            self._state.stopping, self._state.started = True, False
            waiting = self._schedule.drain()
            self._wake.notify_all()
        for ticket in waiting:
            self._fail([ticket], "Recognition is stopping: send the window again to another node.")
        threads = [decoder.thread for decoder in self._decoders if decoder.thread is not None]
        for thread in threads:
            await asyncio.to_thread(thread.join, grace_s)

    # ------------------------------------------------------------------ the port

    async def transcribe(self, request: RecognizeRequest) -> Hypothesis | None:
        """See ``copilot.domain.ports.asr.Transcriber``. Cancelling the caller takes a waiting request out of the queue."""
        loop = asyncio.get_running_loop()
        now = self._clock_ms()
        ticket = Ticket(request=request, key=self._key(request), arrived_ms=now)
        entry = _Entry(loop, loop.create_future())
        with self._wake:
            if not self._state.started:
                raise EngineError("Recognition is not running: start the dispatcher first.", retryable=True)
            if request.lane == "final" and self._schedule.waiting()[0] >= self._max_finals:
                self._stats.failed += 1
                raise EngineError(
                    f"{self._max_finals} finals are waiting: recognition cannot keep up with the running calls.", retryable=True
                )
            self._stats.requests += 1
            self._state.entries[ticket] = entry
            replaced = self._schedule.offer(ticket, now)
            self._wake.notify()
        self._drop(replaced)
        try:
            return await entry.future
        except asyncio.CancelledError:
            with self._wake:
                if self._schedule.withdraw(ticket):
                    self._stats.cancelled += 1
                self._state.entries.pop(ticket, None)
            raise

    def confirm(self, request: RecognizeRequest) -> None:
        """See ``copilot.domain.ports.asr.Transcriber``."""
        key = self._key(request)
        with self._wake:
            if self._schedule.confirm(request, key, self._clock_ms()):
                self._wake.notify()

    def admit(self) -> None:
        """Raises Overloaded when a further call would harm the running ones."""
        with self._wake:
            try:
                self._schedule.admit(self._clock_ms())
            except Exception:
                self._stats.refused_calls += 1
                raise

    def stats(self) -> DispatcherStats:
        """A copy of the totals with the present state filled in."""
        now = self._clock_ms()
        with self._wake:
            finals, partials = self._schedule.waiting()
            return replace(
                self._stats,
                waiting_finals=finals,
                waiting_partials=partials,
                live_channels=self._schedule.live_channels(now),
                load=self._schedule.load(now),
                cadence_ms=self._schedule.cadence_ms(now),
            )

    # ------------------------------------------------------------------ decoder threads

    def _spawn(self, decoder: _Decoder) -> None:
        decoder.thread = threading.Thread(target=self._decode_forever, args=(decoder,), name="decoder", daemon=True)
        decoder.thread.start()

    def _decode_forever(self, decoder: _Decoder) -> None:
        while True:
            batch = self._next_batch(decoder)
            if batch is None:
                return
            self._decode(decoder, batch)

    def _next_batch(self, decoder: _Decoder) -> tuple[Ticket, ...] | None:
        while True:
            with self._wake:
                if self._state.stopping or decoder.abandoned:
                    return None
                now = self._clock_ms()
                decision = self._schedule.take(now)
                if decision.batch:
                    decoder.batch, decoder.began_ms = decision.batch, now
                    economy = self._schedule.economy(now)
                    if economy and decision.batch[0].request.lane == "final":
                        for ticket in decision.batch:
                            ticket.request = replace(ticket.request, economy=economy)
                elif not decision.dropped:
                    self._wake.wait(None if decision.look_again_ms is None else max(0.001, (decision.look_again_ms - now) / 1000.0))
            self._drop(decision.dropped)
            if decision.batch:
                return decision.batch

    def _decode(self, decoder: _Decoder, batch: tuple[Ticket, ...]) -> None:
        began = decoder.began_ms
        try:
            hypotheses = decoder.recognizer.recognize([ticket.request for ticket in batch])
            if len(hypotheses) != len(batch):
                raise EngineError(f"The engine answered {len(hypotheses)} of {len(batch)} windows.", retryable=True)
        except Exception as error:
            # Only this batch is lost: other calls and this thread go on.
            if self._release(decoder, batch, failed=True):
                message = (
                    str(error) if isinstance(error, EngineError) else f"Recognition failed ({type(error).__name__}): it may be tried again."
                )
                self._fail(batch, message, retryable=not isinstance(error, EngineError) or error.retryable)
            return
        now = self._clock_ms()
        if not self._release(decoder, batch, failed=False):
            return
        for ticket, hypothesis in zip(batch, hypotheses, strict=True):
            self._answer(ticket, replace(hypothesis, queue_ms=began - ticket.arrived_ms, decode_ms=now - began, batch_size=len(batch)))

    def _release(self, decoder: _Decoder, batch: tuple[Ticket, ...], *, failed: bool) -> bool:
        """Books a finished batch; False if the decoder had been given up on meanwhile."""
        now = self._clock_ms()
        with self._wake:
            if decoder.abandoned:
                return False
            decoder.batch = ()
            self._book(decoder, batch, now, failed=failed)
            self._wake.notify()
        return True

    def _book(self, decoder: _Decoder, batch: tuple[Ticket, ...], now: float, *, failed: bool) -> None:
        self._schedule.done(batch, now)
        stats, lane = self._stats, batch[0].request.lane
        waits = tuple(decoder.began_ms - ticket.arrived_ms for ticket in batch)
        audio_ms = sum(len(ticket.request.pcm16) // 32 for ticket in batch)
        stats.batches += 1
        stats.queue_ms += sum(waits)
        stats.decode_ms += now - decoder.began_ms
        stats.audio_s += audio_ms / 1000.0
        if failed:
            stats.failed += len(batch)
        elif lane == "final":
            stats.finals += len(batch)
        else:
            stats.partials += len(batch)
        if self._on_batch is not None:
            with contextlib.suppress(Exception):  # a metric must not stop a decoder
                self._on_batch(
                    DecodedBatch(
                        lane=lane, size=len(batch), decode_ms=now - decoder.began_ms, queue_ms=waits, audio_ms=audio_ms, failed=failed
                    )
                )

    async def _watch_decoders(self) -> None:
        while True:
            await asyncio.sleep(self._watch_every_s)
            self.check_decoders()

    def check_decoders(self) -> int:
        """Replaces decoder threads that died or have held a batch for longer than ``hung_after_ms``; how many."""
        now = self._clock_ms()
        lost: list[tuple[Ticket, ...]] = []
        replaced = 0
        with self._wake:
            if not self._state.started:
                return 0
            for index, decoder in enumerate(self._decoders):
                dead = decoder.thread is None or not decoder.thread.is_alive()
                hung = bool(decoder.batch) and now - decoder.began_ms > self._hung_after_ms
                if not dead and not hung:
                    continue
                decoder.abandoned = True
                if decoder.batch:
                    self._book(decoder, decoder.batch, now, failed=True)
                    lost.append(decoder.batch)
                self._decoders[index] = _Decoder(decoder.recognizer)
                self._spawn(self._decoders[index])
                self._stats.restarted_decoders += 1
                replaced += 1
        for batch in lost:
            self._fail(batch, "A decoder stopped answering and was replaced: the window may be tried again.")
        return replaced

    # ------------------------------------------------------------------ answers

    def _drop(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            with self._wake:
                self._stats.dropped_partials += 1
            self._answer(ticket, None)

    def _answer(self, ticket: Ticket, outcome: Hypothesis | None) -> None:
        self._settle(ticket, lambda future: future.set_result(outcome))

    def _fail(self, tickets: Sequence[Ticket], message: str, *, retryable: bool = True) -> None:
        """Partials that fail are simply missing; finals raise."""
        for ticket in tickets:
            if ticket.request.lane == "partial":
                self._answer(ticket, None)
            else:
                self._settle(ticket, lambda future: future.set_exception(EngineError(message, retryable=retryable)))

    def _settle(self, ticket: Ticket, settle: Callable[[asyncio.Future[Hypothesis | None]], None]) -> None:
        with self._wake:
            entry = self._state.entries.pop(ticket, None)
        if entry is None:
            return

        def apply() -> None:
            if not entry.future.done():
                settle(entry.future)

        with contextlib.suppress(RuntimeError):  # the caller's loop is closed: nobody waits
            entry.loop.call_soon_threadsafe(apply)
