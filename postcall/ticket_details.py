"""What a ticket says beside its category: root cause, facts, and confidences that mean something. Pure.

The confidences are a softmax of the categories' scores, with one more alternative for "none of these"; temperature and the weight of that
alternative were fitted on the dev calls of tests/data/calls (18 of them: a first calibration, no more).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from copilot.domain.artifacts import TicketSlot
from copilot.domain.ids import UtteranceId
from postcall.needs import CUSTOMER
from postcall.packs import Cause
from postcall.turns import Transcript

TEMPERATURE = 0.2
NONE_SCORE = 0.2
_MOST_EVIDENCE = 3
_MOST_SLOTS = 12
_AGENT_WEIGHT = 0.5
"""What the agent says of the cause counts half: agents also speak of what might have been."""


def probabilities(scores: Mapping[str, float]) -> dict[str, float]:
    """Category → how likely it is the right one; what is missing to 1 is that none is."""
    if not scores:
        return {}
    top = max(*scores.values(), NONE_SCORE)
    weights = {name: math.exp((score - top) / TEMPERATURE) for name, score in scores.items()}
    total = sum(weights.values()) + math.exp((NONE_SCORE - top) / TEMPERATURE)
    return {name: weight / total for name, weight in weights.items()}


def cause_of(causes: Sequence[Cause], transcript: Transcript) -> tuple[str, tuple[UtteranceId, ...]]:
    """The root cause that most words speak for, the first of the file among equals; empty when none does."""
    best: tuple[float, str, tuple[UtteranceId, ...]] = (0.0, "", ())
    for cause in causes:
        weight, said = 0.0, []
        for turn in transcript.turns:
            if _says(cause.cues.get(transcript.language, ()), turn.text):
                weight += 1.0 if turn.channel in CUSTOMER else _AGENT_WEIGHT
                said.append(turn.utterance_id)
        if weight > best[0]:
            best = (weight, cause.cause_id, tuple(said[:_MOST_EVIDENCE]))
    return best[1], best[2]


def _says(cues: Sequence[re.Pattern[str]], text: str) -> bool:
    return any(cue.search(text) for cue in cues)


def slots_of(transcript: Transcript) -> tuple[TicketSlot, ...]:
    """The facts that the live loop filled in, in the order in which they were said."""
    return tuple(TicketSlot(name=slot.name, value=slot.value, utterance_id=slot.utterance_id) for slot in transcript.slots[:_MOST_SLOTS])
