import { expect, test } from 'vitest';
import { duration, number } from './format.ts';

test.each([
  [0.4, '0 ms'],
  [40, '40 ms'],
  [1_240, '1.2 s'],
  [180_000, '3 min'],
  [7_200_000, '2 h'],
  [259_200_000, '3 days'],
])('duration %d: %s', (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [0, '0'],
  [12.44, '12.4'],
  [3_333.3, '3,333'],
  [2_500_000, '2.5M'],
])('number %d: %s', (value, text) => expect(number(value)).toBe(text));
