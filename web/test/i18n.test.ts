import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import en from '../src/i18n/en.json';
import { lookup, translator } from '../src/i18n/translate.ts';
import zh from '../src/i18n/zh.json';

const params = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
const src = new URL('../src/', import.meta.url);
const code = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((f) => /\.tsx?$/.test(f))
  .map((f) => readFileSync(new URL(f, src), 'utf8'))
  .join('\n');

it('both languages have the same keys with the same parameters, and no empty text', () => {
  expect(Object.keys(en)).toEqual(Object.keys(zh));
  for (const key of Object.keys(zh) as (keyof typeof zh)[]) {
    expect([key, params(en[key])]).toEqual([key, params(zh[key])]);
    expect(zh[key].length * en[key].length, key).toBeGreaterThan(0);
  }
});

it('no text shouts', () => {
  for (const text of [...Object.values(zh), ...Object.values(en)]) expect(text).not.toMatch(/[!！]/);
});

it('every key is used', () => {
  const families = [...code.matchAll(/[`']([a-z_]+(?:\.[a-z_]+)*\.)\$\{/g)].map((m) => m[1] as string);
  const unused = Object.keys(zh).filter(
    (key) => !code.includes(`'${key}'`) && !families.some((f) => key.startsWith(f)),
  );
  expect(unused).toEqual([]);
});

it('fills parameters and falls back to what it was given', () => {
  expect(translator('zh')('sug.waiting.count', { n: 2 })).toBe('有 2 条新建议');
  expect(translator('en')('sug.waiting.count')).toBe('{n} new');
  expect(lookup('zh', 'slot.amount', 'amount')).toBe('金额');
  expect(lookup('zh', 'slot.toString', 'x')).toBe('x');
});
