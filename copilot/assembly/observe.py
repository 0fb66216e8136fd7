"""From committed events to doorbells and metrics. Runs on the writing thread; must not block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copilot.api.board import board_message
from copilot.api.feed_ws import event_message
from copilot.domain.board import BOARD_EVENTS
from copilot.domain.events import (
    CallEnded,
    ComplianceAlerted,
    Degraded,
    EventEnvelope,
    SuggestionFeedback,
    SuggestionOffered,
    UtteranceFinal,
)
from copilot.domain.ports.bus import Bus, board_topic, call_topic, jobs_topic

if TYPE_CHECKING:
    from copilot.telemetry.metrics import Metrics


class Observer:
    """The store's doorbell: tells the bus of every event, and the metrics of what they say."""

    def __init__(self, bus: Bus, metrics: Metrics) -> None:
        self._bus = bus
        self._metrics = metrics

    def committed(self, envelopes: list[EventEnvelope]) -> None:
        for envelope in envelopes:
            self._bus.publish(call_topic(envelope.org_id, envelope.call_id), event_message(envelope))
            if envelope.event.type in BOARD_EVENTS:
                self._bus.publish(board_topic(envelope.org_id), board_message(envelope))
            self._measure(envelope)
        if any(isinstance(envelope.event, CallEnded) for envelope in envelopes):
            self._bus.publish(jobs_topic(), "{}")

    def _measure(self, envelope: EventEnvelope) -> None:
        metrics, event = self._metrics, envelope.event
        match event:
            case UtteranceFinal():
                metrics.observe("pangting_final_ms", event.timings.after_speech_ms)
            case SuggestionOffered():
                metrics.count("pangting_suggestions_total", kind=event.kind)
                if event.kind != "nothing":
                    metrics.observe("pangting_suggestion_ms", event.total_ms)
                for stage in event.stages:
                    metrics.observe("pangting_stage_ms", stage.ms, stage=stage.name)
            case SuggestionFeedback():
                metrics.count("pangting_feedback_total", action=event.action)
            case Degraded(state="down"):
                metrics.count("pangting_degraded_total", part=event.part)
            case CallEnded():
                metrics.count("pangting_calls_total", reason=event.reason)
            case ComplianceAlerted():
                metrics.count("pangting_alerts_total", kind=event.kind)
            case _:
                pass
