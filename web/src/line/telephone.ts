// Runs the effects of core/line with a real socket, real timers, the microphone and the ticket endpoint.
import { signal } from '@preact/signals';
import { busy, newLine, step } from '../core/line.ts';
import type { Effect, Input, Line, Timer, Wish } from '../core/linestate.ts';
import { FRAME_MS, level } from '../core/pcm.ts';
import { type Piece, SendBuffer } from '../core/sendbuffer.ts';
import { type Api, ApiError } from '../net/api.ts';
import { type OpenSource, type SoundSource, SourceFault } from './sources.ts';

const PROTOCOL = 'pangting.raw.v1';
const TICKET_PREFIX = 'pangting.ticket.';
/** Half a second of audio: what waits beyond it waits in our own buffer, which is bounded. */
const SOCKET_BYTES = 16_000;
const TICK_FRAMES = 25;
/** The level is shown ten times a second. */
const LEVEL_FRAMES = 5;
/** A pause is told when it is over, and this often meanwhile: a call without any audio would be ended. */
const PAUSE_TOLD_MS = 60_000;
/** About −50 dB: a room without a voice is below. */
const VOICE_LEVEL = 0.17;

export class Telephone {
  readonly line = signal<Line>(newLine());
  /** Of the last tenth of a second, 0 to 1. */
  readonly level = signal(0);
  /** How long nothing was loud enough to be a voice, in ms. */
  readonly quietMs = signal(0);
  /** Captured and not sent yet, in ms. */
  readonly heldMs = signal(0);
  readonly #api: Pick<Api, 'ticket' | 'microphone'>;
  readonly #timers = new Map<Timer, ReturnType<typeof setTimeout>>();
  #url = '';
  #open: OpenSource | null = null;
  #source: SoundSource | null = null;
  /** Names the source that is wanted; one that opens too late is closed again. */
  #opening = 0;
  #deviceId = '';
  #socket: WebSocket | null = null;
  #flowing = false;
  #buffer = new SendBuffer();
  #pausedMs = 0;
  #frames = 0;
  #peak = 0;

  constructor(api: Pick<Api, 'ticket' | 'microphone'>) {
    this.#api = api;
  }

  /** ``url``: where the server said that pages connect. */
  start(wish: Wish, open: OpenSource, url: string): void {
    if (busy(this.line.value)) return;
    this.#open = open;
    this.#url = url;
    this.#buffer = new SendBuffer();
    this.#pausedMs = 0;
    this.quietMs.value = 0;
    this.input({ type: 'start', wish });
  }

  /** Another microphone, now if a call is on. */
  async use(deviceId: string): Promise<void> {
    this.#deviceId = deviceId;
    await this.#reopen();
  }

  input(input: Input): void {
    const { line, effects } = step(this.line.value, input, { now: performance.now(), random: Math.random() });
    this.line.value = line;
    for (const effect of effects) this.#run(effect);
  }

  #run(effect: Effect): void {
    switch (effect.type) {
      case 'open_source':
        void this.#openSource();
        break;
      case 'reopen_source':
        void this.#reopen().then((open) => open && this.input({ type: 'go_on' }));
        break;
      case 'close_source':
        this.#opening += 1;
        this.#source?.close();
        this.#source = null;
        this.level.value = 0;
        break;
      case 'hush':
        this.#source?.hush(effect.on);
        break;
      case 'fetch_ticket':
        void this.#ticket(effect.generation);
        break;
      case 'check':
        void this.#check(effect.generation);
        break;
      case 'open':
        this.#openSocket(effect.generation, effect.ticket);
        break;
      case 'send':
        this.#send(JSON.stringify(effect.message));
        break;
      case 'flow': {
        const behindMs = this.#buffer.goOn(effect.offered, effect.heard);
        if (behindMs > 0) this.#sendPiece({ kind: 'gap', ms: behindMs, reason: 'lost' });
        this.#flowing = true;
        this.#pump(SOCKET_BYTES);
        break;
      }
      case 'finish':
        this.#tellPause();
        this.#pump(Number.POSITIVE_INFINITY);
        this.#send(JSON.stringify(effect.message));
        break;
      case 'close':
        this.#flowing = false;
        this.#socket?.close(effect.code);
        this.#socket = null;
        break;
      case 'set_timer':
        clearTimeout(this.#timers.get(effect.timer));
        this.#timers.set(
          effect.timer,
          setTimeout(() => this.input({ type: 'timer', timer: effect.timer }), effect.ms),
        );
        break;
      case 'clear_timer':
        clearTimeout(this.#timers.get(effect.timer));
        this.#timers.delete(effect.timer);
        break;
    }
  }

