"""The attention budget: which answer is worth a card now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from copilot.domain.ids import SuggestionId
from copilot.domain.knowledge import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionPolicy:
    """``min_confidence``: below it nothing is offered; ``unsure_confidence``: the bar where the intent is not known either.

    ``repeat_after_ms``: the same article is not offered again sooner.

    ``better_by``: within one customer turn a second card must beat the first by this much confidence.
    """

    min_confidence: float = 0.5
    unsure_confidence: float = 0.7
    repeat_after_ms: int = 120_000
    better_by: float = 0.05
    options: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Show ``hits[0]`` as the card and the rest as options; ``replaces`` names the card of the same turn that it supersedes."""

    hits: tuple[Hit, ...]
    replaces: SuggestionId | None = None


@dataclass(slots=True)
class Guard:
    """Decides and remembers what was offered in one call."""

    policy: AttentionPolicy = field(default_factory=AttentionPolicy)
    _offered_at: dict[str, int] = field(default_factory=dict)
    _turn: int = 0
    _turn_card: SuggestionId | None = None
    _turn_article: str = ""
    _turn_confidence: float = 0.0
    _nothing_turn: int = 0

    def consider(self, hits: Sequence[Hit], *, customer_turn: int, at_ms: int, sure_of_need: bool = True) -> Offer | None:
        """The card worth showing, or None: too unsure, shown lately, or no better than the card of this turn."""
        good = [hit for hit in hits if hit.fits and hit.confidence >= self.policy.min_confidence]
        if not good:
            return None
        best = good[0]
        if not sure_of_need and best.confidence < self.policy.unsure_confidence:
            return None
        same_turn = customer_turn == self._turn and self._turn_card is not None
        if same_turn and (best.article.article_id == self._turn_article or best.confidence < self._turn_confidence + self.policy.better_by):
            return None
        last = self._offered_at.get(best.article.article_id)
        if last is not None and at_ms - last < self.policy.repeat_after_ms:
            return None
        return Offer(hits=tuple(good[: 1 + self.policy.options]), replaces=self._turn_card if same_turn else None)

    def offered(self, suggestion_id: SuggestionId, offer: Offer, *, customer_turn: int, at_ms: int) -> None:
        """Must follow every offer that is really shown."""
        best = offer.hits[0]
        self._offered_at[best.article.article_id] = at_ms
        self._turn, self._turn_card = customer_turn, suggestion_id
        self._turn_article, self._turn_confidence = best.article.article_id, best.confidence

    def recall(self, article_id: str, at_ms: int) -> None:
        """An earlier owner of the call offered this article at ``at_ms``."""
        self._offered_at[article_id] = at_ms

    def may_say_nothing(self, *, customer_turn: int) -> bool:
        """True once per customer turn that has no card yet: then 'no reliable source' may be shown."""
        if self._turn == customer_turn and self._turn_card is not None:
            return False
        if self._nothing_turn == customer_turn:
            return False
        self._nothing_turn = customer_turn
        return True
