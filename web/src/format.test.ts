import { expect, test } from 'vitest';
import { duration, isoOfInput, localInput, number, percent, range, utc } from './format.ts';

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

// times here, so that this holds in every zone
const here = (...parts: [number, number, number, number, number, number?]) => new Date(...parts).toISOString();
const now = new Date(2026, 10, 20).getTime();
test.each([
  [here(2026, 10, 1, 10, 30), here(2026, 10, 1, 11, 0), 'Nov 1, 10:30 – 11:00'],
  [here(2026, 10, 1, 10, 30), here(2026, 10, 1, 10, 30, 20), 'Nov 1, 10:30:00 – 10:30:20'],
  [here(2026, 10, 1, 0, 0), here(2026, 10, 2, 0, 0), 'Nov 1, 00:00 – Nov 2, 00:00'],
  [here(2025, 11, 31, 23, 0), here(2026, 0, 1, 1, 0), 'Dec 31, 2025, 23:00 – Jan 1, 2026, 01:00'],
  [here(2025, 5, 1, 9, 5), here(2025, 5, 1, 9, 6), 'Jun 1, 2025, 09:05 – 09:06'],
])('range %s to %s: %s', (from, to, text) => expect(range(from, to, now)).toBe(text));

test.each([
  [0, '0 %'],
  [0.4299, '42 %'],
  [0.9999, '99 %'],
  [1, '100 %'],
])('percent %d: %s', (share, text) => expect(percent(share)).toBe(text));

test('a local time goes into an input and comes out of it as the same time in UTC', () => {
  const ms = new Date(2026, 2, 4, 5, 6).getTime();
  expect(localInput(ms)).toBe('2026-03-04T05:06');
  expect(isoOfInput(localInput(ms))).toBe(new Date(ms).toISOString());
  expect(isoOfInput('')).toBeUndefined();
});

test('utc leaves out what commands leave out', () => expect(utc('2026-11-01T10:30:00.000Z')).toBe('2026-11-01 10:30'));
