import type { Client, PoolClient } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keepPanes } from '../../connectors/postgres/aggregate/comparing.ts';
import { panesWithAside } from '../../connectors/verification/check-panes.ts';
import { readLetters } from '../../connectors/verification/dead-letters.ts';
import type { Position } from '../../core/position.ts';
import { position } from '../../core/position.ts';
import type { TextRow } from '../../core/segment-builder.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { withAnySteps } from './any-steps.ts';
import { rowsLeftBy } from './random-stream.ts';
import { World, canary, insert, second, segmentsOf, start, startOfStream, transaction, withExtremes as pipeline } from './world.ts';

const [set] = paneSetsOf(pipeline);
const all = ['tumble', 'hop'];
const ten: PaneRange = { fromMs: start, toMs: start + 10_000 };

/** Behind a transaction of these tests, and before the next one. */
const behind = (number: number): Position => position(1, BigInt(number * 10 + 5), 0);

describe('panes that are only compared (E18)', () => {
  let world: World;
  let database: PoolClient;
  beforeAll(async () => {
    world = await World.open({ of: pipeline });
    database = await world.state.connect();
  });
  afterAll(async () => {
    database.release(true);
    await world[Symbol.asyncDispose]();
  });
  beforeEach(() => world.forget());

  /** `seconds key count points` of what the panes were at a place. */
  async function panesAt(range: PaneRange, base: Position): Promise<readonly string[]> {
    await database.query('discard temp; create temporary table source_events (id text, k text, at timestamptz, points int)');
    await readLetters(database as unknown as Client, pipeline, base);
    const { rows } = await database.query<Record<string, string>>(`select * from (${panesWithAside(pipeline, set!, { range, base })}) panes where a0 <> 0 or a1 <> 0`);
    return rows.map(({ pane_ms, key, a0, a1 }) => `${(Number(pane_ms) - start) / 1000} ${key} ${a0} ${a1}`).sort();
  }
  /** Of those of the panes that have any, by second and key: what is known of max and min, and how many rows have it. */
  async function extremesAt(range: PaneRange, base: Position): Promise<ReadonlyMap<string, readonly (string | undefined)[]>> {
    const { rows } = await database.query<Record<string, string>>(`select * from (${panesWithAside(pipeline, set!, { range, base })}) panes where a2 <> 0`);
    const known = (value: string, count: string) => (Number(count) > 0 ? `${value} in ${count}` : undefined);
    return new Map(rows.map(({ pane_ms, key, a3, a4, a5, a6 }) => [`${(Number(pane_ms) - start) / 1000} ${key}`, [known(a3!, a4!), known(a5!, a6!)]]));
  }
  const marks = async () => ((await world.rows('select rebuilding from sluice.aggregate'))[0]!['rebuilding'] as { backfill: string; compares?: string }[]).map(({ backfill, compares }) => `${backfill} ${compares ?? ''}`);
  const kept = async () => (await world.rows('select * from sluice.kept_change')).length;
  const paneTexts = async () => (await world.panes()).map(({ pane_ms, key, count }) => `${(pane_ms - start) / 1000} ${key} ${count}`);

  test('what changes in them is kept, also what comes below the snapshot and goes above it in one apply; the panes are what they are anyway', async () => {
    const row = insert(3, 'a', second(5));
    const stream = [transaction(1, 20, [insert(1, 'a', second(5)), insert(9, 'z', second(15))]), transaction(2, 21, [row]), transaction(3, 22, [{ op: 'delete', old: (row as { row: TextRow }).row }, insert(4, 'b', second(6))]), canary(4, 23)];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[0]!.header.to);
    expect(await world.sink.markCompared('r', 'one', ten)).toEqual(ten);
    await world.sink.apply(segments, segments[0]!.header.to, segments[3]!.header.to);
    expect(await paneTexts()).toEqual(['0 a 1', '0 b 1', '10 z 1']);
    expect(await panesAt(ten, behind(1))).toEqual(['0 a 1 1']);
    expect(await panesAt(ten, behind(2))).toEqual(['0 a 2 2']);
    expect(await panesAt(ten, behind(3))).toEqual(['0 a 1 1', '0 b 1 1']);
    expect(await kept()).toBeGreaterThan(0);
    await world.sink.endCompared('r');
    expect([await kept(), await marks()]).toEqual([0, []]);
    expect(await paneTexts()).toEqual(['0 a 1', '0 b 1', '10 z 1']);
  });

  test('a mark takes the place of the one before under its name, and is known by its text', async () => {
    await world.applyAll(segmentsOf([transaction(1, 60, [insert(1, 'a', second(5))]), canary(2, 120)]));
    await world.sink.markCompared('r', 'one', ten);
    await world.sink.markCompared('other', 'two', ten);
    await world.sink.markCompared('r', 'three', { fromMs: start + 10_000, toMs: start + 20_000 });
    expect(await marks()).toEqual(['other two', 'r three']);
    await world.sink.endCompared('r');
    expect(await marks()).toEqual(['other two']);
    // who finds it left behind by a workflow that is dead ends it so
    await world.sink.endRebuild('other');
    expect(await marks()).toEqual([]);
  });

  test('beside a backfill nothing of its time is compared; one that begins takes it over, and windows with late changes are stale all the same', async () => {
    await world.applyAll(segmentsOf([transaction(1, 60, [insert(1, 'a', second(5))]), canary(2, 120), transaction(3, 121, [insert(2, 'a', second(5))])]));
    await world.sink.markCompared('r', 'one', ten);
    expect(await world.sink.stale()).toEqual([{ ...ten, views: all }]);
    await world.sink.markCompared('far', 'two', { fromMs: start + 50_000, toMs: start + 60_000 });
    await world.sink.markRebuild('b', ['tumble'], ten);
    expect(await marks()).toEqual(['far two', 'b ']);
    await expect(world.sink.markCompared('r', 'three', ten)).rejects.toThrow('2026-11-21T10:00:00.000Z to 2026-11-21T10:00:10.000Z of agg is being computed by another backfill, which overlaps. Wait for it: ');
    // one that writes only rows too
    await world.sink.markRebuild('rows', [], { fromMs: start + 20_000, toMs: start + 30_000 });
    await expect(world.sink.checkCompared({ fromMs: start + 25_000, toMs: start + 40_000 })).rejects.toThrow('of agg is being computed by another backfill');
    await expect(world.sink.checkCompared({ fromMs: start, toMs: start + 120_000 })).rejects.toThrow('where windows of agg are still open');
  });

  test('E8: a truncate is noted in the mark', async () => {
    const stream = [transaction(1, 20, [insert(1, 'a', second(5)), insert(9, 'z', second(15))]), transaction(2, 21, [{ op: 'truncate' }, insert(2, 'b', second(6))])];
    const segments = segmentsOf(stream, undefined, () => true);
    await world.sink.apply(segments, startOfStream, segments[0]!.header.to);
    await world.sink.markCompared('r', 'one', ten);
    await world.sink.apply(segments, segments[0]!.header.to, segments[1]!.header.to);
    expect(await world.rows('select rebuilding -> 0 -> \'voidBelow\' is not null as void from sluice.aggregate')).toEqual([{ void: true }]);
  });

  test('windows are said again with their next revision, whatever was said; not while lanes are held, nor if they are open', async () => {
    await world.applyAll(segmentsOf([transaction(1, 60, [insert(1, 'a', second(5)), insert(2, 'b', second(15))]), canary(2, 120)]));
    const said = async (since: number) => (await world.outbox()).slice(since).map(({ view, message }) => ('truncated' in message ? '' : `${view} ${(message.windowEndMs - start) / 1000} ${message.revision} ${message.final} ${message.rows.map(({ key }) => key).join()}`));
    const before = (await world.outbox()).length;
    const comparing = await world.state.connect();
    await keepPanes(comparing as unknown as Client, 'agg');
    expect(await world.sink.sayAgain('tumble', [start + 10_000])).toBe(false);
    comparing.release(true);
    const ends = [10, 12, 50, 500].map((seconds) => start + seconds * 1000);
    await expect.poll(() => world.sink.sayAgain('tumble', ends)).toBe(true);
    // of 50 nothing was ever said, and there is nothing: whoever shows something there hears so
    expect(await said(before)).toEqual(['tumble 10 1 true a', 'tumble 50 0 true ']);
    await world.sink.sayAgain('hop', [start + 20_000]);
    expect((await said(before)).at(-1)).toBe('hop 20 1 true a,b');
  });

  test('E17, E18: whatever the stream and the places of mark and snapshot, panes less what was kept are what the source had there', async () => {
    let [looks, changes, known, lost] = [0, 0, 0, 0];
    await withAnySteps(world, 150, async (steps) => {
      const beforeLast = steps.stream.length - 1;
      await steps.applyTo(steps.upTo(beforeLast - 1));
      const closedMs = await steps.closedMs();
      if (closedMs === undefined) return;
      const range = await world.sink.markCompared('r', 'one', { fromMs: closedMs - 10_000 * (1 + steps.upTo(6)), toMs: closedMs });
      const at = steps.behind(steps.applied + steps.upTo(6));
      await steps.applyTo(Math.min(beforeLast, at + 1 + steps.upTo(6)));
      // what passes the snapshot in any case changes nothing; a long pause before it may let go of the panes
      if (steps.applied <= at) await steps.applyTo(steps.stream.length);
      const [{ rebuilding, horizon_ms: horizon }] = (await world.rows('select rebuilding, horizon_ms from sluice.aggregate')) as unknown as [{ rebuilding: { voidBelow?: string }[]; horizon_ms: string }];
      if (rebuilding.some(({ voidBelow }) => voidBelow !== undefined) || Number(horizon) > range.fromMs) return;
      looks++;
      changes += await kept();
      const rows = rowsLeftBy(steps.stream.slice(0, at));
      expect(await panesAt(range, behind(at))).toEqual(sourceAt(rows, range));
      const extremes = await extremesAt(range, behind(at));
      const wanted = sourceExtremes(rows, range);
      expect([...extremes.keys()].sort()).toEqual([...wanted.keys()].sort());
      for (const [entry, found] of extremes) {
        for (const [place, text] of found.entries()) {
          if (text === undefined) lost++;
          else known++;
          if (text !== undefined) expect(`${entry}: ${text}`).toBe(`${entry}: ${wanted.get(entry)![place]}`);
        }
      }
    });
    // about 90 and 42 in a usual run
    expect([looks > 40, changes > 10, known > 10 * lost]).toEqual([true, true, true]);
  }, 180_000);
});

