"""Erasing calls, one by one or all that are older than the retention rule: the key and what it sealed go, and the recording."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from copilot.assembly import engines, rounds
from copilot.domain.errors import Conflict, EngineError, NotFound
from copilot.domain.ids import CallId, OrgId, is_call_id

if TYPE_CHECKING:
    from copilot.domain.clock import Clock
    from copilot.domain.ports.media import MediaStore
    from copilot.settings import Settings
    from copilot.store.store import Store

_BATCH = 100
_MOST_REFUSALS = 3
"""Recordings in a row that the media store does not remove: it is away, and each attempt would wait for its time-outs."""
ROUND_S = 3600.0
"""Between two looks of a running server for calls that are too old."""


class Erasure:
    """Blocking. Safe to run on several nodes at once."""

    def __init__(self, store: Store, media: MediaStore, clock: Clock, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """``sleep``: how the hour between two rounds passes."""
        self._store = store
        self._media = media
        self._clock = clock
        self._sleep = sleep

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
        """Erases ended calls that began more than ``days`` days ago; how many.

        A call whose recording the media store refuses to remove keeps its key, so that it is found the next time; the others go. Raises
        EngineError at the end when there was one, and at once when the store seems to be away.
        """
        erased, refused, in_a_row = 0, 0, 0
        before = self._clock.now() - timedelta(days=days)
        while found := self._store.calls.unerased_before(before, _BATCH):
            done, refused = 0, 0
            for org_id, call_id in found:
                try:
                    self._media.delete(f"{org_id}/{call_id}")
                    in_a_row = 0
                except EngineError:
                    refused, in_a_row = refused + 1, in_a_row + 1
                    if in_a_row == _MOST_REFUSALS:
                        break
                    continue
                try:
                    self._store.calls.erase_call(org_id, call_id, "retention")
                except (Conflict, NotFound):
                    continue
                done += 1
            erased += done
            if not done or in_a_row == _MOST_REFUSALS:
                break
        if refused:
            raise EngineError(
                f"{erased} calls were erased; the media store did not remove the recordings of others: run this again.", retryable=True
            )
        return erased

    async def keep(self, days: int) -> None:
        """Expires now and once an hour until cancelled, whatever happens in between."""
        await rounds.keep("retention", lambda: {"erased": self.expire(days)}, ROUND_S, self._sleep)

    def running(self, days: int) -> AbstractAsyncContextManager[None]:
        """The same beside a block; nothing for ``days`` 0, which means for ever."""
        return rounds.running(self.keep(days), "retention") if days else nullcontext()


@contextmanager
def open_erasure(settings: Settings) -> Iterator[Erasure]:
    """Erasure for a command."""
    store = engines.open_store(settings)
    try:
        yield Erasure(store, engines.open_media(settings), engines.system_clock())
    finally:
        store.close()
