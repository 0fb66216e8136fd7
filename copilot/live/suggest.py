"""Cards from hits. Pure. The approved answer is shown verbatim; an article without one is quoted by its passage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from copilot.domain.events import SuggestionOffered
from copilot.domain.ids import SuggestionId, UtteranceId
from copilot.domain.intents import IntentPrediction
from copilot.domain.knowledge import Citation, Hit
from copilot.domain.ports.llm import ReplyPiece
from copilot.domain.suggestions import CitedSentence, Stage, SuggestionOption
from copilot.live.guard import Offer
from copilot.llm.guard import fit_to_quote, fit_to_say
from copilot.llm.instructions import is_instruction, sentences, without_instructions

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
        quote=(passage.text if article.answer else _quotable(passage.text))[:_QUOTE_CHARS],
        start=passage.start,
        end=passage.end,
        valid_from=article.valid_from,
        valid_to=article.valid_to,
    )


def answer_text(hit: Hit) -> str:
    """What the agent may say: the approved answer word for word, else the passage found, without orders to machines."""
    return hit.article.answer or _quotable(hit.passage.text)


def _quotable(text: str) -> str:
    """A passage without orders to machines, and without sentences that nobody may say."""
    return "".join(sentence for sentence in sentences(without_instructions(text)) if fit_to_quote(sentence)).strip()


def presentable(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The hits without those whose text gives orders to a machine: an approved answer with one, or a passage of nothing else.

    An answer that passed the bank's gates is not judged for its wording, but addresses and people's numbers in it are.
    """
    return tuple(hit for hit in hits if answer_text(hit) and not is_instruction(hit.article.answer) and fit_to_say(hit.article.answer))


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
        retires=offer.retires,
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
    number: SuggestionId,
    first: SuggestionOffered,
    pieces: Sequence[ReplyPiece],
    hits: Sequence[Hit],
    model: str,
    stages: tuple[Stage, ...],
    total_ms: float,
) -> SuggestionOffered:
    """The generated reply that takes the place of ``first``: every sentence with its sources, that answer as first option."""
    order = list(dict.fromkeys(at for piece in pieces for at in piece.sources))
    sentences: list[CitedSentence] = []
    begun = at = 0
    cited: list[int] = []
    for piece in pieces:
        at += len(piece.text)
        cited += [order.index(source) for source in piece.sources]
        if piece.ends or piece is pieces[-1]:
            sentences.append(CitedSentence(start=begun, end=at, citations=tuple(dict.fromkeys(cited))))
            begun, cited = at, []
    source = first.citations[0]
    approved = SuggestionOption(title=first.title, text=first.text, citation=source, confidence=first.confidence)
    return replace(
        first,
        suggestion_id=number,
        kind="reply",
        text="".join(piece.text for piece in pieces),
        citations=tuple(citation(hits[at]) for at in order) or first.citations,
        options=(approved, *first.options),
        generated=True,
        model=model,
        replaces=first.suggestion_id,
        retires=(),
        sentences=tuple(sentences),
        stages=(*first.stages, *stages),
        total_ms=total_ms,
    )
