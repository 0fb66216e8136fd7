// The page's own telephone line as a state machine without I/O: from pressing Start to the call's last word. Inputs in, effects out; the
// microphone, the socket, the timers and the clock are the shell's (src/line/telephone.ts); tests drive it by hand.
import { backoffMs } from './connection.ts';
import type { Effect, Input, Line, Moment, Problem } from './linestate.ts';
import { RATE_HZ } from './pcm.ts';

/** Each step on the way to a call may take so long. */
export const GREETING_MS = 10_000;
/** The last finals are recognised and stored before the server says goodbye. */
export const ENDING_MS = 20_000;
export const PING_MS = 5_000;
/** A ping unanswered for so long: the line is dead, whatever the socket says. */
export const DEAD_MS = 15_000;
/** The server notices a line that went silent only after a while, and keeps the call from then on. */
export const GIVE_UP_AFTER_MS = 60_000;
/** Closes the socket without ending the call: a 1000 would be a goodbye. */
const DROP = 4000;

export function newLine(): Line {
  return {
    phase: 'idle',
    wish: { role: 'customer', language: 'zh' },
    callId: null,
    paused: false,
    problem: null,
    detail: '',
    windowMs: 0,
    lostAt: null,
    attempt: 0,
    ticket: { text: '', until: 0 },
    lateTicket: false,
    offered: 0,
    pingedAt: null,
    nextPingAt: 0,
    sourceDone: false,
    generation: 0,
  };
}

/** A call is being made or held: the microphone is (about to be) open. */
export function busy(line: Line): boolean {
  return !['idle', 'ended', 'failed'].includes(line.phase);
}

export function step(before: Line, input: Input, moment: Moment): { line: Line; effects: Effect[] } {
  const effects: Effect[] = [];
  if ('generation' in input && input.generation !== before.generation) return { line: before, effects };
  const line = { ...before };
  switch (input.type) {
    case 'start':
      if (busy(line)) break;
      Object.assign(line, newLine(), { phase: 'asking', wish: input.wish, generation: line.generation + 1 });
      effects.push({ type: 'open_source' });
      break;
    case 'source_ready':
      if (line.phase === 'asking') askForTicket(line, effects);
      else if (busy(line)) line.problem = null;
      break;
    case 'source_failed':
      if (line.phase === 'asking') fail(line, effects, input.problem);
      else if (line.callId !== null && busy(line)) line.problem = input.problem;
      break;
    case 'source_lost':
      if (!busy(line) || line.phase === 'ending') break;
      if (line.callId === null) fail(line, effects, 'device_lost');
      else {
        line.paused = true;
        line.problem = 'device_lost';
        effects.push({ type: 'hush', on: true });
      }
      break;
    case 'source_ended':
      line.sourceDone = true;
      if (line.phase === 'live') end(line, effects);
      break;
    case 'end':
      end(line, effects);
      break;
    case 'ticket':
      if (line.phase !== 'ticket') break;
      line.phase = 'opening';
      line.ticket = { text: input.ticket, until: moment.now + input.lifeMs };
      effects.push({ type: 'open', generation: line.generation, ticket: input.ticket });
      effects.push({ type: 'set_timer', timer: 'greeting', ms: GREETING_MS });
      break;
    case 'ticket_failed':
      if (line.phase !== 'ticket') break;
      if (input.status === 401 || input.status === 403) fail(line, effects, 'session');
      else noAnswer(line, effects, moment);
      break;
    case 'opened':
      if (line.phase !== 'opening') break;
      line.phase = 'greeting';
      line.offered = line.callId === null ? 0 : input.heldFrom;
      effects.push({ type: 'send', message: greeting(line) });
      break;
    case 'message':
      receive(line, effects, input.text, moment);
      break;
    case 'closed':
      closed(line, effects, input.code, input.reason, moment);
      break;
    case 'checked':
      if (line.phase !== 'checking') break;
      if (input.callsEach === null) fail(line, effects, 'network');
      else fail(line, effects, input.callsEach === 0 ? 'off' : line.lateTicket ? 'ticket' : 'unreachable');
      break;
    case 'timer':
      if (input.timer === 'retry' && line.phase === 'waiting') askForTicket(line, effects);
      else if (input.timer === 'greeting' && (line.phase === 'ticket' || line.phase === 'checking'))
        noAnswer(line, effects, moment);
      else if (input.timer === 'greeting' && (line.phase === 'opening' || line.phase === 'greeting')) {
        effects.push({ type: 'close', code: DROP });
        dropped(line, effects, moment);
      } else if (input.timer === 'ending' && line.phase === 'ending') over(line, effects);
      break;
    case 'tick':
      if (line.phase === 'live') keepAlive(line, effects, moment);
      break;
    case 'network_back':
      if (line.phase !== 'waiting') break;
      effects.push({ type: 'clear_timer', timer: 'retry' });
      askForTicket(line, effects);
      break;
    case 'pause':
      if (line.callId === null || !busy(line) || line.phase === 'ending' || line.paused) break;
      line.paused = true;
      effects.push({ type: 'hush', on: true });
      break;
    case 'go_on':
      if (!line.paused || line.phase === 'ending') break;
      if (line.problem !== null) {
        effects.push({ type: 'reopen_source' });
        break;
      }
      line.paused = false;
      effects.push({ type: 'hush', on: false });
      break;
    case 'leave':
      if (line.phase === 'live') effects.push({ type: 'finish', message: { type: 'stop' } });
      if (busy(line)) over(line, effects);
      break;
    case 'reset':
      if (!busy(line)) Object.assign(line, newLine(), { wish: line.wish, generation: line.generation + 1 });
      break;
  }
  return { line, effects };
}

