import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstChunk, isOpen, nextLength, pieceLimits, rebuildingOf, wholePanes } from './rebuilding.ts';

test('chunks are whole panes of every set, in order, without a gap, and no longer than asked unless a pane is', () => {
  const lengths = fc.array(fc.constantFrom(1_000, 2_000, 10_000, 60_000, 7_000), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: -10_000_000, max: 10_000_000 }), fc.integer({ min: 1, max: 5_000_000 }), fc.integer({ min: 1, max: 500_000 }), (panes, fromMs, length, longestMs) => {
      const sets = panes.map((paneMs) => ({ paneMs }));
      const whole = wholePanes({ fromMs, toMs: fromMs + length }, sets);
      expect(whole.fromMs <= fromMs && whole.toMs >= fromMs + length).toBe(true);
      const longestPane = wholePanes({ fromMs: 1, toMs: 2 }, sets).toMs;
      for (let left = whole; isOpen(left); ) {
        const chunk = firstChunk(left, sets, longestMs);
        expect(chunk.fromMs).toBe(left.fromMs);
        expect(chunk.toMs <= whole.toMs && panes.every((paneMs) => chunk.toMs % paneMs === 0)).toBe(true);
        expect(chunk.toMs - chunk.fromMs).toBeGreaterThan(0);
        expect(chunk.toMs - chunk.fromMs).toBeLessThanOrEqual(Math.max(longestMs, longestPane));
        left = { fromMs: chunk.toMs, toMs: left.toMs };
      }
    }),
  );
});

test('of the shortest panes a piece has five to fifty; rows alone are in no pieces', () => {
  expect(pieceLimits([{ paneMs: 60_000 }, { paneMs: 10_000 }])).toEqual({ shortestMs: 50_000, longestMs: 500_000, emptyMs: 5_000_000 });
  expect(firstChunk({ fromMs: 0, toMs: 7_000 }, [], pieceLimits([]).shortestMs)).toEqual({ fromMs: 0, toMs: 7_000 });
});

test('what is between two ranges of a set may be kept too, and of other sets nothing is', () => {
  const mark = (backfill: string, sets: readonly string[], fromMs: number, toMs: number) => ({ backfill, sets, fromMs, toMs });
  const marks = [mark('b', ['s', 't'], 20, 30), mark('c', ['s'], 50, 60), mark('done', ['u'], 70, 70)];
  expect(rebuildingOf(marks, { name: 's' })).toEqual({ fromMs: 20, toMs: 60 });
  expect(rebuildingOf(marks, { name: 't' })).toEqual({ fromMs: 20, toMs: 30 });
  expect(rebuildingOf(marks, { name: 'u' })).toBeUndefined();
});

test('a piece is as long as it takes to have the rows that are wanted, and grows at most fourfold', () => {
  expect(nextLength(60_000, 200_000, 100_000)).toBe(30_000);
  expect(nextLength(60_000, 50_000, 100_000)).toBe(120_000);
  expect(nextLength(60_000, 0, 100_000)).toBe(240_000);
});
