"""The call node's way into the log: one writer thread, many appends to a transaction.

While one transaction is being committed, further requests gather; the next transaction takes them all. So a commit's fsync is shared by
every call that spoke meanwhile, and an append costs about one commit however many calls are live.
Queue: bounded; when it is full the callers wait in line (finals are never dropped).
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, CopilotError, EngineError
from copilot.domain.events import CallEnded, CallEvent, EventEnvelope
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.store import OpenedCall
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.database import Database
from copilot.store.doorbell import Doorbell
from copilot.store.keyring import KeyRing
from copilot.store.redaction import rewrite

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Request(Generic[T]):
    work: Callable[[Connection], T]
    future: Future[T]


class SqlJournal:
    """``copilot.domain.ports.store.CallJournal``. Its thread starts with the first request; ``close`` writes what is queued, then stops."""

    def __init__(
        self, database: Database, keyring: KeyRing, clock: Clock, doorbell: Doorbell, *, max_queue: int = 4096, max_batch: int = 256
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._doorbell = doorbell
        self._max_batch = max_batch
        self._queue: queue.Queue[_Request[Any] | None] = queue.Queue()  # bounded by _slots
        self._slots = asyncio.Semaphore(max_queue)
        self._guard = threading.Lock()
        self._live: set[tuple[str, str]] = set()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.commits = 0
        """Transactions committed so far; with ``requests`` it tells how well commits are shared."""
        self.requests = 0

    # -- the port ----------------------------------------------------------------------------------------------------------------------

    async def open(self, org_id: OrgId, call_id: CallId, owner: str, *, new: bool = False) -> OpenedCall:
        key = (org_id, call_id)
        with self._guard:
            if key in self._live:
                raise Conflict(f"Call {call_id} is live on this node already.")
            self._live.add(key)
        try:
            return await self._submit(lambda connection: self._take(connection, org_id, call_id, owner, new))
        except BaseException:
            self.release(org_id, call_id)
            raise

    async def append(self, org_id: OrgId, opened: OpenedCall, events: Sequence[CallEvent]) -> list[EventEnvelope]:
        at = self._clock.now()

        def work(connection: Connection) -> list[EventEnvelope]:
            row = rows.lock_call(connection, org_id, opened.call_id)
            return rows.append(connection, self._keyring, row, events, at=at, epoch=opened.epoch)

        try:
            envelopes = await self._submit(work)
        except Conflict:
            self.release(org_id, opened.call_id)
            raise
        if any(isinstance(event, CallEnded) for event in events):
            self.release(org_id, opened.call_id)
        return envelopes

    async def put_secrets(self, org_id: OrgId, call_id: CallId, values: dict[str, str], *, epoch: int | None = None) -> None:
        def work(connection: Connection) -> None:
            held = rows.lock_call(connection, org_id, call_id)["epoch"]
            if epoch is not None and epoch != held:
                raise Conflict(f"Call {call_id} now belongs to epoch {held}; this writer has {epoch} and must stop.")
            put_secrets(connection, self._keyring, org_id, call_id, values)

        if values:
            await self._submit(work)

    async def rewrite(self, org_id: OrgId, opened: OpenedCall, rewritten: Mapping[int, CallEvent]) -> list[EventEnvelope]:
        at = self._clock.now()
        return await self._submit(
            lambda connection: rewrite(connection, self._keyring, org_id, opened.call_id, rewritten, at=at, epoch=opened.epoch)
        )

    # -- beyond the port ---------------------------------------------------------------------------------------------------------------

    def release(self, org_id: OrgId, call_id: CallId) -> None:
        """Gives the call up without ending it, so that a reconnecting peer can open it again on this node."""
        with self._guard:
            self._live.discard((org_id, call_id))

    def close(self) -> None:
        """Writes what is queued and stops the thread. Idempotent; blocks."""
        with self._guard:
            thread, self._thread = self._thread, None
            self._closed = True
        if thread is not None:
            self._queue.put(None)
            thread.join()

    # -- asyncio side ------------------------------------------------------------------------------------------------------------------

    async def _submit(self, work: Callable[[Connection], T]) -> T:
        async with self._slots:
            request = _Request(work, Future[T]())
            with self._guard:
                if self._closed:
                    raise EngineError("The store is closed; the program is stopping.")
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
                    self._thread.start()
                self._queue.put(request)
            return await asyncio.wrap_future(request.future)

    # -- writer thread -----------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch: list[_Request[Any]] = []
            item = self._queue.get()
            while item is not None:
                if item.future.set_running_or_notify_cancel():
                    batch.append(item)
                if len(batch) >= self._max_batch:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            stopping = item is None
            if batch:
                self._commit(batch)

    def _commit(self, batch: list[_Request[Any]]) -> None:
        outcomes: list[tuple[_Request[Any], Any, CopilotError | None]] = []
        try:
            with self._database.write() as connection:
                for request in batch:
                    try:
                        outcomes.append((request, request.work(connection), None))
                    except CopilotError as error:
                        # Raised before the request wrote anything, so the others of the batch are not touched.
                        outcomes.append((request, None, error))
        except Exception as error:
            if len(batch) > 1:
                # One request broke the transaction and nothing of it is stored: each on its own, so that none can harm another.
                for request in batch:
                    self._commit([request])
                return
            failure = error if isinstance(error, CopilotError) else EngineError(f"The store failed ({type(error).__name__}).")
            batch[0].future.set_exception(failure)
            return
        self.commits += 1
        self.requests += len(batch)
        self._doorbell.ring([item for _, result, _ in outcomes if isinstance(result, list) for item in result])
        for request, result, refusal in outcomes:
            if refusal is None:
                request.future.set_result(result)
            else:
                request.future.set_exception(refusal)

    def _take(self, connection: Connection, org_id: OrgId, call_id: CallId, owner: str, new: bool) -> OpenedCall:
        if rows.create_call(connection, self._keyring, org_id, call_id, owner):
            return OpenedCall(call_id=call_id, epoch=1, last_seq=0)
        row = rows.lock_call(connection, org_id, call_id)
        if row["phase"] == "ended":
            raise Conflict(f"Call {call_id} has ended; a new call needs a new id.")
        if new and row["phase"] == "live":
            raise Conflict(f"Call {call_id} is live on another node already.")
        epoch = row["epoch"] + 1
        connection.execute(sa.update(t.calls).where(rows.is_call(t.calls, org_id, call_id)).values(epoch=epoch, owner=owner))
        return OpenedCall(call_id=call_id, epoch=epoch, last_seq=row["last_seq"])


def put_secrets(connection: Connection, keyring: KeyRing, org_id: OrgId, call_id: CallId, values: dict[str, str]) -> None:
    """Adds token → value to the call's vault; a token known already keeps its place and takes the new value."""
    rows.lock_call(connection, org_id, call_id)
    cipher = rows.need_cipher(connection, keyring, org_id, call_id)
    known = rows.is_call(t.vault, org_id, call_id)
    connection.execute(sa.delete(t.vault).where(known, t.vault.c.token.in_(values)))
    connection.execute(
        sa.insert(t.vault),
        [
            {"org_id": org_id, "call_id": call_id, "token": token, "ciphertext": cipher.seal(value.encode(), rows.place("vault", token))}
            for token, value in values.items()
        ],
    )
