import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type ClickHouseClient } from '@clickhouse/client';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runLane } from '../../activities/lane-loop.ts';
import { openRelay, openSink } from '../../activities/open-destination.ts';
import { runRelay } from '../../activities/relay-loop.ts';
import { DeadLetters } from '../../connectors/postgres/dead-letters.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { lanesToRebuild, noteRebuilds } from '../../connectors/postgres/live-rebuilds.ts';
import { openState, readAggregate, readOutbox, type State } from '../../connectors/postgres/state/state.ts';
import { ConfigurationError } from '../../connectors/sink.ts';
import { type Appender, type SegmentLog } from '../../connectors/spool/segment-log.ts';
import { openSegmentLog } from '../../connectors/spool/open-segment-log.ts';
import { systemClock } from '../../connectors/system-clock.ts';
import { parseConfig, type Config } from '../../core/config.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { origin, position, type Position } from '../../core/position.ts';
import { SegmentBuilder } from '../../core/segment-builder.ts';
import { createReceiver } from '../../infra/receiver/receiver.ts';
import { ReceiverStore } from '../../infra/receiver/store.ts';
import engagement from '../../pipelines/engagement.ts';
import { services, throwAwayClickhouse, throwAwayDatabase, throwAwayRedis } from '../embedded/services.ts';
import { secret } from './servers.ts';
import { rows, SourceTable, start, titles, type Intent } from './stream.ts';

const loadedAt = position(1, 1n, 0);
const lanes = ['aggregate', 'enriched', 'live', 'external'] as const;
type Lane = (typeof lanes)[number];

