import { describe, expect, it } from 'vitest';
import type { Card } from '../src/core/callstate.ts';
import { emptyDeck, hold, release, settle, show, waiting } from '../src/core/deck.ts';

const card = (n: number, replacedBy: string | null = null, more: Partial<Card> = {}): Card =>
  ({
    offer: { suggestion_id: `s${n}`, citations: [{ article_id: `a${n}`, version: 1 }] },
    seq: n * 10,
    at: '',
    feedback: [],
    replacedBy,
    gone: [],
    ...more,
  }) as unknown as Card;

describe('which card is in front', () => {
  it('the newest, as long as nobody is busy with the one before', () => {
    let deck = settle(emptyDeck, [card(1)]);
    expect(deck.shownId).toBe('s1');
    deck = settle(deck, [card(1), card(2)]);
    expect(deck.shownId).toBe('s2');
    expect(waiting(deck, [card(1), card(2)])).toBe(0);
  });

  it('one that is hovered or edited stays; newer ones are counted and come when it is let go', () => {
    let deck = settle(emptyDeck, [card(1)]);
    deck = hold(hold(deck, 'hover'), 'edit');
    const cards = [card(1), card(2), card(3)];
    deck = settle(deck, cards);
    expect(deck.shownId).toBe('s1');
    expect(waiting(deck, cards)).toBe(2);
    deck = release(deck, 'hover', cards);
    expect(deck.shownId).toBe('s1');
    deck = release(deck, 'edit', cards);
    expect(deck.shownId).toBe('s3');
    expect(waiting(deck, cards)).toBe(0);
  });

  it('a generated reply takes the place of its approved answer, but not under the hand', () => {
    let deck = settle(emptyDeck, [card(1)]);
    const replaced = [card(1, 's2'), card(2)];
    expect(settle(deck, replaced).shownId).toBe('s2');
    deck = settle(hold(deck, 'edit'), replaced);
    expect(deck.shownId).toBe('s1');
    expect(waiting(deck, replaced)).toBe(1);
  });

  it('an earlier one picked on purpose stays until the newest is picked', () => {
    const cards = [card(1), card(2)];
    let deck = show(settle(emptyDeck, cards), 's1', cards);
    const more = [...cards, card(3)];
    deck = settle(deck, more);
    expect(deck.shownId).toBe('s1');
    expect(waiting(deck, more)).toBe(1);
    deck = show(deck, 's3', more);
    expect(settle(deck, [...more, card(4)]).shownId).toBe('s4');
  });

  it('one whose source went out of force is neither shown nor counted, unless it is being read or was used', () => {
    const gone = { gone: ['a2@1'] };
    const cards = [card(1), card(2, null, gone)];
    expect(settle(emptyDeck, cards).shownId).toBe('s1');
    expect(waiting({ ...emptyDeck, seenSeq: 10 }, cards)).toBe(0);
    const reading = hold(settle(emptyDeck, [card(1), card(2)]), 'hover');
    expect(settle(reading, cards).shownId).toBe('s2');
    expect(release(reading, 'hover', cards).shownId).toBe('s1');
    const used = [card(1), card(2, null, { ...gone, feedback: ['used'] })];
    expect(settle(emptyDeck, used).shownId).toBe('s2');
    const other = [card(1), card(2, null, { gone: ['a1@1'] })];
    expect(settle(emptyDeck, other).shownId).toBe('s2');
  });

  it('is empty again with an empty call', () => {
    expect(settle(settle(emptyDeck, [card(1)]), []).shownId).toBeNull();
  });
});
