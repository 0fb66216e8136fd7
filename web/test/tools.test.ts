import { describe, expect, it } from 'vitest';
import { asTable, faulty, type LookUp, type ToolAnswer } from '../src/agent/tools.ts';

const LOOK_UP: LookUp = {
  id: 'queue',
  kind: 'look_up',
  name: '排队',
  confirm: false,
  parameters: [
    { name: 'branch', label: '网点编号', pattern: '[A-Z]{2}[0-9]{3}' },
    { name: 'day', label: '日期', pattern: '(?P<y>\\d{4})' },
  ],
};

describe('values of a look-up', () => {
  it('must match the whole pattern', () => {
    expect(faulty(LOOK_UP, { branch: 'SH001', day: '2026' })).toEqual([]);
    expect(faulty(LOOK_UP, { branch: 'xSH001', day: '2026' })).toEqual(['branch']);
    expect(faulty(LOOK_UP, {})).toEqual(['branch', 'day']);
  });
  it('are left to the server where the browser cannot read the pattern', () => {
    expect(faulty(LOOK_UP, { branch: 'SH001', day: 'anything' })).toEqual([]);
  });
});

it('an answer goes to the clipboard as a table, whatever is in its cells', () => {
  const answer = { columns: ['item', 'fee'], rows: [['补\t卡\n', '15']] } as unknown as ToolAnswer;
  expect(asTable(answer)).toBe('item\tfee\n补 卡 \t15');
});
