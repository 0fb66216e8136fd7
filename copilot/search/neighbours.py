"""The vectors of an index of calls in memory: a usearch graph by the documents' keys.

The documents hold their vectors; the file of the graph saves making it again. It is written now and then and at the end, and what
it lacks or has too much is put right when it is opened.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

# usearch puts its kernels into the global symbol table, and onnxruntime (voice activity) crashes the process when it is loaded after that.
import onnxruntime  # noqa: F401  # isort: skip  # must stay before usearch
from usearch.index import Index as VectorIndex

from copilot.search.engine import Vector

Keys = npt.NDArray[np.uint64]
FEW = 8192
"""So many allowed vectors are compared one by one; among more, the graph is searched widely."""

_EXPANSION = 256
_WIDEST = 4096
_ROOM = 32


class Neighbours:
    """Thread-safe."""

    def __init__(self, dimension: int, path: Path | None = None) -> None:
        """With what ``path`` holds, if it can be read."""
        self._lock = threading.Lock()
        self._changes = 0
        self._graph = VectorIndex(ndim=dimension, metric="cos", dtype="f16", expansion_search=_EXPANSION)
        if path is not None and path.exists():
            try:
                found = VectorIndex.restore(str(path), expansion_search=_EXPANSION)
            except (RuntimeError, ValueError, OSError):
                found = None
            if found is not None and found.ndim == dimension:
                self._graph = found

    def __len__(self) -> int:
        return len(self._graph)

    @property
    def changes(self) -> int:
        """Since it was saved."""
        return self._changes

    def keys(self) -> Keys:
        with self._lock:
            return np.asarray(self._graph.keys, np.uint64) if len(self._graph) else np.empty(0, np.uint64)

    def add(self, keys: Sequence[int], vectors: Vector) -> None:
        if len(keys):
            with self._lock:
                self._graph.add(np.array(keys, np.uint64), vectors)
                self._changes += len(keys)

    def remove(self, keys: Sequence[int]) -> None:
        with self._lock:
            for key in keys:
                if key in self._graph:
                    self._graph.remove(key)
                    self._changes += 1

    def save(self, path: Path) -> None:
        part = path.with_name(path.name + ".part")
        with self._lock:
            self._graph.save(str(part))
            self._changes = 0
        part.replace(path)

    def among(self, vector: Vector, keys: Sequence[int], limit: int) -> list[tuple[int, float]]:
        """The nearest of these keys with their cosines, best first; each is compared."""
        with self._lock:
            here = np.array([key for key in keys if key in self._graph], np.uint64)
            if not len(here):
                return []
            rows = np.asarray(self._graph.get(here), np.float32).reshape(len(here), -1)
        scores = rows @ np.asarray(vector, np.float32)
        best = np.argsort(-scores, kind="stable")[:limit]
        return list(zip(here[best].tolist(), scores[best].tolist(), strict=True))

    def nearest(self, vector: Vector, limit: int, share: float, allowed: Callable[[list[int]], set[int]]) -> list[tuple[int, float]]:
        """The nearest that are allowed, best first: perhaps fewer than there are, where few of the nearest few thousand are allowed.

        ``share``: how many of all are allowed, in (0, 1]. ``allowed``: those of these keys that are.
        """
        most = min(len(self._graph), _WIDEST)
        wide = min(max(limit + _ROOM, int(1.5 * limit / share)), most)
        while most:
            with self._lock:
                matches = self._graph.search(np.asarray(vector, np.float32), wide)
                keys, distances = matches.keys.tolist(), matches.distances.tolist()
            fitting = allowed(keys)
            found = [(key, 1.0 - distance) for key, distance in zip(keys, distances, strict=True) if key in fitting]
            if len(found) >= limit or wide >= most:
                return found[:limit]
            wide = min(wide * 4, most)
        return []
