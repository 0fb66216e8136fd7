"""A draft of a pack and the version in force, both judged on the same finished calls: what would change, and who people agree with. Pure.

A judgement gives one answer for each key: of a rubric the answers to its questions, of a taxonomy the ticket's category and cause, of
rules whether each alerts, of checklists whether each step was done. Nothing here keeps a word that was said: evidence is ids of utterances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from copilot.domain.ids import CallId, UtteranceId
from copilot.live.compliance import ticks
from copilot.live.rule_monitor import evaluate
from copilot.live.rules import Checklist, ComplianceRule
from copilot.review.agreement import Agreement, agreement
from postcall.classify import CategoryIndex, classify
from postcall.packs import Taxonomy
from postcall.qa.rubric import Rubric
from postcall.qa.score import score
from postcall.turns import FoundIntent, Transcript

Json = dict[str, Any]
DryPack = Literal["rubric", "taxonomy", "compliance", "sop"]
DRY_PACKS: tuple[DryPack, ...] = ("rubric", "taxonomy", "compliance", "sop")
_MOST_EVIDENCE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One finished call, as every judge sees it. ``human``: what people answered, by the same keys; ``live``: rule → utterances it alerted
    at while the call went on. ``alike``: see ``copilot.live.rule_monitor.evaluate``."""

    call_id: CallId
    transcript: Transcript
    intents: Sequence[FoundIntent] = ()
    end_ms: int = 0
    holds: Sequence[tuple[int, int]] = ()
    alike: Mapping[UtteranceId, Mapping[str, float]] = field(default_factory=dict)
    human: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, frozenset[UtteranceId]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """``answers``: key → answer; ``evidence``: key → the utterances it rests on; ``score`` in [0, 100] of a rubric.

    ``stakes``: question → what its answer does to the score, (weight, fatal, deduction), of those that do something.
    """

    answers: Mapping[str, str]
    evidence: Mapping[str, tuple[UtteranceId, ...]]
    score: float | None = None
    stakes: Mapping[str, tuple[float, bool, float]] = field(default_factory=dict)


Judge = Callable[[Case], Judgement]


def by_rubric(rubric: Rubric) -> Judge:
    def judge(case: Case) -> Judgement:
        card = score(rubric, case.transcript.turns, case.transcript.language, {found.intent for found in case.intents})
        return Judgement(
            answers={item.item_id: item.answer for item in card.items},
            evidence={item.item_id: tuple(piece.utterance_id for piece in item.evidence) for item in card.items},
            score=card.score,
            stakes={
                item.item_id: (item.max_points, item.fatal and item.answer == "fail", item.deduction if item.answer == "fail" else 0.0)
                for item in card.items
                if item.answer in ("pass", "fail")
            },
        )

    return judge


def by_taxonomy(taxonomy: Taxonomy, index: CategoryIndex | None = None) -> Judge:
    """Keys: ``level1``, ``level2`` and ``cause``."""

    def judge(case: Case) -> Judgement:
        ticket = classify(taxonomy, case.transcript, case.intents, index)
        answers = {"level1": ticket.level1, "level2": ticket.level2, "cause": ticket.cause}
        evidence = {"level1": ticket.evidence, "level2": ticket.evidence, "cause": ticket.cause_evidence}
        return Judgement(answers=answers, evidence=evidence)

    return judge


def by_rules(rules: Sequence[ComplianceRule]) -> Judge:
    """Keys: ids of rules; the answer is the number of utterances at which it alerts."""

    def judge(case: Case) -> Judgement:
        found: dict[str, dict[UtteranceId, None]] = {rule.rule_id: {} for rule in rules}
        turns, language = case.transcript.turns, case.transcript.language
        for alert in evaluate(rules, turns, language, end_ms=case.end_ms, holds=case.holds, alike=case.alike):
            found[alert.rule_id][alert.utterance_id] = None
        return Judgement(
            answers={name: str(len(places)) for name, places in found.items()},
            evidence={name: tuple(places) for name, places in found.items()},
        )

    return judge


def by_checklists(checklists: Sequence[Checklist]) -> Judge:
    """Keys: ``checklist/step`` of the checklists whose intents were found; ``done`` or ``open``. By wording and sound, not by meaning."""

    def judge(case: Case) -> Judgement:
        heard = {found.intent for found in case.intents}
        answers: dict[str, str] = {}
        evidence: dict[str, tuple[UtteranceId, ...]] = {}
        for checklist in checklists:
            if not heard & set(checklist.intents):
                continue
            found = ticks(checklist, case.transcript.turns, frozenset(), case.transcript.language)
            done = {tick.step_id: tick.utterance_id for tick in found}
            for step in checklist.steps:
                key = f"{checklist.checklist_id}/{step.step_id}"
                answers[key] = "done" if step.step_id in done else "open"
                evidence[key] = (done[step.step_id],) if step.step_id in done else ()
        return Judgement(answers=answers, evidence=evidence)

    return judge


