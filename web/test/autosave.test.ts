// Saving as typed: nothing typed is lost, whatever the server does meanwhile.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Autosave } from '../src/core/autosave.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function bench() {
  const sent: string[] = [];
  const kept: (string | null)[] = [];
  const answers: (() => Promise<void>)[] = [];
  const autosave = new Autosave<string>({
    save: async (value) => {
      sent.push(value);
      await (answers.shift() ?? (async () => undefined))();
    },
    retryable: (error) => (error as Error).message !== 'no',
    keep: (value) => kept.push(value),
  });
  const fail = (why: string) => async () => {
    throw new Error(why);
  };
  return { autosave, sent, kept, answers, fail };
}

describe('what is typed', () => {
  it('is kept at once, sent after a pause, and forgotten here once it is stored', async () => {
    const { autosave, sent, kept } = bench();
    for (const text of ['回', '回电', '回电客户']) {
      autosave.put(text);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect([sent, kept, autosave.state.value]).toEqual([[], ['回', '回电', '回电客户'], 'typed']);
    await vi.advanceTimersByTimeAsync(1000);
    expect([sent, kept.at(-1), autosave.state.value]).toEqual([['回电客户'], null, 'saved']);
  });

  it('while the server is away is tried again, newest only, and at once when the network is back', async () => {
    const { autosave, sent, kept, answers, fail } = bench();
    answers.push(fail('network'), fail('network'));
    autosave.put('一');
    await vi.advanceTimersByTimeAsync(1000);
    expect(autosave.state.value).toBe('waiting');
    await vi.advanceTimersByTimeAsync(5000);
    autosave.put('一二');
    await vi.advanceTimersByTimeAsync(100);
    expect(kept.at(-1)).toBe('一二');
    await vi.advanceTimersByTimeAsync(1000);
    expect([sent, autosave.state.value, kept.at(-1)]).toEqual([['一', '一', '一二'], 'saved', null]);
    answers.push(fail('network'));
    autosave.put('三');
    await vi.advanceTimersByTimeAsync(1000);
    autosave.nudge();
    await vi.advanceTimersByTimeAsync(1);
    expect([sent.at(-1), autosave.state.value]).toEqual(['三', 'saved']);
  });

  it('while an answer is awaited is sent after it', async () => {
    const { autosave, sent, answers } = bench();
    let answer: () => void = () => undefined;
    answers.push(
      () =>
        new Promise<void>((done) => {
          answer = done;
        }),
    );
    autosave.put('早');
    await vi.advanceTimersByTimeAsync(1000);
    autosave.put('早安');
    await vi.advanceTimersByTimeAsync(2000);
    expect(sent).toEqual(['早']);
    answer();
    await vi.advanceTimersByTimeAsync(1000);
    expect([sent, autosave.state.value]).toEqual([['早', '早安'], 'saved']);
  });

  it('that the server refuses stays in the tab and is said', async () => {
    const { autosave, kept, answers, fail } = bench();
    answers.push(fail('no'));
    autosave.put('太长');
    await vi.advanceTimersByTimeAsync(20_000);
    expect([autosave.state.value, kept.at(-1)]).toEqual(['refused', '太长']);
    expect(await autosave.flush()).toBe(false);
  });

  it('is sent at once when it is handed in', async () => {
    const { autosave, sent, answers, fail } = bench();
    autosave.put('交');
    expect(await autosave.flush()).toBe(true);
    expect(sent).toEqual(['交']);
    answers.push(fail('network'));
    autosave.put('再交');
    expect(await autosave.flush()).toBe(false);
  });
});
