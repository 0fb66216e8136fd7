"""Did the agent say what a card offered? Told from the agent's own words after it. Pure.

Characters, pairs of them and their sounds are compared, since a recogniser writes homophones; numbers must agree with their units, and a
sentence that turns the card round counts against it. It is an estimate: who said "partly" may have said all of it in words of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pypinyin import Style, lazy_pinyin

from copilot.domain.artifacts import Turn
from copilot.domain.events import SuggestionOffered, SuggestionOutcome
from copilot.domain.ids import SuggestionId
from copilot.domain.suggestions import SaidOutcome
from copilot.llm.attribution import is_courtesy, meaning
from copilot.llm.grounding import numbers_in, quantities_in

SAID_FROM, PARTLY_FROM = 0.43, 0.19
"""Coverage from which a card counts as said, and as partly said; chosen on the dev pairs of tests/data/outcomes."""
_CLAUSE = re.compile(r"[^，。！？；,!?;\n]+|(?<=\D)\.(?=\s)")
_HAN_RUN = re.compile(r"[\u4e00-\u9fff]+")
_ABOUT = 0.45
_NUMBER_WEIGHT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """``coverage`` in [0, 1]: how much of the card was said; ``confidence`` in [0, 1] in the outcome; ``where``: which utterances count."""

    outcome: SaidOutcome
    coverage: float
    confidence: float
    where: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Clause:
    pieces: frozenset[str]
    sounds: frozenset[str]
    numbers: frozenset[str]
    quantities: frozenset[tuple[str, str]]


def _clauses(text: str) -> list[_Clause]:
    found = []
    for match in _CLAUSE.finditer(text):
        if is_courtesy(match[0]):
            continue
        pieces, numbers = meaning(match[0]).pieces, numbers_in(match[0])
        if pieces or numbers:
            found.append(_Clause(pieces, _sounds(match[0]), numbers, quantities_in(match[0])))
    return found


def _sounds(text: str) -> frozenset[str]:
    """Pairs of neighbouring syllables without tones; nasal ends and flat tongues are not told apart, since recognisers do not either."""
    found: set[str] = set()
    for run in _HAN_RUN.finditer(text):
        syllables = [_flat(syllable) for syllable in lazy_pinyin(run[0], style=Style.NORMAL)]
        found |= {f"{one} {other}" for one, other in pairwise(syllables)}
    return frozenset(found)


def _flat(syllable: str) -> str:
    flat = re.sub(r"^([zcs])h", r"\1", syllable)
    return re.sub(r"ng$", "n", flat)


class Card:
    """The text of a card, read once."""

    def __init__(self, text: str) -> None:
        self._clauses = _clauses(text)
        quantities = quantities_in(text)
        self._numbers = numbers_in(text) | {value for value, _ in quantities}
        self._units = {unit for _, unit in quantities}
        self._pieces = frozenset[str]().union(*(clause.pieces for clause in self._clauses))
        self._sounds = frozenset[str]().union(*(clause.sounds for clause in self._clauses))

    def judge(self, said: Sequence[str]) -> Judgement:
        """``said``: the agent's utterances after the card, oldest first."""
        spoken = [_clauses(text) for text in said]
        kept = [[clause for clause in clauses if not self._contradicts(clause)] for clauses in spoken]
        contradicted = sum(map(len, kept)) < sum(map(len, spoken))
        about = [at for at, clauses in enumerate(kept) if any(self._about(clause) > _ABOUT / 2 for clause in clauses)]
        coverage = self._covered([clause for clauses in kept for clause in clauses])
        outcome: SaidOutcome = "said" if coverage >= SAID_FROM else "partly" if coverage >= PARTLY_FROM else "not_said"
        if contradicted:
            outcome = "not_said"
        edge = min(abs(coverage - SAID_FROM), abs(coverage - PARTLY_FROM))
        confidence = min(0.95, 0.55 + 2 * edge) if not contradicted else 0.7
        return Judgement(outcome=outcome, coverage=round(coverage, 3), confidence=round(confidence, 3), where=tuple(about))

    def _about(self, clause: _Clause) -> float:
        """How much of what was said is in the card."""
        by_word = len(clause.pieces & self._pieces) / len(clause.pieces) if clause.pieces else 0.0
        by_sound = len(clause.sounds & self._sounds) / len(clause.sounds) if clause.sounds else 0.0
        return max(by_word, by_sound)

    def _contradicts(self, clause: _Clause) -> bool:
        """It speaks of the card's matter with another number of the same kind."""
        others = {unit for value, unit in clause.quantities if unit in self._units and value not in self._numbers}
        return bool(others) and self._about(clause) >= _ABOUT / 2

    def _covered(self, spoken: Sequence[_Clause]) -> float:
        if not spoken or not self._clauses:
            return 0.0
        pieces = frozenset[str]().union(*(clause.pieces for clause in spoken))
        sounds = frozenset[str]().union(*(clause.sounds for clause in spoken))
        numbers = frozenset[str]().union(*(clause.numbers for clause in spoken))
        total = reached = 0.0
        for clause in self._clauses:
            weight = len(clause.pieces) + len(clause.numbers)
            share = max(
                len(clause.pieces & pieces) / len(clause.pieces) if clause.pieces else 0.0,
                len(clause.sounds & sounds) / len(clause.sounds) if clause.sounds else 0.0,
            )
            if clause.numbers:
                heard = len(clause.numbers & numbers) / len(clause.numbers)
                share = heard if not clause.pieces else (1 - _NUMBER_WEIGHT) * share + _NUMBER_WEIGHT * heard
            total += weight
            reached += weight * min(1.0, share)
        return reached / total if total else 0.0


