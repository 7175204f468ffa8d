import { expect, test } from 'vitest';
import { progressText, type BackfillState } from './backfill.ts';

const hour = 3_600_000;
const progress = { phase: 'reading', fromMs: 0, toMs: 10 * hour, doneToMs: 4 * hour, rows: 12_000 };

test('of one that runs it is said how fast, how long still, and what it does', () => {
  expect(progressText(progress, 'running', 40_000)).toBe('40 %, up to 1970-01-01T04:00; 12,000 rows read, 300/s, about 60 s left; reading');
});

test.each<BackfillState>(['paused', 'cancelled', 'failed', 'done'])('one that is %s ages no more: how far it is, whenever it is asked', (state) => {
  for (const elapsedMs of [40_000, 400_000]) expect(progressText(progress, state, elapsedMs)).toBe('40 %, up to 1970-01-01T04:00; 12,000 rows read');
});
