import { expect, test } from 'vitest';
import { parseTime } from './time.ts';

const now = Date.UTC(2026, 10, 29, 12);

test.each([
  ['2026-11-01', Date.UTC(2026, 10, 1)],
  ['2026-11-01T10:30', Date.UTC(2026, 10, 1, 10, 30)],
  ['2026-11-01 10:30:15', Date.UTC(2026, 10, 1, 10, 30, 15)],
  ['2026-11-01T10:30+02:00', Date.UTC(2026, 10, 1, 8, 30)],
  ['2026-11-01T10:30:00.5Z', Date.UTC(2026, 10, 1, 10, 30, 0, 500)],
  ['90m', now - 5_400_000],
  ['now', now],
  ['0m', now],
])('%s is a time', (text, ms) => {
  expect(parseTime('--from', text, now)).toBe(ms);
});

test.each(['', 'yesterday', '2026-13-01', '1 h', '-1h', '00m', '01m', '99999999d', undefined])('%s is none, and what is one is said', (text) => {
  expect(() => parseTime('--from', text, now)).toThrow(/--from 2026-11-01T10:30 \(UTC\), or --from 90m/);
});
