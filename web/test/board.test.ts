import { expect, it } from 'vitest';
import { type BoardRow, ordered, type Rows, receive, settled } from '../src/core/board.ts';

const row = (call_id: string, risk: number, more: Partial<BoardRow> = {}): BoardRow => ({
  call_id,
  started_at: `2026-11-20T09:3${call_id.length}:00Z`,
  agent_id: 'u1',
  agent_name: '林晓',
  team_id: 'cards',
  own: false,
  language: 'zh',
  direction: 'inbound',
  skill: '',
  held_since: null,
  mood: '',
  mood_trend: '',
  mood_confidence: 0,
  complaint_risk: 0,
  alerts: {},
  last_rule: '',
  intent: '',
  whispers: 0,
  down: [],
  seq: 1,
  risk,
  ...more,
});
const message = (rows: BoardRow[], gone: string[] = [], reset = false) => ({
  type: 'board' as const,
  reset,
  rows,
  gone,
});

it('keeps rows from what changed, and what did not change stays the same object', () => {
  let rows: Rows = receive(new Map(), message([row('a', 0.1), row('b', 0.5)], [], true));
  const a = rows.get('a');
  rows = receive(rows, message([row('b', 0.9, { seq: 2 }), row('c', 0.2)], []));
  expect(rows.get('a')).toBe(a);
  expect(ordered(rows, 'risk', '')).toEqual(['b', 'c', 'a']);
  rows = receive(rows, message([], ['b']));
  expect([...rows.keys()]).toEqual(['a', 'c']);
  const again = receive(rows, message([row('a', 0.1), row('d', 0)], [], true));
  expect([again.get('a') === a, [...again.keys()]]).toEqual([true, ['a', 'd']]);
});

it('orders by risk or by how long a call runs, of one team if asked', () => {
  const rows = receive(
    new Map(),
    message([row('a', 0.1), row('bb', 0.5, { team_id: 'loans' }), row('ccc', 0.1)], [], true),
  );
  expect(ordered(rows, 'risk', '')).toEqual(['bb', 'a', 'ccc']);
  expect(ordered(rows, 'duration', '')).toEqual(['a', 'bb', 'ccc']);
  expect(ordered(rows, 'risk', 'cards')).toEqual(['a', 'ccc']);
});

it('moves nothing while somebody reads', () => {
  expect(settled(['a', 'b'], ['b', 'a', 'c'], true)).toEqual(['a', 'b', 'c']);
  expect(settled(['a', 'b'], ['b'], true)).toEqual(['b']);
  expect(settled(['a', 'b'], ['b', 'a'], false)).toEqual(['b', 'a']);
  const shown = ['a', 'b'];
  expect(settled(shown, ['a', 'b'], false)).toBe(shown);
});
