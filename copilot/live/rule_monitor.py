"""Evaluates the rules of a bank over a call: live, utterance by utterance, and after the call at one go, with the same outcome. Pure.

Everything is decided on the *frontier*: the media time before which every utterance that begins is known. What depends on something not
being said, or on what was said last, waits until the frontier has passed; so neither the order in which finals arrive nor how often the
clock ticks changes an alert. ``evaluate`` is the monitor fed with a finished call.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from copilot.domain.artifacts import Turn
from copilot.domain.events import ComplianceAlerted
from copilot.domain.ids import UtteranceId
from copilot.live import matching
from copilot.live.rule_language import Overtalk, Rate, Says, Silence, Then, Without
from copilot.live.rules import ComplianceRule

_LEAST_RATED_MS = 3_000
_QUOTE = 60


@dataclass(frozen=True, slots=True)
class _Match:
    """``turn`` says it, in the words ``quote``."""

    turn: Turn
    quote: str


@dataclass(slots=True, kw_only=True)
class RuleMonitor:
    """The rules of one call. Feed ``heard`` (in any order), ``known_until`` (as time goes on) and at last ``end``.

    Each returns the alerts that have become certain, each once. ``likeness``: utterance → sentence of a rule → similarity, see ``weighed``.
    """

    language: str
    rules: Sequence[ComplianceRule]
    _turns: list[Turn] = field(init=False, default_factory=list)
    _said: dict[int, list[_Match]] = field(init=False, default_factory=dict)
    _alike: dict[UtteranceId, Mapping[str, float]] = field(init=False, default_factory=dict)
    _held: list[tuple[int, int | None]] = field(init=False, default_factory=list)
    _known_ms: float = field(init=False, default=0)
    _over: bool = field(init=False, default=False)
    _told: set[tuple[str, UtteranceId]] = field(init=False, default_factory=set)

    def heard(self, turn: Turn) -> list[ComplianceAlerted]:
        """One final."""
        bisect.insort(self._turns, turn, key=_order)
        for rule in self.rules:
            for says in _parts(rule):
                self._look(says, turn)
        return self._decide()

    def weighed(self, utterance: UtteranceId, alike: Mapping[str, float]) -> list[ComplianceAlerted]:
        """How similar the utterance is to the sentences of ``phrases``."""
        self._alike[utterance] = alike
        turn = next((turn for turn in self._turns if turn.utterance_id == utterance), None)
        if turn is None:
            return []
        for rule in self.rules:
            for says in _parts(rule):
                if says.like and not any(match.turn.utterance_id == utterance for match in self._said.get(id(says), ())):
                    self._look(says, turn)
        return self._decide()

    def phrases(self, channel: str) -> tuple[str, ...]:
        """The sentences to which what is said on ``channel`` must be compared."""
        wanted = [
            text
            for rule in self.rules
            for says in _parts(rule)
            if says.channel in ("any", channel)
            for text in says.like.get(self.language, ())
        ]
        return tuple(dict.fromkeys(wanted))

    def held(self, at_ms: int, *, held: bool) -> None:
        """The customer is on hold from this media time, or no longer."""
        if held:
            self._held.append((at_ms, None))
        elif self._held and self._held[-1][1] is None:
            self._held[-1] = (self._held[-1][0], at_ms)

    def known_until(self, ms: float) -> list[ComplianceAlerted]:
        """Every utterance that begins before ``ms`` has been heard."""
        if ms <= self._known_ms:
            return []
        self._known_ms = ms
        return self._decide()

    def end(self, ms: int) -> list[ComplianceAlerted]:
        """The call ended at ``ms``; everything has been heard."""
        self._known_ms, self._over = max(self._known_ms, ms), True
        return self._decide()

    def recall(self, alert: ComplianceAlerted) -> None:
        """An alert that was told already, by another node."""
        self._told.add((alert.rule_id, alert.utterance_id))

    def _look(self, says: Says, turn: Turn) -> None:
        if says.channel not in ("any", turn.channel):
            return
        quote = matching.said(says, turn.text, self.language, self._alike.get(turn.utterance_id, {}))
        if quote is not None:
            bisect.insort(self._said.setdefault(id(says), []), _Match(turn, quote), key=lambda match: _order(match.turn))

    def _matches(self, says: Says) -> Sequence[_Match]:
        return self._said.get(id(says), ())

    def _decide(self) -> list[ComplianceAlerted]:
        found = []
        for rule in self.rules:
            for alert in self._of(rule):
                key = (alert.rule_id, alert.utterance_id)
                if key not in self._told:
                    self._told.add(key)
                    found.append(alert)
        return sorted(found, key=lambda alert: alert.at_ms)

    def _of(self, rule: ComplianceRule) -> Iterator[ComplianceAlerted]:
        match rule.when:
            case Says() as says:
                yield from (_alert(rule, match.turn.end_ms, (match,)) for match in self._matches(says))
            case Then() as then:
                yield from self._then(rule, then)
            case Without() as without:
                yield from self._without(rule, without)
            case Silence() as silence:
                yield from self._silence(rule, silence)
            case Overtalk() as overtalk:
                yield from self._overtalk(rule, overtalk)
            case Rate() as rate:
                yield from self._rate(rule, rate)
            case None:
                pass

    def _then(self, rule: ComplianceRule, then: Then) -> Iterator[ComplianceAlerted]:
        for following in self._matches(then.next):
            at = following.turn.end_ms
            if at > self._known_ms:
                continue
            before = [
                first
                for first in self._matches(then.first)
                if first.turn.utterance_id != following.turn.utterance_id and 0 <= at - first.turn.end_ms <= then.within_ms
            ]
            if before:
                yield _alert(rule, at, (before[-1], following))

    def _without(self, rule: ComplianceRule, without: Without) -> Iterator[ComplianceAlerted]:
        expected = [match.turn.start_ms for match in self._matches(without.expected)]
        if without.before is not None:
            for late in self._matches(without.before):
                at = late.turn.start_ms
                if at >= self._known_ms and not self._over:
                    continue  # what begins in this very millisecond, which counts as said in time, may still come
                since = [match for match in self._matches(without.after) if match.turn.start_ms < at] if without.after is not None else []
                begin = since[-1].turn.start_ms if since else 0
                if (without.after is None or since) and not any(begin <= start <= at for start in expected):
                    yield _alert(rule, at, (*since[-1:], late))
        elif without.within_ms is not None and without.after is not None:
            quiet_until = -1
            for match in self._matches(without.after):
                deadline = match.turn.end_ms + without.within_ms
                if match.turn.start_ms < quiet_until:
                    continue  # said again while the first was still waiting for its answer
                quiet_until = deadline
                certain = self._known_ms >= deadline
                if certain and not any(match.turn.start_ms < start < deadline for start in expected):
                    yield _alert(rule, deadline, (match,))
        elif self._over:
            begun = self._matches(without.after) if without.after is not None else ()
            if without.after is None and not expected and self._turns:
                yield _alert(rule, round(self._known_ms), (_Match(self._turns[-1], ""),))
            elif begun and not any(start >= begun[0].turn.start_ms for start in expected):
                yield _alert(rule, round(self._known_ms), (begun[0],))

    def _silence(self, rule: ComplianceRule, silence: Silence) -> Iterator[ComplianceAlerted]:
        ended, last = 0, None
        for turn in self._turns:
            if last is not None and turn.start_ms > ended:
                yield from self._gap(rule, silence, last, ended, turn.start_ms)
            if turn.end_ms >= ended:
                ended, last = turn.end_ms, turn
        if last is not None:
            yield from self._gap(rule, silence, last, ended, self._known_ms)

    def _gap(self, rule: ComplianceRule, silence: Silence, last: Turn, begin: int, end: float) -> Iterator[ComplianceAlerted]:
        """Time on hold is taken out of the gap: the customer hears music, not silence."""
        at = begin + silence.ms
        for start, stop in self._held:
            if start <= at and (stop is None or stop > begin):
                if stop is None:
                    return
                at += stop - max(start, begin)
        if at <= min(end, self._known_ms):
            yield _alert(rule, at, (_Match(last, ""),))

    def _overtalk(self, rule: ComplianceRule, overtalk: Overtalk) -> Iterator[ComplianceAlerted]:
        for number, later in enumerate(self._turns):
            # Sorted by their beginning: what lies over it began before it.
            for earlier in self._turns[max(0, number - 8) : number]:
                if earlier.channel != later.channel and min(earlier.end_ms, later.end_ms) - later.start_ms >= overtalk.ms:
                    yield _alert(rule, later.start_ms + overtalk.ms, (_Match(earlier, ""), _Match(later, "")))

    def _rate(self, rule: ComplianceRule, rate: Rate) -> Iterator[ComplianceAlerted]:
        above, below = rate.above.get(self.language), rate.below.get(self.language)
        for turn in self._turns:
            duration = turn.end_ms - turn.start_ms
            if rate.channel not in ("any", turn.channel) or duration < _LEAST_RATED_MS:
                continue
            speed = matching.units(turn.text, self.language) * 60_000 / duration
            if (above is not None and speed > above) or (below is not None and speed < below):
                yield _alert(rule, turn.end_ms, (_Match(turn, ""),))


def evaluate(
    rules: Sequence[ComplianceRule],
    turns: Iterable[Turn],
    language: str,
    *,
    end_ms: int,
    holds: Sequence[tuple[int, int]] = (),
    alike: Mapping[UtteranceId, Mapping[str, float]] | None = None,
) -> list[ComplianceAlerted]:
    """The alerts of a finished call, by time. ``holds``: when the customer was on hold. ``alike``: see ``RuleMonitor.weighed``."""
    monitor = RuleMonitor(language=language, rules=rules)
    found: list[ComplianceAlerted] = []
    for start, stop in holds:
        monitor.held(start, held=True)
        monitor.held(stop, held=False)
    for turn in turns:
        found += monitor.heard(turn)
        if alike is not None and turn.utterance_id in alike:
            found += monitor.weighed(turn.utterance_id, alike[turn.utterance_id])
    found += monitor.end(end_ms)
    return sorted(found, key=lambda alert: (alert.at_ms, alert.rule_id))


def _order(turn: Turn) -> tuple[int, int, str]:
    return turn.start_ms, turn.end_ms, turn.utterance_id


def _parts(rule: ComplianceRule) -> tuple[Says, ...]:
    match rule.when:
        case Says() as says:
            return (says,)
        case Then() as then:
            return (then.first, then.next)
        case Without() as without:
            return tuple(part for part in (without.after, without.expected, without.before) if part is not None)
        case _:
            return ()


def _alert(rule: ComplianceRule, at_ms: int, matches: Sequence[_Match]) -> ComplianceAlerted:
    newest = matches[-1]
    return ComplianceAlerted(
        rule_id=rule.rule_id,
        kind=rule.kind,
        severity=rule.severity,
        channel=newest.turn.channel,
        utterance_id=newest.turn.utterance_id,
        quote=newest.quote or newest.turn.text[:_QUOTE],
        at_ms=at_ms,
        evidence=tuple(match.turn.utterance_id for match in matches),
        pack_version=rule.pack_version,
    )
