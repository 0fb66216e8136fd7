// What agents ask of the bank's own systems, typed.
import type { Api } from '../net/api.ts';

export interface Parameter {
  name: string;
  label: string;
  /** What a value must match as a whole. */
  pattern: string;
}
export type Tool =
  | { id: string; kind: 'question'; name: string }
  | { id: string; kind: 'look_up'; name: string; confirm: boolean; parameters: Parameter[] };
export type LookUp = Extract<Tool, { kind: 'look_up' }>;
export interface ToolAnswer {
  status: 'answered' | 'refused' | 'confirm';
  source: string;
  columns: string[];
  rows: string[][];
  /** The query that ran. */
  statement: string;
  /** A model wrote the query. */
  generated: boolean;
  refused: string;
  reason: '' | 'not_set_up' | 'personal' | 'no_match' | 'not_allowed';
  confirmation: string;
}

export async function toolsOf(api: Api, language: string): Promise<Tool[]> {
  return (await api.get<{ tools: Tool[] }>('/tools', { language })).tools;
}
export function ask(api: Api, question: string, language: string): Promise<ToolAnswer> {
  return api.post('/tools/ask', { question, language });
}
export function lookUp(
  api: Api,
  tool: LookUp,
  values: Readonly<Record<string, string>>,
  confirmation = '',
): Promise<ToolAnswer> {
  return api.post(`/tools/${encodeURIComponent(tool.id)}`, { values, confirmation });
}

/** The parameters whose value would be refused; the server decides, this only spares the round trip. */
export function faulty(tool: LookUp, values: Readonly<Record<string, string>>): string[] {
  return tool.parameters
    .filter((p) => {
      try {
        return !new RegExp(`^(?:${p.pattern})$`, 'u').test(values[p.name] ?? '');
      } catch {
        return (values[p.name] ?? '') === '';
      }
    })
    .map((p) => p.name);
}

/** Rows as a spreadsheet takes them from the clipboard. */
export function asTable(answer: ToolAnswer): string {
  const cell = (text: string): string => text.replace(/[\t\r\n]+/g, ' ');
  return [answer.columns, ...answer.rows].map((row) => row.map(cell).join('\t')).join('\n');
}
