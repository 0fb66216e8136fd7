"""Quality review in a server: its desk, and the rounds that it makes by itself."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from copilot.assembly import rounds
from copilot.domain.ids import OrgId
from copilot.review.desk import Policies, ReviewDesk
from copilot.review.rounds import ReviewRounds
from copilot.review.rule_comparison import RuleComparison

if TYPE_CHECKING:
    from copilot.domain.clock import Clock
    from copilot.store.store import Store

ROUND_S = 10.0
"""Between two rounds: how long a call that was scored may wait before it stands in the queue."""


class ReviewRoom:
    """``desk`` for the API, ``rounds`` for the server."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.policies = policies = Policies(store.articles)
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

    def running(self, org_id: OrgId) -> AbstractAsyncContextManager[None]:
        """Round after round beside a block."""
        return rounds.running(rounds.keep("review", lambda: {"queued": self.rounds.run(org_id)}, ROUND_S), "review-rounds")
