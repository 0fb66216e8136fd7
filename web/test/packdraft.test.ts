import { expect, it } from 'vitest';
import { ApiError } from '../src/net/api.ts';
import type { Fault, PackVersion } from '../src/net/packs.ts';
import { shortened } from '../src/packs/Diff.tsx';
import { lineSpan, PackDraft } from '../src/packs/draft.ts';

const version: PackVersion = {
  name: 'rubric',
  version: 2,
  state: 'draft',
  author: 'ann',
  author_name: 'Ann',
  note: '',
  base_version: 1,
  revision: 1,
  created_at: '',
  changed_at: '',
  published_by: null,
  publisher_name: '',
  published_at: null,
};
const fault: Fault = { place: 'items 1', message: 'weight is missing', line: 3, column: 5 };

/** A server in memory, and timers that pass when asked. */
function bench() {
  const saved: { text: string; revision: number; base: number }[] = [];
  const timers = new Map<number, () => void>();
  let next = 0;
  const work = {
    fail: null as unknown,
    faults: [] as Fault[],
    save: async (text: string, _note: string, revision: number, base: number) => {
      if (work.fail !== null) throw work.fail;
      saved.push({ text, revision, base });
      return { ...version, revision: revision + 1, base_version: base };
    },
    check: async () => ({ faults: work.faults, outline: [] }),
    setTimer: (run: () => void) => {
      timers.set(++next, run);
      return next;
    },
    clearTimer: (timer: unknown) => void timers.delete(timer as number),
  };
  const pass = async (): Promise<void> => {
    const due = [...timers.values()];
    timers.clear();
    for (const run of due) run();
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return { draft: new PackDraft(version, 'a', work), work, saved, pass };
}

it('saves what is typed after a pause, once, with the revision that was read', async () => {
  const { draft, saved, pass } = bench();
  draft.change('ab');
  draft.change('abc');
  expect(draft.state.value).toBe('dirty');
  await pass();
  expect(saved).toEqual([{ text: 'abc', revision: 1, base: 1 }]);
  expect(draft.state.value).toBe('saved');
  draft.annotate('why');
  await pass();
  expect(saved[1]?.revision).toBe(2);
});

it('checks what is typed and forgets the faults of an older text', async () => {
  const { draft, work, pass } = bench();
  work.faults = [fault];
  draft.change('b');
  expect(draft.faults.value).toBeNull();
  await pass();
  expect(draft.faults.value).toEqual([fault]);
  draft.change('c');
  expect(draft.faults.value).toBeNull();
});

it('keeps the text when saving fails, and saves again', async () => {
  const { draft, work, saved, pass } = bench();
  work.fail = new ApiError(0, 'offline', '');
  draft.change('b');
  await pass();
  expect([draft.state.value, draft.text.value]).toEqual(['failed', 'b']);
  work.fail = null;
  expect(await draft.saveNow()).toBe(true);
  expect(saved).toEqual([{ text: 'b', revision: 1, base: 1 }]);
});

it('stops at a conflict until the page is read again', async () => {
  const { draft, work, saved, pass } = bench();
  work.fail = new ApiError(409, 'Conflict', '');
  draft.change('b');
  await pass();
  expect(draft.state.value).toBe('conflict');
  work.fail = null;
  expect(await draft.saveNow()).toBe(false);
  draft.change('c');
  await pass();
  expect(saved).toEqual([]);
});

it('takes a newer published version over by saving on top of it', async () => {
  const { draft, saved } = bench();
  expect(await draft.saveNow(4)).toBe(true);
  expect(saved).toEqual([{ text: 'a', revision: 1, base: 4 }]);
  expect(draft.version.value.base_version).toBe(4);
});

it('finds where a line stands', () => {
  const text = 'one\ntwo\nthree';
  for (const [line, words] of [
    [1, 'one'],
    [2, 'two'],
    [3, 'three'],
  ] as const) {
    const [start, end] = lineSpan(text, line);
    expect(text.slice(start, end)).toBe(words);
  }
  expect(lineSpan(text, 9)).toEqual([8, 13]);
});

it('shortens what did not change, never what did', () => {
  const same = Array.from({ length: 40 }, (_, i) => `line ${i}`).join('\n');
  const pieces = shortened([
    { op: 'same', text: `${same}\n` },
    { op: 'added', text: same },
    { op: 'same', text: `\n${same}` },
  ]);
  expect(pieces[1]).toEqual({ op: 'added', text: same });
  expect(pieces[0]?.text.split('\n').length).toBeLessThan(8);
  expect(pieces[0]?.text.endsWith('line 39\n')).toBe(true);
});
