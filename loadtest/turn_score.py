"""Scores understanding and suggestions against the gold turns of ``tests/data/turns`` (README there: format and guideline). PURE.

- *intent macro-F1*: the mean F1 over the intents, ``out_of_scope`` among them, that occur in the gold turns. A predicted intent that never
  occurs there costs the recall of the turns it was given to.
- *out of scope AUC*: the chance that an out-of-scope turn has a higher ``outside`` score than an in-scope one; ties count half.
- *hit@k*: of the answerable turns (gold has articles), those with a gold article among the first k offered. *coverage*: those with anything
  offered. *precision*: of the turns with an offer, those whose first is a gold article. *false offers*: of the turns without gold articles,
  those with an offer.
- *slots F1*: micro, over (slot, value) pairs. *mood macro-F1*: over the moods that occur in the gold turns.

Intervals: 95%, percentile bootstrap that draws whole dialogues.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

OUT_OF_SCOPE = "out_of_scope"
MOODS = ("calm", "confused", "anxious", "angry")
PRODUCTS = frozenset({"credit_card", "debit_card", "mortgage", "consumer_loan", "wealth", "fund", "deposit", "ukey"})
CHANNELS = frozenset({"app", "branch", "phone", "atm", "online", "sms"})
SLOTS: Mapping[str, Callable[[str], bool]] = {
    "amount": lambda value: re.fullmatch(r"\d+(\.\d+)?", value) is not None,
    "date": lambda value: re.fullmatch(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", value) is not None,
    "card_tail": lambda value: re.fullmatch(r"\d{3,6}", value) is not None,
    "product": PRODUCTS.__contains__,
    "channel": CHANNELS.__contains__,
}
Rate = tuple[float, float, float]
"""(value, low, high); the interval is 95%."""
Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One line of a gold dialogue. An agent's line has only its text."""

    id: str
    dialogue: str
    scenario: str
    split: str
    language: Literal["zh", "en"]
    channel: Literal["customer", "agent"]
    text: str
    asr_text: str = ""
    intent: str = ""
    slots: Mapping[str, Sequence[str]] | None = None
    articles: tuple[str, ...] = ()
    mood: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the copilot made of a customer's turn.

    ``outside``: how surely it is out of scope, on any scale. ``offered``: article ids, best first.
    """

    intent: str
    outside: float
    slots: Mapping[str, Sequence[str]]
    offered: tuple[str, ...]
    mood: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """See the module. ``wrong``: ids of turns with a wrong intent, a missed or false offer: the error list."""

    turns: int
    intent_f1: Rate
    outside_auc: Rate
    hit_1: Rate
    hit_3: Rate
    coverage: Rate
    precision: Rate
    false_offers: Rate
    slots_f1: Rate
    mood_f1: Rate
    wrong: tuple[str, ...]


def parse(lines: Iterable[str]) -> list[Turn]:
    """Lines of a gold file."""
    turns = []
    for line in lines:
        if line.strip():
            row: dict[str, Any] = json.loads(line)
            turns.append(Turn(**{**row, "articles": tuple(row.get("articles", ()))}))
    return turns


def problems(turns: Sequence[Turn], *, intents: frozenset[str], articles: frozenset[str]) -> list[str]:
    """What is wrong with a gold file, one sentence each. ``intents``, ``articles``: the ids that labels may name."""
    found = []
    splits: dict[str, set[str]] = defaultdict(set)
    counted = Counter(turn.id for turn in turns)
    found += [f"{name}: twice." for name, times in counted.items() if times > 1]
    for turn in turns:
        splits[turn.scenario].add(turn.split)
        if turn.split not in {"dev", "test"} or not turn.id.startswith(turn.dialogue) or not turn.dialogue.startswith(turn.scenario):
            found.append(f"{turn.id}: its split, dialogue and scenario do not fit.")
        if turn.channel == "agent":
            continue
        if turn.intent not in intents | {OUT_OF_SCOPE}:
            found.append(f"{turn.id}: unknown intent {turn.intent}.")
        if not set(turn.articles) <= articles:
            found.append(f"{turn.id}: unknown article.")
        if turn.mood not in MOODS or not turn.asr_text:
            found.append(f"{turn.id}: unknown mood, or no noisy text.")
        for slot, values in (turn.slots or {}).items():
            if slot not in SLOTS or not values or not all(map(SLOTS[slot], values)):
                found.append(f"{turn.id}: slot {slot} cannot be {values}.")
    return found + [f"{scenario}: in both splits." for scenario, where in splits.items() if len(where) > 1]


def score(turns: Sequence[Turn], answers: Sequence[Answer], *, draws: int = 1000, seed: int = 1) -> Report:
    """``turns``: the customers' turns, with one answer each. Raises ValueError if they are not as many."""
    if len(turns) != len(answers) or not turns:
        raise ValueError(f"{len(turns)} turns but {len(answers)} answers.")
    places = {name: index for index, name in enumerate(dict.fromkeys(turn.dialogue for turn in turns))}
    where = np.array([places[turn.dialogue] for turn in turns])
    drawn = np.random.default_rng(seed).multinomial(len(places), [1 / len(places)] * len(places), size=draws)[:, where].astype(float)
    whole = np.ones(len(turns))

    def rate(measure: Callable[[Weights], float]) -> Rate:
        values = np.array([measure(weights) for weights in drawn])
        values = values[~np.isnan(values)]
        low, high = np.quantile(values, (0.025, 0.975)) if len(values) else (float("nan"), float("nan"))
        return measure(whole), float(low), float(high)

    pairs = list(zip(turns, answers, strict=True))
    answerable = np.array([bool(turn.articles) for turn in turns])
    offered = np.array([bool(answer.offered) for answer in answers])
    first, third = (np.array([bool(set(answer.offered[:k]) & set(turn.articles)) for turn, answer in pairs]) for k in (1, 3))
    slots = np.array([_slot_counts(turn, answer) for turn, answer in pairs], dtype=float)
    outside = np.array([turn.intent == OUT_OF_SCOPE for turn in turns])
    scores = np.array([answer.outside for answer in answers])
    wrong = [
        turn.id
        for (turn, answer), hit in zip(pairs, third, strict=True)
        if turn.intent != answer.intent or (turn.articles and not hit) or (answer.offered and not turn.articles)
    ]
    return Report(
        turns=len(turns),
        intent_f1=rate(_macro([turn.intent for turn in turns], [answer.intent for answer in answers])),
        outside_auc=rate(lambda weights: _auc(scores, outside, weights)),
        hit_1=rate(lambda weights: _share(first, answerable, weights)),
        hit_3=rate(lambda weights: _share(third, answerable, weights)),
        coverage=rate(lambda weights: _share(offered, answerable, weights)),
        precision=rate(lambda weights: _share(first, offered, weights)),
        false_offers=rate(lambda weights: _share(offered, ~answerable, weights)),
        slots_f1=rate(lambda weights: _f1(*(weights @ slots))),
        mood_f1=rate(_macro([turn.mood for turn in turns], [answer.mood for answer in answers])),
        wrong=tuple(wrong),
    )


