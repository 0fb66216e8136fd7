// Quality review over HTTP: the queue, sheets, appeals, calibrations and notices.
import type { QaScorecard } from '../gen/types.ts';
import type { Api } from './api.ts';

export type Answer = 'pass' | 'fail' | 'na' | 'not_scorable';
export const ANSWERS: readonly Answer[] = ['pass', 'fail', 'na', 'not_scorable'];
export type ReviewKind = 'sample' | 'manual' | 'appeal' | 'calibration';

export interface Review {
  review_id: string;
  call_id: string;
  kind: ReviewKind;
  state: 'open' | 'claimed' | 'done' | 'cancelled';
  created_at: string;
  due_at: string;
  plan: string;
  session_id: string;
  assigned_to: string | null;
  assigned_name: string;
  agent_id: string | null;
  agent_name: string;
  risk: number;
  done_at: string | null;
}

export interface Verdict {
  number: number;
  kind: ReviewKind;
  reviewer_id: string;
  reviewer_name: string;
  at: string;
  machine_score: number;
  score: number;
  fatal: boolean;
  answers: Record<string, [Answer, Answer]>;
  reasons: Record<string, string>;
  comment: string;
}

export interface Sheet {
  review: Review;
  qa_version: number;
  questions: QaScorecard;
  machine: QaScorecard | null;
  verdicts: Verdict[];
}

export interface AnswerIn {
  item_id: string;
  answer: Answer;
  reason: string;
}

export type AppealState = 'filed' | 'with_qa_lead' | 're_review' | 'changed' | 'kept' | 'dismissed' | 'withdrawn';
export type AppealAction = 'forward' | 'dismiss' | 'withdraw' | 'escalate' | 'assign' | 'decide';

export interface Appeal {
  appeal_id: string;
  call_id: string;
  agent_id: string;
  agent_name: string;
  state: AppealState;
  items: string[];
  score: number;
  new_score: number | null;
  filed_at: string;
  due_at: string | null;
  assigned_to: string | null;
  assigned_name: string;
}

export interface AppealStep {
  seq: number;
  at: string;
  actor: string;
  actor_name: string;
  action: 'file' | AppealAction;
  state: AppealState;
  note: string;
}

export interface Agreement {
  pairs: number;
  percent: number | null;
  kappa: number | null;
  weighted: number | null;
}

export interface Session {
  session_id: string;
  name: string;
  created_at: string;
  due_at: string;
  closed_at: string | null;
}

export interface Calibration {
  session: Session;
  tasks: Review[];
  overall: Agreement | null;
  questions: Record<string, Agreement>;
  differences: { call_id: string; question: string; answers: Record<string, Answer> }[];
}

export interface History {
  verdicts: Verdict[];
  appeals: Appeal[];
  appeal_until: string | null;
}

/** The utterances at which one rule alerted. */
export interface RuleOutcome {
  rule_id: string;
  severity: string;
  both: string[];
  live: string[];
  after: string[];
}

export interface Told {
  notice_id: string;
  at: string;
  kind: string;
  target: string;
  read: boolean;
}

const id = encodeURIComponent;

export class QaApi {
  readonly #api: Api;
  constructor(api: Api) {
    this.#api = api;
  }
  queue(query: { mine?: boolean; state?: string[]; cursor?: string }): Promise<{
    reviews: Review[];
    next_cursor: string | null;
    counts: { open: number; claimed: number; mine: number; overdue: number };
  }> {
    return this.#api.get('/qa/reviews', query);
  }
  add(callId: string): Promise<Review> {
    return this.#api.post('/qa/reviews', { call_id: callId });
  }
  sheet(reviewId: string): Promise<Sheet> {
    return this.#api.get(`/qa/reviews/${id(reviewId)}`);
  }
  claim(reviewId: string): Promise<Review> {
    return this.#api.post(`/qa/reviews/${id(reviewId)}/claim`);
  }
  release(reviewId: string): Promise<Review> {
    return this.#api.post(`/qa/reviews/${id(reviewId)}/release`);
  }
  submit(reviewId: string, version: number, answers: readonly AnswerIn[], comment: string): Promise<Verdict> {
    return this.#api.post(`/qa/reviews/${id(reviewId)}/submit`, { qa_version: version, answers, comment });
  }
  history(callId: string): Promise<History> {
    return this.#api.get(`/qa/calls/${id(callId)}/history`);
  }
  rules(callId: string): Promise<{ rules: RuleOutcome[] }> {
    return this.#api.get(`/qa/calls/${id(callId)}/rules`);
  }
  agreement(): Promise<{
    verdicts: number;
    overall: Agreement;
    questions: Record<string, Agreement & { changed: number }>;
  }> {
    return this.#api.get('/qa/agreement');
  }
  inspectors(): Promise<{ inspectors: { user_id: string; name: string }[] }> {
    return this.#api.get('/qa/inspectors');
  }
  appeals(state?: readonly AppealState[]): Promise<{ appeals: Appeal[] }> {
    return this.#api.get('/qa/appeals', { state });
  }
  appeal(appealId: string): Promise<{ appeal: Appeal; steps: AppealStep[]; actions: AppealAction[] }> {
    return this.#api.get(`/qa/appeals/${id(appealId)}`);
  }
  fileAppeal(callId: string, items: readonly string[], reason: string): Promise<Appeal> {
    return this.#api.post('/qa/appeals', { call_id: callId, items, reason });
  }
  step(appealId: string, action: AppealAction, note: string, assignee?: string): Promise<Appeal> {
    return this.#api.post(`/qa/appeals/${id(appealId)}/steps`, { action, note, assignee: assignee ?? null });
  }
  decide(appealId: string, version: number, answers: readonly AnswerIn[], comment: string): Promise<Appeal> {
    return this.#api.post(`/qa/appeals/${id(appealId)}/decision`, { qa_version: version, answers, comment });
  }
  calibrations(): Promise<{ calibrations: Session[] }> {
    return this.#api.get('/qa/calibrations');
  }
  calibration(sessionId: string): Promise<Calibration> {
    return this.#api.get(`/qa/calibrations/${id(sessionId)}`);
  }
  openCalibration(
    name: string,
    calls: readonly string[],
    inspectors: readonly string[],
    days: number,
  ): Promise<Session> {
    return this.#api.post('/qa/calibrations', { name, call_ids: calls, inspectors, days });
  }
  closeCalibration(sessionId: string): Promise<Session> {
    return this.#api.post(`/qa/calibrations/${id(sessionId)}/close`);
  }
  notices(): Promise<{ notices: Told[]; unread: number }> {
    return this.#api.get('/notices');
  }
  readNotices(ids: readonly string[] | null = null): Promise<{ read: number }> {
    return this.#api.post('/notices/read', { ids });
  }
}
