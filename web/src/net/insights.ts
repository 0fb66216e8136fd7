// What the center learns from its calls, over HTTP.
import type { Api, Query } from './api.ts';

export type Kind = 'topic' | 'cluster' | 'term' | 'cause';
export type About = Kind | 'lead' | 'question';
export type Verdict = 'new' | 'rising' | 'falling' | 'steady' | 'few';

export interface Counted {
  calls: number;
  upset: number;
}

export interface Movement {
  kind: Kind;
  key: string;
  now: number;
  before: number;
  upset: number;
  /** Of the shares of all calls; null when there was none before. */
  ratio: number | null;
  low: number;
  high: number | null;
  q: number | null;
  verdict: Verdict;
}

export interface Driver {
  kind: Kind;
  key: string;
  calls: number;
  upset: number;
  share: number;
  others_share: number;
  lift: number;
  low: number;
  high: number;
  q: number;
}

export interface CoachingPoint {
  agent_id: string;
  item_id: string;
  asked: number;
  failed: number;
  share: number;
  low: number;
  high: number;
  peers_share: number | null;
  q: number | null;
}

export interface Findings {
  chosen: { first: string; last: string };
  compared: { first: string; last: string };
  total: Counted;
  before: Counted;
  days: Record<string, Counted>;
  movements: Movement[];
  emerging: Movement[];
  drivers: Driver[];
  clusters: { cluster_id: string; language: string; terms: string[]; size: number }[];
  leads: Record<string, number>;
  coaching: CoachingPoint[];
  agents: Record<string, string>;
  facets: { products: { key: string; calls: number }[]; teams: { key: string; name: string; calls: number }[] };
}

export interface EvidenceCall {
  call_id: string;
  started_at: string;
  agent_name: string;
  upset: boolean;
  utterance_id: string;
  at_ms: number;
  text: string;
}

export interface FaqCandidate {
  question: string;
  answer: string;
  language: string;
  calls: number;
  call_id: string;
  place: { utterance_id: string; at_ms: number };
}

export interface ReportFile {
  file: string;
  name: string;
  first: string;
  last: string;
  form: string;
  bytes: number;
}

export class InsightsApi {
  readonly #api: Api;
  constructor(api: Api) {
    this.#api = api;
  }
  findings(window: Query): Promise<Findings> {
    return this.#api.get('/console/insights', window);
  }
  evidence(window: Query, about: About, key: string, agent?: string): Promise<{ calls: EvidenceCall[] }> {
    return this.#api.get('/console/insights/evidence', { ...window, about, key, agent });
  }
  candidates(window: Query): Promise<{ candidates: FaqCandidate[] }> {
    return this.#api.get('/console/insights/candidates', window);
  }
  reports(): Promise<{ reports: ReportFile[] }> {
    return this.#api.get('/console/insights/reports');
  }
  report(window: Query, format: string, locale: string): Promise<Blob> {
    return this.#api.file('/console/insights/report', { ...window, format, locale });
  }
  scheduled(file: string): Promise<Blob> {
    return this.#api.file(`/console/insights/reports/${encodeURIComponent(file)}`);
  }
}