function sourceAt(rows: readonly TextRow[], { fromMs, toMs }: PaneRange): readonly string[] {
  const sums = new Map<string, [number, number]>();
  for (const { k, at, points } of rows) {
    const ms = k == null || at == null ? Number.NaN : Date.parse(at);
    if (!(ms >= fromMs && ms < toMs)) continue;
    const key = `${(Math.floor(ms / 10_000) * 10_000 - start) / 1000} ${k}`;
    const [count, sum] = sums.get(key) ?? [0, 0];
    sums.set(key, [count + 1, sum + Number(points ?? 0)]);
  }
  return [...sums].map(([key, [count, sum]]) => `${key} ${count} ${sum}`).sort();
}

function sourceExtremes(rows: readonly TextRow[], { fromMs, toMs }: PaneRange): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, number[]>();
  for (const { k, at, points } of rows) {
    const ms = k == null || at == null ? Number.NaN : Date.parse(at);
    if (!(ms >= fromMs && ms < toMs) || points == null) continue;
    const key = `${(Math.floor(ms / 10_000) * 10_000 - start) / 1000} ${k}`;
    values.set(key, [...(values.get(key) ?? []), Number(points)]);
  }
  const text = (extreme: number, own: readonly number[]) => `${extreme} in ${own.filter((value) => value === extreme).length}`;
  return new Map([...values].map(([key, own]) => [key, [text(Math.max(...own), own), text(Math.min(...own), own)]]));
}
