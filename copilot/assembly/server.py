"""The server: every part in one process, started in order, stopped in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from copilot import __version__
from copilot.assembly import engines
from copilot.assembly.call_search import CallSearchRoom
from copilot.assembly.editing import Editing
from copilot.assembly.erasure import Erasure
from copilot.assembly.graph import GraphDesk
from copilot.assembly.http import served
from copilot.assembly.import_service import ImportService
from copilot.assembly.insight_desk import InsightDesk
from copilot.assembly.insights import InsightRounds, insights_kept
from copilot.assembly.observe import Observer
from copilot.assembly.organisation import Organisation
from copilot.assembly.pack_desk import PackDesk
from copilot.assembly.recordings import Recordings, join_again
from copilot.assembly.review import ReviewRoom
from copilot.assembly.telephony import TelephoneSystems, page_calls
from copilot.assembly.webhooks import TicketFiles, Webhooks
from copilot.domain.errors import ConfigError, CopilotError
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.people import AuditEntry
from copilot.domain.ports.bus import call_topic, jobs_topic
from copilot.settings import Settings
from copilot.telemetry.heap import memory_given_back
from copilot.telemetry.threads import name_thread, name_threads

if TYPE_CHECKING:
    from copilot.assembly.after_call import AfterCall
    from copilot.assembly.interrupted import InterruptedCalls
    from copilot.domain.events import EventEnvelope
    from copilot.domain.knowledge import BankTerm
    from copilot.domain.knowledge_use import GapReport
    from copilot.domain.ports.asr import RecognitionEngine
    from copilot.live.desk import LiveDesk
    from copilot.live.services import LiveServices
    from copilot.search.service import CallSearch
    from copilot.store.store import Store
    from copilot.telemetry.metrics import Metrics
    from streaming.account import AudioAccount
    from streaming.asr.dispatcher import DecodedBatch, Dispatcher
    from streaming.gateway import Gateway

log = structlog.get_logger(__name__)
Json = dict[str, Any]
WEB_DIR = Path(__file__).resolve().parents[1] / "api" / "_web"
_STOP_GRACE_S = 8.0


def build_server(settings: Settings) -> Server:
    """The server of these settings; nothing is opened before ``run``."""
    return Server(settings)


class Server:
    """``run`` blocks until SIGINT or SIGTERM. Calls that are live then are ended cleanly; their after-call work is queued."""

    def __init__(self, settings: Settings) -> None:
        from prometheus_client import CollectorRegistry

        from copilot.telemetry.metrics import Metrics

        self.settings = settings
        self.clock = engines.system_clock()
        self.node = f"{socket.gethostname()}:{settings.data_dir.resolve()}"
        self.metrics: Metrics = Metrics(CollectorRegistry())
        self.ready = False
        self._stop = asyncio.Event()
        self._executor = ThreadPoolExecutor(max_workers=max(2, (os.cpu_count() or 2)), thread_name_prefix="lookup")
        self._organisations: dict[str, Organisation] = {}
        self._opening = asyncio.Lock()
        self._editors: dict[str, Editing] = {}
        self._editing_lock = threading.Lock()
        self._desk: LiveDesk | None = None
        self._dispatcher: Dispatcher | None = None
        self._after: AfterCall | None = None
        self._dropped_seen = 0
        self._telephone_systems = TelephoneSystems()

    async def run(self) -> int:
        """Exit status: 0 after a clean stop."""
        from copilot.telemetry.logging import configure_logging

        style = self.settings.log.format
        configure_logging("console" if style == "console" or (style == "auto" and sys.stderr.isatty()) else "json", self.settings.log.level)
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self._stop.set)
        async with AsyncExitStack() as stack:
            await self._start(stack)
            if not self._stop.is_set():
                self.ready = True
                self._announce()
                await self._stop.wait()
            self.ready = False
            log.info("stopping")
        self._executor.shutdown(wait=False, cancel_futures=True)
        log.info("stopped")
        return 0

    # start, in order

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        engines.one_core_each()
        self.bus = engines.open_bus(settings)
        observer = Observer(self.bus, self.metrics)
        self.store: Store = await asyncio.to_thread(engines.open_store, settings, on_committed=observer.committed)
        stack.callback(self.store.close)
        self.media = engines.open_media(settings)
        self.tools = await asyncio.to_thread(engines.open_tools, settings, self.store.audit.record)
        await asyncio.to_thread(engines.import_model_code)
        # Models load while the rest comes up; both take a second or two of one core.
        recognizer_task = asyncio.create_task(asyncio.to_thread(self._load_recognizer))
        self.embedder = await asyncio.to_thread(engines.open_embedder, settings)
        await self.organisation(OrgId(settings.org))
        self.reply_writer = engines.open_reply_writer(settings)
        self.translator = engines.open_translator(settings)
        if self.reply_writer is not None:
            stack.push_async_callback(self.reply_writer.aclose)
        recognizers, self.vad = await recognizer_task
        recorder = await stack.enter_async_context(self._recorder())
        self._webhooks = Webhooks(settings, self.store, self.clock, self._measure_webhook)
        interrupted = self._interrupted_calls()
        await interrupted.take()
        dispatcher = await stack.enter_async_context(self._recognition(recognizers))
        await stack.enter_async_context(self._closing(interrupted, dispatcher))
        desk = self._make_desk()
        stack.push_async_callback(self._close_knowledge)
        self._call_search = CallSearchRoom(settings, self.store, self.embedder, OrgId(settings.org), busy=lambda: desk.live_calls > 0)
        await stack.enter_async_context(self._call_search.running())
        await stack.enter_async_context(self._admin())
        self._review = ReviewRoom(self.store, self.clock)
        self.insights = self._insight_desk()
        self.imports = ImportService(settings, self.store, self.node)
        self.packs = PackDesk(settings, self.store, self.node)
        await stack.enter_async_context(self._api())
        await stack.enter_async_context(self._review.running(OrgId(settings.org)))
        await stack.enter_async_context(self._insight_rounds())
        await stack.enter_async_context(self._after_call())
        self._webhooks.start()
        stack.push_async_callback(self._webhooks.stop)
        await stack.enter_async_context(self.imports.running())
        await stack.enter_async_context(self.packs.running())
        await stack.enter_async_context(Erasure(self.store, self.media, self.clock).running(settings.retention.days))
        await stack.enter_async_context(memory_given_back())
        await stack.enter_async_context(self._telephony(desk, dispatcher, recorder))

    def _load_recognizer(self) -> tuple[list[RecognitionEngine], Any]:
        name_thread("recognizer")  # the engine's own threads inherit it
        recognizers = engines.open_recognizers(self.settings)
        for recognizer in recognizers:
            recognizer.warm_up()
        return recognizers, engines.open_vad(self.settings)

    async def organisation(self, org_id: OrgId) -> Organisation:
        """What calls of ``org_id`` share; opened on first use."""
        if org_id not in self._organisations:
            async with self._opening:
                if org_id not in self._organisations:
                    graph = GraphDesk(self.store.articles(org_id), self.store.graph_edits(org_id))
                    organisation = Organisation(self.settings, org_id, self.store.articles(org_id), self.embedder, graph)
                    await asyncio.to_thread(organisation.open)
                    organisation.task = asyncio.create_task(
                        organisation.keep_fresh(partial(self._recheck, org_id)), name=f"knowledge-{org_id}"
                    )
                    self._organisations[org_id] = organisation
        return self._organisations[org_id]

    @asynccontextmanager
    async def _recorder(self) -> AsyncIterator[Any]:
        from streaming.recording.recorder import Recorder, RecorderConfig

        recorder = Recorder(RecorderConfig(spool_dir=self.settings.data_dir / "spool"), self.media)
        await recorder.start()
        try:
            recovered = await recorder.recover(self.store.call_cipher)
            await asyncio.to_thread(join_again, self.store, recovered)
            yield recorder
        finally:
            await recorder.stop()

    def _interrupted_calls(self) -> InterruptedCalls:
        from copilot.assembly.interrupted import InterruptedCalls
        from copilot.privacy.masker import Masker

        return InterruptedCalls(self.store, self.media, self.node, Masker)

    @asynccontextmanager
    async def _closing(self, interrupted: InterruptedCalls, dispatcher: Dispatcher) -> AsyncIterator[None]:
        """While the server takes calls again, what was heard of the interrupted ones is transcribed; their after-call work follows."""
        from copilot.assembly.interrupted import rest_transcriber

        transcribe = rest_transcriber(self.settings, dispatcher, self.vad, self._lexicon)
        closing = asyncio.create_task(interrupted.close(transcribe), name="close-interrupted")
        try:
            yield
        finally:
            closing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await closing

    @asynccontextmanager
    async def _recognition(self, recognizers: Sequence[RecognitionEngine]) -> AsyncIterator[Dispatcher]:
        from streaming.asr.dispatcher import Dispatcher

        decoders = [recognizer for recognizer in recognizers for _ in range(recognizer.workers)]
        config, key = engines.schedule_config(self.settings, recognizers), recognizers[0].batch_key
        dispatcher = Dispatcher(decoders, config=config, key=key, on_batch=self._measure_batch)
        await dispatcher.start()
        self._dispatcher = dispatcher
        try:
            yield dispatcher
        finally:
            await dispatcher.stop()

    def _measure_batch(self, batch: DecodedBatch) -> None:
        metrics = self.metrics
        metrics.observe("pangting_asr_decode_ms", batch.decode_ms)
        metrics.observe("pangting_asr_batch_size", batch.size)
        metrics.count("pangting_asr_audio_seconds_total", batch.audio_ms / 1000, lane=batch.lane)
        for waited in batch.queue_ms:
            metrics.observe("pangting_asr_queue_ms", waited, lane=batch.lane)

    def _measure_webhook(self, result: str) -> None:
        self.metrics.count("pangting_webhooks_total", result=result)

    def _measure_call(self, account: AudioAccount) -> None:
        for outcome, seconds in account.seconds().items():
            self.metrics.count("pangting_call_audio_seconds_total", seconds, outcome=outcome)

    def _render_metrics(self) -> bytes:
        """Prometheus text; gauges are read at this moment."""
        name_threads("event-loop")
        metrics = self.metrics
        metrics.set("pangting_live_calls", self._desk.live_calls if self._desk is not None else 0)
        if self._dispatcher is not None:
            dropped = self._dispatcher.stats().dropped_partials
            metrics.count("pangting_asr_partials_dropped_total", dropped - self._dropped_seen)
            self._dropped_seen = dropped
        if self._after is not None:
            metrics.set("pangting_jobs_open", self._after.open_jobs)
            metrics.set("pangting_worker_up", self._after.worker is not None and self._after.worker.running)
        return metrics.render()

    # live loop

    def _make_desk(self) -> LiveDesk:
        from copilot.assembly.interrupted import read_events
        from copilot.live.desk import LiveDesk
        from copilot.live.guard import AttentionPolicy
        from copilot.privacy.masker import Masker

        async def services(org_id: OrgId) -> LiveServices:
            return self._live_services(await self.organisation(org_id))

        async def rules(org_id: OrgId) -> Any:
            organisation = await self.organisation(org_id)
            return await asyncio.to_thread(organisation.rules)

        async def find_agent(org_id: OrgId, name: str) -> UserId | None:
            user = await asyncio.to_thread(self.store.people.user_by_name, org_id, name)
            return user.user_id if user is not None and user.active else None

        async def audit(entry: AuditEntry) -> None:
            if entry.action == "telephony.refused":
                self.metrics.count("pangting_connections_refused_total")
            await asyncio.to_thread(self.store.audit.record, entry)

        async def past(org_id: OrgId, call_id: CallId) -> tuple[list[EventEnvelope], dict[str, str]]:
            return await asyncio.to_thread(lambda: (read_events(self.store, org_id, call_id), self.store.calls.vault(org_id, call_id)))

        self._desk = LiveDesk(
            node=self.node,
            services=services,
            rules=rules,
            masker=Masker,
            find_agent=find_agent,
            audit=audit,
            past=past,
            policy=AttentionPolicy(min_confidence=self.settings.kb.min_confidence),
        )
        return self._desk

    async def _recheck(self, org_id: OrgId) -> None:
        if self._desk is not None:
            await self._desk.recheck(org_id)

    def _live_services(self, organisation: Organisation) -> LiveServices:
        from copilot.live.services import LiveServices

        return LiveServices(
            journal=self.store.journal,
            bus=self.bus,
            clock=self.clock,
            executor=self._executor,
            knowledge=organisation.knowledge,
            intents=organisation,
            alike=organisation.alike,
            moods=organisation,
            reply_writer=self.reply_writer,
            reply_always=self.settings.llm.replies == "always",
            translator=self.translator,
            agents_language=self.settings.llm.translate_to or "zh",
            forbidden=organisation.forbidden,
            style_of=partial(self.store.preferences.style, organisation.org_id),
            reply_timeout_s=self.settings.llm.timeout_s,
            in_force=organisation.articles.in_force,
        )

    def _lexicon(self) -> tuple[BankTerm, ...]:
        organisation = self._organisations.get(self.settings.org)
        return tuple(organisation.rules().lexicon) if organisation is not None else ()

    # edges

    @asynccontextmanager
    async def _telephony(self, desk: LiveDesk, dispatcher: Dispatcher, recorder: Any) -> AsyncIterator[Gateway]:
        from copilot.assembly.telephony import build_gateway

        gateway = build_gateway(
            self.settings, desk, dispatcher, recorder, self.vad, self.store, self.clock, self._lexicon, self._measure_call
        )
        await gateway.start()
        self.telephony_port = gateway.port
        self._telephone_systems.gateway = gateway
        try:
            yield gateway
        finally:
            await gateway.stop(_STOP_GRACE_S)

    @asynccontextmanager
    async def _api(self) -> AsyncIterator[None]:
        from copilot.api.app import create_app

        async with served(create_app(self._api_context()), self.settings.server.host, self.settings.server.port) as port:
            self.http_port = port
            yield

    async def _close_knowledge(self) -> None:
        for organisation in self._organisations.values():
            if organisation.task is not None:
                organisation.task.cancel()
            await asyncio.to_thread(organisation.close)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[None]:
        """What commands on the same data directory ask for: this server is the one writer of the indexes."""
        from copilot.assembly import admin

        def write(request: Json, progress: admin.Progress, *, rebuild: bool) -> Json:
            return self._known(OrgId(str(request.get("org")))).written(progress, rebuild=rebuild)

        actions: dict[str, admin.Action] = {
            "kb.refresh": partial(write, rebuild=False),
            "kb.reindex": partial(write, rebuild=True),
            "calls.refresh": lambda _request, _progress: {"written": self._call_search.follow().written},
            "calls.reindex": lambda _request, progress: self._call_search.reindex(progress),
        }
        async with admin.serving(self.settings.data_dir, actions):
            yield

    def _api_context(self) -> Any:
        from copilot.api.context import ApiContext

        return ApiContext(
            people=self.store.people,
            signin=self.store.signin,
            calls=self.store.calls,
            suggestions=self.store.suggestions,
            board=self.store.board,
            tools=self.tools,
            notes=self.store.notes,
            wrap_up=self.store.wrap_up,
            preferences=self.store.preferences,
            audit=self.store.audit,
            review=self._review.desk,
            reviews=self.store.reviews,
            rule_comparison=self._review.rule_comparison,
            notices=self.store.notices,
            rollups=self.store.rollups,
            call_list=self.store.call_list,
            call_search=self._searchable,
            bus=self.bus,
            clock=self.clock,
            recordings=Recordings(self.store, self.media),
            jobs=self.store.jobs,
            rerun=self._rerun,
            jobs_changed=self._jobs_changed,
            webhooks=self.store.webhooks,
            webhook_rules=self._webhooks,
            tickets=TicketFiles(self.store),
            knowledge=lambda org_id: self._known(org_id).knowledge,
            articles=self.store.articles,
            editing=self._editing,
            graph=self._graph,
            imports=self.imports,
            packs=self.packs,
            insights=self.insights,
            status=self.status,
            telephony=self._telephone_systems,
            page_calls=lambda host: page_calls(self.settings, self.telephony_port, host),
            metrics=self.metrics,
            render_metrics=self._render_metrics,
            web_dir=WEB_DIR,
            public_url=self.settings.server.public_url,
            origins=self.settings.server.origins,
            host_keys=self.settings.server.host_keys,
            host_org=OrgId(self.settings.org),
            version=__version__,
        )

    # analytics

    def _insight_desk(self) -> InsightDesk:
        def gaps(org_id: OrgId, days: int) -> GapReport:
            return self._editing(org_id).gaps(days)

        directory = self.settings.data_dir / "reports"
        return InsightDesk(self.store, self._review.policies, self.clock, self.settings.analytics, directory, gaps)

    def _insight_rounds(self) -> AbstractAsyncContextManager[None]:
        embed = partial(self.embedder.embed, kind="query")
        made = InsightRounds(self.store, self._review.policies, embed, self.clock)
        return insights_kept(made, self.insights.write_due, OrgId(self.settings.org))

    def _known(self, org_id: OrgId) -> Organisation:
        """Called from worker threads."""
        found = self._organisations.get(org_id)
        if found is None:
            raise ConfigError(f"Organisation {org_id} is not served by this node.")
        return found

    def _searchable(self, org_id: OrgId) -> CallSearch:
        if org_id != self.settings.org:
            raise ConfigError(f"Organisation {org_id} is not served by this node.")
        return self._call_search.search

    def _graph(self, org_id: OrgId) -> GraphDesk:
        found = self._known(org_id).graph
        assert found is not None, "a served organisation has a graph"
        return found

    def _editing(self, org_id: OrgId) -> Editing:
        """Called from worker threads."""
        with self._editing_lock:
            if org_id not in self._editors:
                self._editors[org_id] = Editing(self.store, self._known(org_id))
            return self._editors[org_id]

    def _rerun(self, org_id: OrgId, call_id: CallId, kind: str) -> None:
        self.store.outbox.rerun(org_id, call_id, kind)  # type: ignore[arg-type]  # the route has checked it
        self._jobs_changed()

    def _jobs_changed(self) -> None:
        self.bus.publish(jobs_topic(), "{}")

    # after-call work

    @asynccontextmanager
    async def _after_call(self) -> AsyncIterator[None]:
        from copilot.assembly.after_call import AfterCall

        work = self._after = AfterCall(self.settings, self.store, self.bus, self.clock, self._artifacts_changed)
        await work.start()
        try:
            yield
        finally:
            await work.stop()

    def _artifacts_changed(self, org_id: OrgId, call_id: CallId) -> None:
        self._webhooks.ring()
        self.ring(org_id, call_id)

    def ring(self, org_id: OrgId, call_id: CallId) -> None:
        """Events of a call were written by another process: whoever watches it reads the store."""
        self.bus.publish(call_topic(org_id, call_id), '{"type":"doorbell","call_id":"' + call_id + '"}')

    # what people see

    def status(self) -> Json:
        """Parts and capacity, for /status and /readyz. Called from worker threads."""
        parts: Json = {
            "recognition": {"state": "up" if self._dispatcher is not None else "down", "detail": self.settings.asr.model},
            "knowledge": {"state": "up", "detail": ""},
            "call search": self._call_search.status(),
            "jobs": self._jobs_state(),
            "llm": {"state": "up" if self.reply_writer is not None else "off", "detail": self.settings.llm.model},
        }
        try:
            passages = sum(organisation.knowledge.state().passages for organisation in tuple(self._organisations.values()))
            parts["knowledge"]["detail"] = f"{passages} passages"
            if passages == 0:
                parts["knowledge"] = {"state": "off", "detail": "no knowledge imported: pangting kb import PATH"}
        except CopilotError as error:
            parts["knowledge"] = {"state": "down", "detail": str(error)}
        live = self._desk.live_calls if self._desk is not None else 0
        return {"version": __version__, "ready": self.ready, "parts": parts, "capacity": {"live_calls": live}}

    def _jobs_state(self) -> Json:
        worker = self._after.worker if self._after is not None else None
        if worker is None:
            return {"state": "off", "detail": "no worker in this process"}
        return {"state": "up" if worker.running else "down", "detail": worker.state}

    def _announce(self) -> None:
        """Where the server is, and the one-time link of the first administrator."""
        base = self.settings.server.public_url or f"http://{self.settings.server.host}:{self.http_port}"
        say = sys.stderr.write
        say(f"Pangting {__version__} is ready.\n  sidebar and console  {base}\n")
        say(f"  telephony            ws://{self.settings.telephony.host}:{self.telephony_port}/v1/raw, /v1/twilio\n")
        token = self.store.people.ensure_first_admin(OrgId(self.settings.org))
        if token is not None:
            say(f"  first administrator  {base}/enrol#{token}   (works once)\n")
        if not self.settings.telephony.integrations and not self.settings.telephony.allow_anonymous:
            say("  No telephone system may connect yet: add [[telephony.integrations]] (docs/how-to/connect.md).\n")
        sys.stderr.flush()
