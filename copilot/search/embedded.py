"""The embedded engine: tantivy on local disk, and a graph of the vectors in memory. The store is the truth: all of it can be deleted.

    <dir>/gen-000001/meta.json     format, terms, key and embedder it was made with
    <dir>/gen-000001/mark.json     how far the store was followed
    <dir>/gen-000001/tantivy/      the documents
    <dir>/gen-000001/vectors       the graph, as it was some changes ago (see copilot.search.neighbours)

A batch is one commit of tantivy, which after a crash is there whole or not at all; the mark is written after it. A generation is made anew
only to rebuild (see kb.generations).
"""

from __future__ import annotations

import json
import secrets
import shutil
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tantivy

from copilot.domain.errors import EngineError
from copilot.search.engine import FACETS, MOST_VALUES, Asked, Document, Found, Held, IndexState, IndexWriter, Mark, Vector
from copilot.search.neighbours import FEW, Neighbours
from copilot.search.terms import TERMS_VERSION, Phrase
from kb.analysis import ANALYSIS_VERSION
from kb.generations import Generations

_FORMAT = 1
_HEAP = 64 << 20
_PAGE = 20_000
_SAVE_SHARE = 0.05
"""The graph is saved when so much of it has changed: that much is made again after a crash."""

_READS = 3
_MUST, _SHOULD, _NOT = tantivy.Occur.Must, tantivy.Occur.Should, tantivy.Occur.MustNot


class _Identified(Protocol):
    @property
    def identity(self) -> str: ...

    @property
    def dimension(self) -> int: ...