def _slot_counts(turn: Turn, answer: Answer) -> tuple[int, int, int]:
    """(right, found, gold) pairs of a turn."""
    gold = {(slot, value) for slot, values in (turn.slots or {}).items() for value in values}
    found = {(slot, value) for slot, values in answer.slots.items() for value in values}
    return len(gold & found), len(found), len(gold)


def _f1(right: float, found: float, gold: float) -> float:
    return float(2 * right / (found + gold)) if found + gold else float("nan")


def _share(part: NDArray[np.bool_], of: NDArray[np.bool_], weights: Weights) -> float:
    total = weights[of].sum()
    return float(weights[part & of].sum() / total) if total else float("nan")


def _macro(gold: Sequence[str], found: Sequence[str]) -> Callable[[Weights], float]:
    names = sorted(set(gold))
    is_gold = np.array([[label == name for label in gold] for name in names], dtype=float)
    is_found = np.array([[label == name for label in found] for name in names], dtype=float)

    def measure(weights: Weights) -> float:
        golds, founds, right = is_gold @ weights, is_found @ weights, (is_gold * is_found) @ weights
        present = golds > 0
        return float((2 * right[present] / (golds + founds)[present]).mean())

    return measure


def _auc(scores: Weights, positive: NDArray[np.bool_], weights: Weights) -> float:
    """Mann and Whitney's U over the product of the sizes, weighted."""
    above = (scores[positive][:, None] > scores[~positive][None, :]) + 0.5 * (scores[positive][:, None] == scores[~positive][None, :])
    one, other = weights[positive], weights[~positive]
    total = one.sum() * other.sum()
    return float(one @ above @ other / total) if total else float("nan")
