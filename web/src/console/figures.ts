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
  'phase',
  'since',
  'until',
] as const;
export type FacetName = (typeof FACETS)[number];
export type Chosen = Partial<Record<FacetName, string>>;

/** The facets in an address, unknown names left out. */
export function chosenOf(query: string): Chosen {
  const given = new URLSearchParams(query);
  const found: Chosen = {};
  for (const name of FACETS) {
    const value = given.get(name);
    if (value !== null && value !== '') found[name] = value;
  }
  return found;
}

/** The address of the list with these facets. */
export function addressOf(chosen: Chosen): string {
  const entries = FACETS.flatMap((name) => (chosen[name] ? [[name, chosen[name] as string]] : []));
  return entries.length === 0 ? '/calls' : `/calls?${new URLSearchParams(entries).toString()}`;
}