class EmbeddedCallIndex:
    """``CallIndex`` in a directory. ``key_id``: of the key the terms were blinded with; ``embedder``: whose vectors it holds."""

    def __init__(self, directory: Path, embedder: _Identified, key_id: str) -> None:
        self._generations = Generations(directory)
        self._made_with = {
            "format": _FORMAT,
            "terms": [TERMS_VERSION, ANALYSIS_VERSION],
            "key": key_id,
            "embedder": [embedder.identity, embedder.dimension],
        }
        self._dimension = embedder.dimension
        self._writing = threading.RLock()
        self._swap = threading.Lock()
        self._owned = False
        self._generation: _Generation | None = None

    def own(self) -> None:
        with self._writing:
            if not self._owned:
                self._generations.acquire()
                self._owned = True

    def state(self) -> IndexState:
        generation = self._current()
        if generation is None:
            return IndexState(mark=None, calls=0)
        return IndexState(mark=generation.mark, calls=generation.searcher().num_docs, stale=generation.stale(self._made_with))

    def held(self, call_ids: Collection[str]) -> Mapping[str, Held]:
        generation = self._current()
        return {} if generation is None or generation.stale(self._made_with) else generation.held(call_ids)

    def call_ids(self) -> Sequence[str]:
        generation = self._current()
        return [] if generation is None else generation.call_ids()

    def write(self, documents: Sequence[Document], gone: Collection[str], mark: Mark | None) -> None:
        with self._writing:
            self.own()
            if self._current() is None:
                with self.rebuilding():
                    pass  # an empty one, so that the first calls can be found while the others are written
            self._ready().write(documents, gone, mark)

    @contextmanager
    def rebuilding(self) -> Iterator[IndexWriter]:
        with self._writing:
            self.own()
            path = self._generations.next_path()
            staging = self._generations.staging(path)
            fresh = _Generation.make(staging, self._made_with, self._dimension)
            try:
                yield fresh
            except BaseException:
                fresh.close(save=False)
                shutil.rmtree(staging, ignore_errors=True)
                raise
            fresh.close(save=True)
            staging.replace(path)
            self._generations.point_at(path)
            old, opened = self._generation, _Generation(path, self._dimension)
            with self._swap:
                self._generation = opened
            if old is not None:
                old.close(save=False)
            self._generations.remove_others(path)

    def newest(self, asked: Asked, limit: int, *, until_ms: int | None = None, skip: int = 0) -> Found:
        generation = self._ready()
        searcher = generation.searcher()
        total = _count(searcher, generation.query(asked))
        query = generation.query(asked, until_ms=until_ms)
        hits = searcher.search(query, limit, count=False, order_by_field="started", offset=skip, order=tantivy.Order.Desc).hits
        names = generation.names(searcher, [address for _, address in hits])
        return Found(calls=tuple(zip(names, [int(started) for started, _ in hits], strict=True)), total=total)

    def counts(self, asked: Asked, facets: Sequence[str]) -> dict[str, dict[str, int]]:
        generation = self._ready()
        searcher = generation.searcher()
        counted: dict[str, dict[str, int]] = {}
        together = [name for name in facets if name not in asked.chosen]
        groups = [(asked, together)] if together else []
        for name in facets:
            if name in asked.chosen:
                others = {facet: values for facet, values in asked.chosen.items() if facet != name}
                groups.append((replace(asked, chosen=others), [name]))
        for which, names in groups:
            wanted = {name: {"terms": {"field": name, "size": MOST_VALUES, "segment_size": MOST_VALUES}} for name in names}
            found = searcher.aggregate(generation.query(which), wanted)
            counted |= {name: {bucket["key"]: int(bucket["doc_count"]) for bucket in found[name]["buckets"]} for name in names}
        return {name: counted[name] for name in facets}

    def nearest(self, vector: Vector, asked: Asked, limit: int) -> dict[str, float]:
        generation = self._ready()
        searcher = generation.searcher()
        query = generation.query(asked, vectored=True)
        fitting = _count(searcher, query)
        if not fitting:
            return {}
        if fitting <= FEW:
            keys = _keys(searcher, [address for _, address in searcher.search(query, fitting, count=False).hits])
            best = generation.neighbours.among(vector, keys, limit)
        else:
            share = fitting / max(searcher.num_docs, 1)

            def allowed(keys: list[int]) -> set[int]:
                among = tantivy.Query.term_set_query(generation.schema, "key", keys)
                hits = searcher.search(_all([among, query]), len(keys), count=False).hits
                return set(_keys(searcher, [address for _, address in hits]))

            best = generation.neighbours.nearest(vector, limit, share, allowed)
        addresses = [generation.address(searcher, key) for key, _ in best]
        here = [(address, score) for address, (_, score) in zip(addresses, best, strict=True) if address is not None]
        return dict(zip(generation.names(searcher, [address for address, _ in here]), [score for _, score in here], strict=True))

    def matching(self, field: str, terms: Sequence[str], asked: Asked, limit: int) -> dict[str, float]:
        generation = self._ready()
        distinct = list(dict.fromkeys(terms))
        if not distinct:
            return {}
        searcher = generation.searcher()
        shared = tantivy.Query.boolean_query([(_SHOULD, tantivy.Query.term_query(generation.schema, field, term)) for term in distinct])
        # Constant zero: a filter must not count as a match.
        filters = tantivy.Query.const_score_query(generation.query(asked), 0.0)
        hits = searcher.search(_all([shared, filters]), limit, count=False).hits
        names = generation.names(searcher, [address for _, address in hits])
        return dict(zip(names, [float(score) for score, _ in hits], strict=True))

    def close(self) -> None:
        with self._writing:
            if self._generation is not None:
                self._generation.close(save=self._owned)
            if self._owned:
                self._generations.release()
                self._owned = False
        with self._swap:
            self._generation = None

    def _ready(self) -> _Generation:
        generation = self._current()
        if generation is None:
            raise EngineError("There is no index of calls yet: the server builds it when it starts. Try again in a moment.", retryable=True)
        if why := generation.stale(self._made_with):
            raise _stale(why)
        return generation

    def _current(self) -> _Generation | None:
        """The generation in use; another process may have moved the pointer, unless only this one writes."""
        with self._swap:
            if self._owned and self._generation is not None:
                return self._generation
            for _ in range(_READS):
                name = self._generations.current()
                if not name or (self._generation is not None and self._generation.path.name == name):
                    break
                try:
                    self._generation = _Generation(self._generations.path(name), self._dimension)
                except (OSError, ValueError, KeyError, TypeError, RuntimeError):
                    # Removed meanwhile, or damaged; that is no loss, it is built again from the store.
                    self._generation = None
                    continue
                break
            if self._generation is not None and not self._owned:
                self._generation.refresh()
            return self._generation


