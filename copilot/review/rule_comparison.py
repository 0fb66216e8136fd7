"""The rules' alerts of a call as they came live beside those that the same rules give over the finished transcript.

They differ where the transcript was corrected after the alert, where the rules have changed since the call, and for rules that go by
meaning: those are evaluated here by wording and sound alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from copilot.domain.artifacts import Turn
from copilot.domain.errors import Conflict
from copilot.domain.events import CallEnded, CallHeld, CallResumed, CallStarted, ComplianceAlerted, EventEnvelope, UtteranceFinal
from copilot.domain.ids import CallId, OrgId, UtteranceId
from copilot.domain.people import User, scope_of
from copilot.domain.ports.knowledge import ArticleStore
from copilot.live.packs import RulesCache
from copilot.live.rule_monitor import evaluate
from copilot.store.calls import SqlCalls

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """The utterances at which one rule alerted. ``both``, ``live`` and ``after`` do not overlap."""

    rule_id: str
    severity: str
    both: tuple[UtteranceId, ...] = ()
    live: tuple[UtteranceId, ...] = ()
    after: tuple[UtteranceId, ...] = ()


def compared(live: Iterable[ComplianceAlerted], after: Iterable[ComplianceAlerted]) -> tuple[RuleOutcome, ...]:
    """Rule by rule; those that differ first. Several alerts of a rule at one utterance count once. Pure."""
    severities: dict[str, str] = {}
    places: dict[str, tuple[dict[UtteranceId, None], dict[UtteranceId, None]]] = {}
    for side, alerts in enumerate((live, after)):
        for alert in alerts:
            severities[alert.rule_id] = alert.severity
            places.setdefault(alert.rule_id, ({}, {}))[side][alert.utterance_id] = None
    outcomes = [
        RuleOutcome(
            rule_id=rule,
            severity=severities[rule],
            both=tuple(place for place in first if place in second),
            live=tuple(place for place in first if place not in second),
            after=tuple(place for place in second if place not in first),
        )
        for rule, (first, second) in places.items()
    ]
    return tuple(sorted(outcomes, key=lambda one: (not (one.live or one.after), one.rule_id)))


def finished(events: Sequence[EventEnvelope]) -> tuple[str, list[Turn], list[tuple[int, int]], int]:
    """(language, lines in the order of time, holds, end in ms) of a call. Raises Conflict while it is live."""
    language, end_ms, holds, begun = "zh", None, [], None
    turns = []
    for event in (envelope.event for envelope in events):
        match event:
            case CallStarted():
                language = event.language or language
            case UtteranceFinal():
                turns.append(
                    Turn(
                        utterance_id=event.utterance_id,
                        channel=event.channel,
                        start_ms=event.start_ms,
                        end_ms=event.end_ms,
                        text=event.text,
                        confidence=event.confidence,
                    )
                )
            case CallHeld():
                begun = event.at_ms
            case CallResumed() if begun is not None:
                holds.append((begun, event.at_ms))
                begun = None
            case CallEnded():
                end_ms = event.duration_ms
            case _:
                pass
    if end_ms is None:
        raise Conflict("The call is live; its rules are compared when it has ended.")
    return language, sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms)), holds, end_ms


class RuleComparison:
    """Synchronous and thread-safe."""

    def __init__(self, calls: SqlCalls, articles: Callable[[OrgId], ArticleStore]) -> None:
        self._calls = calls
        self._articles = articles
        self._lock = threading.Lock()
        self._rules: dict[OrgId, RulesCache] = {}

    def of_call(self, user: User, call_id: CallId) -> tuple[RuleOutcome, ...]:
        """Raises NotFound also when the call is not in scope, Conflict while it is live."""
        self._calls.call(scope_of(user), call_id)
        events: list[EventEnvelope] = []
        while page := self._calls.events(user.org_id, call_id, events[-1].seq if events else 0, _PAGE):
            events += page
        language, turns, holds, end_ms = finished(events)
        with self._lock:
            cache = self._rules.setdefault(user.org_id, RulesCache(self._articles(user.org_id)))
        after = evaluate(cache.current().compliance, turns, language, end_ms=end_ms, holds=holds)
        return compared((envelope.event for envelope in events if isinstance(envelope.event, ComplianceAlerted)), after)