function askForTicket(line: Line, effects: Effect[]): void {
  line.generation += 1;
  line.phase = 'ticket';
  effects.push({ type: 'fetch_ticket', generation: line.generation });
  effects.push({ type: 'set_timer', timer: 'greeting', ms: GREETING_MS });
}

/** The server itself does not answer. */
function noAnswer(line: Line, effects: Effect[], moment: Moment): void {
  if (line.callId === null) fail(line, effects, 'network');
  else retry(line, effects, moment);
}

function greeting(line: Line): object {
  const { role, language } = line.wish;
  const start = {
    type: 'start',
    call_id: line.callId ?? 'page',
    channels: [role],
    encoding: 'pcm_s16le',
    sample_rate: RATE_HZ,
    language,
    resumable: true,
  };
  return line.callId === null ? start : { ...start, resume: { offset_bytes: line.offered } };
}

interface Answer {
  type?: string;
  call_id?: string;
  expected_offset_bytes?: number;
  resume_window_ms?: number;
  code?: number;
  message?: string;
}

function receive(line: Line, effects: Effect[], text: string, moment: Moment): void {
  let answer: Answer;
  try {
    answer = JSON.parse(text) as Answer;
  } catch {
    return; // a server that says nothing sensible is noticed by its missing pongs
  }
  switch (answer.type) {
    case 'started':
      if (line.phase !== 'greeting') break;
      line.phase = 'live';
      line.callId = answer.call_id ?? null;
      line.windowMs = answer.resume_window_ms ?? 0;
      line.lostAt = null;
      line.attempt = 0;
      line.lateTicket = false;
      line.ticket = { text: '', until: 0 };
      line.pingedAt = null;
      line.nextPingAt = moment.now + PING_MS;
      if (line.problem !== 'device_lost') line.problem = null;
      effects.push({ type: 'clear_timer', timer: 'greeting' });
      effects.push({ type: 'flow', offered: line.offered, heard: answer.expected_offset_bytes ?? 0 });
      if (line.sourceDone) end(line, effects);
      break;
    case 'pong':
      line.pingedAt = null;
      break;
    case 'error':
      // Its close frame says the same, and may come late or never.
      closed(line, effects, answer.code ?? 1011, answer.message ?? '', moment);
      break;
    case 'stopped':
      over(line, effects);
      break;
  }
}

