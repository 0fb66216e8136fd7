// What is typed is saved as it is typed: kept in this tab at once, sent after a pause, tried again while the server is away. The clock and
// the storage are the caller's.
import { signal } from '@preact/signals';

export type SaveState = 'clean' | 'typed' | 'saving' | 'saved' | 'waiting' | 'refused';

export interface AutosaveOptions<T> {
  /** Sends the newest value. Rejects with ``again: true`` in ``retryable`` when it is worth another try. */
  save: (value: T) => Promise<void>;
  retryable: (error: unknown) => boolean;
  /** Keeps what is not on the server yet; null forgets it. */
  keep: (value: T | null) => void;
  pauseMs?: number;
  retryMs?: number;
}

const PAUSE_MS = 700;
const RETRY_MS = 5000;

export class Autosave<T> {
  readonly state = signal<SaveState>('clean');
  readonly #options: AutosaveOptions<T>;
  #value: { value: T } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | null = null;
  #stopped = false;

  constructor(options: AutosaveOptions<T>) {
    this.#options = options;
  }

  /** Something was typed. */
  put(value: T): void {
    this.#value = { value };
    this.#options.keep(value);
    this.state.value = 'typed';
    this.#after(this.#options.pauseMs ?? PAUSE_MS);
  }

  /** Sends what waits now; true when nothing waits afterwards. */
  async flush(): Promise<boolean> {
    clearTimeout(this.#timer);
    while (this.#value !== null || this.#sending !== null) {
      const before = this.#value;
      await (this.#sending ?? this.#send());
      if (this.#value !== null && this.#value === before) return false;
    }
    return this.state.value !== 'refused';
  }

  /** The network may be back. */
  nudge(): void {
    if (this.state.value === 'waiting') this.#after(0);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #after(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#send(), ms);
  }

  #send(): Promise<void> {
    if (this.#sending !== null) return this.#sending;
    this.#sending = this.#sendNewest().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async #sendNewest(): Promise<void> {
    const sent = this.#value;
    if (sent === null) return;
    this.state.value = 'saving';
    try {
      await this.#options.save(sent.value);
    } catch (error) {
      const again = this.#options.retryable(error);
      // What the server refuses it would refuse again; it stays in the tab and the person is told.
      if (!again && this.#value === sent) this.#value = null;
      this.state.value = again ? 'waiting' : 'refused';
      if (again) this.#after(this.#options.retryMs ?? RETRY_MS);
      return;
    }
    if (this.#value !== sent) {
      this.state.value = 'typed';
      this.#after(this.#options.pauseMs ?? PAUSE_MS);
      return;
    }
    this.#value = null;
    this.#options.keep(null);
    this.state.value = 'saved';
  }
}
