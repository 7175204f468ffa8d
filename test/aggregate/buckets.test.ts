import fc from 'fast-check';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { panesWithAside } from '../../connectors/verification/check-panes.ts';
import { readLetters } from '../../connectors/verification/dead-letters.ts';
import { panesOf } from '../../connectors/verification/pane-sql.ts';
import { position } from '../../core/position.ts';
import type { PlainEvent, PlainTransaction, TextRow } from '../../core/segment-builder.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { assertSameByAnyCut } from './any-cut.ts';
import { applyBesideRepairs, repair, withAnySteps } from './any-steps.ts';
import { rowsLeftBy } from './random-stream.ts';
import { World, canary, insert, second, segmentsOf, start, startOfStream, transaction, withBuckets } from './world.ts';

describe('quantile and distinct (decision 22)', () => {
  let world: World;
  beforeAll(async () => void (world = await World.open({ of: withBuckets })));
  afterAll(() => world[Symbol.asyncDispose]());
  beforeEach(() => world.forget());

  const shown = async (view: string, end: number) => {
    const { revision, rows } = (await world.windows(view)).get(end)!;
    return [revision, ...rows.map(({ key, measures }) => `${key} ${Object.keys(measures).toSorted().map((name) => `${name} ${measures[name]}`).join(', ')}`)];
  };
  const gone = (event: PlainEvent): PlainEvent => ({ op: 'delete', old: (event as { row: TextRow }).row });
  const hopPanes = () => world.rows('select pane_ms, key, count, points, high, high_rows from sluice.panes_agg_hop where count <> 0 or points <> 0 or high_rows <> 0 order by 1, 2');
  const kindPanes = () => world.rows('select pane_ms, key, count from sluice.panes_agg_kinds where count <> 0 order by 1, 2');

  test('a row is taken out exactly: windows show what is left at once, and nothing has to be computed anew', async () => {
    const [nine, one] = [insert(1, 'a', second(5), '9'), insert(2, 'a', second(6), '1')];
    const nothing: PlainEvent = { op: 'insert', row: { id: '6', k: 'b', at: second(15), points: null } };
    const stream = [transaction(1, 20, [nine, one, insert(3, 'a', second(15), '1'), insert(4, 'a', second(15), '3'), insert(5, 'a', second(15), '4'), nothing]), canary(2, 30), transaction(3, 31, [gone(nine), gone(one)]), canary(4, 34)];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[1]!.header.to);
    expect(await shown('hop', 20)).toEqual([0, 'a high 9, least 1, median 3, p90 9, points 18, views 5', 'b high null, least null, median null, p90 null, points 0, views 1']);
    expect(await shown('kinds', 20)).toEqual([0, 'a kinds 4', 'b kinds 0']);
    await world.sink.apply(segments, segments[1]!.header.to, segments[3]!.header.to);
    expect(await shown('kinds', 20)).toEqual([1, 'a kinds 3', 'b kinds 0']);
    expect(await shown('hop', 20)).toEqual([1, 'a high 4, least 1, median 3, p90 4, points 8, views 3', 'b high null, least null, median null, p90 null, points 0, views 1']);
    expect((await world.windows('hop')).get(10)!.rows).toEqual([]);
    expect(await world.sink.stale()).toEqual([]);
  });

  test('ranks by a quantile, and by a number of distinct values: what has none comes last', async () => {
    const ranked = { ...withBuckets, views: { ...withBuckets.views, hop: { ...withBuckets.views['hop']!, rank: { by: 'median', top: 3 } } } };
    await using other = await World.open({ of: ranked });
    const nothing: PlainEvent = { op: 'insert', row: { id: '9', k: 'b', at: second(5), points: null } };
    await other.applyAll(segmentsOf([transaction(1, 20, [insert(1, 'c', second(5), '-5'), insert(2, 'a', second(5), '7'), insert(3, 'c', second(5), '-6'), insert(4, 'c', second(5), '-7'), nothing]), canary(2, 60)]));
    const keys = async (view: string) => (await other.windows(view)).get(10)!.rows.map(({ key }) => key);
    expect(await keys('hop')).toEqual(['a', 'c', 'b']);
    expect(await keys('kinds')).toEqual(['c', 'a', 'b']);
  });

  test('a quantile is off by less than 0.8 % of the very value, whatever the values are', async () => {
    const value = fc.oneof(fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }), fc.integer({ min: -300, max: 300 }), fc.constantFrom(127, 128, 129, 255, 256, -128, -256, 2_147_483_647, -2_147_483_648, 2 ** 30, 2 ** 30 - 1));
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 60 }), async (values) => {
        await world.forget();
        await world.applyAll(segmentsOf([transaction(1, 20, values.map((each, index) => insert(index, 'a', second((index % 3) * 10), String(each)))), canary(2, 60)]));
        const { measures } = (await world.windows('hop')).get(30)!.rows[0]!;
        const sorted = values.toSorted((a, b) => a - b);
        for (const [name, place] of [['least', 1], ['median', Math.ceil(values.length / 2)], ['p90', Math.ceil((values.length * 9) / 10)]] as const) {
          const exact = sorted[place - 1]!;
          expect(Math.abs(Number(measures[name]) - exact)).toBeLessThanOrEqual(Math.abs(exact) < 128 ? 0 : Math.abs(exact) / 128);
        }
      }),
      { numRuns: 60 },
    );
  }, 180_000);

  test('a number of distinct values is within 5 %, over panes, and however often each comes', async () => {
    for (const distinct of [3, 100, 3_000, 20_000]) {
      await world.forget();
      const events = Array.from({ length: distinct * 2 }, (_, index) => insert(index, 'a', second((index % 3) * 10), String((index % distinct) * 7_919)));
      await world.applyAll(segmentsOf([transaction(1, 20, events), canary(2, 60)]));
      const told = Number((await world.windows('kinds')).get(30)!.rows[0]!.measures['kinds']);
      expect(Math.abs(told - distinct)).toBeLessThanOrEqual(distinct < 10 ? 0 : distinct * 0.05);
    }
  }, 180_000);

  test('I6: however the stream is cut, the same buckets are kept, and the same is shown', async () => {
    const everything = async () => ({
      told: await world.everything(),
      panes: [await hopPanes(), await kindPanes()],
      late: await world.rows("select pane_set, pane_ms, key, position, reason, deltas from sluice.late where pane_set <> 'tumble' and deltas[1] <> 0 order by 1, 2, 3, 4, 5"),
    });
    await assertSameByAnyCut(world, everything, 30);
  }, 180_000);

  test('E14, E18: whatever the stream, and whenever panes are computed anew, in the end windows are SQL over the source', async () => {
    await withAnySteps(world, 60, async (steps) => {
      await applyBesideRepairs(world, withBuckets, steps);
      await repair(world, withBuckets, steps.stream);
      expect(await world.rows('select * from sluice.late')).toEqual([]);
      await assertEqualsSource(steps.stream);
    });
  }, 180_000);

  test('E17, E18: whatever the stream and the places of mark and snapshot, entries less what was kept are what SQL counts by bucket there', async () => {
    const database = await world.state.connect();
    const sets = paneSetsOf(withBuckets).filter(({ buckets }) => buckets !== undefined);
    let [looks, changes] = [0, 0];
    await withAnySteps(world, 80, async (steps) => {
      await steps.applyTo(1 + steps.upTo(steps.stream.length - 2));
      const closedMs = await steps.closedMs();
      if (closedMs === undefined) return;
      const range = await world.sink.markCompared('r', 'one', { fromMs: closedMs - 10_000 * (1 + steps.upTo(6)), toMs: closedMs });
      const at = steps.behind(steps.applied + steps.upTo(6));
      await steps.applyTo(steps.stream.length);
      const [{ rebuilding, horizon_ms: horizon }] = (await world.rows('select rebuilding, horizon_ms from sluice.aggregate')) as unknown as [{ rebuilding: { voidBelow?: string }[]; horizon_ms: string }];
      if (rebuilding.some(({ voidBelow }) => voidBelow !== undefined) || Number(horizon) > range.fromMs) return;
      looks++;
      changes += (await world.rows("select from sluice.kept_change where pane_set <> 'tumble'")).length;

      const rows = rowsLeftBy(steps.stream.slice(0, at));
      await database.query('discard temp; create temporary table source_events (id text, k text, at timestamptz, points int); create temporary table rows_there (k text, at timestamptz, points int)');
      await readLetters(database as unknown as Client, withBuckets, position(1, BigInt(at * 10 + 5), 0));
      await database.query('insert into rows_there select * from unnest($1::text[], $2::timestamptz[], $3::int[])', [rows.map(({ k }) => k), rows.map((row) => row['at']), rows.map(({ points }) => points)]);
      for (const set of sets) {
        const found = async (panes: string) => (await database.query(`select pane_ms, key, a0::int from (${panes}) panes where a0 <> 0 and pane_ms >= ${range.fromMs} and pane_ms < ${range.toMs} order by 1, 2`)).rows as unknown[];
        expect(await found(panesWithAside(withBuckets, set, { range, base: position(1, BigInt(at * 10 + 5), 0) }))).toEqual(await found(panesOf(withBuckets, set, 'rows_there')));
      }
    });
    database.release(true);
    expect([looks > 15, changes > 5]).toEqual([true, true]);
  }, 180_000);

  /** By the plain numbers of the rows: nothing of how they are kept. */
  async function assertEqualsSource(stream: readonly PlainTransaction[]): Promise<void> {
    const rows = rowsLeftBy(stream).filter(({ k, at }) => k !== null && at != null && !at.includes('infinity'));
    const panes = new Set(rows.map(({ at }) => Math.floor((Date.parse(at!) - start) / 10_000) * 10));
    const [hop, kinds] = [await world.windows('hop'), await world.windows('kinds')];
    for (const end of new Set([...[...panes].flatMap((pane) => [10, 20, 30].map((after) => pane + after)), ...hop.keys(), ...kinds.keys()])) {
      const within = rows.filter(({ at }) => Date.parse(at!) >= start + (end - 30) * 1000 && Date.parse(at!) < start + end * 1000);
      const all = [...Map.groupBy(within, ({ k }) => k!)].map(([key, own]) => {
        const values = own.flatMap(({ points }) => (points == null ? [] : [Number(points)])).sort((a, b) => a - b);
        const at = (place: number) => (values.length === 0 ? null : String(near(values[Math.max(1, place) - 1]!)));
        const points = values.reduce((sum, value) => sum + value, 0);
        const measures = { views: String(own.length), points: String(points), high: values.length === 0 ? null : String(values.at(-1)), least: at(1), median: at(Math.ceil(values.length / 2)), p90: at(Math.ceil((values.length * 9) / 10)) };
        return { key, points, kinds: new Set(values).size, measures };
      });
      const byKey = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
      const tops = all.toSorted((a, b) => b.points - a.points || byKey(a.key, b.key)).slice(0, 2).map(({ key, measures }) => ({ key, measures }));
      expect((hop.get(end)?.rows ?? []).map(({ key, measures }) => ({ key, measures }))).toEqual(tops);
      const most = all.toSorted((a, b) => b.kinds - a.kinds || byKey(a.key, b.key)).slice(0, 3).map((each) => ({ key: each.key, measures: { kinds: String(each.kinds) } }));
      expect((kinds.get(end)?.rows ?? []).map(({ key, measures }) => ({ key, measures }))).toEqual(most);
    }
  }

  /** The only great value of the streams, as a quantile shows it. */
  const near = (value: number) => (value === 2_147_483_647 ? 127 * 2 ** 24 + 2 ** 23 : value);
});
