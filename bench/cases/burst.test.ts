import { expect, test } from 'vitest';
import { settledAfter } from './burst.ts';

const marks = (latencyOf: (second: number) => number) => Array.from({ length: 1_000 }, (_, index) => ({ atMs: index * 10, latencyMs: latencyOf(index / 100) }));

test('a latency is as before from the moment on at which 99 of 100 later marks are', () => {
  const slow = marks((second) => (second >= 2 && second < 3.5 ? 400 : 40));
  expect(settledAfter(slow, 2_000, 50)).toBe(1_500);
  expect(settledAfter(slow, 4_000, 50)).toBe(0);
});

test('what goes up and down has not settled', () => {
  expect(settledAfter(marks((second) => (Math.floor(second) % 2 === 0 ? 90 : 40)), 2_000, 50)).toBe(7_000);
  expect(settledAfter(marks(() => 90), 2_000, 50)).toBe(7_990);
});
