import { expect, it } from 'vitest';
import { inFront, type StripItem } from '../src/agent/Strip.tsx';

const T0 = Date.parse('2026-11-20T09:30:00Z');
const at = (s: number): string => new Date(T0 + s * 1000).toISOString();
const alert = (seq: number, s: number, severity: 'info' | 'warn' | 'critical'): StripItem => ({
  kind: 'alert',
  seq,
  at: at(s),
  alert: {
    type: 'compliance_alerted',
    rule_id: `r${seq}`,
    kind: 'forbidden',
    severity,
    channel: 'agent',
    utterance_id: 'agent-1',
    quote: '',
    at_ms: 0,
    evidence: [],
    pack_version: 1,
  },
});
const whisper = (seq: number, s: number): StripItem => ({ kind: 'whisper', seq, at: at(s), text: '慢一点' });
const shown = (items: StripItem[], s: number, ...dismissed: number[]) =>
  inFront(items, new Set(dismissed), T0 + s * 1000)?.seq ?? null;

it('a caution fades to the log, a warning and a whisper stay until they are acknowledged', () => {
  expect(shown([alert(1, 0, 'warn')], 29)).toBe(1);
  expect(shown([alert(1, 0, 'warn')], 31)).toBeNull();
  expect(shown([alert(1, 0, 'critical'), alert(2, 5, 'warn')], 6)).toBe(1);
  expect(shown([alert(1, 0, 'critical'), whisper(2, 5)], 600)).toBe(2);
  expect(shown([alert(1, 0, 'critical'), whisper(2, 5)], 600, 2)).toBe(1);
  expect(shown([alert(1, 0, 'critical'), whisper(2, 5)], 600, 1, 2)).toBeNull();
});
