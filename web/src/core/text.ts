// Text as the screens show it: PII tokens, corrected terms, search marks. Pure. Indices from the server count code points, not UTF-16 units.
import type { Correction } from '../gen/types.ts';

export type Piece =
  | { kind: 'text'; text: string }
  | { kind: 'secret'; token: string; label: string }
  | { kind: 'corrected'; text: string; original: string; reason: Correction['reason'] };

const TOKEN = /【([^【】#]{1,16})#(\d+)】/gu;

export function pieces(text: string, corrections: readonly Correction[] = []): Piece[] {
  const points = Array.from(text);
  const out: Piece[] = [];
  let at = 0;
  const sorted = [...corrections].sort((a, b) => a.start - b.start);
  for (const c of sorted) {
    if (c.start < at || c.end > points.length || c.start >= c.end) continue; // overlapping or out of range: show plain
    out.push(...tokens(points.slice(at, c.start).join('')));
    out.push({
      kind: 'corrected',
      text: points.slice(c.start, c.end).join(''),
      original: c.original,
      reason: c.reason,
    });
    at = c.end;
  }
  out.push(...tokens(points.slice(at).join('')));
  return out;
}

function tokens(text: string): Piece[] {
  const out: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > at) out.push({ kind: 'text', text: text.slice(at, match.index) });
    out.push({ kind: 'secret', token: match[0], label: match[1] as string });
    at = match.index + match[0].length;
  }
  if (at < text.length) out.push({ kind: 'text', text: text.slice(at) });
  return out;
}

/** Puts known values in place of their tokens: for the clipboard of the agent who may see them, never for the server. */
export function resolve(text: string, secrets: Readonly<Record<string, string>>): string {
  return text.replace(TOKEN, (token) => secrets[token] ?? token);
}

/** Puts tokens back in place of values an agent may have copied into an edited text, longest first. */
export function conceal(text: string, secrets: Readonly<Record<string, string>>): string {
  const entries = Object.entries(secrets).filter(([, value]) => value !== '');
  entries.sort(([, a], [, b]) => b.length - a.length);
  return entries.reduce((out, [token, value]) => out.split(value).join(token), text);
}

export interface Marked {
  text: string;
  hit: boolean;
}

const CJK = /[㐀-鿿]/u;

/** Marks what a search query and a text share: words for alphabetic text, two or more characters in a row for Chinese. */
export function mark(text: string, query: string): Marked[] {
  const needles = new Set<string>();
  for (const run of query.toLowerCase().match(/[㐀-鿿]+|[\p{L}\p{N}]+/gu) ?? []) {
    if (!CJK.test(run)) {
      if (run.length > 1) needles.add(run);
    } else if (run.length === 1) needles.add(run);
    else for (let i = 0; i + 2 <= run.length; i += 1) needles.add(run.slice(i, i + 2));
  }
  const lower = text.toLowerCase();
  const hits = new Array<boolean>(text.length).fill(false);
  // Lower-casing may change the length of a few exotic letters: then nothing is marked rather than the wrong thing.
  if (lower.length === text.length) {
    for (const needle of needles) {
      for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, at + 1))
        hits.fill(true, at, at + needle.length);
    }
  }
  const out: Marked[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const last = out.at(-1);
    if (last !== undefined && last.hit === hits[i]) last.text += text[i];
    else out.push({ text: text[i] as string, hit: hits[i] as boolean });
  }
  return out;
}
