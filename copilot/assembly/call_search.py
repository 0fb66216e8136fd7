"""The index of calls in a server, which is its one writer and lets it follow the store, and for commands beside or without one."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog

from copilot.assembly import engines
from copilot.domain.errors import CopilotError, EngineError
from copilot.domain.ids import OrgId

if TYPE_CHECKING:
    from copilot.domain.ports.knowledge import Embedder
    from copilot.search.follow import Followed
    from copilot.search.service import CallSearch
    from copilot.settings import Settings
    from copilot.store.store import Store

log = structlog.get_logger(__name__)
Json = dict[str, Any]
ROUND_S = 1.0
"""Between two looks at the store."""

_AFTER_FAULT_S = 5.0
_NICE = 10
"""The thread that writes the index gives way to those that serve calls."""


class CallSearchRoom:
    """``search`` for the API; the index behind it. Blocking methods; thread-safe."""

    def __init__(
        self, settings: Settings, store: Store, embedder: Embedder, org_id: OrgId, *, busy: Callable[[], bool] = lambda: False
    ) -> None:
        """``busy``: calls are live, so that indexing rests as long as it works."""
        from copilot.search.follow import Follower
        from copilot.search.service import CallSearch
        from copilot.search.terms import Blinder

        key_id, key = store.index_key(org_id)
        blinder = Blinder(key)
        self._org_id = org_id
        self._index = engines.open_call_index(settings, org_id, embedder, key_id)
        self._follower = Follower(
            org_id=org_id,
            changes=store.facts,
            texts=store.call_texts,
            index=self._index,
            embedder=embedder,
            blinder=blinder,
            clock=engines.system_clock(),
        )
        self.search: CallSearch = CallSearch(
            org_id=org_id, index=self._index, embedder=embedder, blinder=blinder, call_list=store.call_list, texts=store.call_texts
        )
        self.search.catching_up = True
        self._busy = busy
        self._one = threading.Lock()
        self._closing = threading.Event()
        self._worked_since = 0.0

    def own(self) -> None:
        """Raises Conflict naming the process that writes the index."""
        self._index.own()

    def follow(self) -> Followed:
        """Brings the index to what the store holds."""
        with self._one:
            self._worked_since = time.monotonic()
            done = self._follower.follow(after_batch=self._breathe)
            self.search.catching_up = False
            return done

    def reindex(self, progress: Callable[[int, int], None]) -> Json:
        """The index anew, beside the one in use; ``progress`` is told (done, 0): the number of calls is not known before."""
        begun = time.perf_counter()
        with self._one:
            self._worked_since = time.monotonic()
            done = self._follower.rebuild(lambda looked: progress(looked, 0), after_batch=self._breathe)
        seconds = round(time.perf_counter() - begun, 2)
        return {"written": done.written, "seconds": seconds, **self.check()}

    def check(self) -> Json:
        """Whether index and store hold the same calls in the same state."""
        state = self._index.state()
        return {"calls": state.calls, "stale": state.stale, "differences": list(self._follower.differences())}

    def status(self) -> Json:
        """For the status of the server: down while there is no index that can be searched."""
        state = self._index.state()
        return {"state": "down" if state.stale else "up", "detail": f"index: {state.stale}" if state.stale else f"{state.calls} calls"}

    def _breathe(self) -> None:
        worked = time.monotonic() - self._worked_since
        if self._closing.wait(worked if self._busy() else 0.0):
            raise EngineError("The index of calls is being closed; what was not written is written when it is opened again.")
        self._worked_since = time.monotonic()

    def close(self) -> None:
        self._closing.set()
        with self._one:
            self._index.close()

    async def keep(self) -> None:
        """Follows the store until cancelled, whatever happens in between."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="call-index", initializer=_give_way)
        try:
            while True:
                pause = await self._round(thread)
                await asyncio.sleep(pause)
        finally:
            thread.shutdown(wait=False)

    async def _round(self, thread: ThreadPoolExecutor) -> float:
        """One look at the store; seconds until the next one."""
        try:
            done = await asyncio.get_running_loop().run_in_executor(thread, self.follow)
        except CopilotError as error:
            if not self._closing.is_set():
                log.warning("calls_not_indexed", error=type(error).__name__)
            return _AFTER_FAULT_S
        except Exception:  # a fault of one round must not end them all
            log.exception("calls_not_indexed")
            return _AFTER_FAULT_S
        if done.written or done.removed:
            log.info("calls_indexed", org=self._org_id, written=done.written, removed=done.removed)
        return ROUND_S

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """``keep`` beside the block, as the one writer of the index. Raises Conflict naming another one."""
        await asyncio.to_thread(self.own)
        task = asyncio.create_task(self.keep(), name="call-index")
        try:
            yield
        finally:
            self._closing.set()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.to_thread(self.close)


def _give_way() -> None:
    if sys.platform == "linux":  # where a thread has a priority of its own
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


class CallSearchDesk:
    """What the commands do. Blocking."""

    def __init__(self, settings: Settings, store: Store, room: CallSearchRoom) -> None:
        self._settings = settings
        self._store = store
        self._room = room

    def search(self, text: str, mode: str, chosen: dict[str, tuple[str, ...]], limit: int, actor: str) -> Json:
        """What a quality inspector would find (docs/reference/schemas/calls-search.json). Audited without the words."""
        from copilot.domain.ids import UserId
        from copilot.domain.people import AuditEntry, Scope
        from copilot.search.service import Search

        org_id = OrgId(self._settings.org)
        if not self._ask("calls.refresh"):
            self._room.follow()
        at = engines.system_clock().now()
        self._store.audit.record(AuditEntry(org_id=org_id, at=at, actor=actor, action="calls.search", target=mode))
        scope = Scope(org_id=org_id, user_id=UserId(actor), roles=frozenset({"inspector"}))
        found = self._room.search.search(scope, Search(text=text, mode=mode, chosen=chosen), limit=limit)  # type: ignore[arg-type]
        return {
            "total": found.total,
            "calls": [
                {
                    "call_id": one.listed.call.call_id,
                    "started_at": one.listed.call.started_at.isoformat() if one.listed.call.started_at else None,
                    "agent_id": one.listed.call.agent_id,
                    "ticket": one.listed.ticket_level2 or None,
                    "nearness": one.nearness,
                    "matches": [
                        {
                            "utterance_id": part.line.utterance_id,
                            "channel": part.line.channel,
                            "start_ms": part.line.start_ms,
                            "text": part.text,
                            "marks": [list(mark) for mark in part.marks],
                        }
                        for part in one.snippets
                    ],
                }
                for one in found.calls
            ],
            "facets": {facet: dict(counts) for facet, counts in found.facets.items()},
        }

    def reindex(self, progress: Callable[[int, int], None]) -> Json:
        """Builds the index anew, in the server if one runs (docs/reference/schemas/calls-reindex.json)."""
        return self._ask("calls.reindex", progress) or self._room.reindex(progress)

    def check(self) -> Json:
        return self._room.check()

    def _ask(self, what: str, progress: Callable[[int, int], None] | None = None) -> Json | None:
        from copilot.assembly.admin import ask

        return ask(self._settings.data_dir, {"do": what, "org": self._settings.org}, progress)


@contextmanager
def open_call_search(settings: Settings) -> Iterator[CallSearchDesk]:
    """Search over calls for a command."""
    store = engines.open_store(settings)
    try:
        room = CallSearchRoom(settings, store, engines.open_embedder(settings), OrgId(settings.org))
        try:
            yield CallSearchDesk(settings, store, room)
        finally:
            room.close()
    finally:
        store.close()
