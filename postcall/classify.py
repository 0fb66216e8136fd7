"""The ticket: which category of the bank's two-level tree the call belongs to. Pure but for the injected index.

Score of a level-2 category c, over the customer's utterances u (w: weight of the need that u belongs to)::

    s(c) = max over u of w(u)·intent(u, c)  +  0.2 · Σ of the other such terms (at most 0.4)
         + 0.20 · max over u of w(u)·keywords(u, c)  +  0.05 · keywords of the agent's words
         + 0.25 · max over u of w(u)·similarity(u, description of c)          (with an index only)
         + 0.15 · the best intent score of c's siblings                       (a neighbour speaks for the branch)
         + 0.6 · keywords(o, c) + 0.5 · similarity(o, c)                      (o: what the bank says it calls about, outbound calls only)

The first substantive need weighs 1, the k-th 1 / (1 + 0.6·(k-1)), not below 0.4: what a customer calls about comes first; questions
that follow from it come later. To this comes a quarter of the share of the call's time until the next need began.
A keyword counts as said also by its sound (folded pinyin), for 0.6 of its worth: recognition errors are homophones. Confidences: see
``postcall.ticket_details``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from copilot.domain.artifacts import CategoryScore, TicketClassification, Turn
from copilot.domain.ids import UtteranceId
from copilot.domain.ports.knowledge import Embedder
from kb.analysis import syllables
from postcall.needs import CUSTOMER, content_length
from postcall.packs import SubCategory, Taxonomy
from postcall.ticket_details import cause_of, probabilities, slots_of
from postcall.turns import FoundIntent, Transcript

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_ORDER_STEP, _ORDER_LEAST, _DWELL = 0.6, 0.4, 0.25
_MORE_INTENT, _MORE_INTENT_MOST = 0.2, 0.4
_KEYWORDS, _AGENT_KEYWORDS, _SIMILARITY, _SIBLINGS = 0.2, 0.05, 0.25, 0.15
_SIMILAR_FROM, _SIMILAR_TO = 0.80, 0.95
"""Cosine similarities of this family of embedding models lie high: below the first nothing is alike, at the second all is."""
_OPENING_KEYWORDS, _OPENING_SIMILARITY = 0.6, 0.5
_BY_SOUND = 0.6
_LEAST_SYLLABLES = 3
"""Shorter words sound like too many others."""
_OPENING_TURNS = 4
_OUTBOUND = re.compile(
    r"(?:给[您你]|这次|今天).{0,4}(?:来电|致电|打(?:个)?电话|联系)|来电是|致电.{0,3}是|(?:邀请|通知|提醒|回访)[您你]|"
    r"\b(?:i'm|i am|we're|we are) (?:calling|phoning|contacting)\b",
    re.IGNORECASE,
)
_KEYWORDS_ENOUGH = 2
_MOST_EVIDENCE = 5
_MOST_ALTERNATIVES = 3
_LEAST_SCORE = 0.1
_EMBEDDED_UTTERANCES = 40
_EMBEDDED_CHARACTERS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """A customer utterance with the weight of the need it belongs to."""

    turn: Turn
    weight: float
    intents: tuple[FoundIntent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    leaf: SubCategory
    score: float
    evidence: tuple[UtteranceId, ...]


def classify(
    taxonomy: Taxonomy, transcript: Transcript, intents: Sequence[FoundIntent], index: CategoryIndex | None = None
) -> TicketClassification:
    """The category with its evidence, alternatives (at most 3) and the usual measures of the category.

    Without any evidence: the taxonomy's fallback category with confidence 0.
    """
    needs = _needs(transcript, intents)
    opening = _opening(transcript)
    similar = index.similarities([*needs, *opening], transcript.language) if index is not None else {}
    agent = "".join(turn.text.casefold() for turn in transcript.turns if turn.channel == "agent")
    first = {leaf.category_id: _intent_score(leaf, needs) for leaf in taxonomy.leaves}
    scored = []
    for category in taxonomy.categories:
        for leaf in category.children:
            siblings = max((first[other.category_id] for other in category.children if other is not leaf), default=0.0)
            said = (needs, opening)
            scored.append(_score(leaf, said, transcript.language, agent, similar, first[leaf.category_id], siblings))
    ranked = sorted((item for item in scored if item.score >= _LEAST_SCORE and item.evidence), key=lambda item: -item.score)
    likely = probabilities({item.leaf.category_id: item.score for item in ranked})
    if not ranked:
        return _ticket(taxonomy, transcript, taxonomy.fallback, likely, (), ())
    best, *others = ranked
    alternatives = tuple(
        CategoryScore(level1=item.leaf.parent_id, level2=item.leaf.category_id, confidence=round(likely[item.leaf.category_id], 3))
        for item in others[:_MOST_ALTERNATIVES]
    )
    return _ticket(taxonomy, transcript, best.leaf, likely, alternatives, best.evidence[:_MOST_EVIDENCE])


def _ticket(
    taxonomy: Taxonomy,
    transcript: Transcript,
    leaf: SubCategory,
    likely: Mapping[str, float],
    alternatives: tuple[CategoryScore, ...],
    evidence: tuple[UtteranceId, ...],
) -> TicketClassification:
    cause, because = cause_of(taxonomy.causes, transcript)
    branch = sum(likely.get(other.category_id, 0.0) for other in taxonomy.leaves if other.parent_id == leaf.parent_id)
    return TicketClassification(
        level1=leaf.parent_id,
        level2=leaf.category_id,
        confidence=round(likely.get(leaf.category_id, 0.0), 3),
        level1_confidence=round(branch, 3),
        taxonomy_version=taxonomy.version,
        alternatives=alternatives,
        evidence=evidence,
        measures=leaf.measures.get(transcript.language, ()),
        cause=cause,
        cause_evidence=because,
        slots=slots_of(transcript),
        pack_version=taxonomy.pack_version,
    )


def _opening(transcript: Transcript) -> list[_Need]:
    """What the bank says it calls about, in a call that it made."""
    first = [turn for turn in transcript.turns if turn.channel == "agent"][:_OPENING_TURNS]
    at = next((number for number, turn in enumerate(first) if _OUTBOUND.search(turn.text)), None)
    return [] if at is None else [_Need(turn=turn, weight=1.0, intents=()) for turn in first[at : at + 2]]


def _needs(transcript: Transcript, intents: Sequence[FoundIntent]) -> list[_Need]:
    """Customer utterances; a need begins with each intent that is new in the call, and weighs less the later it comes."""
    found: dict[UtteranceId, list[FoundIntent]] = {}
    for item in intents:
        found.setdefault(item.utterance_id, []).append(item)
    order: dict[str, int] = {}
    steps: list[tuple[Turn, int, tuple[FoundIntent, ...]]] = []
    current = 0
    for turn in transcript.turns:
        if turn.channel not in CUSTOMER:
            continue
        own = tuple(found.get(turn.utterance_id, ()))
        if own:
            # Rules may find several intents in one utterance: they are one step of the conversation.
            step = order.setdefault(own[0].intent, len(set(order.values())))
            for item in own[1:]:
                order.setdefault(item.intent, step)
            current = min(order[item.intent] for item in own)
        steps.append((turn, current, own))
    dwelt = _dwell(transcript, steps)
    return [
        _Need(turn=turn, weight=max(_ORDER_LEAST, 1 / (1 + _ORDER_STEP * step)) + _DWELL * dwelt.get(step, 0.0), intents=own)
        for turn, step, own in steps
    ]


def _dwell(transcript: Transcript, steps: Sequence[tuple[Turn, int, tuple[FoundIntent, ...]]]) -> dict[int, float]:
    """Share of the call's time that each step took, until an utterance of the next one."""
    total = max((turn.end_ms for turn in transcript.turns), default=0)
    begun = [(turn.start_ms, step) for turn, step, own in steps if own]
    shares: dict[int, float] = {}
    for number, (start_ms, step) in enumerate(begun):
        end_ms = begun[number + 1][0] if number + 1 < len(begun) else total
        shares[step] = shares.get(step, 0.0) + max(0, end_ms - start_ms) / max(1, total)
    return shares


