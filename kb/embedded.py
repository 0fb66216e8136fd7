"""The embedded engine: tantivy for terms, vectors of our own beside usearch's graph, on local disk.

Every change makes a new generation (see kb.generations), in which what did not change is hard-linked. The articles in the store are the
truth; this can be deleted at any time.

    <dir>/gen-000007/meta.json embedder, dimension, versions, watermark, content hash and scope per article
    <dir>/gen-000007/zh/       one language, see kb.shelf
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from copilot.domain.errors import EngineError
from copilot.domain.knowledge import EVERYTHING, Article, Passage, Scope
from copilot.domain.ports.knowledge import Embedder
from kb.analysis import ANALYSIS_VERSION, Terms
from kb.chunking import CHUNKING_VERSION, Entry, entries
from kb.digests import Digests, article_key, stale_reason
from kb.engine import Candidates, IndexState, Progress, SyncReport, Vector
from kb.generations import Generations
from kb.scopes import in_scope, scope_words, wanted_words
from kb.shelf import FIELDS, Mask, Shelf, Written, load_shelf, write_shelf
from kb.shelf_files import link_shelf

_FORMAT = 2
_MASKS = 256
"""Different filters remembered for a generation."""

_READS = 3
"""Another process may move the pointer and remove what it pointed at while this one opens it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Generation:
    path: Path
    meta: Mapping[str, Any]
    shelves: Mapping[str, Shelf]
    masks: dict[tuple[str, Scope], Mask] = field(default_factory=dict)
    """What ``_allowed`` has found before."""


