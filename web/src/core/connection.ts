// The feed's connection as a state machine without I/O: inputs in, effects out. The socket, the timers, the ticket request and the
// random number are the shell's (src/net/feed.ts); tests drive it by hand.

import { acknowledge, enqueue, type Outbox } from './outbox.ts';
import type { ClientMessage, Feedback, ServerMessage } from './protocol.ts';

export type Phase =
  | 'stopped' // not wanted
  | 'ticket' // asking for a ticket
  | 'opening' // socket opening
  | 'greeting' // hello sent, no welcome yet
  | 'online'
  | 'waiting' // backing off before the next try
  | 'refused'; // the session is no longer valid: sign in again

export interface Connection {
  phase: Phase;
  /** Tries since the last welcome. */
  attempt: number;
  outbox: Outbox;
  /** call_id → last applied sequence number, sent as ``resume`` with hello. */
  lastSeq: Readonly<Record<string, number>>;
  /** Calls of others that are being watched (supervisors); watched again after a reconnect. */
  watching: ReadonlySet<string>;
  /** Whether the live board is wanted; asked for again after a reconnect. */
  board: boolean;
  heartbeatMs: number;
  problem: string;
  everOnline: boolean;
  /** The single-use ticket of the current try. */
  ticket: string;
  /** Names the current try; answers to an earlier one are ignored. */
  generation: number;
}

export type Timer = 'retry' | 'silence' | 'greeting';

export type Input =
  | { type: 'start' }
  | { type: 'stop' }
  | { type: 'ticket'; generation: number; ticket: string }
  | { type: 'ticket_failed'; generation: number; status: number }
  | { type: 'opened'; generation: number }
  | { type: 'message'; generation: number; text: string }
  | { type: 'closed'; generation: number; code: number }
  | { type: 'timer'; timer: Timer }
  | { type: 'network_back' }
  | { type: 'feedback'; clientId: string; feedback: Feedback }
  | { type: 'watch'; callId: string; afterSeq: number }
  | { type: 'unwatch'; callId: string }
  | { type: 'board' }
  | { type: 'applied'; callId: string; seq: number }
  | { type: 'gap'; callId: string }
  | { type: 'forget'; callId: string };

export type Effect =
  | { type: 'fetch_ticket'; generation: number }
  | { type: 'open'; generation: number }
  | { type: 'send'; message: ClientMessage }
  | { type: 'close'; code: number }
  | { type: 'set_timer'; timer: Timer; ms: number }
  | { type: 'clear_timer'; timer: Timer }
  | { type: 'deliver'; message: ServerMessage }
  | { type: 'lost' }
  | { type: 'refused' };

export const BACKOFF_FIRST_MS = 500;
export const BACKOFF_CAP_MS = 15_000;
export const GREETING_MS = 8_000;
/** A feed that says nothing for this many heartbeats is dead. */
export const MISSED_HEARTBEATS = 2.5;
export const CLOSE_TICKET = 4401;
export const CLOSE_FORBIDDEN = 4403;

export function newConnection(lastSeq: Record<string, number> = {}): Connection {
  return {
    phase: 'stopped',
    attempt: 0,
    outbox: [],
    lastSeq,
    watching: new Set(),
    board: false,
    heartbeatMs: 15_000,
    problem: '',
    everOnline: false,
    ticket: '',
    generation: 0,
  };
}

/** Full jitter over an exponential, never below a fifth of it, so that a restarted server is not stormed. */
export function backoffMs(attempt: number, random: number): number {
  const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling * (0.2 + 0.8 * random));
}