  async #reopen(): Promise<boolean> {
    if (this.#source === null) return false;
    try {
      await this.#source.use(this.#deviceId);
      this.input({ type: 'source_ready' });
      return true;
    } catch (fault) {
      this.input({ type: 'source_failed', problem: problemOf(fault) });
      return false;
    }
  }

  async #openSource(): Promise<void> {
    this.#opening += 1;
    const mine = this.#opening;
    try {
      const source = await this.#open?.({
        frame: (samples) => mine === this.#opening && this.#frame(samples),
        lost: () => mine === this.#opening && this.input({ type: 'source_lost' }),
        ended: () => mine === this.#opening && this.input({ type: 'source_ended' }),
      });
      if (mine !== this.#opening) {
        source?.close();
        return;
      }
      this.#source = source ?? null;
      this.input({ type: 'source_ready' });
    } catch (fault) {
      if (mine === this.#opening) this.input({ type: 'source_failed', problem: problemOf(fault) });
    }
  }

  #frame(samples: Int16Array<ArrayBuffer>): void {
    const { paused, callId } = this.line.value;
    const loud = paused ? 0 : level(samples);
    this.#peak = Math.max(this.#peak, loud);
    this.#frames += 1;
    if (this.#frames % LEVEL_FRAMES === 0) {
      this.level.value = this.#peak;
      this.heldMs.value = this.#buffer.waitingMs;
      this.quietMs.value = paused || this.#peak >= VOICE_LEVEL ? 0 : this.quietMs.value + LEVEL_FRAMES * FRAME_MS;
      this.#peak = 0;
    }
    if (paused) {
      this.#pausedMs += FRAME_MS;
      if (this.#pausedMs >= PAUSE_TOLD_MS) this.#tellPause();
    } else {
      this.#tellPause();
      this.#buffer.push(new Uint8Array(samples.buffer));
    }
    this.#pump(SOCKET_BYTES);
    if (callId !== null && this.#frames % TICK_FRAMES === 0) this.input({ type: 'tick' });
  }

  #tellPause(): void {
    this.#buffer.gap(this.#pausedMs, 'paused');
    this.#pausedMs = 0;
  }

  #pump(most: number): void {
    while (this.#flowing && this.#socket !== null && this.#socket.bufferedAmount < most) {
      const piece = this.#buffer.next();
      if (piece === null) return;
      this.#sendPiece(piece);
    }
  }

  #sendPiece(piece: Piece): void {
    if (piece.kind === 'audio') this.#send(piece.bytes);
    else this.#send(JSON.stringify({ type: 'gap', duration_ms: piece.ms, reason: piece.reason }));
  }

  /** A socket that is closing takes nothing: its close event comes, and what it did not take is sent again by the next. */
  #send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(data);
  }

  async #ticket(generation: number): Promise<void> {
    try {
      const { ticket, expires_in_s } = await this.#api.ticket('microphone');
      this.input({ type: 'ticket', generation, ticket, lifeMs: expires_in_s * 1000 });
    } catch (error) {
      this.input({ type: 'ticket_failed', generation, status: error instanceof ApiError ? error.status : 0 });
    }
  }

  async #check(generation: number): Promise<void> {
    const answer = await this.#api.microphone().catch(() => null);
    this.input({ type: 'checked', generation, callsEach: answer?.calls_each ?? null });
  }

  #openSocket(generation: number, ticket: string): void {
    let socket: WebSocket;
    try {
      socket = new WebSocket(this.#url, [PROTOCOL, TICKET_PREFIX + ticket]);
    } catch {
      // Such as ws: from a page that came over https.
      this.input({ type: 'closed', generation, code: 1006, reason: '' });
      return;
    }
    this.#socket = socket;
    socket.onopen = () => this.input({ type: 'opened', generation, heldFrom: this.#buffer.start });
    socket.onmessage = (event) => {
      if (typeof event.data === 'string') this.input({ type: 'message', generation, text: event.data });
    };
    socket.onclose = (event) => {
      if (this.#socket === socket) {
        this.#socket = null;
        this.#flowing = false;
      }
      this.input({ type: 'closed', generation, code: event.code, reason: event.reason });
    };
  }
}

function problemOf(fault: unknown) {
  return fault instanceof SourceFault ? fault.problem : 'device_busy';
}
