"""Calls that a dead process of this node left live: what recognition had not heard is transcribed from the recording, then they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from copilot.assembly import engines
from copilot.domain.audio import LegFormat, MediaFrame
from copilot.domain.errors import Conflict, CopilotError, EngineError
from copilot.domain.events import CallEnded, CallEvent, Degraded, EventEnvelope, UtteranceFinal
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.store import OpenedCall
from copilot.domain.transcript import Hypothesis, RecognizeRequest, TranscriptFinal
from copilot.live.history import History, history_of

if TYPE_CHECKING:
    from copilot.domain.knowledge import BankTerm
    from copilot.domain.ports.asr import Transcriber
    from copilot.domain.ports.media import MediaStore
    from copilot.privacy.masker import Masker
    from copilot.settings import Settings
    from copilot.store.store import Store
    from streaming.recording.reader import RecordingReader
    from streaming.vad.silero import SileroVad

log = structlog.get_logger(__name__)
_PAGE = 1000
_BLOCK_S = 10
_DECODE_S = 120.0

TranscribeRest = Callable[[Iterator[MediaFrame], LegFormat, str, int], list[TranscriptFinal]]
"""(frames of one leg in media order, the leg, the language, the number of its last utterance) → finals. Blocking; raises EngineError."""


@dataclass(slots=True)
class InterruptedCalls:
    """``take`` before this node accepts calls; ``close`` when recognition runs, at leisure. Both may be cut off and done again.

    The finals and the end of a call are one append under a new epoch, so that neither another crash nor the old owner can double them,
    and after-call work sees the whole transcript.
    """

    store: Store
    media: MediaStore
    node: str
    masker: Callable[[str], Masker]
    _taken: list[tuple[OrgId, OpenedCall]] = field(default_factory=list)

    async def take(self) -> int:
        """Takes over what was live under this node's name; how many calls."""
        for org_id, call_id in await asyncio.to_thread(self.store.calls.interrupted_calls, self.node):
            try:
                self._taken.append((org_id, await self.store.journal.open(org_id, call_id, self.node)))
            except Conflict:  # another node was quicker
                continue
        return len(self._taken)

    async def close(self, transcribe: TranscribeRest) -> None:
        """Ends the calls, oldest first. Never raises for what is wrong with one of them."""
        while self._taken:
            org_id, opened = self._taken[0]
            try:
                finals = await self._close(org_id, opened, transcribe)
                log.warning("interrupted_call_closed", call_id=opened.call_id, finals_found=finals)
            except Conflict:
                log.warning("call_taken_over", call_id=opened.call_id)
            except Exception as error:  # the next start tries it again; the next call must not wait for it
                log.exception("interrupted_call_not_closed", call_id=opened.call_id, error=type(error).__name__)
            self.store.journal.release(org_id, opened.call_id)
            self._taken.pop(0)

    async def _close(self, org_id: OrgId, opened: OpenedCall, transcribe: TranscribeRest) -> int:
        history = await asyncio.to_thread(self._history, org_id, opened.call_id)
        events: list[CallEvent] = []
        duration_ms, found = max((final.end_ms for final in history.said), default=0), 0
        try:
            recorded_ms, finals = await asyncio.to_thread(self._rest, org_id, opened.call_id, history, transcribe)
            duration_ms = max(duration_ms, recorded_ms)
            masked, secrets = await asyncio.to_thread(self._masked, org_id, opened.call_id, history, finals)
            if secrets:
                await self.store.journal.put_secrets(org_id, opened.call_id, secrets, epoch=opened.epoch)
            events += masked
            found = len(masked)
        except Conflict:
            raise
        except CopilotError as error:
            # The words stay in the recording; the rest of the call must not wait for them.
            log.warning("rest_not_transcribed", call_id=opened.call_id, error=type(error).__name__)
            events.append(Degraded(part="recognition", state="down", reason="The end of the call could not be transcribed afterwards."))
        events.append(CallEnded(reason="interrupted", duration_ms=duration_ms))
        await self.store.journal.append(org_id, opened, events)
        return found

    def _history(self, org_id: OrgId, call_id: CallId) -> History:
        return history_of(read_events(self.store, org_id, call_id))

    def _rest(self, org_id: OrgId, call_id: CallId, history: History, transcribe: TranscribeRest) -> tuple[int, list[TranscriptFinal]]:
        """(ms recorded, finals in time order) of what lies behind the last final of each leg."""
        from streaming.recording.reader import RecordingReader

        reader = RecordingReader(self.media, org_id, call_id, self.store.call_cipher(org_id, call_id))
        finals: list[TranscriptFinal] = []
        duration_ms = 0
        for recording in reader.legs():
            leg = LegFormat(channel=recording.leg.channel, encoding="pcm_s16le", sample_rate_hz=recording.leg.sample_rate_hz)
            duration_ms = max(duration_ms, recording.duration_ms)
            start = history.heard_ms(leg.channel) * leg.sample_rate_hz // 1000
            frames = _frames(reader, leg, start, recording.samples)
            finals += transcribe(frames, leg, history.started.language, history.last_number(leg.channel))
        return duration_ms, sorted(finals, key=lambda final: (final.start_ms, final.channel))

    def _masked(
        self, org_id: OrgId, call_id: CallId, history: History, finals: list[TranscriptFinal]
    ) -> tuple[list[UtteranceFinal], dict[str, str]]:
        masker = self.masker(history.started.language)
        masker.resume(self.store.calls.vault(org_id, call_id), history.last_words())
        return mask_finals(masker, finals)