class _Generation:
    """One index. Searches may run while it is written."""

    def __init__(self, path: Path, dimension: int) -> None:
        self.path = path
        meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
        self._made_with: dict[str, Any] = meta["made_with"]
        self._dimension = dimension
        self._index = tantivy.Index.open(str(path / "tantivy"))
        self._index.register_tokenizer("terms", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
        self._index.reload()
        self.schema = self._index.schema
        self._writer: tantivy.IndexWriter | None = None
        self._reconciled: object = None
        self.neighbours = Neighbours(dimension, path / "vectors")
        if self._made_with.get("format") == _FORMAT and self._made_with["embedder"][1] == dimension:
            self._reconcile()

    @classmethod
    def make(cls, path: Path, made_with: Mapping[str, Any], dimension: int) -> _Generation:
        """An empty one in a directory that is there."""
        (path / "tantivy").mkdir()
        tantivy.Index(_schema(), path=str(path / "tantivy"))
        (path / "meta.json").write_text(json.dumps({"made_with": made_with}), encoding="utf-8")
        return cls(path, dimension)

    @property
    def mark(self) -> Mark | None:
        try:
            at, call_id = json.loads((self.path / "mark.json").read_text(encoding="utf-8"))
            return Mark(at=datetime.fromisoformat(at), call_id=call_id)
        except (OSError, ValueError, TypeError):
            return None

    def stale(self, made_with: Mapping[str, Any]) -> str:
        for name, what in (
            ("format", "its format is another one"),
            ("terms", "it was built with another text analysis"),
            ("key", "it was built with another master key"),
            ("embedder", "it was built with another embedding model"),
        ):
            if self._made_with.get(name) != made_with[name]:
                return what
        return ""

    def searcher(self) -> tantivy.Searcher:
        return self._index.searcher()

    def refresh(self) -> None:
        """What another process has committed."""
        before = self._segments()
        self._index.reload()
        if self._segments() != before:
            self._reconcile()

    def _segments(self) -> tuple[int, int]:
        searcher = self.searcher()
        return searcher.num_segments, searcher.num_docs

    def _reconcile(self) -> None:
        """Makes the graph fit the documents."""
        searcher = self.searcher()
        query = tantivy.Query.term_query(self.schema, "vectored", 1)
        count = _count(searcher, query)
        known = set(self.neighbours.keys().tolist())
        for at in range(0, count, _PAGE):
            addresses = [address for _, address in searcher.search(query, _PAGE, count=False, offset=at).hits]
            keys = _keys(searcher, addresses)
            lacking = [(key, address) for key, address in zip(keys, addresses, strict=True) if key not in known]
            if lacking:
                vectors = [_vector(searcher.doc(address), self._dimension) for _, address in lacking]
                self.neighbours.add([key for key, _ in lacking], np.stack([v for v in vectors if v is not None]))
            known.difference_update(keys)
        self.neighbours.remove(sorted(known))

    def write(self, documents: Sequence[Document], gone: Collection[str], mark: Mark | None) -> None:
        if self._writer is None:
            self._writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        names = [*gone, *(document.call_id for document in documents)]
        searcher = self.searcher()
        old = _keys(searcher, self._addresses(searcher, names))
        keys = [secrets.randbits(63) for _ in documents]  # none is used twice, or a graph from before a crash would hold another call's
        if names:
            self._writer.delete_documents_by_query(tantivy.Query.term_set_query(self.schema, "call", names))
            for key, document in zip(keys, documents, strict=True):
                self._writer.add_document(_stored(key, document))
            self._writer.commit()
            self._index.reload()
            self.neighbours.remove(old)
            fresh = [(key, document.vector) for key, document in zip(keys, documents, strict=True) if document.vector is not None]
            if fresh:
                self.neighbours.add([key for key, _ in fresh], np.stack([vector for _, vector in fresh]))
        if mark is not None and mark != self.mark:
            part = self.path / "mark.json.part"
            part.write_text(json.dumps([mark.at.isoformat(), mark.call_id]), encoding="utf-8")
            part.replace(self.path / "mark.json")
        if self.neighbours.changes > max(_PAGE, _SAVE_SHARE * len(self.neighbours)):
            self.neighbours.save(self.path / "vectors")

    def close(self, *, save: bool) -> None:
        if self._writer is not None:
            self._writer.wait_merging_threads()
            self._writer = None
        if save and self.neighbours.changes:
            self.neighbours.save(self.path / "vectors")

    def held(self, call_ids: Collection[str]) -> dict[str, Held]:
        searcher, found = self.searcher(), {}
        for address in self._addresses(searcher, call_ids):
            document = searcher.doc(address)
            call_id, revision, about = (str(document.get_first(name)) for name in ("call", "revision", "about"))
            found[call_id] = Held(revision=revision, about=about, vector=_vector(document, self._dimension))
        return found

    def call_ids(self) -> list[str]:
        searcher, found = self.searcher(), []
        for at in range(0, searcher.num_docs, _PAGE):
            hits = searcher.search(tantivy.Query.all_query(), _PAGE, count=False, offset=at).hits
            found += self.names(searcher, [address for _, address in hits])
        return found

    def names(self, searcher: tantivy.Searcher, addresses: Sequence[tantivy.DocAddress]) -> list[str]:
        return [str(searcher.doc(address).get_first("call")) for address in addresses]

    def address(self, searcher: tantivy.Searcher, key: int) -> tantivy.DocAddress | None:
        hits = searcher.search(tantivy.Query.term_query(self.schema, "key", key), 1, count=False).hits
        return hits[0][1] if hits else None

    def _addresses(self, searcher: tantivy.Searcher, call_ids: Collection[str]) -> list[tantivy.DocAddress]:
        if not call_ids:
            return []
        query = tantivy.Query.term_set_query(self.schema, "call", list(call_ids))
        return [address for _, address in searcher.search(query, len(call_ids), count=False).hits]

    def query(self, asked: Asked, *, until_ms: int | None = None, vectored: bool = False) -> tantivy.Query:
        parts = [_any([self._phrase(phrase) for phrase in need]) for need in asked.needs]
        parts += [self._values(facet, values) for facet, values in asked.chosen.items()]
        if asked.reach is not None:
            parts.append(_any([self._values(facet, values) for facet, values in asked.reach]))
        if asked.only is not None:
            parts.append(self._values("call", asked.only))
        if vectored:
            parts.append(tantivy.Query.term_query(self.schema, "vectored", 1))
        last = [limit for limit in (until_ms, asked.until_ms - 1 if asked.until_ms is not None else None) if limit is not None]
        if asked.since_ms is not None or last:
            upper = min(last) if last else None
            parts.append(tantivy.Query.range_query(self.schema, "started", tantivy.FieldType.Integer, asked.since_ms, upper))
        clauses = [(_MUST, part) for part in parts or [tantivy.Query.all_query()]]
        clauses += [(_NOT, self._phrase(phrase)) for phrase in asked.without]
        return tantivy.Query.boolean_query(clauses)

    def _phrase(self, phrase: Phrase) -> tantivy.Query:
        if len(phrase.terms) == 1:
            return tantivy.Query.term_query(self.schema, phrase.field, phrase.terms[0])
        return tantivy.Query.phrase_query(self.schema, phrase.field, list(phrase.terms))

    def _values(self, field: str, values: Sequence[str]) -> tantivy.Query:
        return tantivy.Query.term_set_query(self.schema, field, list(values)) if values else tantivy.Query.empty_query()


def _stale(why: str) -> EngineError:
    return EngineError(
        f"The index of calls must be built again ({why}); that is done when the server starts, or by: pangting calls reindex",
        retryable=True,
    )


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("key", indexed=True, fast=True)
    builder.add_unsigned_field("vectored", indexed=True)
    builder.add_integer_field("started", indexed=True, fast=True)
    builder.add_text_field("call", stored=True, tokenizer_name="raw", index_option="basic")
    for name in ("revision", "about"):
        builder.add_text_field(name, stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field("vector", stored=True)
    for name, option in (("text", "position"), ("sounds", "position"), ("chars", "basic")):
        builder.add_text_field(name, tokenizer_name="terms", index_option=option)
    for name in FACETS:
        builder.add_text_field(name, fast=True, tokenizer_name="raw", index_option="basic")
    return builder.build()


def _stored(key: int, call: Document) -> tantivy.Document:
    document = tantivy.Document()
    document.add_unsigned("key", key)
    document.add_unsigned("vectored", int(call.vector is not None))
    document.add_integer("started", call.started_ms)
    for name in ("call_id", "revision", "about"):
        document.add_text("call" if name == "call_id" else name, getattr(call, name))
    if call.vector is not None:
        document.add_bytes("vector", np.asarray(call.vector, np.float16).tobytes())
    for name in ("text", "sounds", "chars"):
        document.add_text(name, " ".join(getattr(call.terms, name)))
    for facet in FACETS:
        for value in call.facets.get(facet, ()):
            document.add_text(facet, value)
    return document


def _vector(document: tantivy.Document, dimension: int) -> Vector | None:
    data = document.get_first("vector")
    if not isinstance(data, bytes | bytearray | list):
        return None
    vector = np.frombuffer(bytes(data), np.float16).astype(np.float32)
    return vector if vector.shape == (dimension,) else None


def _count(searcher: tantivy.Searcher, query: tantivy.Query) -> int:
    return int(searcher.search(query, 1, count=True).count or 0)  # type: ignore[attr-defined]  # missing in its stub


def _keys(searcher: tantivy.Searcher, addresses: Sequence[tantivy.DocAddress]) -> list[int]:
    values = searcher.fast_field_values("key", list(addresses)) if addresses else []
    return [int(value) for value in values if value is not None]


def _any(parts: Sequence[tantivy.Query]) -> tantivy.Query:
    if len(parts) == 1:
        return parts[0]
    return tantivy.Query.boolean_query([(_SHOULD, part) for part in parts]) if parts else tantivy.Query.empty_query()


def _all(parts: Sequence[tantivy.Query]) -> tantivy.Query:
    return tantivy.Query.boolean_query([(_MUST, part) for part in parts])
