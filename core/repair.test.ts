import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joined, staleRanges } from './repair.ts';
import type { PaneSet } from './views/panes.ts';

const set = { name: 's', paneMs: 10, views: [{ name: 'top' }, { name: 'board' }] as unknown as PaneSet['views'] };
const mark = (fromMs: number, toMs: number, sets = ['s']) => ({ backfill: 'b', sets, fromMs, toMs });

test('near panes are one range, far ones are not, and every range has the views of the set', () => {
  expect(staleRanges(set, [0, 10, 310, 640], [])).toEqual([
    { fromMs: 0, toMs: 320, views: ['top', 'board'] },
    { fromMs: 640, toMs: 650, views: ['top', 'board'] },
  ]);
  expect(staleRanges(set, [], [])).toEqual([]);
});

test('joined, there is one range for the views of each set', () => {
  const range = (fromMs: number, view: string) => ({ fromMs, toMs: fromMs + 10, views: [view] });
  expect(joined([range(0, 'a'), range(20, 'b'), range(50, 'a'), range(80, 'b')])).toEqual([
    { fromMs: 0, toMs: 60, views: ['a'] },
    { fromMs: 20, toMs: 90, views: ['b'] },
  ]);
  expect(joined([])).toEqual([]);
  // what is between would cost more than another repair
  const days = [range(0, 'a'), range(86_000_000, 'a'), range(90_000_000, 'a')];
  expect(joined(days)).toEqual([{ fromMs: 0, toMs: 86_000_010, views: ['a'] }]);
  expect(joined(days.slice(2))).toEqual([days[2]]);
});

test('what a backfill computes already is left out, and no range reaches over it', () => {
  expect(staleRanges(set, [0, 20, 40], [mark(20, 30), mark(0, 10, ['another'])]).map(({ fromMs, toMs }) => [fromMs, toMs])).toEqual([[0, 10], [40, 50]]);
  // one that has ended
  expect(staleRanges(set, [0, 20, 40], [mark(30, 30)])).toHaveLength(1);
});

test('every pane is in a range or in a backfill, and ranges are whole panes, apart, in order', () => {
  const panes = fc.uniqueArray(fc.integer({ min: -500, max: 500 }), { maxLength: 30 }).map((all) => all.sort((a, b) => a - b).map((pane) => pane * 10));
  const marks = fc.array(fc.tuple(fc.integer({ min: -500, max: 500 }), fc.integer({ min: 0, max: 50 })), { maxLength: 3 }).map((all) => all.map(([from, length]) => mark(from * 10, (from + length) * 10)));
  fc.assert(
    fc.property(panes, marks, (stale, rebuilding) => {
      const ranges = staleRanges(set, stale, rebuilding);
      const within = (pane: number, { fromMs, toMs }: { fromMs: number; toMs: number }) => fromMs <= pane && pane < toMs;
      for (const pane of stale) expect(ranges.filter((range) => within(pane, range)).length).toBe(rebuilding.some((range) => within(pane, range)) ? 0 : 1);
      for (const [index, range] of ranges.entries()) {
        expect(range.fromMs % 10 === 0 && range.toMs % 10 === 0 && range.fromMs < range.toMs).toBe(true);
        expect(ranges[index + 1]?.fromMs ?? Infinity).toBeGreaterThan(range.toMs);
        expect(rebuilding.some((each) => each.fromMs < each.toMs && each.fromMs < range.toMs && range.fromMs < each.toMs)).toBe(false);
      }
    }),
  );
});
