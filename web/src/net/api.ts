// The HTTP API under /api/v1: one typed function per call, problems (RFC 9457) as ApiError.

import type { ArtifactKind, Channel, Feedback, User } from '../core/protocol.ts';
import type { Article, Artifact, Call, EventEnvelope, Guidance, Hit, ListeningCopy } from '../gen/types.ts';
import type { ImportFile, ImportRun } from './imports.ts';

export class ApiError extends Error {
  readonly status: number;
  readonly title: string;
  /** What a problem says besides title and detail, such as ``findings`` or ``stored``. */
  readonly more: Record<string, unknown>;
  constructor(status: number, title: string, detail: string, more: Record<string, unknown> = {}) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.more = more;
  }
}

export interface Session {
  token: string;
  expires_at: string;
  user: User;
}

export interface Enrolment {
  username: string;
  display_name: string;
  roles: string[];
  expires_at: string;
}

export interface Labels {
  intents: Record<string, string>;
  categories: Record<string, string>;
  causes: Record<string, string>;
  leads: Record<string, string>;
  /** The two levels of the ticket taxonomy, in the bank's order. */
  category_tree: { id: string; name: string; children: { id: string; name: string }[] }[];
  rubric_items: Record<string, { name: string; description: string; section: string }>;
  rubric_sections: Record<string, string>;
  checklists: { id: string; name: string; intents: string[]; steps: { id: string; name: string; hint: string }[] }[];
  compliance_rules: Record<string, { name: string; advice: string; severity: string }>;
}

export interface Leg {
  channel: Channel;
  sample_rate_hz: number;
  duration_ms: number;
  gaps: { start_ms: number; duration_ms: number; reason: string }[];
}

/** What was recorded of a call. ``copy`` is null while the listening copy is being made. */
export interface Recording {
  legs: Leg[];
  copy: CopyInfo | null;
  may_hear_original: boolean;
}
export type CopyInfo = { version: number } & Pick<
  ListeningCopy,
  'channels' | 'sample_rate_hz' | 'duration_ms' | 'complete' | 'hidden'
>;

export type PartState = { state: 'up' | 'down' | 'off'; detail: string };
export interface Status {
  version: string;
  ready: boolean;
  parts: Record<string, PartState>;
  capacity: { live_calls: number; max_calls: number };
}

export type JobState = 'queued' | 'leased' | 'done' | 'failed' | 'discarded';
/** A job of after-call work with its times. ``losses``: workers that began it and were never heard of again. */
export interface JobLine {
  job_id: string;
  call_id: string;
  kind: ArtifactKind;
  version: number;
  state: JobState;
  attempts: number;
  losses: number;
  background: boolean;
  error: string;
  created_at: string;
  not_before: string;
  begun_at: string | null;
  closed_at: string | null;
}

export interface Webhook {
  subscription_id: string;
  url: string;
  events: string[];
  description: string;
  template: string;
  authorization_env: string;
  active: boolean;
  created_at: string;
  rotated_until: string | null;
}
export interface WebhookPage {
  webhooks: Webhook[];
  events: string[];
  templates: { name: string; description: string; events: string[] }[];
}
export interface WebhookMessage {
  message_id: string;
  event: string;
  call_id: string;
  created_at: string;
  state: 'queued' | 'leased' | 'delivered' | 'failed' | 'withdrawn';
  attempts: number;
  next_at: string;
  status: number | null;
  error: string;
}

/** Whether people may call from a page (``calls_each`` above 0), the setting that says so, and where the page connects. */
export interface PageCalls {
  calls_each: number;
  setting: string;
  url: string;
}

export interface Note {
  user_id: string;
  name: string;
  mine: boolean;
  text: string;
  updated_at: string;
}

/** A person's own: only the chords that differ from the defaults. */
export interface Preferences {
  keys: Record<string, string>;
  style: Style;
}
export type Style = 'professional' | 'standard' | 'plain';
export const STYLES: readonly Style[] = ['professional', 'standard', 'plain'];

