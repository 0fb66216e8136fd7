"""A second opinion on the first hits, from a cross-encoder behind HTTP. Optional: without it, or without its answer, the order stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

import httpx
import structlog

log = structlog.get_logger(__name__)

_PAUSE_S = 30.0
"""After a failure it is not asked for so long: a search must not wait for a server that is away, query after query."""


class Reranker(Protocol):
    """Thread-safe."""

    def scores(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """How well each text answers, greater is better; None if it cannot say now. Never raises."""
        ...


class HttpReranker:
    """The ``/v1/rerank`` form that vLLM, Jina, Cohere and Infinity speak: query and documents in, index and relevance_score out.

    ``url`` is the whole address. What callers said is sent there: it must be a server of the bank.
    """

    def __init__(self, url: str, model: str, *, api_key: str = "", timeout_s: float = 0.5) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(headers=headers, timeout=timeout_s)
        self._url = url
        self._model = model
        self._lock = threading.Lock()
        self._quiet_until = 0.0

    def scores(self, query: str, texts: Sequence[str]) -> list[float] | None:
        with self._lock:
            if time.monotonic() < self._quiet_until:
                return None
        try:
            body = {"model": self._model, "query": query, "documents": list(texts), "top_n": len(texts)}
            answer = self._client.post(self._url, json=body)
            answer.raise_for_status()
            found = {int(row["index"]): float(row["relevance_score"]) for row in answer.json()["results"]}
            return [found[number] for number in range(len(texts))]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("rerank_failed", error=type(error).__name__)
            with self._lock:
                self._quiet_until = time.monotonic() + _PAUSE_S
            return None