def _intent_terms(leaf: SubCategory, needs: Sequence[_Need]) -> list[tuple[float, UtteranceId]]:
    return [
        (need.weight * item.confidence, need.turn.utterance_id) for need in needs for item in need.intents if item.intent in leaf.intents
    ]


def _intent_score(leaf: SubCategory, needs: Sequence[_Need]) -> float:
    terms = sorted((term for term, _ in _intent_terms(leaf, needs)), reverse=True)
    return terms[0] + min(_MORE_INTENT_MOST, _MORE_INTENT * sum(terms[1:])) if terms else 0.0


def _keyword_share(leaf: SubCategory, text: str, sound: str, language: str) -> float:
    """Share of ``_KEYWORDS_ENOUGH`` distinct keywords that the text holds, at most 1. ``sound``: the text's folded syllables."""
    keywords = leaf.keywords.get(language, ())
    hits = 0.0
    for keyword in keywords:
        if keyword in text:
            hits += 1
        elif language == "zh" and (spoken := _sound(keyword)).count(" ") > _LEAST_SYLLABLES and spoken in sound:
            hits += _BY_SOUND
    return min(1.0, hits / _KEYWORDS_ENOUGH)


@lru_cache(maxsize=4096)
def _sound(text: str) -> str:
    """Folded syllables with blanks around each, so that they are found whole."""
    return f" {' '.join(syllables(text))} "


