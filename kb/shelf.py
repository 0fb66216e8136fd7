"""One language of the embedded index: terms in tantivy, vectors in two parts, and the passages themselves.

A large *main* part (a usearch graph, f16) is written once and shared by hard links from then on; a small *tail* holds what has come since
and is searched exactly. So an edit writes its own passages and the tail, whatever the size of the knowledge base. When the tail is full, or
too much of the main part is dead, both become a new main part.

    terms/         tantivy
    main.usearch   main.jsonl     the main part: vectors by key, and its passages, one a line
    tail.npy       tail.jsonl     the tail: rows in the order of the lines
    state.json                    the next key, the first key that is not of the main part, and keys of the main part that are no more
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

# usearch puts its kernels into the global symbol table, and onnxruntime (voice activity) crashes the process when it is loaded after that.
import onnxruntime  # noqa: F401  # isort: skip  # must stay before usearch
import tantivy
from usearch.index import Index as VectorIndex

from copilot.domain.knowledge import Passage
from copilot.domain.ports.knowledge import Embedder
from kb.analysis import Terms, analyse
from kb.chunking import Entry
from kb.engine import Vector
from kb.shelf_files import link, link_tree, read_passages, write_passages

FIELDS = ("words", "bigrams", "pinyin")
TAIL_LIMIT = 4096
"""Up to this many vectors are searched exactly: a scan is as fast as the graph there, and forgets nothing."""

_DEAD_SHARE = 0.1
_HEAP = 64 << 20
_BATCH = 64
_EXPANSION = 256
"""Nodes of the graph looked at in a search; more find more of the nearest and take longer."""

_WIDEST = 4096
"""So many neighbours are looked at, at most, for ``limit`` that pass a filter."""

_FEW = 8192
"""So many allowed vectors of the graph are scanned; among more, the graph is searched widely."""

Mask = npt.NDArray[np.bool_]
"""By row of ``Shelf.articles``."""

Filter = Sequence[Sequence[str]]
"""Words of the field ``scope``: of every group one must be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Opened for searching; it never changes. ``passages`` holds the living ones of both parts, by key.

    No key is used twice. Those below ``boundary`` are of the main part; ``dead``: those of them that are no more. ``articles``: id → row;
    ``rows``: key → the row of its article, −1 for what is no more.
    """

    terms: tantivy.Index
    main: VectorIndex | None
    tail_keys: npt.NDArray[np.int64]
    tail: Vector
    passages: Mapping[int, Passage]
    articles: Mapping[str, int]
    rows: npt.NDArray[np.int32]
    next_key: int
    boundary: int
    dead: frozenset[int]

    def open(self, folder: Path) -> Shelf:
        """The same in another folder."""
        return replace(self, terms=_open_terms(folder))

    def nearest(self, vector: Vector, limit: int, allowed: Mask | None) -> dict[int, float]:
        """Cosine of the nearest living passages that are allowed, by key: at most ``limit``, best first."""
        query = np.asarray(vector, np.float32)
        found = self._in_tail(query, limit, allowed) + self._in_main(query, limit, allowed)
        return dict(sorted(found, key=lambda one: (-one[1], one[0]))[:limit])

    def matching(self, searcher: tantivy.Searcher, field: str, terms: Sequence[str], limit: int, scope: Filter) -> dict[int, float]:
        """BM25 of the passages that share a term of ``field`` and are in scope, by key."""
        distinct = list(dict.fromkeys(terms))
        if not distinct:
            return {}
        query = _any_of(self.terms.schema, field, distinct)
        if scope:
            # Constant zero: a filter must not count as a match.
            parts = [tantivy.Query.const_score_query(_any_of(self.terms.schema, "scope", one), 0.0) for one in scope]
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, part) for part in (query, *parts)])
        hits = searcher.search(query, limit, count=False).hits
        if not hits:
            return {}
        keys = searcher.fast_field_values("key", [address for _, address in hits])
        return {int(key): float(score) for key, (score, _) in zip(keys, hits, strict=True) if key is not None}

    def _in_tail(self, query: Vector, limit: int, allowed: Mask | None) -> list[tuple[int, float]]:
        keys, scores = self.tail_keys, self.tail @ query
        if allowed is not None:
            wanted = allowed[self.rows[keys]]
            keys, scores = keys[wanted], scores[wanted]
        best = np.argsort(-scores, kind="stable")[:limit]
        return list(zip(keys[best].tolist(), scores[best].tolist(), strict=True))

    def _in_main(self, query: Vector, limit: int, allowed: Mask | None) -> list[tuple[int, float]]:
        if self.main is None or not len(self.main):
            return []
        most = min(len(self.main), _WIDEST)
        wide = min(limit + 32, most)
        if allowed is not None:
            rows = self.rows[: self.boundary]
            keys = np.flatnonzero((rows >= 0) & allowed[rows])
            if len(keys) <= _FEW:
                scores = np.asarray(self.main.get(keys), np.float32).reshape(len(keys), -1) @ query
                best = np.argsort(-scores, kind="stable")[:limit]
                return list(zip(keys[best].tolist(), scores[best].tolist(), strict=True))
            # So wide that a mean share of the allowed is enough, and half as many again.
            wide = min(max(wide, int(1.5 * limit * len(rows) / len(keys))), most)
        while True:
            matches = self.main.search(query, wide)
            keys = matches.keys.astype(np.int64)
            rows = self.rows[keys]
            wanted = rows >= 0 if allowed is None else (rows >= 0) & allowed[rows]
            if wanted.sum() >= limit or wide >= most:
                return list(zip(keys[wanted].tolist(), (1.0 - matches.distances[wanted]).tolist(), strict=True))
            wide = min(wide * 4, most)


def load_shelf(folder: Path, language: str, dimension: int) -> Shelf:
    """Opens what ``write_shelf`` wrote. Raises OSError or ValueError if it is damaged."""
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    dead = frozenset[int](state["dead"])
    passages = {key: passage for key, passage in read_passages(folder / "main.jsonl", language) if key not in dead}
    tail_keys, tail_passages = [], {}
    for key, passage in read_passages(folder / "tail.jsonl", language):
        tail_keys.append(key)
        tail_passages[key] = passage
    tail = np.load(folder / "tail.npy", allow_pickle=False).astype(np.float32)
    if tail.shape != (len(tail_keys), dimension):
        raise ValueError(f"{folder} has {len(tail)} vectors for {len(tail_keys)} passages")
    main = None
    if (folder / "main.usearch").exists():
        main = VectorIndex.restore(str(folder / "main.usearch"), expansion_search=_EXPANSION)
        if main is None:
            raise ValueError(f"{folder} has no readable vectors")
    elif passages:
        raise ValueError(f"{folder} has passages without vectors")
    every = passages | tail_passages
    articles, rows = _rows(None, every, int(state["next"]), every)
    return Shelf(
        terms=_open_terms(folder),
        main=main,
        tail_keys=np.array(tail_keys, np.int64),
        tail=tail,
        passages=every,
        articles=articles,
        rows=rows,
        next_key=int(state["next"]),
        boundary=int(state["boundary"]),
        dead=dead,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A shelf that was written and is not opened yet: ``open`` it when its folder has its last name."""

    main: VectorIndex | None
    tail_keys: npt.NDArray[np.int64]
    tail: Vector
    passages: Mapping[int, Passage]
    articles: Mapping[str, int]
    rows: npt.NDArray[np.int32]
    next_key: int
    boundary: int
    dead: frozenset[int]

    def open(self, folder: Path) -> Shelf:
        """Without reading again what is in memory."""
        return Shelf(
            terms=_open_terms(folder),
            main=self.main,
            tail_keys=self.tail_keys,
            tail=self.tail,
            passages=self.passages,
            articles=self.articles,
            rows=self.rows,
            next_key=self.next_key,
            boundary=self.boundary,
            dead=self.dead,
        )


