import { describe, expect, it } from 'vitest';
import { applyEvent, emptyState, foldLog } from '../src/core/callstate.ts';
import type { Call, EventEnvelope } from '../src/gen/types.ts';
import { names, readLog } from './logs.ts';

/** The same moment may be written with or without milliseconds. */
const normal = (call: Call): Call => ({
  ...call,
  started_at: call.started_at === null ? null : new Date(call.started_at).toISOString(),
});

it('finds the logs', () => expect(names.length).toBeGreaterThanOrEqual(3));

describe.each(names)('%s', (name) => {
  const { log, call } = readLog(name);

  it('folds to the written call', () => {
    expect(normal(foldLog(call.org_id, call.call_id, log).call)).toEqual(normal(call));
  });

  it('is the same one by one, with every event twice and with old ones again', () => {
    let state = emptyState(call.org_id, call.call_id);
    for (const [i, envelope] of log.entries()) {
      state = applyEvent(state, envelope).state;
      const before = state;
      for (const old of log.slice(Math.max(0, i - 3), i + 1)) {
        const again = applyEvent(state, old);
        expect(again.outcome).toBe('duplicate');
        state = again.state;
      }
      expect(state).toBe(before);
    }
    expect(state).toEqual(foldLog(call.org_id, call.call_id, log));
  });

  it('stops at a hole wherever it is and goes on when the hole is filled', () => {
    for (let hole = 0; hole < log.length - 1; hole += 1) {
      let state = foldLog(call.org_id, call.call_id, log.slice(0, hole));
      const jumped = applyEvent(state, log[hole + 1] as EventEnvelope);
      expect(jumped.outcome).toBe('gap');
      expect(jumped.state).toBe(state);
      for (const envelope of log.slice(hole)) state = applyEvent(state, envelope).state;
      expect(state.call.last_seq).toBe(log.length);
    }
  });
});
