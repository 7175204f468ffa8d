import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyAround, type Letters } from '../../activities/apply-around.ts';
import { AggregateSink } from '../../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../../connectors/postgres/aggregate/aggregate-tables.ts';
import { DeadLetters } from '../../connectors/postgres/dead-letters.ts';
import { PoisonError } from '../../connectors/poison-error.ts';
import { beginLoad } from '../../connectors/postgres/shard-state.ts';
import { FenceMoved } from '../../connectors/sink.ts';
import { withLetter } from '../../connectors/postgres/replayed-letters.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState, type State } from '../../connectors/postgres/state/state.ts';
import { letterSegment } from '../../core/dead-letters/letter-segment.ts';
import { bigint, definePipeline, postgres, results, sum, table, text, timestamptz, tumbling } from '../../core/define-pipeline.ts';
import { resolve } from '../../core/define/resolve.ts';
import { position, type Position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { SegmentBuilder, type PlainEvent } from '../../core/segment-builder.ts';
import { throwAwayDatabase, type ThrowAway } from '../embedded/services.ts';
import { stoodStill } from './letters-world.ts';

const pipeline = resolve(
  definePipeline({
    name: 'big',
    source: postgres({ events: table('events', { id: bigint(), k: text().nullable(), at: timestamptz(), points: bigint().nullable() }, { key: 'id', eventTime: 'at' }) }),
    views: ({ events }) => ({ tumble: tumbling('10s', { key: events.k, measures: { points: sum(events.points) }, top: 3 }) }),
    sinks: { out: results({ view: 'tumble', table: 'results.big' }) },
  }),
  {},
);
const start = position(1, 1n, 0);
const row = (id: number, k: string, points: bigint | number) => ({ id: String(id), k, at: '2026-11-21T10:00:00.000Z', points: String(points) });
const most = 2n ** 53n - 1n;
/** Too long for an index of Postgres. */
const long = randomBytes(6_000).toString('base64');

describe('the aggregate lane', () => {
  let database: ThrowAway;
  let state: State;
  let tables: PostgresAggregateTables;
  let sink: AggregateSink;
  let builder: SegmentBuilder;
  let lsn: bigint;
  beforeEach(async () => {
    database = await throwAwayDatabase();
    state = openState(database.url);
    await migrate(state);
    tables = await PostgresAggregateTables.open(state, pipeline);
    sink = new AggregateSink(tables, pipeline);
    await sink.finishLoad(start);
    builder = new SegmentBuilder(pipeline, { epoch: 1, from: start });
    lsn = 100n;
  });
  afterEach(async () => {
    await state.end();
    await database[Symbol.asyncDispose]();
  });

  function segmentOf(...events: PlainEvent[]): Segment {
    lsn += 10n;
    return builder.transaction({ lsn, commitTimeMs: Date.parse('2026-11-21T10:00:01Z'), events }).cut().segments.at(-1)!;
  }
  /** As the lane does; returns how many letters there were. */
  async function applySegment(segment: Segment, from: Position, letters: Letters = new DeadLetters(state, pipeline, 'aggregate')): Promise<number> {
    const { applied } = await applyAround({ name: 'aggregate', sink, letters, key: 'id', signal: new AbortController().signal }, [segment], from, segment.header.to);
    return applied.deadLetters ?? 0;
  }
  const apply = async (...events: PlainEvent[]) => applySegment(segmentOf(...events), (await sink.readFence())!);
  const insert = (id: number, k: string): PlainEvent => ({ op: 'insert', row: row(id, k, id) });
  const replay = (id: number) => withLetter(state, id, (held, client) => tables.within(client, (within) => sink.replay(within, letterSegment(pipeline, held))));
  /** To what fits, as a person does it. */
  const edit = () => state.query(`update sluice.dead_letter set edited = jsonb_set(content, '{after,k}', '"c"'), edits = 1`);
  const panes = async () => (await state.query<{ key: string; points: string }>('select key, points from sluice.panes_big_tumble order by key')).rows.map(({ key, points }) => `${key} ${points}`);
  const letters = async () => (await state.query<{ id: number; key: string; reason: string }>('select id::int, key, reason from sluice.dead_letter order by position')).rows;

  test('a key that is too long for its index is one row\'s letter', async () => {
    expect(await apply(insert(1, 'a'), insert(2, long), insert(3, 'b'))).toBe(1);
    expect(await panes()).toEqual(['a 1', 'b 3']);
    const [letter] = await letters();
    expect(letter).toMatchObject({ key: '2', reason: expect.stringContaining('index row') });
    expect(await replay(letter!.id)).toBeInstanceOf(PoisonError);
    await edit();
    expect(await replay(letter!.id)).toBe('replayed');
    expect(await panes()).toEqual(['a 1', 'b 3', 'c 2']);
  });

  test('sums that only together are beyond 2^53 are nobody\'s letter: fewer events at once are exact', async () => {
    expect(await apply(...Array.from({ length: 9 }, (_, index): PlainEvent => ({ op: 'insert', row: row(index + 1, 'a', most) })))).toBe(0);
    expect(await panes()).toEqual([`a ${most * 9n}`]);
  });

  test('an update whose two halves are beyond 2^53 is a letter, and the pane waits for it', async () => {
    await apply({ op: 'insert', row: row(1, 'a', -most) }, { op: 'insert', row: row(2, 'a', 7) });
    expect(await apply({ op: 'update', old: row(1, 'a', -most), row: row(1, 'a', most) })).toBe(1);
    expect(await panes()).toEqual([`a ${7n - most}`]);
    expect((await letters())[0]!.reason).toMatch('beyond 2^53');
  });

  test('a pane beyond 64 bits parks the lane: no row is to blame', async () => {
    await apply({ op: 'insert', row: row(1, 'a', 5) });
    await state.query('update sluice.panes_big_tumble set points = 9223372036854775807');
    await expect(apply({ op: 'insert', row: row(2, 'a', 1) })).rejects.toThrow('A sum is beyond 64 bits: no single row is to blame.');
    expect(await letters()).toEqual([]);
  });

  describe('of before a new load', () => {
    const loadedAt = position(2, 2_000n, 0);
    /** The new load's snapshot: somebody has mended the row. */
    const snapshot = () => new SegmentBuilder(pipeline, { epoch: 2, from: position(2, 999n, 0) }).transaction({ lsn: 1_000n, commitTimeMs: Date.parse('2026-11-21T10:00:05Z'), events: [insert(1, 'a'), insert(2, 'c')] }).cut().segments[0]!;
    beforeEach(async () => {
      await apply(insert(1, 'a'), insert(2, long));
      await edit();
    });

    test('I2: a replay that meets the load half-way adds nothing to its panes', async () => {
      const [letter] = await letters();
      await sink.load(snapshot(), 0);
      await expect(replay(letter!.id)).rejects.toThrow(FenceMoved);
      await sink.finishLoad(loadedAt);
      await expect(replay(letter!.id)).rejects.toThrow(FenceMoved);
      expect(await panes()).toEqual(['a 1', 'c 2']);
    });

    test('E28: is void as soon as that begins, and no worker of before it keeps another', async () => {
      const refused = segmentOf(insert(3, long));
      const asleep = stoodStill(new DeadLetters(state, pipeline, 'aggregate'));
      const zombie = applySegment(refused, (await sink.readFence())!, asleep.letters);
      zombie.catch(() => {}); // seen below
      await asleep.reached;
      await beginLoad(state, pipeline.name, 'slot', { hash: 'hash', json: '{}' }, 1);
      expect(await letters()).toEqual([]);
      await sink.load(snapshot(), 0);
      await sink.finishLoad(loadedAt);
      asleep.wake();
      await expect(zombie).rejects.toThrow(FenceMoved);
      expect(await letters()).toEqual([]);
    });
  });

  test('E8: a worker that stood still does not bring back a letter that a truncate has voided', async () => {
    const [refused, truncated] = [segmentOf(insert(1, 'a'), insert(2, long)), segmentOf({ op: 'truncate' })];
    const asleep = stoodStill(new DeadLetters(state, pipeline, 'aggregate'));
    const zombie = applySegment(refused, refused.header.from, asleep.letters);
    zombie.catch(() => {}); // seen below
    await asleep.reached;
    await applySegment(refused, (await sink.readFence())!);
    await applySegment(truncated, refused.header.to);
    expect([await letters(), await panes()]).toEqual([[], []]);
    asleep.wake();
    await expect(zombie).rejects.toThrow(FenceMoved);
    expect(await letters()).toEqual([]);
  });

  test.each(['waiting', 'dropped'])('I2: a letter that was %s is gone once its event goes through with the one that takes it back', async (now) => {
    // the clock is there already, so that both are in one fold
    await apply(insert(3, 'b'));
    const [refused, corrected] = [segmentOf(insert(1, 'a'), insert(2, long)), segmentOf({ op: 'delete', old: row(2, long, 2) })];
    const kept = new DeadLetters(state, pipeline, 'aggregate');
    const dying: Letters = { keep: async (...letter) => kept.keep(...letter).then(() => Promise.reject(new Error('killed'))), passed: () => {}, voidBelow: async () => {} };
    await expect(applySegment(refused, refused.header.from, dying)).rejects.toThrow('killed');
    expect(await letters()).toMatchObject([{ key: '2' }]);
    await state.query('update sluice.dead_letter set state = $1', [now]);
    await sink.apply([refused, corrected], (await sink.readFence())!, corrected.header.to);
    expect([await letters(), await panes()]).toEqual([[], ['a 1', 'b 3']]);
  });

  test('I2: nor one that was settled and is remembered no more', async () => {
    const refused = segmentOf(insert(1, 'a'), insert(2, long));
    const asleep = stoodStill(new DeadLetters(state, pipeline, 'aggregate'));
    const zombie = applySegment(refused, refused.header.from, asleep.letters);
    zombie.catch(() => {}); // seen below
    await asleep.reached;
    await applySegment(refused, (await sink.readFence())!);
    await edit();
    expect(await replay((await letters())[0]!.id)).toBe('replayed');
    await state.query('delete from sluice.dead_letter');
    asleep.wake();
    await expect(zombie).rejects.toThrow(FenceMoved);
    expect(await letters()).toEqual([]);
  });
});
