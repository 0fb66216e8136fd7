// The sidebar's state: this agent's calls from the feed, which one is shown, which suggestion is in front, and what was clicked.
import { computed, effect, signal } from '@preact/signals';
import {
  applyEphemeral,
  applyEvent,
  type CallState,
  type Card,
  dropEphemeral,
  emptyState,
  isWithdrawn,
  rewrite,
  sourceKey,
} from '../core/callstate.ts';
import { type Deck, emptyDeck, type Hold, hold, ownCards, release, settle, show } from '../core/deck.ts';
import type { FeedbackAction, ServerMessage } from '../core/protocol.ts';
import { resolve } from '../core/text.ts';
import type { Artifact } from '../gen/types.ts';
import { browserSocket, Feed } from '../net/feed.ts';
import type { App } from '../ui/app.ts';
import { FormModel } from './form.ts';
import { NoteModel } from './note.ts';

/** Calls kept on this page: the live one and the few before it. */
const KEPT_CALLS = 4;

export class AgentModel {
  readonly calls = signal<ReadonlyMap<string, CallState>>(new Map());
  readonly currentId = signal<string | null>(null);
  readonly deck = signal<Deck>(emptyDeck);
  /** `${call_id}/${suggestion_id}` → what was clicked here, before the server has said so. */
  readonly clicked = signal<ReadonlyMap<string, readonly FeedbackAction[]>>(new Map());
  readonly artifacts = signal<ReadonlyMap<string, readonly Artifact[]>>(new Map());
  readonly current = computed(() => this.calls.value.get(this.currentId.value ?? '') ?? null);
  readonly live = computed(() => [...this.calls.value.values()].filter((c) => c.call.phase === 'live'));
  readonly feed: Feed;
  readonly #app: App;
  readonly #gapAsked = new Set<string>();
  readonly #reading = new Set<string>();
  readonly #readAfter = new Set<string>();
  readonly #notes = new Map<string, NoteModel>();
  readonly #forms = new Map<string, FormModel>();
  #disposed: (() => void)[] = [];

  constructor(app: App) {
    this.#app = app;
    const remembered = app.recall('call');
    this.feed = new Feed(
      {
        api: app.api,
        openSocket: browserSocket,
        onMessage: (message) => this.receive(message),
        onLost: () => this.#everyCall(dropEphemeral),
        onRefused: () => app.say(app.t.value('conn.refused')),
      },
      // After a reload the call is asked for from its beginning, also when it has ended meanwhile.
      remembered === null ? {} : { [remembered]: 0 },
    );
  }

