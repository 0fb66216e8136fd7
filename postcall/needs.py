"""What the customer wanted, in order: intents of the live loop, of a classifier, or of the pack's rules. Pure but for the classifier."""

from __future__ import annotations

import re
from collections.abc import Sequence

from copilot.domain.artifacts import Turn
from copilot.domain.intents import UNKNOWN_INTENT
from copilot.domain.ports.knowledge import IntentClassifier
from postcall.packs import Packs
from postcall.turns import FoundIntent, Transcript, runs

CUSTOMER = ("customer", "mixed")
"""Channels on which the customer may be heard; on a mono recording both speakers are."""
_CONTEXT = 3
_LEAST_CHARACTERS = 4
_RULE_CONFIDENCE = 0.9
_MARKS = re.compile(r"[\W_]+")


def content_length(text: str) -> int:
    """Characters of ``text`` without white space and punctuation."""
    return len(_MARKS.sub("", text))


def find_intents(transcript: Transcript, packs: Packs, classifier: IntentClassifier | None) -> tuple[FoundIntent, ...]:
    """Intents per customer utterance in time order; an utterance may have several.

    What the live loop found stands. Every other customer utterance is asked of ``classifier`` (earlier utterances as context), or, without
    one, matched with the rules of the intents pack. A turn whose utterances say nothing alone is asked as a whole. Short texts (under
    four characters) are never asked.
    """
    live = {found.utterance_id for found in transcript.found}
    by_id = {turn.utterance_id: number for number, turn in enumerate(transcript.turns)}
    found = [item for item in transcript.found if item.utterance_id in by_id]
    gap = "" if transcript.language == "zh" else " "
    said: list[str] = []
    for run in runs([turn for turn in transcript.turns if content_length(turn.text) > 1]):
        if run[0].channel not in CUSTOMER:
            continue
        before = tuple(said[-_CONTEXT:])
        new: list[FoundIntent] = []
        for turn in run:
            if turn.utterance_id not in live:
                new += _understood(turn, turn.text, transcript.language, packs, classifier, said[-_CONTEXT:])
            said.append(turn.text)
        if not new and len(run) > 1 and not any(turn.utterance_id in live for turn in run):
            new = _understood(run[-1], gap.join(turn.text for turn in run), transcript.language, packs, classifier, before)
        found += new
    return tuple(sorted(found, key=lambda item: by_id[item.utterance_id]))


def _understood(
    turn: Turn, text: str, language: str, packs: Packs, classifier: IntentClassifier | None, context: Sequence[str]
) -> list[FoundIntent]:
    if content_length(text) < _LEAST_CHARACTERS:
        return []
    if classifier is not None:
        prediction = classifier.classify(text, language, context)
        if prediction.intent == UNKNOWN_INTENT:
            return []
        return [FoundIntent(utterance_id=turn.utterance_id, intent=prediction.intent, confidence=prediction.confidence)]
    return [
        FoundIntent(utterance_id=turn.utterance_id, intent=entry.intent, confidence=_RULE_CONFIDENCE)
        for entry in packs.intents
        if any(rule.search(text) for rule in entry.rules.get(language, ()))
    ]
