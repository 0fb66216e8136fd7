"""The embedded engine: tantivy for terms, usearch for vectors (f16), on local disk.

Every change makes a new generation directory (segments are hard-linked, they never change) and then moves one pointer file, so a crash or a
reader never meets a half-written index. The articles in the store are the truth; this can be deleted at any time.

    <dir>/current              name of the generation in use
    <dir>/gen-000007/meta.json embedder, dimension, versions, watermark, content hash per article
    <dir>/gen-000007/zh/       terms/ (tantivy)  vectors.usearch  passages.json
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

# usearch puts its kernels into the global symbol table, and onnxruntime (voice activity) crashes the process when it is loaded after that.
import onnxruntime  # noqa: F401  # isort: skip  # must stay before usearch
import tantivy
from filelock import FileLock, Timeout
from usearch.index import Index as VectorIndex

from copilot.domain.errors import Conflict, EngineError
from copilot.domain.knowledge import Article, Passage
from copilot.domain.ports.knowledge import Embedder
from kb.analysis import ANALYSIS_VERSION, Terms, analyse
from kb.chunking import CHUNKING_VERSION, Entry, entries
from kb.digests import article_key, content_hash, stale_reason
from kb.engine import Candidates, IndexState, Progress, SyncReport, Vector

_FORMAT = 1
_FIELDS = ("words", "bigrams", "pinyin")
_HEAP = 32 << 20
_LOCK_WAIT_S = 10.0
_FLAT_LIMIT = 4096
"""Up to this many vectors the search is exact: a scan is as fast as the graph, and forgets nothing."""


@dataclass(slots=True)
class _Shelf:
    """One language of a generation."""

    terms: tantivy.Index
    vectors: VectorIndex
    passages: dict[int, Passage]


@dataclass(slots=True)
class _Generation:
    path: Path
    meta: dict[str, Any]
    shelves: dict[str, _Shelf]


class EmbeddedEngine:
    """An index in a directory. Thread-safe for searching; writers, also of other processes, wait for each other.

    ``embedder`` embeds passages when the index is written (give one that remembers). The directory is made on the first ``sync``.
    """

    def __init__(self, directory: Path, embedder: Embedder) -> None:
        self._root = directory
        self._embedder = embedder
        self._swap = threading.Lock()
        self._generation = self._load_current()

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

    def sync(self, articles: Sequence[Article], watermark: int, progress: Progress | None = None, *, rebuild: bool = False) -> SyncReport:
        self._root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._root / "writer.lock")
        try:
            lock.acquire(timeout=_LOCK_WAIT_S)
        except Timeout as error:
            raise Conflict(f"Another process is writing the index {self._root}; try again when it is done.") from error
        try:
            return self._sync(articles, watermark, progress, rebuild)
        finally:
            lock.release()

    def candidates(self, language: str, terms: Terms, vector: Vector, limit: int) -> Candidates:
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
        found: dict[str, dict[int, float]] = {"dense": _nearest(shelf, vector, limit)}
        searcher = shelf.terms.searcher()
        for field in _FIELDS:
            found[field] = _matching(searcher, shelf.terms.schema, field, getattr(terms, field), limit)
        used = {key: shelf.passages[key] for scores in found.values() for key in scores}
        return Candidates(
            scores={name: {used[key].passage_id: score for key, score in scores.items()} for name, scores in found.items()},
            passages={passage.passage_id: passage for passage in used.values()},
        )

    def close(self) -> None:
        with self._swap:
            self._generation = None

    def _sync(self, articles: Sequence[Article], watermark: int, progress: Progress | None, rebuild: bool) -> SyncReport:
        old = self._fresh()
        why = "asked for" if rebuild else ("" if old is None else self._stale(old))
        known: dict[str, str] = {} if old is None or why else dict(old.meta["articles"])
        wanted = {article_key(article): (article, content_hash(article)) for article in articles}
        changed = {key: article for key, (article, digest) in wanted.items() if known.get(key) != digest}
        gone = [key for key in known if key not in wanted]
        report = SyncReport(added=len(changed), removed=len(gone), unchanged=len(wanted) - len(changed), rebuilt=why)
        if old is not None and not why and not changed and not gone and int(old.meta["watermark"]) == watermark:
            return report
        base = None if why else old
        path = self._next_path()
        staging = path.with_name(path.name + ".part")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        languages = sorted({article.language for article in articles} | (set(base.shelves) if base else set()))
        done = 0
        fresh = {
            language: [entry for article in changed.values() if article.language == language for entry in entries(article)]
            for language in languages
        }
        total = sum(len(found) for found in fresh.values())
        dropped = {*changed, *gone}
        count = 0
        for language in languages:
            shelf = base.shelves.get(language) if base else None

            def told(of_language: int, _: int, before: int = done) -> None:
                if progress is not None:
                    progress(before + of_language, total)

            count += self._write_shelf(staging / language, shelf, base.path / language if base else None, fresh[language], dropped, told)
            done += len(fresh[language])
        meta = {
            "format": _FORMAT,
            "embedder": self._embedder.identity,
            "dimension": self._embedder.dimension,
            "analysis": ANALYSIS_VERSION,
            "chunking": CHUNKING_VERSION,
            "watermark": watermark,
            "languages": languages,
            "articles": {key: digest for key, (_, digest) in wanted.items()},
        }
        _write(staging / "meta.json", meta)
        staging.replace(path)
        generation = _load(path)
        pointer = self._root / "current.part"
        pointer.write_text(path.name, encoding="utf-8")
        pointer.replace(self._root / "current")
        with self._swap:
            self._generation = generation
        self._remove_others(path)
        return SyncReport(
            added=report.added, removed=report.removed, unchanged=report.unchanged, rebuilt=why, passages=count, written=total
        )

    def _write_shelf(
        self, target: Path, old: _Shelf | None, old_path: Path | None, fresh: Sequence[Entry], dropped: set[str], progress: Progress
    ) -> int:
        """Writes one language: what the old shelf has, without the dropped articles, and the fresh entries. The number of passages."""
        target.mkdir()
        terms_path = target / "terms"
        passages = dict(old.passages) if old else {}
        if old is not None and old_path is not None:
            _link_tree(old_path / "terms", terms_path)
            vectors = _restore(old_path)
        else:
            terms_path.mkdir()
            vectors = VectorIndex(ndim=self._embedder.dimension, metric="cos", dtype="f16")
        index = tantivy.Index(_schema(), path=str(terms_path))
        _register(index)
        writer = index.writer(heap_size=_HEAP, num_threads=1)
        remove = [key for key, passage in passages.items() if f"{passage.article_id}:{passage.language}" in dropped]
        for key in remove:
            # By query: deleting by term takes a Python int for a signed number and matches nothing in an unsigned field.
            writer.delete_documents_by_query(tantivy.Query.term_query(index.schema, "key", key))
            vectors.remove(key)
            del passages[key]
        embedded = _embed(self._embedder, [entry.dense for entry in fresh], progress)
        key = max(passages, default=0)
        for entry, vector in zip(fresh, embedded, strict=True):
            key += 1
            terms = analyse(entry.lexical, entry.passage.language)
            document = tantivy.Document()
            document.add_unsigned("key", key)
            for field in _FIELDS:
                document.add_text(field, " ".join(getattr(terms, field)))
            writer.add_document(document)
            vectors.add(key, vector)
            passages[key] = entry.passage
        writer.commit()
        writer.wait_merging_threads()
        vectors.save(str(target / "vectors.usearch"))
        _write(target / "passages.json", {str(number): asdict(passage) for number, passage in passages.items()})
        return len(passages)

    def _fresh(self) -> _Generation | None:
        """The generation in use; another process may have moved the pointer."""
        with self._swap:
            name = self._current_name()
            if name and (self._generation is None or self._generation.path.name != name):
                self._generation = self._load_current()
            return self._generation

    def _current_name(self) -> str:
        try:
            return (self._root / "current").read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def _load_current(self) -> _Generation | None:
        name = self._current_name()
        if not name:
            return None
        try:
            return _load(self._root / name)
        except (OSError, ValueError, KeyError, RuntimeError):
            # A damaged index is no loss: the articles are in the store and the next sync builds it again.
            return None

    def _stale(self, generation: _Generation) -> str:
        return stale_reason(generation.meta, _FORMAT, self._embedder)

    def _next_path(self) -> Path:
        numbers = [int(path.name[4:]) for path in self._root.glob("gen-*") if path.name[4:].isdigit()]
        return self._root / f"gen-{max(numbers, default=0) + 1:06d}"

    def _remove_others(self, keep: Path) -> None:
        for path in self._root.glob("gen-*"):
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("key", stored=True, indexed=True, fast=True)
    for field in _FIELDS:
        builder.add_text_field(field, stored=False, tokenizer_name="terms", index_option="freq")
    return builder.build()


def _register(index: tantivy.Index) -> None:
    index.register_tokenizer("terms", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())


def _load(path: Path) -> _Generation:
    meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
    shelves = {}
    for language in meta["languages"]:
        folder = path / language
        index = tantivy.Index.open(str(folder / "terms"))
        _register(index)
        index.reload()
        stored = json.loads((folder / "passages.json").read_text(encoding="utf-8"))
        vectors = _restore(folder)
        shelves[language] = _Shelf(terms=index, vectors=vectors, passages={int(key): Passage(**fields) for key, fields in stored.items()})
    return _Generation(path=path, meta=meta, shelves=shelves)


def _restore(folder: Path) -> VectorIndex:
    vectors = VectorIndex.restore(str(folder / "vectors.usearch"))
    if vectors is None:
        raise ValueError(f"{folder} has no readable vectors")
    return vectors


def _nearest(shelf: _Shelf, vector: Vector, limit: int) -> dict[int, float]:
    matches = shelf.vectors.search(
        np.asarray(vector, np.float32), min(limit, len(shelf.passages)), exact=len(shelf.passages) <= _FLAT_LIMIT
    )
    return {
        int(key): 1.0 - float(distance) for key, distance in zip(matches.keys, matches.distances, strict=True) if int(key) in shelf.passages
    }


def _matching(searcher: tantivy.Searcher, schema: tantivy.Schema, field: str, terms: Sequence[str], limit: int) -> dict[int, float]:
    """BM25 of the passages that share a term, by key."""
    distinct = list(dict.fromkeys(terms))
    if not distinct:
        return {}
    query = tantivy.Query.boolean_query([(tantivy.Occur.Should, tantivy.Query.term_query(schema, field, term)) for term in distinct])
    hits = searcher.search(query, limit, count=False).hits
    if not hits:
        return {}
    keys = searcher.fast_field_values("key", [address for _, address in hits])
    return {int(key): float(score) for key, (score, _) in zip(keys, hits, strict=True) if key is not None}


def _embed(embedder: Embedder, texts: Sequence[str], progress: Progress) -> Vector:
    if not texts:
        return np.empty((0, embedder.dimension), np.float32)
    parts = []
    for at in range(0, len(texts), 64):
        parts.append(embedder.embed(texts[at : at + 64], "passage"))
        progress(min(at + 64, len(texts)), len(texts))
    return np.concatenate(parts)


def _link_tree(source: Path, target: Path) -> None:
    """A copy that shares the segment files, which are never changed once written; the small JSON files are copied."""
    target.mkdir()
    for path in source.iterdir():
        if path.name.endswith(".lock"):
            continue
        if path.suffix == ".json":
            shutil.copyfile(path, target / path.name)
        else:
            try:
                os.link(path, target / path.name)
            except OSError:
                shutil.copyfile(path, target / path.name)


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, default=str), encoding="utf-8")
