"""How many live channels a recogniser carries, reckoned from what one window costs. PURE.

A second of speech asks for a partial every ``cadence_ms`` and for its share of a final; nothing is decoded between utterances. So a channel
that speaks for ``speech_share`` of the time costs

    cost = speech_share · (partial_ms · 1000 / cadence_ms + final_ms · 1000 / utterance_ms)     decoder-ms a second

and ``decoders`` carry  decoders · 1000 · load / cost  of them. An estimate to choose a machine by: queues, uneven speech and speculative
finals that are decoded again are left to the head-room in ``load``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a channel is like. ``speech_share``: of one side of a conversation; ``load``: where admission stops taking calls."""

    speech_share: float = 0.45
    utterance_ms: float = 4_000
    load: float = 0.8


def cost_per_second(partial_ms: float, final_ms: float, cadence_ms: float, traffic: Traffic) -> float:
    """Decoder-ms that one channel asks for in a second. ``partial_ms``, ``final_ms``: decoder-ms of one window, in a full batch."""
    return traffic.speech_share * (partial_ms * 1000 / cadence_ms + final_ms * 1000 / traffic.utterance_ms)


def channels(partial_ms: float, final_ms: float, decoders: int, cadence_ms: float, traffic: Traffic | None = None) -> float:
    """Live channels that ``decoders`` carry at that cadence of partials."""
    traffic = traffic or Traffic()
    return decoders * 1000 * traffic.load / cost_per_second(partial_ms, final_ms, cadence_ms, traffic)