/** I4: destinations lose what they had, as restored backups and crashes make them; their lanes bring it back out of the spool. */
describe('a destination that was set back', { timeout: 60_000 }, () => {
  let stack: AsyncDisposableStack;
  let config: Config;
  let pipeline: Pipeline;
  let state: State;
  let redis: Redis;
  let clickhouse: ClickHouseClient;
  let receiver: ReceiverStore;
  let log: SegmentLog & Appender;
  let end: Position;
  /** In the middle of the stream. */
  let half: Position;

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    const database = stack.use(await throwAwayDatabase());
    const [redisDatabase, clickhouseDatabase] = [stack.use(await throwAwayRedis()), stack.use(await throwAwayClickhouse())];
    const directory = await mkdtemp(join(tmpdir(), 'sluice-rewound-'));
    stack.defer(() => rm(directory, { recursive: true }));
    receiver = stack.adopt(new ReceiverStore(join(directory, 'receiver.sqlite')), (store) => store.close());
    const server = createReceiver(receiver, secret).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stack.defer(() => void (server.closeAllConnections(), server.close()));
    const { port } = server.address() as AddressInfo;
    const environment = { SLUICE_SOURCE_URL: database.url, SLUICE_STATE_URL: database.url, SLUICE_REDIS_URL: redisDatabase.url, SLUICE_CLICKHOUSE_URL: clickhouseDatabase.url, TEMPORAL_ADDRESS: services().temporalAddress, SLUICE_EXTERNAL_URL: `http://127.0.0.1:${port}/events`, SLUICE_RECEIVER_PORT: String(port), SLUICE_EXTERNAL_SECRET: secret };
    config = parseConfig(environment);
    pipeline = resolve(engagement, environment);
    state = stack.adopt(openState(database.url), (pool) => pool.end());
    await migrate(state);
    redis = stack.adopt(new Redis(redisDatabase.url), (each) => each.disconnect());
    clickhouse = stack.adopt(createClient({ url: clickhouseDatabase.url }), (each) => each.close());
    log = await openSegmentLog({ doubtMs: 20, directory, shard: pipeline.name });
    await log.next(1);
    await append();
    for (const lane of lanes) await withSink(lane, ({ sink }) => sink.finishLoad(loadedAt));
    for (const lane of lanes) await run(lane, half);
  });

  afterEach(() => stack.disposeAsync());

  async function append(): Promise<void> {
    const builder = new SegmentBuilder(pipeline, { epoch: 1, from: loadedAt });
    const table = new SourceTable();
    builder.transaction({ lsn: 100n, commitTimeMs: start, events: titles });
    fc.sample(rows, { seed: 5, numRuns: 240 }).forEach((row, index) => {
      const commitTimeMs = start + index * 1_000;
      const kind = (['insert', 'insert', 'update', 'move', 'insert', 'rekey', 'insert', 'delete'] as const)[index % 8]!;
      const intent: Intent = { kind, slot: index * 7, row: { ...row, event_ts: new Date(commitTimeMs - 500).toISOString() } };
      builder.transaction({ lsn: BigInt(200 + index * 10), commitTimeMs, events: [table.do(intent)], ...(index % 10 === 9 && { canaryMs: commitTimeMs }) });
      if (index % 6 === 5) builder.cut();
    });
    const { segments } = builder.cut();
    half = segments[Math.floor(segments.length / 2)]!.header.to;
    end = segments.at(-1)!.header.to;
    await log.append(segments);
  }

  async function withSink<T>(lane: Lane, use: (open: Awaited<ReturnType<typeof openSink>>) => Promise<T>): Promise<T> {
    const open = await openSink(config, state, pipeline, lane);
    return use(open).finally(() => open.sink.close());
  }

  /** One step of a lane; returns from where to where it went. */
  function run(lane: Lane, until: Position = end): Promise<Position[]> {
    return withSink(lane, async ({ sink, rebuild }) => {
      const fences: Position[] = [];
      expect(await runLane({ letters: new DeadLetters(state, pipeline, lane), key: 'id', pipeline: pipeline.name, name: lane, sink, rebuild, log, until, gatherMs: 0, maxRows: 20, clock: systemClock, signal: new AbortController().signal, onFence: (fence) => fences.push(fence), onApplied: () => {} })).toBe('held');
      return fences;
    });
  }

  async function forgetSpoolBelow(place: Position): Promise<void> {
    await log.trim(place, -1);
    expect((await log.oldest())!.from > loadedAt).toBe(true);
  }

  const command = (query: string) => clickhouse.command({ query, clickhouse_settings: { mutations_sync: '2' } });
  const number = (at: Position) => `toUInt128('${BigInt(`0x${at}`)}')`;
  const table = async () => (await clickhouse.query({ query: 'SELECT * FROM engagement_enriched FINAL ORDER BY id', format: 'JSONEachRow' })).json();

  /** Merges leave the greatest fence only, so it is not enough to delete those above. */
  async function setFenceBack(at: Position): Promise<void> {
    await command(`CREATE TABLE kept ENGINE = Memory AS SELECT pipeline, lane, target FROM sluice_fence LIMIT 1`);
    await command('TRUNCATE TABLE sluice_fence');
    await command(`INSERT INTO sluice_fence (pipeline, lane, target, position) SELECT pipeline, lane, target, ${number(at)} FROM kept`);
    await command('DROP TABLE kept');
  }

  /** Everything of the live structure but the list of its panes, which may name some that are empty. */
  async function board(): Promise<Record<string, unknown>> {
    const keys = (await redis.keys('*')).filter((key) => !/:(fence|generation|panes)$/.test(key)).sort();
    const content = async (key: string) => {
      const type = await redis.type(key);
      return type === 'zset' ? redis.zrange(key, '0', '-1', 'WITHSCORES') : type === 'hash' ? redis.hgetall(key) : redis.get(key);
    };
    return Object.fromEntries(await Promise.all(keys.map(async (key) => [key, await content(key)] as const)));
  }

  async function dump(): Promise<[string, Buffer][]> {
    return Promise.all((await redis.keys('*')).map(async (key): Promise<[string, Buffer]> => [key, (await redis.dumpBuffer(key))!]));
  }

  async function restore(keys: readonly [string, Buffer][]): Promise<void> {
    await redis.flushdb();
    for (const [key, value] of keys) await redis.restore(key, 0, value);
  }

  test('ClickHouse restored from a backup is brought up from the spool', async () => {
    await run('enriched');
    const before = await table();
    await command(`ALTER TABLE engagement_enriched DELETE WHERE _position > ${number(half)}`);
    await setFenceBack(half);
    expect(await table()).not.toEqual(before);
    const fences = await run('enriched');
    expect([fences[0], fences.at(-1)]).toEqual([half, end]);
    expect(await table()).toEqual(before);
  });

  test('ClickHouse whose fence alone went back takes the same rows again, to the same end', async () => {
    await run('enriched');
    const before = await table();
    await setFenceBack(half);
    expect((await run('enriched'))[0]).toBe(half);
    expect(await table()).toEqual(before);
  });

  test('a fence that goes back while the step runs: the step goes back too', async () => {
    const fences: Position[] = [];
    await withSink('enriched', async ({ sink }) => {
      const apply = async (...call: Parameters<typeof sink.apply>) => {
        if (fences.length === 4) await setFenceBack(half);
        return sink.apply(...call);
      };
      const watched = { apply, readFence: () => sink.readFence(), load: () => Promise.reject(new Error('no load')), finishLoad: () => Promise.reject(new Error('no load')), close: async () => {} };
      await runLane({ letters: new DeadLetters(state, pipeline, 'enriched'), key: 'id', pipeline: pipeline.name, name: 'enriched', sink: watched, log, until: end, gatherMs: 0, maxRows: 1, clock: systemClock, signal: new AbortController().signal, onFence: (fence) => fences.push(fence), onApplied: () => {} });
    });
    expect(fences.filter((fence) => fence === half)).toHaveLength(2);
    expect(fences.at(-1)).toBe(end);
  });

  test('ClickHouse restored to before the spool: the lane parks with the sentence, and with a later backup goes on', async () => {
    await run('enriched');
    const before = await table();
    await setFenceBack(position(1, 210n, 1));
    await forgetSpoolBelow(half);
    const parked: unknown = await run('enriched').catch((error: unknown) => error);
    expect(parked).toBeInstanceOf(ConfigurationError);
    expect(String(parked)).toMatch(/Lane enriched: its destination is at position [0-9a-f]{32}, and the spool begins at [0-9a-f]{32}.*Was the destination restored/);
    await setFenceBack(half);
    await run('enriched');
    expect(await table()).toEqual(before);
  });

  test('HTTP: a fence set back in the state database sends again, with stable ids and to the same end; too far back it parks', async () => {
    await run('external');
    const before = [...receiver.folded(origin)];
    const { events } = receiver.counts();
    const setBack = (to: Position) => state.query("update sluice.fence set position = $1 where pipeline = 'engagement' and lane = 'external'", [to]);
    await setBack(half);
    expect((await run('external'))[0]).toBe(half);
    expect([...receiver.folded(origin)]).toEqual(before);
    const { duplicates } = receiver.counts();
    // the same messages, known by their ids
    expect(duplicates).toBeGreaterThan(0);
    expect(receiver.counts().events).toBe(events);
    await setBack(loadedAt);
    await forgetSpoolBelow(half);
    await expect(run('external')).rejects.toThrow(/^Lane external: its destination is at position/);
  });

  test('Redis: AOF tail lost, or a restored backup, is brought up from the spool', async () => {
    const backup = await dump();
    await run('aggregate');
    await run('live');
    const before = await board();
    await restore(backup);
    expect(await board()).not.toEqual(before);
    const fences = await run('live');
    expect([fences[0], fences.at(-1)]).toEqual([half, end]);
    expect(await board()).toEqual(before);
  });

  test('Redis: FLUSHALL, lost structures and a backup from before the spool are rebuilt from the panes', async () => {
    const backup = await dump();
    for (const lane of ['aggregate', 'live'] as const) await run(lane);
    const before = await board();
    for (const lose of [() => redis.flushdb(), () => redis.del('{top_engagement:10min}:generation', 'top_engagement:10min'), async () => (await forgetSpoolBelow(end), restore(backup))]) {
      await lose();
      expect(await board()).not.toEqual(before);
      await run('live');
      expect(await board()).toEqual(before);
    }
  });

  test('E1: Redis that nobody could ask what it is made of is rebuilt from the panes, though its fence and structures are there', async () => {
    for (const lane of ['aggregate', 'live'] as const) await run(lane);
    const before = await board();
    // of changes that a promotion has undone, say
    await redis.zadd('top_engagement:10min', 99, 'phantom');
    await run('live');
    expect(await board()).not.toEqual(before);
    await noteRebuilds(state, pipeline, ['live']);
    await run('live');
    expect(await board()).toEqual(before);
    expect(await lanesToRebuild(state, pipeline.name)).toEqual(new Set());
  });

  test('Redis: a leaderboard that was emptied shows the newest window again', async () => {
    await run('aggregate');
    await run('live');
    const relayed = async () => {
      const relay = await openRelay(config, state, pipeline, 'leaderboard');
      try {
        await runRelay({ name: 'leaderboard', relay, readOutbox: (after, limit) => readOutbox(state, pipeline.name, after, limit), newest: async () => (await readAggregate(state, pipeline.name))?.outboxSeq ?? 0, reached: async () => 'held', wait: async () => {}, signal: new AbortController().signal, onPublished: () => {} });
      } finally {
        await relay.close();
      }
      return board();
    };
    const before = await relayed();
    expect(Object.keys(before)).toContain('leaderboard');
    await redis.flushdb();
    await run('live');
    expect(await relayed()).toEqual(before);
  });
});
