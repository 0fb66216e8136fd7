"""What is understood of a call so far: needs, slots, procedures and what to do next. Pure; the session feeds it and stores its events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from copilot.domain.artifacts import Turn
from copilot.domain.events import CallEvent, ChecklistTicked, IntentDetected, NextActionProposed, SlotFilled
from copilot.domain.ids import UtteranceId
from copilot.domain.intents import UNKNOWN_INTENT, IntentPrediction
from copilot.live.compliance import ticks
from copilot.live.rules import Checklist, ChecklistStep
from copilot.live.slots import slots

_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(slots=True)
class Understanding:
    """The understanding of one call. ``day``: the day of the call, from which "yesterday" is worked out."""

    language: str
    day: date
    checklists: Sequence[Checklist] = ()
    _open: list[str] = field(init=False, default_factory=list)
    """Checklists whose need was stated, the newest last."""
    _done: dict[str, frozenset[str]] = field(init=False, default_factory=dict)
    _needs: set[str] = field(init=False, default_factory=set)
    _told: set[tuple[int, str]] = field(init=False, default_factory=set)
    _slots: dict[str, str] = field(init=False, default_factory=dict)
    """The newest value of each; what was spoken where the value is an id."""
    _at_ms: int = field(init=False, default=0)
    _proposed: tuple[str, str, str] | None = field(init=False, default=None)

    def restore(self, event: CallEvent) -> None:
        """Takes in an event that another node stored of this call."""
        match event:
            case IntentDetected(intent=intent) if intent != UNKNOWN_INTENT:
                self._needs.add(intent)
                for checklist in self.checklists:
                    if intent in checklist.intents:
                        self._begin(checklist)
            case ChecklistTicked():
                self._done[event.checklist_id] = self._done.get(event.checklist_id, frozenset()) | {event.step_id}
            case SlotFilled():
                self._keep(event)
            case NextActionProposed():
                self._proposed = (event.checklist_id, event.step_id, event.script)
            case _:
                pass

    def heard(self, turn: Turn) -> list[CallEvent]:
        """The events of one final: steps it fulfils, slots it names, and the next action if that has changed."""
        events: list[CallEvent] = []
        for checklist in self.checklists:
            if checklist.checklist_id in self._done:
                events += self._tick(checklist, (turn,))
        if turn.channel != "agent":
            for slot in slots(turn.text, turn.utterance_id, day=self.day, language=self.language):
                self._keep(slot)
                events.append(slot)
        self._at_ms = max(self._at_ms, turn.end_ms)
        return events + self._next(turn.utterance_id, turn.end_ms)

    def phrases(self, channel: str) -> tuple[str, ...]:
        """Sentences of open steps to which what is said on ``channel`` is to be compared."""
        return tuple(
            sentence
            for checklist in self.checklists
            if checklist.checklist_id in self._done
            for step in checklist.steps
            if step.step_id not in self._done[checklist.checklist_id] and step.says.channel in ("any", channel)
            for sentence in step.says.like.get(self.language, ())
        )

    def weighed(self, utterance: UtteranceId, alike: Mapping[str, float]) -> list[CallEvent]:
        """Steps that the utterance fulfils by its meaning."""
        events: list[CallEvent] = []
        for checklist in self.checklists:
            name = checklist.checklist_id
            for step in checklist.steps if name in self._done else ():
                best = max((alike.get(sentence, 0.0) for sentence in step.says.like.get(self.language, ())), default=0.0)
                if step.step_id not in self._done[name] and best >= step.says.at_least:
                    self._done[name] |= {step.step_id}
                    tick = ChecklistTicked(
                        checklist_id=name, step_id=step.step_id, utterance_id=utterance, how="meaning", confidence=round(best, 4)
                    )
                    events.append(tick)
        return events + (self._next(utterance, self._at_ms) if events else [])

    def found(
        self,
        prediction: IntentPrediction,
        utterance: UtteranceId,
        *,
        customer_turn: int,
        earlier: Sequence[UtteranceId],
        said: Sequence[Turn],
    ) -> tuple[list[CallEvent], bool]:
        """The events of a turn's intents, and whether its need is new in this call.

        ``earlier``: the utterances that were the prediction's context. ``said``: the call so far, in which steps of a procedure that opens
        now may have been fulfilled already: identity is verified before the need is known.
        """
        if prediction.intent == UNKNOWN_INTENT:
            return [], False
        new = prediction.intent not in self._needs
        refers_to = earlier[prediction.refers_to] if prediction.refers_to is not None and prediction.refers_to < len(earlier) else None
        events: list[CallEvent] = []
        for other in prediction.also:
            if self._first(customer_turn, other.intent):
                # In the order in which they were said: the one to answer now comes last.
                events.append(IntentDetected(utterance_id=utterance, intent=other.intent, confidence=other.confidence, why=prediction.why))
        if self._first(customer_turn, prediction.intent):
            events.append(
                IntentDetected(
                    utterance_id=utterance,
                    intent=prediction.intent,
                    confidence=prediction.confidence,
                    alternatives=prediction.alternatives,
                    why=prediction.why,
                    refers_to=refers_to,
                )
            )
        for intent in (*(other.intent for other in prediction.also), prediction.intent):
            self._needs.add(intent)
            for checklist in self.checklists:
                if intent in checklist.intents and self._begin(checklist):
                    events += self._tick(checklist, said)
        return events + self._next(utterance, said[-1].end_ms if said else 0), new

    def _first(self, customer_turn: int, intent: str) -> bool:
        """A turn of several finals is asked about several times, and told once."""
        told = (customer_turn, intent) in self._told
        self._told.add((customer_turn, intent))
        return not told

    def _keep(self, slot: SlotFilled) -> None:
        self._slots[slot.name] = slot.spoken if slot.name in ("amount", "product", "channel") else slot.value

    def _begin(self, checklist: Checklist) -> bool:
        """True if the checklist was not open yet. The need that was stated last leads."""
        name = checklist.checklist_id
        known = name in self._done
        if known and name in self._open:
            self._open.remove(name)
        self._open.append(name)
        self._done.setdefault(name, frozenset())
        return not known

    def _tick(self, checklist: Checklist, turns: Sequence[Turn]) -> list[CallEvent]:
        done = self._done.get(checklist.checklist_id, frozenset())
        found = ticks(checklist, turns, done, self.language)
        self._done[checklist.checklist_id] = done | {tick.step_id for tick in found}
        return [*found]

    def _next(self, utterance: UtteranceId, at_ms: int) -> list[CallEvent]:
        """The first step that is left of the newest open procedure, if that is another than the one proposed."""
        if not self._open:
            return []
        by_name = {checklist.checklist_id: checklist for checklist in self.checklists}
        chosen: tuple[str, ChecklistStep] | None = None
        for name in reversed(self._open):
            left = [step for step in by_name[name].steps if step.step_id not in self._done[name] and step.says.channel != "customer"]
            if left:
                chosen = (name, left[0])
                break
        script, missing = self._script(chosen[1]) if chosen is not None else ("", ())
        proposed = (chosen[0], chosen[1].step_id, script) if chosen is not None else ("", "", "")
        if proposed == (self._proposed or ("", "", "")):
            return []
        self._proposed = proposed
        return [
            NextActionProposed(
                checklist_id=proposed[0], step_id=proposed[1], utterance_id=utterance, at_ms=at_ms, script=script, missing=missing
            )
        ]

    def _script(self, step: ChecklistStep) -> tuple[str, tuple[str, ...]]:
        """The step's script with this call's slots in it; where one is missing, the plain hint, and which."""
        script = step.script.get(self.language) or step.hint.get(self.language) or ""
        missing = tuple(dict.fromkeys(name for name in _FIELD.findall(script) if name not in self._slots))
        if missing:
            return step.hint.get(self.language) or "", missing
        return _FIELD.sub(lambda match: self._slots[match[1]], script), ()
