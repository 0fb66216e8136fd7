// Packs over HTTP: the files that decide how calls are judged, their versions, and dry runs over past calls.
import type { Api } from './api.ts';
import type { Agreement } from './qa.ts';

export type PackState = 'draft' | 'published' | 'superseded' | 'discarded';

export interface PackVersion {
  name: string;
  version: number;
  state: PackState;
  author: string;
  author_name: string;
  note: string;
  base_version: number;
  revision: number;
  created_at: string;
  changed_at: string;
  published_by: string | null;
  publisher_name: string;
  published_at: string | null;
  may_publish?: boolean;
}

export interface PackRow {
  name: string;
  published: PackVersion | null;
  drafts: PackVersion[];
  may_publish: boolean;
}

export interface Fault {
  place: string;
  message: string;
  line: number;
  column: number;
}

/** One entry of a pack that is fit for use. */
export interface Entry {
  id: string;
  depth: number;
  line: number;
  name: { zh?: string; en?: string };
  facts: Record<string, string | number | boolean | string[]>;
}

export interface Piece {
  op: 'same' | 'added' | 'removed';
  text: string;
}

export interface RunChoice {
  limit: number;
  state?: string;
  language?: string;
  risk?: string;
  since?: string;
  until?: string;
}

export interface Counts {
  key: string;
  before: Record<string, number>;
  after: Record<string, number>;
  changed: number;
}

export interface LiveCounts {
  key: string;
  live: number;
  after: number;
  both: number;
  only_live: number;
  only_after: number;
  calls: number;
  calls_differing: number;
}

export interface RunResult {
  calls: number;
  changed: number;
  skipped: number;
  lines: Counts[];
  score: { before: number; after: number; lower: number; higher: number } | null;
  agreement: {
    calls: number;
    overall: { before: Agreement; after: Agreement } | null;
    questions: Record<string, { before: Agreement; after: Agreement }>;
  } | null;
  live: LiveCounts[] | null;
}

export interface DryRun {
  run_id: string;
  pack: string;
  version: number;
  revision: number;
  base_version: number;
  choice: RunChoice;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  created_at: string;
  ended_at: string | null;
  done: number;
  total: number;
  error: string;
  result?: RunResult | null;
}

export interface Change {
  key: string;
  before: string | null;
  after: string | null;
  before_evidence: string[];
  after_evidence: string[];
  /** Of a question whose answer is the same and counts otherwise. */
  before_stake?: Stake;
  after_stake?: Stake;
}

export interface Stake {
  weight: number;
  fatal: boolean;
  deduction: number;
}

export interface ChangedCall {
  number: number;
  call_id: string;
  started_at: string | null;
  agent_name: string;
  language: string;
  before_score: number | null;
  after_score: number | null;
  changes: Change[];
  words: Record<string, { channel: string; start_ms: number; text: string }>;
}

export const DRY_PACKS: readonly string[] = ['rubric', 'taxonomy', 'compliance', 'sop'];
const WRITERS = ['inspector', 'qa_lead', 'editor', 'ops_admin'];
const READERS = [...WRITERS, 'team_lead', 'sys_admin', 'auditor'];
const CALL_READERS = ['inspector', 'qa_lead', 'ops_admin'];

export const mayReadPacks = (roles: readonly string[]): boolean => roles.some((r) => READERS.includes(r));
export const mayWritePacks = (roles: readonly string[]): boolean => roles.some((r) => WRITERS.includes(r));
export const mayDryRun = (roles: readonly string[]): boolean => roles.some((r) => CALL_READERS.includes(r));

export class PacksApi {
  readonly #api: Api;
  constructor(api: Api) {
    this.#api = api;
  }
  overview(): Promise<{ packs: PackRow[]; may_write: boolean }> {
    return this.#api.get('/packs');
  }
  versions(name: string): Promise<{ versions: PackVersion[] }> {
    return this.#api.get(`/packs/${name}/versions`);
  }
  version(name: string, version: number): Promise<{ version: PackVersion; text: string }> {
    return this.#api.get(`/packs/${name}/versions/${version}`);
  }
  diff(name: string, version: number, against?: number): Promise<{ old: number; new: number; pieces: Piece[] }> {
    return this.#api.get(`/packs/${name}/versions/${version}/diff`, { against });
  }
  check(name: string, text: string): Promise<{ faults: Fault[]; outline: Entry[] }> {
    return this.#api.post(`/packs/${name}/check`, { text });
  }
  begin(name: string, text: string, note: string): Promise<PackVersion> {
    return this.#api.post(`/packs/${name}/drafts`, { text, note });
  }
  save(draft: PackVersion, text: string, note: string, revision: number, base: number): Promise<PackVersion> {
    const body = { text, note, revision, base_version: base };
    return this.#api.post(`/packs/${draft.name}/versions/${draft.version}/save`, body);
  }
  publish(draft: PackVersion): Promise<PackVersion> {
    return this.#api.post(`/packs/${draft.name}/versions/${draft.version}/publish`, { revision: draft.revision });
  }
  discard(draft: PackVersion): Promise<PackVersion> {
    return this.#api.post(`/packs/${draft.name}/versions/${draft.version}/discard`);
  }
  start(name: string, version: number, choice: RunChoice): Promise<DryRun> {
    return this.#api.post(`/packs/${name}/versions/${version}/dry-runs`, choice);
  }
  runs(name: string): Promise<{ runs: DryRun[] }> {
    return this.#api.get(`/packs/${name}/dry-runs`);
  }
  run(id: string): Promise<DryRun> {
    return this.#api.get(`/dry-runs/${encodeURIComponent(id)}`);
  }
  cancel(id: string): Promise<DryRun> {
    return this.#api.post(`/dry-runs/${encodeURIComponent(id)}/cancel`);
  }
  changed(id: string, key: string | undefined, after: number): Promise<{ calls: ChangedCall[]; next: number | null }> {
    return this.#api.get(`/dry-runs/${encodeURIComponent(id)}/calls`, { key, after });
  }
}
