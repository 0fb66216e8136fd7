"""The attention budget: which answer is worth a card now, and which cards leave the screen for it. Pure.

An agent reads while listening and talking, so a card has to earn its place: surely enough an answer, not shown lately, one new one for a
turn of the customer (a better one takes its place), nothing for a turn that the talk has left behind, and no more cards on the screen than
can be taken in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from copilot.domain.ids import SuggestionId
from copilot.domain.knowledge import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionPolicy:
    """``min_confidence``: below it nothing is offered.

    ``repeat_after_ms``: the same article is not offered again sooner.

    ``better_by``: within one customer turn a second card must beat the first by this much confidence.

    ``on_screen``: most cards at once; ``screen_ms``: a card leaves the screen at this age. ``stale_ms``: an answer to what was said longer
    ago is not offered once the customer has gone on to another turn. Times are media time.
    """

    min_confidence: float = 0.5
    repeat_after_ms: int = 120_000
    better_by: float = 0.05
    options: int = 2
    on_screen: int = 3
    screen_ms: int = 180_000
    stale_ms: int = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Show ``hits[0]`` as the card and the rest as options; ``replaces`` names the card of the same turn that it supersedes.

    ``retires``: cards that leave the screen for it.
    """

    hits: tuple[Hit, ...]
    replaces: SuggestionId | None = None
    retires: tuple[SuggestionId, ...] = ()


@dataclass(slots=True)
class Guard:
    """Decides and remembers what was offered in one call."""

    policy: AttentionPolicy = field(default_factory=AttentionPolicy)
    _offered_at: dict[str, int] = field(default_factory=dict)
    _screen: dict[SuggestionId, int] = field(default_factory=dict)
    """What is on the screen, oldest first, with the media time of its offer."""
    _turn: int = 0
    _turn_card: SuggestionId | None = None
    _turn_article: str = ""
    _turn_confidence: float = 0.0
    _nothing_turn: int = 0

    @property
    def screen(self) -> tuple[SuggestionId, ...]:
        """The cards on the screen, oldest first."""
        return tuple(self._screen)

    def consider(
        self,
        hits: Sequence[Hit],
        *,
        customer_turn: int,
        at_ms: int,
        current_turn: int | None = None,
        now_ms: int | None = None,
    ) -> Offer | None:
        """The card worth showing, or None: too unsure, shown lately, stale, or no better than the card of this turn.

        ``customer_turn`` and ``at_ms``: of the words that were looked up; ``current_turn`` and ``now_ms``: where the talk is by now.
        """
        good = [hit for hit in hits if hit.fits and hit.confidence >= self.policy.min_confidence]
        if not good:
            return None
        best = good[0]
        gone_on = customer_turn < (current_turn or customer_turn) and (now_ms or at_ms) - at_ms > self.policy.stale_ms
        if gone_on or customer_turn < self._turn:
            # A later turn has its card already, or the talk is elsewhere: an older answer must not come to the front.
            return None
        same_turn = customer_turn == self._turn and self._turn_card is not None
        if same_turn and (best.article.article_id == self._turn_article or best.confidence < self._turn_confidence + self.policy.better_by):
            return None
        last = self._offered_at.get(best.article.article_id)
        if last is not None and at_ms - last < self.policy.repeat_after_ms:
            return None
        replaces = self._turn_card if same_turn else None
        return Offer(hits=tuple(good[: 1 + self.policy.options]), replaces=replaces, retires=self._leaving(at_ms, replaces))

    def _leaving(self, at_ms: int, replaces: SuggestionId | None) -> tuple[SuggestionId, ...]:
        staying = [(card, offered) for card, offered in self._screen.items() if card != replaces]
        old = [card for card, offered in staying if at_ms - offered >= self.policy.screen_ms]
        young = [card for card, _ in staying if card not in old]
        return tuple(old + young[: max(0, len(young) - (self.policy.on_screen - 1))])

    def offered(self, suggestion_id: SuggestionId, offer: Offer, *, customer_turn: int, at_ms: int) -> None:
        """Must follow every offer that is really shown."""
        best = offer.hits[0]
        self._offered_at[best.article.article_id] = at_ms
        self.place(suggestion_id, at_ms, replaces=offer.replaces, retires=offer.retires)
        self._turn, self._turn_card = customer_turn, suggestion_id
        self._turn_article, self._turn_confidence = best.article.article_id, best.confidence

    def place(
        self, suggestion_id: SuggestionId, at_ms: int, *, replaces: SuggestionId | None, retires: Sequence[SuggestionId] = ()
    ) -> None:
        """A card came to the screen, in the place of ``replaces`` if that is given."""
        for card in (replaces, *retires):
            if card is not None:
                self._screen.pop(card, None)
        self._screen[suggestion_id] = at_ms
        if replaces is not None and replaces == self._turn_card:
            self._turn_card = suggestion_id

    def recall(self, article_id: str, at_ms: int) -> None:
        """An earlier owner of the call offered this article at ``at_ms``."""
        self._offered_at[article_id] = at_ms

    def may_say_nothing(self, *, customer_turn: int) -> bool:
        """True once per customer turn that has no card yet: then 'no reliable source' may be shown."""
        if self._turn == customer_turn and self._turn_card is not None:
            return False
        if customer_turn <= self._nothing_turn:
            return False
        self._nothing_turn = customer_turn
        return True
