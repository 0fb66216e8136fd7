"""The ticket: which category of the bank's two-level tree the call belongs to. Pure but for the injected index.

Score of a level-2 category c, over the customer's utterances u (w: weight of the need that u belongs to)::

    s(c) = max over u of w(u)·intent(u, c)  +  0.2 · Σ of the other such terms (at most 0.4)
         + 0.20 · max over u of w(u)·keywords(u, c)  +  0.05 · keywords of the agent's words
         + 0.25 · max over u of w(u)·similarity(u, description of c)          (with an index only)
         + 0.15 · the best intent score of c's siblings                       (a neighbour speaks for the branch)

The first substantive need weighs 1, the k-th 1 / (1 + 0.6·(k-1)), not below 0.4: what a customer calls about comes first; questions
that follow from it come later. To this comes a quarter of the share of the call's time until the next need began.
Confidence = s₁ / (s₁ + s₂ + 0.25), in [0, 1): how far the best is from the next, and from no evidence.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot.domain.artifacts import CategoryScore, TicketClassification, Turn
from copilot.domain.ids import UtteranceId
from copilot.domain.ports.knowledge import Embedder
from postcall.needs import CUSTOMER, content_length
from postcall.packs import SubCategory, Taxonomy
from postcall.turns import FoundIntent, Transcript

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_ORDER_STEP, _ORDER_LEAST, _DWELL = 0.6, 0.4, 0.25
_MORE_INTENT, _MORE_INTENT_MOST = 0.2, 0.4
_KEYWORDS, _AGENT_KEYWORDS, _SIMILARITY, _SIBLINGS = 0.2, 0.05, 0.25, 0.15
_SIMILAR_FROM, _SIMILAR_TO = 0.80, 0.95
"""Cosine similarities of this family of embedding models lie high: below the first nothing is alike, at the second all is."""
_KEYWORDS_ENOUGH = 2
_CAUTION = 0.25
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
    similar = index.similarities(needs, transcript.language) if index is not None else {}
    agent = "".join(turn.text.casefold() for turn in transcript.turns if turn.channel == "agent")
    first = {leaf.category_id: _intent_score(leaf, needs) for leaf in taxonomy.leaves}
    scored = []
    for category in taxonomy.categories:
        for leaf in category.children:
            siblings = max((first[other.category_id] for other in category.children if other is not leaf), default=0.0)
            scored.append(_score(leaf, needs, transcript.language, agent, similar, first[leaf.category_id], siblings))
    ranked = sorted((item for item in scored if item.score >= _LEAST_SCORE and item.evidence), key=lambda item: -item.score)
    if not ranked:
        leaf = taxonomy.fallback
        return _ticket(taxonomy, transcript.language, leaf, 0.0, (), ())
    best, *others = ranked
    second = others[0].score if others else 0.0
    alternatives = tuple(
        CategoryScore(
            level1=item.leaf.parent_id, level2=item.leaf.category_id, confidence=round(item.score / (item.score + best.score + _CAUTION), 3)
        )
        for item in others[:_MOST_ALTERNATIVES]
    )
    confidence = round(best.score / (best.score + second + _CAUTION), 3)
    return _ticket(taxonomy, transcript.language, best.leaf, confidence, alternatives, best.evidence[:_MOST_EVIDENCE])


def _ticket(
    taxonomy: Taxonomy,
    language: str,
    leaf: SubCategory,
    confidence: float,
    alternatives: tuple[CategoryScore, ...],
    evidence: tuple[UtteranceId, ...],
) -> TicketClassification:
    return TicketClassification(
        level1=leaf.parent_id,
        level2=leaf.category_id,
        confidence=confidence,
        taxonomy_version=taxonomy.version,
        alternatives=alternatives,
        evidence=evidence,
        measures=leaf.measures.get(language, ()),
    )


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


def _keyword_share(leaf: SubCategory, text: str, language: str) -> float:
    """Share of ``_KEYWORDS_ENOUGH`` distinct keywords that the text holds, at most 1."""
    hits = sum(keyword in text for keyword in leaf.keywords.get(language, ()))
    return min(1.0, hits / _KEYWORDS_ENOUGH)


def _score(
    leaf: SubCategory,
    needs: Sequence[_Need],
    language: str,
    agent: str,
    similar: Mapping[tuple[UtteranceId, str], float],
    intent_score: float,
    siblings: float,
) -> _Scored:
    by_intent = _intent_terms(leaf, needs)
    by_keyword = [(need.weight * _keyword_share(leaf, need.turn.text.casefold(), language), need.turn.utterance_id) for need in needs]
    by_meaning = [(need.weight * similar.get((need.turn.utterance_id, leaf.category_id), 0.0), need.turn.utterance_id) for need in needs]
    own = (
        intent_score
        + _KEYWORDS * max((term for term, _ in by_keyword), default=0.0)
        + _SIMILARITY * max((term for term, _ in by_meaning), default=0.0)
    )
    support = _AGENT_KEYWORDS * _keyword_share(leaf, agent, language) + _SIBLINGS * siblings
    strongest = sorted((term for term in (*by_intent, *by_keyword, *by_meaning) if term[0] > 0), key=lambda term: -term[0])
    chosen = {name for _, name in list(dict.fromkeys(strongest))[:_MOST_EVIDENCE]}
    evidence = tuple(need.turn.utterance_id for need in needs if need.turn.utterance_id in chosen)
    return _Scored(leaf=leaf, score=own + support if own > 0 else 0.0, evidence=evidence)


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
        return {
            (need.turn.utterance_id, name): min(1.0, max(0.0, (float(cosines[row, column]) - _SIMILAR_FROM) / scale))
            for row, need in enumerate(asked)
            for column, name in enumerate(names)
        }

    def warm_up(self, language: str) -> None:
        self._described(language)

    def _described(self, language: str) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
        with self._lock:
            if language not in self._vectors:
                leaves = [leaf for leaf in self._taxonomy.leaves if leaf.description.get(language)]
                texts = [f"{leaf.name.get(language, '')} {leaf.description[language]}" for leaf in leaves]
                self._vectors[language] = tuple(leaf.category_id for leaf in leaves), self._pack_embedder.embed(texts, "passage")
            return self._vectors[language]
