import { describe, expect, it } from 'vitest';
import { backoffMs, type Connection, type Effect, type Input, newConnection, step } from '../src/core/connection.ts';
import type { ClientMessage } from '../src/core/protocol.ts';

/** Drives the machine by hand: no socket, no timers, no chance. */
class Bench {
  connection: Connection;
  effects: Effect[] = [];
  random = 0.5;
  constructor(lastSeq: Record<string, number> = {}) {
    this.connection = newConnection(lastSeq);
  }
  do(input: Input): Effect[] {
    const { connection, effects } = step(this.connection, input, this.random);
    this.connection = connection;
    this.effects = effects;
    return effects;
  }
  get g(): number {
    return this.connection.generation;
  }
  sent(): ClientMessage[] {
    return this.effects.flatMap((e) => (e.type === 'send' ? [e.message] : []));
  }
  server(message: object): Effect[] {
    return this.do({ type: 'message', generation: this.g, text: JSON.stringify(message) });
  }
  upTo(phase: 'opening' | 'greeting' | 'online'): this {
    if (this.connection.phase === 'stopped') this.do({ type: 'start' });
    this.do({ type: 'ticket', generation: this.g, ticket: 't1' });
    if (phase === 'opening') return this;
    this.do({ type: 'opened', generation: this.g });
    if (phase === 'greeting') return this;
    this.server({ type: 'welcome', user: {}, server_time: '', heartbeat_s: 15 });
    return this;
  }
}

const click = (clientId: string, action: 'used' | 'copied' = 'used', suggestion = 's1'): Input => ({
  type: 'feedback',
  clientId,
  feedback: { call_id: 'c1', suggestion_id: suggestion, action },
});

describe('the way in', () => {
  it('asks for a ticket, opens, says hello with what it has, and is online with the welcome', () => {
    const b = new Bench({ c1: 17 });
    expect(b.do({ type: 'start' })).toEqual([{ type: 'fetch_ticket', generation: 1 }]);
    b.do({ type: 'ticket', generation: 1, ticket: 'abc' });
    expect(b.effects[0]).toEqual({ type: 'open', generation: 1 });
    b.do({ type: 'opened', generation: 1 });
    expect(b.sent()).toEqual([{ type: 'hello', ticket: 'abc', resume: { c1: 17 } }]);
    expect(b.connection.ticket).toBe('');
    b.server({ type: 'welcome', user: {}, server_time: '', heartbeat_s: 20 });
    expect(b.connection.phase).toBe('online');
    expect(b.effects).toContainEqual({ type: 'set_timer', timer: 'silence', ms: 50_000 });
  });

  it('starting twice opens once', () => {
    const b = new Bench();
    b.do({ type: 'start' });
    expect(b.do({ type: 'start' })).toEqual([]);
  });

  it('sends the person back to sign in when the ticket is refused for good', () => {
    const b = new Bench();
    b.do({ type: 'start' });
    b.do({ type: 'ticket_failed', generation: 1, status: 401 });
    expect(b.connection.phase).toBe('refused');
    expect(b.effects).toContainEqual({ type: 'refused' });
  });

  it('a bad ticket (4401) gets a new one; a forbidden origin (4403) does not hammer', () => {
    const b = new Bench().upTo('greeting');
    b.do({ type: 'closed', generation: b.g, code: 4401 });
    expect(b.connection.phase).toBe('waiting');
    expect(b.do({ type: 'timer', timer: 'retry' })).toEqual([{ type: 'fetch_ticket', generation: b.g }]);
    b.upTo('greeting').do({ type: 'closed', generation: b.g, code: 4403 });
    expect(b.connection.phase).toBe('refused');
  });

  it('gives up on a server that opens and then says nothing', () => {
    const b = new Bench().upTo('greeting');
    b.do({ type: 'timer', timer: 'greeting' });
    expect(b.effects).toContainEqual({ type: 'close', code: 1000 });
    expect(b.connection.phase).toBe('waiting');
  });
});

