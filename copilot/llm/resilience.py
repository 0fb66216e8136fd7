"""When to ask a model server again, and when to leave it alone. Pure state machines: the time is passed in."""

from __future__ import annotations

from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """Opens after ``failures_to_open`` failures in a row; after ``open_s`` lets one request through, whose outcome decides.

    Not thread-safe on its own; times are seconds of a monotonic clock.
    """

    def __init__(self, *, failures_to_open: int = 3, open_s: float = 20.0) -> None:
        self._failures_to_open = failures_to_open
        self._open_s = open_s
        self._failures = 0
        self._opened_at = 0.0
        self._probing_since: float | None = None
        self.state: BreakerState = "closed"

    def allows(self, now: float) -> bool:
        """True if a request may be made now; it must then be reported with ``succeeded``, ``failed`` or ``abandoned``."""
        if self.state == "closed":
            return True
        if self.state == "open" and now - self._opened_at >= self._open_s:
            self.state = "half_open"
            self._probing_since = None
        if self.state == "half_open" and (self._probing_since is None or now - self._probing_since >= self._open_s):
            # A probe that was never reported does not block for ever.
            self._probing_since = now
            return True
        return False

    def succeeded(self) -> None:
        self.state = "closed"
        self._failures = 0
        self._probing_since = None

    def failed(self, now: float) -> None:
        self._failures += 1
        self._probing_since = None
        if self.state == "half_open" or self._failures >= self._failures_to_open:
            self.state = "open"
            self._opened_at = now

    def abandoned(self) -> None:
        """The request was cancelled by us: it says nothing about the server."""
        self._probing_since = None


class RetryBudget:
    """Retries may be at most ``ratio`` of the requests, with ``reserve`` of them saved up: a failing server is not asked twice as often."""

    def __init__(self, *, ratio: float = 0.2, reserve: float = 3.0) -> None:
        self._ratio = ratio
        self._reserve = reserve
        self._saved = reserve

    def requested(self) -> None:
        """A first attempt was made."""
        self._saved = min(self._reserve, self._saved + self._ratio)

    def take(self) -> bool:
        """True if one retry may be made; it is spent."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
