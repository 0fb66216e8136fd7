import { describe, expect, it } from 'vitest';
import { applyEphemeral, applyEvent, dropEphemeral, emptyState, foldLog, rewrite } from '../src/core/callstate.ts';
import type { EventEnvelope, TranscriptPartial } from '../src/gen/types.ts';
import { readLog } from './logs.ts';

const { log } = readLog('card-fraud');
const rare = readLog('rare-events');

const partial = (over: Partial<TranscriptPartial> = {}): TranscriptPartial => ({
  channel: 'customer',
  utterance_id: 'customer-1',
  start_ms: 5900,
  end_ms: 7000,
  stable: '我的',
  unstable: '信',
  language: 'zh',
  ...over,
});

describe('partials', () => {
  const id = 'demo-20261120-0930';
  it('replace the one before and go away with their final; a late one does not come back', () => {
    let state = foldLog('hesui', id, log.slice(0, 2));
    state = applyEphemeral(state, { type: 'partial', call_id: id, partial: partial() });
    state = applyEphemeral(state, {
      type: 'partial',
      call_id: id,
      partial: partial({ stable: '我的信用卡', unstable: '昨' }),
    });
    expect(Object.values(state.partials).map((p) => p.stable)).toEqual(['我的信用卡']);
    state = applyEvent(state, log[2] as EventEnvelope).state;
    expect(state.utterances.at(-1)?.utterance_id).toBe('customer-1');
    expect(state.partials).toEqual({});
    state = applyEphemeral(state, { type: 'partial', call_id: id, partial: partial() });
    expect(state.partials).toEqual({});
  });

  it('of both channels live side by side and are dropped when the line to the server is lost', () => {
    let state = foldLog('hesui', id, log.slice(0, 1));
    state = applyEphemeral(state, { type: 'partial', call_id: id, partial: partial() });
    state = applyEphemeral(state, {
      type: 'partial',
      call_id: id,
      partial: partial({ channel: 'agent', utterance_id: 'agent-1' }),
    });
    state = applyEphemeral(state, { type: 'speech', call_id: id, channel: 'agent', speaking: true, at_ms: 1 });
    expect(Object.keys(state.partials)).toHaveLength(2);
    const kept = dropEphemeral(state);
    expect(kept.partials).toEqual({});
    expect(kept.speaking).toEqual({});
    expect(kept.call).toEqual(state.call);
  });
});

describe('the view', () => {
  const state = foldLog('hesui', 'demo-20261120-0930', log);
  it('orders finals by when they were said', () => {
    const starts = state.utterances.map((u) => u.start_ms);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    const late = foldLog(rare.call.org_id, rare.call.call_id, rare.log);
    expect(late.utterances.map((u) => u.utterance_id)).toEqual(['mixed-1', 'mixed-3', 'mixed-2']);
  });
  it('keeps slots, ticks, alerts and feedback', () => {
    expect(state.slots.card_tail?.value).toBe('【尾号#1】');
    expect(Object.keys(state.ticks['sop-card-fraud'] ?? {})).toEqual([
      'soothe',
      'verify',
      'lock',
      'register',
      'time-limit',
    ]);
    expect(state.alerts.map((a) => a.alert.rule_id)).toEqual(['promise-recovery']);
    expect(state.cards.find((c) => c.offer.suggestion_id === 's2')?.feedback).toEqual(['copied', 'edited']);
    expect(state.artifacts).toEqual({ ticket: 1, summary: 1, qa: 1 });
  });
  it('counts the same click once and remembers which card was replaced', () => {
    const late = foldLog(rare.call.org_id, rare.call.call_id, rare.log);
    expect(late.cards.map((c) => [c.offer.suggestion_id, c.replacedBy, c.feedback])).toEqual([
      ['s1', null, ['rejected']],
      ['s2', 's3', []],
      ['s3', null, ['used']],
    ]);
    expect(late.down).toEqual({});
    expect(late.failed).toEqual({});
    expect(late.artifacts).toEqual({ qa: 2, summary: 1 });
  });
  it('collects a reply that is being written until the card itself comes', () => {
    const { org_id, call_id } = rare.call;
    let s = foldLog(org_id, call_id, rare.log.slice(0, 10));
    for (const text of ['I will', ' ask'])
      s = applyEphemeral(s, { type: 'reply_delta', call_id, suggestion_id: 's2', text });
    expect(s.drafts).toEqual({ s2: 'I will ask' });
    expect(applyEphemeral(s, { type: 'reply_dropped', call_id, suggestion_id: 's2' }).drafts).toEqual({});
    s = applyEvent(s, rare.log[10] as EventEnvelope).state;
    expect(s.drafts).toEqual({});
    s = applyEphemeral(s, { type: 'reply_delta', call_id, suggestion_id: 's2', text: 'late' });
    expect(s.drafts).toEqual({});
  });
});

describe('redaction', () => {
  it('asks for the rewritten contents and shows them instead, everywhere', () => {
    const { org_id, call_id } = rare.call;
    const state = foldLog(org_id, call_id, rare.log);
    expect(state.stale).toEqual([9]);
    const before = rare.log[8] as EventEnvelope;
    if (before.event.type !== 'utterance_final') throw new Error('the log has changed');
    const again: EventEnvelope = { ...before, event: { ...before.event, text: 'Can you get it back, 【姓名#1】?' } };
    const clean = rewrite(state, [again]);
    expect(clean.utterances.find((u) => u.utterance_id === 'mixed-2')?.text).toBe('Can you get it back, 【姓名#1】?');
    expect(clean.stale).toEqual([]);
    expect(clean.call).toEqual(state.call);
    expect(clean.log.some((e) => JSON.stringify(e).includes('the card is 【卡号#1】?'))).toBe(false);
  });
});

it('knows who holds the call and when it is on hold', () => {
  const { log: moved, call } = readLog('held-transferred');
  const at = (n: number) => foldLog(call.org_id, call.call_id, moved.slice(0, n)).call;
  expect([2, 3, 4, 5, 6, 7].map((n) => [at(n).held, at(n).agent_id])).toEqual([
    [false, 'u-lin'],
    [true, 'u-lin'],
    [false, 'u-lin'],
    [true, 'u-lin'],
    [true, 'u-zhou'],
    [false, 'u-zhou'],
  ]);
});

it('refuses an event of another call', () => {
  expect(() => applyEvent(emptyState('hesui', 'x'), log[0] as EventEnvelope)).toThrow('another call');
});

describe('mood, dynamics and the next action', () => {
  const { log: moody } = readLog('mood-and-rules');
  it('keep the newest estimate of each customer turn and the newest of the others', () => {
    const state = foldLog('hesui', 'mood-1', moody);
    expect(state.moods.map((m) => [m.customer_turn, m.mood])).toEqual([
      [1, 'anxious'],
      [2, 'angry'],
      [3, 'calm'],
    ]);
    expect(state.dynamics?.at_ms).toBe(21000);
    expect(state.nextAction).toBeNull();
    const halfway = foldLog('hesui', 'mood-1', moody.slice(0, 11));
    expect(halfway.nextAction?.step_id).toBe('freeze_card');
  });
});
