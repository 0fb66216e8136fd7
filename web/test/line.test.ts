import { describe, expect, it } from 'vitest';
import { busy, DEAD_MS, ENDING_MS, GIVE_UP_AFTER_MS, newLine, PING_MS, step } from '../src/core/line.ts';
import type { Effect, Input, Line } from '../src/core/linestate.ts';

const WINDOW_MS = 15_000;

/** Drives the machine by hand: no microphone, no socket, no clock, no chance. */
class Bench {
  line: Line = newLine();
  effects: Effect[] = [];
  now = 1000;
  do(input: Input): Effect[] {
    const { line, effects } = step(this.line, input, { now: this.now, random: 0.5 });
    this.line = line;
    this.effects = effects;
    return effects;
  }
  get g(): number {
    return this.line.generation;
  }
  did(type: Effect['type']): boolean {
    return this.effects.some((e) => e.type === type);
  }
  sent(): object[] {
    return this.effects.flatMap((e) => (e.type === 'send' || e.type === 'finish' ? [e.message] : []));
  }
  server(message: object): Effect[] {
    return this.do({ type: 'message', generation: this.g, text: JSON.stringify(message) });
  }
  closed(code: number, reason = ''): Effect[] {
    return this.do({ type: 'closed', generation: this.g, code, reason });
  }
  after(ms: number): this {
    this.now += ms;
    return this;
  }
  start(role: 'customer' | 'agent' = 'customer'): this {
    this.do({ type: 'start', wish: { role, language: 'zh' } });
    this.do({ type: 'source_ready' });
    return this;
  }
  /** From a ticket on, first time or again. */
  open(heldFrom = 0): this {
    this.do({ type: 'ticket', generation: this.g, ticket: 't1', lifeMs: 30_000 });
    this.do({ type: 'opened', generation: this.g, heldFrom });
    return this;
  }
  started(heard = 0): this {
    this.server({
      type: 'started',
      call_id: 'browser-1',
      expected_offset_bytes: heard,
      resume_window_ms: WINDOW_MS,
    });
    return this;
  }
  live(): this {
    return this.start().open().started();
  }
}

describe('the way to a call', () => {
  it('asks for the microphone first, then for the ticket that lives only seconds', () => {
    const b = new Bench();
    expect(b.do({ type: 'start', wish: { role: 'agent', language: 'en' } })).toEqual([{ type: 'open_source' }]);
    expect(b.line.phase).toBe('asking');
    expect(b.do({ type: 'source_ready' })[0]).toEqual({ type: 'fetch_ticket', generation: b.g });
    b.do({ type: 'ticket', generation: b.g, ticket: 'abc', lifeMs: 30_000 });
    expect(b.effects[0]).toEqual({ type: 'open', generation: b.g, ticket: 'abc' });
    b.do({ type: 'opened', generation: b.g, heldFrom: 640 });
    expect(b.sent()).toEqual([
      {
        type: 'start',
        call_id: 'page',
        channels: ['agent'],
        encoding: 'pcm_s16le',
        sample_rate: 16_000,
        language: 'en',
        resumable: true,
      },
    ]);
    b.started();
    expect(b.line.phase).toBe('live');
    expect(b.line.callId).toBe('browser-1');
    expect(b.line.ticket.text).toBe('');
    expect(b.effects).toContainEqual({ type: 'flow', offered: 0, heard: 0 });
  });

  it('starting twice calls once', () => {
    const b = new Bench().start();
    expect(b.do({ type: 'start', wish: { role: 'customer', language: 'zh' } })).toEqual([]);
  });

  it.each(['denied', 'no_device', 'device_busy', 'bad_file'] as const)('%s: told, and Start works again', (problem) => {
    const b = new Bench();
    b.do({ type: 'start', wish: { role: 'customer', language: 'zh' } });
    b.do({ type: 'source_failed', problem });
    expect([b.line.phase, b.line.problem, busy(b.line)]).toEqual(['failed', problem, false]);
    expect(b.did('fetch_ticket')).toBe(false);
    b.start();
    expect([b.line.phase, b.line.problem]).toEqual(['ticket', null]);
  });

  it('cancelled while it connects: the microphone is let go and late answers change nothing', () => {
    const b = new Bench().start();
    const before = b.g;
    b.do({ type: 'end' });
    expect(b.did('close_source')).toBe(true);
    expect(b.line.phase).toBe('idle');
    expect(b.do({ type: 'ticket', generation: before, ticket: 't', lifeMs: 30_000 })).toEqual([]);
    expect(b.line.phase).toBe('idle');
  });

  it.each([
    [401, 'session'],
    [0, 'network'],
    [503, 'network'],
  ] as const)('no ticket (%i): %s', (status, problem) => {
    const b = new Bench().start();
    b.do({ type: 'ticket_failed', generation: b.g, status });
    expect(b.line.problem).toBe(problem);
  });

  it('a server that never answers is given up, first and later', () => {
    const b = new Bench().start();
    b.do({ type: 'timer', timer: 'greeting' });
    expect(b.line.problem).toBe('network');
    const again = new Bench().live();
    again.closed(1006);
    again.do({ type: 'timer', timer: 'retry' });
    again.do({ type: 'timer', timer: 'greeting' });
    expect(again.line.phase).toBe('waiting');
  });

  it.each([
    [1013, 'full'],
    [1012, 'full'],
    [1007, 'refused'],
    [4409, 'refused'],
  ] as const)('refused with %i: %s, in the server’s own words', (code, problem) => {
    const b = new Bench().start().open();
    const { g } = b;
    b.server({ type: 'error', code, message: 'All 1 calls are in use: try again later.' });
    expect(b.did('close_source')).toBe(true);
    b.do({ type: 'closed', generation: g, code, reason: 'All 1 calls are in use' });
    expect(b.line).toMatchObject({ phase: 'failed', problem, detail: 'All 1 calls are in use: try again later.' });
  });

  it('refused by the close frame alone: the same, with its reason', () => {
    const b = new Bench().start().open();
    b.closed(1013, 'All 1 calls are in use');
    expect(b.line).toMatchObject({ phase: 'failed', problem: 'full', detail: 'All 1 calls are in use' });
  });
});

