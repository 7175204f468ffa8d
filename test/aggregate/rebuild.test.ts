import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Replaced } from '../../connectors/aggregate/rebuild.ts';
import type { Measure, Pipeline } from '../../core/pipeline.ts';
import { position } from '../../core/position.ts';
import type { PlainTransaction, TextRow } from '../../core/segment-builder.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { firstChunk, isOpen } from '../../core/views/rebuilding.ts';
import { withAnySteps } from './any-steps.ts';
import { assertEqualsSource } from './equals-source.ts';
import { rebuilt } from './snapshot-chunk.ts';
import { World, canary, insert, pipeline, second, segmentsOf, start, startOfStream, transaction, withExtremes, withLive } from './world.ts';

const sets = paneSetsOf(pipeline);
const all = ['tumble', 'hop'];

describe('panes that are computed anew beside the stream (E18)', () => {
  let world: World;
  beforeAll(async () => void (world = await World.open()));
  afterAll(() => world[Symbol.asyncDispose]());
  beforeEach(() => world.forget());

  const replace = (stream: readonly PlainTransaction[], count: number, range: PaneRange): Promise<Replaced> => world.sink.replacePanes('b', rebuilt(pipeline, stream, count, range));
  const paneTexts = async () => (await world.panes()).map(({ pane_ms, key, count }) => `${(pane_ms - start) / 1000} ${key} ${count}`);

  test('E18: a snapshot is used only when the lane has passed it, and what is kept counts from there on', async () => {
    const stream = [
      transaction(1, 20, [insert(1, 'a', second(5)), insert(2, 'b', second(15))]),
      transaction(2, 21, [insert(3, 'a', second(6))]),
      transaction(3, 22, [insert(4, 'a', second(7)), insert(5, 'a', second(15))]),
    ];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[0]!.header.to);
    expect(await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 10_000 })).toEqual({ fromMs: start, toMs: start + 10_000 });
    const range = { fromMs: start, toMs: start + 10_000 };
    expect(await replace(stream, 2, range)).toBe('behind');
    await world.sink.apply(segments, segments[0]!.header.to, segments[1]!.header.to);
    expect(await replace(stream, 2, range)).toBe('behind');
    await world.sink.apply(segments, segments[1]!.header.to, segments[2]!.header.to);
    // what nobody has changed is repaired
    await world.state.query('update sluice.panes_agg_tumble set count = 77');
    expect(await replace(stream, 2, range)).toBe('done');
    expect(await paneTexts()).toEqual(['0 a 3', '10 a 77', '10 b 77']);
    // another attempt that comes late: nothing is left of it
    expect(await replace(stream, 2, range)).toBe('void');
    expect(await world.rows('select * from sluice.kept_change')).toEqual([]);
  });

  test('what is as it is to be is not written again', async () => {
    const stream = [transaction(1, 20, [insert(1, 'a', second(5)), insert(2, 'b', second(5)), insert(3, 'c', second(5)), insert(4, 'a', second(15))]), canary(2, 30)];
    await world.applyAll(segmentsOf(stream));
    await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 20_000 });
    await world.state.query("update sluice.panes_agg_tumble set points = 7 where key = 'b'");
    await world.state.query("update sluice.panes_agg_tumble set key = 'x' where key = 'c'");
    const versions = async () => new Map((await world.rows('select pane_ms, key, xmin::text as version from sluice.panes_agg_tumble order by 1, 2')).map(({ pane_ms, key, version }) => [`${(Number(pane_ms) - start) / 1000} ${key as string}`, version]));
    const before = await versions();
    expect(await replace(stream, 1, { fromMs: start, toMs: start + 20_000 })).toBe('done');
    const after = await versions();
    expect([...after.keys()].map((pane) => [pane, after.get(pane) === before.get(pane)])).toEqual([
      ['0 a', true],
      ['0 b', false],
      ['0 c', false],
      ['10 a', true],
    ]);
    expect(await paneTexts()).toEqual(['0 a 1', '0 b 1', '0 c 1', '10 a 1']);
    expect((await world.panes()).map(({ points }) => points)).toEqual([1, 1, 1, 1]);
  });

  test('a measure is called whatever the statement has in it', async () => {
    const { measures } = withExtremes.views['hop']!;
    const { points, high, low } = measures as Record<string, Measure>;
    const named: Pipeline = { ...pipeline, views: { ...pipeline.views, hop: { ...pipeline.views['hop']!, measures: { is_gone: points!, a0: high!, panes: low! }, rank: { by: 'is_gone', top: 2 } } } };
    await using other = await World.open({ of: named });
    const stream = [transaction(1, 20, [insert(1, 'a', second(5))]), canary(2, 30)];
    await other.applyAll(segmentsOf(stream));
    const range = await other.sink.markRebuild('b', all, { fromMs: start, toMs: start + 10_000 });
    await other.state.query("update sluice.panes_agg_tumble set key = 'x', is_gone = 7");
    expect(await other.sink.replacePanes('b', rebuilt(named, stream, 1, range))).toBe('done');
    expect(await other.rows('select key, is_gone, a0, panes from sluice.panes_agg_tumble')).toEqual([{ key: 'a', is_gone: '1', a0: '1', panes: '1' }]);
  });

  test('E11: a live structure is due with what it still shows, and not with what is over', async () => {
    await using live = await World.open({ of: withLive });
    await live.applyAll(segmentsOf([transaction(1, 20, [insert(1, 'a', second(5))]), canary(2, 100)]));
    const due = async (backfill: string, views: readonly string[], seconds: number) => {
      await live.state.query('delete from sluice.live_rebuild');
      const range = await live.sink.markRebuild(backfill, views, { fromMs: start + seconds * 1000, toMs: start + (seconds + 10) * 1000 });
      expect(await live.sink.replacePanes(backfill, rebuilt(withLive, [canary(1, 20)], 1, range))).toBe('done');
      return (await live.rows('select lane from sluice.live_rebuild')).map(({ lane }) => lane);
    };
    // it shows what begins behind second 60, rounded however
    expect(await due('over', all, 50)).toEqual([]);
    expect(await due('shown', all, 60)).toEqual(['live']);
  });

  test('E14: what came late above the snapshot is left for the next repair, and the next apply tells of it', async () => {
    const stream = [transaction(1, 20, [insert(1, 'a', second(5))]), canary(2, 60), transaction(3, 61, [insert(2, 'a', second(6))]), transaction(4, 62, [insert(3, 'a', second(7))]), canary(5, 66), canary(6, 70)];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[1]!.header.to);
    const range = await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 10_000 });
    expect(await world.sink.apply(segments, segments[1]!.header.to, segments[3]!.header.to)).toMatchObject({ late: 2 });
    expect(await world.sink.stale()).toEqual([]);
    expect(await replace(stream, 3, range)).toBe('done');
    await world.sink.endRebuild('b');
    expect(await paneTexts()).toEqual(['0 a 2']);
    expect((await world.sink.stale()).map(({ fromMs }) => fromMs)).toEqual([start]);
    expect((await world.sink.apply(segments, segments[3]!.header.to, segments[4]!.header.to)).stale).toBe(true);
    expect((await world.sink.apply(segments, segments[4]!.header.to, segments[5]!.header.to)).stale).toBeUndefined();
  });

  test('E18: a final window is said anew when all of its panes are done, and only if it says something else', async () => {
    const seen = [transaction(1, 60, [insert(1, 'a', second(5)), insert(2, 'a', second(15)), insert(3, 'b', second(25))]), canary(2, 120)];
    await world.applyAll(segmentsOf(seen));
    const said = (await world.outbox()).length;
    await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 30_000 });
    const source = [transaction(1, 60, [...seen[0]!.events, insert(4, 'a', second(6))]), seen[1]!];
    const revised: string[][] = [];
    for (const seconds of [0, 10, 20]) {
      const before = (await world.outbox()).length;
      expect(await replace(source, 1, { fromMs: start + seconds * 1000, toMs: start + (seconds + 10) * 1000 })).toBe('done');
      revised.push((await world.outbox()).slice(before).map(({ view, message }) => ('truncated' in message ? '' : `${view} ${(message.windowEndMs - start) / 1000} ${message.revision} ${message.final}`)));
    }
    expect(said).toBeGreaterThan(0);
    expect(revised).toEqual([['tumble 10 1 true', 'hop 10 1 true'], ['hop 20 1 true'], ['hop 30 1 true']]);
    expect((await world.windows('hop')).get(30)!.rows.map(({ key, measures }) => `${key} ${measures['views']}`)).toEqual(['a 3', 'b 1']);
  });

  test('bad ranges are refused with what can be asked for', async () => {
    await world.applyAll(segmentsOf([transaction(1, 60, [insert(1, 'a', second(5))]), canary(2, 120)]));
    const mark = (name: string, from: number, to: number) => world.sink.markRebuild(name, all, { fromMs: start + from * 1000, toMs: start + to * 1000 });
    await expect(mark('b', 0, 120)).rejects.toThrow('The range ends at 2026-11-21T10:02:00.000Z, where windows of agg are still open: the stream itself completes those. Ask for --to 2026-11-21T10:01:50.000Z or earlier.');
    await expect(mark('b', -30 * 86_400, 10)).rejects.toThrow(/are kept from .* on, and the range begins at 2026-10-22T10:00:00.000Z/);
    expect(await mark('b', 3, 42)).toEqual({ fromMs: start, toMs: start + 50_000 });
    expect(await mark('b', 3, 42)).toMatchObject({ fromMs: start, toMs: start + 50_000 });
    await expect(mark('other', 40, 60)).rejects.toThrow('2026-11-21T10:00:00.000Z to 2026-11-21T10:00:50.000Z of agg is being computed by another backfill, which overlaps.');
    expect(await mark('other', 50, 60)).toBeDefined();
    await world.sink.endRebuild('b');
    expect(await replace([], 1, { fromMs: start, toMs: start + 10_000 })).toBe('gone');
  });

  test('E14: one that nobody has asked for gives way to one that somebody asks for, and the next apply tells that something is left', async () => {
    const stream = [transaction(1, 60, [insert(1, 'a', second(5)), insert(2, 'b', second(15))]), canary(2, 120), canary(3, 124), canary(4, 128)];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[1]!.header.to);
    const [ten, twenty, thirty] = [10_000, 20_000, 30_000].map((length) => ({ fromMs: start, toMs: start + length })) as [PaneRange, PaneRange, PaneRange];
    await world.sink.markRebuild('repair', all, twenty, true);
    for (const overlapping of [() => world.sink.markRebuild('another repair', all, ten, true), () => world.sink.checkRebuild(all, ten, true), () => world.sink.markCompared('r', 'one', ten)]) await expect(overlapping()).rejects.toThrow('which overlaps');
    expect(await world.sink.checkRebuild(all, ten)).toEqual(ten);
    await world.sink.markRebuild('b', ['tumble'], { fromMs: start + 20_000, toMs: start + 30_000 });
    expect((await world.sink.apply(segments, segments[1]!.header.to, segments[2]!.header.to)).stale).toBeUndefined();

    expect(await world.sink.markRebuild('asked', ['hop'], ten)).toEqual(ten);
    expect(await world.sink.replacePanes('repair', rebuilt(pipeline, stream, 2, twenty))).toBe('gone');
    expect(isOpen(await world.sink.markRebuild('repair', all, twenty, true))).toBe(false);
    expect((await world.sink.apply(segments, segments[2]!.header.to, segments[3]!.header.to)).stale).toBe(true);
    await expect(world.sink.markRebuild('next repair', all, thirty, true)).rejects.toThrow('which overlaps');
    await expect(world.sink.markRebuild('third', all, thirty)).rejects.toThrow('which overlaps');
    expect(await world.sink.replacePanes('asked', rebuilt(pipeline, stream, 2, ten))).toBe('done');
    expect(await paneTexts()).toEqual(['0 a 1', '10 b 1']);
  });

  test('E18, I6: a row that comes below the snapshot and goes above it, both in one apply, changes nothing together and is kept', async () => {
    const row = insert(3, 'a', second(5));
    const stream = [transaction(1, 20, [insert(1, 'b', second(15))]), transaction(2, 21, [row]), transaction(3, 22, [{ op: 'delete', old: (row as { row: TextRow }).row }])];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[0]!.header.to);
    const range = await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 10_000 });
    await world.sink.apply(segments, segments[0]!.header.to, segments[2]!.header.to);
    expect(await replace(stream, 2, range)).toBe('done');
    expect(await paneTexts()).toEqual(['10 b 1']);
  });

  test('E18: a backfill that ends half-way says the windows that reach over its end', async () => {
    const seen = [transaction(1, 60, [insert(1, 'a', second(5)), insert(2, 'a', second(15)), insert(3, 'b', second(25))]), canary(2, 120)];
    await world.applyAll(segmentsOf(seen));
    await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 30_000 });
    const source = [transaction(1, 60, [...seen[0]!.events, insert(4, 'a', second(6))]), seen[1]!];
    expect(await replace(source, 1, { fromMs: start, toMs: start + 10_000 })).toBe('done');
    const before = (await world.outbox()).length;
    await world.sink.endRebuild('b');
    expect((await world.outbox()).slice(before).map(({ view, message }) => ('truncated' in message ? '' : `${view} ${(message.windowEndMs - start) / 1000} ${message.revision}`))).toEqual(['hop 20 1', 'hop 30 1']);
  });

  test('E1, E18: a snapshot of an earlier load is not used, though its position is below the fence', async () => {
    await world.applyAll(segmentsOf([transaction(1, 60, [insert(1, 'a', second(5))]), canary(2, 120)]));
    const range = await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 10_000 });
    const chunk = rebuilt(pipeline, [], 1, range);
    expect(await world.sink.replacePanes('b', { ...chunk, base: position(0, 15n, 0) })).toBe('gone');
    expect(await paneTexts()).toEqual(['0 a 1']);
  });

  test('E18: panes that were marked and are not computed are left alone, as those that a view which is gone has shared', async () => {
    const stream = [transaction(1, 60, [insert(1, 'a', second(5))]), canary(2, 120)];
    await world.applyAll(segmentsOf(stream));
    const range = await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 10_000 });
    expect(await world.sink.replacePanes('b', { ...rebuilt(pipeline, stream, 1, range), panes: new Map() })).toBe('gone');
    expect(await paneTexts()).toEqual(['0 a 1']);
    expect(await replace(stream, 1, range)).toBe('done');
    expect(await paneTexts()).toEqual(['0 a 1']);
  });

  test('E18: an event that is replayed counts no more in panes that were computed anew above it, and in others it does', async () => {
    const stream = [transaction(1, 20, [insert(1, 'a', second(5)), insert(2, 'a', second(15))]), transaction(2, 21, [insert(3, 'a', second(6))]), canary(3, 22)];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.applyAll(segments);
    await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 10_000 });
    expect(await replace(stream, 1, { fromMs: start, toMs: start + 10_000 })).toBe('done');
    // the second transaction had been refused, and is replayed: its own change is not in the panes
    expect(await paneTexts()).toEqual(['0 a 1', '10 a 1']);
    await world.replay(segments[0]!);
    expect(await paneTexts()).toEqual(['0 a 1', '10 a 2']);
    await world.replay(segments[1]!);
    expect(await paneTexts()).toEqual(['0 a 2', '10 a 2']);
  });

  test('E8, E18: a snapshot from before a truncate is void', async () => {
    const stream: PlainTransaction[] = [transaction(1, 20, [insert(1, 'a', second(5)), insert(9, 'x', second(15))]), transaction(2, 21, [{ op: 'truncate' }, insert(2, 'b', second(6))]), transaction(3, 22, [insert(3, 'b', second(6))])];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[0]!.header.to);
    const range = await world.sink.markRebuild('b', all, { fromMs: start, toMs: start + 10_000 });
    await world.sink.apply(segments, segments[0]!.header.to, segments[2]!.header.to);
    expect(await replace(stream, 1, range)).toBe('void');
    expect(await paneTexts()).toEqual(['0 b 2']);
    expect(await replace(stream, 2, range)).toBe('done');
    expect(await paneTexts()).toEqual(['0 b 2']);
  });

  test('E17, E18, E14: whatever the stream, the places of the mark, the snapshots and the chunks, panes and late deltas are SQL over the source', async () => {
    await withAnySteps(world, 60, async (steps) => {
      const { stream } = steps;
      await steps.applyTo(steps.upTo(stream.length));
      const closedMs = await steps.closedMs();
      if (closedMs === undefined) return;
      const range = await world.sink.markRebuild('b', all, { fromMs: closedMs - 10_000 * (1 + steps.upTo(6)), toMs: closedMs });
      await world.state.query('update sluice.panes_agg_tumble set count = count + 5, points = points - 3 where pane_ms >= $1 and pane_ms < $2', [range.fromMs, range.toMs]);
      // the lane may have long to go until there
      let at = steps.behind(steps.applied + steps.upTo(6));
      for (let left = range; isOpen(left); ) {
        const chunk = firstChunk(left, sets, 10_000 * (1 + steps.upTo(3)));
        for (;;) {
          await steps.applyTo(steps.applied + steps.upTo(3));
          const done = await replace(stream, at, chunk);
          if (done === 'done') break;
          expect(done === 'behind' || done === 'void').toBe(true);
          if (done === 'void' || steps.upTo(1) === 1) at = steps.behind(at + 1 + steps.upTo(4));
          if (done === 'behind' || at === stream.length - 1) await steps.applyTo(steps.applied + 1);
        }
        left = { ...left, fromMs: chunk.toMs };
      }
      await steps.applyTo(stream.length);
      expect(await world.rows('select * from sluice.kept_change')).toEqual([]);
      await assertEqualsSource(world, stream);
    });
  }, 180_000);
});
