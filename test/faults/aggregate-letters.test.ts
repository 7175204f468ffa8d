import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyAround } from '../../activities/apply-around.ts';
import { AggregateSink } from '../../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../../connectors/postgres/aggregate/aggregate-tables.ts';
import { DeadLetters } from '../../connectors/postgres/dead-letters.ts';
import { PoisonError } from '../../connectors/poison-error.ts';
import { withLetter } from '../../connectors/postgres/replayed-letters.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState, type State } from '../../connectors/postgres/state/state.ts';
import { letterSegment } from '../../core/dead-letters/letter-segment.ts';
import { bigint, definePipeline, postgres, results, sum, table, text, timestamptz, tumbling } from '../../core/define-pipeline.ts';
import { resolve } from '../../core/define/resolve.ts';
import { position } from '../../core/position.ts';
import { SegmentBuilder, type PlainEvent } from '../../core/segment-builder.ts';
import { throwAwayDatabase, type ThrowAway } from '../embedded/services.ts';

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

  /** As the lane does; returns how many letters there were. */
  async function apply(...events: PlainEvent[]): Promise<number> {
    lsn += 10n;
    const [segment] = builder.transaction({ lsn, commitTimeMs: Date.parse('2026-11-21T10:00:01Z'), events }).cut().segments.slice(-1);
    const around = { name: 'aggregate', sink, letters: new DeadLetters(state, pipeline, 'aggregate'), key: 'id', signal: new AbortController().signal };
    const { applied } = await applyAround(around, [segment!], (await sink.readFence())!, segment!.header.to);
    return applied.deadLetters ?? 0;
  }
  const panes = async () => (await state.query<{ key: string; points: string }>('select key, points from sluice.panes_big_tumble order by key')).rows.map(({ key, points }) => `${key} ${points}`);
  const letters = async () => (await state.query<{ id: number; key: string; reason: string }>('select id::int, key, reason from sluice.dead_letter order by position')).rows;

  test('a key that is too long for its index is one row\'s letter', async () => {
    const long = randomBytes(6_000).toString('base64');
    const insert = (id: number, k: string): PlainEvent => ({ op: 'insert', row: row(id, k, id) });
    expect(await apply(insert(1, 'a'), insert(2, long), insert(3, 'b'))).toBe(1);
    expect(await panes()).toEqual(['a 1', 'b 3']);
    const [letter] = await letters();
    expect(letter).toMatchObject({ key: '2', reason: expect.stringContaining('index row') });
    const replay = () => withLetter(state, letter!.id, (held, client) => tables.within(client, (within) => sink.replay(within, letterSegment(pipeline, held))));
    expect(await replay()).toBeInstanceOf(PoisonError);
    await state.query(`update sluice.dead_letter set edited = jsonb_set(content, '{after,k}', '"c"'), edits = 1`);
    expect(await replay()).toBe('replayed');
    expect(await panes()).toEqual(['a 1', 'b 3', 'c 2']);
  });

  test('sums that only together are beyond 2^53 are nobody\'s letter: fewer events at once are exact', async () => {
    const insert = (id: number, points: bigint): PlainEvent => ({ op: 'insert', row: row(id, 'a', points) });
    expect(await apply(...Array.from({ length: 9 }, (_, index) => insert(index + 1, most)))).toBe(0);
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
});
