import { expect, it } from 'vitest';
import { formOf } from '../src/packs/worded.ts';

it('knows the sentences of the parsers with their values', () => {
  expect(formOf("`weight` is 'x'; it must be a number not below 0.")).toEqual({
    key: 'number',
    values: { a: 'weight', b: "'x'" },
  });
  expect(formOf("severity is 'loud'; it must be one of info, warn, critical")).toEqual({
    key: 'one_of',
    values: { a: 'severity', b: "'loud'", c: 'info, warn, critical' },
  });
  expect(formOf("`kind` is 'sad'; it must be one of said, not_said.")?.values.c).toBe('said, not_said');
  expect(formOf('review plan a: `share` is 3; it must be between 0 and 1.')).toEqual({
    key: 'between',
    values: { a: 'share', b: '3', c: '0', d: '1' },
  });
  expect(formOf("the pattern '(' in `zh` is not a valid regular expression (missing )); correct it.")?.key).toBe(
    'pattern',
  );
  expect(formOf('the key weight is there twice; keep one')?.values).toEqual({ a: 'weight' });
});

it('leaves other sentences alone', () => {
  expect(formOf('Something new is wrong.')).toBeNull();
});
