"""A summary written by a model, let through only if every statement cites the call and every number is there. Pure but for the model."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from copilot.domain.artifacts import Statement, Summary
from copilot.domain.errors import EngineError
from copilot.domain.ids import UtteranceId
from copilot.domain.ports.llm import TextModel
from copilot.llm.grounding import unsupported_numbers
from postcall.turns import Transcript

_log = logging.getLogger(__name__)
_PARTS = ("problems", "actions", "commitments", "follow_ups")
_STATEMENTS: dict[str, Any] = {
    "type": "array",
    "maxItems": 8,
    "items": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 300},
            "utterance_ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 12},
        },
        "required": ["text", "utterance_ids"],
        "additionalProperties": False,
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"overall": {"type": "string", "minLength": 1, "maxLength": 600}, **dict.fromkeys(_PARTS, _STATEMENTS)},
    "required": ["overall", *_PARTS],
    "additionalProperties": False,
}
"""What the model must answer with."""


def generate(transcript: Transcript, extracted: Summary, model: TextModel) -> Summary:
    """The model's summary, or ``extracted`` with the model's name in it when the model failed or its text was refused."""
    lines = [{"id": turn.utterance_id, "speaker": turn.channel, "text": turn.text} for turn in transcript.turns]
    try:
        answer = model.complete_json("summary", {"language": transcript.language, "lines": lines}, SCHEMA)
        return _checked(transcript, answer, model.model_id)
    except EngineError as error:
        _log.warning("the generated summary was not used: %s", error)
        return replace(extracted, model=model.model_id)


def _checked(transcript: Transcript, answer: dict[str, Any], model_id: str) -> Summary:
    texts = {turn.utterance_id: turn.text for turn in transcript.turns}
    parts: dict[str, tuple[Statement, ...]] = {}
    for part in _PARTS:
        statements = []
        for raw in answer[part]:
            names = tuple(UtteranceId(name) for name in raw["utterance_ids"])
            unknown = [name for name in names if name not in texts]
            if unknown:
                raise EngineError("The model's summary cites utterances that are not in the call; the extractive summary is used.")
            if unsupported_numbers(raw["text"], [texts[name] for name in names]):
                raise EngineError("The model's summary has a number that its utterances do not say; the extractive summary is used.")
            statements.append(Statement(text=raw["text"], utterance_ids=names))
        parts[part] = tuple(statements)
    cited = [texts[name] for statements in parts.values() for statement in statements for name in statement.utterance_ids]
    if unsupported_numbers(answer["overall"], cited):
        raise EngineError(
            "The overall text of the model's summary has a number that nothing it cites says; the extractive summary is used."
        )
    return Summary(language=transcript.language, overall=answer["overall"], method="llm", model=model_id, **parts)
