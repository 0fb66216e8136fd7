"""Which rules a sentence breaks and which checklist steps it fulfils. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from copilot.domain.artifacts import Turn
from copilot.domain.events import ChecklistTicked, ComplianceAlerted
from copilot.live.rules import Checklist, ComplianceRule

_SPACE = re.compile(r"\s+")


def spoken_form(text: str, language: str) -> str:
    """The text as the patterns see it: in Chinese without white space and punctuation, in English with single spaces."""
    if language == "zh":
        return re.sub(r"[\s，。！？、；：,.!?;:“”\"'…]+", "", text)
    return _SPACE.sub(" ", text).strip()


def _first_match(patterns: Iterable[re.Pattern[str]], text: str) -> str | None:
    for pattern in patterns:
        if found := pattern.search(text):
            return found.group(0)
    return None


def _said(patterns: Sequence[re.Pattern[str]], turn: Turn, language: str) -> str | None:
    return _first_match(patterns, turn.text) or _first_match(patterns, spoken_form(turn.text, language))


def alerts(rules: Sequence[ComplianceRule], turn: Turn, language: str) -> list[ComplianceAlerted]:
    """An alert for every live rule the turn breaks, in rule order. ``must_say`` is left to after-call work."""
    found = []
    for rule in rules:
        if rule.kind == "must_say" or rule.channel not in ("any", turn.channel):
            continue
        quote = _said(rule.patterns.get(language, ()), turn, language)
        if quote is not None:
            found.append(
                ComplianceAlerted(
                    rule_id=rule.rule_id,
                    kind=rule.kind,
                    severity=rule.severity,
                    channel=turn.channel,
                    utterance_id=turn.utterance_id,
                    quote=quote,
                )
            )
    return found


def ticks(checklist: Checklist, turns: Sequence[Turn], done: frozenset[str], language: str) -> list[ChecklistTicked]:
    """The steps of ``checklist`` that ``turns`` fulfil and that are not ``done``: each once, at the first turn that says it."""
    found = []
    for step in checklist.steps:
        if step.step_id in done:
            continue
        for turn in turns:
            if step.channel in ("any", turn.channel) and _said(step.patterns.get(language, ()), turn, language) is not None:
                found.append(ChecklistTicked(checklist_id=checklist.checklist_id, step_id=step.step_id, utterance_id=turn.utterance_id))
                break
    return found
