import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PostgresAggregateTables } from '../../connectors/postgres/aggregate/aggregate-tables.ts';
import { PostgresResultsRelay } from '../../connectors/postgres/results-relay.ts';
import { readOutbox } from '../../connectors/postgres/state/state.ts';
import { RedisResultsRelay } from '../../connectors/redis/results-relay.ts';
import type { OutboxMessage } from '../../connectors/relay.ts';
import { FenceMoved } from '../../connectors/sink.ts';
import { bigint, count, definePipeline, dimension, match, postgres, redisResults, results, sum, table, text, timestamptz, tumbling } from '../../core/define-pipeline.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { ThrowAway } from '../embedded/services.ts';
import { throwAwayRedis } from '../embedded/services.ts';
import { evictVolatile } from '../sinks/servers.ts';
import { World, start } from './world.ts';

const pipeline = resolve(
  definePipeline({
    name: 'trending',
    source: postgres({
      events: table('views', { id: bigint(), post_id: bigint(), kind: text(), at: timestamptz() }, { key: 'id', eventTime: 'at' }),
      posts: dimension('posts', { id: bigint(), title: text() }, { key: 'id', on: 'post_id' }),
    }),
    views: ({ events, posts }) => ({
      top: tumbling('10s', { key: events.post_id, measures: { views: count(), score: sum(match(events.kind, { click: 0.2 }, 0)) }, rankBy: 'score', top: 3, labels: { title: posts.title } }),
    }),
    sinks: { table: results({ view: 'top', table: 'results.trending_posts' }), redis: redisResults({ view: 'top', key: 'top posts' }) },
  }),
  {},
);

function message(seq: number, window: number, revision: number, keys: readonly string[], view = 'top'): OutboxMessage {
  const windowEndMs = start + window * 10_000;
  const rows = keys.map((key, index) => ({ rank: index + 1, key, measures: { views: String(9 - index), score: `${9 - index}.2` }, labels: { title: key === '1' ? null : `Post ${key}` } }));
  return { seq, view, body: { windowStartMs: windowEndMs - 10_000, windowEndMs, revision, final: revision > 0, rows } };
}
const truncated = (seq: number): OutboxMessage => ({ seq, view: 'top', body: { truncated: true } });

let world: World;
beforeAll(async () => void (world = await World.open()));
afterAll(() => world[Symbol.asyncDispose]());

describe('results table', () => {
  let relay: PostgresResultsRelay;
  const shown = async () => (await world.rows('select extract(epoch from window_end)::int - $START as window, rank, post_id::text, title, views::int, score::text, revision, final from results.trending_posts order by 1, 2'.replace('$START', String(start / 1000)))).map((row) => Object.values(row));
  beforeEach(async () => {
    await world.state.query('drop table if exists results.trending_posts; truncate sluice.relay_fence');
    relay = await PostgresResultsRelay.open(world.state, pipeline, 'table');
    await PostgresResultsRelay.open(world.state, pipeline, 'table');
  });

  test('a window is replaced whole; other views only move the fence', async () => {
    expect(await relay.readFence()).toBe(0);
    await relay.publish([message(1, 1, 0, ['1', '2', '3']), message(2, 2, 0, ['3'], 'other')], 0, 2);
    await relay.publish([message(3, 2, 0, ['4']), message(4, 1, 1, ['2'])], 2, 4);
    expect(await shown()).toEqual([[10, 1, '2', 'Post 2', 9, '9.2', 1, true], [20, 1, '4', 'Post 4', 9, '9.2', 0, false]]);
    expect(await relay.readFence()).toBe(4);
    const columns = await world.rows("select column_name || ' ' || data_type as name from information_schema.columns where table_name = 'trending_posts' order by ordinal_position");
    expect(columns.map(({ name }) => name)).toEqual(['window_start timestamp with time zone', 'window_end timestamp with time zone', 'rank integer', 'post_id bigint', 'title text', 'views bigint', 'score numeric', 'revision integer', 'final boolean']);
  });

  test('I2, I3: a message is published once, and a zombie is told', async () => {
    await relay.publish([message(1, 1, 0, ['1'])], 0, 1);
    await expect(relay.publish([message(1, 1, 0, ['5'])], 0, 1)).rejects.toThrow(FenceMoved);
    expect(await shown()).toHaveLength(1);
    expect((await shown())[0]![2]).toBe('1');
  });

  test('E8: a truncate takes all windows before it, and none after it', async () => {
    await relay.publish([message(1, 1, 0, ['1']), message(2, 2, 0, ['1'])], 0, 2);
    await relay.publish([message(3, 3, 0, ['1']), truncated(4), message(5, 2, 2, ['7'])], 2, 5);
    expect((await shown()).map(([window, , key]) => [window, key])).toEqual([[20, '7']]);
  });

  test('a window that became empty leaves no rows', async () => {
    await relay.publish([message(1, 1, 0, ['1']), message(2, 1, 1, [])], 0, 2);
    expect(await shown()).toEqual([]);
  });
});