def mask_finals(masker: Masker, finals: Iterable[TranscriptFinal]) -> tuple[list[UtteranceFinal], dict[str, str]]:
    """(events, token → value) of what a recording says, in order; what a later line explains is masked in the earlier one too."""
    events: list[UtteranceFinal] = []
    secrets: dict[str, str] = {}
    for final in finals:
        masked, fresh = masker.final(final)
        secrets |= fresh
        events.append(
            UtteranceFinal(
                utterance_id=masked.utterance_id,
                channel=masked.channel,
                start_ms=masked.start_ms,
                end_ms=masked.end_ms,
                language=masked.language,
                confidence=masked.confidence,
                text=masked.text,
                words=masked.words,
                corrections=masked.corrections,
                source="recording",
            )
        )
        late = {anew.final.utterance_id: anew.final for anew in masker.take_rewritten()}
        events = [_restated(event, late[event.utterance_id]) if event.utterance_id in late else event for event in events]
    return events, secrets


def _restated(event: UtteranceFinal, final: TranscriptFinal) -> UtteranceFinal:
    return replace(event, text=final.text, words=final.words, corrections=final.corrections)


def _frames(reader: RecordingReader, leg: LegFormat, start: int, end: int) -> Iterator[MediaFrame]:
    """Samples [start, end) some seconds at a time, silence in the gaps."""
    step = _BLOCK_S * leg.sample_rate_hz
    for first in range(start, end, step):
        samples = reader.pcm16(leg.channel, first, min(first + step, end))
        yield MediaFrame(channel=leg.channel, start_sample=first, payload=samples.astype("<i2", copy=False).tobytes())


def read_events(store: Store, org_id: OrgId, call_id: CallId, after: int = 0) -> list[EventEnvelope]:
    """All events of a call that follow ``after``."""
    events: list[EventEnvelope] = []
    while page := store.calls.events(org_id, call_id, events[-1].seq if events else after, _PAGE):
        events += page
    return events


class _Dispatched:
    """The dispatcher as a recognizer of a worker thread: one window at a time takes its turn among those of live calls."""

    model_id = "dispatcher"

    def __init__(self, transcriber: Transcriber, loop: asyncio.AbstractEventLoop) -> None:
        self._transcriber = transcriber
        self._loop = loop

    def recognize(self, requests: Sequence[RecognizeRequest]) -> list[Hypothesis]:
        return [self._one(request) for request in requests]

    def _one(self, request: RecognizeRequest) -> Hypothesis:
        asked = asyncio.run_coroutine_threadsafe(self._transcriber.transcribe(request), self._loop)
        hypothesis = asked.result(_DECODE_S)
        if hypothesis is None:
            raise EngineError("A window of the recording was not decoded.", retryable=True)
        return hypothesis


def rest_transcriber(
    settings: Settings, transcriber: Transcriber, vad: SileroVad, lexicon: Callable[[], tuple[BankTerm, ...]]
) -> TranscribeRest:
    """The engine of live calls for what they left unheard. Call it on the event loop."""
    from streaming.batch import transcribe_rest

    recognizer = _Dispatched(transcriber, asyncio.get_running_loop())
    config = engines.pipeline_config(settings)

    def transcribe(frames: Iterator[MediaFrame], leg: LegFormat, language: str, after: int) -> list[TranscriptFinal]:
        return transcribe_rest(
            frames,
            leg,
            recognizer,
            vad,
            language,
            after=after,
            finish=engines.open_finish(engines.open_lexicon(lexicon())),
            beam_size=settings.asr.beam_size,
            config=config,
        )

    return transcribe
