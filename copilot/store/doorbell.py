"""Tells the rest of the process that events were committed. A doorbell, never the truth: who misses it reads the log."""

from __future__ import annotations

import logging
from collections.abc import Callable

from copilot.domain.events import EventEnvelope

OnCommitted = Callable[[list[EventEnvelope]], None]
"""Called after each commit with its events (calls may be mixed; each call's are in seq order), on the writing thread. Must not block."""

_log = logging.getLogger(__name__)


class Doorbell:
    """One callback, guarded: a fault in it must not look like a failed write."""

    def __init__(self, on_committed: OnCommitted | None) -> None:
        self._on_committed = on_committed

    def ring(self, envelopes: list[EventEnvelope]) -> None:
        if self._on_committed is None or not envelopes:
            return
        try:
            self._on_committed(envelopes)
        except Exception:
            _log.exception("the doorbell failed; subscribers will find the events in the log")
