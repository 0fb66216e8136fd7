// The board's rows from the feed.
import { signal } from '@preact/signals';
import { type Rows, receive } from '../core/board.ts';
import type { ServerMessage } from '../core/protocol.ts';
import { browserSocket, Feed } from '../net/feed.ts';
import type { App } from '../ui/app.ts';

export class BoardModel {
  /** null until the first answer. */
  readonly rows = signal<Rows | null>(null);
  readonly refused = signal(false);
  readonly feed: Feed;

  constructor(app: App) {
    this.feed = new Feed({
      api: app.api,
      openSocket: browserSocket,
      onMessage: (message) => this.#receive(message),
      onLost: () => undefined,
      onRefused: () => app.say(app.t.value('conn.refused')),
    });
    this.feed.board();
  }

  start(): void {
    this.feed.start();
  }
  stop(): void {
    this.feed.stop();
  }

  #receive(message: ServerMessage): void {
    if (message.type === 'board') this.rows.value = receive(this.rows.value ?? new Map(), message);
    else if (message.type === 'problem' && message.title === 'Forbidden') this.refused.value = true;
  }
}
