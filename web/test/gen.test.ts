import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
// @ts-expect-error a plain script
import { generate } from '../scripts/gen-types.mjs';

it('the committed types are the ones the committed schema gives', async () => {
  const committed = readFileSync(new URL('../src/gen/types.ts', import.meta.url), 'utf8');
  expect(await generate()).toBe(committed);
});
