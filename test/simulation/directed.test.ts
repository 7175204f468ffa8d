import { expect, test } from 'vitest';
import type { Change, Item, Plan } from './plan.ts';
import { simulate } from './simulate.ts';

/** Schedules that random ones come to too seldom. */
const knobs = { segmentRows: 1_000, maxSlotLagBytes: 1 << 30, spoolKeepMs: 3_600_000, cacheBytes: 1 << 20, applyRows: 1_000, messageRows: 100, inFlight: 1 } as const;
const change = (slot: number): Change => ({ kind: 'insert', slot, k: 'a', lagMs: 0, points: '1' });
const transaction = (atMs: number, size: number): Item => ({ atMs, kind: 'transaction', openMs: 0, changes: Array.from({ length: size }, (_, slot) => change(slot)) });

test('E1: a live structure that alone has what a promotion has undone, and is silent when its spool is gone, ends without it', { timeout: 60_000 }, async () => {
  const items: readonly Item[] = [
    transaction(300, 1),
    transaction(600, 2),
    { atMs: 1_000, kind: 'sink fails', sink: 'state', how: 'refuse', byMs: 0, forMs: 500 },
    { atMs: 1_000, kind: 'sink fails', sink: 'enriched', how: 'refuse', byMs: 0, forMs: 500 },
    transaction(1_050, 2),
    transaction(1_100, 1),
    { atMs: 1_300, kind: 'sink fails', sink: 'live', how: 'refuse', byMs: 0, forMs: 3_000 },
    { atMs: 1_310, kind: 'kill' },
    { atMs: 1_320, kind: 'spool deleted' },
    { atMs: 1_330, kind: 'promotion', lost: 3, forMs: 100 },
    transaction(2_500, 1),
    transaction(2_600, 3),
    transaction(2_700, 2),
  ];
  const outcomes = await Promise.all(Array.from({ length: 100 }, (_, seed) => simulate({ seed, knobs, items } satisfies Plan)));
  // where another sink had it too, the capture parks
  expect(outcomes.filter(({ kind }) => kind === 'equal').length).toBeGreaterThan(80);
});