def _score(
    leaf: SubCategory,
    said: tuple[Sequence[_Need], Sequence[_Need]],
    language: str,
    agent: str,
    similar: Mapping[tuple[UtteranceId, str], float],
    intent_score: float,
    siblings: float,
) -> _Scored:
    needs, opening = said
    by_intent = _intent_terms(leaf, needs)
    by_keyword, by_meaning = _terms(leaf, needs, language, similar)
    opened_keyword, opened_meaning = _terms(leaf, opening, language, similar)
    opened = _OPENING_KEYWORDS * _best(opened_keyword) + _OPENING_SIMILARITY * _best(opened_meaning)
    own = intent_score + _KEYWORDS * _best(by_keyword) + _SIMILARITY * _best(by_meaning) + opened
    support = _AGENT_KEYWORDS * _keyword_share(leaf, agent, "", language) + _SIBLINGS * siblings
    every = (*by_intent, *by_keyword, *by_meaning, *opened_keyword, *opened_meaning)
    strongest = sorted((term for term in every if term[0] > 0), key=lambda term: -term[0])
    chosen = {name for _, name in list(dict.fromkeys(strongest))[:_MOST_EVIDENCE]}
    evidence = tuple(need.turn.utterance_id for need in (*opening, *needs) if need.turn.utterance_id in chosen)
    return _Scored(leaf=leaf, score=own + support if own > 0 else 0.0, evidence=evidence)


_Terms = list[tuple[float, UtteranceId]]


def _terms(
    leaf: SubCategory, needs: Sequence[_Need], language: str, similar: Mapping[tuple[UtteranceId, str], float]
) -> tuple[_Terms, _Terms]:
    """What each utterance says for the category by its keywords, and by its meaning."""
    keywords: _Terms = []
    meanings: _Terms = []
    for need in needs:
        name = need.turn.utterance_id
        text = need.turn.text.casefold()
        sound = _sound(text) if language == "zh" else ""
        keywords.append((need.weight * _keyword_share(leaf, text, sound, language), name))
        meanings.append((need.weight * similar.get((name, leaf.category_id), 0.0), name))
    return keywords, meanings


def _best(terms: _Terms) -> float:
    return max((term for term, _ in terms), default=0.0)


class CategoryIndex:
    """The descriptions of a taxonomy as vectors, embedded once per language when first asked for. Thread-safe."""

    def __init__(self, taxonomy: Taxonomy, embedder: Embedder, pack_embedder: Embedder) -> None:
        """``embedder`` for what was said, ``pack_embedder`` (of the same model) for the descriptions."""
        self._taxonomy = taxonomy
        self._embedder = embedder
        self._pack_embedder = pack_embedder
        self._lock = threading.Lock()
        self._vectors: dict[str, tuple[tuple[str, ...], npt.NDArray[np.float32]]] = {}

    def similarities(self, needs: Sequence[_Need], language: str) -> dict[tuple[UtteranceId, str], float]:
        """(utterance, category) → similarity of the words to the category's description, scaled to [0, 1]."""
        asked = [need for need in needs if content_length(need.turn.text) >= _EMBEDDED_CHARACTERS][:_EMBEDDED_UTTERANCES]
        names, passages = self._described(language)
        if not asked or not names:
            return {}
        cosines = self._embedder.embed([need.turn.text for need in asked], "query") @ passages.T
        scale = _SIMILAR_TO - _SIMILAR_FROM
        best: list[dict[str, float]] = []
        for row in range(len(asked)):
            # A category has a passage for its description and one for each example; the nearest speaks for it.
            nearest: dict[str, float] = {}
            for column, name in enumerate(names):
                nearest[name] = max(nearest.get(name, -1.0), float(cosines[row, column]))
            best.append(nearest)
        return {
            (need.turn.utterance_id, name): min(1.0, max(0.0, (best[row][name] - _SIMILAR_FROM) / scale))
            for row, need in enumerate(asked)
            for name in best[row]
        }

    def warm_up(self, language: str) -> None:
        self._described(language)

    def _described(self, language: str) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
        with self._lock:
            if language not in self._vectors:
                leaves = [leaf for leaf in self._taxonomy.leaves if leaf.description.get(language)]
                described = [(leaf.category_id, f"{leaf.name.get(language, '')} {leaf.description[language]}") for leaf in leaves]
                described += [(leaf.category_id, example) for leaf in leaves for example in leaf.examples.get(language, ())]
                names = tuple(name for name, _ in described)
                self._vectors[language] = names, self._pack_embedder.embed([text for _, text in described], "passage")
            return self._vectors[language]
