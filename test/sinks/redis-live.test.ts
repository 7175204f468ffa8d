import fc from 'fast-check';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import type { DueRebuilds, ReadPanes } from '../../connectors/redis/live.ts';
import type { RedisLiveSink } from '../../connectors/redis/live.ts';
import { redisLiveSink } from '../../connectors/redis/live.ts';
import { ConfigurationError, FenceMoved } from '../../connectors/sink.ts';
import type { Position } from '../../core/position.ts';
import { origin, position } from '../../core/position.ts';
import type { PlainTransaction, TextRow } from '../../core/segment-builder.ts';
import { SegmentBuilder } from '../../core/segment-builder.ts';
import type { Segment } from '../../core/segment.ts';
import { Folder } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { evictVolatile } from './servers.ts';
import { throwAwayRedis } from '../embedded/services.ts';
import { SourceTable, contents, endOf, intents, pipeline, start } from './stream.ts';

const hash = { plays: 'plays', finishes: 'finishes', clicks: 'clicks', seconds: 'seconds' };
const definition = { kind: 'redis-live', view: 'top10m', key: 'top', hash, gatherMs: 0 } as const;
const zero = position(1, 0n, 0);
const paneUs = 10_000_000;

const empty: ReadPanes = async () => ({ fence: zero, clockUs: undefined, panes: { count: 0, panes: new Float64Array(), keys: [], values: paneSetsOf(pipeline)[0]!.accumulators.map(() => new Float64Array()) } });

const neverDue: DueRebuilds = { due: async () => [], done: async () => {} };

