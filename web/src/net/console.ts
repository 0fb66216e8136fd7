// The supervisor's console over HTTP: figures, the list of calls with its facets, exports.
import type { Call } from '../gen/types.ts';
import type { Api, Query } from './api.ts';

export interface Figures {
  calls: number;
  scored: number;
  reviewed: number;
  fatal: number;
  below60: number;
  below75: number;
  below85: number;
  below95: number;
  high_risk: number;
  alerts: number;
  duration_ms: number;
  mean_score: number | null;
  mean_duration_ms: number | null;
}

export interface Topic {
  key: string;
  calls: number;
  before: number;
  high_risk: number;
}

export interface Overview {
  first: string;
  last: string;
  live: number;
  today: Figures;
  total: Figures;
  before: Figures;
  days: (Figures & { day: string })[];
  topics: Topic[];
  intents: Topic[];
  queue: { open: number; claimed: number; mine: number; overdue: number };
}

export interface Facet {
  key: string;
  name?: string;
  calls: number;
}
export interface Facets {
  teams: Facet[];
  agents: Facet[];
  intents: Facet[];
  tickets: Facet[];
}

export interface ListedCall extends Call {
  agent_name: string;
  team_id: string | null;
  ticket_level1: string;
  ticket_level2: string;
  qa_state: '' | 'machine' | 'reviewed';
  qa_score: number | null;
  qa_fatal: boolean;
  risk: number;
}

export interface Page {
  calls: ListedCall[];
  next_cursor: string | null;
  count?: { calls: number; more_than: boolean };
}

/** A line in which something was found; ``channel`` empty: of the summary. ``marks``: [start, end) in characters, not in UTF-16 units. */
export interface Match {
  utterance_id: string;
  channel: 'customer' | 'agent' | 'mixed' | '';
  start_ms: number;
  text: string;
  marks: readonly (readonly [number, number])[];
}
export interface FoundCall extends ListedCall {
  matches?: readonly Match[];
  nearness?: number | null;
}
export interface FoundPage {
  calls: FoundCall[];
  total: number;
  facets: Record<string, Facet[]> | null;
  next_cursor: string | null;
  catching_up: boolean;
}

export type PersonFigures = Figures & { key: string; name: string };

export class ConsoleApi {
  readonly #api: Api;
  constructor(api: Api) {
    this.#api = api;
  }
  overview(days: number, team: string | undefined): Promise<Overview> {
    return this.#api.get('/console/overview', { days, team });
  }
  facets(since?: string, until?: string): Promise<Facets> {
    return this.#api.get('/console/facets', { since, until });
  }
  calls(query: Query): Promise<Page> {
    return this.#api.get('/console/calls', query);
  }
  search(query: Query): Promise<FoundPage> {
    return this.#api.get('/console/search', query);
  }
  teams(days: number): Promise<{ first: string; last: string; teams: PersonFigures[]; agents: PersonFigures[] }> {
    return this.#api.get('/console/teams', { days });
  }
  /** Saves the list behind ``path`` as a file of the browser's downloads. */
  async export(path: string, query: Query, format: 'csv' | 'xlsx' | 'html', language: string): Promise<void> {
    const blob = await this.#api.file(path, { ...query, format, locale: language });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `calls.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}
