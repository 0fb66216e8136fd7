"""Where personal information was said in a call, in ms, and how those stretches of a recording are hidden. Pure.

The masker gives every masked span of a final one word, its token, with the span's times: where is known without what. Where the words do
not say it, the whole utterance is hidden; so is speech that nobody has put into words, since it cannot be checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from copilot.domain.artifacts import HiddenSpan
from copilot.domain.audio import ChannelName
from copilot.domain.events import CallEnded, Degraded, EventEnvelope, MediaGapRecorded, Redacted, UtteranceFinal

PAD_MS = 150
"""Hidden on both sides of a span at least: word times of recognition are that uncertain."""
FOREVER_MS = 2**53
"""The end of a span that goes on to the end of the recording."""
_TOKEN = re.compile(r"【[^【】]{1,16}】")
_TONE_HZ, _TONE_PEAK = 220, 700


def hidden_spans(events: Iterable[EventEnvelope], channels: Sequence[ChannelName]) -> tuple[HiddenSpan, ...]:
    """What nobody but the agent may hear of a call, merged and in order: what became a token on every leg, what has no line on its own.

    ``events``: all of the call so far, contents as they are now. While it runs, what lies behind the last final of a leg is hidden as well.
    """
    log = list(events)
    rewritten = {seq for item in log if isinstance(item.event, Redacted) for seq in item.event.seqs}
    legs = {channel: _Leg(channel) for channel in channels}
    spans: list[HiddenSpan] = []
    for item in log:
        match item.event:
            case UtteranceFinal() as final:
                spans += _said(final, rewritten=item.seq in rewritten)
                if final.channel in legs:
                    spans += legs[final.channel].heard(final)
            case Degraded(part="recognition", state=state):
                for leg in legs.values():
                    leg.recognised(up=state == "up")
            case MediaGapRecorded(reason="reconnect") as gap:
                # Another node may have recorded what this one never got to hear.
                spans.append(HiddenSpan(start_ms=gap.start_ms, end_ms=gap.start_ms + gap.duration_ms, channel=gap.channel))
            case _:
                pass
    over = any(isinstance(item.event, CallEnded) for item in log)
    spans += [HiddenSpan(start_ms=leg.until_ms, end_ms=FOREVER_MS, channel=leg.channel) for leg in legs.values() if leg.unheard or not over]
    return merged(spans)


@dataclass(slots=True)
class _Leg:
    """How far a leg is known, and whether what follows may hold words that recognition missed."""

    channel: ChannelName
    until_ms: int = 0
    unheard: bool = False
    _up: bool = True

    def recognised(self, *, up: bool) -> None:
        # What was missed lies before the first final after recognition came back.
        self.unheard = self.unheard or not up
        self._up = up

    def heard(self, final: UtteranceFinal) -> list[HiddenSpan]:
        missed = []
        if self.unheard and final.start_ms > self.until_ms:
            missed.append(HiddenSpan(start_ms=self.until_ms, end_ms=final.start_ms, channel=self.channel))
        if self._up:
            self.unheard = False
        self.until_ms = max(self.until_ms, final.end_ms)
        return missed


def _said(final: UtteranceFinal, *, rewritten: bool) -> list[HiddenSpan]:
    """The spans of one final, padded."""
    tokens = _TOKEN.findall(final.text)
    if not tokens and not rewritten:
        return []
    first, last = max(0, final.start_ms - PAD_MS), final.end_ms + PAD_MS
    words = final.words
    if not tokens or [token for word in words for token in _TOKEN.findall(word.text)] != tokens:
        return [HiddenSpan(start_ms=first, end_ms=last)]
    spans = []
    for index, word in enumerate(words):
        if _TOKEN.search(word.text):
            # What no word claims beside a token may still be a piece of it: that goes too, up to the next word or the end of the line.
            before = words[index - 1].end_ms if index else first
            after = words[index + 1].start_ms if index + 1 < len(words) else last
            start_ms, end_ms = min(before, word.start_ms - PAD_MS), max(after, word.start_ms + PAD_MS, word.end_ms + PAD_MS)
            spans.append(HiddenSpan(start_ms=max(0, start_ms), end_ms=end_ms))
    return spans


def merged(spans: Iterable[HiddenSpan]) -> tuple[HiddenSpan, ...]:
    """The same stretches in order of their beginning, those of one leg (or of every leg) that touch joined."""
    found: dict[ChannelName | None, list[HiddenSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start_ms):
        known = found.setdefault(span.channel, [])
        if known and span.start_ms <= known[-1].end_ms:
            known[-1] = replace(known[-1], end_ms=max(known[-1].end_ms, span.end_ms))
        else:
            known.append(span)
    return tuple(sorted((span for known in found.values() for span in known), key=lambda span: (span.start_ms, span.channel or "")))


def hide(samples: NDArray[np.int16], first_sample: int, rate_hz: int, spans: Iterable[HiddenSpan], channels: Sequence[ChannelName]) -> None:
    """Puts a low tone over the spans, in place. ``samples``: (n, channels), the first of them at ``first_sample``.

    A ms counts wholly: rounding never leaves a sample of a span to be heard.
    """
    end_sample = first_sample + len(samples)
    for span in spans:
        low = max(first_sample, span.start_ms * rate_hz // 1000)
        high = min(end_sample, -(-span.end_ms * rate_hz // 1000))
        if low < high:
            angle = 2 * np.pi * _TONE_HZ / rate_hz * np.arange(low, high)
            tone = (_TONE_PEAK * np.sin(angle)).astype(np.int16)
            for side, channel in enumerate(channels):
                if span.channel in {None, channel}:
                    samples[low - first_sample : high - first_sample, side] = tone
