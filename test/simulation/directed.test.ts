import { expect, test } from 'vitest';
import type { Change, Item, Plan } from './plan.ts';
import { simulate } from './simulate.ts';

/** Schedules that random ones come to too seldom. */
const knobs = { segmentRows: 1_000, maxSlotLagBytes: 1 << 30, spoolKeepMs: 3_600_000, cacheBytes: 1 << 20, applyRows: 1_000, messageRows: 100, inFlight: 1, divided: false } as const;
const change = (slot: number): Change => ({ kind: 'insert', slot, k: 'a', lagMs: 0, points: '1' });
const transaction = (atMs: number, size: number): Item => ({ atMs, kind: 'transaction', openMs: 0, changes: Array.from({ length: size }, (_, slot) => change(slot)) });

/** The live structure alone takes `lost`, which a promotion undoes; when the stream begins again, without a spool, it is silent. */
const phantoms = (lost: readonly Item[]): readonly Item[] => [
  transaction(300, 1),
  transaction(600, 2),
  { atMs: 1_000, kind: 'sink fails', sink: 'state', how: 'refuse', byMs: 0, forMs: 500 },
  { atMs: 1_000, kind: 'sink fails', sink: 'enriched', how: 'refuse', byMs: 0, forMs: 500 },
  ...lost,
  { atMs: 1_300, kind: 'sink fails', sink: 'live', how: 'refuse', byMs: 0, forMs: 3_000 },
  { atMs: 1_310, kind: 'kill' },
  { atMs: 1_320, kind: 'spool deleted' },
  { atMs: 1_330, kind: 'promotion', lost: lost.length + 1, forMs: 100 },
];

const few = [transaction(1_050, 2), transaction(1_100, 1)];
const after = [transaction(2_500, 1), transaction(2_600, 3), transaction(2_700, 2)];
test.each([
  ['as many transactions come again', [...phantoms(few), ...after], 80],
  ['none comes again: what was told of it does not stop the capture', phantoms(few), 90],
  ['none of many comes again', phantoms(Array.from({ length: 12 }, (_, index) => transaction(1_050 + index * 5, 2))), 90],
])('E1: a live structure that alone has what a promotion has undone, and is silent when its spool is gone, ends without it (%s)', { timeout: 60_000 }, async (_, items, equal) => {
  const outcomes = await Promise.all(Array.from({ length: 100 }, (__, seed) => simulate({ seed, knobs, items } satisfies Plan)));
  // where another sink had it too, the capture parks
  expect(outcomes.filter(({ kind }) => kind === 'equal').length).toBeGreaterThan(equal);
});