def write_shelf(
    target: Path,
    old: tuple[Path, Shelf] | None,
    fresh: Iterable[tuple[Entry, str]],
    dropped: Callable[[Passage], bool],
    embedder: Embedder,
    *,
    count: int,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _done: None,
) -> Written:
    """Writes one language: what ``old`` has, without what is dropped, and the fresh entries with their words of ``scope``.

    ``count``: of the fresh entries. ``threads`` build the graph. ``progress`` is told how many of them are done.
    """
    target.mkdir()
    shelf = old[1] if old is not None else None
    gone = [key for key, passage in shelf.passages.items() if dropped(passage)] if shelf is not None else []
    passages = dict(shelf.passages) if shelf is not None else {}
    for key in gone:
        del passages[key]
    if old is not None:
        link_tree(old[0] / "terms", target / "terms")
    else:
        (target / "terms").mkdir()
    index = tantivy.Index(_schema(), path=str(target / "terms"))
    _register(index)
    writer = index.writer(heap_size=_HEAP, num_threads=1)
    for key in gone:
        # By query: deleting by term takes a Python int for a signed number and matches nothing in an unsigned field.
        writer.delete_documents_by_query(tantivy.Query.term_query(index.schema, "key", key))
    main, kept_keys, kept = _kept(shelf, passages)
    boundary = shelf.boundary if shelf is not None else 0
    dead = (shelf.dead if shelf is not None else frozenset[int]()) | {key for key in gone if key < boundary}
    grown = len(kept_keys) + count > TAIL_LIMIT or (main is not None and len(dead) > _DEAD_SHARE * len(main))
    # Where everything becomes a new main part, the fresh vectors go there batch by batch.
    graph = _new_main(old, dead, kept_keys, kept, embedder.dimension, threads) if grown else None
    tail_keys, tail = ([kept_keys], [kept]) if graph is None and len(kept_keys) else ([], [])
    key = shelf.next_key if shelf is not None else 0
    done = 0
    for batch in _batches(fresh, _BATCH):
        vectors = np.asarray(embedder.embed([entry.dense for entry, _ in batch], "passage"), np.float32)
        keys = np.arange(key, key + len(batch), dtype=np.int64)
        for number, (entry, scope) in zip(keys.tolist(), batch, strict=True):
            writer.add_document(_document(number, analyse(entry.lexical, entry.passage.language), scope))
            passages[number] = entry.passage
        key += len(batch)
        if graph is not None:
            graph.add(keys, vectors, threads=threads)
        else:
            tail_keys.append(keys)
            tail.append(vectors)
        done += len(batch)
        progress(done)
    writer.commit()
    writer.wait_merging_threads()
    all_keys = np.concatenate(tail_keys) if tail_keys else np.empty(0, np.int64)
    rows: Vector = np.concatenate(tail) if tail else np.empty((0, embedder.dimension), np.float32)
    rows = rows.astype(np.float16)
    if graph is not None:
        graph.save(str(target / "main.usearch"))
        write_passages(target / "main.jsonl", passages, passages)
        main, boundary, dead = graph, key, frozenset()
    elif old is not None and (old[0] / "main.usearch").exists():
        for name in ("main.usearch", "main.jsonl"):
            link(old[0] / name, target / name)
    else:
        write_passages(target / "main.jsonl", (), passages)
    in_tail = all_keys.tolist()
    np.save(target / "tail.npy", rows, allow_pickle=False)
    write_passages(target / "tail.jsonl", in_tail, passages)
    (target / "state.json").write_text(json.dumps({"next": key, "boundary": boundary, "dead": sorted(dead)}), encoding="utf-8")
    first = shelf.next_key if shelf is not None else 0
    articles, article_rows = _rows(shelf, passages, key, range(first, key))
    article_rows[gone] = -1
    return Written(
        main=main,
        tail_keys=all_keys,
        tail=rows.astype(np.float32),
        passages=passages,
        articles=articles,
        rows=article_rows,
        next_key=key,
        boundary=boundary,
        dead=dead,
    )


