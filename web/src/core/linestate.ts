// What the page's own telephone line knows, hears and does. The rules are in line.ts.

export type Role = 'customer' | 'agent';

export type Phase =
  | 'idle' // before a call
  | 'asking' // the microphone or the file is being opened
  | 'ticket' // asking for a ticket
  | 'opening' // socket opening
  | 'greeting' // start sent, not answered yet
  | 'checking' // the socket did not open: asking the server why
  | 'live'
  | 'waiting' // the line dropped: backing off before the next try
  | 'ending' // stop sent, last words awaited
  | 'ended'
  | 'failed';

/** What went wrong, each with a text that says what to do (try.problem.…, try.fix.…). */
export type Problem =
  | 'denied' // the person or the browser refused the microphone
  | 'no_device'
  | 'device_busy'
  | 'device_lost' // unplugged during the call
  | 'bad_file'
  | 'off' // calls from pages are not switched on
  | 'session' // signed out meanwhile
  | 'network' // the server itself cannot be reached
  | 'unreachable' // the server can, its telephony address cannot
  | 'ticket' // expired on the way, again and again
  | 'full' // no room for another call
  | 'refused' // the server does not take the call or its audio
  | 'call_lost' // away for too long: the call has ended
  | 'restart' // the server restarted and ended the call
  | 'idle_timeout'
  | 'elsewhere'; // the call goes on in another window

export interface Wish {
  role: Role;
  language: 'zh' | 'en';
}

export interface Line {
  phase: Phase;
  wish: Wish;
  /** The server's id of the call, once it has one. */
  callId: string | null;
  paused: boolean;
  problem: Problem | null;
  /** What the server said about it, in its own words. */
  detail: string;
  /** How long the server keeps a call whose line dropped, in ms. */
  windowMs: number;
  /** When the line dropped, ms of the shell's clock; null while it is there. */
  lostAt: number | null;
  /** Tries since the line dropped. */
  attempt: number;
  ticket: { text: string; until: number };
  /** A ticket was late once: the second time it is told. */
  lateTicket: boolean;
  /** Where the current connection began in the call's audio, in bytes. */
  offered: number;
  /** When the ping was sent that is not answered yet. */
  pingedAt: number | null;
  nextPingAt: number;
  /** The file has come to its end: the call ends as soon as the rest of it is sent. */
  sourceDone: boolean;
  /** Names the current try; answers to an earlier one are ignored. */
  generation: number;
}

export type Timer = 'retry' | 'greeting' | 'ending';

export type Input =
  | { type: 'start'; wish: Wish }
  | { type: 'source_ready' }
  | { type: 'source_failed'; problem: Problem }
  | { type: 'source_lost' }
  | { type: 'source_ended' }
  | { type: 'ticket'; generation: number; ticket: string; lifeMs: number }
  | { type: 'ticket_failed'; generation: number; status: number }
  /** ``heldFrom``: the oldest byte of the call that can still be sent. */
  | { type: 'opened'; generation: number; heldFrom: number }
  | { type: 'message'; generation: number; text: string }
  | { type: 'closed'; generation: number; code: number; reason: string }
  /** ``callsEach`` of the server, null when it does not answer. */
  | { type: 'checked'; generation: number; callsEach: number | null }
  | { type: 'timer'; timer: Timer }
  /** Comes with the audio, twice a second: timers sleep in a hidden page, the microphone does not. */
  | { type: 'tick' }
  | { type: 'network_back' }
  | { type: 'pause' }
  | { type: 'go_on' }
  | { type: 'end' }
  | { type: 'leave' }
  | { type: 'reset' };

export type Effect =
  | { type: 'open_source' }
  /** Once it is open again: source_ready, go_on. */
  | { type: 'reopen_source' }
  | { type: 'close_source' }
  | { type: 'hush'; on: boolean }
  | { type: 'fetch_ticket'; generation: number }
  | { type: 'check'; generation: number }
  | { type: 'open'; generation: number; ticket: string }
  | { type: 'send'; message: object }
  /** Audio flows from here: the connection began at ``offered``, the server has ``heard``. */
  | { type: 'flow'; offered: number; heard: number }
  /** Everything that waits, then the message. */
  | { type: 'finish'; message: object }
  | { type: 'close'; code: number }
  | { type: 'set_timer'; timer: Timer; ms: number }
  | { type: 'clear_timer'; timer: Timer };

export interface Moment {
  /** ms of any clock that does not jump. */
  now: number;
  /** In [0, 1), for the back-off only. */
  random: number;
}
