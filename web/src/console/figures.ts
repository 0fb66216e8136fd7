// What the console reckons from the server's figures. Pure.
import type { Figures } from '../net/console.ts';

export interface Band {
  /** The facet of the list that shows its calls. */
  key: 'fatal' | '0' | '60' | '75' | '85' | '95';
  calls: number;
}

/** Scored calls by band of the score. A fatal one has the score 0 and a band of its own. */
export function bands(f: Figures): Band[] {
  return [
    { key: 'fatal', calls: f.fatal },
    { key: '0', calls: f.below60 - f.fatal },
    { key: '60', calls: f.below75 - f.below60 },
    { key: '75', calls: f.below85 - f.below75 },
    { key: '85', calls: f.below95 - f.below85 },
    { key: '95', calls: f.scored - f.below95 },
  ];
}

/** The share of the calls that were scored, 0–1; null without calls. */
export function coverage(f: Figures): number | null {
  return f.calls === 0 ? null : f.scored / f.calls;
}

export type Trend = 'up' | 'down' | 'same' | 'new';

/** How a number of calls moved against the window before. Small numbers move by chance: under twice its root it stays the same. */
export function trend(now: number, before: number): Trend {
  if (before === 0) return now === 0 ? 'same' : 'new';
  return Math.abs(now - before) <= 2 * Math.sqrt(Math.max(now, before)) ? 'same' : now > before ? 'up' : 'down';
}

/** A round number at or above ``value`` for the top of an axis. */
export function top(value: number): number {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

export const FACETS = [
  'team',
  'agent',
  'intent',
  'ticket',
  'score',
  'risk',
  'state',
  'direction',
  'language',
  'phase',
  'since',
  'until',
] as const;
export type FacetName = (typeof FACETS)[number];
/** One value of each facet: what a number of the dashboard stands for. */
export type Chosen = Partial<Record<FacetName, string>>;
/** Values of each facet, of which one must fit. */
export type Picked = Partial<Record<FacetName, readonly string[]>>;

export const MODES = ['words', 'sound', 'meaning'] as const;
export type Mode = (typeof MODES)[number];
/** What the list shows: calls that fit the facets, and with ``q`` those in which it was said. */
export interface Sought {
  q: string;
  mode: Mode;
  picked: Picked;
}

/** What an address asks for, unknown names left out. */
export function soughtOf(query: string): Sought {
  const given = new URLSearchParams(query);
  const picked: Picked = {};
  for (const name of FACETS) {
    const values = [...new Set(given.getAll(name).filter((value) => value !== ''))];
    if (values.length > 0) picked[name] = values;
  }
  return { q: given.get('q') ?? '', mode: MODES.find((m) => m === given.get('mode')) ?? 'words', picked };
}

/** The address of the list with these facets and words. */
export function addressOf(chosen: Chosen | Picked, q = '', mode: Mode = 'words'): string {
  const entries = FACETS.flatMap((name): [string, string][] => {
    const value = chosen[name];
    return value === undefined || value === '' ? [] : [value].flat().map((one) => [name, one]);
  });
  if (q !== '') entries.unshift(['q', q]);
  if (q !== '' && mode !== 'words') entries.push(['mode', mode]);
  return entries.length === 0 ? '/calls' : `/calls?${new URLSearchParams(entries).toString()}`;
}

/** Whether the index of calls is asked: for words, or for several values of a facet. The list itself knows live calls and one value each. */
export function searching({ q, picked }: Sought): boolean {
  return q !== '' || Object.values(picked).some((values) => values.length > 1);
}
