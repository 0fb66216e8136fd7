// The after-call form: prefilled from the artifacts, saved as typed, handed in and taken back.
import { computed, effect, signal } from '@preact/signals';
import { Autosave, type SaveState } from '../core/autosave.ts';
import { conceal } from '../core/text.ts';
import type { Artifact, Statement, Summary, TicketClassification } from '../gen/types.ts';
import type { EditableKind } from '../net/api.ts';
import type { App } from '../ui/app.ts';
import { retryable } from './note.ts';

export const SECTIONS = ['problems', 'actions', 'commitments', 'follow_ups'] as const;
export type Section = (typeof SECTIONS)[number];

interface Edited<T> {
  base: number;
  body: T;
}

/** The worse of two: what the person must know first. */
const ORDER: readonly SaveState[] = ['refused', 'waiting', 'saving', 'typed', 'saved', 'clean'];

export class FormModel {
  readonly summary = signal<Edited<Summary> | null>(null);
  readonly ticket = signal<Edited<TicketClassification> | null>(null);
  readonly busy = signal(false);
  readonly saves: Record<EditableKind, Autosave<Edited<unknown>>>;
  readonly state = computed<SaveState>(
    () => ORDER.find((s) => Object.values(this.saves).some((save) => save.state.value === s)) ?? 'clean',
  );
  readonly #app: App;
  readonly #callId: string;
  readonly #secrets: () => Readonly<Record<string, string>>;
  readonly #dispose: () => void;

  constructor(
    app: App,
    callId: string,
    artifacts: () => readonly Artifact[],
    secrets: () => Readonly<Record<string, string>>,
  ) {
    this.#app = app;
    this.#callId = callId;
    this.#secrets = secrets;
    const save = (kind: EditableKind): Autosave<Edited<unknown>> => {
      const key = `form.${kind}.${callId}`;
      return new Autosave<Edited<unknown>>({
        save: ({ base, body }) => app.api.saveDraft(callId, kind, base, body),
        retryable,
        keep: (value) => (value === null ? app.forget(key) : app.remember(key, JSON.stringify(value))),
      });
    };
    this.saves = { summary: save('summary'), ticket: save('ticket') };
    const drafts = signal(new Map<EditableKind, Edited<unknown>>());
    const asked = signal(false);
    void this.#readDrafts().then((found) => {
      drafts.value = found;
      asked.value = true;
    });
    // A form is filled once, from the draft or else the artifact; what is being typed is never replaced by a later version.
    this.#dispose = effect(() => {
      if (!asked.value) return;
      for (const kind of ['summary', 'ticket'] as const) {
        const made = artifacts().find((a) => a.kind === kind);
        const draft = drafts.value.get(kind);
        const now = this[kind].value;
        const start = draft ?? (made === undefined ? undefined : { base: made.version, body: made.body });
        if (start === undefined) continue;
        const typed = this.saves[kind].state.value !== 'clean';
        if (now === null || (!typed && draft === undefined && now.base < start.base))
          (this[kind] as { value: unknown }).value = start;
      }
    });
  }

  stop(): void {
    this.#dispose();
    for (const save of Object.values(this.saves)) save.stop();
  }
  nudge(): void {
    for (const save of Object.values(this.saves)) save.nudge();
  }

  setOverall(text: string): void {
    this.#changeSummary((s) => ({ ...s, overall: text }));
  }
  setLine(section: Section, index: number, text: string): void {
    this.#changeSummary((s) => ({
      ...s,
      [section]: s[section].map((line, i) => (i === index ? { ...line, text } : line)),
    }));
  }
  removeLine(section: Section, index: number): void {
    this.#changeSummary((s) => ({ ...s, [section]: s[section].filter((_, i) => i !== index) }));
  }
  addLine(section: Section): void {
    const line: Statement = { text: '', utterance_ids: [], due: '', owner: '', polarity: '' };
    this.#changeSummary((s) => ({ ...s, [section]: [...s[section], line] }));
  }
  setCategory(level1: string, level2: string): void {
    this.#changeTicket((t) => ({ ...t, level1, level2 }));
  }
  setMeasure(index: number, text: string): void {
    this.#changeTicket((t) => ({ ...t, measures: t.measures.map((m, i) => (i === index ? text : m)) }));
  }
  removeMeasure(index: number): void {
    this.#changeTicket((t) => ({ ...t, measures: t.measures.filter((_, i) => i !== index) }));
  }
  addMeasure(): void {
    this.#changeTicket((t) => ({ ...t, measures: [...t.measures, ''] }));
  }

  async submit(): Promise<void> {
    await this.#talk(async () => {
      const saved = await Promise.all(Object.values(this.saves).map((save) => save.flush()));
      if (saved.includes(false)) throw new Error('not saved');
      await this.#app.api.submitForm(this.#callId);
      this.#app.say(this.#app.t.value('form.submitted'));
    });
  }

  async reopen(): Promise<void> {
    await this.#talk(() => this.#app.api.reopenForm(this.#callId));
  }

  async #talk(work: () => Promise<void>): Promise<void> {
    this.busy.value = true;
    try {
      await work();
    } catch (error) {
      const unsaved = error instanceof Error && error.message === 'not saved';
      this.#app.say(unsaved ? this.#app.t.value('form.unsaved') : this.#app.describe(error));
    } finally {
      this.busy.value = false;
    }
  }

  async #readDrafts(): Promise<Map<EditableKind, Edited<unknown>>> {
    const found = new Map<EditableKind, Edited<unknown>>();
    try {
      for (const draft of await this.#app.api.drafts(this.#callId))
        found.set(draft.kind as EditableKind, { base: draft.base_version, body: draft.body });
    } catch {
      // The artifacts themselves can be edited; a draft that exists is found again after a reload.
    }
    // What this tab could not send before the page went away is newer than what the server has.
    for (const kind of ['summary', 'ticket'] as const) {
      const unsent = this.#app.recall(`form.${kind}.${this.#callId}`);
      if (unsent === null) continue;
      const value = JSON.parse(unsent) as Edited<unknown>;
      found.set(kind, value);
      this.saves[kind].put(value);
    }
    return found;
  }

  #changeSummary(change: (body: Summary) => Summary): void {
    const before = this.summary.value;
    if (before === null) return;
    this.summary.value = { base: before.base, body: change(before.body) };
    this.saves.summary.put({ base: before.base, body: this.#outgoing(this.summary.value.body) });
  }
  #changeTicket(change: (body: TicketClassification) => TicketClassification): void {
    const before = this.ticket.value;
    if (before === null) return;
    this.ticket.value = { base: before.base, body: change(before.body) };
    this.saves.ticket.put({ base: before.base, body: this.#outgoing(this.ticket.value.body) });
  }

  /** Known values as their tokens, empty lines left out. */
  #outgoing<T extends object>(body: T): T {
    const secrets = this.#secrets();
    const clean = (value: unknown): unknown => {
      if (typeof value === 'string') return conceal(value, secrets);
      if (Array.isArray(value)) return value.map(clean).filter((item) => item !== '' && !isEmptyLine(item));
      if (typeof value === 'object' && value !== null)
        return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, clean(v)]));
      return value;
    };
    return clean(body) as T;
  }
}

function isEmptyLine(item: unknown): boolean {
  return typeof item === 'object' && item !== null && 'text' in item && item.text === '';
}