  start(): void {
    const networkBack = (): void => {
      this.feed.networkBack();
      for (const note of this.#notes.values()) note.autosave.nudge();
      for (const form of this.#forms.values()) form.nudge();
    };
    const leaving = (): void => {
      for (const { type: _, client_id: __, ...feedback } of this.feed.connection.value.outbox) {
        void this.#app.api.feedbackOnLeave(feedback).catch(() => undefined);
      }
    };
    window.addEventListener('online', networkBack);
    window.addEventListener('pagehide', leaving);
    const remember = effect(() => {
      if (this.currentId.value !== null) this.#app.remember('call', this.currentId.value);
    });
    this.#disposed = [
      remember,
      () => window.removeEventListener('online', networkBack),
      () => window.removeEventListener('pagehide', leaving),
    ];
    this.feed.start();
  }

  stop(): void {
    this.feed.stop();
    for (const dispose of this.#disposed) dispose();
    for (const note of this.#notes.values()) note.autosave.stop();
    for (const form of this.#forms.values()) form.stop();
    this.#notes.clear();
    this.#forms.clear();
  }

  /** This agent's note on a call. */
  note(callId: string): NoteModel {
    const found = this.#notes.get(callId) ?? new NoteModel(this.#app, callId, () => this.#secretsOf(callId));
    this.#notes.set(callId, found);
    return found;
  }

  /** The after-call form of a call that has ended. */
  form(callId: string): FormModel {
    const artifacts = (): readonly Artifact[] => this.artifacts.value.get(callId) ?? [];
    const found = this.#forms.get(callId) ?? new FormModel(this.#app, callId, artifacts, () => this.#secretsOf(callId));
    this.#forms.set(callId, found);
    return found;
  }

  #secretsOf(callId: string): Readonly<Record<string, string>> {
    return this.calls.value.get(callId)?.secrets ?? {};
  }

  receive(message: ServerMessage): void {
    switch (message.type) {
      case 'call_opened': {
        const { call } = message;
        if (!this.calls.value.has(call.call_id)) this.#put(emptyState(call.org_id, call.call_id));
        const current = this.current.value;
        if (current === null || (call.phase !== 'ended' && current.call.phase === 'ended')) this.select(call.call_id);
        this.#forgetOld();
        break;
      }
      case 'event': {
        const id = message.call_id;
        const before = this.calls.value.get(id) ?? emptyState(message.envelope.org_id, id);
        const { state, outcome } = applyEvent(before, message.envelope);
        if (outcome === 'gap') {
          if (!this.#gapAsked.has(id)) this.feed.gap(id);
          this.#gapAsked.add(id);
          break;
        }
        this.#gapAsked.delete(id);
        if (outcome === 'duplicate') break;
        this.#put(state);
        this.feed.applied(id, state.call.last_seq);
        if (this.currentId.value === null) this.select(id);
        else if (id === this.currentId.value) this.deck.value = settle(this.deck.value, state.cards);
        const type = message.envelope.event.type;
        if (type === 'artifact_ready' || type === 'wrap_up_submitted') void this.readArtifacts(id);
        if (type === 'redacted') void this.#readAgain(id);
        break;
      }
      case 'partial':
      case 'speech':
      case 'reply_delta':
      case 'reply_dropped':
      case 'secrets': {
        const before = this.calls.value.get(message.call_id);
        if (before !== undefined) this.#put(applyEphemeral(before, message));
        break;
      }
      case 'call_released':
        // An ended call that made room for another stays while it is read.
        if (message.reason === 'ended' && message.call_id === this.currentId.value) this.feed.forget(message.call_id);
        else this.#release(message.call_id, message.reason === 'transferred');
        break;
      case 'problem':
        this.#app.say(message.detail || message.title);
        break;
      case 'welcome':
        this.#gapAsked.clear();
        break;
    }
  }

  select(callId: string): void {
    this.currentId.value = callId;
    this.deck.value = settle(emptyDeck, this.current.value?.cards ?? []);
    if ((this.current.value?.call.artifacts.length ?? 0) > 0) void this.readArtifacts(callId);
  }

  hold(why: Hold): void {
    this.deck.value = hold(this.deck.value, why);
  }
  release(why: Hold): void {
    this.deck.value = release(this.deck.value, why, this.current.value?.cards ?? []);
  }
  show(id: string): void {
    this.deck.value = show(this.deck.value, id, this.current.value?.cards ?? []);
  }

  /** Goes on to the newest suggestion; false when it is shown already. */
  next(): boolean {
    const newest = ownCards(this.current.value?.cards ?? []).at(-1);
    if (newest === undefined || newest.offer.suggestion_id === this.deck.value.shownId) return false;
    this.show(newest.offer.suggestion_id);
    return true;
  }

  shownCard(): Card | null {
    return this.current.value?.cards.find((c) => c.offer.suggestion_id === this.deck.value.shownId) ?? null;
  }

  actionsOn(card: Card): readonly FeedbackAction[] {
    const mine = this.clicked.value.get(`${this.currentId.value}/${card.offer.suggestion_id}`) ?? [];
    return [...new Set([...card.feedback, ...mine])];
  }

  feedback(card: Card, action: FeedbackAction, more: { text?: string; reason?: string } = {}): void {
    const callId = this.currentId.value;
    if (callId === null) return;
    const id = card.offer.suggestion_id;
    const secrets = this.current.value?.secrets ?? {};
    const text = more.text === undefined ? {} : { text: this.#app.maskTyped(more.text, secrets) };
    const reason = more.reason === undefined ? {} : { reason: more.reason };
    this.feed.feedback({ call_id: callId, suggestion_id: id, action, ...text, ...reason });
    const key = `${callId}/${id}`;
    this.clicked.value = new Map(this.clicked.value).set(key, [...(this.clicked.value.get(key) ?? []), action]);
  }

  /** Adopts the shown answer (0) or one of its options (1, 2). */
  adopt(card: Card, index: number): void {
    if (isWithdrawn(card)) return;
    if (index === 0) {
      if (card.offer.kind === 'nothing') return;
      this.feedback(card, 'used');
      this.#tellHost(card, card.offer.text);
      return;
    }
    const option = card.offer.options.filter((o) => !card.gone.includes(sourceKey(o.citation)))[index - 1];
    if (option === undefined) return;
    this.feedback(card, 'used', { text: option.text });
    this.#tellHost(card, option.text);
  }

  /** The page around the sidebar may put the words where they are needed. Tokens stay tokens: values are for the agent's eyes. */
  #tellHost(card: Card, text: string): void {
    const call_id = this.currentId.value;
    this.#app.host.value?.tell({ type: 'adopted', call_id, suggestion_id: card.offer.suggestion_id, text });
  }

  async copy(card: Card, text: string): Promise<void> {
    if (await this.#app.copy(this.spoken(text))) this.feedback(card, 'copied');
  }

  /** What the agent may see and say: tokens replaced by their values where this feed has them. */
  spoken(text: string): string {
    return resolve(text, this.current.value?.secrets ?? {});
  }

  async readArtifacts(callId: string): Promise<void> {
    if (this.#reading.has(callId)) {
      // One became ready while we read: once more afterwards, however many they were.
      this.#readAfter.add(callId);
      return;
    }
    this.#reading.add(callId);
    try {
      const { artifacts } = await this.#app.api.artifacts(callId);
      this.artifacts.value = new Map(this.artifacts.value).set(callId, artifacts);
    } catch (error) {
      this.#app.say(this.#app.describe(error));
    } finally {
      this.#reading.delete(callId);
    }
    if (this.#readAfter.delete(callId)) void this.readArtifacts(callId);
  }

  async #readAgain(callId: string): Promise<void> {
    const seqs = this.calls.value.get(callId)?.stale ?? [];
    try {
      const pages = await Promise.all(seqs.map((seq) => this.#app.api.events(callId, seq - 1, 1)));
      const state = this.calls.value.get(callId);
      if (state !== undefined)
        this.#put(
          rewrite(
            state,
            pages.flatMap((p) => p.events),
          ),
        );
    } catch (error) {
      this.#app.say(this.#app.describe(error));
    }
  }

  /** The call is not this agent's any more: nothing of it stays on the page, the values of its tokens least of all. */
  #release(callId: string, transferred: boolean): void {
    this.feed.forget(callId);
    if (!this.calls.value.has(callId)) return;
    const next = new Map(this.calls.value);
    next.delete(callId);
    this.calls.value = next;
    if (transferred) this.#app.say(this.#app.t.value('call.transferred'));
    if (this.currentId.value !== callId) return;
    this.currentId.value = null;
    this.deck.value = emptyDeck;
    const other = this.live.value[0];
    if (other !== undefined) this.select(other.call.call_id);
  }

  #put(state: CallState): void {
    this.calls.value = new Map(this.calls.value).set(state.call.call_id, state);
  }

  #everyCall(change: (state: CallState) => CallState): void {
    this.calls.value = new Map([...this.calls.value].map(([id, state]) => [id, change(state)]));
  }

  #forgetOld(): void {
    const ids = [...this.calls.value.keys()];
    const old = ids.filter((id) => id !== this.currentId.value && this.calls.value.get(id)?.call.phase === 'ended');
    for (const id of old.slice(0, Math.max(0, ids.length - KEPT_CALLS))) {
      const next = new Map(this.calls.value);
      next.delete(id);
      this.calls.value = next;
      this.feed.forget(id);
    }
  }
}
