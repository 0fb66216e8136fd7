// Runs the effects of core/connection with a real socket, real timers and the ticket endpoint.
import { signal } from '@preact/signals';
import { type Connection, type Effect, type Input, newConnection, step, type Timer } from '../core/connection.ts';
import { FEED_PROTOCOL, type Feedback, type ServerMessage } from '../core/protocol.ts';
import { type Api, ApiError } from './api.ts';

export interface SocketLike {
  send(text: string): void;
  close(code?: number): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
}

export interface FeedOptions {
  api: Pick<Api, 'ticket'>;
  openSocket: (path: string, protocol: string) => SocketLike;
  onMessage: (message: ServerMessage) => void;
  onLost: () => void;
  onRefused: () => void;
  random?: () => number;
}

export class Feed {
  readonly connection = signal<Connection>(newConnection());
  readonly #options: FeedOptions;
  readonly #timers = new Map<Timer, ReturnType<typeof setTimeout>>();
  #socket: SocketLike | null = null;
  #nextClientId = 1;
  readonly #clientPrefix: string;

  constructor(options: FeedOptions, lastSeq: Record<string, number> = {}) {
    this.#options = options;
    // Not randomUUID: it is missing on pages served over plain HTTP.
    this.#clientPrefix = [...crypto.getRandomValues(new Uint32Array(3))].map((n) => n.toString(36)).join('');
    this.connection.value = newConnection(lastSeq);
  }

  start(): void {
    this.#input({ type: 'start' });
  }
  stop(): void {
    this.#input({ type: 'stop' });
  }
  networkBack(): void {
    this.#input({ type: 'network_back' });
  }
  feedback(feedback: Feedback): void {
    const clientId = `${this.#clientPrefix}-${this.#nextClientId}`;
    this.#nextClientId += 1;
    this.#input({ type: 'feedback', clientId, feedback });
  }
  watch(callId: string, afterSeq: number): void {
    this.#input({ type: 'watch', callId, afterSeq });
  }
  unwatch(callId: string): void {
    this.#input({ type: 'unwatch', callId });
  }
  /** The live board is wanted, from now on and after every reconnect. */
  board(): void {
    this.#input({ type: 'board' });
  }
  applied(callId: string, seq: number): void {
    this.#input({ type: 'applied', callId, seq });
  }
  gap(callId: string): void {
    this.#input({ type: 'gap', callId });
  }
  forget(callId: string): void {
    this.#input({ type: 'forget', callId });
  }

  #input(input: Input): void {
    const { connection, effects } = step(this.connection.value, input, (this.#options.random ?? Math.random)());
    this.connection.value = connection;
    for (const effect of effects) this.#run(effect);
  }

  #run(effect: Effect): void {
    switch (effect.type) {
      case 'fetch_ticket':
        void this.#ticket(effect.generation);
        break;
      case 'open':
        this.#open(effect.generation);
        break;
      case 'send':
        try {
          this.#socket?.send(JSON.stringify(effect.message));
        } catch {
          // a socket that is closing: its close event comes and everything unacknowledged is sent again
        }
        break;
      case 'close':
        this.#socket?.close(effect.code);
        this.#socket = null;
        break;
      case 'set_timer':
        clearTimeout(this.#timers.get(effect.timer));
        this.#timers.set(
          effect.timer,
          setTimeout(() => this.#input({ type: 'timer', timer: effect.timer }), effect.ms),
        );
        break;
      case 'clear_timer':
        clearTimeout(this.#timers.get(effect.timer));
        this.#timers.delete(effect.timer);
        break;
      case 'deliver':
        this.#options.onMessage(effect.message);
        break;
      case 'lost':
        this.#options.onLost();
        break;
      case 'refused':
        this.#options.onRefused();
        break;
    }
  }

  async #ticket(generation: number): Promise<void> {
    try {
      const { ticket } = await this.#options.api.ticket('feed');
      this.#input({ type: 'ticket', generation, ticket });
    } catch (error) {
      this.#input({ type: 'ticket_failed', generation, status: error instanceof ApiError ? error.status : 0 });
    }
  }

  #open(generation: number): void {
    let socket: SocketLike;
    try {
      socket = this.#options.openSocket('/api/v1/feed', FEED_PROTOCOL);
    } catch {
      this.#input({ type: 'closed', generation, code: 1006 });
      return;
    }
    this.#socket = socket;
    socket.onopen = () => this.#input({ type: 'opened', generation });
    socket.onmessage = (event) => {
      if (typeof event.data === 'string') this.#input({ type: 'message', generation, text: event.data });
    };
    socket.onclose = (event) => this.#input({ type: 'closed', generation, code: event.code });
  }
}

export function browserSocket(path: string, protocol: string): SocketLike {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return new WebSocket(url, protocol) as unknown as SocketLike;
}
