"""The one writer of an Elasticsearch index: a document that says who writes and until when; and the client's errors as ours.

The clocks of the nodes may differ by less than the length of a lease.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from elasticsearch import ApiError, ConflictError, Elasticsearch, NotFoundError, TransportError
from elasticsearch.helpers import BulkIndexError

from copilot.domain.errors import Conflict, CopilotError, EngineError

LEASE_S = 60.0
_RENEW_S = 20.0
_WAIT_S = 10.0
_LOOK_S = 0.25
_ID = "writer"


class Lease:
    """Taken by one process at a time; a process that dies loses it after ``LEASE_S``. Thread-safe and nestable within a thread."""

    def __init__(self, client: Elasticsearch, index: str) -> None:
        self._client = client
        self._index = index
        self._owner = uuid.uuid4().hex
        self._lock = threading.RLock()
        self._depth = 0
        self._held: dict[str, int] = {}
        self._renewed = 0.0

    def take(self) -> None:
        """Waits up to ten seconds. Raises Conflict if another process still holds it then."""
        self._lock.acquire()
        try:
            if self._depth == 0:
                deadline = time.monotonic() + _WAIT_S
                while not self._try():
                    if time.monotonic() > deadline:
                        raise Conflict(
                            f"Another node is writing the index of {self._index.removesuffix('-lease')}; try again when it is done."
                        )
                    time.sleep(_LOOK_S)
            self._depth += 1
        except BaseException:
            self._lock.release()
            raise

    def keep(self) -> None:
        """Prolongs it when it is a while old. Raises Conflict if it was lost."""
        if time.monotonic() - self._renewed > _RENEW_S:
            try:
                self._put(self._held)
            except ConflictError as error:
                raise Conflict("This process was too slow and another one has begun to write the index; run it again.") from error

    def give_back(self) -> None:
        """The reverse of ``take``."""
        self._depth -= 1
        try:
            if self._depth == 0:
                self._client.options(ignore_status=[404, 409]).delete(
                    index=self._index, id=_ID, if_seq_no=self._held["if_seq_no"], if_primary_term=self._held["if_primary_term"]
                )
        finally:
            self._lock.release()

    def drop(self) -> None:
        """Deletes what it keeps on the cluster."""
        self._client.options(ignore_status=404).indices.delete(index=self._index)

    def _try(self) -> bool:
        try:
            found = self._client.get(index=self._index, id=_ID)
        except NotFoundError:
            found = None
        if found is None:
            return self._took({"op_type": "create"})
        if found["_source"]["until"] > time.time() and found["_source"]["owner"] != self._owner:
            return False
        return self._took({"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]})

    def _took(self, expected: Mapping[str, Any]) -> bool:
        try:
            self._put(expected)
        except ConflictError:
            return False
        return True

    def _put(self, expected: Mapping[str, Any]) -> None:
        document = {"owner": self._owner, "until": time.time() + LEASE_S}
        answer = self._client.index(index=self._index, id=_ID, document=document, **expected)
        self._held = {"if_seq_no": answer["_seq_no"], "if_primary_term": answer["_primary_term"]}
        self._renewed = time.monotonic()


class elastic_errors:  # noqa: N801 - reads as a word: with elastic_errors():
    """Turns the client's errors into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, CopilotError):
            return
        if isinstance(error, BulkIndexError):
            raise EngineError(f"Elasticsearch refused {len(error.errors)} passages; see its log.", retryable=True) from error
        if isinstance(error, ApiError):
            raise EngineError(f"Elasticsearch answered {error.status_code} ({elastic_reason(error.body)}).", retryable=True) from error
        if isinstance(error, TransportError):
            raise EngineError(f"Elasticsearch cannot be reached ({type(error).__name__}); check kb.url.", retryable=True) from error


def elastic_reason(body: Any) -> str:
    """The server's reason, without the query: a query is customer speech."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    return str(error.get("type", "unknown")) if isinstance(error, Mapping) else "unknown"
