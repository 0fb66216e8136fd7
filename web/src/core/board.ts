// The live board's rows, kept from the feed's messages, and their order. Pure.

export interface BoardRow {
  call_id: string;
  started_at: string;
  agent_id: string | null;
  agent_name: string;
  team_id: string | null;
  own: boolean;
  language: string;
  direction: string;
  skill: string;
  held_since: string | null;
  mood: '' | 'calm' | 'confused' | 'anxious' | 'angry';
  mood_trend: '' | 'rising' | 'steady' | 'easing';
  mood_confidence: number;
  complaint_risk: number;
  alerts: Partial<Record<'info' | 'warn' | 'critical', number>>;
  last_rule: string;
  intent: string;
  whispers: number;
  down: string[];
  seq: number;
  risk: number;
}

export interface BoardMessage {
  type: 'board';
  reset: boolean;
  rows: BoardRow[];
  gone: string[];
}

export type Rows = ReadonlyMap<string, BoardRow>;

/** Rows that did not change stay the same objects, so that their lines need not be drawn again. */
export function receive(rows: Rows, message: BoardMessage): Rows {
  const next = new Map<string, BoardRow>(message.reset ? [] : rows);
  for (const row of message.rows) {
    const before = rows.get(row.call_id);
    next.set(row.call_id, before !== undefined && before.seq === row.seq && same(before, row) ? before : row);
  }
  for (const id of message.gone) next.delete(id);
  return next;
}

function same(a: BoardRow, b: BoardRow): boolean {
  return a.agent_name === b.agent_name && a.agent_id === b.agent_id && a.team_id === b.team_id && a.risk === b.risk;
}

export type Order = 'risk' | 'duration';

/** Call ids, those that ask most for a look first. Equal ones by how long they run, so that the order is the same every time. */
export function ordered(rows: Rows, order: Order, team: string): string[] {
  const list = [...rows.values()].filter((row) => team === '' || row.team_id === team);
  list.sort((a, b) => (order === 'risk' ? b.risk - a.risk : 0) || a.started_at.localeCompare(b.started_at));
  return list.map((row) => row.call_id);
}

/** The order on the screen: new calls at the end and ended ones out, while somebody reads; else the wanted order. */
export function settled(shown: readonly string[], wanted: readonly string[], reading: boolean): readonly string[] {
  if (!reading) return sameList(shown, wanted) ? shown : wanted;
  const there = new Set(wanted);
  const kept = shown.filter((id) => there.has(id));
  const known = new Set(kept);
  const next = [...kept, ...wanted.filter((id) => !known.has(id))];
  return sameList(shown, next) ? shown : next;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
