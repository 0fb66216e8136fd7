"""When an index still holds an article as it is, and when it must be built anew. Shared by the engines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from copilot.domain.knowledge import Article
from copilot.domain.ports.knowledge import Embedder
from kb.analysis import ANALYSIS_VERSION
from kb.chunking import CHUNKING_VERSION


def article_key(article: Article) -> str:
    """Names an article in one language."""
    return f"{article.article_id}:{article.language}"


def content_hash(article: Article) -> str:
    """Changes with anything in the article."""
    return hashlib.sha256(json.dumps(asdict(article), sort_keys=True, default=str, ensure_ascii=False).encode()).hexdigest()[:32]


class Digests:
    """Content hashes of articles, reckoned once for as long as the same object is given. Not thread-safe."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Article, str]] = {}

    def of(self, articles: Sequence[Article]) -> dict[str, str]:
        """Article key → its hash, of these articles; others are forgotten."""
        known: dict[str, tuple[Article, str]] = {}
        for article in articles:
            key = article_key(article)
            held = self._known.get(key)
            known[key] = held if held is not None and held[0] is article else (article, content_hash(article))
        self._known = known
        return {key: digest for key, (_, digest) in known.items()}


def stale_reason(meta: Mapping[str, Any], layout: int, embedder: Embedder) -> str:
    """Why an index with this ``meta`` must be built anew before it is searched; empty if it need not."""
    if meta.get("format") != layout:
        return "its format is another one"
    if meta.get("embedder") != embedder.identity or meta.get("dimension") != embedder.dimension:
        return "it was built with another embedding model"
    if meta.get("analysis") != ANALYSIS_VERSION or meta.get("chunking") != CHUNKING_VERSION:
        return "it was built with another text analysis"
    return ""
