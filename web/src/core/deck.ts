// Which suggestion is in front. A card that is being read, hovered or edited is never replaced: newer ones wait and are counted. Pure.
import { type Card, isWithdrawn } from './callstate.ts';

export interface Deck {
  shownId: string | null;
  /** Why the shown card must stay: hovered or focused, edited, or picked from the earlier ones. */
  holds: ReadonlySet<Hold>;
  /** Newest sequence number the agent has been shown (or skipped past). */
  seenSeq: number;
}

export type Hold = 'hover' | 'focus' | 'edit' | 'history';

export const emptyDeck: Deck = { shownId: null, holds: new Set(), seenSeq: 0 };

/**
 * Cards worth a place of their own. One that left the screen for another has none; the approved answer that a generated reply replaced is
 * reached through that reply; one whose source is out of force is kept only where something was done with it.
 */
export function ownCards(cards: readonly Card[]): Card[] {
  return cards.filter((c) => c.replacedBy === null && !c.retired && (!isWithdrawn(c) || c.feedback.length > 0));
}

/** The deck after the list of cards changed. */
export function settle(deck: Deck, cards: readonly Card[]): Deck {
  const newest = ownCards(cards).at(-1);
  const shownExists = cards.some((c) => c.offer.suggestion_id === deck.shownId);
  // Also one that was withdrawn stays while it is being read: it says so itself.
  if (deck.shownId !== null && shownExists && deck.holds.size > 0) return deck;
  if (newest === undefined) return deck.shownId === null ? deck : { ...deck, shownId: null, seenSeq: 0 };
  if (deck.shownId === newest.offer.suggestion_id && deck.seenSeq === newest.seq) return deck;
  return { ...deck, shownId: newest.offer.suggestion_id, seenSeq: newest.seq };
}

export function hold(deck: Deck, why: Hold): Deck {
  return deck.holds.has(why) ? deck : { ...deck, holds: new Set([...deck.holds, why]) };
}

export function release(deck: Deck, why: Hold, cards: readonly Card[]): Deck {
  if (!deck.holds.has(why)) return deck;
  return settle({ ...deck, holds: new Set([...deck.holds].filter((h) => h !== why)) }, cards);
}

/** Shows one on purpose. An earlier one stays until the agent comes back to the newest. */
export function show(deck: Deck, id: string, cards: readonly Card[]): Deck {
  const own = ownCards(cards);
  const isNewest = own.at(-1)?.offer.suggestion_id === id;
  const holds = new Set<Hold>([...deck.holds].filter((h) => h === 'hover' || h === 'focus'));
  if (!isNewest) holds.add('history');
  const seenSeq = isNewest ? (own.at(-1)?.seq ?? deck.seenSeq) : deck.seenSeq;
  return { shownId: id, holds, seenSeq };
}

/** How many newer suggestions wait behind the shown one. */
export function waiting(deck: Deck, cards: readonly Card[]): number {
  return ownCards(cards).filter((c) => c.seq > deck.seenSeq).length;
}