describe('a socket that never opens', () => {
  const unopened = (): Bench => {
    const b = new Bench().start();
    b.do({ type: 'ticket', generation: b.g, ticket: 't1', lifeMs: 30_000 });
    return b;
  };
  it.each([
    [null, 'network'],
    [0, 'off'],
    [2, 'unreachable'],
  ] as const)('asks the server why: %s → %s', (callsEach, problem) => {
    const b = unopened();
    b.closed(1006);
    expect(b.effects).toContainEqual({ type: 'check', generation: b.g });
    b.do({ type: 'checked', generation: b.g, callsEach });
    expect(b.line).toMatchObject({ phase: 'failed', problem });
  });

  it('a ticket that was late is asked for once more, then told', () => {
    const b = unopened().after(30_000);
    b.closed(1006);
    expect(b.line.phase).toBe('ticket');
    b.do({ type: 'ticket', generation: b.g, ticket: 't2', lifeMs: 30_000 });
    b.after(31_000).closed(1006);
    b.do({ type: 'checked', generation: b.g, callsEach: 1 });
    expect(b.line.problem).toBe('ticket');
  });

  it('gives up on one that hangs, without waiting for ever', () => {
    const b = unopened().after(10_000);
    b.do({ type: 'timer', timer: 'greeting' });
    expect(b.effects).toContainEqual({ type: 'close', code: 4000 });
    expect(b.line.phase).toBe('checking');
  });
});

describe('a line that drops', () => {
  it('goes on with the same call from what is held', () => {
    const b = new Bench().live();
    b.closed(1006);
    expect(b.line).toMatchObject({ phase: 'waiting', lostAt: b.now, problem: null });
    expect(b.did('close_source'), 'the microphone stays open, so that nothing that is said is lost').toBe(false);
    b.after(300).do({ type: 'timer', timer: 'retry' });
    expect(b.did('fetch_ticket'), 'a ticket works once').toBe(true);
    b.open(64_000);
    expect(b.sent()[0]).toMatchObject({ type: 'start', call_id: 'browser-1', resume: { offset_bytes: 64_000 } });
    b.started(96_000);
    expect(b.line).toMatchObject({ phase: 'live', lostAt: null, attempt: 0 });
    expect(b.effects).toContainEqual({ type: 'flow', offered: 64_000, heard: 96_000 });
  });

  it('tries at once when the network is back', () => {
    const b = new Bench().live();
    b.closed(1006);
    b.do({ type: 'network_back' });
    expect(b.did('fetch_ticket')).toBe(true);
  });

  it('a ping that nobody answers is a line that dropped, and not a goodbye', () => {
    const b = new Bench().live();
    b.after(PING_MS).do({ type: 'tick' });
    expect(b.sent()).toEqual([{ type: 'ping' }]);
    b.server({ type: 'pong' });
    b.after(PING_MS).do({ type: 'tick' });
    expect(b.sent()).toEqual([{ type: 'ping' }]);
    expect(b.after(DEAD_MS - 1).do({ type: 'tick' })).toEqual([]);
    b.after(1).do({ type: 'tick' });
    expect(b.effects).toContainEqual({ type: 'close', code: 4000 });
    expect(b.line.phase).toBe('waiting');
  });

  it.each([
    [4404, 'call_lost'],
    [1012, 'restart'],
    [4408, 'idle_timeout'],
    [4410, 'elsewhere'],
  ] as const)('closed with %i: %s, and what was said stays on the screen', (code, problem) => {
    const b = new Bench().live();
    b.closed(code);
    expect(b.line).toMatchObject({ phase: 'failed', problem, callId: 'browser-1' });
    expect(b.did('close_source')).toBe(true);
  });

  it('a server that is full for a moment while it comes back is tried again', () => {
    const b = new Bench().live();
    b.closed(1006);
    b.do({ type: 'timer', timer: 'retry' });
    b.open();
    b.closed(1013);
    expect(b.line.phase).toBe('waiting');
  });

  it('gives up after a minute, and not in the middle of a try', () => {
    const b = new Bench().live();
    b.closed(1006);
    b.after(GIVE_UP_AFTER_MS - 1).do({ type: 'timer', timer: 'retry' });
    b.do({ type: 'ticket_failed', generation: b.g, status: 0 });
    expect(b.line.phase).toBe('waiting');
    b.after(1).do({ type: 'timer', timer: 'retry' });
    b.do({ type: 'ticket_failed', generation: b.g, status: 0 });
    expect(b.line).toMatchObject({ phase: 'failed', problem: 'call_lost' });
  });

  it('without a window there is nothing to go on with', () => {
    const b = new Bench().start().open();
    b.server({ type: 'started', call_id: 'browser-1', expected_offset_bytes: 0, resume_window_ms: 0 });
    b.closed(1006);
    expect(b.line.problem).toBe('call_lost');
  });

  it('ended meanwhile: over, the server closes the call itself', () => {
    const b = new Bench().live();
    b.closed(1006);
    b.do({ type: 'end' });
    expect(b.line.phase).toBe('ended');
    expect(b.effects).toContainEqual({ type: 'clear_timer', timer: 'retry' });
  });
});

