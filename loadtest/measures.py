"""What one call's record says, measured against its reference. PURE.

All times in ms on the reference's clock: 0 is one frame (20 ms) before the first frame was sent, since a caller's frame leaves when its
last sample has been spoken, while the player sends it with its first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtest.alignment import Outcome, Shown, align
from loadtest.excerpts import Utterance
from loadtest.records import CallRecord
from loadtest.scoring import normalise
from streaming.calling import FRAME_MS

Json = dict[str, Any]
MATCH_MS = 400
"""A text belongs to the turn in which the audio it covers ends, give or take this much (the voice detector's edges)."""
RUN_GAP_MS = 600
"""Turns of one channel that follow each other sooner (the other side said 嗯 meanwhile) are one run of speech: nobody who listens can know
that the first was over. Waits are from the beginning of the run, and from its end."""
STAGES = ("endpoint", "queue", "decode", "publish")


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceMeasure:
    """One reference utterance. ``spoken_at``: when it ended, monotonic seconds. Waits are None where nothing came.

    ``first_ms``: speech start → first text on the screen (a partial, or the final of a short utterance); ``two_right_ms``: → first text
    with two right characters; both None within a run of speech (``RUN_GAP_MS``). ``final_ms``: end of the run → last right character of its
    finals; None before the run's last utterance, and if that was missed.
    """

    utterance: Utterance
    spoken_at: float
    outcome: Outcome
    first_ms: float | None
    two_right_ms: float | None
    final_ms: float | None


@dataclass(slots=True, kw_only=True)
class CallMeasures:
    """One call. ``lags`` and ``stages``: (monotonic seconds, ms). Counts of characters are normalised."""

    utterances: list[UtteranceMeasure]
    lags: list[tuple[float, float]] = field(default_factory=list)
    stages: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    cards_ms: list[tuple[float, float]] = field(default_factory=list)
    shown_characters: int = 0
    erased_characters: int = 0
    stable_retracted: int = 0
    withdrawn: int = 0
    unfinished: int = 0
    """Utterances that were shown and neither finished nor withdrawn."""
    finals: int = 0
    finals_lost: int = 0
    """Finals of the server's record that the screen never got."""
    degraded: list[str] = field(default_factory=list)


def measure(record: CallRecord, utterances: Sequence[Utterance]) -> CallMeasures:
    """Everything about one call that was played. Of a call that was cut, only what had been said by then counts."""
    assert record.playing_at is not None
    origin = record.playing_at - FRAME_MS / 1000
    if record.cut and record.hung_up_at is not None:
        heard_ms = 1000 * (record.hung_up_at - origin)
        utterances = [utterance for utterance in utterances if utterance.end_ms <= heard_ms]
    secrets = record.secrets()
    finals = [(1000 * (at - origin), _resolved(event, ("text",), secrets)) for at, event in record.events("utterance_final")]
    partials = [
        (1000 * (at - origin), _resolved(event, ("stable", "unstable"), secrets) | {"committed": event["stable"]})
        for at, event in record.partials()
    ]
    result = CallMeasures(utterances=_utterances(utterances, partials, finals, origin))
    for at, partial in partials:
        if partial["stable"] or partial["unstable"]:
            result.lags.append((origin + at / 1000, at - partial["end_ms"]))
    _stages(result, finals, origin)
    for at, card in record.events("suggestion_offered"):
        if card["kind"] != "nothing":
            result.cards_ms.append((at, card["total_ms"]))
    _revisions(result, partials, finals)
    result.finals = len(finals)
    result.finals_lost = max(0, (record.stored_finals or 0) - len(finals))
    result.degraded = [event["part"] for _, event in record.events("degraded") if event["state"] == "down"]
    return result


def score_offline(utterances: Sequence[Utterance], finals: Sequence[Json]) -> dict[tuple[str, int], Outcome]:
    """What a recording's offline transcript (``pangting transcribe --json``) makes of its utterances, by channel and start."""
    outcomes: dict[tuple[str, int], Outcome] = {}
    for channel in {utterance.channel for utterance in utterances}:
        own = [utterance for utterance in utterances if utterance.channel == channel]
        shown = [
            Shown(text=final["text"], at_ms=float("inf"))
            for final in sorted(finals, key=lambda item: item["start_ms"])
            if final["channel"] == channel
        ]
        outcomes.update(zip(((channel, item.start_ms) for item in own), align(own, shown), strict=True))
    return outcomes


def _resolved(body: Json, keys: tuple[str, ...], secrets: Mapping[str, str]) -> Json:
    """With personal data as the call's own agent reads it."""
    changed = dict(body)
    for key in keys:
        for token, value in secrets.items():
            changed[key] = changed[key].replace(token, value)
    return changed


def _utterances(
    utterances: Sequence[Utterance], partials: list[tuple[float, Json]], finals: list[tuple[float, Json]], origin: float
) -> list[UtteranceMeasure]:
    measures: list[UtteranceMeasure] = []
    for channel in dict.fromkeys(utterance.channel for utterance in utterances):
        own = [utterance for utterance in utterances if utterance.channel == channel]
        said = sorted(((at, final) for at, final in finals if final["channel"] == channel), key=lambda item: item[1]["start_ms"])
        texts = [(at, final["end_ms"], final["text"]) for at, final in said]
        texts += [(at, item["end_ms"], item["stable"] + item["unstable"]) for at, item in partials if item["channel"] == channel]
        texts.sort(key=lambda item: item[0])
        outcomes = align(own, [Shown(text=final["text"], at_ms=at) for at, final in said])
        begins = [index == 0 or own[index].start_ms - own[index - 1].end_ms >= RUN_GAP_MS for index in range(len(own))]
        arrived: float | None = None
        for index, (utterance, outcome) in enumerate(zip(own, outcomes, strict=True)):
            first, two_right = _first_texts(utterance, texts) if begins[index] else (None, None)
            arrived = max((at for at in (None if begins[index] else arrived, outcome.last_right_ms) if at is not None), default=None)
            last = arrived if not outcome.missed and (index + 1 == len(own) or begins[index + 1]) else None
            measures.append(
                UtteranceMeasure(
                    utterance=utterance,
                    spoken_at=origin + utterance.end_ms / 1000,
                    outcome=outcome,
                    first_ms=first,
                    two_right_ms=two_right,
                    final_ms=None if last is None else last - utterance.end_ms,
                )
            )
    return sorted(measures, key=lambda item: item.utterance.start_ms)


def _first_texts(utterance: Utterance, texts: list[tuple[float, int, str]]) -> tuple[float | None, float | None]:
    first = two_right = None
    wanted = normalise(utterance.text)
    for at, end_ms, text in texts:
        within = utterance.start_ms < end_ms <= utterance.end_ms + MATCH_MS and at > utterance.start_ms
        if not within or not text:
            continue
        first = at - utterance.start_ms if first is None else first
        # What cannot have been said yet cannot be right: characters are taken as spread evenly over the utterance.
        share = (at - utterance.start_ms) / max(1, utterance.end_ms - utterance.start_ms)
        if common(wanted[: max(2, round(share * len(wanted)))], normalise(text)) >= 2:
            two_right = at - utterance.start_ms
            break
    return first, two_right


def common(a: str, b: str) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for left in a:
        diagonal = 0
        for j, right in enumerate(b, start=1):
            diagonal, row[j] = row[j], diagonal + 1 if left == right else max(row[j], row[j - 1])
    return row[-1]


def _stages(result: CallMeasures, finals: list[tuple[float, Json]], origin: float) -> None:
    result.stages = {name: [] for name in STAGES}
    for at, final in finals:
        timings, moment = final["timings"], origin + at / 1000
        result.stages["endpoint"].append((moment, timings["endpoint_ms"]))
        result.stages["queue"].append((moment, timings["queue_ms"]))
        result.stages["decode"].append((moment, timings["decode_ms"]))
        result.stages["publish"].append((moment, at - final["end_ms"] - timings["after_speech_ms"]))


def _revisions(result: CallMeasures, partials: list[tuple[float, Json]], finals: list[tuple[float, Json]]) -> None:
    """Erased characters: what follows the common prefix of a text and the one that replaces it (normalized erasure, Arivazhagan 2020)."""
    steps: dict[str, list[tuple[float, str, str, bool]]] = defaultdict(list)
    for at, item in partials:
        steps[item["utterance_id"]].append((at, item["committed"], item["stable"] + item["unstable"], False))
    for at, item in finals:
        steps[item["utterance_id"]].append((at, item["text"], item["text"], True))
    for shown in steps.values():
        shown.sort(key=lambda step: step[0])
        before, stable = "", ""
        for _, settled, text, final in shown:
            now = normalise(text)
            kept = _common_prefix(before, now)
            result.erased_characters += len(before) - kept
            result.shown_characters += len(now) - kept
            if text and not final and _retracted(stable, settled):
                result.stable_retracted += 1
            before, stable = now, settled
        if not shown[-1][3]:
            if shown[-1][2]:
                result.unfinished += 1
            else:
                result.withdrawn += 1


def _retracted(stable: str, settled: str) -> bool:
    """True if committed text became another text. A privacy token in place of it hides what was said and takes nothing back."""
    kept = _common_prefix(stable, settled)
    return kept < len(stable) and not settled.startswith("【", kept)


def _common_prefix(a: str, b: str) -> int:
    length = 0
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        length += 1
    return length
