import { expect, test } from 'vitest';
import { parseLsn } from './position.ts';
import { switchPoint } from './timeline-history.ts';

test('where a timeline was left, by the file of a later one', () => {
  const history = '1\t0/2A000148\tno recovery target specified\n\n# a comment\n2\t1/0\tbefore 2026-11-21 10:00:00+00\n';
  expect(switchPoint(history, 1)).toBe(parseLsn('0/2A000148'));
  expect(switchPoint(history, 2)).toBe(parseLsn('1/0'));
  expect(switchPoint(history, 3)).toBeUndefined();
  expect(switchPoint('', 1)).toBeUndefined();
});
