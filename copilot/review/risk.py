"""Complaint risk of a call, 0 to 100, by the weights of the review pack. Pure. It speaks of the customer's case, not of anybody's mood."""

from __future__ import annotations

from collections.abc import Collection

from copilot.review.policy import RiskWeights


def risk_of(weights: RiskWeights, *, intents: Collection[str], categories: Collection[str], alerts: int, fatal: bool) -> int:
    """The strongest intent and the strongest category, the alerts, and a failed fatal item, added and capped."""
    points = max((weights.intents.get(intent, 0) for intent in intents), default=0)
    points += max((weights.categories.get(category, 0) for category in categories), default=0)
    return min(100, points + weights.alert * alerts + (weights.fatal if fatal else 0))
