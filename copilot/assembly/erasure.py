"""Erasing calls, one by one or all that are older than the retention rule: the key and what it sealed go, and the recording."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from copilot.assembly import engines
from copilot.domain.errors import Conflict, CopilotError, EngineError, NotFound
from copilot.domain.ids import CallId, OrgId, is_call_id

if TYPE_CHECKING:
    from copilot.domain.clock import Clock
    from copilot.domain.ports.media import MediaStore
    from copilot.settings import Settings
    from copilot.store.store import Store

log = structlog.get_logger(__name__)
_BATCH = 100
ROUND_S = 3600.0
"""Between two looks of a running server for calls that are too old."""


class Erasure:
    """Blocking. Safe to run on several nodes at once."""

    def __init__(self, store: Store, media: MediaStore, clock: Clock) -> None:
        self._store = store
        self._media = media
        self._clock = clock

    def erase(self, org_id: OrgId, call_id: CallId, actor: str) -> int:
        """Erases an ended call; how many blobs of its recording were removed. May be repeated.

        Raises NotFound, Conflict while the call is live, EngineError when the media store refuses: the key is gone all the same, so what is
        left there can never be read.
        """
        if not is_call_id(call_id):
            raise NotFound(f"There is no call {call_id}.")
        self._store.calls.erase_call(org_id, call_id, actor)
        try:
            return self._media.delete(f"{org_id}/{call_id}")
        except EngineError as error:
            raise EngineError(
                "The call is erased and its recording can no longer be read, but its sealed files could not be removed: run this again.",
                retryable=True,
            ) from error

    def expire(self, days: int) -> int:
        """Erases ended calls that began more than ``days`` days ago; how many. Raises EngineError: the rest is for the next time."""
        erased = 0
        before = self._clock.now() - timedelta(days=days)
        while found := self._store.calls.unerased_before(before, _BATCH):
            done = 0
            for org_id, call_id in found:
                # The recording first: while the media store is away the key stays, so that the call is found again.
                self._media.delete(f"{org_id}/{call_id}")
                try:
                    self._store.calls.erase_call(org_id, call_id, "retention")
                except (Conflict, NotFound):
                    continue
                done += 1
            erased += done
            if not done:
                break
        return erased

    async def keep(self, days: int) -> None:
        """Expires once an hour until cancelled."""
        while True:
            try:
                erased = await asyncio.to_thread(self.expire, days)
                if erased:
                    log.info("calls_expired", calls=erased)
            except CopilotError as error:
                log.warning("calls_not_expired", error=type(error).__name__)
            await asyncio.sleep(ROUND_S)


@contextmanager
def open_erasure(settings: Settings) -> Iterator[Erasure]:
    """Erasure for a command."""
    store = engines.open_store(settings)
    try:
        yield Erasure(store, engines.open_media(settings), engines.system_clock())
    finally:
        store.close()
