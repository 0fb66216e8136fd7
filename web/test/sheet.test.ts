import { expect, it } from 'vitest';
import type { QaItem, QaScorecard } from '../src/gen/types.ts';
import { changed, handIn, inOrder, missing, scoreOf } from '../src/review/sheet.ts';

const item = (item_id: string, answer: QaItem['answer'], max_points: number, more: Partial<QaItem> = {}): QaItem => ({
  item_id,
  section: 's',
  answer,
  points: answer === 'pass' ? max_points : 0,
  max_points,
  fatal: false,
  confidence: 1,
  reason: '',
  evidence: [],
  deduction: 0,
  ...more,
});
const card: QaScorecard = {
  rubric_version: '1',
  score: 35,
  fatal: false,
  pack_version: 1,
  items: [
    item('greet', 'pass', 4),
    item('verify', 'fail', 6, { deduction: 5 }),
    item('leak', 'pass', 0, { fatal: true }),
    item('hold', 'na', 4),
    item('rate', 'not_scorable', 3),
  ],
};

it('scores as the server does', () => {
  expect(scoreOf(card, {})).toEqual({ score: 35, fatal: false });
  expect(scoreOf(card, { verify: { answer: 'pass', reason: 'x' } })).toEqual({ score: 100, fatal: false });
  expect(scoreOf(card, { leak: { answer: 'fail', reason: 'x' } })).toEqual({ score: 0, fatal: true });
  expect(scoreOf({ ...card, items: [] }, {})).toEqual({ score: 0, fatal: false });
});

it('asks for a reason for every change and hands in only what changed', () => {
  const answers = { verify: { answer: 'pass', reason: ' ' }, greet: { answer: 'pass', reason: '' } } as const;
  expect(changed(card, answers)).toEqual(['verify']);
  expect(missing(card, answers, false)).toEqual(['verify']);
  const said = { ...answers, verify: { answer: 'pass', reason: ' 已核实 ' } } as const;
  expect(missing(card, said, false)).toEqual([]);
  expect(handIn(card, said, false)).toEqual([{ item_id: 'verify', answer: 'pass', reason: '已核实' }]);
});

it('a blind sheet needs every answer and keeps the order of the rubric', () => {
  expect(missing(card, { greet: { answer: 'pass', reason: '' } }, true)).toEqual(['verify', 'leak', 'hold', 'rate']);
  const all = Object.fromEntries(card.items.map((i) => [i.item_id, { answer: 'pass', reason: '' } as const]));
  expect(handIn(card, all, true)).toHaveLength(5);
  expect(inOrder(card, true).map((i) => i.item_id)).toEqual(['greet', 'verify', 'leak', 'hold', 'rate']);
});

it('shows first what needs a look', () => {
  expect(inOrder(card, false).map((i) => i.item_id)).toEqual(['verify', 'rate', 'greet', 'leak', 'hold']);
});
