"""A call → what the index holds of it. Does no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from copilot.domain.artifacts import Artifact, Keywords, Summary, TicketClassification
from copilot.search.engine import Chosen, Document, Held
from copilot.search.terms import Blinder
from copilot.store.call_list import ListedCall
from copilot.store.call_texts import CallText


def texts(call: CallText) -> Iterator[str]:
    """Everything that can be found in a call: what was said, and the words of what was made of it."""
    for utterance in call.utterances:
        yield utterance.text
    for artifact in call.artifacts:
        yield from artifact_texts(artifact)


def artifact_texts(artifact: Artifact) -> Iterator[str]:
    match artifact.body:
        case Summary() as summary:
            yield summary.overall
            for group in (summary.problems, summary.actions, summary.commitments, summary.follow_ups):
                yield from (statement.text for statement in group)
        case TicketClassification() as ticket:
            yield from ticket.measures
        case Keywords() as keywords:
            yield from (term.term for term in keywords.terms)
        case _:
            return


def about(call: CallText) -> str:
    """What the call was about, in a sentence or a few: the text that is searched by its meaning. "" before there is a summary."""
    for artifact in call.artifacts:
        if isinstance(artifact.body, Summary):
            return " ".join(problem.text for problem in artifact.body.problems) or artifact.body.overall
    return ""


def facets(listed: ListedCall) -> Chosen:
    """Facet → the values of a call."""
    call = listed.call
    found = {
        "team": (listed.team_id or "",),
        "agent": (call.agent_id or "",),
        "ticket": (listed.ticket_level1, f"/{listed.ticket_level2}" if listed.ticket_level2 else ""),
        "intent": tuple(call.intents),
        "score": (listed.score_band,),
        "risk": (listed.risk_band,),
        "state": (listed.qa_state,),
        "protocol": (call.protocol,),
        "direction": (call.direction,),
        "language": (call.language,),
    }
    return {facet: kept for facet, values in found.items() if (kept := tuple(value for value in values if value))}


def revision(call: CallText) -> str:
    """Changes whenever the call does."""
    return call.changed_at.isoformat() if call.changed_at is not None else ""


def document(call: CallText, blind: Blinder, held: Held | None) -> tuple[Document, str]:
    """The document, and the text whose vector it still lacks: "" if it needs none, or has the one that was held."""
    text = about(call)
    name = blind(blake2b(text.encode(), digest_size=16).hexdigest()) if text else ""
    known = held.vector if held is not None and name and held.about == name else None
    started = call.listed.call.started_at
    made = Document(
        call_id=call.listed.call.call_id,
        revision=revision(call),
        started_ms=round(started.timestamp() * 1000) if started is not None else 0,
        facets=facets(call.listed),
        terms=blind.terms(texts(call)),
        about=name,
        vector=known,
    )
    return made, text if known is None else ""