describe('pause', () => {
  it('hushes the microphone and goes on only when asked', () => {
    const b = new Bench().live();
    expect(b.do({ type: 'pause' })).toEqual([{ type: 'hush', on: true }]);
    expect(b.do({ type: 'pause' })).toEqual([]);
    b.closed(1006);
    b.do({ type: 'timer', timer: 'retry' });
    b.open().started();
    expect(b.line.paused, 'a new connection does not switch the microphone on').toBe(true);
    expect(b.do({ type: 'go_on' })).toEqual([{ type: 'hush', on: false }]);
    expect(b.line.paused).toBe(false);
  });

  it('does nothing before there is a call', () => {
    const b = new Bench().start();
    expect(b.do({ type: 'pause' })).toEqual([]);
  });

  it('a device that goes pauses the call; it goes on with another one only when the person says so', () => {
    const b = new Bench().live();
    b.do({ type: 'source_lost' });
    expect(b.line).toMatchObject({ phase: 'live', paused: true, problem: 'device_lost' });
    expect(b.do({ type: 'go_on' })).toEqual([{ type: 'reopen_source' }]);
    b.do({ type: 'source_failed', problem: 'no_device' });
    expect(b.line).toMatchObject({ paused: true, problem: 'no_device' });
    b.do({ type: 'source_ready' });
    expect(b.line).toMatchObject({ paused: true, problem: null });
    b.do({ type: 'go_on' });
    expect(b.line.paused).toBe(false);
  });
});

describe('the end', () => {
  it('lets the microphone go at once, sends the rest and stop, and waits for the last word', () => {
    const b = new Bench().live();
    b.do({ type: 'end' });
    expect(b.effects).toEqual([
      { type: 'close_source' },
      { type: 'finish', message: { type: 'stop' } },
      { type: 'set_timer', timer: 'ending', ms: ENDING_MS },
    ]);
    expect(b.line.phase).toBe('ending');
    b.server({ type: 'stopped', duration_ms: 5000 });
    expect(b.line).toMatchObject({ phase: 'ended', callId: 'browser-1' });
  });

  it.each(['closed', 'timer'] as const)('is an end also without the last word (%s)', (how) => {
    const b = new Bench().live();
    b.do({ type: 'end' });
    if (how === 'closed') b.closed(1006);
    else b.do({ type: 'timer', timer: 'ending' });
    expect(b.line).toMatchObject({ phase: 'ended', problem: null });
  });

  it('a file that is over ends the call, also when the line is away just then', () => {
    const b = new Bench().live();
    b.do({ type: 'source_ended' });
    expect(b.line.phase).toBe('ending');
    const away = new Bench().live();
    away.closed(1006);
    away.do({ type: 'source_ended' });
    expect(away.line.phase).toBe('waiting');
    away.do({ type: 'timer', timer: 'retry' });
    away.open().started();
    expect(away.effects.map((e) => e.type)).toEqual(['clear_timer', 'flow', 'close_source', 'finish', 'set_timer']);
  });

  it('closed by the server in good order, such as from the telephone system', () => {
    const b = new Bench().live();
    b.closed(1000);
    expect(b.line).toMatchObject({ phase: 'ended', problem: null });
  });

  it('who leaves the page says goodbye', () => {
    const b = new Bench().live();
    b.do({ type: 'leave' });
    expect(b.sent()).toEqual([{ type: 'stop' }]);
    expect(busy(b.line)).toBe(false);
    expect(new Bench().do({ type: 'leave' })).toEqual([]);
  });

  it('and once more: nothing of the call before is left', () => {
    const b = new Bench().live();
    b.do({ type: 'end' });
    b.do({ type: 'reset' });
    expect(b.line.phase, 'not while it is ending').toBe('ending');
    b.server({ type: 'stopped', duration_ms: 1 });
    b.do({ type: 'reset' });
    expect(b.line).toMatchObject({ phase: 'idle', callId: null });
    b.start().open();
    expect(b.sent()[0]).not.toHaveProperty('resume');
  });
});
