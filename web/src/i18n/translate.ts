import en from './en.json';
import zh from './zh.json';

export type Language = 'zh' | 'en';
export type Key = keyof typeof zh;
export type Params = Record<string, string | number>;
export type Translate = (key: Key, params?: Params) => string;

const tables: Record<Language, Record<Key, string>> = { zh, en };

export function translator(language: Language): Translate {
  const table = tables[language];
  return (key, params = {}) => table[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}

/** The text under a key made at run time (a slot's or stage's name), else what was given. */
export function lookup(language: Language, key: string, fallback: string): string {
  return Object.hasOwn(tables[language], key) ? tables[language][key as Key] : fallback;
}
