import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FenceMoved } from '../../connectors/sink.ts';
import { SegmentAssembler } from '../../core/capture/assembler.ts';
import { DimensionStore } from '../../core/capture/dimension-store.ts';
import { beforeColumns } from '../../core/define/before-columns.ts';
import { position } from '../../core/position.ts';
import type { TextRow } from '../../core/segment-builder.ts';
import { encodeSegment, openSegment } from '../../core/segment-file.ts';
import type { Segment } from '../../core/segment.ts';
import { World, canary, insert, pipeline, second, segmentsOf, start, transaction } from './world.ts';

describe('first load (E28)', () => {
  let world: World;
  beforeAll(async () => void (world = await World.open({ loaded: false })));
  afterAll(() => world[Symbol.asyncDispose]());
  beforeEach(() => world.forgetLoad());

  const loadedAt = (epoch: number) => position(epoch, 1n, 0);

  test('chunks count once, without the lateness test; windows that ended are published once, as final', async () => {
    const dimension = chunk(1, 'posts', [{ id: 'a', title: 'First' }]);
    const first = chunk(1, 'events', [row(1, 'a', second(-3_000)), row(2, 'a', second(95))]);
    const other = chunk(1, 'events', [row(3, 'b', second(5)), row(4, 'b', second(99)), row(5, 'a', '9999-12-31 23:59:59+00')]);
    await world.sink.load(dimension, 0);
    await Promise.all([world.sink.load(first, 1), world.sink.load(first, 1), world.sink.load(other, 2)]);
    await world.sink.load(other, 2);
    expect(await world.sink.readFence()).toBeUndefined();
    await world.sink.finishLoad(loadedAt(1));
    const once = await world.everything();
    await world.sink.finishLoad(loadedAt(1));
    await world.sink.load(first, 1);
    expect(await world.everything()).toEqual(once);

    expect(await world.sink.readFence()).toBe(loadedAt(1));
    expect((await world.panes()).map(({ pane_ms, key, count }) => [(pane_ms - start) / 1000, key, count])).toEqual([[-3_000, 'a', 1], [0, 'b', 1], [90, 'a', 1], [90, 'b', 1]]);
    expect((await world.late()).map(({ reason, position: at }) => [reason, at])).toEqual([['future', loadedAt(1)]]);
    const windows = await world.windows('tumble');
    // the clock is 99 s, the watermark 97 s: the window up to 100 s is open
    expect([...windows].map(([end, { revision, final, rows }]) => [end, revision, final, rows[0]!.labels])).toEqual([[-2_990, 0, true, { title: 'First' }], [10, 0, true, { title: null }]]);
  });

  test('what comes after the load for windows that it published is late, whatever the lateness', async () => {
    await world.sink.load(chunk(1, 'events', [row(1, 'a', second(89)), row(2, 'a', second(92))]), 0);
    await world.sink.finishLoad(loadedAt(1));
    await world.sink.apply(segmentsOf([transaction(1, 100, [insert(3, 'b', second(89)), insert(4, 'b', second(91))]), canary(2, 150)]), loadedAt(1), position(1, 20n, 0));
    expect((await world.late()).map(({ pane_ms, reason }) => [(pane_ms - start) / 1000, reason])).toEqual([[80, 'late']]);
    expect([...(await world.windows('tumble'))].map(([end, { revision, final, rows }]) => [end, revision, final, rows.map(({ key }) => key)])).toEqual([[90, 0, true, ['a']], [100, 0, true, ['a', 'b']]]);
  });

  test('a load that starts over clears what the lost one left, and its zombies are told', async () => {
    await world.sink.load(chunk(1, 'events', [row(1, 'a', second(5)), row(2, 'a', second(50))]), 0);
    await world.sink.load(chunk(1, 'posts', [{ id: 'z', title: 'gone' }]), 1);
    await world.sink.finishLoad(loadedAt(1));
    expect((await world.outbox()).length).toBeGreaterThan(0);
    const published = (await world.outbox()).length;

    await world.sink.load(chunk(2, 'events', [row(1, 'b', second(5))]), 0);
    expect(await world.sink.readFence()).toBeUndefined();
    await expect(world.sink.load(chunk(1, 'events', [row(9, 'x', second(5))]), 7)).rejects.toThrow(FenceMoved);
    await expect(world.sink.finishLoad(loadedAt(1))).rejects.toThrow(FenceMoved);
    await expect(world.sink.apply([], loadedAt(1), position(1, 20n, 0))).rejects.toThrow(FenceMoved);
    await world.sink.finishLoad(loadedAt(2));
    expect((await world.panes()).map(({ key }) => key)).toEqual(['b']);
    expect(await world.rows('select * from sluice.dimension_version')).toEqual([]);
    expect((await world.outbox()).slice(published).map(({ view, message }) => [view, message])).toEqual([['tumble', { truncated: true }], ['hop', { truncated: true }]]);
  });

  test('panes from before the retention are not kept', async () => {
    await world.sink.load(chunk(1, 'events', [row(1, 'old', second(-30 * 86_400)), row(2, 'a', second(5))]), 0);
    await world.sink.finishLoad(loadedAt(1));
    expect((await world.panes()).map(({ key }) => key)).toEqual(['a']);
  });

  test('a load of nothing', async () => {
    await world.sink.finishLoad(loadedAt(1));
    expect(await world.sink.readFence()).toBe(loadedAt(1));
    expect(await world.outbox()).toEqual([]);
  });
});

const row = (id: number, k: string, at: string): TextRow => ({ id: String(id), k, at, points: '1' });

/** Rows of a snapshot at 100 s, as the loader assembles them: all at ordinal 0. */
function chunk(epoch: number, tableName: 'events' | 'posts', rows: readonly TextRow[]): Segment {
  const dimensions = new Map(Object.entries(pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)]));
  const assembler = new SegmentAssembler({ pipeline, shard: 'agg', captureId: 'load', epoch, from: position(epoch, 0n, 0), seq: 1, beforeColumns: beforeColumns(pipeline), dimensions, snapshot: true });
  assembler.begin(0, 1, (start + 100_000) * 1000);
  const table = assembler.tables.get(tableName)!;
  for (const each of rows) {
    for (const [name, column] of table.after.columns) {
      const value = each[name] ?? null;
      if (value === null) column.setNull(table.after.rows);
      else column.text(value, table.after.rows);
    }
    assembler.inserted(table);
    if (tableName === 'events') assembler.clockRow();
  }
  assembler.commit(1n);
  return openSegment(encodeSegment(assembler.cut()), { verify: true });
}
