"""A finished call as after-call work reads it: its lines, and the intents that were found in them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from copilot.domain.artifacts import Turn
from copilot.domain.audio import CHANNELS, ChannelName
from copilot.domain.errors import InvalidInput
from copilot.domain.events import CallStarted, EventEnvelope, IntentDetected, MoodChanged, SlotFilled, UtteranceFinal
from copilot.domain.ids import UtteranceId, utterance_id
from copilot.domain.intents import UNKNOWN_INTENT


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundIntent:
    """An intent found in one customer utterance. ``confidence`` in [0, 1]."""

    utterance_id: UtteranceId
    intent: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A finished call. ``turns`` in time order; the rest is what the live loop understood, empty if it did not run."""

    language: str
    turns: tuple[Turn, ...]
    found: tuple[FoundIntent, ...] = ()
    moods: tuple[MoodChanged, ...] = ()
    slots: tuple[SlotFilled, ...] = ()


def transcript_of(events: Sequence[EventEnvelope]) -> Transcript:
    """The transcript in the events of one call. Redaction has been applied by the store already."""
    language = "zh"
    found = []
    moods: dict[int, MoodChanged] = {}
    slots: dict[tuple[str, str], SlotFilled] = {}
    for envelope in events:
        match envelope.event:
            case CallStarted(language=spoken):
                language = spoken or language
            case IntentDetected() as event if event.intent != UNKNOWN_INTENT:
                found.append(FoundIntent(utterance_id=event.utterance_id, intent=event.intent, confidence=event.confidence))
            case MoodChanged() as event:
                moods[event.customer_turn] = event
            case SlotFilled() as event if event.value:
                slots.setdefault((event.name, event.value), event)
            case _:
                pass
    return Transcript(
        language=language,
        turns=tuple(turns_from_events(events)),
        found=tuple(found),
        moods=tuple(moods[turn] for turn in sorted(moods)),
        slots=tuple(slots.values()),
    )


def turns_from_events(events: Sequence[EventEnvelope]) -> list[Turn]:
    """One line per final utterance with words in it, in time order."""
    turns = [
        Turn(
            utterance_id=event.utterance_id,
            channel=event.channel,
            start_ms=event.start_ms,
            end_ms=event.end_ms,
            text=event.text,
            confidence=event.confidence,
        )
        for event in (envelope.event for envelope in events)
        if isinstance(event, UtteranceFinal) and event.text.strip()
    ]
    return sorted(turns, key=_by_time)


def turns_from_json(lines: Any) -> list[Turn]:
    """Lines ``{channel, start_ms, end_ms, text[, confidence]}`` → turns in time order. Raises InvalidInput naming the line (from 1)."""
    if not isinstance(lines, list):
        raise InvalidInput("The transcript must be a JSON list of {channel, start_ms, end_ms, text}.")
    counts = dict.fromkeys(CHANNELS, 0)
    turns = []
    for number, line in enumerate(lines, start=1):
        channel, start_ms, end_ms, text, confidence = _line(number, line)
        counts[channel] += 1
        name = utterance_id(channel, counts[channel])
        turns.append(Turn(utterance_id=name, channel=channel, start_ms=start_ms, end_ms=end_ms, text=text, confidence=confidence))
    return sorted((turn for turn in turns if turn.text.strip()), key=_by_time)


def _line(number: int, line: Any) -> tuple[ChannelName, int, int, str, float]:
    where = f"Line {number} of the transcript"
    if not isinstance(line, dict):
        raise InvalidInput(f"{where} must be an object {{channel, start_ms, end_ms, text}}.")
    channel, text, confidence = line.get("channel"), line.get("text"), line.get("confidence", 1.0)
    if channel not in CHANNELS:
        raise InvalidInput(f"{where}: channel must be one of {', '.join(CHANNELS)}.")
    times = [line.get(key) for key in ("start_ms", "end_ms")]
    if not all(isinstance(time, int) and not isinstance(time, bool) and time >= 0 for time in times):
        raise InvalidInput(f"{where}: start_ms and end_ms must be whole milliseconds not below 0.")
    start_ms, end_ms = cast("list[int]", times)
    if end_ms < start_ms:
        raise InvalidInput(f"{where}: end_ms lies before start_ms.")
    if not isinstance(text, str):
        raise InvalidInput(f"{where}: text must be a string.")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise InvalidInput(f"{where}: confidence must be between 0 and 1 (or left out).")
    return cast("ChannelName", channel), start_ms, end_ms, text, float(confidence)


def _by_time(turn: Turn) -> tuple[int, int]:
    return turn.start_ms, turn.end_ms


def runs(turns: Sequence[Turn]) -> list[tuple[Turn, ...]]:
    """Consecutive utterances of one channel, in time order."""
    found: list[list[Turn]] = []
    for turn in turns:
        if found and found[-1][-1].channel == turn.channel:
            found[-1].append(turn)
        else:
            found.append([turn])
    return [tuple(run) for run in found]
