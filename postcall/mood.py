"""The mood report of a call: how the customer came across, and what the times tell. Pure.

What the live loop heard (words and voice) stands. Where it did not run, a short list of words decides: then a quiet, bitter customer is
not seen, and the complaint risk is a noisy-or of the kinds of words found (each counts once): a rank, not a calibrated probability.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from copilot.domain.artifacts import MoodPoint, MoodReport, SpeakerPace, Turn
from copilot.domain.audio import CHANNELS
from copilot.domain.events import MoodChanged
from copilot.domain.ids import UtteranceId
from copilot.domain.moods import Mood, Trend
from postcall.needs import CUSTOMER, content_length
from postcall.turns import Transcript

Cue = Literal["anger", "complaint", "worry", "thanks"]
_MOODS: dict[Cue, Mood] = {"anger": "angry", "complaint": "angry", "worry": "anxious", "thanks": "calm"}
_RISKS: dict[Cue, float] = {"complaint": 0.55, "anger": 0.35, "worry": 0.08, "thanks": 0.0}
_TENSION: dict[Mood, float] = {"calm": 0.0, "confused": 0.3, "anxious": 0.5, "angry": 1.0}
_BY_WORDS = 0.6
"""Confidence of a mood that words alone tell."""
_THANKED = 0.7
"""Share of the risk that stays when the customer thanks in the last fifth of the call."""
_STEP = 0.15
"""The trend is steady when the two halves differ by less."""
_LEAST_SILENCE_MS = 2_000
_LEAST_OVERTALK_MS = 300
_LEAST_SPEECH_MS = 3_000


@dataclass(frozen=True, slots=True)
class _Words:
    anger: re.Pattern[str]
    worry: re.Pattern[str]
    complaint: re.Pattern[str]
    thanks: re.Pattern[str]


_WORDS = {
    "zh": _Words(
        anger=re.compile(r"气死|太过分|离谱|忽悠|骗人|什么态度|不像话|欺负|霸王条款|受不了|烦死|凭什么|推来推去|踢皮球|搞什么|坑人"),
        worry=re.compile(r"着急|担心|害怕|急死|怎么办啊|吓|会不会有事|睡不着|急用"),
        complaint=re.compile(
            r"投诉|举报|银保监|金融监管|12378|消费者协会|消协|媒体曝光|曝光|律师|起诉|信访|第[三四五]次|打了好几[次遍]|说了好几[次遍]|领导来"
        ),
        thanks=re.compile(r"谢谢|感谢|辛苦|麻烦你了|太好了|放心了|挺好的"),
    ),
    "en": _Words(
        anger=re.compile(
            r"\b(?:ridiculous|unacceptable|furious|angry|disgusting|rip[- ]?off|fed up|sick of|useless|scam)\b", re.IGNORECASE
        ),
        worry=re.compile(r"\b(?:worried|worrying|scared|afraid|panicking|anxious|urgent(?:ly)?|desperate)\b", re.IGNORECASE),
        complaint=re.compile(
            r"\b(?:complain\w*|ombudsman|regulator|lawyer|solicitor|sue|manager|third time|called (?:three|four|several) times)\b",
            re.IGNORECASE,
        ),
        thanks=re.compile(r"\b(?:thank you|thanks|appreciate|great help|perfect|wonderful)\b", re.IGNORECASE),
    ),
}
_DENIED = re.compile(r"(?:不是要?|没(?:有)?要?|不想|不会|不)(?:来)?$")


def report(transcript: Transcript) -> MoodReport:
    """The mood report. A call without words of the customer has no points and risk 0."""
    if transcript.moods:
        points = [_heard(mood) for mood in transcript.moods if mood.mood != "calm"]
        tensions = [(mood.at_ms, _TENSION[mood.mood]) for mood in transcript.moods]
        peak = max(transcript.moods, key=lambda mood: mood.complaint_risk)
        risk = round(peak.complaint_risk, 3)
        evidence: tuple[UtteranceId, ...] = (peak.utterance_id,) if risk else ()
    else:
        found = [(turn, cue) for turn in transcript.turns if turn.channel in CUSTOMER and (cue := _cue(turn, transcript.language))]
        points = [_worded(turn, cue) for turn, cue in found]
        tensions = [(turn.start_ms, _TENSION[_MOODS[cue]]) for turn, cue in found]
        risk, evidence = _risk(found, transcript.turns)
    silence_ms, longest_ms, longest_at_ms = _silence(transcript.turns)
    return MoodReport(
        points=tuple(points),
        trend=_trend(tensions, transcript.turns),
        complaint_risk=risk,
        risk_evidence=evidence,
        pace=tuple(pace for channel in CHANNELS if (pace := _pace(channel, transcript)) is not None),
        silence_ms=silence_ms,
        longest_silence_ms=longest_ms,
        longest_silence_at_ms=longest_at_ms,
        overtalk_ms=_overtalk(transcript.turns),
    )


def tells_mood(term: str, language: str) -> bool:
    """Whether a word is one of those that make a call's complaint risk: that it goes with complaints says nothing."""
    words = _WORDS["zh" if language == "zh" else "en"]
    return any(pattern.search(term) is not None for pattern in (words.anger, words.worry, words.complaint))