async function open(key = 'top') {
  const database = await throwAwayRedis();
  const redis = new Redis(database.url);
  const sinks: RedisLiveSink[] = [];
  return {
    redis,
    url: database.url,
    make(readPanes = empty) {
      const sink = redisLiveSink(pipeline, { ...definition, key }, database.url, readPanes, neverDue);
      sinks.push(sink);
      return sink;
    },
    async state() {
      const flat = await redis.zrange(key, '0', '-1', 'WITHSCORES');
      const state: Record<string, Record<string, string>> = {};
      for (let index = 0; index < flat.length; index += 2) state[flat[index]!] = { score: flat[index + 1]!, ...(await redis.hgetall(`{${key}}:content:${flat[index]}`)) };
      const hashes = await redis.keys(`{${key}}:content:*`);
      expect(hashes).toHaveLength(flat.length / 2);
      return state;
    },
    async [Symbol.asyncDispose]() {
      for (const sink of sinks) await sink.close();
      redis.disconnect();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** The plain rule: the rows that are there, in the panes that the window has at `end`. */
function oracle(table: ReadonlyMap<string, TextRow>, endUs: number | undefined): Record<string, Record<string, string>> {
  const sums = new Map<string, { score: number; plays: number; finishes: number; clicks: number; ms: number }>();
  if (endUs === undefined) return {};
  const last = Math.floor(endUs / paneUs);
  for (const row of table.values()) {
    const pane = Math.floor((Date.parse(row['event_ts']!) * 1000) / paneUs);
    if (Number.isNaN(pane) || pane > last || pane <= last - 60 || row['content_id'] == null) continue;
    const sum = sums.get(row['content_id']) ?? { score: 0, plays: 0, finishes: 0, clicks: 0, ms: 0 };
    sums.set(row['content_id'], sum);
    const type = row['event_type'];
    sum.score += type === 'play' || type === 'finish' ? 10 : type === 'click' ? 2 : 0;
    if (type === 'play') sum.plays++;
    if (type === 'finish') sum.finishes++;
    if (type === 'click') sum.clicks++;
    sum.ms += Number(row['duration_ms'] ?? 0);
  }
  const entries = [...sums].filter(([, { score }]) => score !== 0);
  return Object.fromEntries(entries.map(([key, { score, plays, finishes, clicks, ms }]) => [key, { score: String(score / 10), plays: String(plays), finishes: String(finishes), clicks: String(clicks), seconds: String(ms / 1000) }]));
}

/** Transactions a minute or so apart, whose rows are near their commit time: panes open, fill and expire. */
const minutes = fc.record({
  intents,
  offsets: fc.array(fc.integer({ min: -900_000, max: 59_000 }), { minLength: 60, maxLength: 60 }),
  sizes: fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 60, maxLength: 60 }),
  gaps: fc.array(fc.oneof({ weight: 6, arbitrary: fc.nat(90_000) }, { weight: 1, arbitrary: fc.nat(1_500_000) }), { minLength: 60, maxLength: 60 }),
  canaries: fc.array(fc.option(fc.nat(90_000)), { minLength: 60, maxLength: 60 }),
});
type Minutes = typeof minutes extends fc.Arbitrary<infer T> ? T : never;

type Moment = { readonly rows: ReadonlyMap<string, TextRow>; readonly clock: number | undefined; readonly end: Position };

function play({ intents: list, offsets, sizes, gaps, canaries }: Minutes): { transactions: PlainTransaction[]; moments: Moment[] } {
  const table = new SourceTable();
  const transactions: PlainTransaction[] = [];
  const moments: Moment[] = [];
  let commitTimeMs = start;
  let clock: number | undefined;
  for (let at = 0, number = 0; at < list.length; number++) {
    commitTimeMs += gaps[number]!;
    const events = list.slice(at, at + sizes[number]!).map((intent, index) => {
      const time = new Date(commitTimeMs + offsets[at + index]!).toISOString();
      return table.do({ ...intent, row: { ...intent.row, event_ts: time } });
    });
    at += events.length;
    for (const event of events) {
      if (event.op === 'insert' || event.op === 'update') clock = Math.max(clock ?? Number.NEGATIVE_INFINITY, Math.min(Date.parse(event.row['event_ts']!), commitTimeMs) * 1000);
    }
    const canary = canaries[number];
    const canaryMs = canary == null ? undefined : commitTimeMs - canary;
    if (canaryMs !== undefined) clock = Math.max(clock ?? Number.NEGATIVE_INFINITY, canaryMs * 1000);
    const lsn = 1000n + BigInt(number) * 100n;
    transactions.push({ lsn, commitTimeMs, events, ...(canaryMs !== undefined && { canaryMs }) });
    const ordinals = events.reduce((sum, event) => sum + (event.op === 'update' && event.old['id'] !== event.row['id'] ? 2 : 1), 0);
    moments.push({ rows: new Map(table.rows), clock, end: position(1, lsn, ordinals) });
  }
  return { transactions, moments };
}

function cutAt(transactions: readonly PlainTransaction[], cuts: ReadonlySet<number>): readonly Segment[] {
  const builder = new SegmentBuilder(pipeline, { epoch: 1, from: zero });
  let event = 0;
  for (const transaction of transactions) {
    const inside = transaction.events.flatMap((_, place) => (cuts.has(event + place) ? [place] : []));
    builder.transaction(transaction, new Set(inside));
    if (cuts.has(event)) builder.cut();
    event += transaction.events.length;
  }
  return builder.cut().segments;
}

const cutSets = fc.uniqueArray(fc.nat(60), { maxLength: 12 }).map((list) => new Set(list));

describe('Redis live', () => {
  test('E11, I6: at the end of every transaction it equals the plain rule, however the stream is cut', async () => {
    await using place = await open();
    await fc.assert(
      fc.asyncProperty(minutes, cutSets, async (input, cuts) => {
        await place.redis.flushdb();
        const sink = place.make();
        await sink.finishLoad(zero);
        const { transactions, moments } = play(input);
        const segments = cutAt(transactions, cuts);
        let fence: Position = zero;
        for (const { rows: table, clock, end } of moments) {
          const pieces = segments.filter(({ header }) => header.to > fence && header.from < end);
          await sink.apply(pieces, fence, end);
          fence = end;
          expect(await place.state()).toEqual(oracle(table, clock));
        }
        await sink.close();
      }),
      { numRuns: 40 },
    );
  }, 120_000);

  test('E5, I2: applying in other pieces, also inside transactions, gives the same keys and values', async () => {
    await using place = await open();
    await fc.assert(
      fc.asyncProperty(minutes, cutSets, cutSets, async (input, cutsA, cutsB) => {
        const { transactions } = play(input);
        const states = [];
        for (const cuts of [cutsA, cutsB]) {
          await place.redis.flushdb();
          const sink = place.make();
          await sink.finishLoad(zero);
          let fence: Position = zero;
          for (const segment of cutAt(transactions, cuts)) {
            await sink.apply([segment], fence, segment.header.to);
            await expect(sink.apply([segment], fence, segment.header.to)).rejects.toThrow(FenceMoved);
            fence = segment.header.to;
          }
          states.push([await place.state(), await place.redis.get('{top}:end'), await place.redis.hgetall('{top}:total'), await place.redis.get('{top}:fence')]);
          await sink.close();
        }
        expect(states[1]).toEqual(states[0]);
      }),
      { numRuns: 30 },
    );
  }, 120_000);

  test('I4: a rebuild from panes goes on like the structure that was never lost', async () => {
    await using place = await open();
    await fc.assert(
      fc.asyncProperty(minutes, fc.nat(), async (input, where) => {
        await place.redis.flushdb();
        const { transactions, moments } = play(input);
        const segments = cutAt(transactions, new Set());
        const middle = moments[where % moments.length]!;
        const sink = place.make(panesAt(segments, middle));
        expect(await sink.rebuild()).toBe(middle.end);
        expect(await place.state()).toEqual(oracle(middle.rows, middle.clock));
        if (middle.end < endOf(segments)) await sink.apply(segments, middle.end, endOf(segments));
        expect(await place.state()).toEqual(oracle(moments.at(-1)!.rows, moments.at(-1)!.clock));
        await sink.close();
      }),
      { numRuns: 30 },
    );
  }, 120_000);

  test('E13: what lies beyond maxFuture is set aside, and what lies ahead of the end waits in its pane', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.finishLoad(zero);
    const event = (id: string, ahead: number) => ({ op: 'insert', row: { id, content_id: contents[0]!, event_type: 'play', event_ts: new Date(start + ahead).toISOString() } }) as const;
    const builder = new SegmentBuilder(pipeline, { epoch: 1, from: zero });
    builder.transaction({ lsn: 10n, commitTimeMs: start, events: [event('1', 0), event('2', 50_000), event('3', 61_000)] }).cut();
    builder.transaction({ lsn: 20n, commitTimeMs: start + 60_000, events: [], canaryMs: start + 60_000 }).cut();
    builder.transaction({ lsn: 30n, commitTimeMs: start + 700_000, events: [], canaryMs: start + 700_000 }).cut();
    let fence: Position = zero;
    const scores = [];
    for (const segment of builder.segments) {
      await sink.apply([segment], fence, segment.header.to);
      fence = segment.header.to;
      scores.push(await place.redis.zscore('top', contents[0]!));
    }
    expect(scores).toEqual(['1', '2', null]);
    expect((await place.redis.keys('*')).sort()).toEqual(['{top}:end', '{top}:evicted', '{top}:fence', '{top}:generation']);
  });

  test('I3, I4: an overtaken worker is told; structures lost under a fence are noticed', async () => {
    await using place = await open();
    const sink = place.make();
    expect(await sink.readFence()).toBeUndefined();
    await sink.finishLoad(zero);
    expect(await sink.readFence()).toBe(zero);
    const { transactions } = play(fc.sample(minutes, { numRuns: 1, seed: 7 })[0]!);
    const segments = cutAt(transactions, new Set());
    await sink.apply(segments, zero, endOf(segments));
    await expect(place.make().apply(segments, zero, endOf(segments))).rejects.toThrow(FenceMoved);
    await place.redis.del('{top}:generation');
    expect(await sink.readFence()).toBeUndefined();
    await expect(sink.apply([], endOf(segments), position(9, 9n, 9))).rejects.toThrow(/structures are gone/);
    await place.redis.flushdb();
    await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(FenceMoved);
  });

  test('E11: a structure of which the server has evicted a part is lost, though fence and generation are there', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.finishLoad(zero);
    const builder = new SegmentBuilder(pipeline, { epoch: 1, from: zero });
    const plays = (lsn: bigint, id: string) => builder.transaction({ lsn, commitTimeMs: start, events: [{ op: 'insert', row: { id, content_id: contents[0]!, event_type: 'play', event_ts: new Date(start).toISOString() } }] }).cut();
    plays(10n, '1');
    plays(20n, '2');
    const [first, second] = builder.segments;
    await sink.apply([first!], zero, first!.header.to);
    await evictVolatile(place.redis);
    expect(await place.redis.keys('{top}:content:*')).toEqual([]);
    expect(await sink.readFence()).toBe(first!.header.to);
    await expect(sink.apply([second!], first!.header.to, second!.header.to)).rejects.toThrow(/structures are gone/);
    expect(await sink.readFence()).toBeUndefined();
    // what went before it was made anew does not count any more
    await sink.rebuild();
    await sink.apply(builder.segments, zero, second!.header.to);
    expect(await place.redis.zscore('top', contents[0]!)).toBe('2');
  });

  test('a first load waits for that of the panes', async () => {
    await using place = await open();
    await expect(place.make().finishLoad(position(1, 5n, 0))).rejects.toThrow(/load up to .* is not finished/);
  });

  test('I3: panes that were read before the next load do not take the place of that load', async () => {
    await using place = await open();
    const now = position(2, 5n, 0);
    const panesOf = (fence: Position) => place.make(async () => ({ ...(await empty()), fence }));
    await panesOf(now).finishLoad(now);
    const zombie = panesOf(position(1, 9n, 9));
    await expect(zombie.finishLoad(zero)).rejects.toThrow(FenceMoved);
    await expect(zombie.rebuild()).rejects.toThrow(FenceMoved);
    expect(await zombie.readFence()).toBe(now);
    // what is lost anyway may be made of any
    await place.redis.del('{top}:generation');
    expect(await zombie.rebuild()).toBe(position(1, 9n, 9));
  });

  test('E11: panes that were read before it was made anew of newer ones do not take its place, though the fence is the same', async () => {
    await using place = await open();
    await place.make().finishLoad(zero);
    const older = place.make(async () => {
      const panes = await empty();
      await place.make(empty).rebuild();
      return panes;
    });
    await expect(older.rebuild()).rejects.toThrow(FenceMoved);
    await expect(place.make().rebuild()).resolves.toBe(zero);
  });

  test('a key that somebody else uses is said in a sentence, and left alone', async () => {
    await using place = await open();
    await place.redis.set('top', 'mine');
    await expect(place.make().finishLoad(zero)).rejects.toThrow(ConfigurationError);
    expect(await place.redis.get('top')).toBe('mine');
  });

  test('what it has of a key stays while its lane stands still for an hour, and goes when nobody comes back', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.finishLoad(zero);
    const row = { id: '1', content_id: contents[0]!, event_type: 'play', event_ts: new Date(start).toISOString() };
    const { segments } = new SegmentBuilder(pipeline, { epoch: 1, from: zero }).transaction({ lsn: 10n, commitTimeMs: start, events: [{ op: 'insert', row }] }).cut();
    await sink.apply(segments, zero, endOf(segments));
    const [windowMs, hourMs] = [600_000, 3_600_000];
    const leftMs = await place.redis.pttl(`{top}:content:${contents[0]}`);
    expect([leftMs > windowMs + hourMs, leftMs < 2 * windowMs + hourMs]).toEqual([true, true]);
  });

  test('I3: a script that failed half-way leaves no fence to go on from', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.finishLoad(zero);
    await place.redis.set(`{top}:total`, 'not a hash');
    const row = { id: '1', content_id: contents[0]!, event_type: 'play', event_ts: new Date(start).toISOString() };
    const { segments } = new SegmentBuilder(pipeline, { epoch: 1, from: zero }).transaction({ lsn: 10n, commitTimeMs: start, events: [{ op: 'insert', row }] }).cut();
    await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(/WRONGTYPE/);
    expect(await sink.readFence()).toBeUndefined();
    await place.redis.del('{top}:total');
    expect(await sink.rebuild()).toBe(zero);
  });

  test('E11: a server that evicts keys is refused', async () => {
    await using place = await open();
    await place.redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      await expect(place.make().readFence()).rejects.toThrow('CONFIG SET maxmemory-policy noeviction');
    } finally {
      await place.redis.config('SET', 'maxmemory-policy', 'noeviction');
    }
  });

  test('a key with a hash tag of its own keeps it', async () => {
    await using place = await open('{tenant}:top');
    await place.make().finishLoad(zero);
    expect(await place.redis.get('{tenant}:top:fence')).toBe(zero);
  });
});

/** The panes that an aggregate lane would have at a moment. */
function panesAt(segments: readonly Segment[], { end, clock }: Moment): ReadPanes {
  const [set] = paneSetsOf(pipeline);
  const folder = new Folder(pipeline.source.events, set!, pipeline.settings.maxFutureMs);
  const emptied = segments.flatMap(({ truncates }) => truncates).filter(({ position: at }) => at <= end).at(-1)?.position ?? origin;
  for (const segment of segments) folder.add(segment, { fromTransaction: 0, toTransaction: segment.transactions.count, after: emptied, upTo: end });
  const panes = folder.take().deltas;
  return async () => ({ fence: end, clockUs: clock, panes });
}