@dataclass(slots=True, kw_only=True)
class Tally:
    """Adds up calls. ``add`` gives what would change in one as JSON, None if nothing would."""

    pack: DryPack
    calls: int = 0
    changed: int = 0
    _before: dict[str, Counter[str]] = field(default_factory=dict)
    _after: dict[str, Counter[str]] = field(default_factory=dict)
    _moved: Counter[str] = field(default_factory=Counter)
    _scores: list[tuple[float, float]] = field(default_factory=list)
    _pairs: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = field(default_factory=dict)
    _reviewed: int = 0
    _live: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, case: Case, before: Judgement, after: Judgement) -> Json | None:
        self.calls += 1
        changes = []
        for key in dict.fromkeys((*before.answers, *after.answers)):
            old, new = before.answers.get(key), after.answers.get(key)
            first, then = before.evidence.get(key, ()), after.evidence.get(key, ())
            weighs, weighed = before.stakes.get(key), after.stakes.get(key)
            # The same answer may count more, or have become fatal.
            counts_else = weighs is not None and weighed is not None and weighs != weighed
            differs = counts_else or self._differ(old, new, first, then)
            self._count(key, old, new, differs)
            if differs:
                alone = self.pack == "compliance"
                change: Json = {"key": key, "before": old, "after": new}
                change["before_evidence"] = _few(first, then if alone else ())
                change["after_evidence"] = _few(then, first if alone else ())
                if counts_else:
                    change |= {"before_stake": _stake(weighs), "after_stake": _stake(weighed)}
                changes.append(change)
        self._compare(case, before, after)
        if before.score is not None and after.score is not None:
            self._scores.append((before.score, after.score))
        if not changes and before.score == after.score:
            return None
        self.changed += 1
        return {"before_score": before.score, "after_score": after.score, "changes": changes}

    def _differ(self, old: str | None, new: str | None, first: Sequence[UtteranceId], then: Sequence[UtteranceId]) -> bool:
        if self.pack == "compliance":
            # A rule that alerts elsewhere has changed, though as often as before; one that never alerted here may go unnoticed.
            return set(first) != set(then)
        # A question that is not asked of a call, because it is gone or does not apply, is the same to its score.
        return (old or "na") != (new or "na") if self.pack == "rubric" else old != new

    def _count(self, key: str, old: str | None, new: str | None, differs: bool) -> None:
        if self.pack == "taxonomy":
            # One line for each category, not for each question: how many calls it has.
            for side, answer in ((self._before, old), (self._after, new)):
                if answer:
                    side.setdefault(f"{key}/{answer}", Counter())["calls"] += 1
            if differs:
                self._moved.update(f"{key}/{answer}" for answer in (old, new) if answer)
            return
        for side, answer in ((self._before, old), (self._after, new)):
            counts = side.setdefault(key, Counter())
            if answer is not None and self.pack == "compliance":
                counts["alerts"] += int(answer)
                counts["calls"] += int(answer) > 0
            elif answer is not None:
                counts[answer] += 1
        self._moved[key] += differs

    def _compare(self, case: Case, before: Judgement, after: Judgement) -> None:
        self._reviewed += bool(case.human)
        for key, person in case.human.items():
            pairs = self._pairs.setdefault(key, ([], []))
            for side, judgement in zip(pairs, (before, after), strict=True):
                if key in judgement.answers:
                    side.append((judgement.answers[key], person))
        if self.pack != "compliance":
            return
        for rule in dict.fromkeys((*before.answers, *case.live)):
            live, later = set(case.live.get(rule, ())), set(before.evidence.get(rule, ()))
            counts = self._live.setdefault(rule, Counter())
            counts.update(live=len(live), after=len(later), both=len(live & later))
            counts.update(only_live=len(live - later), only_after=len(later - live))
            counts["calls"] += bool(live | later)
            counts["calls_differing"] += live != later

    def result(self) -> Json:
        """See docs/reference/packs.md. Lines that changed come first."""
        lines: list[Json] = [
            {
                "key": key,
                "before": dict(self._before.get(key, Counter())),
                "after": dict(self._after.get(key, Counter())),
                "changed": self._moved[key],
            }
            for key in dict.fromkeys((*self._before, *self._after))
        ]
        lines.sort(key=lambda line: -line["changed"])
        found: Json = {"calls": self.calls, "changed": self.changed, "lines": lines, "score": None, "agreement": None, "live": None}
        if self._scores:
            count = len(self._scores)
            found["score"] = {
                "before": round(sum(old for old, _ in self._scores) / count, 1),
                "after": round(sum(new for _, new in self._scores) / count, 1),
                "lower": sum(new < old for old, new in self._scores),
                "higher": sum(new > old for old, new in self._scores),
            }
        if self._reviewed:
            every = [pair for pairs, _ in self._pairs.values() for pair in pairs], [p for _, pairs in self._pairs.values() for p in pairs]
            found["agreement"] = {
                "calls": self._reviewed,
                "overall": _both(*every) if self.pack == "rubric" else None,
                "questions": {key: _both(*pairs) for key, pairs in self._pairs.items()},
            }
        if self.pack == "compliance":
            live = [{"key": rule, **{name: counts[name] for name in _LIVE}} for rule, counts in self._live.items()]
            found["live"] = sorted(live, key=lambda line: -(line["only_live"] + line["only_after"]))
        return found


_LIVE = ("live", "after", "both", "only_live", "only_after", "calls", "calls_differing")


def _few(evidence: Sequence[UtteranceId], but: Sequence[UtteranceId]) -> list[UtteranceId]:
    return [place for place in evidence if place not in but][:_MOST_EVIDENCE]


def _stake(stake: tuple[float, bool, float] | None) -> Json | None:
    return dict(zip(("weight", "fatal", "deduction"), stake, strict=True)) if stake is not None else None


def _both(before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]) -> Json:
    figures: list[Agreement] = [agreement(before), agreement(after)]
    return {"before": asdict(figures[0]), "after": asdict(figures[1])}
