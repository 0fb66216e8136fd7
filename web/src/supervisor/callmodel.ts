// One call of anybody in scope: read over HTTP, then followed on the feed for as long as something can still come.
import { signal } from '@preact/signals';
import { applyEphemeral, applyEvent, type CallState, dropEphemeral, foldLog, rewrite } from '../core/callstate.ts';
import { ARTIFACT_KINDS, type ArtifactKind, type ServerMessage } from '../core/protocol.ts';
import type { Artifact } from '../gen/types.ts';
import { browserSocket, Feed } from '../net/feed.ts';
import type { App } from '../ui/app.ts';

export class CallModel {
  readonly state = signal<CallState | null>(null);
  readonly artifacts = signal<readonly Artifact[]>([]);
  readonly error = signal<unknown>(null);
  readonly #app: App;
  readonly #callId: string;
  #feed: Feed | null = null;
  #stopped = false;
  #gapAsked = false;
  #reading = 0;

  constructor(app: App, callId: string) {
    this.#app = app;
    this.#callId = callId;
  }

  async start(): Promise<void> {
    this.#stopped = false;
    this.error.value = null;
    try {
      const [call, events] = await Promise.all([
        this.#app.api.call(this.#callId),
        this.#app.api.allEvents(this.#callId),
      ]);
      if (this.#stopped) return;
      const state = foldLog(call.org_id, call.call_id, events);
      this.state.value = { ...state, call: { ...call, ...state.call } };
      await this.#readArtifacts();
      if (!this.#complete()) this.#follow();
    } catch (error) {
      this.error.value = error;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#feed?.stop();
    this.#feed = null;
  }

  async rerun(kind: ArtifactKind): Promise<void> {
    try {
      await this.#app.api.rerun(this.#callId, kind);
      this.#app.say(this.#app.t.value('acw.rerun.sent'));
      this.#follow();
    } catch (error) {
      this.#app.say(this.#app.describe(error));
    }
  }

  #complete(): boolean {
    const state = this.state.value;
    if (state === null || state.call.phase !== 'ended') return false;
    return ARTIFACT_KINDS.every((k) => k in state.artifacts || k in state.failed);
  }

  #follow(): void {
    if (this.#feed !== null || this.#stopped) return;
    this.#feed = new Feed({
      api: this.#app.api,
      openSocket: browserSocket,
      onMessage: (message) => this.#receive(message),
      onLost: () => {
        if (this.state.value !== null) this.state.value = dropEphemeral(this.state.value);
      },
      onRefused: () => this.#app.say(this.#app.t.value('conn.refused')),
    });
    this.#feed.watch(this.#callId, this.state.value?.call.last_seq ?? 0);
    this.#feed.start();
  }

  #receive(message: ServerMessage): void {
    const before = this.state.value;
    if (before === null || !('call_id' in message) || message.call_id !== this.#callId) return;
    // What is shown stays shown; nothing more of it comes.
    if (message.type === 'call_released') return;
    if (message.type !== 'event') {
      this.state.value = applyEphemeral(before, message);
      return;
    }
    const { state, outcome } = applyEvent(before, message.envelope);
    if (outcome === 'gap') {
      if (!this.#gapAsked) this.#feed?.gap(this.#callId);
      this.#gapAsked = true;
      return;
    }
    this.#gapAsked = false;
    if (outcome === 'duplicate') return;
    this.state.value = state;
    this.#feed?.applied(this.#callId, state.call.last_seq);
    if (message.envelope.event.type === 'artifact_ready') void this.#readArtifacts();
    if (message.envelope.event.type === 'redacted') void this.#readAgain(state.stale);
  }

  async #readArtifacts(): Promise<void> {
    this.#reading += 1;
    const turn = this.#reading;
    try {
      const { artifacts } = await this.#app.api.artifacts(this.#callId);
      // An answer that was overtaken by a later question is older than what is shown.
      if (turn === this.#reading) this.artifacts.value = artifacts;
    } catch (error) {
      this.#app.say(this.#app.describe(error));
    }
  }

  async #readAgain(seqs: readonly number[]): Promise<void> {
    try {
      const pages = await Promise.all(seqs.map((seq) => this.#app.api.events(this.#callId, seq - 1, 1)));
      if (this.state.value !== null)
        this.state.value = rewrite(
          this.state.value,
          pages.flatMap((p) => p.events),
        );
    } catch (error) {
      this.#app.say(this.#app.describe(error));
    }
  }
}
