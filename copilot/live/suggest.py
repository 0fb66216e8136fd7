"""Cards from hits. Pure. The approved answer is shown verbatim; an article without one is quoted by its passage."""

from __future__ import annotations

from dataclasses import replace

from copilot.domain.events import SuggestionOffered
from copilot.domain.ids import SuggestionId, UtteranceId
from copilot.domain.intents import IntentPrediction
from copilot.domain.knowledge import Citation, Hit
from copilot.domain.suggestions import Stage, SuggestionOption
from copilot.live.guard import Offer

VERBATIM_CONFIDENCE = 0.75
"""From here on an approved answer is taken to fit and no model is asked."""
_QUOTE_CHARS = 160


def citation(hit: Hit) -> Citation:
    """The source of a hit, pinned to version and span."""
    article, passage = hit.article, hit.passage
    return Citation(
        article_id=article.article_id,
        version=article.version,
        passage_id=passage.passage_id,
        title=article.title,
        section=passage.section,
        quote=passage.text[:_QUOTE_CHARS],
        start=passage.start,
        end=passage.end,
        valid_from=article.valid_from,
        valid_to=article.valid_to,
    )


def answer_text(hit: Hit) -> str:
    """What the agent may say: the approved answer, else the passage found."""
    return hit.article.answer or hit.passage.text


def fits_verbatim(hit: Hit) -> bool:
    return bool(hit.article.answer) and hit.confidence >= VERBATIM_CONFIDENCE


def card(
    number: SuggestionId,
    offer: Offer,
    prediction: IntentPrediction,
    trigger: UtteranceId,
    at_ms: int,
    stages: tuple[Stage, ...],
    total_ms: float,
) -> SuggestionOffered:
    """The card for an offer: the best hit large, the others as options."""
    best, *others = offer.hits
    return SuggestionOffered(
        suggestion_id=number,
        # What is for the agent alone is knowledge to read, not a sentence to say.
        kind="faq" if best.article.answer and best.article.audience == "customer" else "article",
        confidence=best.confidence,
        trigger=trigger,
        at_ms=at_ms,
        intent=prediction.intent,
        title=best.article.title,
        text=answer_text(best),
        citations=(citation(best),),
        options=tuple(
            SuggestionOption(title=hit.article.title, text=answer_text(hit), citation=citation(hit), confidence=hit.confidence)
            for hit in others
        ),
        replaces=offer.replaces,
        stages=stages,
        total_ms=total_ms,
    )


def nothing(
    number: SuggestionId, prediction: IntentPrediction, trigger: UtteranceId, at_ms: int, stages: tuple[Stage, ...], total_ms: float
) -> SuggestionOffered:
    """Says honestly that no reliable source was found; the screen words it in the agent's language."""
    return SuggestionOffered(
        suggestion_id=number,
        kind="nothing",
        confidence=0.0,
        trigger=trigger,
        at_ms=at_ms,
        intent=prediction.intent,
        stages=stages,
        total_ms=total_ms,
    )


def generated(
    number: SuggestionId, first: SuggestionOffered, text: str, model: str, stages: tuple[Stage, ...], total_ms: float
) -> SuggestionOffered:
    """The generated reply that takes the place of ``first`` and keeps its sources."""
    return replace(
        first,
        suggestion_id=number,
        kind="reply",
        text=text,
        generated=True,
        model=model,
        replaces=first.suggestion_id,
        stages=(*first.stages, *stages),
        total_ms=total_ms,
    )
