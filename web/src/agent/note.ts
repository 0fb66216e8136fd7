// The agent's own note on a call: saved as typed, kept in this tab while the server is away, there again after a reload.
import { signal } from '@preact/signals';
import { Autosave } from '../core/autosave.ts';
import { conceal, resolve } from '../core/text.ts';
import { ApiError } from '../net/api.ts';
import type { App } from '../ui/app.ts';

/** Worth another try: no network, the server restarting or busy. */
export function retryable(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status === 0 || error.status >= 500 || error.status === 429;
}

export class NoteModel {
  readonly text = signal('');
  /** Something personal was typed that the server has masked in what it keeps. */
  readonly masked = signal(false);
  readonly ready = signal(false);
  readonly autosave: Autosave<string>;
  readonly #app: App;
  readonly #callId: string;
  readonly #secrets: () => Readonly<Record<string, string>>;

  constructor(app: App, callId: string, secrets: () => Readonly<Record<string, string>>) {
    this.#app = app;
    this.#callId = callId;
    this.#secrets = secrets;
    const key = `note.${callId}`;
    this.autosave = new Autosave<string>({
      save: async (text) => {
        const stored = await app.api.writeNote(callId, text);
        this.masked.value = stored.text !== text;
      },
      retryable,
      keep: (text) => (text === null ? app.forget(key) : app.remember(key, text)),
    });
    const unsent = app.recall(key);
    if (unsent !== null) {
      this.ready.value = true;
      this.text.value = resolve(unsent, secrets());
      this.autosave.put(unsent);
    } else void this.#read();
  }

  write(text: string): void {
    this.ready.value = true;
    this.text.value = text;
    // Values the agent may see leave the page as their tokens, as everywhere.
    this.autosave.put(conceal(text, this.#secrets()));
  }

  async #read(): Promise<void> {
    try {
      const mine = (await this.#app.api.notes(this.#callId)).find((note) => note.mine);
      // Typing began before the answer came: what is typed is newer.
      if (!this.ready.value) this.text.value = resolve(mine?.text ?? '', this.#secrets());
    } catch {
      // An empty note that can be typed into; what is typed is tried again until it is stored.
    }
    this.ready.value = true;
  }
}
