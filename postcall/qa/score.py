"""The quality scorecard of a call: every answer of the rubric with its evidence. Pure.

A pattern is tried per utterance and per turn (see ``postcall.qa.matching``). Scoring::

    score = max(0, 100 · Σ points / Σ weights of passed and failed items − Σ deductions of failed items),   0 if a fatal item failed
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from copilot.domain.artifacts import Evidence, QaItem, QaScorecard, Turn
from postcall.qa.matching import Found, evidence, find, whole
from postcall.qa.rubric import AllSaid, Check, Interruptions, NotSaid, Rubric, RubricItem, Said, SaidBefore, Side, SpeechRate
from postcall.reading import named

HEARD_FLOOR = 0.45
"""Token probability below which words that were recognised are no ground for a judgement (the surest of the evidence counts)."""
MISSED_FLOOR = 0.6
"""Mean token probability of the speech in which something was looked for, below which not having found it says nothing."""
MOST_EVIDENCE = 5
MOST_FORBIDDEN = 20
_OVERLAP_AFTER_MS = 300
_OVERLAP_LONGER_MS = 1500
_RATE_LONGER_MS = 1000
_RATE_LEAST_MS = 20_000
_ZH_SPOKEN = re.compile(r"[\u4e00-\u9fff\d]")
_EN_SPOKEN = re.compile(r"[\w']+")

Answer = Literal["pass", "fail", "na", "not_scorable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An answer with its reason for people. ``heard`` are the utterances the judgement rests on (for its confidence)."""

    answer: Answer
    reason: str
    evidence: tuple[Evidence, ...] = ()
    heard: tuple[Turn, ...] = ()
    by_timing: bool = False


def score(rubric: Rubric, turns: Sequence[Turn], language: str, intents: Collection[str]) -> QaScorecard:
    """All items of the rubric, in its order. ``intents``: those detected in the call; ``turns`` in time order."""
    items = tuple(_item(item, turns, language, intents) for item in rubric.items)
    counted = [item for item in items if item.answer in ("pass", "fail")]
    reachable = sum(item.max_points for item in counted)
    fatal = any(item.fatal and item.answer == "fail" for item in items)
    deductions = sum(rule.deduction for rule, item in zip(rubric.items, items, strict=True) if item.answer == "fail")
    reached = 100 * sum(item.points for item in counted) / reachable if reachable else 0.0
    total = 0.0 if fatal else max(0.0, reached - deductions)
    return QaScorecard(rubric_version=rubric.version, score=round(total, 1), fatal=fatal, items=items, pack_version=rubric.pack_version)


def _item(item: RubricItem, turns: Sequence[Turn], language: str, intents: Collection[str]) -> QaItem:
    verdict = _asked(item, turns, language, intents) or _checked(item.check, turns, language)
    verdict = _doubted(verdict, language)
    confidence = fmean(turn.confidence for turn in verdict.heard) if verdict.heard else 1.0
    return QaItem(
        item_id=item.item_id,
        section=item.section,
        answer=verdict.answer,
        points=item.weight if verdict.answer == "pass" else 0.0,
        max_points=item.weight,
        fatal=item.fatal,
        confidence=round(confidence, 3),
        reason=verdict.reason,
        evidence=verdict.evidence,
        deduction=item.deduction,
    )


def _asked(item: RubricItem, turns: Sequence[Turn], language: str, intents: Collection[str]) -> Verdict | None:
    """None when the item applies to this call, else the answer ``na``."""
    applies = item.applies
    if applies.always or applies.intents & set(intents):
        return None
    if applies.said is not None and find(applies.said, turns, language):
        return None
    return Verdict(answer="na", reason=_say(language, "本次通话不涉及", "Does not apply to this call"))


def _doubted(verdict: Verdict, language: str) -> Verdict:
    """Poorly recognised speech neither proves nor disproves what was said. Timing does not depend on the words."""
    if verdict.answer in ("na", "not_scorable") or verdict.by_timing or not verdict.heard:
        return verdict
    if verdict.evidence and max(turn.confidence for turn in verdict.heard) >= HEARD_FLOOR:
        return verdict
    if not verdict.evidence and _mean(verdict.heard) >= MISSED_FLOOR:
        return verdict
    reason = _say(language, "语音识别置信度过低，需人工复听", "Recognised with too little confidence; listen to decide")
    return Verdict(answer="not_scorable", reason=reason, evidence=verdict.evidence, heard=verdict.heard)


