"""Judges the intent classifier on labelled dialogues. Does no I/O.

A file is JSONL, a line per turn: ``{"dialogue", "channel", "language", "text", "asr_text", "intent"}`` as in tests/data/turns; the agent's
lines are passed over. Intent ``out_of_scope`` is the classifier's ``unknown``. Intervals: 95%, bootstrap over whole dialogues.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from copilot.domain.errors import InvalidInput
from copilot.domain.intents import UNKNOWN_INTENT
from copilot.domain.ports.knowledge import IntentClassifier
from kb.intent_training import macro_f1
from kb.measures import area

CONTEXT = 3
"""Earlier utterances of the customer that are given, as in a live call."""
_OUTSIDE = "out_of_scope"
_DRAWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledTurn:
    """A customer's turn with its intent (``unknown``: none)."""

    dialogue: str
    language: str
    text: str
    noisy: str
    intent: str


def parse_turns(lines: Iterable[str], split: str = "") -> list[LabelledTurn]:
    """Lines of a file; of ``split`` only if it is given. Raises InvalidInput with the line's number."""
    turns = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            if row.get("channel", "customer") != "customer" or (split and row.get("split") != split):
                continue
            intent = str(row["intent"])
            turns.append(
                LabelledTurn(
                    dialogue=str(row["dialogue"]),
                    language=str(row["language"]),
                    text=str(row["text"]),
                    noisy=str(row.get("asr_text") or ""),
                    intent=UNKNOWN_INTENT if intent == _OUTSIDE else intent,
                )
            )
        except (ValueError, KeyError, AttributeError) as error:
            raise InvalidInput(f"Line {number} is no labelled turn ({type(error).__name__}): dialogue, language, text, intent.") from None
    return turns


def judge(
    classifier: IntentClassifier, turns: Sequence[LabelledTurn], progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Figures of the written and, where there are any, of the misheard texts, with every turn that was taken for another."""
    if not turns:
        raise InvalidInput("There is no labelled customer turn in the file.")
    texts: dict[str, list[str]] = {"text": [turn.text for turn in turns]}
    if all(turn.noisy for turn in turns):
        texts["asr_text"] = [turn.noisy for turn in turns]
    result: dict[str, Any] = {"turns": len(turns)}
    done = 0
    for name, said in texts.items():
        before: dict[str, list[str]] = {}
        found = []
        for turn, text in zip(turns, said, strict=True):
            earlier = before.setdefault(turn.dialogue, [])
            found.append(classifier.classify(text, turn.language, earlier[-CONTEXT:]))
            earlier.append(text)
            done += 1
            if progress is not None:
                progress(done, len(turns) * len(texts))
        outside = [
            prediction.confidence if prediction.outside == 0 and prediction.intent == UNKNOWN_INTENT else prediction.outside
            for prediction in found
        ]
        result[name] = _figures(turns, [prediction.intent for prediction in found], outside)
        result[name]["wrong"] = [
            [text, turn.intent, prediction.intent]
            for turn, text, prediction in zip(turns, said, found, strict=True)
            if turn.intent != prediction.intent
        ]
    return result


def _figures(turns: Sequence[LabelledTurn], found: Sequence[str], outside: Sequence[float]) -> dict[str, Any]:
    names = sorted({turn.intent for turn in turns} | set(found))
    number = {name: at for at, name in enumerate(names)}
    gold = np.array([number[turn.intent] for turn in turns])
    taken = np.array([number[name] for name in found])
    dialogues = list(dict.fromkeys(turn.dialogue for turn in turns))
    members = [np.flatnonzero([turn.dialogue == dialogue for turn in turns]) for dialogue in dialogues]
    draw = np.random.default_rng(1)
    samples = [np.concatenate([members[at] for at in draw.integers(0, len(members), len(members))]) for _ in range(_DRAWS)]
    scores = np.array(outside)
    is_outside = np.array([turn.intent == UNKNOWN_INTENT for turn in turns])

    def auc(rows: Any) -> float:
        positive, negative = scores[rows][is_outside[rows]], scores[rows][~is_outside[rows]]
        return area(positive.tolist(), negative.tolist()) if len(positive) and len(negative) else float("nan")

    everything = np.arange(len(turns))
    return {
        "macro_f1": _rate(macro_f1(gold, taken), [macro_f1(gold[rows], taken[rows]) for rows in samples]),
        "out_of_scope_auc": _rate(auc(everything), [auc(rows) for rows in samples]),
        "accuracy": _rate(float((gold == taken).mean()), [float((gold == taken)[rows].mean()) for rows in samples]),
    }


def _rate(value: float, drawn: Sequence[float]) -> list[float]:
    kept = [one for one in drawn if not math.isnan(one)]
    low, high = np.quantile(kept, (0.025, 0.975)) if kept else (float("nan"), float("nan"))
    return [round(value, 4), round(float(low), 4), round(float(high), 4)]