describe('losing the line', () => {
  it('backs off longer each time, with jitter, under a cap, and starts afresh after a welcome', () => {
    expect(backoffMs(0, 0)).toBe(100);
    expect(backoffMs(0, 0.999)).toBeLessThanOrEqual(500);
    expect(backoffMs(50, 0.999)).toBeLessThanOrEqual(15_000);
    const waits: number[] = [];
    const b = new Bench();
    b.do({ type: 'start' });
    for (let i = 0; i < 4; i += 1) {
      b.do({ type: 'ticket_failed', generation: b.g, status: 0 });
      waits.push(b.effects.flatMap((e) => (e.type === 'set_timer' && e.timer === 'retry' ? [e.ms] : []))[0] as number);
      b.do({ type: 'timer', timer: 'retry' });
    }
    expect(waits).toEqual([300, 600, 1200, 2400]);
    b.upTo('online').do({ type: 'closed', generation: b.g, code: 1006 });
    expect(b.effects).toContainEqual({ type: 'set_timer', timer: 'retry', ms: 300 });
    expect(b.effects).toContainEqual({ type: 'lost' });
  });

  it('resumes after the last applied event', () => {
    const b = new Bench().upTo('online');
    b.do({ type: 'applied', callId: 'c1', seq: 5 });
    b.do({ type: 'applied', callId: 'c1', seq: 6 });
    b.do({ type: 'closed', generation: b.g, code: 1012 });
    b.do({ type: 'timer', timer: 'retry' });
    b.upTo('greeting');
    expect(b.sent()).toEqual([{ type: 'hello', ticket: 't1', resume: { c1: 6 } }]);
  });

  it('ignores what an earlier socket still says', () => {
    const b = new Bench().upTo('online');
    const old = b.g;
    b.do({ type: 'closed', generation: old, code: 1006 });
    expect(b.do({ type: 'closed', generation: old, code: 1006 })).toEqual([]);
    expect(b.do({ type: 'message', generation: old, text: '{"type":"welcome","heartbeat_s":1}' })).toEqual([]);
    expect(b.connection.phase).toBe('waiting');
    b.do({ type: 'timer', timer: 'retry' });
    expect(b.do({ type: 'ticket', generation: old, ticket: 'late' })).toEqual([]);
  });

  it('a silent feed is dead; every message proves it alive; heartbeats are answered', () => {
    const b = new Bench().upTo('online');
    b.server({ type: 'heartbeat' });
    expect(b.sent()).toEqual([{ type: 'pong' }]);
    expect(b.effects).toContainEqual({ type: 'set_timer', timer: 'silence', ms: 37_500 });
    b.do({ type: 'timer', timer: 'silence' });
    expect(b.connection.phase).toBe('waiting');
    expect(b.effects).toContainEqual({ type: 'close', code: 1000 });
  });

  it('does not wait out the back-off when the network returns', () => {
    const b = new Bench();
    b.do({ type: 'start' });
    b.do({ type: 'ticket_failed', generation: 1, status: 0 });
    b.do({ type: 'network_back' });
    expect(b.connection.phase).toBe('ticket');
    expect(b.effects).toContainEqual({ type: 'clear_timer', timer: 'retry' });
  });

  it('survives bytes that are not JSON', () => {
    const b = new Bench().upTo('online');
    expect(b.do({ type: 'message', generation: b.g, text: '{"type":' })).toEqual([]);
    expect(b.connection.phase).toBe('online');
  });

  it('stopping is final until started again', () => {
    const b = new Bench().upTo('online');
    b.do({ type: 'stop' });
    expect(b.effects).toContainEqual({ type: 'close', code: 1000 });
    expect(b.do({ type: 'timer', timer: 'retry' })).toEqual([]);
    expect(b.do({ type: 'network_back' })).toEqual([]);
    expect(b.do({ type: 'start' })).toEqual([{ type: 'fetch_ticket', generation: b.g }]);
  });
});

describe('feedback', () => {
  it('is sent at once when online and kept until acknowledged', () => {
    const b = new Bench().upTo('online');
    b.do(click('k1'));
    expect(b.sent()).toHaveLength(1);
    expect(b.connection.outbox).toHaveLength(1);
    b.server({ type: 'ack', client_id: 'k1' });
    expect(b.connection.outbox).toEqual([]);
    b.server({ type: 'ack', client_id: 'k1' });
    expect(b.connection.outbox).toEqual([]);
  });

  it('given offline goes out after the welcome, unacknowledged again after the next, in order', () => {
    const b = new Bench();
    b.do({ type: 'start' });
    b.do(click('k1'));
    b.do(click('k2', 'copied'));
    expect(b.sent()).toEqual([]);
    const ids = (): string[] => b.sent().flatMap((m) => (m.type === 'feedback' ? [m.client_id] : []));
    b.upTo('online');
    expect(ids()).toEqual(['k1', 'k2']);
    b.server({ type: 'ack', client_id: 'k1' });
    b.do({ type: 'closed', generation: b.g, code: 1006 });
    b.do({ type: 'timer', timer: 'retry' });
    b.upTo('online');
    expect(ids()).toEqual(['k2']);
  });

  it('refused by the server is not sent again; a problem without a client id is shown as the reason', () => {
    const b = new Bench().upTo('online');
    b.do(click('k1'));
    b.server({ type: 'problem', title: 'NotFound', detail: 'gone', client_id: 'k1' });
    expect(b.connection.outbox).toEqual([]);
    expect(b.connection.problem).toBe('');
    b.server({ type: 'problem', title: 'closed', detail: 'bye' });
    expect(b.connection.problem).toBe('bye');
  });

  it('the same action on the same suggestion waits once; the queue is bounded', () => {
    const b = new Bench();
    b.do(click('k1'));
    b.do(click('k2'));
    expect(b.connection.outbox.map((m) => m.client_id)).toEqual(['k2']);
    for (let i = 0; i < 500; i += 1) b.do(click(`x${i}`, 'used', `s${i + 10}`));
    expect(b.connection.outbox).toHaveLength(200);
    expect(b.connection.outbox.at(-1)?.client_id).toBe('x499');
  });
});

describe('watching', () => {
  it('is asked for after the welcome, again after a reconnect from where it stands, and after a hole', () => {
    const b = new Bench();
    b.do({ type: 'watch', callId: 'c9', afterSeq: 4 });
    b.upTo('greeting');
    expect(b.sent()).toEqual([{ type: 'hello', ticket: 't1', resume: {} }]);
    b.server({ type: 'welcome', user: {}, server_time: '', heartbeat_s: 15 });
    expect(b.sent()).toEqual([{ type: 'watch', call_id: 'c9', after_seq: 4 }]);
    b.do({ type: 'applied', callId: 'c9', seq: 8 });
    b.do({ type: 'gap', callId: 'c9' });
    expect(b.sent()).toEqual([{ type: 'watch', call_id: 'c9', after_seq: 8 }]);
    b.do({ type: 'closed', generation: b.g, code: 1006 });
    b.do({ type: 'timer', timer: 'retry' });
    b.upTo('online');
    expect(b.sent()).toEqual([{ type: 'watch', call_id: 'c9', after_seq: 8 }]);
    b.do({ type: 'unwatch', callId: 'c9' });
    expect(b.sent()).toEqual([{ type: 'unwatch', call_id: 'c9' }]);
  });
});