def _mean(turns: Sequence[Turn]) -> float:
    """Mean confidence, weighted by duration."""
    weights = [max(1, turn.end_ms - turn.start_ms) for turn in turns]
    return sum(turn.confidence * weight for turn, weight in zip(turns, weights, strict=True)) / sum(weights)


def _say(language: str, zh: str, en: str) -> str:
    return zh if language == "zh" else en


def _side(channel: Side, language: str) -> str:
    return _say(language, "坐席" if channel == "agent" else "客户", f"the {channel}")


def _of(turns: Sequence[Turn], channel: Side) -> tuple[Turn, ...]:
    return tuple(turn for turn in turns if turn.channel == channel)


def _evidence(found: Sequence[Found], most: int = MOST_EVIDENCE) -> tuple[Evidence, ...]:
    return tuple(evidence(item) for item in found[:most])


def _checked(check: Check, turns: Sequence[Turn], language: str) -> Verdict:
    match check:
        case Interruptions():
            return _interruptions(check, turns, language)
        case SpeechRate():
            return _speech_rate(check, turns, language)
        case AllSaid():
            channel = check.channel
        case Said() | NotSaid() | SaidBefore():
            channel = check.wording.channel
    if not _of(turns, channel):
        reason = _say(language, f"没有可识别的{_side(channel, language)}语音", f"No speech of {_side(channel, language)} was recognised")
        return Verdict(answer="not_scorable", reason=reason)
    match check:
        case Said():
            return _said(check, turns, language)
        case NotSaid():
            return _not_said(check, turns, language)
        case AllSaid():
            return _all_said(check, turns, language)
        case _:
            return _said_before(check, turns, language)


def _said(check: Said, turns: Sequence[Turn], language: str) -> Verdict:
    spoken = _of(turns, check.wording.channel)
    if check.where == "start":
        latest = spoken[0].start_ms + check.within_ms
        searched = tuple(turn for turn in spoken if turn.start_ms <= latest)
    elif check.where == "end":
        earliest = max(turn.end_ms for turn in spoken) - check.within_ms
        searched = tuple(turn for turn in spoken if turn.end_ms >= earliest)
    else:
        searched = spoken
    ids = {turn.utterance_id for turn in searched}
    found = find(check.wording, turns, language, lambda turn: turn.utterance_id in ids)
    if found:
        heard = tuple(item.turn for item in found[:MOST_EVIDENCE])
        return Verdict(answer="pass", reason=_say(language, "已说", "Said"), evidence=_evidence(found), heard=heard)
    return Verdict(answer="fail", reason=_say(language, "未听到要求的内容", "Not heard"), heard=searched)


def _not_said(check: NotSaid, turns: Sequence[Turn], language: str) -> Verdict:
    found = find(check.wording, turns, language)
    if not found:
        heard = _of(turns, check.wording.channel)
        return Verdict(answer="pass", reason=_say(language, "未出现", "Not said"), heard=heard)
    heard = tuple(item.turn for item in found)
    reason = _say(language, f"出现 {len(found)} 处", f"Said {len(found)} time{'s' if len(found) > 1 else ''}")
    return Verdict(answer="fail", reason=reason, evidence=_evidence(found, MOST_FORBIDDEN), heard=heard)


def _all_said(check: AllSaid, turns: Sequence[Turn], language: str) -> Verdict:
    firsts: list[Found] = []
    missing = []
    for group in check.groups:
        found = find(group.wording, turns, language)
        if found:
            firsts.append(found[0])
        else:
            missing.append(named(group.name, language))
    enough = len(firsts) >= check.min_groups
    comma = _say(language, "、", ", ")
    lacking = _say(language, "未听到：", "Not heard: ") + comma.join(missing)
    reason = lacking if missing else _say(language, "要素齐全", "Complete")
    firsts.sort(key=lambda item: item.turn.start_ms)
    distinct = list({item.turn.utterance_id: item for item in firsts}.values())
    # A missing group may lie anywhere on the channel, so a fail rests on all of it.
    heard = tuple(item.turn for item in distinct) if enough else _of(turns, check.channel)
    verdict = Verdict(answer="pass" if enough else "fail", reason=reason, evidence=_evidence(distinct), heard=heard)
    if not enough and _mean(heard) < MISSED_FLOOR:
        reason = _say(language, "语音识别置信度过低，需人工复听", "Recognised with too little confidence; listen to decide")
        return Verdict(answer="not_scorable", reason=reason, evidence=verdict.evidence, heard=heard)
    return verdict


