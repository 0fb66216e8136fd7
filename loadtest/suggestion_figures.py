"""Suggestions on the labelled turns of ``tests/data/turns``: hit@1, hit@3, coverage, and what it costs the agent's attention.

    python -m loadtest.suggestion_figures --split dev [--json FILE]

Beside the figures of ``loadtest.turn_score`` for new cards: *on screen*: answerable turns after which a card whose first source is a gold
article stands on the screen, new or from a turn before (what goes on with a need gets no second card); *most new*: most new cards of one
customer turn; *duplicates*: cards whose article was offered less than two minutes of the call before.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from copilot.domain.events import SuggestionOffered
from loadtest.turn_score import Rate, Turn, score
from loadtest.understanding import Bank, open_bank, read_turns, session_answers

_REPEAT_MS = 120_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """See the module. ``new_per_turn``: new cards per customer turn."""

    on_screen: Rate
    new_per_turn: float
    most_new: int
    duplicates: int


def attention(turns: Sequence[Turn], heard: Sequence[tuple[int, Sequence[SuggestionOffered], Sequence[str]]]) -> Attention:
    """``heard``: of each customer turn its customer-turn number in the call, the cards it got, and the articles on the screen after it."""
    right, dialogues = [], []
    new: Counter[tuple[str, int]] = Counter()
    last: dict[tuple[str, str], int] = {}
    duplicates = 0
    for turn, (number, cards, screen) in zip(turns, heard, strict=True):
        if turn.articles:
            right.append(bool(set(screen) & set(turn.articles)))
            dialogues.append(turn.dialogue)
        for card in cards:
            if card.kind == "nothing":
                continue
            key = (turn.dialogue, str(card.citations[0].article_id))
            duplicates += key in last and card.at_ms - last[key] < _REPEAT_MS
            last[key] = card.at_ms
            new[turn.dialogue, number] += card.replaces is None
    return Attention(
        on_screen=_interval(np.array(right, dtype=float), dialogues),
        new_per_turn=sum(new.values()) / len(turns),
        most_new=max(new.values(), default=0),
        duplicates=duplicates,
    )


def _interval(values: np.ndarray[tuple[int], np.dtype[np.float64]], groups: Sequence[str], draws: int = 1000) -> Rate:
    names = sorted(set(groups))
    members = {name: values[np.array([group == name for group in groups])] for name in names}
    random = np.random.default_rng(1)
    drawn = [float(np.concatenate([members[str(name)] for name in random.choice(names, len(names))]).mean()) for _ in range(draws)]
    low, high = np.quantile(np.array(drawn), (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def figures(bank: Bank, split: str, text: str) -> dict[str, object]:
    """All figures of one split, as JSON."""
    turns = [turn for turn in read_turns() if turn.split == split]
    customers = [turn for turn in turns if turn.channel == "customer"]
    found = session_answers(bank, turns, text)
    report = score(customers, [answer for answer, *_ in found])
    made = attention(customers, [(number, cards, screen) for _, number, cards, screen in found])
    kept = ("turns", "hit_1", "hit_3", "coverage", "precision", "false_offers")
    missed = [
        turn.id for turn, (_, _, _, screen) in zip(customers, found, strict=True) if turn.articles and not set(screen) & set(turn.articles)
    ]
    return {name: getattr(report, name) for name in kept} | asdict(made) | {"missed": missed}


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--split", choices=("dev", "test"), required=True)
    arguments.add_argument("--json", type=Path)
    chosen = arguments.parse_args()
    with open_bank() as bank:
        made = {text: figures(bank, chosen.split, text) for text in ("text", "asr_text")}
    print(json.dumps(made, ensure_ascii=False, indent=1))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
