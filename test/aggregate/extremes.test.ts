import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { position } from '../../core/position.ts';
import type { PlainEvent, PlainTransaction, TextRow } from '../../core/segment-builder.ts';
import { assertSameByAnyCut } from './any-cut.ts';
import { applyBesideRepairs, repair, withAnySteps } from './any-steps.ts';
import { rowsLeftBy } from './random-stream.ts';
import { rebuilt } from './snapshot-chunk.ts';
import { World, canary, insert, second, segmentsOf, start, startOfStream, transaction, withExtremes } from './world.ts';

describe('min and max (E15)', () => {
  let world: World;
  beforeAll(async () => void (world = await World.open({ of: withExtremes })));
  afterAll(() => world[Symbol.asyncDispose]());
  beforeEach(() => world.forget());

  /** Its revision and the ranks of a window of the hopping view. */
  const shown = async (end: number) => {
    const { revision, rows } = (await world.windows('hop')).get(end)!;
    return [revision, ...rows.map(({ key, measures: { views, high, low } }) => `${key} ${views} ${low}..${high}`)];
  };
  const gone = (event: PlainEvent): PlainEvent => ({ op: 'delete', old: (event as { row: TextRow }).row });
  const stalePanes = async () => (await world.sink.stale()).map(({ fromMs, toMs }) => [(fromMs - start) / 1000, (toMs - start) / 1000]);

  test('what is taken out is shown until its pane is computed anew, and then the windows over it get their next revision', async () => {
    const seven = insert(1, 'a', second(5), '7');
    const nothing: PlainEvent = { op: 'insert', row: { id: '4', k: 'b', at: second(15), points: null } };
    const stream = [transaction(1, 20, [seven, insert(2, 'a', second(6), '3'), insert(3, 'a', second(15), '1'), nothing]), canary(2, 30), transaction(3, 31, [gone(seven)]), canary(4, 34)];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[1]!.header.to);
    expect(await shown(20)).toEqual([0, 'a 3 1..7', 'b 1 null..null']);
    expect(await world.sink.apply(segments, segments[1]!.header.to, segments[3]!.header.to)).toMatchObject({ retracted: 1 });
    expect(await shown(20)).toEqual([1, 'a 2 1..7', 'b 1 null..null']);
    expect(await stalePanes()).toEqual([[0, 10]]);
    expect(await repair(world, withExtremes, stream, 3)).toBe(1);
    expect(await shown(20)).toEqual([2, 'a 2 1..3', 'b 1 null..null']);
    expect(await repair(world, withExtremes, stream, 3)).toBe(0);
    expect(await world.rows('select * from sluice.retracted_pane')).toEqual([]);
  });

  test('a pane that is open when it loses its max waits until it closes, and that is counted then', async () => {
    const seven = insert(1, 'a', second(5), '7');
    const stream = [transaction(1, 8, [seven, insert(2, 'a', second(6), '3')]), transaction(2, 9, [gone(seven)]), canary(3, 30)];
    const segments = segmentsOf(stream, undefined, () => true);
    expect((await world.sink.apply(segments, startOfStream, segments[1]!.header.to)).retracted).toBeUndefined();
    expect(await stalePanes()).toEqual([]);
    expect(await world.sink.apply(segments, segments[1]!.header.to, segments[2]!.header.to)).toMatchObject({ retracted: 1 });
    expect(await shown(10)).toEqual([0, 'a 1 3..7']);
    expect(await repair(world, withExtremes, stream, 2)).toBe(1);
    expect(await shown(10)).toEqual([1, 'a 1 3..3']);
  });

  test('nothing is lost by a row inside, by one of two that have the max, by an update that keeps the value, by one that comes back, and by the last row', async () => {
    const row = (id: number, k: string, value: string) => insert(id, k, second(5), value);
    const [one, other, inside, only, back] = [row(1, 'a', '7'), row(2, 'a', '7'), row(3, 'a', '5'), row(5, 'b', '9'), row(6, 'c', '8')];
    const { row: kept } = other as { row: TextRow };
    const stream = [
      transaction(1, 20, [one, other, inside, row(4, 'a', '3'), only, back, row(7, 'c', '2')]),
      canary(2, 30),
      transaction(3, 31, [gone(one), gone(inside), gone(only), { op: 'update', old: kept, row: { ...kept } }, gone(back), row(8, 'c', '8')]),
      canary(4, 34),
    ];
    await world.applyAll(segmentsOf(stream));
    expect(await shown(10)).toEqual([1, 'a 2 3..7', 'c 2 2..8']);
    expect(await stalePanes()).toEqual([]);
  });

  test('E18: what is taken out above the snapshot leaves the pane for the next repair, which is told when it has taken its place, and below it does not', async () => {
    const [seven, five] = [insert(1, 'a', second(5), '7'), insert(2, 'a', second(6), '5')];
    const stream = [transaction(1, 20, [seven, five, insert(3, 'a', second(7), '3')]), canary(2, 30), transaction(3, 31, [gone(seven)]), transaction(4, 32, [gone(five)]), canary(5, 34), canary(6, 35), canary(7, 36)];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[2]!.header.to);
    const [stale] = await world.sink.stale();
    const range = await world.sink.markRebuild('b', stale!.views, stale!);
    await world.sink.apply(segments, segments[2]!.header.to, segments[4]!.header.to);
    // the seven is gone in it, the five is not
    expect(await world.sink.replacePanes('b', rebuilt(withExtremes, stream, 3, range))).toBe('done');
    await world.sink.endRebuild('b');
    expect(await shown(10)).toEqual([2, 'a 1 3..5']);
    expect(await stalePanes()).toEqual([[0, 10]]);
    // whoever has looked since the five was taken out has left the pane to who computed it
    expect((await world.sink.apply(segments, segments[4]!.header.to, segments[5]!.header.to)).stale).toBe(true);
    expect(await repair(world, withExtremes, stream, 4)).toBe(1);
    expect((await world.sink.apply(segments, segments[5]!.header.to, segments[6]!.header.to)).stale).toBeUndefined();
    expect(await shown(10)).toEqual([3, 'a 1 3..3']);
    expect(await stalePanes()).toEqual([]);
  });

  test('E28, E8: what is truncated, not kept any longer, or loaded anew leaves nothing to be computed', async () => {
    const marked = () => world.rows('select * from sluice.retracted_pane');
    const seven = insert(1, 'a', second(5), '7');
    const stream = [transaction(1, 20, [seven, insert(2, 'a', second(6), '3')]), canary(2, 30), transaction(3, 31, [gone(seven)])];
    const then = async (more: PlainTransaction) => {
      await world.forget();
      const segments = segmentsOf([...stream, more], undefined, () => true);
      await world.sink.apply(segments, startOfStream, segments[2]!.header.to);
      expect(await stalePanes()).toEqual([[0, 10]]);
      await world.sink.apply(segments, segments[2]!.header.to, segments[3]!.header.to);
    };
    await then(transaction(4, 32, [{ op: 'truncate' }]));
    expect(await marked()).toEqual([]);
    await then(canary(4, 8 * 86_400));
    expect(await marked()).toEqual([]);
    await then(canary(4, 32));
    expect(await marked()).toHaveLength(1);
    await world.sink.finishLoad(position(2, 1n, 0));
    expect(await marked()).toEqual([]);
  });

  test('an event that is replayed takes its value out as well, and the next apply tells of it', async () => {
    const seven = insert(1, 'a', second(5), '7');
    const stream = [transaction(1, 20, [seven, insert(2, 'a', second(6), '3')]), transaction(2, 21, [gone(seven)]), canary(3, 30), canary(4, 34)];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[0]!.header.to);
    // it was refused, and passed over
    await world.sink.apply(segmentsOf([{ ...stream[1]!, events: [] }, stream[2]!]), segments[0]!.header.to, segments[2]!.header.to);
    expect(await stalePanes()).toEqual([]);
    await world.replay(segments[1]!);
    expect(await stalePanes()).toEqual([[0, 10]]);
    expect((await world.sink.apply(segments, segments[2]!.header.to, segments[3]!.header.to)).stale).toBe(true);
  });

  test('ranks by a max: what has none comes last', async () => {
    const ranked = { ...withExtremes, views: { ...withExtremes.views, hop: { ...withExtremes.views['hop']!, rank: { by: 'high', top: 3 } } } };
    await using other = await World.open({ of: ranked });
    const nothing: PlainEvent = { op: 'insert', row: { id: '4', k: 'b', at: second(5), points: null } };
    await other.applyAll(segmentsOf([transaction(1, 20, [insert(1, 'c', second(5), '-5'), insert(2, 'a', second(5), '7'), nothing]), canary(2, 60)]));
    expect((await other.windows('hop')).get(10)!.rows.map(({ key, measures: { high } }) => `${key} ${high}`)).toEqual(['a 7', 'c -5', 'b null']);
  });

  test('I6: however the stream is cut, the same extremes are kept and shown, and with as many rows', async () => {
    const everything = async () => ({
      told: await world.everything(),
      panes: await world.rows('select pane_ms, key, high, high_rows, high_count, low, low_rows from sluice.panes_agg_tumble where high is not null order by 1, 2'),
      late: await world.rows('select pane_ms, key, position, reason, deltas from sluice.late where deltas[4] is not null order by 1, 2, 3, 4'),
    });
    await assertSameByAnyCut(world, everything, 40);
  }, 180_000);

  test('E15, E14, E18: whatever the stream, and whenever repairs are made, in the end panes and windows are SQL over the source', async () => {
    await withAnySteps(world, 60, async (steps) => {
      await applyBesideRepairs(world, withExtremes, steps);
      await repair(world, withExtremes, steps.stream);
      expect(await stalePanes()).toEqual([]);
      expect(await world.rows('select * from sluice.late')).toEqual([]);
      await assertEqualsSource(rowsLeftBy(steps.stream));
    });
  }, 180_000);

  type SourcePane = { readonly pane_ms: string; readonly key: string; readonly count: number; readonly points: number; readonly high: number | null; readonly high_rows: number; readonly low: number | null; readonly low_rows: number };

  async function assertEqualsSource(rows: readonly TextRow[]): Promise<void> {
    await world.state.query('create table if not exists source_rows (k text collate "C", at timestamptz, points int)');
    await world.state.query('truncate source_rows');
    await world.state.query('insert into source_rows select * from unnest($1::text[], $2::timestamptz[], $3::int[])', [rows.map(({ k }) => k), rows.map(({ at }) => at), rows.map((row) => row['points'])]);
    const panes = (await world.rows(`
      select (extract(epoch from pane) * 1000)::bigint::text as pane_ms, k as key, count(*)::int as count, coalesce(sum(points), 0)::float8 as points,
             max(points) as high, (count(*) filter (where points = top))::int as high_rows, min(points) as low, (count(*) filter (where points = bottom))::int as low_rows
      from (select *, max(points) over pane_of_key as top, min(points) over pane_of_key as bottom from (select *, date_bin('10 s', at, '1970-01-01Z') as pane from source_rows where k is not null and isfinite(at)) with_pane window pane_of_key as (partition by pane, k)) counted
      group by 1, 2 order by 1, 2`)) as readonly SourcePane[];
    expect(await world.rows(`
      select pane_ms::text, key, count::int, points::float8, (case when high_count <> 0 then high end)::int as high, (case when high_count <> 0 then high_rows else 0 end)::int as high_rows,
             (case when high_count <> 0 then low end)::int as low, (case when high_count <> 0 then low_rows else 0 end)::int as low_rows
      from sluice.panes_agg_tumble where count <> 0 order by 1, 2`)).toEqual(panes);

    const said = await world.windows('hop');
    const ends = new Set([...panes.flatMap(({ pane_ms }) => [10, 20, 30].map((after) => (Number(pane_ms) - start) / 1000 + after)), ...said.keys()]);
    for (const end of ends) {
      const within = panes.filter(({ pane_ms }) => Number(pane_ms) >= start + (end - 30) * 1000 && Number(pane_ms) < start + end * 1000);
      const ranks = [...Map.groupBy(within, ({ key }) => key)]
        .map(([key, own]) => ({ key, views: own.reduce((sum, { count }) => sum + count, 0), points: own.reduce((sum, each) => sum + each.points, 0), high: extreme(Math.max, own.map(({ high }) => high)), low: extreme(Math.min, own.map(({ low }) => low)) }))
        .sort((a, b) => b.points - a.points || Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
        .slice(0, 2);
      const texts = ranks.map(({ key, views, points: sum, high, low }, index) => ({ rank: index + 1, key, measures: { views: String(views), points: String(sum), high, low } }));
      expect((said.get(end)?.rows ?? []).map(({ rank, key, measures }) => ({ rank, key, measures }))).toEqual(texts);
    }
  }

  function extreme(of: (...values: number[]) => number, values: readonly (number | null)[]): string | null {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? null : String(of(...known));
  }
});