def _said_before(check: SaidBefore, turns: Sequence[Turn], language: str) -> Verdict:
    triggers = find(check.trigger, turns, language)
    if not triggers:
        return Verdict(answer="na", reason=_say(language, "未出现需先核实的操作", "The action that needs it did not come"))
    trigger = triggers[0]
    before = [item for item in find(check.wording, turns, language) if item.turn.start_ms < trigger.turn.start_ms]
    if before:
        reason = _say(language, "操作前已核实", "Said before the action")
        both = (before[0], trigger)
        return Verdict(answer="pass", reason=reason, evidence=_evidence(both), heard=tuple(item.turn for item in both))
    reason = _say(language, "操作前未听到核实", "Not heard before the action")
    earlier = tuple(turn for turn in _of(turns, check.wording.channel) if turn.start_ms < trigger.turn.start_ms)
    if earlier and _mean(earlier) < MISSED_FLOOR:
        doubt = _say(
            language, "操作前的语音识别置信度过低，需人工复听", "Speech before the action was recognised with too little confidence"
        )
        return Verdict(answer="not_scorable", reason=doubt, evidence=_evidence([trigger]), heard=earlier)
    return Verdict(answer="fail", reason=reason, evidence=_evidence([trigger]), heard=(trigger.turn,))


def _interruptions(check: Interruptions, turns: Sequence[Turn], language: str) -> Verdict:
    customers = _of(turns, "customer")
    if not customers or not _of(turns, "agent"):
        return Verdict(answer="na", reason=_say(language, "没有双方语音", "Only one side speaks"))
    cut_in = [
        agent
        for agent in _of(turns, "agent")
        if any(
            customer.end_ms - customer.start_ms > _OVERLAP_LONGER_MS
            and agent.start_ms <= customer.end_ms - check.min_overlap_ms
            and agent.start_ms >= customer.start_ms + _OVERLAP_AFTER_MS
            for customer in customers
        )
    ]
    count = len(cut_in)
    reason = _say(language, f"插话 {count} 次，上限 {check.max_count} 次", f"{count} interruptions, {check.max_count} allowed")
    heard = tuple(cut_in) or _of(turns, "agent")
    return Verdict(
        answer="fail" if count > check.max_count else "pass",
        reason=reason,
        evidence=tuple(whole(turn) for turn in cut_in[:MOST_FORBIDDEN]),
        heard=heard,
        by_timing=True,
    )


def _units(text: str, language: str) -> int:
    return len((_ZH_SPOKEN if language == "zh" else _EN_SPOKEN).findall(text))


def _speech_rate(check: SpeechRate, turns: Sequence[Turn], language: str) -> Verdict:
    spoken = [turn for turn in _of(turns, check.channel) if turn.end_ms - turn.start_ms > _RATE_LONGER_MS]
    total_ms = sum(turn.end_ms - turn.start_ms for turn in spoken)
    if total_ms < _RATE_LEAST_MS or language not in check.least:
        return Verdict(answer="na", reason=_say(language, "语音不足 20 秒", "Under 20 seconds of speech"))

    def rate(group: Sequence[Turn]) -> float:
        return 60_000 * sum(_units(turn.text, language) for turn in group) / sum(turn.end_ms - turn.start_ms for turn in group)

    speed, least, most = rate(spoken), check.least[language], check.most[language]
    reason = _say(language, f"每分钟 {speed:.0f} 字（{least:.0f}–{most:.0f}）", f"{speed:.0f} words a minute ({least:.0f}–{most:.0f})")
    if least <= speed <= most:
        return Verdict(answer="pass", reason=reason, heard=tuple(spoken))
    extreme = sorted(spoken, key=lambda turn: rate([turn]), reverse=speed > most)[:3]
    return Verdict(answer="fail", reason=reason, evidence=tuple(whole(turn) for turn in extreme), heard=tuple(spoken))
