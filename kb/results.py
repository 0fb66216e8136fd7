"""Results as JSON: what ``pangting kb search`` and ``pangting kb reindex`` print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from copilot.domain.knowledge import Hit
from kb.engine import SyncReport


def hits_json(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """One object per hit, best first (docs/reference/schemas/kb-search.json)."""
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


def sync_json(report: SyncReport) -> dict[str, Any]:
    """What was written, a part of ``pangting kb reindex --json`` (docs/reference/schemas/kb-reindex.json)."""
    return {
        "added": report.added,
        "removed": report.removed,
        "unchanged": report.unchanged,
        "passages": report.passages,
        "written": report.written,
        "rebuilt": report.rebuilt,
    }
