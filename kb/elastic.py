"""The Elasticsearch engine: BM25 over terms that we segment, and ``dense_vector`` kNN. Fusion stays ours, so no licensed feature is used.

One index per build behind an alias. Refreshing is ours too: a change becomes visible when it is complete. A document of kind ``meta`` in
the index holds what the index was built with and the content hash of every article, and, while an edit is being written, which articles it
touches: what a killed process left half done is done again.

Several nodes share an index, so none owns it: who writes takes a lease on it (``kb.elastic_lease``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote, urlsplit

from elasticsearch import ConflictError, Elasticsearch, NotFoundError
from elasticsearch.helpers import bulk

from copilot.domain.errors import ConfigError, Conflict, EngineError
from copilot.domain.knowledge import EVERYTHING, Article, Passage, Scope
from copilot.domain.ports.knowledge import Embedder
from kb.analysis import ANALYSIS_VERSION, Terms, analyse
from kb.chunking import CHUNKING_VERSION, entries
from kb.digests import Digests, article_key, stale_reason
from kb.elastic_lease import Lease, elastic_errors, elastic_reason
from kb.engine import Candidates, IndexState, Progress, SyncReport, Vector
from kb.scopes import scope_words, wanted_words

_FIELDS = ("words", "bigrams", "pinyin")
_META_ID = "meta"
_STATE_FIELDS = [
    "state.format",
    "state.embedder",
    "state.dimension",
    "state.analysis",
    "state.chunking",
    "state.watermark",
    "state.passages",
]
_EMBED_BATCH = 64
_TIMEOUT_S = 30.0
_FORMAT = 2


class ElasticEngine:
    """An index on an Elasticsearch cluster. ``alias`` names it; the client's pool makes it thread-safe.

    Raises EngineError (retryable) whenever the cluster cannot be reached or refuses.
    """

    def __init__(self, url: str, alias: str, embedder: Embedder, *, basic_auth: tuple[str, str] | None = None) -> None:
        self._alias = alias
        self._embedder = embedder
        self._client = Elasticsearch(url, basic_auth=basic_auth, request_timeout=_TIMEOUT_S, retry_on_timeout=False, max_retries=1)
        self._lease = Lease(self._client, f"{alias}-lease")
        self._digests = Digests()

    def own(self) -> None:
        """Nothing to do: nodes share the index and take turns."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        with elastic_errors():
            self._lease.take()
        try:
            yield
        finally:
            with elastic_errors():
                self._lease.give_back()

    def state(self) -> IndexState:
        with elastic_errors():
            meta = self._meta()
        if meta is None:
            return IndexState(watermark=0, articles=0, passages=0, embedder=self._embedder.identity, stale="the index is empty")
        state = meta["state"]
        return IndexState(
            watermark=int(state["watermark"]),
            articles=len(state["articles"]),
            passages=int(state["passages"]),
            embedder=str(state["embedder"]),
            stale=self._stale(state),
        )

    def contents(self) -> Mapping[str, str]:
        with elastic_errors():
            meta = self._meta()
        return {} if meta is None else dict(_settled(meta["state"]))

    def sync(self, articles: Sequence[Article], watermark: int, progress: Progress | None = None, *, rebuild: bool = False) -> SyncReport:
        with self.writing(), elastic_errors():
            return self._sync(articles, watermark, progress, rebuild)

    def candidates(self, language: str, terms: Terms, vector: Vector, limit: int, scope: Scope = EVERYTHING) -> Candidates:
        searches: list[dict[str, Any]] = [{"query": {"term": {"kind": "meta"}}, "size": 1, "_source": _STATE_FIELDS}]
        wanted = [{"term": {"language": language}}, *({"terms": {"scope": group}} for group in wanted_words(scope))]
        nearest = {"field": "vector", "query_vector": vector.tolist(), "k": limit, "num_candidates": max(2 * limit, 200), "filter": wanted}
        searches.append({"knn": nearest, "size": limit, "_source": ["passage"]})
        asked = [field for field in _FIELDS if getattr(terms, field)]
        for field in asked:
            text = " ".join(dict.fromkeys(getattr(terms, field)))
            query = {"bool": {"must": [{"match": {field: {"query": text}}}], "filter": wanted}}
            searches.append({"query": query, "size": limit, "_source": ["passage"]})
        body = [line for search in searches for line in ({}, search)]
        with elastic_errors():
            try:
                answers = self._client.msearch(index=self._alias, searches=body)["responses"]
            except NotFoundError:
                return Candidates(scores={}, passages={})
            if answers[0].get("status") == 404:
                return Candidates(scores={}, passages={})
            meta = answers[0]["hits"]["hits"] if "hits" in answers[0] else []
            # Before the searches' own errors: with another model's vectors they fail, and this says why.
            stale = self._stale(meta[0]["_source"]["state"]) if meta else ""
            if stale:
                raise EngineError(
                    f"The index must be built again ({stale}); that is done when the server starts, or by any pangting kb command."
                )
            for answer in answers:
                if "error" in answer:
                    raise EngineError(f"Elasticsearch refused a search ({elastic_reason(answer['error'])}).", retryable=True)
        if not meta:
            return Candidates(scores={}, passages={})
        scores: dict[str, dict[str, float]] = {name: {} for name in ("dense", *_FIELDS)}
        passages: dict[str, Passage] = {}
        for name, answer in zip(("dense", *asked), answers[1:], strict=True):
            hits = answer["hits"]["hits"]
            # The score of cosine kNN is (1 + cosine) / 2.
            scores[name] = {hit["_id"]: 2 * float(hit["_score"]) - 1 if name == "dense" else float(hit["_score"]) for hit in hits}
            passages |= {hit["_id"]: Passage(**hit["_source"]["passage"]) for hit in hits}
        return Candidates(scores=scores, passages=passages)

    def drop(self) -> None:
        """Deletes everything this engine keeps on the cluster."""
        with elastic_errors():
            for index in self._indices():
                self._client.indices.delete(index=index)
            self._lease.drop()

    def close(self) -> None:
        self._client.close()

    def _sync(self, articles: Sequence[Article], watermark: int, progress: Progress | None, rebuild: bool) -> SyncReport:
        meta = self._meta()
        why = "asked for" if rebuild else ("" if meta is None else self._stale(meta["state"]))
        known: Mapping[str, str] = {} if meta is None or why else _settled(meta["state"])
        digests = self._digests.of(articles)
        changed = [article for article in articles if known.get(article_key(article)) != digests[article_key(article)]]
        left = {} if meta is None or why else meta["state"].get("pending", ())
        gone = sorted(({*known} | {*left}) - {*digests})
        unchanged = len(digests) - len(changed)
        if meta is not None and not why and not changed and not gone and int(meta["state"]["watermark"]) == watermark:
            return SyncReport(unchanged=unchanged, passages=int(meta["state"]["passages"]))
        fresh = meta is None or bool(why)
        index = self._create() if fresh else str(meta["index"]) if meta else ""
        state = {
            "format": _FORMAT,
            "embedder": self._embedder.identity,
            "dimension": self._embedder.dimension,
            "analysis": ANALYSIS_VERSION,
            "chunking": CHUNKING_VERSION,
            "watermark": watermark,
        }
        if meta is not None and not fresh:
            touched = [*map(article_key, changed), *gone]
            self._put_meta(index, {**meta["state"], "pending": touched}, meta)
            # First make visible what an interrupted run may have left, so that it is found and removed.
            self._client.indices.refresh(index=index)
            for batch in _batches(touched, 500):
                self._client.delete_by_query(index=index, query={"terms": {"article": batch}}, conflicts="proceed")
        written, _ = bulk(self._client, self._documents(index, changed, progress), chunk_size=200, refresh=False)
        self._client.indices.refresh(index=index)
        passages = int(self._client.count(index=index, query={"term": {"kind": "passage"}})["count"])
        self._lease.keep()
        self._put_meta(index, {**state, "passages": passages, "articles": digests, "pending": []}, None)
        if fresh:
            self._point_at(index)
        return SyncReport(added=len(changed), removed=len(gone), unchanged=unchanged, rebuilt=why, passages=passages, written=int(written))

    def _put_meta(self, index: str, state: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
        """``before``: what it must still be. Raises Conflict if it is not."""
        expected = {} if before is None else {"if_seq_no": before["seq_no"], "if_primary_term": before["primary_term"]}
        try:
            self._client.index(index=index, id=_META_ID, document={"kind": "meta", "state": state}, refresh=True, **expected)
        except ConflictError as error:
            raise Conflict(f"Another process wrote the index {self._alias} meanwhile; run it again.") from error

    def _documents(self, index: str, articles: Sequence[Article], progress: Progress | None) -> Iterator[dict[str, Any]]:
        found = [entry for article in articles for entry in entries(article)]
        scopes = {article.article_id: scope_words(article) for article in articles}
        for at in range(0, len(found), _EMBED_BATCH):
            part = found[at : at + _EMBED_BATCH]
            vectors = self._embedder.embed([entry.dense for entry in part], "passage")
            for entry, vector in zip(part, vectors, strict=True):
                terms = analyse(entry.lexical, entry.passage.language)
                source: dict[str, Any] = {field: " ".join(getattr(terms, field)) for field in _FIELDS}
                source |= {
                    "kind": "passage",
                    "language": entry.passage.language,
                    "article": f"{entry.passage.article_id}:{entry.passage.language}",
                    "scope": scopes[entry.passage.article_id],
                    "passage": asdict(entry.passage),
                    "vector": vector.tolist(),
                }
                yield {"_op_type": "index", "_index": index, "_id": entry.passage.passage_id, "_source": source}
            self._lease.keep()
            if progress is not None:
                progress(min(at + _EMBED_BATCH, len(found)), len(found))

    def _meta(self) -> dict[str, Any] | None:
        """The index in use and its meta document, or None if there is none."""
        try:
            found = self._client.get(index=self._alias, id=_META_ID)
        except NotFoundError:
            return None
        return {
            "index": found["_index"],
            "state": found["_source"]["state"],
            "seq_no": found["_seq_no"],
            "primary_term": found["_primary_term"],
        }

    def _create(self) -> str:
        numbers = [int(name.rsplit("-", 1)[1]) for name in self._indices()]
        index = f"{self._alias}-{max(numbers, default=0) + 1:06d}"
        terms = {"type": "text", "analyzer": "whitespace", "index_options": "freqs"}
        vector = {"type": "dense_vector", "dims": self._embedder.dimension, "index": True, "similarity": "cosine"}
        properties: dict[str, Any] = {
            "kind": {"type": "keyword"},
            "language": {"type": "keyword"},
            "article": {"type": "keyword"},
            "scope": {"type": "keyword"},
            "passage": {"type": "object", "enabled": False},
            "state": {"type": "object", "enabled": False},
            "vector": vector,
        } | dict.fromkeys(_FIELDS, terms)
        self._client.indices.create(
            index=index, mappings={"dynamic": False, "properties": properties}, settings={"number_of_shards": 1, "refresh_interval": "-1"}
        )
        return index

    def _point_at(self, index: str) -> None:
        others = [name for name in self._indices() if name != index]
        remove = [{"remove": {"index": name, "alias": self._alias}} for name in others if name in self._aliased()]
        self._client.indices.update_aliases(actions=[*remove, {"add": {"index": index, "alias": self._alias}}])
        for name in others:
            self._client.indices.delete(index=name)

    def _aliased(self) -> set[str]:
        try:
            return set(self._client.indices.get_alias(name=self._alias))
        except NotFoundError:
            return set()

    def _indices(self) -> list[str]:
        """Our indexes, in use or left behind by an interrupted build. Never another organisation's whose name begins like ours."""
        names = self._client.indices.get(index=f"{self._alias}-*", ignore_unavailable=True, allow_no_indices=True)
        return sorted(name for name in names if name.removeprefix(f"{self._alias}-").isdigit())

    def _stale(self, state: Mapping[str, Any]) -> str:
        return stale_reason(state, _FORMAT, self._embedder)


def open_elastic_engine(url: str, org_id: str, embedder: Embedder) -> ElasticEngine:
    """The engine of one organisation: ``elasticsearch://[user:password@]host:port/index``, ``elasticsearch+https://…`` for TLS.

    Raises ConfigError if the address cannot be used.
    """
    parts = urlsplit(url)
    scheme = {"elasticsearch": "http", "elasticsearch+https": "https"}.get(parts.scheme)
    try:
        port = parts.port or 9200
    except ValueError:
        port = 0
    if scheme is None or not parts.hostname or not port:
        raise ConfigError("kb.url must be elasticsearch://host:port/index, or elasticsearch+https:// for TLS.")
    name = f"{parts.path.strip('/') or 'pangting'}-{org_id}".lower()
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return ElasticEngine(f"{scheme}://{host}:{port}", name, embedder, basic_auth=auth)


def _settled(state: Mapping[str, Any]) -> Mapping[str, str]:
    """The articles that are in the index whole: without those that an interrupted edit touched."""
    pending = set(state.get("pending", ()))
    return {key: digest for key, digest in state["articles"].items() if key not in pending}


def _batches(items: Sequence[str], size: int) -> Iterator[list[str]]:
    for at in range(0, len(items), size):
        yield list(items[at : at + size])
