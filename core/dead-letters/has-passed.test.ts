import { expect, test } from 'vitest';
import { position } from '../position.ts';
import { hasPassed } from './has-passed.ts';

test.each([
  ['no fence', undefined, false],
  ['a fence before it', position(2, 9n, 9), false],
  ['a fence at it', position(2, 10n, 1), true],
  ['a fence behind it', position(2, 11n, 0), true],
  ['E28: the fence of a newer load', position(3, 11n, 0), false],
])('%s has passed a letter: %s, %s', (_, fence, passed) => {
  expect(hasPassed(fence, position(2, 10n, 1))).toBe(passed);
});
