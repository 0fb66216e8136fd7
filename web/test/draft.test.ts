import { beforeEach, describe, expect, it } from 'vitest';
import { DraftModel } from '../src/kb/draft.ts';
import { type Answer, emptyText, type Text } from '../src/kb/requests.ts';
import { ApiError } from '../src/net/api.ts';

let asked: { id: string | null; text: Text; revision: number }[] = [];
let answers: ((answer: Answer) => void)[] = [];
let refuse: unknown = null;
let timers: (() => void)[] = [];

const answer = (text: Text, revision: number): Answer =>
  ({
    version: { article: { ...text, article_id: 'a1', version: 1, state: 'draft' }, revision },
    names: {},
  }) as unknown as Answer;

function model(id: string | null = 'a1', revision = 3): DraftModel {
  return new DraftModel(id, { ...emptyText('zh', 'x'), title: '旧' }, revision, {
    save: (known, text, at) => {
      asked.push({ id: known, text, revision: at });
      if (refuse !== null) return Promise.reject(refuse);
      return new Promise((resolve) => answers.push(resolve));
    },
    named: () => undefined,
    setTimer: (work) => timers.push(work),
    clearTimer: () => {
      timers = [];
    },
  });
}

beforeEach(() => {
  asked = [];
  answers = [];
  timers = [];
  refuse = null;
});

describe('a draft that saves itself', () => {
  it('waits until the writer pauses, and sends the newest text once', async () => {
    const draft = model();
    draft.change({ title: '新' });
    draft.change({ title: '新一' });
    expect(asked).toHaveLength(0);
    expect(timers).toHaveLength(1);
    timers[0]?.();
    await Promise.resolve();
    expect(asked.map((a) => [a.text.title, a.revision])).toEqual([['新一', 3]]);
    answers[0]?.(answer(draft.text.value, 4));
    await new Promise((r) => setTimeout(r));
    expect(draft.state.value).toBe('saved');
    expect(draft.revision).toBe(4);
  });

  it('saves again what was typed while it was saving, with the new revision', async () => {
    const draft = model();
    draft.change({ title: '一' });
    void draft.saveNow();
    await Promise.resolve();
    draft.change({ title: '二' });
    answers[0]?.(answer(draft.text.value, 4));
    await new Promise((r) => setTimeout(r));
    expect(draft.state.value).toBe('dirty');
    void draft.saveNow();
    await new Promise((r) => setTimeout(r));
    expect(asked.at(-1)).toMatchObject({ revision: 4, text: { title: '二' } });
  });

  it('stops at a conflict until a person has chosen; mine goes over what is stored', async () => {
    const draft = model();
    const theirs = answer({ ...emptyText('zh', 'x'), title: '他人' }, 7).version;
    refuse = new ApiError(409, 'Conflict', '', { stored: theirs });
    draft.change({ title: '我' });
    expect(await draft.saveNow()).toBe(false);
    expect(draft.state.value).toBe('conflict');
    draft.change({ title: '我又写' });
    expect(await draft.saveNow()).toBe(false);
    expect(asked).toHaveLength(1);
    refuse = null;
    void draft.resolve('mine');
    await new Promise((r) => setTimeout(r));
    expect(asked.at(-1)).toMatchObject({ revision: 7, text: { title: '我又写' } });
  });

  it('takes the stored text over when that is chosen', async () => {
    const draft = model();
    refuse = new ApiError(409, 'Conflict', '', {
      stored: answer({ ...emptyText('zh', 'x'), title: '他人' }, 7).version,
    });
    draft.change({ title: '我' });
    await draft.saveNow();
    await draft.resolve('theirs');
    expect(draft.text.value.title).toBe('他人');
    expect([draft.state.value, draft.revision]).toEqual(['saved', 7]);
  });

  it('keeps the text when the server is away, and a new one gets its id with the first save', async () => {
    const draft = model(null, 0);
    refuse = new ApiError(0, 'network', '');
    draft.change({ title: '新' });
    expect(await draft.saveNow()).toBe(false);
    expect([draft.state.value, draft.text.value.title]).toEqual(['failed', '新']);
    refuse = null;
    void draft.saveNow();
    await new Promise((r) => setTimeout(r));
    answers[0]?.(answer(draft.text.value, 1));
    await new Promise((r) => setTimeout(r));
    expect([draft.id, draft.state.value]).toEqual(['a1', 'saved']);
  });
});
