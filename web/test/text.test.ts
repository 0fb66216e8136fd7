import { describe, expect, it } from 'vitest';
import { spokenAt, wavePath } from '../src/core/audio.ts';
import { clock, moment, percent, score } from '../src/core/format.ts';
import { conceal, mark, pieces, resolve } from '../src/core/text.ts';

describe('pieces', () => {
  it('finds PII tokens and leaves other brackets alone', () => {
    expect(pieces('卡号【卡号#1】，见【说明】')).toEqual([
      { kind: 'text', text: '卡号' },
      { kind: 'secret', token: '【卡号#1】', label: '卡号' },
      { kind: 'text', text: '，见【说明】' },
    ]);
  });
  it('underlines corrections by code points, also after characters outside the BMP', () => {
    const text = '𠮷祥的信用卡被盗刷';
    const out = pieces(text, [{ start: 7, end: 9, original: '道刷', corrected: '盗刷', reason: 'lexicon' }]);
    expect(out.map((p) => (p.kind === 'secret' ? '' : p.text))).toEqual(['𠮷祥的信用卡被', '盗刷']);
    expect(out[1]).toMatchObject({ kind: 'corrected', original: '道刷' });
  });
  it('shows plain text when a correction does not fit', () => {
    const bad = { start: 3, end: 99, original: 'x', corrected: 'y', reason: 'itn' } as const;
    expect(pieces('三千元', [bad])).toEqual([{ kind: 'text', text: '三千元' }]);
  });
});

describe('values and tokens', () => {
  const secrets = { '【卡号#1】': '6222021234', '【尾号#1】': '1234' };
  it('values go to the agent, tokens to the server', () => {
    const text = '卡号【卡号#1】尾号【尾号#1】，【姓名#1】';
    const shown = resolve(text, secrets);
    expect(shown).toBe('卡号6222021234尾号1234，【姓名#1】');
    expect(conceal(shown, secrets)).toBe(text);
  });
  it('an empty value conceals nothing', () => {
    expect(conceal('abc', { '【姓名#1】': '' })).toBe('abc');
  });
});

describe('mark', () => {
  const marked = (text: string, q: string): string =>
    mark(text, q)
      .map((m) => (m.hit ? `[${m.text}]` : m.text))
      .join('');
  it('marks two or more characters in a row for Chinese, words for English', () => {
    expect(marked('信用卡被盗刷怎么办', '卡被盗刷了')).toBe('信用[卡被盗刷]怎么办');
    expect(marked('Report a stolen Card', 'card, STOLEN?')).toBe('Report a [stolen] [Card]');
    expect(marked('信用卡', '不')).toBe('信用卡');
    expect(marked('a.b', 'a')).toBe('a.b');
  });
  it('gives back the text whatever the query', () => {
    for (const q of ['', '.*(', 'İ', '卡'])
      expect(
        mark('İ 卡 (x)', q)
          .map((m) => m.text)
          .join(''),
      ).toBe('İ 卡 (x)');
  });
});

describe('times and numbers', () => {
  it('reads like a clock', () => {
    expect([0, 59_999, 201_000, 3_723_000, -5].map(clock)).toEqual(['00:00', '00:59', '03:21', '1:02:03', '00:00']);
    expect(percent(0.905)).toBe('91%');
    expect([86, 86.5, 100].map(score)).toEqual(['86', '86.5', '100']);
  });
  it('today shows the time alone, other days the date too, nonsense nothing', () => {
    const now = new Date('2026-11-20T12:00:00');
    expect(moment('2026-11-20T09:30:00', 'zh', now)).toBe('09:30');
    expect(moment('2026-11-19T09:30:00', 'zh', now)).toMatch(/11.19.*09:30/);
    expect(moment('2025-11-19T09:30:00', 'en', now)).toContain('2025');
    expect([moment(null, 'zh', now), moment('soon', 'zh', now)]).toEqual(['', '']);
  });
});

describe('the player', () => {
  it('draws a closed outline inside its box, also of values beyond 1', () => {
    expect(wavePath([], 10, 4)).toBe('');
    const ys = (wavePath([0, 0.5, 3], 9, 4).match(/,([\d.]+)/g) ?? []).map((y) => Number(y.slice(1)));
    expect(Math.min(...ys)).toBe(0);
    expect(Math.max(...ys)).toBe(4);
  });
  it('knows who is heard, the later starter in an overlap, nobody in a pause', () => {
    const u = (id: string, start_ms: number, end_ms: number) => ({ utterance_id: id, start_ms, end_ms }) as never;
    const list = [u('a', 0, 1000), u('b', 800, 2000)];
    expect([500, 900, 1500, 2000].map((ms) => spokenAt(list, ms))).toEqual(['a', 'b', 'b', null]);
  });
});
