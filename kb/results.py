"""Search results as JSON, the form of ``pangting kb search --json`` and its schema in docs/reference/schemas/kb-search.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from copilot.domain.knowledge import Hit


def hits_json(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """One object per hit, best first."""
    return [
        {
            "article_id": hit.article.article_id,
            "version": hit.article.version,
            "language": hit.article.language,
            "title": hit.article.title,
            "answer": hit.article.answer,
            "section": hit.passage.section,
            "passage": hit.passage.text,
            "passage_kind": hit.passage.kind,
            "start": hit.passage.start,
            "end": hit.passage.end,
            "score": hit.score,
            "confidence": hit.confidence,
            "fits": hit.fits,
            "scores": dict(hit.scores),
        }
        for hit in hits
    ]
