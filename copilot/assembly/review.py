"""Quality review in a server: its desk, and the rounds that it makes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from copilot.domain.errors import CopilotError
from copilot.domain.ids import OrgId
from copilot.review.desk import Policies, ReviewDesk
from copilot.review.rounds import ReviewRounds
from copilot.review.rule_comparison import RuleComparison

if TYPE_CHECKING:
    from copilot.domain.clock import Clock
    from copilot.store.store import Store

log = structlog.get_logger(__name__)
ROUND_S = 10.0
"""Between two rounds: how long a call that was scored may wait before it stands in the queue."""


class ReviewRoom:
    """``desk`` for the API, ``rounds`` for the server. ``sleep``: how the time between two rounds passes."""

    def __init__(self, store: Store, clock: Clock, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.policies = policies = Policies(store.articles)
        self._sleep = sleep
        self.desk = ReviewDesk(
            calls=store.calls,
            reviews=store.reviews,
            appeals=store.appeals,
            calibrations=store.calibrations,
            people=store.people,
            policies=policies,
            clock=clock,
        )
        self.rule_comparison = RuleComparison(store.calls, store.articles)
        self.rounds = ReviewRounds(
            facts=store.facts, rollups=store.rollups, reviews=store.reviews, desk=self.desk, policies=policies, clock=clock
        )

    async def keep(self, org_id: OrgId) -> None:
        """Round after round until cancelled, whatever happens in one."""
        while True:
            try:
                queued = await asyncio.to_thread(self.rounds.run, org_id)
                if queued:
                    log.info("reviews_queued", calls=queued)
            except CopilotError as error:
                log.warning("review_round_failed", error=type(error).__name__)
            except Exception:  # a fault of one round must not end them all
                log.exception("review_round_failed")
            await self._sleep(ROUND_S)

    @asynccontextmanager
    async def running(self, org_id: OrgId) -> AsyncIterator[None]:
        """``keep`` beside the block."""
        task = asyncio.create_task(self.keep(org_id), name="review-rounds")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
