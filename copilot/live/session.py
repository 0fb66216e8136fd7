"""The live session of one call: what was heard and found goes in, effects come out. Pure: no I/O, no clock, no tasks.

A customer's final becomes an ``Investigate`` effect (intent and retrieval for the words of the open turn); its ``Findings`` become an
intent event and, if the attention budget allows, a suggestion. Alerts, checklist ticks and slots come from every final on the spot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from copilot.domain.artifacts import Turn
from copilot.domain.events import (
    CallEvent,
    CallHeld,
    CallResumed,
    ComplianceAlerted,
    MoodChanged,
    SuggestionOffered,
    SuggestionOutcome,
    SuggestionWithdrawn,
    UtteranceFinal,
)
from copilot.domain.ids import ArticleId, SuggestionId, UtteranceId, suggestion_id
from copilot.domain.intents import UNKNOWN_INTENT, IntentPrediction
from copilot.domain.knowledge import Hit, Query
from copilot.domain.moods import MoodReading, VoiceMeasure
from copilot.domain.ports.llm import ReplyPiece
from copilot.domain.suggestions import Stage
from copilot.live import suggest
from copilot.live.dialogue import Dialogue, is_question, worth_asking
from copilot.live.dynamics import Dynamics
from copilot.live.guard import AttentionPolicy, Guard
from copilot.live.matching import units
from copilot.live.mood import MoodTracker
from copilot.live.outcome import Outcomes
from copilot.live.rule_monitor import RuleMonitor
from copilot.live.rules import Checklist, ComplianceRule
from copilot.live.understanding import Understanding


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A final, masked and stored."""

    turn: Turn
    voice: VoiceMeasure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an ``Investigate`` found. ``stages`` and ``total_ms`` say where the time since the customer's speech end went."""

    utterance_id: UtteranceId
    prediction: IntentPrediction
    hits: tuple[Hit, ...]
    mood: MoodReading | None = None
    stages: tuple[Stage, ...] = ()
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyWritten:
    """A generated reply beside ``card`` is complete and passed its guard. ``hits``: what its pieces cite."""

    card: SuggestionId
    pieces: tuple[ReplyPiece, ...]
    hits: tuple[Hit, ...]
    model: str
    stages: tuple[Stage, ...] = ()
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """A final heard before, in which something personal was found since, masked anew."""

    turn: Turn