def _heard(mood: MoodChanged) -> MoodPoint:
    return MoodPoint(utterance_id=mood.utterance_id, at_ms=mood.at_ms, mood=mood.mood, confidence=round(mood.confidence, 3), heard="live")


def _worded(turn: Turn, cue: Cue) -> MoodPoint:
    return MoodPoint(utterance_id=turn.utterance_id, at_ms=turn.start_ms, mood=_MOODS[cue], confidence=_BY_WORDS, heard="words")


def _cue(turn: Turn, language: str) -> Cue | None:
    """The worst kind of words in an utterance, or its thanks."""
    words = _WORDS[language]
    patterns: tuple[tuple[Cue, re.Pattern[str]], ...] = (
        ("anger", words.anger),
        ("complaint", words.complaint),
        ("worry", words.worry),
        ("thanks", words.thanks),
    )
    for cue, pattern in patterns:
        found = pattern.search(turn.text)
        if found is not None and not (language == "zh" and _DENIED.search(turn.text[: found.start()])):
            return cue
    return None


def _risk(found: Sequence[tuple[Turn, Cue]], turns: Sequence[Turn]) -> tuple[float, tuple[UtteranceId, ...]]:
    first: dict[Cue, Turn] = {}
    for turn, cue in found:
        if _RISKS[cue]:
            first.setdefault(cue, turn)
    safe = 1.0
    for cue in first:
        safe *= 1 - _RISKS[cue]
    end_ms = max((turn.end_ms for turn in turns), default=0)
    thanked = any(cue == "thanks" and turn.start_ms >= 0.8 * end_ms for turn, cue in found)
    risk = (1 - safe) * (_THANKED if thanked else 1.0)
    return round(risk, 3), tuple(turn.utterance_id for turn in sorted(first.values(), key=lambda turn: turn.start_ms))


def _trend(tensions: Sequence[tuple[int, float]], turns: Sequence[Turn]) -> Trend:
    middle_ms = max((turn.end_ms for turn in turns), default=0) / 2
    halves = [[tension for at_ms, tension in tensions if (at_ms >= middle_ms) is late] for late in (False, True)]
    first, last = (sum(half) / len(half) if half else 0.0 for half in halves)
    if last - first >= _STEP:
        return "rising"
    return "easing" if first - last >= _STEP else "steady"


def _pace(channel: str, transcript: Transcript) -> SpeakerPace | None:
    own = [turn for turn in transcript.turns if turn.channel == channel]
    if not own:
        return None
    speech_ms = sum(turn.end_ms - turn.start_ms for turn in own)
    units = sum(content_length(turn.text) if transcript.language == "zh" else len(turn.text.split()) for turn in own)
    # Of a few words the rate says nothing.
    rate = round(units * 60_000 / speech_ms) if speech_ms >= _LEAST_SPEECH_MS else 0
    return SpeakerPace(channel=own[0].channel, speech_ms=speech_ms, units_per_minute=rate)


def _silence(turns: Sequence[Turn]) -> tuple[int, int, int]:
    """(ms of silence, the longest one, where it begins), of pauses from two seconds on, between the first word and the last."""
    total = longest = at_ms = 0
    heard_ms = turns[0].end_ms if turns else 0
    for turn in turns[1:]:
        pause = turn.start_ms - heard_ms
        if pause >= _LEAST_SILENCE_MS:
            total += pause
            if pause > longest:
                longest, at_ms = pause, heard_ms
        heard_ms = max(heard_ms, turn.end_ms)
    return total, longest, at_ms


def _overtalk(turns: Sequence[Turn]) -> int:
    """ms in which two channels overlap, of overlaps that are more than a slip."""
    total = 0
    for before, after in pairwise(turns):
        if before.channel != after.channel:
            shared = min(before.end_ms, after.end_ms) - after.start_ms
            total += shared if shared >= _LEAST_OVERTALK_MS else 0
    return total
