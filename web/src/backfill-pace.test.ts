import { expect, test } from 'vitest';
import { doneShare, pace, paceBase, shownBackfills } from './backfill-pace.ts';
import type { Backfill } from './protocol.ts';

const iso = (seconds: number) => new Date(seconds * 1_000).toISOString();
const backfill = (change: Partial<Backfill> = {}): Backfill => ({
  workflowId: 'backfill/p/1970-01-01T00:00..1970-01-01T00:01:40',
  workflowUrl: null,
  range: '1970-01-01T00:00..1970-01-01T00:01:40',
  state: 'running',
  views: ['top'],
  sinks: [],
  from: iso(0),
  to: iso(100),
  doneTo: null,
  rows: 0,
  phase: null,
  started: iso(1_000),
  error: null,
  ...change,
});

test.each([
  [{ doneTo: null }, 0],
  [{ doneTo: iso(25) }, 0.25],
  [{ doneTo: iso(-10) }, 0],
  [{ doneTo: iso(110) }, 1],
  [{ doneTo: iso(40), state: 'failed' }, 0.4],
  [{ doneTo: null, state: 'done' }, 1],
] as const)('%j: %d of it is done', (change, share) => expect(doneShare(backfill(change))).toBe(share));

test('rate and time left are of the time since it started', () => {
  const base = paceBase(undefined, backfill(), 1_002_000);
  expect(pace(base, backfill({ rows: 800, doneTo: iso(20) }), 1_004_000)).toEqual({
    rowsPerSecond: 200,
    leftMs: 16_000,
  });
});

test('a pause counts for nothing', () => {
  let base = paceBase(undefined, backfill(), 1_002_000);
  const paused = backfill({ state: 'paused', rows: 800, doneTo: iso(20) });
  base = paceBase(base, paused, 1_050_000);
  expect(pace(base, paused, 1_050_000)).toEqual({ rowsPerSecond: null, leftMs: null });
  const resumed = backfill({ rows: 1_800, doneTo: iso(60) });
  base = paceBase(base, resumed, 1_051_000);
  expect(pace(base, resumed, 1_060_000)).toEqual({ rowsPerSecond: 100, leftMs: 10_000 });
});

test('nothing is foretold from nothing', () => {
  const base = paceBase(undefined, backfill(), 1_000_000);
  expect(pace(base, backfill({ rows: 9, doneTo: iso(9) }), 1_000_500)).toEqual({ rowsPerSecond: null, leftMs: null });
  expect(pace(base, backfill({ rows: 500 }), 1_010_000)).toEqual({ rowsPerSecond: 50, leftMs: null });
  expect(pace({ ...base, rows: 700 }, backfill({ rows: 500 }), 1_010_000)).toMatchObject({ rowsPerSecond: 0 });
});

test('those that go on come first, then the last three that ended', () => {
  const of = (state: Backfill['state'], started: number) => backfill({ state, started: iso(started) });
  const all = [of('done', 1), of('paused', 2), of('failed', 3), of('cancelled', 4), of('running', 5), of('done', 6)];
  expect(shownBackfills(all).map(({ state, started }) => `${state} ${Date.parse(started) / 1_000}`)).toEqual([
    'running 5',
    'paused 2',
    'done 6',
    'cancelled 4',
    'failed 3',
  ]);
});
