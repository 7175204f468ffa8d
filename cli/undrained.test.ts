import { expect, test } from 'vitest';
import { undrained } from './undrained.ts';

test('of the lines of a worker only those that say that it did not drain', () => {
  const line = JSON.stringify({ level: 40, drained: false, msg: 'the worker did not drain within 2.5 s' });
  expect(undrained(['--- starting worker', '{"level":30,"msg":"worker has drained"}', line])).toEqual(['the worker did not drain within 2.5 s']);
  expect(undrained(['{"level":30,"msg":"worker has drained"}'])).toEqual([]);
});