def _rows(
    old: Shelf | None, passages: Mapping[int, Passage], size: int, fresh: Iterable[int]
) -> tuple[dict[str, int], npt.NDArray[np.int32]]:
    """``Shelf.articles`` and ``Shelf.rows`` for keys below ``size``: the old ones and those of the fresh keys."""
    articles = dict(old.articles) if old is not None else {}
    rows = np.full(size, -1, np.int32)
    if old is not None:
        rows[: len(old.rows)] = old.rows
    for key in fresh:
        rows[key] = articles.setdefault(passages[key].article_id, len(articles))
    return articles, rows


def _kept(shelf: Shelf | None, passages: Mapping[int, Passage]) -> tuple[VectorIndex | None, npt.NDArray[np.int64], Vector]:
    """The main part, and what lives of the tail."""
    if shelf is None:
        return None, np.empty(0, np.int64), np.empty((0, 1), np.float32)
    alive = np.array([int(key) in passages for key in shelf.tail_keys], bool)
    return shelf.main, shelf.tail_keys[alive], shelf.tail[alive]


def _new_main(
    old: tuple[Path, Shelf] | None,
    dead: frozenset[int],
    tail_keys: npt.NDArray[np.int64],
    tail: Vector,
    dimension: int,
    threads: int,
) -> VectorIndex:
    """A graph of the living passages: a copy of the old one with the dead taken out, and the tail put in."""
    graph = VectorIndex(ndim=dimension, metric="cos", dtype="f16", expansion_search=_EXPANSION)
    if old is not None and old[1].main is not None:
        copied = VectorIndex.restore(str(old[0] / "main.usearch"), expansion_search=_EXPANSION)
        if copied is None:
            raise ValueError(f"{old[0]} has no readable vectors")
        graph = copied
        for key in sorted(dead):
            graph.remove(key)
    if len(tail_keys):
        graph.add(tail_keys, tail, threads=threads)
    return graph


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("key", stored=False, indexed=True, fast=True)
    for field in (*FIELDS, "scope"):
        builder.add_text_field(field, stored=False, tokenizer_name="terms", index_option="basic" if field == "scope" else "freq")
    return builder.build()


def _register(index: tantivy.Index) -> None:
    index.register_tokenizer("terms", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())


def _open_terms(folder: Path) -> tantivy.Index:
    index = tantivy.Index.open(str(folder / "terms"))
    _register(index)
    index.reload()
    return index


def _document(key: int, terms: Terms, scope: str) -> tantivy.Document:
    document = tantivy.Document()
    document.add_unsigned("key", key)
    document.add_text("scope", scope)
    for field in FIELDS:
        document.add_text(field, " ".join(getattr(terms, field)))
    return document


def _any_of(schema: tantivy.Schema, field: str, terms: Sequence[str]) -> tantivy.Query:
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, tantivy.Query.term_query(schema, field, term)) for term in terms])


def _batches(items: Iterable[tuple[Entry, str]], size: int) -> Iterator[list[tuple[Entry, str]]]:
    batch: list[tuple[Entry, str]] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