function closed(line: Line, effects: Effect[], code: number, reason: string, moment: Moment): void {
  if (!busy(line) || line.phase === 'asking' || line.phase === 'waiting') return;
  if (line.phase === 'ending') {
    over(line, effects);
    return;
  }
  line.detail = reason;
  const first = line.callId === null;
  if (code === 1000) over(line, effects);
  else if (code === 1012) fail(line, effects, first ? 'full' : 'restart');
  else if (code === 1013 && first) fail(line, effects, 'full');
  else if (code === 4404) fail(line, effects, 'call_lost');
  else if (code === 4408) fail(line, effects, 'idle_timeout');
  else if (code === 4410) fail(line, effects, 'elsewhere');
  else if ([1002, 1003, 1007, 1009, 1011, 4403, 4409].includes(code)) fail(line, effects, 'refused');
  else dropped(line, effects, moment);
}

/** The socket is gone, or as good as gone, without a word. */
function dropped(line: Line, effects: Effect[], moment: Moment): void {
  const { now } = moment;
  if (line.callId !== null) {
    if (line.windowMs === 0) fail(line, effects, 'call_lost');
    else retry(line, effects, moment);
    return;
  }
  clearTimers(effects);
  if (now >= line.ticket.until && !line.lateTicket) {
    line.lateTicket = true;
    askForTicket(line, effects);
    return;
  }
  line.lateTicket = now >= line.ticket.until;
  line.generation += 1;
  line.phase = 'checking';
  effects.push({ type: 'check', generation: line.generation });
  effects.push({ type: 'set_timer', timer: 'greeting', ms: GREETING_MS });
}

function retry(line: Line, effects: Effect[], { now, random }: Moment): void {
  line.lostAt ??= now;
  line.generation += 1;
  clearTimers(effects);
  if (now - line.lostAt >= Math.max(GIVE_UP_AFTER_MS, line.windowMs)) {
    fail(line, effects, 'call_lost');
    return;
  }
  line.phase = 'waiting';
  line.detail = '';
  effects.push({ type: 'set_timer', timer: 'retry', ms: backoffMs(Math.min(line.attempt, 3), random) });
  line.attempt += 1;
}

function keepAlive(line: Line, effects: Effect[], moment: Moment): void {
  const { now } = moment;
  if (line.pingedAt !== null && now - line.pingedAt >= DEAD_MS) {
    effects.push({ type: 'close', code: DROP });
    retry(line, effects, moment);
  } else if (line.pingedAt === null && now >= line.nextPingAt) {
    line.pingedAt = now;
    line.nextPingAt = now + PING_MS;
    effects.push({ type: 'send', message: { type: 'ping' } });
  }
}

function end(line: Line, effects: Effect[]): void {
  if (!busy(line) || line.phase === 'ending') return;
  if (line.phase !== 'live') {
    // Not begun yet, or away: the server ends a call that nobody comes back for.
    over(line, effects);
    return;
  }
  line.phase = 'ending';
  effects.push({ type: 'close_source' });
  effects.push({ type: 'finish', message: { type: 'stop' } });
  effects.push({ type: 'set_timer', timer: 'ending', ms: ENDING_MS });
}

function over(line: Line, effects: Effect[]): void {
  hangUp(line, effects);
  line.phase = line.callId === null ? 'idle' : 'ended';
  line.problem = null;
  line.detail = '';
}

function fail(line: Line, effects: Effect[], problem: Problem): void {
  hangUp(line, effects);
  line.phase = 'failed';
  line.problem = problem;
}

function hangUp(line: Line, effects: Effect[]): void {
  clearTimers(effects);
  effects.push({ type: 'close_source' });
  effects.push({ type: 'close', code: 1000 });
  line.generation += 1;
  line.paused = false;
  line.lostAt = null;
  line.pingedAt = null;
}

function clearTimers(effects: Effect[]): void {
  for (const timer of ['retry', 'greeting', 'ending'] as const) effects.push({ type: 'clear_timer', timer });
}
