"""Which checklist steps an utterance fulfils, by its wording or by its sound. Pure. Meaning comes later: ``Understanding.weighed``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from copilot.domain.artifacts import Turn
from copilot.domain.events import ChecklistTicked
from copilot.live import matching
from copilot.live.rule_language import Says
from copilot.live.rules import Checklist

SOUND_CONFIDENCE = 0.8
"""Of a step that was recognised by sound: other words may sound the same."""
_LITERAL = re.compile(r"[㐀-鿿]{3,}")


def ticks(checklist: Checklist, turns: Sequence[Turn], done: frozenset[str], language: str) -> list[ChecklistTicked]:
    """The steps of ``checklist`` that ``turns`` fulfil and that are not ``done``: each once, at the first turn that says it."""
    found = []
    for step in checklist.steps:
        if step.step_id in done:
            continue
        for turn in turns:
            how = _how(step.says, turn, language)
            if how is not None:
                found.append(
                    ChecklistTicked(
                        checklist_id=checklist.checklist_id,
                        step_id=step.step_id,
                        utterance_id=turn.utterance_id,
                        how=how,
                        confidence=1.0 if how == "wording" else SOUND_CONFIDENCE,
                    )
                )
                break
    return found


def _how(says: Says, turn: Turn, language: str) -> Literal["wording", "sound"] | None:
    if says.channel not in ("any", turn.channel):
        return None
    if matching.said(replace(says, sounds=(), like={}), turn.text, language, {}) is not None:
        return "wording"
    # Patterns that are plain words of three characters or more are long enough to be told by their sound.
    literal = tuple(pattern.pattern for pattern in says.patterns.get(language, ()) if _LITERAL.fullmatch(pattern.pattern))
    sounds = (*says.sounds, *literal) if language == "zh" else ()
    heard = Says(channel=says.channel, sounds=sounds, unless=says.unless, negation=says.negation)
    return "sound" if sounds and matching.said(heard, turn.text, language, {}) is not None else None