class EmbeddedEngine:
    """An index in a directory. Thread-safe. One process writes it at a time; any number read it.

    ``embedder`` embeds passages when the index is written (give one that remembers). ``threads``: cores for the graph of a large index.
    The directory is made by the first writing.
    """

    def __init__(self, directory: Path, embedder: Embedder, *, threads: int = 1) -> None:
        self._generations = Generations(directory)
        self._embedder = embedder
        self._threads = threads
        self._swap = threading.Lock()
        self._writing = threading.RLock()
        self._owned = False
        self._closing = threading.Event()
        self._digests = Digests()
        self._generation = self._load_current()

    def own(self) -> None:
        with self._writing:
            if not self._owned:
                self._generations.acquire()
                self._owned = True

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._writing:
            if self._owned:
                yield
                return
            self.own()
            try:
                yield
            finally:
                self._release()

    def state(self) -> IndexState:
        generation = self._fresh()
        if generation is None:
            return IndexState(watermark=0, articles=0, passages=0, embedder=self._embedder.identity, stale="the index is empty")
        return IndexState(
            watermark=int(generation.meta["watermark"]),
            articles=len(generation.meta["articles"]),
            passages=sum(len(shelf.passages) for shelf in generation.shelves.values()),
            embedder=str(generation.meta["embedder"]),
            stale=self._stale(generation),
        )

    def contents(self) -> Mapping[str, str]:
        generation = self._fresh()
        return {} if generation is None else dict(generation.meta["articles"])

    def sync(self, articles: Sequence[Article], watermark: int, progress: Progress | None = None, *, rebuild: bool = False) -> SyncReport:
        with self.writing():
            return self._sync(articles, watermark, progress, rebuild)

    def candidates(self, language: str, terms: Terms, vector: Vector, limit: int, scope: Scope = EVERYTHING) -> Candidates:
        generation = self._fresh()
        if generation is None:
            return Candidates(scores={}, passages={})
        stale = self._stale(generation)
        if stale:
            raise EngineError(
                f"The index must be built again ({stale}); that is done when the server starts, or by any pangting kb command."
            )
        shelf = generation.shelves.get(language)
        if shelf is None or not shelf.passages:
            return Candidates(scores={}, passages={})
        found = {"dense": shelf.nearest(vector, limit, _allowed(generation, language, scope))}
        searcher = shelf.terms.searcher()
        for name in FIELDS:
            found[name] = shelf.matching(searcher, name, getattr(terms, name), limit, wanted_words(scope))
        used = {key: shelf.passages[key] for scores in found.values() for key in scores}
        return Candidates(
            scores={name: {used[key].passage_id: score for key, score in scores.items()} for name, scores in found.items()},
            passages={passage.passage_id: passage for passage in used.values()},
        )

    def close(self) -> None:
        self._closing.set()  # a build that runs stops after its batch; what it has embedded is remembered
        with self._writing:
            if self._owned:
                self._release()
        with self._swap:
            self._generation = None

    def _release(self) -> None:
        self._owned = False
        self._generations.release()

    def _sync(self, articles: Sequence[Article], watermark: int, progress: Progress | None, rebuild: bool) -> SyncReport:
        old = self._fresh()
        why = "asked for" if rebuild else ("" if old is None else self._stale(old))
        known: Mapping[str, str] = {} if old is None or why else old.meta["articles"]
        digests = self._digests.of(articles)
        changed = [article for article in articles if known.get(article_key(article)) != digests[article_key(article)]]
        gone = [key for key in known if key not in digests]
        passages = sum(len(shelf.passages) for shelf in old.shelves.values()) if old is not None else 0
        unchanged = len(digests) - len(changed)
        if old is not None and not why and not changed and not gone and int(old.meta["watermark"]) == watermark:
            self._generations.remove_others(old.path)  # of a run that was killed
            return SyncReport(unchanged=unchanged, passages=passages)
        path = self._generations.next_path()
        staging = self._generations.staging(path)
        base = None if why else old
        shelves, total = self._write_shelves(staging, base, changed, gone, progress)
        scopes = {article_key(article): scope_words(article) for article in articles}
        meta = {
            "format": _FORMAT,
            "embedder": self._embedder.identity,
            "dimension": self._embedder.dimension,
            "analysis": ANALYSIS_VERSION,
            "chunking": CHUNKING_VERSION,
            "watermark": watermark,
            "languages": sorted(shelves),
            "articles": digests,
            "scopes": scopes,
        }
        (staging / "meta.json").write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")
        staging.replace(path)
        generation = _Generation(path=path, meta=meta, shelves={name: written.open(path / name) for name, written in shelves.items()})
        self._generations.point_at(path)
        with self._swap:
            self._generation = generation
        self._generations.remove_others(path)
        count = sum(len(shelf.passages) for shelf in generation.shelves.values())
        return SyncReport(added=len(changed), removed=len(gone), unchanged=unchanged, rebuilt=why, passages=count, written=total)

    def _write_shelves(
        self, staging: Path, base: _Generation | None, changed: Sequence[Article], gone: Sequence[str], progress: Progress | None
    ) -> tuple[dict[str, Written | Shelf], int]:
        """Every language of the new generation, and how many passages were written."""
        languages = sorted({article.language for article in changed} | (set(base.shelves) if base else set()))
        dropped = {*map(article_key, changed), *gone}
        counts = {name: sum(len(entries(article)) for article in changed if article.language == name) for name in languages}
        total, done = sum(counts.values()), 0
        shelves: dict[str, Written | Shelf] = {}
        for language in languages:
            shelf = base.shelves.get(language) if base else None
            if base is not None and shelf is not None and not any(key.endswith(f":{language}") for key in dropped):
                link_shelf(base.path / language, staging / language)
                shelves[language] = shelf
                continue

            def told(of_language: int, before: int = done) -> None:
                if self._closing.is_set():
                    raise EngineError("The index is being closed; what was not written is written when it is opened again.")
                if progress is not None:
                    progress(before + of_language, total)

            shelves[language] = write_shelf(
                staging / language,
                (base.path / language, shelf) if base is not None and shelf is not None else None,
                _fresh_entries(changed, language),
                _dropped(dropped),
                self._embedder,
                count=counts[language],
                threads=self._threads,
                progress=told,
            )
            done += counts[language]
        return shelves, total

    def _fresh(self) -> _Generation | None:
        """The generation in use; another process may have moved the pointer, unless only this one writes."""
        with self._swap:
            if self._owned and self._generation is not None:
                return self._generation
            name = self._generations.current()
            if name and (self._generation is None or self._generation.path.name != name):
                self._generation = self._load_current()
            return self._generation

    def _load_current(self) -> _Generation | None:
        for _ in range(_READS):
            name = self._generations.current()
            if not name:
                return None
            try:
                return _load(self._generations.path(name), self._embedder.dimension)
            except (OSError, ValueError, KeyError, TypeError, RuntimeError):
                if self._generations.current() == name:
                    # A damaged index is no loss: the articles are in the store and the next sync builds it again.
                    return None
        return None

    def _stale(self, generation: _Generation) -> str:
        return stale_reason(generation.meta, _FORMAT, self._embedder)


def _load(path: Path, dimension: int) -> _Generation:
    meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
    if meta.get("format") != _FORMAT or meta.get("dimension") != dimension:
        # It will be built again; what it holds cannot be read.
        return _Generation(path=path, meta=meta, shelves={})
    return _Generation(path=path, meta=meta, shelves={name: load_shelf(path / name, name, dimension) for name in meta["languages"]})


def _allowed(generation: _Generation, language: str, scope: Scope) -> Mask | None:
    """Which articles of a shelf are in scope, by row; None: all."""
    groups = wanted_words(scope)
    if not groups:
        return None
    known = generation.masks.get((language, scope))
    if known is None:
        scopes: Mapping[str, Sequence[str]] = generation.meta["scopes"]
        articles = generation.shelves[language].articles
        # An article that is no more has a row still, and no passages.
        known = np.array([in_scope(scopes.get(f"{article_id}:{language}", ()), groups) for article_id in articles], bool)
        if len(generation.masks) < _MASKS:
            generation.masks[language, scope] = known
    return known


def _dropped(keys: set[str]) -> Callable[[Passage], bool]:
    return lambda passage: f"{passage.article_id}:{passage.language}" in keys


def _fresh_entries(articles: Sequence[Article], language: str) -> Iterator[tuple[Entry, str]]:
    for article in articles:
        if article.language == language:
            words = " ".join(scope_words(article))
            for entry in entries(article):
                yield entry, words
