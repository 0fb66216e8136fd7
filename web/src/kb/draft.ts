// A draft that saves itself: one request at a time, the newest text wins, a conflict stops it until a person has decided. No screen here.
import { signal } from '@preact/signals';
import type { ArticleVersion } from '../gen/types.ts';
import { ApiError } from '../net/api.ts';
import type { Answer, Text } from './requests.ts';

export type SaveState = 'clean' | 'dirty' | 'saving' | 'saved' | 'failed' | 'conflict';
const PAUSE_MS = 1500;

export interface Saver {
  /** ``id`` null: not stored yet. Rejects with ApiError 409 and ``stored`` when somebody else saved first. */
  save: (id: string | null, text: Text, revision: number) => Promise<Answer>;
  /** The first save gave it this id. */
  named: (id: string) => void;
  setTimer: (work: () => void, ms: number) => unknown;
  clearTimer: (timer: unknown) => void;
}

export class DraftModel {
  readonly text;
  readonly state = signal<SaveState>('clean');
  readonly error = signal<unknown>(null);
  readonly stored = signal<ArticleVersion | null>(null);
  readonly version = signal<ArticleVersion | null>(null);
  #id: string | null;
  #revision: number;
  #timer: unknown;
  #running: Promise<boolean> | null = null;
  readonly #saver: Saver;

  constructor(id: string | null, text: Text, revision: number, saver: Saver) {
    this.text = signal<Text>(text);
    this.#id = id;
    this.#revision = revision;
    this.#saver = saver;
  }

  get revision(): number {
    return this.#revision;
  }
  get id(): string | null {
    return this.#id;
  }

  change(change: Partial<Text>): void {
    this.text.value = { ...this.text.value, ...change };
    if (this.state.value === 'conflict') return;
    if (this.state.value !== 'saving') this.state.value = 'dirty';
    this.#saver.clearTimer(this.#timer);
    this.#timer = this.#saver.setTimer(() => void this.saveNow(), PAUSE_MS);
  }

  /** True when what is on the screen is what is stored. */
  async saveNow(): Promise<boolean> {
    this.#saver.clearTimer(this.#timer);
    if (this.state.value === 'conflict') return false;
    if (this.#running !== null) await this.#running;
    if (this.state.value === 'clean' || this.state.value === 'saved') return true;
    this.#running = this.#save();
    const done = await this.#running;
    this.#running = null;
    return done;
  }

  /** After a conflict: ``mine`` overwrites what is stored, ``theirs`` takes it over. */
  async resolve(choice: 'mine' | 'theirs'): Promise<void> {
    const stored = this.stored.value;
    if (stored === null) return;
    this.#revision = stored.revision;
    this.stored.value = null;
    if (choice === 'theirs') {
      const { article_id: _, version: __, state: ___, ...text } = stored.article;
      this.text.value = text;
      this.version.value = stored;
      this.state.value = 'saved';
      return;
    }
    this.state.value = 'dirty';
    await this.saveNow();
  }

  stop(): void {
    this.#saver.clearTimer(this.#timer);
  }

  async #save(): Promise<boolean> {
    const sent = this.text.value;
    this.state.value = 'saving';
    try {
      const { version } = await this.#saver.save(this.#id, sent, this.#revision);
      this.#revision = version.revision;
      this.version.value = version;
      this.error.value = null;
      if (this.#id === null) {
        this.#id = version.article.article_id;
        this.#saver.named(version.article.article_id);
      }
      const same = this.text.value === sent;
      this.state.value = same ? 'saved' : 'dirty';
      if (!same) this.#timer = this.#saver.setTimer(() => void this.saveNow(), PAUSE_MS);
      return same;
    } catch (error) {
      const stored = error instanceof ApiError && error.status === 409 ? error.more.stored : undefined;
      this.error.value = error;
      this.stored.value = (stored as ArticleVersion | undefined) ?? null;
      this.state.value = stored === undefined ? 'failed' : 'conflict';
      return false;
    }
  }
}
