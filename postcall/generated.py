"""A summary written by a model, let through only if every statement cites the call, says its numbers, and does not turn an act around.

A call that is too long for one question is asked in sections (map); their statements are then weighed together (reduce). The model chooses
among checked statements and writes the overall text; it never writes a statement from another statement. Pure but for the model.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from copilot.domain.artifacts import Statement, Summary, Turn
from copilot.domain.errors import EngineError
from copilot.domain.ids import UtteranceId
from copilot.domain.ports.llm import TextModel
from copilot.llm.attribution import support
from copilot.llm.grounding import unsupported_numbers
from copilot.llm.guard import FORBIDDEN
from postcall.polarity import due, polarity
from postcall.turns import Transcript

_log = logging.getLogger(__name__)
_LEAST_SUPPORT = 0.25
"""Share of a statement's words that its utterances must say: a summary is put in other words, an invention in altogether others."""
_PARTS = ("problems", "actions", "commitments", "follow_ups")
_MOST = 8
MOST_CHARACTERS = 8000
"""Of the transcript in one question: some 6,000 tokens of Mandarin, which every model in use takes with room for its answer."""
_OVERLAP_TURNS = 2
"""A section begins with the last turns of the one before it, so that an answer keeps its question."""
_STATEMENTS: dict[str, Any] = {
    "type": "array",
    "maxItems": _MOST,
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
_OVERALL: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 600}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"overall": _OVERALL, **dict.fromkeys(_PARTS, _STATEMENTS)},
    "required": ["overall", *_PARTS],
    "additionalProperties": False,
}
"""What the model must answer with."""
MERGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"overall": _OVERALL, "keep": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 4 * _MOST}},
    "required": ["overall", "keep"],
    "additionalProperties": False,
}
"""What it must answer with when sections are brought together."""
_Parts = Mapping[str, tuple[Statement, ...]]


def generate(transcript: Transcript, extracted: Summary, model: TextModel) -> Summary:
    """The model's summary, or ``extracted`` with the model's name in it when the model failed or its text was refused."""
    try:
        sections = _sections(transcript.turns)
        parts = [_section(transcript.language, turns, model) for turns in sections]
        if len(parts) == 1:
            overall, found = parts[0]
        else:
            overall, found = _merged(transcript.language, [statements for _, statements in parts], model)
        return Summary(language=transcript.language, overall=overall, method="llm", model=model.model_id, **found)
    except EngineError as error:
        _log.warning("the generated summary was not used: %s", error)
        return replace(extracted, model=model.model_id)


def _sections(turns: Sequence[Turn]) -> list[Sequence[Turn]]:
    """The call in pieces of at most ``MOST_CHARACTERS``, cut between turns."""
    sections: list[list[Turn]] = [[]]
    size = 0
    for turn in turns:
        if sections[-1] and size + len(turn.text) > MOST_CHARACTERS:
            sections.append(sections[-1][-_OVERLAP_TURNS:])
            size = sum(len(kept.text) for kept in sections[-1])
        sections[-1].append(turn)
        size += len(turn.text)
    return list(sections)


def _section(language: str, turns: Sequence[Turn], model: TextModel) -> tuple[str, _Parts]:
    """Overall text and statements of some turns, checked. Raises EngineError."""
    lines = [{"id": turn.utterance_id, "speaker": turn.channel, "text": turn.text} for turn in turns]
    answer: dict[str, Any] = dict(model.complete_json("summary", {"language": language, "lines": lines}, SCHEMA))
    said = {turn.utterance_id: turn for turn in turns}
    parts = {part: tuple(_checked(raw, part, said, language) for raw in answer[part]) for part in _PARTS}
    cited = [said[name].text for statements in parts.values() for statement in statements for name in statement.utterance_ids]
    _check_overall(answer["overall"], cited)
    return str(answer["overall"]), parts


def _checked(raw: dict[str, Any], part: str, said: Mapping[UtteranceId, Turn], language: str) -> Statement:
    names = tuple(UtteranceId(name) for name in raw["utterance_ids"])
    text = str(raw["text"])
    if any(name not in said for name in names):
        raise EngineError("The model's summary cites utterances that are not in the call; the extractive summary is used.")
    sources = [said[name].text for name in names]
    if support(text, sources) < _LEAST_SUPPORT or any(found.search(text) for found in FORBIDDEN):
        raise EngineError("The model's summary says what its utterances do not say; the extractive summary is used.")
    if unsupported_numbers(text, sources):
        raise EngineError("The model's summary has a number that its utterances do not say; the extractive summary is used.")
    told = polarity(text, language)
    heard = {polarity(source, language) for source in sources} - {""}
    if told and heard and told not in heard:
        raise EngineError("The model's summary tells an act as done that its utterances tell as not done, or the reverse.")
    statement = Statement(text=text, utterance_ids=names, polarity=told if part == "actions" else "")
    if part not in ("commitments", "follow_ups"):
        return statement
    theirs = all(said[name].channel == "customer" for name in names)
    return replace(statement, owner="customer" if theirs else "bank", due=due(text, language))


def _check_overall(text: str, sources: Sequence[str]) -> None:
    if any(found.search(text) for found in FORBIDDEN):
        raise EngineError("The overall text of the model's summary has a forbidden wording; the extractive summary is used.")
    if unsupported_numbers(text, sources):
        raise EngineError(
            "The overall text of the model's summary has a number that nothing it cites says; the extractive summary is used."
        )


def _merged(language: str, parts: Sequence[_Parts], model: TextModel) -> tuple[str, _Parts]:
    """One summary of several sections. Raises EngineError."""
    every: dict[str, tuple[str, Statement]] = {}
    for section in parts:
        for part in _PARTS:
            for statement in section[part]:
                # An overlap is read twice.
                if all(statement.text != known.text for _, known in every.values()):
                    every[f"s{len(every) + 1}"] = (part, statement)
    statements = [{"id": name, "part": part, "text": statement.text} for name, (part, statement) in every.items()]
    answer: dict[str, Any] = dict(model.complete_json("summary_merge", {"language": language, "statements": statements}, MERGE_SCHEMA))
    chosen = {str(name) for name in answer["keep"]}
    keep = [name for name in every if name in chosen]
    if chosen - every.keys():
        raise EngineError("The model kept statements that are not there; the extractive summary is used.")
    found = {part: tuple(every[name][1] for name in keep if every[name][0] == part)[:_MOST] for part in _PARTS}
    _check_overall(str(answer["overall"]), [statement.text for kept in found.values() for statement in kept])
    return str(answer["overall"]), found
