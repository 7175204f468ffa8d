import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readDimensions } from '../../connectors/postgres/aggregate/dimension-versions.ts';
import { FenceMoved } from '../../connectors/sink.ts';
import { position } from '../../core/position.ts';
import type { PlainEvent } from '../../core/segment-builder.ts';
import { World, canary, insert, second, segmentsOf, start, startOfStream, transaction } from './world.ts';

describe('aggregate lane', () => {
  let world: World;
  beforeAll(async () => void (world = await World.open()));
  afterAll(() => world[Symbol.asyncDispose]());
  beforeEach(() => world.forget());

  /** All that was said of a 10 s window. */
  const said = async (end: number) => (await world.outbox()).flatMap(({ view, message }) => (view === 'tumble' && 'windowEndMs' in message && message.windowEndMs === start + end * 1000 ? [message] : []));

  const title = (number: number, id: string, to: string): PlainEvent => ({ op: number === 0 ? 'insert' : 'update', table: 'posts', ...(number > 0 && { old: { id, title: '?' } }), row: { id, title: to } }) as PlainEvent;

  test('a window is published when the watermark passes its end, with rank, ties by key, and labels', async () => {
    const events = [insert(1, 'b', second(1)), insert(2, 'a', second(2)), insert(3, 'c', second(3)), insert(4, 'c', second(3)), insert(5, 'd', second(4)), insert(6, null, second(4)), insert(7, 'a', null)];
    await world.applyAll(segmentsOf([transaction(1, 0, [title(0, 'c', 'See')]), transaction(2, 5, events), transaction(3, 11.9, [insert(8, 'z', second(11.9))]), canary(4, 12)]));
    expect(await world.windows('tumble')).toEqual(
      new Map([
        [
          10,
          {
            windowStartMs: start,
            windowEndMs: start + 10_000,
            revision: 0,
            final: false,
            rows: [
              { rank: 1, key: 'c', measures: { views: '2' }, labels: { title: 'See' } },
              { rank: 2, key: 'a', measures: { views: '1' }, labels: { title: null } },
              { rank: 3, key: 'b', measures: { views: '1' }, labels: { title: null } },
            ],
          },
        ],
      ]),
    );
  });

  test('E13: an event of the year 9999 goes aside and closes nothing; infinity and NULL do not count', async () => {
    const odd = [insert(1, 'a', '9999-12-31 23:59:59+00'), insert(2, 'a', 'infinity'), insert(3, 'a', '-infinity'), insert(4, 'a', null), insert(5, 'a', second(5))];
    await world.applyAll(segmentsOf([transaction(1, 5, odd)]));
    expect(await world.outbox()).toEqual([]);
    expect(await world.panes()).toEqual([{ pane_ms: start, key: 'a', count: 1, points: 1 }]);
    expect((await world.late()).map(({ reason, count }) => [reason, count])).toEqual([['future', 1]]);
  });

  test('E13: canaries alone close windows, revise and finish them', async () => {
    await world.applyAll(segmentsOf([transaction(1, 5, [insert(1, 'a', second(5))])]));
    await world.sink.apply(segmentsOf([canary(2, 12)]), at(1, 1), at(2, 0));
    expect((await world.windows('tumble')).get(10)).toMatchObject({ revision: 0, final: false });
    await world.sink.apply(segmentsOf([canary(3, 32)]), at(2, 0), at(3, 0));
    expect((await world.windows('tumble')).get(10)).toMatchObject({ revision: 0, final: true });
    expect([...(await world.windows('hop'))].map(([end, { final }]) => [end, final])).toEqual([[10, true], [20, false], [30, false]]);
    await world.sink.apply(segmentsOf([canary(4, 300)]), at(3, 0), at(4, 0));
    expect([...(await world.windows('hop'))].map(([end, { final }]) => [end, final])).toEqual([[10, true], [20, true], [30, true]]);
  });

  test('E14: an event within the lateness revises, a later one is kept aside, and both add up to SQL', async () => {
    await world.applyAll(segmentsOf([
      transaction(1, 5, [insert(1, 'a', second(5))]),
      transaction(2, 13, [insert(2, 'a', second(13))]),
      transaction(3, 14, [insert(3, 'b', second(6)), insert(4, 'b', second(7))]),
      transaction(4, 33, [insert(5, 'a', second(33))]),
      transaction(5, 34, [insert(6, 'c', second(8)), { op: 'delete', old: { id: '1', k: 'a', at: second(5), points: '1' } }]),
      canary(6, 100),
    ]));
    const window = (await world.windows('tumble')).get(10)!;
    expect(window).toMatchObject({ revision: 1, final: true });
    expect(window.rows.map(({ key, measures }) => [key, measures.views])).toEqual([['b', '2'], ['a', '1']]);
    expect(await world.late()).toEqual([
      { pane_ms: start, key: 'a', count: -1, points: -1, reason: 'late', position: at(5, 0) },
      { pane_ms: start, key: 'c', count: 1, points: 1, reason: 'late', position: at(5, 0) },
    ]);
  });

  test('E14: a revision is said at the next crossing, and what became final without another change is said once more', async () => {
    await world.applyAll(segmentsOf([transaction(1, 5, [insert(1, 'a', second(5))]), canary(2, 12), transaction(3, 14, [insert(2, 'b', second(6))]), canary(4, 22), canary(5, 32)]));
    expect((await said(10)).map(({ revision, final, rows }) => [revision, final, rows.length])).toEqual([[0, false, 1], [1, false, 2], [1, true, 2]]);
  });

  test('E14: a window is not said again unless its result changes', async () => {
    await world.applyAll(segmentsOf([
      transaction(1, 5, [insert(1, 'a', second(5))]),
      transaction(2, 13, [insert(2, 'a', second(13))]),
      // in and out again: nothing to say
      transaction(3, 14, [insert(3, 'b', second(6))]),
      transaction(4, 15, [{ op: 'delete', old: { id: '3', k: 'b', at: second(6), points: '1' } }]),
      canary(5, 22),
      canary(6, 32),
    ]));
    expect((await said(10)).map(({ revision, final }) => [revision, final])).toEqual([[0, false], [0, true]]);
  });

  test('E8: a truncate in the middle of a transaction takes what came before it, and published windows with it', async () => {
    await world.applyAll(segmentsOf([
      transaction(1, 5, [insert(1, 'a', second(5))]),
      transaction(2, 13, [insert(2, 'a', second(13)), insert(3, 'a', '9999-12-31 23:59:59+00')]),
      transaction(3, 14, [insert(4, 'b', second(14)), { op: 'truncate' }, insert(5, 'c', second(14)), insert(6, 'c', second(6))]),
    ]));
    expect(await world.panes()).toEqual([
      { pane_ms: start, key: 'c', count: 1, points: 1 },
      { pane_ms: start + 10_000, key: 'c', count: 1, points: 1 },
    ]);
    expect(await world.late()).toEqual([]);
    expect((await world.outbox()).slice(-2).map(({ view, message }) => [view, message])).toEqual([['tumble', { truncated: true }], ['hop', { truncated: true }]]);
    await world.sink.apply(segmentsOf([canary(4, 22)]), at(3, 4), at(4, 0));
    // revision 1 was the truncate itself
    expect((await world.windows('tumble')).get(10)).toMatchObject({ revision: 2, final: false, rows: [{ key: 'c' }] });
  });

  test('E16: dimension versions by position, truncate and key change included; labels as of the closing', async () => {
    await world.applyAll(segmentsOf([
      transaction(1, 1, [title(0, 'a', 'First'), title(0, 'b', 'Other')]),
      transaction(2, 5, [insert(1, 'a', second(5)), title(1, 'a', 'Second')]),
      canary(3, 12),
      transaction(4, 13, [{ op: 'update', table: 'posts', old: { id: 'a', title: 'Second' }, row: { id: 'A', title: 'Second' } }]),
      transaction(5, 14, [{ op: 'delete', table: 'posts', old: { id: 'b', title: 'Other' } }]),
      transaction(6, 15, [title(0, 'x', 'gone'), { op: 'truncate', table: 'posts' }, title(0, 'y', 'here')]),
    ]));
    expect((await world.windows('tumble')).get(10)!.rows[0]!.labels).toEqual({ title: 'Second' });
    const keys = async (to: ReturnType<typeof at>) => Object.fromEntries([...(await readDimensions(world.state, 'agg', 'posts', to))].map(([key, row]) => [key, row.title]));
    expect(await keys(at(1, 1))).toEqual({ a: 'First' });
    expect(await keys(at(2, 1))).toEqual({ a: 'First', b: 'Other' });
    expect(await keys(at(2, 2))).toEqual({ a: 'Second', b: 'Other' });
    expect(await keys(at(4, 1))).toEqual({ b: 'Other' });
    expect(await keys(at(4, 2))).toEqual({ A: 'Second', b: 'Other' });
    expect(await keys(at(6, 1))).toEqual({ A: 'Second', x: 'gone' });
    expect(await keys(at(6, 2))).toEqual({});
    expect(await keys(at(6, 3))).toEqual({ y: 'here' });
  });

  test('I2, I3: applying again is refused and changes nothing; a zombie that stopped inside its apply leaves nothing', async () => {
    const segments = segmentsOf([transaction(1, 5, [insert(1, 'a', second(5))]), canary(2, 12)]);
    await world.applyAll(segments);
    const once = await world.everything();
    await expect(world.applyAll(segments)).rejects.toThrow(FenceMoved);
    expect(await world.everything()).toEqual(once);

    // two workers with the same fence: one wins
    const next = segmentsOf([transaction(3, 13, [insert(2, 'a', second(13))])]);
    const both = await Promise.allSettled([world.sink.apply(next, at(2, 0), at(3, 1)), world.sink.apply(next, at(2, 0), at(3, 1))]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect((await world.panes()).at(-1)).toMatchObject({ count: 1 });
  });

  test('E5: a fence inside a segment, and a segment inside the fence', async () => {
    const stream = [transaction(1, 5, [insert(1, 'a', second(5)), insert(2, 'a', second(5)), insert(3, 'a', second(5))]), canary(2, 12)];
    const segments = segmentsOf(stream);
    await world.sink.apply(segments, startOfStream, at(1, 2));
    expect((await world.panes())[0]).toMatchObject({ count: 2 });
    expect(await world.outbox()).toEqual([]);
    const recut = segmentsOf(stream, (_, event) => event === 1);
    expect(recut).toHaveLength(2);
    await world.sink.apply(recut, at(1, 2), at(2, 0));
    expect((await world.panes())[0]).toMatchObject({ count: 3 });
    expect((await world.windows('tumble')).size).toBe(1);
  });

  test('E5: segments with a gap are refused', async () => {
    const [first, , third] = segmentsOf([transaction(1, 5, [insert(1, 'a', second(5))]), transaction(2, 6, [insert(2, 'a', second(6))]), canary(3, 12)], undefined, () => true);
    await expect(world.sink.apply([first!, third!], startOfStream, at(3, 0))).rejects.toThrow(/have a gap/);
    await expect(world.sink.apply([first!], startOfStream, at(3, 0))).rejects.toThrow(/end at/);
    expect(await world.sink.readFence()).toBe(startOfStream);
  });

  test('a clock that jumps over a week closes only windows that have panes', async () => {
    await world.applyAll(segmentsOf([transaction(1, 5, [insert(1, 'a', second(5))]), canary(2, 12), transaction(3, 13, [insert(2, 'b', second(13))]), canary(4, 6 * 86_400)]));
    expect([...(await world.windows('tumble'))].map(([end, { final }]) => [end, final])).toEqual([[10, true], [20, true]]);
    expect([...(await world.windows('hop')).keys()]).toEqual([10, 20, 30, 40]);
  });

  test('what is behind the horizon is let go, but not the newest message of a view', async () => {
    await world.applyAll(segmentsOf([transaction(1, 5, [insert(1, 'a', second(5))]), canary(2, 40)]));
    await world.state.query("insert into sluice.relay_fence values ('agg', 'out', 1000)");
    await world.sink.apply(segmentsOf([canary(3, 9 * 86_400)]), at(2, 0), at(3, 0));
    expect(await world.panes()).toEqual([]);
    expect(await world.rows('select * from sluice.published_window')).toEqual([]);
    expect((await world.outbox()).map(({ view, message }) => [view, 'windowEndMs' in message && message.windowEndMs - start])).toEqual([['tumble', 10_000], ['hop', 30_000]]);
  });
});

const at = (number: number, ordinal: number) => position(1, BigInt(number * 10), ordinal);
