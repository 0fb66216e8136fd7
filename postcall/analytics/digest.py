"""One finished call as analytics reads it, from its transcript and its artifacts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from copilot.domain.artifacts import ArtifactBody, Keywords, MoodReport, QaItem, QaScorecard, Summary, TicketClassification, Turn
from copilot.domain.events import EventEnvelope
from copilot.domain.ids import UtteranceId
from copilot.domain.insights import Asked, CallDigest, Checked, Place, TermPlace
from kb.analysis import spoken_core
from kb.mining import from_call
from postcall.analytics.leads import LeadRules, leads_of
from postcall.turns import transcript_of

UPSET_RISK = 0.5
"""Complaint risk of the mood report from which a customer counts as upset: a complaint was spoken of, or more than one kind of anger."""
_MOST_TERMS = 8
_MOST_CHARACTERS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Digested:
    """``digest`` without a vector; ``upset`` by mood; ``cause``: of the ticket. ``complete``: summary, ticket and scorecard were there."""

    digest: CallDigest
    upset: bool = False
    cause: str = ""
    complete: bool = False


def digested(
    call_id: str,
    events: Sequence[EventEnvelope],
    artifacts: Sequence[ArtifactBody],
    answers: Mapping[str, str],
    rules: LeadRules,
) -> Digested:
    """``answers``: what a person answered to questions of the scorecard; it stands over the machine's."""
    transcript = transcript_of(events)
    turns = {turn.utterance_id: turn for turn in transcript.turns}
    problem: Place | None = None
    terms: tuple[TermPlace, ...] = ()
    questions: tuple[Checked, ...] = ()
    upset, cause, seen = False, "", set()
    for body in artifacts:
        match body:
            case Summary():
                problem = _problem(body, turns, transcript.language)
                seen.add("summary")
            case TicketClassification():
                cause = body.cause
                seen.add("ticket")
            case QaScorecard():
                questions = tuple(_checked(item, answers) for item in body.items if answers.get(item.item_id, item.answer) in _COUNTED)
                seen.add("qa")
            case MoodReport():
                upset = body.complaint_risk >= UPSET_RISK
            case Keywords():
                terms = _terms(body, turns)
            case _:
                pass
    digest = CallDigest(
        problem=problem,
        terms=terms,
        questions=questions,
        leads=leads_of(transcript.turns, transcript.language, rules),
        asked=_asked(call_id, transcript.language, events, turns),
    )
    return Digested(digest=digest, upset=upset, cause=cause, complete=len(seen) == 3)


_COUNTED = ("pass", "fail")


def _problem(summary: Summary, turns: Mapping[UtteranceId, Turn], language: str) -> Place | None:
    """What the customer came for, in a sentence that can be compared with others: the first problem of the summary."""
    if not summary.problems:
        return None
    statement = summary.problems[0]
    text = spoken_core(statement.text, language)[:_MOST_CHARACTERS]
    return _place(statement.utterance_ids, turns, text) if text else None


def _place(utterance_ids: Sequence[UtteranceId], turns: Mapping[UtteranceId, Turn], text: str) -> Place:
    first = next((turns[name] for name in utterance_ids if name in turns), None)
    return Place(utterance_id=first.utterance_id if first else "", at_ms=first.start_ms if first else 0, text=text)


def _terms(keywords: Keywords, turns: Mapping[UtteranceId, Turn]) -> tuple[TermPlace, ...]:
    found = []
    for word in keywords.terms[:_MOST_TERMS]:
        first = next((turns[name] for name in word.utterance_ids if name in turns), None)
        text = first.text[:_MOST_CHARACTERS] if first is not None else ""
        found.append(TermPlace(term=word.term, known=word.known, place=_place(word.utterance_ids, turns, text)))
    return tuple(found)


def _checked(item: QaItem, answers: Mapping[str, str]) -> Checked:
    shown = item.evidence[0] if item.evidence else None
    place = Place(utterance_id=shown.utterance_id, at_ms=shown.start_ms, text=shown.quote[:_MOST_CHARACTERS]) if shown else None
    return Checked(item_id=item.item_id, passed=answers.get(item.item_id, item.answer) == "pass", place=place)


def _asked(call_id: str, language: str, events: Sequence[EventEnvelope], turns: Mapping[UtteranceId, Turn]) -> tuple[Asked, ...]:
    found = []
    for pair in from_call(call_id, language, [envelope.event for envelope in events]):
        place = _place([UtteranceId(name) for name in pair.origin.utterances], turns, pair.question)
        found.append(Asked(question=pair.question, answer=pair.answer, place=place))
    return tuple(found)
