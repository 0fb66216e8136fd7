"""The JSON Schema of what the web app reads, from the domain types: ``python web/scripts/gen_schema.py > web/src/gen/schema.json``.

Schemas are in serialisation mode and every field is required: the server always writes defaults out.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from copilot.domain.article_checks import Finding
from copilot.domain.article_life import ArticlePage, ArticleVersion
from copilot.domain.artifacts import Artifact, QaScorecard, Summary, TicketClassification
from copilot.domain.calls import Call
from copilot.domain.events import EventEnvelope
from copilot.domain.graph import Entity, Fact, Guidance
from copilot.domain.knowledge import Article, Hit
from copilot.domain.knowledge_use import GapReport, UseReport
from copilot.domain.text_diff import FieldDiff
from copilot.domain.transcript import TranscriptPartial

FEED_TYPES: tuple[type, ...] = (
    EventEnvelope,
    Call,
    TranscriptPartial,
    Artifact,
    Summary,
    TicketClassification,
    QaScorecard,
    Hit,
    Article,
    ArticleVersion,
    ArticlePage,
    Finding,
    FieldDiff,
    UseReport,
    GapReport,
    Entity,
    Fact,
    Guidance,
)


class _WireSchema(GenerateJsonSchema):
    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: ARG002
        return True

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def build_schema() -> dict[str, Any]:
    """One JSON Schema document whose ``$defs`` name every type in ``FEED_TYPES`` and all they rest on."""
    adapters = [(cls.__name__, "serialization", TypeAdapter(cls)) for cls in FEED_TYPES]
    _, schema = TypeAdapter.json_schemas(adapters, title="PangtingFeed", schema_generator=_WireSchema)  # type: ignore[arg-type]
    _drop_defaults(schema)
    return schema


def _drop_defaults(node: Any) -> None:
    """Defaults say nothing to a reader of the wire, and a ``default`` beside ``$ref`` makes noise in the generated types."""
    if isinstance(node, dict):
        if "type" in node or "$ref" in node or "anyOf" in node or "const" in node or "enum" in node:
            node.pop("default", None)
        for child in node.values():
            _drop_defaults(child)
    elif isinstance(node, list):
        for child in node:
            _drop_defaults(child)


if __name__ == "__main__":
    json.dump(build_schema(), sys.stdout, ensure_ascii=False, indent=2, sort_keys=True)
    sys.stdout.write("\n")
