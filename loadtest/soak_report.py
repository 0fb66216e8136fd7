"""Checks and figures of a soak, from its checkpoints. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.excerpts import Excerpt, Scenario, Utterance
from loadtest.measures import UtteranceMeasure
from loadtest.records import CallRecord
from loadtest.rig import LevelRun
from loadtest.sampling import Sample
from loadtest.statistics import median_difference, theil_sen
from loadtest.summary import measured, summarise

Json = dict[str, Any]
RSS_GROWTH = 0.05
DRIFT_SHARE = 0.10
"""A difference of the medians under this share of the first is no drift, however certain."""
LEAST_PER_QUARTER = 20
_NO_AUDIO = Path()
WARM_UP_SHARE, WARM_UP_MOST_S = 0.2, 600.0


def soak_report(lines: Sequence[Json]) -> Json:
    """``lines`` as ``loadtest.soak`` wrote them; without an ``end`` the run broke off, and that fails."""
    begin = next(line for line in lines if line["kind"] == "begin")
    end = next((line for line in lines if line["kind"] == "end"), None)
    run = LevelRun(
        calls=[_call(line) for line in lines if line["kind"] == "call"],
        samples=[Sample(**{name: value for name, value in line.items() if name != "kind"}) for line in lines if line["kind"] == "sample"],
    )
    report: Json = {
        "kind": "soak",
        "machine": begin["machine"],
        "load_average_before": begin["load_average_before"],
        "protocols": begin["protocols"],
        "planned_s": begin["planned_s"],
        "checks": [_check("ran to its end", end is not None, "yes" if end else "broke off: judged as far as it came")],
        "rows": [],
    }
    if not run.calls or len(run.samples) < 2:
        report["checks"].append(_check("calls were made", False, f"{len(run.calls)} calls, {len(run.samples)} looks at the machine"))
        return report
    moments = [record.playing_at for _, record in run.calls if record.playing_at is not None]
    run.began_at = min(moments, default=begin["at"])
    run.ended_at = run.samples[-1].at
    run.window = (run.began_at, run.ended_at)
    if end is not None:
        run.counters, run.threads = end["counters"], end["threads"]
    row = summarise(run, {}, channels=2 * begin["calls"])
    row["failures"] = ["see the checks"]
    utterances = sorted(
        (item for call in measured(run.calls) if call.measures is not None for item in call.measures.utterances),
        key=lambda item: item.spoken_at,
    )
    report["rows"] = [row]
    report["checks"] += [
        _memory(run.samples, begin["planned_s"]),
        _drift(utterances),
        _losses(row),
        _check("every second of audio is accounted for", end is not None and row["audio"]["complete"], _audio(row["audio"])),
    ]
    return report


def _call(line: Json) -> tuple[Excerpt, CallRecord]:
    record = CallRecord.from_json(line["record"])
    utterances = tuple(Utterance(**utterance) for utterance in line["utterances"])
    length = max((utterance.end_ms for utterance in utterances), default=0)
    scenario = Scenario(name=line["scenario"], audio=_NO_AUDIO, utterances=(), language="zh", duration_ms=0, channels=line["legs"])
    taken = Excerpt(scenario=scenario, from_ms=0, to_ms=max(record.sent_ms, length), utterances=utterances)
    return taken, record


def _memory(samples: Sequence[Sample], planned_s: float) -> Json:
    """The server's resident memory after the warm-up: its robust slope over the rest, as a share of the median."""
    warm = samples[0].at + min(WARM_UP_MOST_S, WARM_UP_SHARE * planned_s)
    rest = [sample for sample in samples if sample.at >= warm]
    if len(rest) < 10:
        return _check("memory stays flat", False, f"only {len(rest)} looks after the warm-up")
    times, sizes = [sample.at for sample in rest], [sample.server_rss / 1e6 for sample in rest]
    middle = sorted(sizes)[len(sizes) // 2]
    growth = theil_sen(times, sizes) * (times[-1] - times[0])
    return _check(
        "memory stays flat",
        abs(growth) <= RSS_GROWTH * middle,
        f"{growth:+.1f} MB ({growth / middle:+.1%}) over {(times[-1] - times[0]) / 60:.1f} min after the warm-up, median {middle:.0f} MB, "
        f"limit ±{RSS_GROWTH:.0%}",
    )


def _drift(utterances: Sequence[UtteranceMeasure]) -> Json:
    """Waits for finals of the first and the last quarter of the utterances."""
    waits = [item.final_ms for item in utterances if item.final_ms is not None]
    quarter = len(waits) // 4
    found = median_difference(waits[:quarter], waits[len(waits) - quarter :])
    if quarter < LEAST_PER_QUARTER or found is None:
        return _check("answers do not slow down", True, f"not judged: only {quarter} utterances in a quarter")
    difference, low, high = found
    first = sorted(waits[:quarter])[quarter // 2]
    return _check(
        "answers do not slow down",
        not (low > 0 and difference > DRIFT_SHARE * first),
        f"median wait for a final, last quarter − first: {difference:+.0f} ms [{low:+.0f}, {high:+.0f}] of {first:.0f} ms, {quarter} each",
    )


def _losses(row: Json) -> Json:
    lost = {
        name: row[name]
        for name in ("refused", "unfinished_calls", "finals_lost", "unfinished_utterances", "stable_retracted", "feed_drops")
    }
    return _check("nothing is lost", not any(lost.values()) and not row["degraded"], f"{lost}, degraded {row['degraded']}")


def _audio(account: Json) -> str:
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in account["outcomes_s"].items())
    return f"sent {account['sent_s']:.1f} s = {parts}; unaccounted {account['unaccounted_s']:.3f} s"


def _check(name: str, passed: bool, detail: str) -> Json:
    return {"name": name, "passed": passed, "detail": detail}
