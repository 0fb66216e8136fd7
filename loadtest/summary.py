"""The figures of one level of load. PURE: works on what was recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from loadtest.excerpts import Excerpt
from loadtest.measures import STAGES, CallMeasures, UtteranceMeasure, measure
from loadtest.records import CallRecord
from loadtest.rig import LevelRun, OfflineOutcomes
from loadtest.sampling import Sample
from loadtest.statistics import paired_rate_difference, quantile, sign_test

Json = dict[str, Any]
KEPT_UP_FINAL_P95_MS = 1_200
KEPT_UP_FIRST_P50_MS = 1_200
MISSED_CHANCE = 0.05
"""Utterances missed live and not offline, against those missed offline and not live: a sign test rarer than this is no chance."""
UNACCOUNTED_S = 0.25
"""Audio per call leg that may differ between the two ends: a frame, and rounding to whole ms."""
_DIGITS = re.compile(r"\d+")
_ACCOUNT = 'pangting_call_audio_seconds_total{outcome="'


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCall:
    """A call with its measures; none when it was refused or broke off."""

    excerpt: Excerpt
    record: CallRecord
    measures: CallMeasures | None


def measured(calls: Sequence[tuple[Excerpt, CallRecord]]) -> list[MeasuredCall]:
    return [
        MeasuredCall(
            excerpt=taken,
            record=record,
            measures=measure(record, taken.utterances) if record.playing_at is not None and record.error is None else None,
        )
        for taken, record in calls
    ]


def summarise(run: LevelRun, offline: OfflineOutcomes, *, channels: int) -> Json:
    """One level as JSON. Waits count for utterances that ended while all lanes were busy; errors and accounts for all."""
    calls = measured(run.calls)
    done = [(call, call.measures) for call in calls if call.measures is not None]
    everything = [(call, item) for call, measures in done for item in measures.utterances]
    begin, end = run.window
    inside = [item for _, item in everything if begin <= item.spoken_at <= end]
    refused = [call.record.error for call in calls if call.record.error is not None]
    row: Json = {
        "channels": channels,
        "calls": len(calls),
        "scenarios": sorted({call.excerpt.scenario.name for call in calls}),
        "seconds": round(end - begin, 1),
        "speech_ratio": round(_speech_ratio(calls), 3),
        "refused": len(refused),
        "refusals": sorted({f"{kind}: {_DIGITS.sub('N', sentence)}" for kind, sentence in refused}),
        "unfinished_calls": sum(not call.record.ended for call, _ in done),
        **_waits(inside, done, (begin, end)),
        **_quality(everything, offline),
        **_screen(done),
        "audio": account(run.counters, calls),
        "partials_dropped": round(run.counters.get("pangting_asr_partials_dropped_total", 0.0)),
        "late_ms": round(max((call.record.late_ms for call in calls), default=0.0), 1),
        **machine(run.samples, run.threads, run.ended_at - run.began_at),
    }
    row["failures"] = failures(row)
    row["kept_up"] = not row["failures"]
    row["detail"] = _detail(run, calls, inside)
    return row


def _detail(run: LevelRun, calls: Sequence[MeasuredCall], inside: Sequence[UtteranceMeasure]) -> Json:
    """What the plots are drawn from. Moments in seconds since the level began."""
    began = run.began_at
    return {
        "window_s": [round(moment - began, 2) for moment in run.window],
        "waits": [
            {
                "at": round(item.spoken_at - began, 2),
                "final_ms": None if item.final_ms is None else round(item.final_ms),
                "first_partial_ms": None if item.first_ms is None else round(item.first_ms),
                "two_right_ms": None if item.two_right_ms is None else round(item.two_right_ms),
            }
            for item in sorted(inside, key=lambda item: item.spoken_at)
        ],
        "machine": [
            {name: round(value - began if name == "at" else value, 3) for name, value in point.items()} for point in timeline(run.samples)
        ],
        "calls": [_call(call, began) for call in calls],
    }


def _call(call: MeasuredCall, began: float) -> Json:
    record, measures = call.record, call.measures
    line: Json = {
        "name": call.excerpt.name,
        "from_s": None if record.playing_at is None else round(record.playing_at - began, 1),
        "seconds": round(record.sent_ms / 1000, 1),
        "late_ms": round(record.late_ms, 1),
        "error": None if record.error is None else ": ".join(record.error),
    }
    if measures is not None:
        size = sum(item.outcome.characters for item in measures.utterances)
        line |= {
            "final_ms": spread([item.final_ms for item in measures.utterances if item.final_ms is not None]),
            "first_partial_ms": spread([item.first_ms for item in measures.utterances if item.first_ms is not None]),
            "cer": round(sum(item.outcome.errors for item in measures.utterances) / max(1, size), 4),
            "missed": sum(item.outcome.missed for item in measures.utterances),
            "utterances": len(measures.utterances),
        }
    return line


def spread(values: Sequence[float], shares: Sequence[float] = (0.5, 0.95)) -> Json:
    """Quantiles in whole ms, and how many values they rest on."""
    quantiles = {f"p{round(100 * share)}": quantile(values, share) for share in shares}
    return {**{name: None if value is None else round(value) for name, value in quantiles.items()}, "n": len(values)}


def _speech_ratio(calls: Sequence[MeasuredCall]) -> float:
    legs_ms = sum(call.excerpt.duration_ms * call.excerpt.legs for call in calls)
    return sum(call.excerpt.speech_ratio() * call.excerpt.duration_ms * call.excerpt.legs for call in calls) / max(1, legs_ms)


def _waits(inside: Sequence[UtteranceMeasure], done: Sequence[tuple[MeasuredCall, CallMeasures]], window: tuple[float, float]) -> Json:
    begin, end = window

    def timed(series: Sequence[tuple[float, float]]) -> list[float]:
        return [value for at, value in series if begin <= at <= end]

    stages = {name: [value for _, measures in done for value in timed(measures.stages.get(name, []))] for name in STAGES}
    return {
        "first_partial_ms": spread([item.first_ms for item in inside if item.first_ms is not None]),
        "two_right_ms": spread([item.two_right_ms for item in inside if item.two_right_ms is not None]),
        "partial_lag_ms": spread([value for _, measures in done for value in timed(measures.lags)]),
        "final_ms": spread([item.final_ms for item in inside if item.final_ms is not None], (0.5, 0.95, 0.99)),
        "suggestion_ms": spread([value for _, measures in done for value in timed(measures.cards_ms)]),
        "stages_ms": {name: spread(values) for name, values in stages.items()},
    }


def _quality(everything: Sequence[tuple[MeasuredCall, UtteranceMeasure]], offline: OfflineOutcomes) -> Json:
    pairs: list[tuple[int, int, int]] = []
    missed_offline = worse = better = 0
    for call, item in everything:
        key = (call.excerpt.scenario.name, item.utterance.channel, item.utterance.start_ms + call.excerpt.from_ms)
        other = offline.get(key)
        if other is not None:
            pairs.append((item.outcome.errors, other.errors, item.outcome.characters))
            missed_offline += other.missed
            worse += item.outcome.missed and not other.missed
            better += other.missed and not item.outcome.missed
    size = sum(item.outcome.characters for _, item in everything)
    gap = paired_rate_difference(pairs)
    return {
        "utterances": len(everything),
        "missed": sum(item.outcome.missed for _, item in everything),
        "missed_offline": missed_offline if offline else None,
        "missed_by_load": [worse, better] if offline else None,
        "cer": round(sum(item.outcome.errors for _, item in everything) / max(1, size), 4),
        "cer_offline": round(sum(pair[1] for pair in pairs) / max(1, sum(pair[2] for pair in pairs)), 4) if pairs else None,
        "cer_gap": None if gap is None else [round(value, 4) for value in gap],
        "characters": size,
    }


def _screen(done: Sequence[tuple[MeasuredCall, CallMeasures]]) -> Json:
    shown = sum(measures.shown_characters for _, measures in done)
    return {
        "finals": sum(measures.finals for _, measures in done),
        "finals_lost": sum(measures.finals_lost for _, measures in done),
        "revision_rate": round(sum(measures.erased_characters for _, measures in done) / max(1, shown), 4),
        "stable_retracted": sum(measures.stable_retracted for _, measures in done),
        "withdrawn": sum(measures.withdrawn for _, measures in done),
        "unfinished_utterances": sum(measures.unfinished for _, measures in done),
        "degraded": sorted(part for _, measures in done for part in measures.degraded),
        "feed_drops": sum(call.record.feed_drops for call, _ in done),
    }


def account(counters: Mapping[str, float], calls: Sequence[MeasuredCall]) -> Json:
    """Seconds of audio the senders sent against what the server says became of them."""
    sent = sum(call.record.sent_ms * call.excerpt.legs for call in calls) / 1000
    outcomes = {
        name.removeprefix(_ACCOUNT).removesuffix('"}'): round(value, 3) for name, value in counters.items() if name.startswith(_ACCOUNT)
    }
    legs = sum(call.excerpt.legs for call in calls if call.record.sent_ms)
    missing = sent - sum(outcomes.values())
    return {
        "sent_s": round(sent, 3),
        "outcomes_s": outcomes,
        "unaccounted_s": round(missing, 3),
        "complete": abs(missing) <= UNACCOUNTED_S * max(1, legs) and not outcomes.get("failed") and not outcomes.get("skipped"),
    }


def machine(samples: Sequence[Sample], threads: Mapping[str, float], elapsed_s: float) -> Json:
    """Cores and memory."""
    first, last = samples[0], samples[-1]
    span = max(1e-9, last.at - first.at)
    own = {
        "server": (last.server_cpu - first.server_cpu) / span,
        "worker": max(0.0, last.worker_cpu - first.worker_cpu) / span,
        "senders": (last.sender_cpu - first.sender_cpu) / span,
    }
    others = max(0.0, (last.machine_cpu - first.machine_cpu) / span - sum(own.values()))
    return {
        "cores": {name: round(value, 3) for name, value in (own | {"others": others}).items()},
        "server_threads_cores": {
            name: round(seconds / max(1e-9, elapsed_s), 3)
            for name, seconds in sorted(threads.items(), key=lambda item: -item[1])
            if seconds > 0.005 * elapsed_s
        },
        "rss_mb": {
            "server": round(max(sample.server_rss for sample in samples) / 1e6),
            "worker": round(max(sample.worker_rss for sample in samples) / 1e6),
        },
    }


def timeline(samples: Sequence[Sample]) -> list[Json]:
    """Cores between neighbouring samples and memory, over monotonic seconds."""
    return [
        {
            "at": after.at,
            "server_cores": (after.server_cpu - before.server_cpu) / max(1e-9, after.at - before.at),
            "sender_cores": (after.sender_cpu - before.sender_cpu) / max(1e-9, after.at - before.at),
            "rss_mb": after.server_rss / 1e6,
        }
        for before, after in pairwise(samples)
        if after.at - before.at > 0.2
    ]


def failures(row: Json) -> list[str]:
    """Why a level does not count as kept up, each in one line."""
    wrong: list[str] = []

    def needs(fine: bool, line: str) -> None:
        if not fine:
            wrong.append(line)

    final, first = row["final_ms"]["p95"], row["first_partial_ms"]["p50"]
    needs(final is not None and final <= KEPT_UP_FINAL_P95_MS, f"final p95 is {final} ms, over {KEPT_UP_FINAL_P95_MS}")
    needs(first is not None and first <= KEPT_UP_FIRST_P50_MS, f"first partial p50 is {first} ms, over {KEPT_UP_FIRST_P50_MS}")
    if row["missed_by_load"] is not None:
        fine = sign_test(*row["missed_by_load"]) >= MISSED_CHANCE
        needs(fine, f"{row['missed']} utterances missed, offline {row['missed_offline']}: more than chance")
    needs(row["refused"] == 0, f"{row['refused']} calls refused or broken off")
    needs(row["unfinished_calls"] == 0, f"{row['unfinished_calls']} calls without an end on the feed")
    needs(row["finals_lost"] == 0, f"{row['finals_lost']} finals lost")
    needs(row["unfinished_utterances"] == 0, f"{row['unfinished_utterances']} shown utterances without a final")
    needs(row["stable_retracted"] == 0, f"{row['stable_retracted']} stable texts retracted")
    needs(not row["degraded"], f"degraded: {', '.join(row['degraded'])}")
    needs(row["audio"]["complete"], f"audio not accounted for: {row['audio']}")
    return wrong
