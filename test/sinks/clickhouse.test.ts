import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { createClient } from '@clickhouse/client';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rewrittenSink } from '../../activities/rewritten-sink.ts';
import type { ClickHouseSink } from '../../connectors/clickhouse/clickhouse-sink.ts';
import { clickhouseSink } from '../../connectors/clickhouse/clickhouse-sink.ts';
import { ConfigurationError, FenceMoved } from '../../connectors/sink.ts';
import { TransientError } from '../../connectors/transient-error.ts';
import type { Position } from '../../core/position.ts';
import { origin, parsePosition, position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import type { TextRow } from '../../core/segment-builder.ts';
import { throwAwayClickhouse } from '../embedded/services.ts';
import { listen } from './servers.ts';
import type { Intent } from './stream.ts';
import { contents, endOf, intents, pipeline, segmentsOf, start, streamOf, titles } from './stream.ts';

const definition = { kind: 'clickhouse', table: 'enriched', orderBy: ['event_ts', 'id'], partitionBy: 'event_ts', gatherMs: 0 } as const;
const zero = position(1, 0n, 0);

async function open() {
  const database = await throwAwayClickhouse();
  const client = createClient({ url: database.url });
  const sinks: ClickHouseSink[] = [];
  const make = (table = 'enriched', url = database.url) => {
    const sink = clickhouseSink(pipeline, 'enriched', { ...definition, table }, url);
    sinks.push(sink);
    return sink;
  };
  const query = async (sql: string) => (await client.query({ query: sql, format: 'JSONEachRow' })).json<Record<string, unknown>>();
  return {
    url: database.url,
    make,
    query,
    command: (sql: string) => client.command({ query: sql }),
    rows: () => query(`SELECT toString(id) AS id, toString(event_ts) AS event_ts, toString(content_id) AS content_id, toString(user_id) AS user_id, event_type, toString(duration_ms) AS duration_ms, device, raw_payload, title, content_type, engagement_seconds, engagement_pct FROM enriched FINAL ORDER BY enriched.id`),
    async [Symbol.asyncDispose]() {
      for (const sink of sinks) await sink.close();
      await client.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** The same database by way of another address. */
function through(address: string, url: string): string {
  return Object.assign(new URL(url), { host: new URL(address).host }).href;
}

/** `body`: of the request, if it was read already. `without`: a header of the answer. */
function forward(to: string, incoming: IncomingMessage, outgoing: ServerResponse, { body, without }: { readonly body?: Buffer | undefined; readonly without?: string | undefined } = {}): void {
  const { hostname: host, port } = new URL(to);
  const upstream = request({ host, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (answer) => {
    outgoing.writeHead(answer.statusCode!, Object.fromEntries(Object.entries(answer.headers).filter(([name]) => name !== without)));
    answer.pipe(outgoing);
  });
  if (body) upstream.end(body);
  else incoming.pipe(upstream);
}

/** What ClickHouse shows of a source row: clamped, enriched. */
function expected(rows: Iterable<TextRow>): Record<string, unknown>[] {
  return [...rows].map((row) => {
    const place = contents.indexOf(row['content_id'] ?? '');
    const isKnown = place >= 0 && place < titles.length;
    const seconds = row['duration_ms'] == null ? null : Number(row['duration_ms']) / 1000;
    const given = Object.fromEntries(['id', 'content_id', 'user_id', 'event_type', 'duration_ms', 'device', 'raw_payload'].map((name) => [name, row[name] ?? null]));
    return {
      ...given,
      event_ts: stored(row['event_ts']!),
      title: isKnown ? `Title ${place} "ü"` : null,
      content_type: isKnown ? 'video' : null,
      engagement_seconds: seconds,
      engagement_pct: isKnown && place > 0 && seconds !== null ? (seconds / (place * 100)) * 100 : null,
    };
  }).sort((a, b) => Number((a as TextRow)['id']) - Number((b as TextRow)['id']));
}

function stored(time: string): string {
  if (time.startsWith('-') || time.endsWith('BC') || time.startsWith('1899')) return '1900-01-01 00:00:00.000000';
  if (time === 'infinity' || time.startsWith('9999')) return '2299-12-31 23:59:59.999999';
  return time.endsWith('Z') ? time.replace('T', ' ').replace('Z', '000') : time.replace('+00', '');
}

/** Of the table `enriched`, beside which there is an empty one. */
const replacements: readonly (readonly [how: string, statements: readonly string[]])[] = [
  ['dropped and made again', ['DROP TABLE enriched SYNC', 'CREATE TABLE enriched AS other']],
  ['exchanged', ['EXCHANGE TABLES enriched AND other']],
  ['replaced', ['CREATE OR REPLACE TABLE enriched AS other']],
];

describe('ClickHouse', () => {
  test('I2, E5: any grouping and any repetition of the same events gives the rows of the source', async () => {
    await using place = await open();
    await place.make().create();
    const cuts = fc.uniqueArray(fc.nat(70), { maxLength: 6 }).map((list) => new Set(list));
    await fc.assert(
      fc.asyncProperty(intents, fc.integer({ min: 1, max: 9 }), cuts, cuts, fc.nat(60), async (list, size, cutsA, cutsB, back) => {
        for (const table of ['enriched', 'sluice_fence']) await place.command(`TRUNCATE TABLE ${table}`);
        const sink = place.make();
        const { segments, table, transactions } = streamOf(list, size, cutsA);
        await sink.finishLoad(zero);
        let fence: Position = zero;
        for (const segment of segments) {
          await sink.apply([segment], fence, segment.header.to);
          fence = segment.header.to;
        }
        expect(await place.rows()).toEqual(expected(table.rows.values()));
        // The fence is lost and lags by some events; the spool is lost too, so the segments have other cuts.
        const again = segmentsOf(transactions, cutsB);
        const { lsn } = parsePosition(endOf(again));
        const lagging = position(1, lsn > BigInt(back) * 10n ? lsn - BigInt(back) * 10n : 0n, back % 3);
        await place.command('TRUNCATE TABLE sluice_fence');
        await sink.finishLoad(zero);
        await place.command(`INSERT INTO sluice_fence (pipeline, lane, target, position) SELECT pipeline, lane, target, toUInt128('${BigInt(`0x${lagging}`)}') FROM sluice_fence`);
        await sink.apply(again, lagging, endOf(again));
        expect(await sink.readFence()).toBe(endOf(again));
        expect(await place.rows()).toEqual(expected(table.rows.values()));
      }),
      { numRuns: 25 },
    );
  }, 120_000);

  test('E4, E10: an insert is answered once it is on disk, and none is gathered by the server', async () => {
    await using place = await open();
    const asked: URL[] = [];
    await using front = await listen(createServer((incoming, outgoing) => {
      asked.push(new URL(incoming.url!, place.url));
      forward(place.url, incoming, outgoing);
    }));
    const sink = place.make('enriched', through(front.address, place.url));
    await sink.create();
    await sink.finishLoad(zero);
    const { segments } = streamOf([{ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z' } }], 1, new Set());
    await sink.apply(segments, zero, endOf(segments));
    for (const name of ['enriched', 'sluice_fence']) {
      const [table] = await place.query(`SELECT engine_full FROM system.tables WHERE name = '${name}' AND database = currentDatabase()`);
      expect(table!['engine_full']).toMatch(/fsync_after_insert = 1.*fsync_part_directory = 1/);
    }
    expect(asked.some((url) => url.searchParams.get('query')?.startsWith('INSERT'))).toBe(true);
    for (const url of asked) expect(url.searchParams.get('async_insert')).toBe('0');
  });

  test('a moved sort key leaves one row, also when it moves between days and back', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.create();
    await sink.finishLoad(zero);
    const row = { content_id: contents[1]!, event_ts: '2026-11-21 10:00:00+00' };
    const move = (event_ts: string): Intent => ({ kind: 'move', slot: 0, row: { event_ts } });
    const { segments } = streamOf([{ kind: 'insert', slot: 0, row }, move('2026-11-20 10:00:00+00'), move('infinity'), move('9999-01-01 00:00:00+00'), move('2026-11-21 10:00:00+00')], 1, new Set());
    expect(await sink.apply(segments, zero, endOf(segments))).toEqual({ events: 5 });
    expect(await place.rows()).toMatchObject([{ id: '1', event_ts: '2026-11-21 10:00:00.000000' }]);
    // infinity and 9999 are one time here
    expect(await place.query('SELECT uniqExact(event_ts, id) AS n FROM enriched')).toEqual([{ n: 3 }]);
  });

  test('E10: a row of years is split into inserts of at most 90 days', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.create();
    const days = Array.from({ length: 300 }, (_, day): Intent => ({ kind: 'insert', slot: 0, row: { event_ts: new Date(start - ((day * 7) % 300) * 86_400_000).toISOString(), device: `d${day}` } }));
    const { segments, table } = streamOf(days, 300, new Set());
    for (const segment of segments) await sink.load(segment);
    expect(await place.rows()).toEqual(expected(table.rows.values()));
  });

  test('E8: a truncate is tombstones below its position, and one that a zombie repeats spares newer rows', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.create();
    await sink.finishLoad(zero);
    const row = { event_ts: '2026-11-21T10:00:00.000Z' };
    const { segments, table } = streamOf([{ kind: 'insert', slot: 0, row }, { kind: 'truncate', slot: 0, row }, { kind: 'insert', slot: 0, row }], 1, new Set());
    await sink.apply(segments, zero, endOf(segments));
    expect(await place.rows()).toEqual(expected(table.rows.values()));
    await expect(place.make().apply(segments, zero, endOf(segments))).rejects.toThrow(FenceMoved);
    expect(await place.rows()).toEqual(expected(table.rows.values()));
  });

  test('E10, E17: rows of a time that a snapshot does not have are buried, if the mark of its load is there; in a table that was set back none is, and one that is overtaken is told', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.create();
    const base = position(1, 100n, 0);
    const mark = { backfill: 'one', at: position(1, 100n, 1) };
    const put = (id: number, second: number, at: Position) => place.command(`INSERT INTO enriched (id, event_ts, _position, _deleted) VALUES (${id}, fromUnixTimestamp64Milli(${start + second * 1000}), ${BigInt(`0x${at}`)}, 0)`);
    const living = async () => (await place.query('SELECT toString(id) AS id FROM enriched FINAL ORDER BY enriched.id')).map(({ id }) => id);
    await put(1, 5, position(1, 90n, 1));
    await put(2, 5, base);
    await put(3, 15, position(1, 90n, 2));
    await put(4, 6, position(1, 110n, 1));
    const range = { fromMs: start, toMs: start + 10_000 };
    const bury = (of = mark) => sink.buryMissing('event_ts', range, base, of);
    expect(await bury()).toBe(false);
    expect(await living()).toEqual(['1', '2', '3', '4']);
    await sink.mark(mark);
    expect(await bury()).toBe(true);
    expect(await living()).toEqual(['2', '3', '4']);
    // a mark is no fence of the lane
    expect(await sink.readFence()).toBeUndefined();
    await sink.mark({ backfill: 'another', at: position(1, 200n, 1) });
    expect(await bury()).toBe(true);
    await sink.mark({ backfill: 'one', at: position(1, 200n, 1) });
    await put(5, 7, position(1, 95n, 1));
    await expect(bury()).rejects.toThrow(FenceMoved);
    expect(await living()).toEqual(['2', '3', '4', '5']);
  });

  test('E28: rows of a load that was lost are buried by the next one', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.create();
    expect(await sink.readFence()).toBeUndefined();
    const { segments } = streamOf([{ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21 10:00:00+00' } }], 1, new Set());
    await sink.load(segments[0]!);
    expect(await place.rows()).toHaveLength(1);
    await sink.finishLoad(position(2, 50n, 0));
    expect(await place.rows()).toHaveLength(0);
    expect(await sink.readFence()).toBe(position(2, 50n, 0));
  });

  test.each(replacements)('E28, I3: a table that was %s in the middle of a load gets no fence', async (_, statements) => {
    await using place = await open();
    const sink = place.make();
    await sink.create();
    await place.command('CREATE TABLE other AS enriched');
    const { segments } = streamOf([{ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z' } }], 1, new Set());
    await sink.load(segments[0]!);
    for (const statement of statements) await place.command(statement);
    await sink.load(segments[0]!);
    await expect(sink.finishLoad(position(2, 50n, 0))).rejects.toThrow('table enriched in ClickHouse was made anew or exchanged while it was loaded: that begins once more');
    expect(await sink.readFence()).toBeUndefined();
    // the next attempt has a sink of its own
    const again = place.make();
    await again.load(segments[0]!);
    await again.finishLoad(position(3, 50n, 0));
    expect(await again.readFence()).toBe(position(3, 50n, 0));
  });

  test('E28: a worker that stood still during a later load brings nothing back, neither of its load nor of its lane', async () => {
    await using place = await open();
    await place.make().create();
    const sink = place.make();
    const { segments } = streamOf([{ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z' } }], 1, new Set());
    await sink.finishLoad(zero);
    // the row was deleted between the two loads
    await place.make().finishLoad(position(2, 50n, 0));
    await expect(place.make().load(segments[0]!)).rejects.toThrow(FenceMoved);
    expect(await place.rows()).toEqual([]);
    await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(FenceMoved);
    expect(await place.rows()).toEqual([]);
  });

  test.each([{ knows: 'the table' }, { knows: 'nothing yet' }])('E28: nor does one whose insert was on its way meanwhile, which knows $knows', async ({ knows }) => {
    await using place = await open();
    await place.make().create();
    await place.make().finishLoad(zero);
    const [arrived, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using slow = await listen(createServer(async (incoming, outgoing) => {
      if (decodeURIComponent(incoming.url!).includes('Native')) {
        arrived.resolve();
        await goOn.promise;
      }
      forward(place.url, incoming, outgoing);
    }));
    const { segments } = streamOf([{ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z' } }], 1, new Set());
    const sink = place.make('enriched', through(slow.address, place.url));
    if (knows === 'the table') await sink.readFence();
    const applying = sink.apply(segments, zero, endOf(segments)).catch((error: unknown) => error);
    await arrived.promise;
    await place.make().finishLoad(position(2, 50n, 0));
    goOn.resolve();
    expect(await applying).toBeInstanceOf(FenceMoved);
    expect(await place.rows()).toEqual([]);
    expect(await place.query('SELECT count() AS rows FROM enriched WHERE _deleted = 0')).toMatchObject([{ rows: 1 }]);
  });

  test('E20: nor does one of its lane from before that was detached, or of an earlier attempt to load it, when the load has joined it to its stream', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.create();
    await sink.finishLoad(zero);
    const { segments } = streamOf([{ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z' } }], 1, new Set());
    // the row was deleted before that, which left no tombstone of it
    await sink.finishLoad(position(1, 5000n, 0));
    await expect(place.make().apply(segments, zero, endOf(segments))).rejects.toThrow(FenceMoved);
    await place.make().load(segments[0]!);
    expect(await place.rows()).toEqual([]);
  });

  describe('all rows written again from a snapshot', () => {
    const at = position(1, 5000n, 0);
    const mark = { backfill: 'one', at };
    const one = streamOf([{ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z' } }], 1, new Set());

    test('E17: what the snapshot does not have is buried, and the lane goes on from it', async () => {
      await using place = await open();
      const sink = place.make();
      await sink.create();
      await sink.finishLoad(zero);
      await sink.apply(one.segments, zero, endOf(one.segments));
      await sink.mark(mark);
      expect(await place.rows()).toHaveLength(1);
      await sink.finishRewrite(await sink.target(), mark, at);
      expect(await place.rows()).toEqual([]);
      expect(await sink.readFence()).toBe(at);
    });

    test('I3: no fence for a table that was made again meanwhile, whoever else has begun there', async () => {
      await using place = await open();
      const sink = place.make();
      await sink.create();
      const target = await sink.target();
      await sink.mark(mark, target);
      await place.command('DROP TABLE enriched SYNC');
      await sink.create();
      await expect(sink.finishRewrite(target, mark, at)).rejects.toThrow('table enriched in ClickHouse was made anew or set back while the rows of lane enriched were written again');
      expect(await sink.readFence()).toBeUndefined();
      await sink.mark({ backfill: 'another', at: position(1, 6000n, 0) });
      const made = await sink.target();
      await expect(sink.finishRewrite(made, mark, at)).rejects.toThrow('that begins once more');
      // as one that was set back to the middle of it
      await sink.mark(mark, made);
      await expect(sink.finishRewrite(made, { backfill: 'one', at: position(1, 5000n, 1) }, at)).rejects.toThrow('that begins once more');
      expect(await sink.readFence()).toBeUndefined();
    });

    test.each(replacements)('E10, I3: nor for one that was %s while an insert was on its way, though all later ones were marked', async (_, statements) => {
      await using place = await open();
      const sink = place.make();
      await sink.create();
      await place.command('CREATE TABLE other AS enriched');
      let replaced: readonly string[] = [];
      const load = async (rows: Segment) => {
        for (const statement of replaced) await place.command(statement);
        await sink.load(rows);
      };
      const rewrite = rewrittenSink('one', sink, { load }, { rewritten: async () => {} });
      const base = one.segments[0]!.header.to;
      await rewrite.begin(base);
      await rewrite.load(one.segments[0]!);
      replaced = statements;
      await rewrite.load(one.segments[0]!);
      replaced = [];
      await expect(rewrite.load(one.segments[0]!)).rejects.toThrow('that begins once more');
      await expect(rewrite.finish(base)).rejects.toThrow('that begins once more');
      expect(await sink.readFence()).toBeUndefined();
    });

    test('a worker that stood still meanwhile brings nothing back, neither of an earlier attempt nor of its lane', async () => {
      await using place = await open();
      const sink = place.make();
      await sink.create();
      await sink.finishLoad(zero);
      await sink.mark(mark);
      await sink.finishRewrite(await sink.target(), mark, at);
      // the row was deleted before the snapshot, which left no tombstone of it
      await place.make().load(one.segments[0]!);
      expect(await place.rows()).toEqual([]);
      await expect(place.make().apply(one.segments, zero, endOf(one.segments))).rejects.toThrow(FenceMoved);
      expect(await place.rows()).toEqual([]);
      expect(await place.query('SELECT count() AS rows FROM enriched WHERE _deleted = 0')).not.toEqual([{ rows: 0 }]);
    });

    test('what the stream has written from above the snapshot stays', async () => {
      await using place = await open();
      const sink = place.make();
      await sink.create();
      await sink.finishLoad(zero);
      const early = position(1, 1n, 0);
      await sink.mark({ backfill: 'one', at: early });
      await sink.apply(one.segments, zero, endOf(one.segments));
      await sink.finishRewrite(await sink.target(), { backfill: 'one', at: early }, early);
      expect(await place.rows()).toHaveLength(1);
      expect(await sink.readFence()).toBe(endOf(one.segments));
    });
  });

  test('I4: a fence is not taken for that of another table of the same name', async () => {
    await using place = await open();
    const sink = place.make();
    await sink.create();
    await sink.finishLoad(zero);
    await place.command('DROP TABLE enriched SYNC');
    await sink.create();
    expect(await sink.readFence()).toBeUndefined();
  });

  test.each([{ knows: 'the table' }, { knows: 'nothing yet' }])('I3: a worker whose fence was overtaken is told, and a late fence does not go back, which knows $knows', async ({ knows }) => {
    await using place = await open();
    const [sink, zombie] = [place.make(), place.make()];
    await sink.create();
    await sink.finishLoad(zero);
    if (knows === 'the table') await zombie.readFence();
    const { segments } = streamOf(Array.from({ length: 9 }, () => ({ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21 10:00:00+00' } }) as const), 1, new Set());
    await sink.apply(segments, zero, endOf(segments));
    await expect(zombie.apply(segments.slice(0, 1), zero, segments[0]!.header.to)).rejects.toThrow(FenceMoved);
    expect(await sink.readFence()).toBe(endOf(segments));
    expect(origin < zero).toBe(true);
  });

  const three = () => streamOf(Array.from({ length: 3 }, () => ({ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21 10:00:00+00' } }) as const), 1, new Set()).segments;

  test('E25: of two workers that apply the same, the second is told each time', async () => {
    await using place = await open();
    const [first, second] = [place.make(), place.make()];
    await first.create();
    await first.finishLoad(zero);
    for (const sink of [first, second]) await sink.readFence();
    let from: Position = zero;
    for (const segment of three()) {
      const to = segment.header.to;
      await first.apply([segment], from, to);
      await expect(second.apply([segment], from, to)).rejects.toThrow(FenceMoved);
      from = to;
    }
  });

  test.each(replacements)('E28, I3: of two workers that apply the same, the second leaves nothing in a table that was %s and loaded in between', async (_, statements) => {
    await using place = await open();
    const [first, second] = [place.make(), place.make()];
    await first.create();
    await first.finishLoad(zero);
    await place.command('CREATE TABLE other AS enriched');
    for (const sink of [first, second]) await sink.readFence();
    const segments = three();
    await first.apply(segments, zero, endOf(segments));
    for (const statement of statements) await place.command(statement);
    await place.make().finishLoad(position(2, 50n, 0));
    await expect(second.apply(segments, zero, endOf(segments))).rejects.toThrow(FenceMoved);
    expect(await place.rows()).toEqual([]);
  });

  test.each(replacements)('E10, I3: the fence of a table that was %s does not move, and back under its name it is where its rows are', async (_, statements) => {
    await using place = await open();
    const sink = place.make();
    await sink.create();
    await sink.finishLoad(zero);
    await place.command('CREATE TABLE other AS enriched');
    await sink.readFence();
    const target = await sink.target();
    for (const statement of statements) await place.command(statement);
    const segments = three();
    await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(FenceMoved);
    expect(await place.query(`SELECT leftPad(lower(hex(max(position))), 32, '0') AS position FROM sluice_fence WHERE target = '${target}'`)).toEqual([{ position: zero }]);
  });

  test('E28: rows whose fence could not be written are buried, if a later load has finished meanwhile', async () => {
    await using place = await open();
    await place.make().create();
    await place.make().finishLoad(zero);
    let broken = 0;
    await using between = await listen(createServer(async (incoming, outgoing) => {
      const body = incoming.method === 'POST' && !decodeURIComponent(incoming.url!).includes('Native') ? Buffer.concat(await incoming.toArray()) : undefined;
      if (!body?.includes('FROM system.tables') || !body.includes('INSERT INTO sluice_fence')) return forward(place.url, incoming, outgoing, { body });
      broken++;
      await place.make().finishLoad(position(2, 50n, 0));
      outgoing.destroy();
    }));
    const sink = place.make('enriched', through(between.address, place.url));
    await sink.readFence();
    const segments = three();
    await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(TransientError);
    expect(broken).toBe(1);
    expect(await place.rows()).toEqual([]);
  });

  test.each([
    { requests: 2, without: undefined },
    { requests: 5, without: 'x-clickhouse-summary' },
  ])('an apply is $requests requests through a proxy that takes $without', async ({ requests, without }) => {
    await using place = await open();
    let seen = 0;
    await using between = await listen(createServer((incoming, outgoing) => {
      seen++;
      forward(place.url, incoming, outgoing, { without });
    }));
    const sink = place.make('enriched', through(between.address, place.url));
    await sink.create();
    await sink.finishLoad(zero);
    expect(await sink.readFence()).toBe(zero);
    const segments = three();
    seen = 0;
    await sink.apply(segments, zero, endOf(segments));
    expect(seen).toBe(requests);
    expect(await sink.readFence()).toBe(endOf(segments));
  });

  test('says in a sentence what only a person can mend', async () => {
    await using place = await open();
    await place.command('CREATE TABLE enriched (id Int64) ENGINE = MergeTree ORDER BY id');
    await expect(place.make().create()).rejects.toThrow(ConfigurationError);
    await expect(place.make().create()).rejects.toThrow(/not as ReplacingMergeTree/);
    await expect(place.make('nowhere').readFence()).rejects.toThrow(/has no table nowhere/);
    const sink = place.make('mine');
    await sink.create();
    await place.command('ALTER TABLE mine DROP COLUMN device');
    await expect(sink.create()).rejects.toThrow('ALTER TABLE mine ADD COLUMN device LowCardinality(Nullable(String))');
    await sink.finishLoad(zero).catch(() => {});
    const { segments } = streamOf([{ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21 10:00:00+00' } }], 1, new Set());
    await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(ConfigurationError);
  });
});
