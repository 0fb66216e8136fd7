"""Runs the pure session of each live call: stores what was heard, runs the effects, rings the bus.

Recognition is never slowed down: partials are handed over without waiting, understanding runs in a task of its own that keeps only the
newest open question per customer turn, and a failure of retrieval or generation is an event on the screen, not an end of the call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import structlog

from copilot.codec import dumps, to_json
from copilot.domain.audio import MediaGap
from copilot.domain.errors import Conflict, CopilotError, EngineError, NotFound
from copilot.domain.events import (
    CallEnded,
    CallEvent,
    CallHeld,
    CallResumed,
    CallTransferred,
    Degraded,
    MediaGapRecorded,
    SuggestionOffered,
    UtteranceFinal,
)
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.people import AuditEntry
from copilot.domain.ports.bus import call_topic
from copilot.domain.ports.store import OpenedCall
from copilot.domain.suggestions import Stage
from copilot.domain.transcript import MaskedAnew, SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptPartial
from copilot.live.ahead import Ahead, LookedUp
from copilot.live.masking import CallMasker, RecentQuotes
from copilot.live.opening import call_opened
from copilot.live.replies import Part, Replies
from copilot.live.services import LiveServices
from copilot.live.session import (
    Effect,
    Findings,
    Heard,
    Held,
    Investigate,
    LiveSession,
    OutOfForce,
    Record,
    ReplyWritten,
    Restated,
    SessionInput,
    Source,
    Weigh,
    WriteReply,
    turn_of,
)
from copilot.live.translations import Translations
from copilot.live.watch import Watch

log = structlog.get_logger(__name__)
_MAX_PENDING = 4


@dataclass(slots=True)
class LiveCall:
    """One live call: the ``CallHandle`` of its ingest task."""

    services: LiveServices
    org_id: OrgId
    opened: OpenedCall
    session: LiveSession
    masker: CallMasker
    terms: Sequence[str] = ()
    agent_id: UserId | None = None
    actor: str = ""
    """The telephone system in the audit trail: who holds, transfers and ends this call."""
    find_agent: Callable[[str], Awaitable[UserId | None]] | None = None
    audit: Callable[[AuditEntry], Awaitable[None]] | None = None
    on_end: Any = None
    _late: list[MaskedAnew] = field(default_factory=list)
    _quotes: RecentQuotes = field(default_factory=RecentQuotes)
    _held: bool = False
    _control: asyncio.Lock = field(default_factory=asyncio.Lock)
    _listener: Callable[[SuggestionOffered], None] | None = None
    _ended: bool = False
    _unstored: tuple[TranscriptFinal, TranscriptFinal, dict[str, str]] | None = None
    _pending: OrderedDict[int, tuple[Investigate, float, tuple[Stage, ...], float]] = field(default_factory=OrderedDict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _worker: asyncio.Task[None] | None = None
    _ahead: Ahead = field(init=False)
    _translations: Translations = field(init=False)
    _replies: Replies = field(init=False)
    _watch: Watch = field(init=False)
    _down: set[Part] = field(default_factory=set)
    """Parts that stopped helping and have not helped since."""

    def __post_init__(self) -> None:
        services = self.services
        self._ahead = Ahead(self._look_up, services.executor)
        self._translations = Translations(services.translator, services.agents_language, self.call_id, append=self._append)
        self._watch = Watch(services, self.call_id, self._told)
        self._replies = Replies(
            services,
            self.call_id,
            written=self._written,
            append=self._append,
            ring=self._ring,
            state=self._state,
            agent=lambda: self.agent_id,
        )

    @property
    def call_id(self) -> CallId:
        return self.opened.call_id

    @property
    def epoch(self) -> int:
        return self.opened.epoch

    def start(self) -> None:
        """Begins the understanding task."""
        self._watch.start()
        self._idle.set()
        self._worker = asyncio.create_task(self._understand(), name=f"understand-{self.call_id}")

    def hotwords(self) -> Sequence[str]:
        return self.terms

    def speech(self, event: SpeechStarted | SpeechEnded) -> None:
        self._watch.speech(event.utterance_id, event.at_ms, begun=isinstance(event, SpeechStarted))
        self._ring({"type": "speech", "channel": event.channel, "speaking": isinstance(event, SpeechStarted), "at_ms": event.at_ms})

    def partial(self, partial: TranscriptPartial) -> TranscriptPartial:
        masked = self.masker.partial(partial)
        self._ring({"type": "partial", "partial": to_json(masked)})
        if masked.channel != "agent" and masked.stable and (ask := self.session.preview(masked.utterance_id, masked.stable)) is not None:
            self._ahead.hear(ask)
        return masked

    async def final(self, final: TranscriptFinal) -> TranscriptFinal:
        clock = self.services.clock
        heard = clock.monotonic()
        # The caller tries again when the store was away: what was masked then keeps its tokens and their values.
        if self._unstored is None or self._unstored[0].utterance_id != final.utterance_id:
            self._unstored = (final, *self.masker.final(final))
            self._late += self.masker.take_rewritten()
        _, masked, secrets = self._unstored
        masked_at = clock.monotonic()
        if secrets:
            await self.services.journal.put_secrets(self.org_id, self.call_id, secrets, epoch=self.opened.epoch)
        await self._rewrite()
        event = UtteranceFinal(
            utterance_id=masked.utterance_id,
            channel=masked.channel,
            start_ms=masked.start_ms,
            end_ms=masked.end_ms,
            language=masked.language,
            confidence=masked.confidence,
            text=masked.text,
            words=masked.words,
            corrections=masked.corrections,
            timings=masked.timings,
        )
        await self._append([event])
        self._translations.heard(event)
        self._unstored = None
        stored = clock.monotonic()
        timings = masked.timings
        stages = (
            Stage(name="asr_endpoint", ms=max(0.0, timings.after_speech_ms - timings.queue_ms - timings.decode_ms)),
            Stage(name="asr_queue", ms=timings.queue_ms),
            Stage(name="asr_decode", ms=timings.decode_ms),
            Stage(name="mask", ms=1000 * (masked_at - heard)),
            Stage(name="store", ms=1000 * (stored - masked_at)),
        )
        try:
            await self._run(
                self.session.receive(Heard(turn=turn_of(event), voice=final.voice)),
                since=heard - timings.after_speech_ms / 1000,
                stages=stages,
            )
            await self._told(self._watch.heard(event.utterance_id, event.end_ms))
        except EngineError as error:
            # The final itself is stored; trying again would store it twice. What was derived from it is lost, and said in the log.
            log.warning("derived_events_not_stored", call_id=self.call_id, error=type(error).__name__)
        # What the voice measured stays in this call: it is neither stored nor sent.
        return replace(masked, voice=None)

    def listen(self, tell: Callable[[SuggestionOffered], None]) -> None:
        self._listener = tell

    async def gap(self, gap: MediaGap, start_ms: int, duration_ms: int) -> None:
        await self._append([MediaGapRecorded(channel=gap.channel, start_ms=start_ms, duration_ms=duration_ms, reason=gap.reason)])

    async def degraded(self, part: str, state: str, reason: str) -> None:
        await self._append(
            [
                Degraded(
                    part=cast("Literal['recognition', 'retrieval', 'generation', 'recording']", part),
                    state=cast("Literal['down', 'up']", state),
                    reason=reason,
                )
            ]
        )

    async def hold(self, *, held: bool, at_ms: int) -> None:
        async with self._control:
            self._check_live()
            if held == self._held:
                return
            await self._append([CallHeld(at_ms=at_ms) if held else CallResumed(at_ms=at_ms)])
            self._held = held
            self.session.receive(Held(at_ms=at_ms, held=held))
            await self._audited("call.hold" if held else "call.resume")

    async def transfer(self, agent: str, *, at_ms: int, reason: str) -> None:
        async with self._control:
            new = await self.find_agent(agent) if self.find_agent is not None else None
            if new is None:
                raise NotFound("There is no agent with this username: the call stays where it is.")
            masked, secrets = self.masker.metadata({"reason": reason})
            if secrets:
                await self.services.journal.put_secrets(self.org_id, self.call_id, secrets)
            self._check_live()
            old = self.agent_id
            if new == old:
                return
            moved = CallTransferred(agent_id=new, from_agent_id=old, at_ms=at_ms, reason=masked["reason"])
            await self._append([moved])
            self.agent_id = new
            call_opened(self.services.bus, self.org_id, new, self.call_id)
            await self._audited("call.transfer", f"{old or '-'} → {new}")

    async def note(self, action: str) -> None:
        await self._audited(action)

    def _check_live(self) -> None:
        if self._ended:
            raise NotFound("This call has ended.")

    async def _audited(self, action: str, detail: str = "") -> None:
        if self.audit is not None:
            at = self.services.clock.now()
            await self.audit(AuditEntry(org_id=self.org_id, at=at, actor=self.actor, action=action, target=self.call_id, detail=detail))

    async def end(self, reason: str, duration_ms: int) -> None:
        if self._ended:
            return
        self._ended = True
        await self._finish_understanding()
        await self._watch.stop()
        with contextlib.suppress(CopilotError):
            await self._run(self.session.close(duration_ms), since=self.services.clock.monotonic(), stages=())
        try:
            ended = CallEnded(
                reason=cast("Literal['hangup', 'peer_closed', 'error', 'interrupted', 'duplicate']", reason), duration_ms=duration_ms
            )
            await self._append_until_stored(ended)
        except Conflict:
            log.warning("call_taken_over", call_id=self.call_id)
        finally:
            if self.on_end is not None:
                self.on_end(self)

    async def _append_until_stored(self, ended: CallEnded) -> None:
        """The end of a call carries its after-call work: a store that is away for half a minute must not lose it. Raises EngineError."""
        for wait_s in (0.2, 1.0, 3.0, 10.0, 16.0):
            try:
                await self._append([ended])
                return
            except EngineError as error:
                log.warning("end_not_stored_yet", call_id=self.call_id, error=type(error).__name__)
                await asyncio.sleep(wait_s)
        await self._append([ended])

    # effects

    async def _rewrite(self) -> None:
        """Takes out of the log and of the session what turned out to be personal, before the final that says so is stored."""
        while self._late:
            late = self._late[0]
            changed = self._quotes.rewritten(late)
            if changed:
                await self.services.journal.rewrite(self.org_id, self.opened, changed)
                self._quotes.accept(changed)
                for event in changed.values():
                    if isinstance(event, UtteranceFinal):
                        self.session.receive(Restated(turn=turn_of(event)))
            del self._late[0]

    async def _append(self, events: Sequence[CallEvent]) -> None:
        self._quotes.keep(await self.services.journal.append(self.org_id, self.opened, events))
        if self._listener is not None:
            for event in events:
                if isinstance(event, SuggestionOffered):
                    self._listener(event)

    def _ring(self, message: dict[str, Any]) -> None:
        self.services.bus.publish(call_topic(self.org_id, self.call_id), dumps({**message, "call_id": self.call_id}))

    async def _run(self, effects: Sequence[Effect], *, since: float, stages: tuple[Stage, ...]) -> None:
        for effect in effects:
            match effect:
                case Record():
                    if any(isinstance(event, SuggestionOffered) and not event.generated for event in effect.events):
                        self._replies.cancel()
                    await self._append(effect.events)
                case Investigate():
                    self._pending[effect.customer_turn] = (effect, since, stages, self.services.clock.monotonic())
                    self._pending.move_to_end(effect.customer_turn)
                    while len(self._pending) > _MAX_PENDING:
                        self._pending.popitem(last=False)
                    self._idle.clear()
                    self._wake.set()
                case WriteReply():
                    self._replies.start(effect, since)
                case Weigh():
                    self._watch.weigh(effect)

    async def _told(self, told: SessionInput) -> None:
        await self._run(self.session.receive(told), since=self.services.clock.monotonic(), stages=())

    async def _understand(self) -> None:
        """One question at a time, oldest turn first; a newer question of the same turn has replaced the older one."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                _, (ask, since, stages, queued) = self._pending.popitem(last=False)
                await self._investigate(ask, since, stages, queued)
            self._idle.set()

    async def _finish_understanding(self) -> None:
        """Lets the last question of the call be answered (it belongs to the record), then stops."""
        if self._worker is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self._idle.wait()
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        await self._replies.stop()
        await self._translations.stop()

    async def _investigate(self, ask: Investigate, since: float, stages: tuple[Stage, ...], queued: float) -> None:
        clock = self.services.clock
        try:
            waited = 1000 * (clock.monotonic() - queued)
            begun = clock.monotonic()
            guessed = await self._guessed(ask)
            if guessed is not None:
                prediction, hits, _, _ = guessed
                looked_up: tuple[Stage, ...] = (Stage(name="ahead", ms=1000 * (clock.monotonic() - begun)),)
            else:
                loop = asyncio.get_running_loop()
                prediction, hits, intent_ms, retrieve_ms = await loop.run_in_executor(self.services.executor, self._look_up, ask)
                looked_up = (Stage(name="intent", ms=intent_ms), Stage(name="retrieve", ms=retrieve_ms))
            await self._state("retrieval")
            moods = self.services.moods
            mood = None
            if moods is not None:
                mood = await asyncio.get_running_loop().run_in_executor(self.services.executor, moods.read, ask.text, ask.language)
            now = clock.monotonic()
            found = Findings(
                utterance_id=ask.utterance_id,
                prediction=prediction,
                hits=hits,
                mood=mood,
                stages=(
                    *stages,
                    Stage(name="wait", ms=waited),
                    *looked_up,
                ),
                total_ms=1000 * (now - since),
            )
            await self._run(self.session.receive(found), since=since, stages=found.stages)
        except Conflict:
            log.warning("call_taken_over", call_id=self.call_id)
        except Exception as error:  # the transcript must go on whatever retrieval does
            log.warning("understanding_failed", call_id=self.call_id, error=type(error).__name__)
            with contextlib.suppress(CopilotError):
                await self._state("retrieval", failed=type(error).__name__)

    async def _guessed(self, ask: Investigate) -> LookedUp | None:
        """What was found while the customer still spoke, if it was this question and its sources are still in force."""
        found = await self._ahead.take(ask)
        if found is None or await self._gone({(hit.article.article_id, hit.article.version) for hit in found[1]}):
            return None
        return found

    def _look_up(self, ask: Investigate) -> LookedUp:
        clock = self.services.clock
        begun = clock.monotonic()
        prediction = self.services.intents.classify(ask.text, ask.language, ask.context)
        understood = clock.monotonic()
        hits = self.services.knowledge.search(ask.query(prediction, self.services.today()))
        if hits:
            ended = self._out_of_force({(hit.article.article_id, hit.article.version) for hit in hits})
            hits = tuple(hit for hit in hits if (hit.article.article_id, hit.article.version) not in ended)
        return prediction, hits, 1000 * (understood - begun), 1000 * (clock.monotonic() - understood)

    def _out_of_force(self, sources: Iterable[Source]) -> Mapping[Source, Literal["superseded", "ended"]]:
        """Which of these versions may not be quoted now. Blocking. Raises EngineError when the store cannot say."""
        sources = sorted(sources)
        if self.services.in_force is None or not sources:
            return {}
        language = self.session.language
        now = self.services.in_force([(article_id, language) for article_id, _ in sources])
        current = {source: now.get((source[0], language)) for source in sources}
        return {source: "ended" if there is None else "superseded" for source, there in current.items() if there != source[1]}

    async def recheck(self) -> None:
        """Withdraws the cards whose sources are no longer in force. Called when the knowledge base has changed, and at midnight."""
        out = await self._gone(self.session.cited())
        if out and not self._ended:
            await self._run(self.session.receive(OutOfForce(sources=out)), since=self.services.clock.monotonic(), stages=())

    async def _gone(self, sources: Iterable[Source]) -> Mapping[Source, Literal["superseded", "ended"]]:
        return await asyncio.get_running_loop().run_in_executor(self.services.executor, self._out_of_force, sources)

    async def _state(self, part: Part, *, failed: str = "") -> None:
        """Says once that a part stopped helping (``failed``: why), and once that it helps again."""
        if bool(failed) == (part in self._down):
            return
        self._down ^= {part}
        await self._append([Degraded(part=part, state="down" if failed else "up", reason=failed)])

    async def _written(self, reply: ReplyWritten, since: float) -> bool:
        """Takes a finished reply; False if it comes too late to be shown."""
        if await self._gone({(hit.article.article_id, hit.article.version) for hit in reply.hits}):
            # While the model was writing, a source of the reply went out of force.
            await self.recheck()
            return False
        effects = self.session.receive(reply)
        await self._run(effects, since=since, stages=())
        return bool(effects)