describe('results in Redis', () => {
  let database: ThrowAway;
  let redis: Redis;
  let relay: RedisResultsRelay;
  beforeAll(async () => {
    database = await throwAwayRedis();
    redis = new Redis(database.url);
    relay = new RedisResultsRelay(world.state, pipeline, 'redis', database.url);
  });
  beforeEach(() => redis.flushdb());
  afterAll(async () => {
    redis.disconnect();
    await relay.close();
    await database[Symbol.asyncDispose]();
  });
  const shown = () => redis.zrevrange('top posts', 0, -1, 'WITHSCORES');

  test('the newest window, its members, scores and labels; an older one only moves the fence', async () => {
    await relay.publish([message(1, 1, 0, ['1']), message(2, 2, 0, ['1', '2']), message(3, 1, 1, ['8'])], 0, 3);
    expect(await shown()).toEqual(['1', '9.2', '2', '8.2']);
    await relay.publish([message(4, 1, 2, ['9'])], 3, 4);
    expect(await shown()).toEqual(['1', '9.2', '2', '8.2']);
    expect(await redis.hgetall('{top posts}:window')).toEqual({ view: 'top', start_ms: String(start + 10_000), end_ms: String(start + 20_000), revision: '0', final: 'false' });
    expect(await redis.hgetall('{top posts}:labels')).toEqual({ 1: '{"title":null}', 2: '{"title":"Post 2"}' });
    expect(await relay.readFence()).toBe(4);
    await relay.publish([message(5, 2, 1, ['3'])], 4, 5);
    expect(await shown()).toEqual(['3', '9.2']);
    expect(await redis.hgetall('{top posts}:labels')).toEqual({ 3: '{"title":"Post 3"}' });
    expect(await world.rows("select seq::int from sluice.relay_fence where lane = 'redis'")).toEqual([{ seq: 5 }]);
  });

  test('a key that has nothing to be ranked by, a max of nothing, is left out', async () => {
    const { body, ...rest } = message(1, 1, 0, ['1', '2']);
    if ('truncated' in body) throw new TypeError('a window');
    await relay.publish([{ ...rest, body: { ...body, rows: body.rows.map((row) => (row.key === '2' ? { ...row, measures: { ...row.measures, score: null } } : row)) } }], 0, 1);
    expect(await shown()).toEqual(['1', '9.2']);
    expect(await redis.hgetall('{top posts}:labels')).toEqual({ 1: '{"title":null}' });
  });

  test('I2, I3: a zombie is told; fences compare as text', async () => {
    await relay.publish([message(1, 1, 0, ['1'])], 0, 1);
    await expect(relay.publish([message(1, 1, 0, ['5'])], 0, 1)).rejects.toThrow(FenceMoved);
    await redis.set('{top posts}:fence', '9007199254740993');
    await expect(relay.publish([message(1, 1, 0, ['5'])], 9007199254740992, 9007199254740994)).rejects.toThrow(FenceMoved);
    expect(await shown()).toEqual(['1', '9.2']);
  });

  test('E8: a truncate takes what is shown; older windows may then be shown again', async () => {
    await relay.publish([message(1, 5, 0, ['1'])], 0, 1);
    await relay.publish([truncated(2)], 1, 2);
    expect((await redis.keys('*')).sort()).toEqual(['{top posts}:evicted', '{top posts}:fence']);
    await relay.publish([message(3, 4, 3, ['2'])], 2, 3);
    expect(await shown()).toEqual(['2', '9.2']);
  });

  test('E11, I4: of what the server has evicted a part, all is said again out of the outbox', async () => {
    const messages = [message(1, 1, 0, ['1']), message(2, 2, 0, ['1', '2'])];
    await relay.publish(messages, 0, 2);
    await evictVolatile(redis);
    await redis.del('{top posts}:labels');
    await expect(relay.publish([message(3, 1, 1, ['8'])], 2, 3)).rejects.toThrow(FenceMoved);
    expect(await relay.readFence()).toBe(0);
    await relay.publish([...messages, message(3, 1, 1, ['8'])], 0, 3);
    expect(await redis.hkeys('{top posts}:labels')).toEqual(['1', '2']);
    await relay.publish([message(4, 3, 0, ['3'])], 3, 4);
    expect(await shown()).toEqual(['3', '9.2']);
    // looking writes nothing: a server that is full does not fail it
    await redis.config('SET', 'maxmemory', '1');
    try {
      expect(await relay.readFence()).toBe(4);
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
    // whoever only asks finds out as well: the next window may be a day away
    await evictVolatile(redis);
    expect(await relay.readFence()).toBe(0);
  });

  test('a window of another view is shown, also if it is older than what the key showed of the one before', async () => {
    await relay.publish([message(1, 5, 0, ['1'])], 0, 1);
    const other = new RedisResultsRelay(world.state, { ...pipeline, views: { ...pipeline.views, hours: pipeline.views['top']! }, sinks: { ...pipeline.sinks, redis: { kind: 'redis-results', view: 'hours', key: 'top posts' } } }, 'redis', database.url);
    try {
      await other.publish([message(2, 3, 0, ['2'], 'hours'), message(3, 4, 0, ['3'], 'hours')], 1, 3);
      expect(await shown()).toEqual(['3', '9.2']);
      await other.publish([message(4, 3, 1, ['4'], 'hours')], 3, 4);
      expect(await shown()).toEqual(['3', '9.2']);
    } finally {
      await other.close();
    }
  });

  test('I4: Redis that lost its state begins with what the outbox has', async () => {
    await relay.publish([message(1, 1, 0, ['1'])], 0, 1);
    await redis.flushdb();
    await expect(relay.publish([message(2, 2, 0, ['2'])], 1, 2)).rejects.toThrow(FenceMoved);
    expect(await relay.readFence()).toBe(0);
    await relay.publish([message(7, 2, 0, ['2'])], 0, 7);
    expect(await shown()).toEqual(['2', '9.2']);
  });

  /** Messages that every relay has, of which those of windows before `window` need not be kept; then Redis loses its state, and a relay begins anew. */
  async function rebuiltAfterTrim(messages: readonly OutboxMessage[], window: number): Promise<readonly number[]> {
    const newest = messages.at(-1)!.seq;
    const tables = await PostgresAggregateTables.open(world.state, pipeline);
    await world.state.query('truncate sluice.outbox, sluice.relay_fence');
    await world.state.query("insert into sluice.relay_fence values ('trending', 'table', $1)", [newest]);
    await tables.transaction((transaction) => transaction.say(messages.map(({ view, body }) => ({ view, message: body })), 0));
    await relay.publish(messages, 0, newest);
    await tables.transaction((transaction) => transaction.trim(start, start + window * 10_000));
    const before = await shown();
    await redis.flushdb();
    const kept = await readOutbox(world.state, pipeline.name, 0, 100);
    await relay.publish(kept, 0, newest);
    expect(await shown()).toEqual(before);
    return kept.map(({ seq }) => seq);
  }

  test('E8, I4: while messages from before a truncate are kept, so is the truncate: what it took is never shown again', async () => {
    expect(await rebuiltAfterTrim([message(1, 1, 0, ['1']), truncated(2), message(3, 5, 0, ['1']), truncated(4), message(5, 4, 3, ['2']), message(6, 1, 1, ['3'])], 3)).toEqual([3, 4, 5, 6]);
    expect(await shown()).toEqual(['2', '9.2']);
    await redis.flushdb();
    expect(await rebuiltAfterTrim([message(1, 5, 0, ['1']), truncated(2)], 9)).toEqual([2]);
    expect(await shown()).toEqual([]);
  });

  test('I4: the newest window is kept, though an older one was said again after it', async () => {
    expect(await rebuiltAfterTrim([message(1, 1, 0, ['1']), message(2, 3, 0, ['2']), message(3, 2, 1, ['3'])], 9)).toEqual([2, 3]);
    expect(await shown()).toEqual(['2', '9.2']);
  });
});