Source = tuple[str, int]
"""An article's id and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfForce:
    """These versions may not be quoted any more, and why (see ``SuggestionWithdrawn``)."""

    sources: Mapping[Source, Literal["superseded", "ended"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that was said before this media time has been heard."""

    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """How similar an utterance is to sentences of the rules."""

    utterance_id: UtteranceId
    alike: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The customer is on hold from this media time, or no longer."""

    at_ms: int
    held: bool


SessionInput = Known | Weighed | Held | Restated | Heard | Findings | ReplyWritten | OutOfForce


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Append these events, in order."""

    events: tuple[CallEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Investigate:
    """Find the intent and the knowledge for ``text``. A newer one supersedes an older one that has not begun."""

    utterance_id: UtteranceId
    text: str
    language: str
    context: tuple[str, ...]
    customer_turn: int
    earlier: tuple[UtteranceId, ...] = ()
    """The utterances of ``context``."""

    def query(self, prediction: IntentPrediction, day: date) -> Query:
        """What to search for. Putting the earlier words that a short turn goes on with before it was tried and found no more."""
        return Query(text=self.text, language=self.language, intents=prediction.chances, day=day, top_k=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReply:
    """Generate a grounded reply beside the card already shown."""

    card: SuggestionId
    turns: tuple[Turn, ...]
    hits: tuple[Hit, ...]
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weigh:
    """Compare an utterance with ``phrases``; the answer is a ``Weighed``."""

    utterance_id: UtteranceId
    text: str
    language: str
    phrases: tuple[str, ...]


Effect = Record | Investigate | WriteReply | Weigh


@dataclass(slots=True)
class LiveSession:
    """The state of one live call. Feed it inputs in order; run the effects it returns in order."""

    language: str
    day: date
    """The day of the call, from which "yesterday" is worked out."""
    rules: Sequence[ComplianceRule] = ()
    checklists: Sequence[Checklist] = ()
    policy: AttentionPolicy = field(default_factory=AttentionPolicy)
    generate: bool = False
    generate_always: bool = False
    """Also beside an approved answer that clearly fits."""
    dialogue: Dialogue = field(init=False)
    guard: Guard = field(init=False)
    outcomes: Outcomes = field(init=False, default_factory=Outcomes)
    understanding: Understanding = field(init=False)
    monitor: RuleMonitor = field(init=False)
    mood: MoodTracker = field(init=False, default_factory=MoodTracker)
    dynamics: Dynamics = field(init=False)
    _cards: dict[SuggestionId, SuggestionOffered] = field(init=False, default_factory=dict)
    _asked_turn: dict[UtteranceId, Investigate] = field(init=False, default_factory=dict)
    _gone: set[Source] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.dialogue = Dialogue(language=self.language)
        self.guard = Guard(policy=self.policy)
        self.monitor = RuleMonitor(language=self.language, rules=self.rules)
        self.dynamics = Dynamics(language=self.language)
        self.understanding = Understanding(language=self.language, day=self.day, checklists=self.checklists)

    def restore(self, events: Sequence[CallEvent]) -> None:
        """Takes over where another node stopped: what was said, understood, ticked and offered, in order."""
        for event in events:
            self.understanding.restore(event)
            match event:
                case ComplianceAlerted():
                    self.monitor.recall(event)
                case MoodChanged():
                    self.mood.restore(event)
                case CallHeld() | CallResumed():
                    self.receive(Held(at_ms=event.at_ms, held=isinstance(event, CallHeld)))
                case UtteranceFinal():
                    self.dialogue.add(turn_of(event))
                    self.monitor.heard(turn_of(event))
                    self.dynamics.heard(turn_of(event))
                    self.outcomes.heard(turn_of(event))
                case SuggestionOffered():
                    self._cards[event.suggestion_id] = event
                    self.outcomes.offered(event)
                    if event.kind != "nothing":
                        self.guard.place(event.suggestion_id, event.at_ms, replaces=event.replaces, retires=event.retires)
                    for citation in event.citations[:1]:
                        self.guard.recall(citation.article_id, event.at_ms)
                case SuggestionOutcome():
                    self.outcomes.settled(event.suggestion_id)
                case SuggestionWithdrawn():
                    self._gone.add((event.article_id, event.version))
                case _:
                    pass

    def receive(self, event: SessionInput) -> list[Effect]:
        """The effects of one input."""
        match event:
            case Heard():
                return self._heard(event.turn, event.voice)
            case Known():
                return _record([*self.monitor.known_until(event.ms), *self.dynamics.measure(event.ms)])
            case Weighed():
                return _record(
                    [*self.monitor.weighed(event.utterance_id, event.alike), *self.understanding.weighed(event.utterance_id, event.alike)]
                )
            case Held():
                self.monitor.held(event.at_ms, held=event.held)
                self.dynamics.held(event.at_ms, held=event.held)
                return []
            case Restated():
                self.dialogue.restate(event.turn)
                return []
            case Findings():
                return self._found(event)
            case ReplyWritten():
                return self._replied(event)
            case OutOfForce():
                return self._withdraw(event)

    def preview(self, utterance_id: UtteranceId, text: str) -> Investigate | None:
        """What the customer would be asking if these were the words; None if that is nothing to look up."""
        need = self.dialogue.need(text)
        if not worth_asking(need, self.language):
            return None
        return Investigate(
            utterance_id=utterance_id,
            text=need,
            language=self.language,
            context=tuple(said.text for said in self.dialogue.earlier()),
            earlier=tuple(said.utterance_id for said in self.dialogue.earlier()),
            customer_turn=self.dialogue.customer_turn,
        )

    def close(self, duration_ms: int) -> list[Effect]:
        """The call is over: what it leaves undecided is decided now."""
        return _record([*self.outcomes.end(), *self.monitor.end(duration_ms), *self.dynamics.measure(duration_ms, last=True)])

    def on_screen(self) -> tuple[SuggestionOffered, ...]:
        """The cards that the agent sees, oldest first."""
        return tuple(self._cards[name] for name in self.guard.screen)

    def cited(self) -> frozenset[Source]:
        """The sources of all cards that are not withdrawn."""
        return frozenset(source for card in self._cards.values() for source in _sources(card)) - self._gone

    def _heard(self, turn: Turn, voice: VoiceMeasure | None) -> list[Effect]:
        self.dialogue.add(turn)
        self.dynamics.heard(turn)
        if turn.channel == "customer":
            self.mood.heard(turn.utterance_id, voice, units(turn.text, self.language))
        events: list[CallEvent] = [
            *self.outcomes.heard(turn),
            *self.monitor.heard(turn),
            *self.understanding.heard(turn),
        ]
        effects = _record(events)
        phrases = (*self.monitor.phrases(turn.channel), *self.understanding.phrases(turn.channel))
        if phrases:
            effects.append(Weigh(utterance_id=turn.utterance_id, text=turn.text, language=self.language, phrases=phrases))
        need = self.dialogue.need()
        if turn.channel != "agent" and worth_asking(need, self.language):
            ask = Investigate(
                utterance_id=turn.utterance_id,
                text=need,
                language=self.language,
                context=tuple(said.text for said in self.dialogue.earlier()),
                earlier=tuple(said.utterance_id for said in self.dialogue.earlier()),
                customer_turn=self.dialogue.customer_turn,
            )
            self._asked_turn[turn.utterance_id] = ask
            effects.append(ask)
        return effects

    def _found(self, found: Findings) -> list[Effect]:
        asked = self._asked_turn.pop(found.utterance_id, None)
        if asked is None:
            return []
        if self._gone:
            found = replace(found, hits=tuple(hit for hit in found.hits if (hit.article.article_id, hit.article.version) not in self._gone))
        known = found.prediction.intent != UNKNOWN_INTENT
        events, new = self.understanding.found(
            found.prediction,
            found.utterance_id,
            customer_turn=asked.customer_turn,
            earlier=asked.earlier,
            said=self.dialogue.turns,
        )
        at_ms = self._at_ms(found.utterance_id)
        if found.mood is not None and self._by_customer(found.utterance_id):
            changed = self.mood.read(
                found.mood,
                found.utterance_id,
                customer_turn=asked.customer_turn,
                at_ms=at_ms,
                complains=found.prediction.intent.startswith("complaint_"),
            )
            events += [changed] if changed is not None else []
        hits = suggest.presentable(found.hits)
        offer = self.guard.consider(
            hits,
            customer_turn=asked.customer_turn,
            at_ms=at_ms,
            current_turn=self.dialogue.customer_turn,
            now_ms=self.dialogue.turns[-1].end_ms,
        )
        reply: WriteReply | None = None
        if offer is not None and (known or is_question(asked.text)):
            # A statement without a known intent is not a need, however well some article matches its words.
            card = suggest.card(
                suggestion_id(len(self._cards) + 1), offer, found.prediction, found.utterance_id, at_ms, found.stages, found.total_ms
            )
            self.guard.offered(card.suggestion_id, offer, customer_turn=asked.customer_turn, at_ms=at_ms)
            self.outcomes.offered(card)
            self._cards[card.suggestion_id] = card
            events.append(card)
            wanted = self.generate and (self.generate_always or not suggest.fits_verbatim(offer.hits[0]))
            if wanted and offer.hits[0].article.audience == "customer":
                sayable = tuple(hit for hit in offer.hits if hit.article.audience == "customer")
                reply = WriteReply(card=card.suggestion_id, turns=tuple(self.dialogue.recent()), hits=sayable, language=self.language)
        elif (
            # What the customer adds to a need that is known already is no new question.
            (new or is_question(asked.text))
            and not any(hit.fits and hit.confidence >= self.policy.min_confidence for hit in hits)
            and self.guard.may_say_nothing(customer_turn=asked.customer_turn)
        ):
            nothing = suggest.nothing(
                suggestion_id(len(self._cards) + 1), found.prediction, found.utterance_id, at_ms, found.stages, found.total_ms
            )
            self._cards[nothing.suggestion_id] = nothing
            events.append(nothing)
        effects: list[Effect] = [Record(events=tuple(events))] if events else []
        return [*effects, reply] if reply is not None else effects

    def _replied(self, reply: ReplyWritten) -> list[Effect]:
        first = self._cards.get(reply.card)
        if first is None or self._gone.intersection(_sources(first)) or next(reversed(self._cards)) != reply.card:
            # The talk went on, and a newer card with it: an old one must not come to the front again.
            return []
        card = suggest.generated(
            suggestion_id(len(self._cards) + 1), first, reply.pieces, reply.hits, reply.model, reply.stages, reply.total_ms
        )
        self.guard.place(card.suggestion_id, card.at_ms, replaces=reply.card)
        self.outcomes.offered(card)
        self._cards[card.suggestion_id] = card
        return [Record(events=(card,))]

    def _withdraw(self, out: OutOfForce) -> list[Effect]:
        events: list[CallEvent] = []
        for source, reason in out.sources.items():
            if source in self._gone:
                continue
            self._gone.add(source)
            article_id, version = source
            events += [
                SuggestionWithdrawn(suggestion_id=number, article_id=ArticleId(article_id), version=version, reason=reason)
                for number, card in self._cards.items()
                if source in _sources(card)
            ]
        return [Record(events=tuple(events))] if events else []

    def _by_customer(self, utterance: UtteranceId) -> bool:
        """False on a mixed channel: it may be the agent, whose mood is nobody's business."""
        return any(turn.utterance_id == utterance and turn.channel == "customer" for turn in reversed(self.dialogue.turns))

    def _at_ms(self, utterance: UtteranceId) -> int:
        for turn in reversed(self.dialogue.turns):
            if turn.utterance_id == utterance:
                return turn.end_ms
        return 0


def _record(events: Sequence[CallEvent]) -> list[Effect]:
    return [Record(events=tuple(events))] if events else []


def _sources(card: SuggestionOffered) -> frozenset[Source]:
    citations = (*card.citations, *(option.citation for option in card.options))
    return frozenset((citation.article_id, citation.version) for citation in citations)


def turn_of(final: UtteranceFinal) -> Turn:
    """A stored final as a line of the dialogue."""
    return Turn(
        utterance_id=final.utterance_id,
        channel=final.channel,
        start_ms=final.start_ms,
        end_ms=final.end_ms,
        text=final.text,
        confidence=final.confidence,
    )