/** One step. ``random`` in [0, 1) is used for the back-off only. */
export function step(before: Connection, input: Input, random: number): { connection: Connection; effects: Effect[] } {
  const effects: Effect[] = [];
  const connection = { ...before };
  const stale = 'generation' in input && input.generation !== connection.generation;
  if (stale) return { connection: before, effects };
  switch (input.type) {
    case 'start':
      if (connection.phase === 'stopped' || connection.phase === 'refused') begin(connection, effects);
      break;
    case 'stop':
      if (connection.phase !== 'stopped') {
        clearTimers(effects);
        effects.push({ type: 'close', code: 1000 });
        connection.generation += 1;
        connection.phase = 'stopped';
      }
      break;
    case 'network_back':
      if (connection.phase === 'waiting') {
        effects.push({ type: 'clear_timer', timer: 'retry' });
        begin(connection, effects);
      }
      break;
    case 'ticket':
      if (connection.phase !== 'ticket') break;
      connection.phase = 'opening';
      connection.ticket = input.ticket;
      effects.push({ type: 'open', generation: connection.generation });
      effects.push({ type: 'set_timer', timer: 'greeting', ms: GREETING_MS });
      break;
    case 'ticket_failed':
      if (connection.phase !== 'ticket') break;
      if (input.status === 401 || input.status === 403) refuse(connection, effects);
      else retry(connection, effects, random);
      break;
    case 'opened':
      if (connection.phase !== 'opening') break;
      connection.phase = 'greeting';
      effects.push({
        type: 'send',
        message: { type: 'hello', ticket: connection.ticket, resume: resumePoints(connection) },
      });
      connection.ticket = '';
      break;
    case 'message':
      receive(connection, effects, input.text);
      break;
    case 'closed':
      if (connection.phase === 'stopped' || connection.phase === 'refused' || connection.phase === 'waiting') break;
      if (input.code === CLOSE_FORBIDDEN) refuse(connection, effects);
      else retry(connection, effects, random);
      break;
    case 'timer':
      if (input.timer === 'retry' && connection.phase === 'waiting') begin(connection, effects);
      else if (input.timer === 'silence' && connection.phase === 'online') dropSocket(connection, effects, random);
      else if (input.timer === 'greeting' && (connection.phase === 'opening' || connection.phase === 'greeting'))
        dropSocket(connection, effects, random);
      break;
    case 'feedback': {
      connection.outbox = enqueue(connection.outbox, input.clientId, input.feedback);
      if (connection.phase === 'online') {
        effects.push({ type: 'send', message: { type: 'feedback', client_id: input.clientId, ...input.feedback } });
      }
      break;
    }
    case 'watch':
      connection.watching = new Set([...connection.watching, input.callId]);
      connection.lastSeq = { ...connection.lastSeq, [input.callId]: input.afterSeq };
      if (connection.phase === 'online') watch(connection, effects, input.callId);
      break;
    case 'unwatch': {
      connection.watching = new Set([...connection.watching].filter((id) => id !== input.callId));
      connection.lastSeq = omit(connection.lastSeq, input.callId);
      if (connection.phase === 'online')
        effects.push({ type: 'send', message: { type: 'unwatch', call_id: input.callId } });
      break;
    }
    case 'board':
      connection.board = true;
      if (connection.phase === 'online') effects.push({ type: 'send', message: { type: 'board', on: true } });
      break;
    case 'applied':
      connection.lastSeq = { ...connection.lastSeq, [input.callId]: input.seq };
      break;
    case 'gap':
      if (connection.phase === 'online') watch(connection, effects, input.callId);
      break;
    case 'forget':
      connection.lastSeq = omit(connection.lastSeq, input.callId);
      // The server has a place less to keep up with.
      if (connection.phase === 'online')
        effects.push({ type: 'send', message: { type: 'unwatch', call_id: input.callId } });
      break;
  }
  return { connection, effects };
}

function begin(connection: Connection, effects: Effect[]): void {
  connection.generation += 1;
  connection.phase = 'ticket';
  effects.push({ type: 'fetch_ticket', generation: connection.generation });
}

function receive(connection: Connection, effects: Effect[], text: string): void {
  let message: ServerMessage;
  try {
    message = JSON.parse(text) as ServerMessage;
  } catch {
    return; // not ours to repair: the next heartbeat shows whether the feed is alive
  }
  if (connection.phase === 'online') {
    effects.push({ type: 'set_timer', timer: 'silence', ms: connection.heartbeatMs * MISSED_HEARTBEATS });
  }
  switch (message.type) {
    case 'welcome':
      connection.phase = 'online';
      connection.attempt = 0;
      connection.problem = '';
      connection.everOnline = true;
      connection.heartbeatMs = message.heartbeat_s * 1000;
      effects.push({ type: 'clear_timer', timer: 'greeting' });
      effects.push({ type: 'set_timer', timer: 'silence', ms: connection.heartbeatMs * MISSED_HEARTBEATS });
      for (const pending of connection.outbox) effects.push({ type: 'send', message: pending });
      for (const callId of connection.watching) watch(connection, effects, callId);
      if (connection.board) effects.push({ type: 'send', message: { type: 'board', on: true } });
      break;
    case 'ack':
      connection.outbox = acknowledge(connection.outbox, message.client_id);
      break;
    case 'heartbeat':
      effects.push({ type: 'send', message: { type: 'pong' } });
      break;
    case 'problem':
      // Feedback that was refused would be refused again: it leaves the queue and the person is told.
      if (message.client_id !== undefined) connection.outbox = acknowledge(connection.outbox, message.client_id);
      else connection.problem = message.detail || message.title;
      break;
  }
  effects.push({ type: 'deliver', message });
}

/** Watched calls of others are asked for again one by one after the welcome. */
function resumePoints(connection: Connection): Record<string, number> {
  return Object.fromEntries(Object.entries(connection.lastSeq).filter(([callId]) => !connection.watching.has(callId)));
}

function watch(connection: Connection, effects: Effect[], callId: string): void {
  effects.push({
    type: 'send',
    message: { type: 'watch', call_id: callId, after_seq: connection.lastSeq[callId] ?? 0 },
  });
}

function dropSocket(connection: Connection, effects: Effect[], random: number): void {
  effects.push({ type: 'close', code: 1000 });
  retry(connection, effects, random);
}

function retry(connection: Connection, effects: Effect[], random: number): void {
  if (connection.phase === 'online') effects.push({ type: 'lost' });
  clearTimers(effects);
  connection.generation += 1;
  connection.phase = 'waiting';
  effects.push({ type: 'set_timer', timer: 'retry', ms: backoffMs(connection.attempt, random) });
  connection.attempt += 1;
}

function refuse(connection: Connection, effects: Effect[]): void {
  clearTimers(effects);
  connection.generation += 1;
  connection.phase = 'refused';
  effects.push({ type: 'refused' });
}

function clearTimers(effects: Effect[]): void {
  for (const timer of ['retry', 'silence', 'greeting'] as const) effects.push({ type: 'clear_timer', timer });
}

function omit<T>(record: Readonly<Record<string, T>>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([k]) => k !== key));
}
