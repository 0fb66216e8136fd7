"""Where sealed recordings live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class MediaStore(Protocol):
    """Blobs by path (``org/call/leg/000001.seg``). Synchronous: call it from a worker thread. Raises EngineError, NotFound."""

    def put(self, path: str, data: bytes) -> None:
        """Store whole and durably; replacing is allowed and atomic."""
        ...

    def get(self, path: str) -> bytes: ...

    def list(self, prefix: str) -> Iterable[str]:
        """Paths under ``prefix``, sorted."""
        ...

    def delete(self, prefix: str) -> int:
        """Removes everything under ``prefix``; how many blobs went."""
        ...
