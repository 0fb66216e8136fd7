"""From spans of speakers to lines of a transcript, and from what they say to who they are. Pure.

Where two speak at once, a word can be only one line's: it goes to whoever holds the floor longer around it, and the overlap is counted, so
that it can be said how much of the call that was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from copilot.domain.transcript import TranscriptFinal, Word

Role = Literal["agent", "customer"]
_SURE = 1.0
"""Words of one role that must outweigh those of the other before anybody is named."""
_GAP_MS = 250
"""A word this far from any span still belongs to the nearest one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerSpan:
    """One speaker from ``start_ms`` to ``end_ms`` of media time; ``speaker`` is a label of this recording only."""

    start_ms: int
    end_ms: int
    speaker: str


class Diarizer(Protocol):
    """The engine. Synchronous; takes about as long as a tenth to a half of the recording on one core."""

    def spans(self, samples: npt.NDArray[np.float32], speakers: int | None = 2) -> list[SpeakerSpan]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenLine:
    """Words of one speaker in a row."""

    final: TranscriptFinal
    speaker: str


def lines_by_speaker(finals: Sequence[TranscriptFinal], spans: Sequence[SpeakerSpan]) -> list[SpokenLine]:
    """Finals cut where the speaker changes. One without word times stays whole, with the speaker of most of it."""
    lines: list[SpokenLine] = []
    for final in finals:
        if not final.words:
            lines.append(SpokenLine(final=final, speaker=_speaker(final.start_ms, final.end_ms, spans)))
            continue
        groups: list[tuple[str, list[Word]]] = []
        for word in final.words:
            speaker = _speaker(word.start_ms, word.end_ms, spans) or (groups[-1][0] if groups else "")
            if groups and (groups[-1][0] == speaker or not groups[-1][0]):
                groups[-1] = (speaker, [*groups[-1][1], word])
            else:
                groups.append((speaker, [word]))
        if len(groups) == 1:
            lines.append(SpokenLine(final=final, speaker=groups[0][0]))
            continue
        gap = "" if final.language == "zh" else " "
        for speaker, words in groups:
            text = gap.join(word.text.strip() for word in words)
            cut = replace(final, text=text, words=tuple(words), start_ms=words[0].start_ms, end_ms=words[-1].end_ms)
            lines.append(SpokenLine(final=cut, speaker=speaker))
    return lines


def _speaker(start_ms: int, end_ms: int, spans: Sequence[SpeakerSpan]) -> str:
    """Who speaks most in this time, else who is nearest; empty when nobody is near."""
    shares: Counter[str] = Counter()
    for span in spans:
        shared = min(end_ms, span.end_ms) - max(start_ms, span.start_ms)
        if shared > 0:
            shares[span.speaker] += shared
    if shares:
        return shares.most_common(1)[0][0]
    near = [(max(span.start_ms - end_ms, start_ms - span.end_ms), span.speaker) for span in spans]
    return min(near)[1] if near and min(near)[0] <= _GAP_MS else ""


def overlap_ms(spans: Sequence[SpeakerSpan]) -> int:
    """How long at least two speak at once."""
    edges = sorted([(span.start_ms, 1) for span in spans] + [(span.end_ms, -1) for span in spans])
    total = open_spans = 0
    before = 0
    for at_ms, step in edges:
        if open_spans >= 2:
            total += at_ms - before
        open_spans += step
        before = at_ms
    return total


_AGENT = {
    "zh": re.compile(
        r"请问(?:有什么|您)|为您服务|工号|帮您|为您|给您|请您|您稍等|请稍等"
        r"|感谢(?:您的)?来电"
        r"|还有(?:什么)?其他"
        r"|本次通话|满意度|核实(?:一下)?您|我行|银行的?(?:客服|工作人员)"
    ),
    "en": re.compile(
        r"\b(?:how (?:can|may) i help|thank you for calling|may i have your|can i get your|let me (?:check|pull|look)|"
        r"is there anything else|"
        r"for you today|your account|have a (?:great|nice|good)|this is \w+ (?:with|from|at)|i'd be happy to|one moment)\b",
        re.IGNORECASE,
    ),
}
_CUSTOMER = {
    "zh": re.compile(
        r"我的(?:卡|信用卡|账户|账号|手机)|我想|我要|帮我|你们(?:银行|行|那)|给我|怎么办|我这边|我昨天"
        r"|我没有?(?:收到|办|用)"
    ),
    "en": re.compile(
        r"\b(?:i (?:want|need|would like|'d like) to|my (?:card|account|order|car|phone)|i'm calling (?:about|because|to)|i'm interested|"
        r"do you (?:have|guys)|can you help me|how much (?:is|are|does))\b",
        re.IGNORECASE,
    ),
}


def roles(lines: Sequence[SpokenLine], language: str) -> Mapping[str, Role]:
    """Speaker → role, by what they say: greetings, offers and closings against needs. Empty when the words do not tell.

    Of more than two speakers the most agent-like is the agent and everybody else a customer.
    """
    weights: dict[str, float] = {}
    for line in lines:
        if not line.speaker:
            continue
        said = line.final.text
        weight = len(_AGENT[language].findall(said)) - len(_CUSTOMER[language].findall(said))
        weights[line.speaker] = weights.get(line.speaker, 0.0) + weight
    if len(weights) < 2:
        return {}
    ranked = sorted(weights, key=lambda speaker: -weights[speaker])
    if weights[ranked[0]] - weights[ranked[1]] < _SURE:
        return {}
    return {speaker: "agent" if speaker == ranked[0] else "customer" for speaker in ranked}
