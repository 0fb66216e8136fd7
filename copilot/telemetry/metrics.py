"""Prometheus metrics: a catalogue of definitions, and the instruments made from it in a registry that is handed in.

No label carries a call id, a name or text: a metric is neither content nor a way to single a caller out.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# Milliseconds of the live path: an answer is useful within two seconds, so the buckets are dense below that.
LIVE_MS = (5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 300.0, 500.0, 750.0, 1000.0, 1500.0, 2000.0, 3000.0, 5000.0, 10000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One metric. ``labels``: their names; their values come from small closed sets."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LIVE_MS


CATALOGUE: tuple[Definition, ...] = (
    Definition(name="pangting_live_calls", kind="gauge", help="Calls live on this node."),
    Definition(name="pangting_calls_total", kind="counter", help="Calls ended, by reason.", labels=("reason",)),
    Definition(name="pangting_connections_refused_total", kind="counter", help="Telephony connections refused or broken off for cause."),
    Definition(name="pangting_stage_ms", kind="histogram", help="Time of one stage from speech end to screen, ms.", labels=("stage",)),
    Definition(name="pangting_suggestion_ms", kind="histogram", help="Speech end to suggestion offered, ms."),
    Definition(name="pangting_final_ms", kind="histogram", help="Speech end to final transcript, ms."),
    Definition(name="pangting_asr_queue_ms", kind="histogram", help="Wait of a window for a decoder, ms.", labels=("lane",)),
    Definition(name="pangting_asr_decode_ms", kind="histogram", help="Decoding of one batch, ms."),
    Definition(name="pangting_asr_batch_size", kind="histogram", help="Windows decoded together.", buckets=(1, 2, 4, 8, 16, 32)),
    Definition(name="pangting_asr_audio_seconds_total", kind="counter", help="Audio decoded, seconds.", labels=("lane",)),
    Definition(
        name="pangting_call_audio_seconds_total",
        kind="counter",
        help="Audio of the legs of ended calls by what became of it, seconds: speech, silence, gap (declared missing), skipped, failed.",
        labels=("outcome",),
    ),
    Definition(name="pangting_asr_partials_dropped_total", kind="counter", help="Partials superseded before they were decoded."),
    Definition(name="pangting_suggestions_total", kind="counter", help="Cards offered, by kind.", labels=("kind",)),
    Definition(name="pangting_alerts_total", kind="counter", help="Compliance alerts during calls, by kind.", labels=("kind",)),
    Definition(name="pangting_feedback_total", kind="counter", help="What agents did with cards.", labels=("action",)),
    Definition(name="pangting_degraded_total", kind="counter", help="Parts that stopped helping during a call.", labels=("part",)),
    Definition(name="pangting_jobs_open", kind="gauge", help="After-call jobs that are queued or running."),
    Definition(name="pangting_worker_up", kind="gauge", help="1 if the supervised after-call worker takes jobs."),
    Definition(
        name="pangting_webhooks_total",
        kind="counter",
        help="Attempts to deliver a webhook message: delivered, retry (it failed and is tried again), failed (given up).",
        labels=("result",),
    ),
    Definition(name="pangting_feed_connections", kind="gauge", help="Open feeds."),
    Definition(name="pangting_bus_lost_total", kind="counter", help="Messages dropped for slow subscribers (read again from the log)."),
)
"""Every metric of the product; docs/reference/metrics.md is made from it."""


class Metrics:
    """The instruments of one process. An unknown name or label is a KeyError or ValueError: a fault in the program, not in the data."""

    def __init__(self, registry: CollectorRegistry, catalogue: tuple[Definition, ...] = CATALOGUE) -> None:
        self.registry = registry
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for item in catalogue:
            if item.kind == "counter":
                self._counters[item.name] = Counter(item.name, item.help, item.labels, registry=registry)
            elif item.kind == "gauge":
                self._gauges[item.name] = Gauge(item.name, item.help, item.labels, registry=registry)
            else:
                self._histograms[item.name] = Histogram(item.name, item.help, item.labels, registry=registry, buckets=item.buckets)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One measurement, in the unit the metric's name says."""
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(value)

    def set(self, name: str, value: float, **labels: str) -> None:
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def counted(self, name: str) -> AbstractContextManager[None]:
        """Raises the gauge by one for as long as the context is open."""
        return self._gauges[name].track_inprogress()

    def render(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self.registry)
