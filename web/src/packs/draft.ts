// A pack's draft that saves itself and is checked as it is typed: one save at a time, the newest text wins, a conflict stops it. No screen here.
import { signal } from '@preact/signals';
import { ApiError } from '../net/api.ts';
import type { Entry, Fault, PackVersion } from '../net/packs.ts';

export type SaveState = 'saved' | 'dirty' | 'saving' | 'failed' | 'conflict';
const SAVE_AFTER_MS = 1500;
const CHECK_AFTER_MS = 600;

export interface DraftWork {
  save: (text: string, note: string, revision: number, base: number) => Promise<PackVersion>;
  check: (text: string) => Promise<{ faults: Fault[]; outline: Entry[] }>;
  setTimer: (work: () => void, ms: number) => unknown;
  clearTimer: (timer: unknown) => void;
}

export class PackDraft {
  readonly text;
  readonly note;
  readonly version;
  readonly state = signal<SaveState>('saved');
  readonly error = signal<unknown>(null);
  /** null: not known yet, or the text has changed since. */
  readonly faults = signal<Fault[] | null>(null);
  readonly outline = signal<Entry[]>([]);
  #saveTimer: unknown;
  #checkTimer: unknown;
  #running: Promise<void> | null = null;
  readonly #work: DraftWork;

  constructor(version: PackVersion, text: string, work: DraftWork) {
    this.version = signal(version);
    this.text = signal(text);
    this.note = signal(version.note);
    this.#work = work;
  }

  change(text: string): void {
    this.text.value = text;
    this.faults.value = null;
    this.#touched();
    this.#work.clearTimer(this.#checkTimer);
    this.#checkTimer = this.#work.setTimer(() => void this.check(), CHECK_AFTER_MS);
  }

  annotate(note: string): void {
    this.note.value = note;
    this.#touched();
  }

  async check(): Promise<void> {
    const text = this.text.value;
    try {
      const found = await this.#work.check(text);
      if (this.text.value !== text) return;
      this.faults.value = found.faults;
      // What was read last stays in sight while a fault is being put right.
      if (found.faults.length === 0) this.outline.value = found.outline;
    } catch {
      // The text is kept all the same; the server checks again before it counts.
    }
  }

  /** True when what is on the screen is what is stored. ``base``: the published version whose changes were taken over. */
  async saveNow(base: number = this.version.value.base_version): Promise<boolean> {
    this.#work.clearTimer(this.#saveTimer);
    if (this.#running !== null) await this.#running;
    if (this.state.value === 'conflict') return false;
    if (this.state.value === 'saved' && base === this.version.value.base_version) return true;
    this.#running = this.#save(base);
    await this.#running;
    this.#running = null;
    return (this.state.value as SaveState) === 'saved';
  }

  stop(): void {
    this.#work.clearTimer(this.#saveTimer);
    this.#work.clearTimer(this.#checkTimer);
  }

  #touched(): void {
    if (this.state.value === 'conflict') return;
    if (this.state.value !== 'saving') this.state.value = 'dirty';
    this.#work.clearTimer(this.#saveTimer);
    this.#saveTimer = this.#work.setTimer(() => void this.saveNow(), SAVE_AFTER_MS);
  }

  async #save(base: number): Promise<void> {
    const text = this.text.value;
    const note = this.note.value;
    this.state.value = 'saving';
    try {
      this.version.value = await this.#work.save(text, note, this.version.value.revision, base);
      this.error.value = null;
      const same = this.text.value === text && this.note.value === note;
      this.state.value = same ? 'saved' : 'dirty';
      if (!same) this.#saveTimer = this.#work.setTimer(() => void this.saveNow(), SAVE_AFTER_MS);
    } catch (error) {
      this.error.value = error;
      this.state.value = error instanceof ApiError && error.status === 409 ? 'conflict' : 'failed';
    }
  }
}

/** Where a line (from 1) begins and ends in a text. */
export function lineSpan(text: string, line: number): [number, number] {
  let start = 0;
  for (let n = 1; n < line; n++) {
    const end = text.indexOf('\n', start);
    if (end < 0) break;
    start = end + 1;
  }
  const end = text.indexOf('\n', start);
  return [start, end < 0 ? text.length : end];
}
