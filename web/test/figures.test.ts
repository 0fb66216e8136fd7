import { expect, it } from 'vitest';
import { addressOf, bands, coverage, searching, soughtOf, top, trend } from '../src/console/figures.ts';
import type { Figures } from '../src/net/console.ts';

const figures = (more: Partial<Figures>): Figures => ({
  calls: 0,
  scored: 0,
  reviewed: 0,
  fatal: 0,
  below60: 0,
  below75: 0,
  below85: 0,
  below95: 0,
  high_risk: 0,
  alerts: 0,
  duration_ms: 0,
  mean_score: null,
  mean_duration_ms: null,
  ...more,
});

it('splits the scored calls into bands that add up', () => {
  const f = figures({ calls: 120, scored: 100, fatal: 3, below60: 10, below75: 30, below85: 60, below95: 90 });
  const found = bands(f);
  expect(found.map((b) => b.calls)).toEqual([3, 7, 20, 30, 30, 10]);
  expect(found.reduce((sum, b) => sum + b.calls, 0)).toBe(f.scored);
  expect(coverage(f)).toBeCloseTo(0.833, 3);
  expect(coverage(figures({}))).toBeNull();
});

it('calls a change a trend only beyond chance', () => {
  expect(trend(12, 10)).toBe('same');
  expect(trend(40, 10)).toBe('up');
  expect(trend(10, 40)).toBe('down');
  expect(trend(3, 0)).toBe('new');
  expect(trend(0, 0)).toBe('same');
  expect(trend(1050, 1000)).toBe('same');
  expect(trend(1100, 1000)).toBe('up');
});

it('keeps facets and words in the address and nothing else', () => {
  expect(addressOf({})).toBe('/calls');
  const picked = { ticket: ['/card-loss', '/card-fee'], risk: ['high'], since: ['2026-03-01'] };
  for (const [q, mode] of [
    ['', 'words'],
    ['年费 -投诉', 'words'],
    ['年费', 'meaning'],
  ] as const)
    expect(soughtOf(addressOf(picked, q, mode).slice('/calls'.length))).toEqual({ q, mode, picked });
  expect(addressOf({ risk: 'high' })).toBe(addressOf({ risk: ['high'] }));
  expect(soughtOf('?risk=high&risk=high&other=x&team=&mode=magic')).toEqual({
    q: '',
    mode: 'words',
    picked: { risk: ['high'] },
  });
});

it('asks the index for words and for several values of a facet', () => {
  expect(searching(soughtOf('?risk=high&team=a'))).toBe(false);
  expect(searching(soughtOf('?risk=high&risk=low'))).toBe(true);
  expect(searching(soughtOf('?q=x'))).toBe(true);
});

it('has round tops for axes', () => {
  expect([0, 3, 5, 37, 61, 100, 4100].map(top)).toEqual([4, 4, 5, 40, 100, 100, 5000]);
});
