// What the knowledge console asks of the server, typed.
import type {
  Article,
  ArticlePage,
  ArticleVersion,
  Entity,
  Fact,
  FieldDiff,
  Finding as FindingBody,
  GapReport,
  Passage,
  UseReport,
} from '../gen/types.ts';
import type { Api } from '../net/api.ts';

export type Finding = FindingBody & { blocks: boolean; key: string };
export type Standing = ArticlePage['items'][number]['standing'];
export type Version = ArticleVersion & { standing: Standing };
export type Names = Record<string, string>;
export interface Diff {
  old: number | null;
  new: number;
  fields: FieldDiff[];
}
export interface Answer {
  version: ArticleVersion;
  names: Names;
}

export type GraphEntity = Entity & { facts: number };
export interface GraphPageBody {
  language: string;
  entities: GraphEntity[];
  states: Record<string, number>;
  facts: Fact[];
  total: number;
}

/** An article as the form holds it. */
export type Text = Pick<
  Article,
  | 'language'
  | 'title'
  | 'kind'
  | 'answer'
  | 'body'
  | 'questions'
  | 'products'
  | 'channels'
  | 'tags'
  | 'domain'
  | 'intent'
  | 'owner'
  | 'source'
  | 'audience'
  | 'valid_from'
  | 'valid_to'
>;

export const EDITORS = ['editor', 'ops_admin'];
const READERS = [...EDITORS, 'qa_lead', 'auditor', 'sys_admin'];
export const mayWrite = (roles: readonly string[]): boolean => roles.some((r) => EDITORS.includes(r));
export const mayRead = (roles: readonly string[]): boolean => roles.some((r) => READERS.includes(r));

export function emptyText(language: string, owner: string): Text {
  return {
    language,
    title: '',
    kind: 'faq',
    answer: '',
    body: '',
    questions: [],
    products: [],
    channels: [],
    tags: [],
    domain: '',
    intent: '',
    owner,
    source: '',
    audience: 'customer',
    valid_from: null,
    valid_to: null,
  };
}

export function textOf(article: Article): Text {
  const { article_id: _, version: __, state: ___, ...text } = article;
  return text;
}

export class Knowledge {
  readonly #api: Api;
  constructor(api: Api) {
    this.#api = api;
  }

  list(query: Record<string, string | number | undefined>): Promise<ArticlePage> {
    return this.#api.knowledge('GET', '/articles', query);
  }
  versions(id: string, language: string): Promise<{ versions: Version[]; names: Names }> {
    return this.#api.knowledge('GET', `/articles/${id}/versions`, { language });
  }
  diff(id: string, language: string, old = 0, next = 0): Promise<Diff> {
    return this.#api.knowledge('GET', `/articles/${id}/diff`, { language, old, new: next });
  }
  checks(id: string, language: string): Promise<{ findings: Finding[] }> {
    return this.#api.knowledge('GET', `/articles/${id}/checks`, { language });
  }
  create(text: Text, origin: string): Promise<Answer> {
    return this.#api.knowledge('POST', '/articles', {}, { ...text, origin });
  }
  save(id: string, text: Text, revision: number): Promise<Answer> {
    return this.#api.knowledge('POST', `/articles/${id}/draft`, {}, { ...text, revision });
  }
  step(id: string, step: string, body: Record<string, unknown>): Promise<Answer> {
    return this.#api.knowledge('POST', `/articles/${id}/${step}`, {}, body);
  }
  retire(id: string, language: string, reason: string): Promise<{ retired: number }> {
    return this.#api.knowledge('POST', `/articles/${id}/retire`, {}, { language, reason });
  }
  preview(text: Text, id?: string): Promise<{ passages: Passage[]; findings: Finding[] }> {
    return this.#api.knowledge('POST', '/preview', {}, id === undefined ? text : { ...text, article_id: id });
  }
  ranking(language: string): Promise<{ weights: Record<string, number> }> {
    return this.#api.knowledge('GET', '/ranking', { language });
  }
  use(days: number): Promise<UseReport> {
    return this.#api.knowledge('GET', '/use', { days });
  }
  graph(query: Record<string, string | number | undefined>): Promise<GraphPageBody> {
    return this.#api.knowledge('GET', '/graph', query);
  }
  change(body: Record<string, string>): Promise<unknown> {
    return this.#api.knowledge('POST', '/graph/changes', {}, body);
  }
  takeBack(language: string, kind: string, target: string): Promise<unknown> {
    return this.#api.knowledge('POST', '/graph/changes/take-back', {}, { language, kind, target });
  }
  gaps(days: number): Promise<GapReport> {
    return this.#api.knowledge('GET', '/gaps', { days });
  }
}