export type EditableKind = 'summary' | 'ticket';
export type Draft = Artifact & { base_version: number; updated_at: string };
export type ArtifactVersion = Artifact & {
  author: string | null;
  author_name: string;
  base_version: number | null;
  created_at: string;
  changes: { field: string; before: string; after: string }[];
};

type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

const BASE = '/api/v1';

export class Api {
  readonly #fetch: Fetch;
  readonly #token: () => string | null;
  readonly #onUnauthenticated: () => void;

  constructor(fetch: Fetch, token: () => string | null, onUnauthenticated: () => void) {
    this.#fetch = fetch;
    this.#token = token;
    this.#onUnauthenticated = onUnauthenticated;
  }

  login(username: string, password: string): Promise<Session> {
    return this.#json('POST', '/auth/login', { username, password });
  }
  enrolment(token: string): Promise<Enrolment> {
    return this.#json('GET', `/auth/enrolment/${encodeURIComponent(token)}`);
  }
  enrol(token: string, username: string, password: string): Promise<Session> {
    return this.#json('POST', '/auth/enrol', { token, username, password });
  }
  async logout(): Promise<void> {
    await this.#request('POST', '/auth/logout', {});
  }
  me(): Promise<User> {
    return this.#json('GET', '/me');
  }
  ticket(purpose: 'feed' | 'audio' | 'microphone', callId?: string): Promise<{ ticket: string; expires_in_s: number }> {
    return this.#json('POST', '/tickets', callId === undefined ? { purpose } : { purpose, call_id: callId });
  }
  microphone(): Promise<PageCalls> {
    return this.#json('GET', '/microphone');
  }
  calls(query: {
    limit?: number;
    cursor?: string;
    phase?: string;
  }): Promise<{ calls: Call[]; next_cursor: string | null }> {
    return this.#json('GET', `/calls${search(query)}`);
  }
  call(id: string): Promise<Call> {
    return this.#json('GET', `/calls/${encodeURIComponent(id)}`);
  }
  events(id: string, after: number, limit = 1000): Promise<{ events: EventEnvelope[] }> {
    return this.#json('GET', `/calls/${encodeURIComponent(id)}/events${search({ after, limit })}`);
  }
  /** Every event after ``after``, page by page. */
  async allEvents(id: string, after = 0): Promise<EventEnvelope[]> {
    const out: EventEnvelope[] = [];
    for (;;) {
      const { events } = await this.events(id, out.at(-1)?.seq ?? after);
      if (events.length === 0) return out;
      out.push(...events);
      if (events.length < 1000) return out;
    }
  }
  artifacts(id: string): Promise<{ artifacts: Artifact[] }> {
    return this.#json('GET', `/calls/${encodeURIComponent(id)}/artifacts`);
  }
  async rerun(id: string, kind: ArtifactKind): Promise<void> {
    await this.#request('POST', `/calls/${encodeURIComponent(id)}/artifacts/${kind}/rerun`, {});
  }
  jobs(query: {
    state: 'open' | 'failed' | 'discarded' | 'done';
    limit?: number;
    cursor?: string;
  }): Promise<{ jobs: JobLine[]; counts: Record<JobState, number>; next_cursor: string | null }> {
    return this.#json('GET', `/jobs${search(query)}`);
  }
  async runJob(id: string): Promise<void> {
    await this.#request('POST', `/jobs/${encodeURIComponent(id)}/run`, {});
  }
  async discardJob(id: string): Promise<void> {
    await this.#request('POST', `/jobs/${encodeURIComponent(id)}/discard`, {});
  }
  webhooks(): Promise<WebhookPage> {
    return this.#json('GET', '/webhooks');
  }
  newWebhook(
    body: Pick<Webhook, 'url' | 'events' | 'description' | 'template' | 'authorization_env'>,
  ): Promise<{ webhook: Webhook; secret: string }> {
    return this.#json('POST', '/webhooks', body);
  }
  changeWebhook(id: string, change: { active: boolean }): Promise<{ webhook: Webhook }> {
    return this.#json('POST', `/webhooks/${encodeURIComponent(id)}/change`, change);
  }
  rotateWebhook(id: string): Promise<{ secret: string }> {
    return this.#json('POST', `/webhooks/${encodeURIComponent(id)}/rotate`, {});
  }
  async testWebhook(id: string): Promise<void> {
    await this.#request('POST', `/webhooks/${encodeURIComponent(id)}/test`, {});
  }
  async removeWebhook(id: string): Promise<void> {
    await this.#request('POST', `/webhooks/${encodeURIComponent(id)}/remove`, {});
  }
  webhookMessages(
    id: string,
    cursor: string | null,
  ): Promise<{ messages: WebhookMessage[]; next_cursor: string | null }> {
    return this.#json('GET', `/webhooks/${encodeURIComponent(id)}/messages${search({ cursor: cursor ?? '' })}`);
  }
  async replayFailed(id: string): Promise<void> {
    await this.#request('POST', `/webhooks/${encodeURIComponent(id)}/replay`, {});
  }
  async replay(messageId: string): Promise<void> {
    await this.#request('POST', `/webhooks/messages/${encodeURIComponent(messageId)}/replay`, {});
  }
  async notes(id: string): Promise<Note[]> {
    const { notes } = await this.#json<{ notes: Note[] }>('GET', `/calls/${encodeURIComponent(id)}/notes`);
    return notes;
  }
  /** The caller's own note as it was stored: masked. */
  writeNote(id: string, text: string): Promise<Note> {
    return this.#json('PUT', `/calls/${encodeURIComponent(id)}/notes`, { text });
  }
  async whisper(id: string, text: string): Promise<void> {
    await this.#request('POST', `/calls/${encodeURIComponent(id)}/whispers`, { text });
  }
  async drafts(id: string): Promise<Draft[]> {
    const { drafts } = await this.#json<{ drafts: Draft[] }>('GET', `/calls/${encodeURIComponent(id)}/wrap-up`);
    return drafts;
  }
  async saveDraft(id: string, kind: EditableKind, baseVersion: number, body: unknown): Promise<void> {
    await this.#request('PUT', `/calls/${encodeURIComponent(id)}/wrap-up/${kind}`, { base_version: baseVersion, body });
  }
  async submitForm(id: string): Promise<void> {
    await this.#request('POST', `/calls/${encodeURIComponent(id)}/wrap-up/submit`, {});
  }
  async reopenForm(id: string): Promise<void> {
    await this.#request('POST', `/calls/${encodeURIComponent(id)}/wrap-up/reopen`, {});
  }
  async versions(id: string, kind: EditableKind): Promise<ArtifactVersion[]> {
    const path = `/calls/${encodeURIComponent(id)}/artifacts/${kind}/versions`;
    return (await this.#json<{ versions: ArtifactVersion[] }>('GET', path)).versions;
  }
  preferences(): Promise<Preferences> {
    return this.#json('GET', '/me/preferences');
  }
  savePreferences(preferences: Preferences): Promise<Preferences> {
    return this.#json('PUT', '/me/preferences', preferences);
  }
  async mayEmbed(host: string): Promise<boolean> {
    return (await this.#json<{ allowed: boolean }>('GET', `/embed${search({ host })}`)).allowed;
  }
  hostSignIn(token: string, host: string): Promise<Session> {
    return this.#json('POST', '/embed/sessions', { token, host });
  }
  recording(id: string): Promise<Recording> {
    return this.#json('GET', `/calls/${encodeURIComponent(id)}/audio`);
  }
  peaks(id: string, channel: Channel, buckets: number): Promise<{ peaks: number[] }> {
    return this.#json('GET', `/calls/${encodeURIComponent(id)}/audio/${channel}/peaks${search({ buckets })}`);
  }
  /** Where a leg is heard; masked unless ``original``, which the server grants to the agent of the call. */
  legUrl(id: string, channel: Channel, ticket: string, original: boolean): string {
    return `${BASE}/calls/${encodeURIComponent(id)}/audio/${channel}.wav${search({ ticket, original: original ? 'true' : '' })}`;
  }
  /** Where the listening copy is heard. */
  copyUrl(id: string, version: number, ticket: string, original: boolean): string {
    return `${BASE}/calls/${encodeURIComponent(id)}/audio/copy.flac${search({ version, ticket, original: original ? 'true' : '' })}`;
  }
  /** Used only when the page goes away with feedback the feed has not acknowledged: the request outlives the page. */
  async feedbackOnLeave(feedback: Feedback): Promise<void> {
    const { call_id, ...body } = feedback;
    await this.#request('POST', `/calls/${encodeURIComponent(call_id)}/feedback`, body, { keepalive: true });
  }
  kbSearch(q: string, language: string, signal?: AbortSignal): Promise<{ hits: Hit[]; guidance: Guidance | null }> {
    return this.#json(
      'GET',
      `/kb/search${search({ q, language, top_k: 5 })}`,
      undefined,
      signal === undefined ? {} : { signal },
    );
  }
  article(id: string, language: string): Promise<Article> {
    return this.#json('GET', `/kb/articles/${encodeURIComponent(id)}${search({ language })}`);
  }
  imports(): Promise<{ runs: ImportRun[]; max_bytes: number; reads_scans: boolean }> {
    return this.#json('GET', '/kb/imports');
  }
  importFiles(id: string): Promise<{ run: ImportRun; files: ImportFile[] }> {
    return this.#json('GET', `/kb/imports/${encodeURIComponent(id)}`);
  }
  cancelImport(id: string): Promise<ImportRun> {
    return this.#json('POST', `/kb/imports/${encodeURIComponent(id)}/cancel`, {});
  }
  labels(language: string): Promise<Labels> {
    return this.#json('GET', `/bank/labels${search({ language })}`);
  }
  /** The knowledge console's requests under /kb; typed in kb/requests.ts. */
  knowledge<T>(method: 'GET' | 'POST', path: string, query: Query = {}, body?: unknown): Promise<T> {
    return this.#json(method, `/kb${path}${search(query)}`, body);
  }
  status(): Promise<Status> {
    return this.#json('GET', '/status');
  }

  /** For the clients of one area (review, console), which name their own types. */
  get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    return this.#json('GET', `${path}${search(query)}`, undefined, signal === undefined ? {} : { signal });
  }
  post<T>(path: string, body: unknown = {}): Promise<T> {
    return this.#json('POST', path, body);
  }
  /** A file that the server writes, such as an export. */
  async file(path: string, query: Query = {}): Promise<Blob> {
    return (await this.#request('GET', `${path}${search(query)}`)).blob();
  }

  async #json<T>(method: string, path: string, body?: unknown, init: RequestInit = {}): Promise<T> {
    const response = await this.#request(method, path, body, init);
    return (await response.json()) as T;
  }

  async #request(method: string, path: string, body?: unknown, init: RequestInit = {}): Promise<Response> {
    const headers: Record<string, string> = { Accept: 'application/json' };
    const token = this.#token();
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let response: Response;
    try {
      response = await this.#fetch(`${BASE}${path}`, {
        ...init,
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      if (init.signal?.aborted) throw cause;
      throw new ApiError(0, 'network', '');
    }
    if (response.ok) return response;
    if (response.status === 401 && token !== null) this.#onUnauthenticated();
    let title = response.statusText;
    let detail = '';
    let more: Record<string, unknown> = {};
    try {
      const problem = (await response.json()) as { title?: string; detail?: unknown };
      more = problem;
      title = problem.title ?? title;
      if (typeof problem.detail === 'string') detail = problem.detail;
    } catch {
      // not a problem document: the status line has to do
    }
    throw new ApiError(response.status, title, detail, more);
  }
}

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

function search(params: Query): string {
  const entries = Object.entries(params).flatMap(([k, v]): [string, string][] =>
    v === undefined || v === '' ? [] : Array.isArray(v) ? v.map((one) => [k, one]) : [[k, String(v)]],
  );
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries).toString()}`;
}
