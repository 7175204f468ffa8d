import { expect, test } from 'vitest';
import type { Check, Verification } from '../core/verification.ts';
import { emptyDoubts } from './doubts.ts';

const check = (sink: string, rows: number, note?: string): Check => {
  const digest = { rows, checksum: '0'.repeat(16) };
  return { sink, what: 'rows', expected: digest, actual: digest, equal: true, differences: [], ...(note === undefined ? {} : { note }) };
};
const verification = (...checks: readonly Check[]): Verification => ({ pipeline: 'p', position: '0', equal: true, checks });

test('a part of a sink that had rows in none of the comparisons of a run was not compared', () => {
  expect(emptyDoubts([verification(check('live', 0), check('windows', 0)), verification(check('live', 3), check('windows', 0))])).toEqual(['nothing was compared of rows in windows: there was none on either side']);
});

test('it is enough that it had rows once, before or after', () => {
  expect(emptyDoubts([verification(check('live', 3), check('windows', 0)), verification(check('live', 0), check('windows', 1))])).toEqual([]);
});

test('what cannot be compared says so itself', () => {
  expect(emptyDoubts([verification(check('external', 0, 'not comparable'))])).toEqual([]);
  expect(emptyDoubts([verification(check('external', 0, 'only rows that it has')), verification(check('external', 0))])).toHaveLength(1);
});
