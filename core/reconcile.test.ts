import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import engagement from '../pipelines/engagement.ts';
import { againRanges, bothCompared, dueRanges, fewer, joinedRanges, nextDue, rangesOf, reconcileRequest, repairsOf, type Compared, type Due } from './reconcile.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.UTC(2026, 10, 21, 10);
const range = (from: number, to: number) => ({ fromMs: from, toMs: to });

describe('what is due', () => {
  const due = (more: Partial<Parameters<typeof dueRanges>[0]> = {}, last?: Due) => dueRanges({ closedMs: now, horizonMs: now - 7 * day, everyMs: hour, lengthMs: 10_000, isCheap: true, ...more }, last);

  test.each([
    ['the first one: the last hour, and the hour before', {}, undefined, range(now - hour, now), range(now - 2 * hour, now - hour)],
    ['what closed since, and the next older piece', {}, { closedMs: now - 70 * minute, olderMs: now - 30 * hour }, range(now - 70 * minute, now), range(now - 31 * hour, now - 30 * hour)],
    ['after days of silence a day', {}, { closedMs: now - 3 * day, olderMs: now - 4 * day }, range(now - day, now), range(now - 4 * day - hour, now - 4 * day)],
    ['nothing new', {}, { closedMs: now, olderMs: now - day }, range(now, now), range(now - day - hour, now - day)],
    ['the oldest that is not about to be trimmed is the last piece', {}, { closedMs: now - hour, olderMs: now - 7 * day + 90 * minute }, range(now - hour, now), range(now - 7 * day + hour, now - 7 * day + 90 * minute)],
    ['and then from the newest on again', {}, { closedMs: now - hour, olderMs: now - 7 * day + hour }, range(now - hour, now), range(now - 2 * hour, now - hour)],
    ['a young pipeline has nothing older', { horizonMs: now - hour }, undefined, range(now - hour, now), range(now - hour, now - hour)],
    ['without an index only what is new', { isCheap: false }, undefined, range(now - hour, now), range(now - hour, now - hour)],
    ['whole panes', { closedMs: now + 7_000, horizonMs: now - 59 * minute - 3_000 }, undefined, range(now - 59 * minute, now), range(now - 59 * minute, now - 59 * minute)],
    ['a clock that went back', {}, { closedMs: now + hour, olderMs: now - day }, range(now, now), range(now - day - hour, now - day)],
  ] as const)('%s', (_, more, last, fresh, older) => expect(due(more, last)).toEqual({ fresh, older }));

  test('run after run everything that is kept is looked at again, and nothing that closes is left out', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 * hour }), { minLength: 200, maxLength: 400 }), (pauses) => {
        let [last, closedMs]: [Due | undefined, number] = [undefined, now];
        const seen: { fromMs: number; toMs: number; atMs: number }[] = [];
        for (const pauseMs of pauses) {
          closedMs += pauseMs;
          const ranges = due({ closedMs, horizonMs: closedMs - 2 * day }, last);
          for (const each of [ranges.fresh, ranges.older]) seen.push({ ...each, atMs: closedMs });
          last = nextDue(ranges, []);
        }
        const fresh = joinedRanges(seen.filter((_, index) => index % 2 === 0).filter(({ fromMs, toMs }) => fromMs < toMs));
        expect(fresh).toHaveLength(1);
        // a piece each time: once around takes so many runs
        const around = seen.slice(-2 * 60);
        const oldest = joinedRanges(around.filter(({ fromMs, toMs }) => fromMs < toMs));
        expect(oldest[0]!.fromMs).toBeLessThanOrEqual(closedMs - day);
      }),
      { numRuns: 20 },
    );
  });

  test('what its time was too short for is due again', () => {
    const ranges = due();
    expect(nextDue(ranges, [])).toEqual({ closedMs: now, olderMs: now - 2 * hour });
    expect(nextDue(ranges, [ranges.older])).toEqual({ closedMs: now, olderMs: now - hour });
    expect(nextDue(ranges, [range(now - 90 * minute, now - hour)])).toEqual({ closedMs: now, olderMs: now - hour });
    expect(nextDue(ranges, [range(now - 20 * minute, now), ranges.older])).toEqual({ closedMs: now - 20 * minute, olderMs: now - hour });
  });
});

describe('what is asked for', () => {
  const asked = (choice: Parameters<typeof reconcileRequest>[1]) => reconcileRequest(engagement, choice, now);

  test('a range, or what is due', () => {
    expect(asked({})).toEqual({ pipeline: 'engagement', everyMs: hour, repair: false, rowsPerSecond: null });
    expect(asked({ fromMs: now - hour, toMs: now, repair: true })).toMatchObject({ range: range(now - hour, now), repair: true });
  });

  test.each([
    [{ fromMs: now, toMs: now - 1 }, 'The range begins at 2026-11-21T10:00:00.000Z, which is not before its end, 2026-11-21T09:59:59.999Z: there is nothing between them.'],
    [{ fromMs: now, toMs: now + 1 }, 'The range ends at 2026-11-21T10:00:00.001Z, which has not come yet. Only windows that have closed are compared: ask for an earlier end.'],
    [{ fromMs: now - 1 }, 'A range has a beginning and an end: give both, or neither, and what closed of late is compared.'],
    [{ toMs: now - 1 }, 'A range has a beginning and an end: give both, or neither, and what closed of late is compared.'],
  ])('%j is refused', (choice, sentence) => expect(() => asked(choice)).toThrow(sentence));
});