@dataclass(slots=True)
class _Open:
    """A card that is being listened for; ``cards``: it, and those that it replaced."""

    at_ms: int
    cards: list[Card]
    said: list[Turn] = field(default_factory=list)


@dataclass(slots=True)
class Outcomes:
    """The cards of one call whose outcome is not known yet, by id. An outcome is told once, when it is ``said`` or its time is over."""

    window_ms: int = 60_000
    _open: dict[SuggestionId, _Open] = field(default_factory=dict)

    def offered(self, card: SuggestionOffered) -> None:
        """From now on the agent is listened to for this card."""
        if card.kind == "nothing":
            return
        before = self._open.pop(card.replaces, None) if card.replaces is not None else None
        cards = [Card(card.text), *(before.cards if before is not None else ())]
        self._open[card.suggestion_id] = _Open(before.at_ms if before is not None else card.at_ms, cards, before.said if before else [])

    def heard(self, turn: Turn) -> list[SuggestionOutcome]:
        """A final of either side: what it decides."""
        decided = []
        for name, entry in list(self._open.items()):
            if turn.start_ms > entry.at_ms + self.window_ms:
                decided.append(self._close(name, turn.start_ms))
            elif turn.channel == "agent" and turn.end_ms > entry.at_ms:
                entry.said.append(turn)
                if _judged(entry).outcome == "said":
                    decided.append(self._close(name, turn.end_ms))
        return decided

    def end(self) -> list[SuggestionOutcome]:
        """The call is over."""
        return [self._close(name, entry.said[-1].end_ms if entry.said else entry.at_ms) for name, entry in list(self._open.items())]

    def settled(self, suggestion_id: SuggestionId) -> None:
        """An earlier owner of the call told the outcome of this card."""
        self._open.pop(suggestion_id, None)

    def _close(self, name: SuggestionId, at_ms: int) -> SuggestionOutcome:
        entry = self._open.pop(name)
        judged = _judged(entry)
        return SuggestionOutcome(
            suggestion_id=name,
            outcome=judged.outcome,
            confidence=judged.confidence,
            coverage=judged.coverage,
            at_ms=at_ms,
            utterance_ids=tuple(entry.said[at].utterance_id for at in judged.where),
        )


def _judged(entry: _Open) -> Judgement:
    """The best of the card and those it replaced: the agent may have read the answer that was there first."""
    texts = [turn.text for turn in entry.said]
    return max((card.judge(texts) for card in entry.cards), key=lambda judged: (judged.outcome == "said", judged.coverage))
