import { readdirSync, readFileSync } from 'node:fs';
import type { Call, EventEnvelope } from '../src/gen/types.ts';

// The logs shared with the server's own tests.
const dir = new URL('../../tests/golden/', import.meta.url);
export const names = readdirSync(dir)
  .filter((f) => f.endsWith('.jsonl'))
  .map((f) => f.replace('.jsonl', ''));

export function readLog(name: string): { log: EventEnvelope[]; call: Call } {
  const log = readFileSync(new URL(`${name}.jsonl`, dir), 'utf8')
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l) as EventEnvelope);
  const call = JSON.parse(readFileSync(new URL(`${name}.fold.json`, dir), 'utf8')) as Call;
  return { log, call };
}