describe('ranges', () => {
  test('of windows that touch one range', () => {
    expect(rangesOf([0, 10, 30, 40, 100], 10)).toEqual([range(0, 20), range(30, 50), range(100, 110)]);
    expect(rangesOf([], 10)).toEqual([]);
  });

  test('those that are nearest to each other become one', () => {
    const ranges = [range(0, 10), range(20, 30), range(100, 110), range(115, 120), range(500, 510)];
    expect(fewer(ranges, 5)).toBe(ranges);
    expect(fewer(ranges, 4)).toEqual([range(0, 10), range(20, 30), range(100, 120), range(500, 510)]);
    expect(fewer(ranges, 2)).toEqual([range(0, 120), range(500, 510)]);
    expect(fewer(ranges, 1)).toEqual([range(0, 510)]);
  });

  test('fewer ranges have all that more of them had', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 10 }), (starts, most) => {
        const all = joinedRanges(starts.map((fromMs) => range(fromMs, fromMs + 3)));
        const some = fewer(all, most);
        expect(some.length).toBeLessThanOrEqual(most);
        for (const each of all) expect(some.filter(({ fromMs, toMs }) => fromMs <= each.fromMs && each.toMs <= toMs)).toHaveLength(1);
        for (const [index, { fromMs, toMs }] of some.entries()) expect(fromMs < toMs && toMs < (some[index + 1]?.fromMs ?? Infinity)).toBe(true);
      }),
    );
  });

  test('what is compared again are whole panes, with windows that reach over what differed, as far as they have closed', () => {
    expect(againRanges(engagement, [range(now - hour, now - hour + 10_000)], now)).toEqual([range(now - hour, now - hour + 600_000)]);
    expect(againRanges(engagement, [range(now - 20_001, now - 10_000)], now - 5_000)).toEqual([range(now - 30_000, now - 10_000)]);
  });
});

const compared = (more: Partial<Compared>): Compared => ({ sink: 's', what: 'w', windows: 10, different: 0, differing: [], differences: [], mend: { tag: 'none' }, ...more });

describe('what was found', () => {
  test('of one range comes to that of another', () => {
    const one = compared({ different: 1, differing: [range(0, 10)], differences: [{ kind: 'extra', key: { id: '1' } }] });
    const other = compared({ different: 2, differing: [range(10, 30)], differences: [{ kind: 'extra', key: { id: '2' } }], problem: 'away' });
    expect(bothCompared([one], [other, compared({ sink: 't' })])).toEqual([
      { ...one, windows: 20, different: 3, differing: [range(0, 30)], differences: [...one.differences, ...other.differences], problem: 'away' },
      compared({ sink: 't' }),
    ]);
    expect(bothCompared([compared({ problem: 'away' })], [compared({ mend: { tag: 'rows' } })])[0]!.mend).toEqual({ tag: 'rows' });
    expect(bothCompared([], [one])).toEqual([one]);
    expect(bothCompared([one], [])).toEqual([one]);
  });

  test('a backfill for each range, with views and rows that differ in the same one; windows are said, structures made anew', () => {
    const found = [
      compared({ sink: 'aggregate', what: 'a', different: 1, differing: [range(10, 20)], mend: { tag: 'views', views: ['top', 'board'] } }),
      compared({ sink: 'aggregate', what: 'b', different: 1, differing: [range(0, 60)], mend: { tag: 'views', views: ['hourly'] } }),
      compared({ sink: 'rows', different: 2, differing: [range(10, 20), range(40, 50)], mend: { tag: 'rows' } }),
      compared({ sink: 'table', different: 1, differing: [range(10, 20)], mend: { tag: 'say', view: 'board' } }),
      compared({ sink: 'live', different: 1, differing: [range(0, 60)], mend: { tag: 'live' } }),
      compared({ sink: 'fine', mend: { tag: 'rows' } }),
    ];
    expect(repairsOf(found)).toEqual({
      backfills: [
        { fromMs: 0, toMs: 60, views: ['hourly'], sinks: [] },
        { fromMs: 10, toMs: 20, views: ['top', 'board'], sinks: ['rows'] },
        { fromMs: 40, toMs: 50, views: [], sinks: ['rows'] },
      ],
      say: [{ view: 'board', ranges: [range(10, 20)] }],
      live: ['live'],
    });
    const many = compared({ different: 40, differing: rangesOf(Array.from({ length: 40 }, (_, index) => index * 100), 10), mend: { tag: 'rows' } });
    expect(repairsOf([many]).backfills).toHaveLength(10);
  });
});
