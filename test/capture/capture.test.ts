import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DimensionStore } from '../../core/capture/dimension-store.ts';
import { replayDimension } from '../../core/capture/dimension-replay.ts';
import { postgresText } from '../../core/columns/postgres-text.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { Position } from '../../core/position.ts';
import { origin, parsePosition, positionAt } from '../../core/position.ts';
import { Operation } from '../../core/segment.ts';
import type { Segment } from '../../core/segment.ts';
import { noRecord } from '../../connectors/postgres/column-watch.ts';
import { capture } from '../../connectors/postgres/capture.ts';
import type { CaptureOptions, CaptureResult } from '../../connectors/postgres/capture.ts';
import { firstLoad } from '../../connectors/postgres/first-load.ts';
import { connectSource } from '../../connectors/postgres/postgres-source.ts';
import type { Confirmed, TableIds } from '../../connectors/postgres/shard-state.ts';
import { ConfigurationError } from '../../connectors/sink.ts';
import type { Sink } from '../../connectors/sink.ts';
import type { Appender, SegmentLog } from '../../connectors/spool/segment-log.ts';
import { openSegmentLog } from '../../connectors/spool/open-segment-log.ts';
import { systemClock } from '../../connectors/system-clock.ts';
import definition from '../../pipelines/engagement.ts';
import type { ThrowAway } from '../embedded/services.ts';
import { throwAwayDatabase } from '../embedded/services.ts';

const pipeline = resolve(definition, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' });

/** Rows by key as the segments tell them, with the position that made them: the plain fold that sinks must equal. */
class Fold {
  readonly rows = new Map<string, { position: Position; row: Record<string, string | null> }>();

  take(segment: Segment, after: Position): void {
    const changes: { position: Position; key: string; row: Record<string, string | null> | undefined; order: number }[] = [];
    for (const batch of segment.batches) {
      if (batch.table !== 'events') continue;
      for (let row = 0; row < batch.rows; row++) {
        const position = positionAt(batch.positions, row);
        const key = postgresText(batch.columns.get('id')!, row)!;
        if (batch.image === 'after') changes.push({ position, key, row: Object.fromEntries([...batch.columns].map(([name, vector]) => [name, postgresText(vector, row)])), order: 1 });
        else if (batch.operations[row] === Operation.delete) changes.push({ position, key, row: undefined, order: 0 });
      }
    }
    for (const { table, position } of segment.truncates) if (table === 'events') changes.push({ position, key: '*', row: undefined, order: 0 });
    changes.sort((a, b) => (a.position === b.position ? a.order - b.order : a.position < b.position ? -1 : 1));
    for (const { position, key, row } of changes) {
      if (position <= after && position !== after) continue;
      if (key === '*') this.rows.clear();
      else if (row) this.rows.set(key, { position, row });
      else this.rows.delete(key);
    }
  }
}

describe('capture', () => {
  let database: ThrowAway;
  let source: Client;
  let directory: string;
  let log: SegmentLog & Appender;
  let start: Position;
  let shard: CaptureOptions['shard'] & { readonly tables: TableIds; readonly confirmed: Confirmed };
  const fold = new Fold();
  let fence: Position = origin;

  beforeAll(async () => {
    database = await throwAwayDatabase();
    directory = await mkdtemp(join(tmpdir(), 'sluice-capture-'));
    source = new Client({ connectionString: database.url });
    await source.connect();
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    await source.query("set timezone = 'UTC'");
    await source.query(`insert into content select gen_random_uuid(), 'slug-' || g, 'Title ' || g, (array['podcast','newsletter','video'])[1 + g % 3], case when g % 4 > 0 then 60 * g end, now() from generate_series(1, 20) g`);
    await insertEvents(500);
    log = await openSegmentLog({ directory, shard: pipeline.name });
  }, 60_000);

  afterAll(async () => {
    await source?.end();
    await rm(directory, { recursive: true, force: true });
    await database?.[Symbol.asyncDispose]();
  });

  async function insertEvents(count: number): Promise<void> {
    await source.query(
      `insert into engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
       select (select id from content where g = g order by random() limit 1), case when g % 5 > 0 then gen_random_uuid() end, (array['play','pause','finish','click'])[1 + g % 4],
              now() - random() * interval '1 hour', case when g % 7 > 0 then (random() * 100000)::int end, 'device ' || g % 6, jsonb_build_object('n', g)
         from generate_series(1, $1::int) g`,
      [count],
    );
  }

  /** Captures while `during` runs, until the position of a marker written after it has come. */
  async function captureDuring(during: () => Promise<void>): Promise<CaptureResult> {
    const controller = new AbortController();
    const dimensions = async (at: Position) => {
      const stores = new Map(Object.entries(pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)]));
      for (const segment of [...loaded, ...seen]) for (const [name, store] of stores) replayDimension(store, name, segment, origin, at);
      return stores;
    };
    const running = capture({
      pipeline, log, connect: () => connectSource(database.url, pipeline, shard.tables), clock: systemClock, captureId: crypto.randomUUID(), shard, readConfirmed: async () => shard.confirmed, recordConfirmed: async (confirmed) => void (shard = { ...shard, confirmed }), start: (await log.tail())?.to ?? start, after: await log.tail(), reached: (await log.tail())?.to ?? start,
      dimensionsAt: dimensions, fences: () => new Map([['fold', fence]]), columns: noRecord, signal: controller.signal, onProgress: () => {},
    });
    const reading = readUntilMarker();
    await during();
    await source.query("insert into engagement_events (event_type, event_ts, device) values ('pause', now(), 'marker')");
    await Promise.race([reading, running]);
    controller.abort();
    return running;
  }

  const seen: Segment[] = [];
  const loaded: Segment[] = [];

  async function readUntilMarker(): Promise<void> {
    for (;;) {
      const segments = await log.read(fence, { maxRows: 10_000 }, AbortSignal.timeout(20_000));
      if (segments.length === 0) throw new Error('the marker did not come within 20 s');
      for (const segment of segments) {
        if (segment.header.to <= fence) continue;
        fold.take(segment, fence);
        seen.push(segment);
        fence = segment.header.to;
      }
      const marker = [...fold.rows].find(([, { row }]) => row['device'] === 'marker');
      if (marker) {
        await source.query('delete from engagement_events where id = $1', [marker[0]]);
        fold.rows.delete(marker[0]);
        return;
      }
    }
  }

  async function expectEqual(): Promise<void> {
    const { rows } = await source.query<Record<string, string | null>>(
      `select e.id::text, e.content_id::text, e.user_id::text, e.event_type, e.event_ts::text, e.duration_ms::text, e.device, e.raw_payload::text
         from engagement_events e where device is distinct from 'marker' order by e.id`,
    );
    const columns = Object.keys(pipeline.source.events.columns);
    const told = [...fold.rows.values()]
      .filter(({ row }) => row['device'] !== 'marker')
      .map(({ row }) => Object.fromEntries(columns.map((name) => [name, row[name]!])))
      .sort((a, b) => Number(a['id']) - Number(b['id']));
    expect(told).toEqual(rows);
  }

  test('E28: the first load reads every row at (epoch, S, 0), enriched', async () => {
    const recorder: Sink = {
      readFence: async () => undefined,
      apply: async () => ({ events: 0 }),
      load: async (chunk) => void loaded.push(chunk),
      finishLoad: async () => {},
      close: async () => {},
    };
    const { position, rows, systemIdentifier, tables } = await firstLoad({ pipeline, sourceUrl: database.url, epoch: 1, sinks: new Map([['fold', recorder]]), assertCurrent: async () => {}, signal: new AbortController().signal, onProgress: () => {} });
    expect(rows).toBe(520);
    for (const chunk of loaded) fold.take(chunk, origin);
    start = position;
    shard = { epoch: 1, systemIdentifier, tables, confirmed: { lsn: parsePosition(position).lsn, to: position, timeline: undefined } };
    fence = position;
    for (const { position: at } of fold.rows.values()) expect(at).toBe(position);
    await expectEqual();
    const { rows: expected } = await source.query<Record<string, string>>(
      `select e.id::text, c.title, ((e.duration_ms::float8 / 1000) / nullif(c.length_seconds, 0) * 100)::text as pct from engagement_events e left join content c on c.id = e.content_id order by e.id`,
    );
    const told = [...fold.rows.values()].map(({ row }) => ({ id: row['id'], title: row['title'], pct: row['engagement_pct'] })).sort((a, b) => Number(a.id) - Number(b.id));
    expect(told).toEqual(expected);
  });

  test('inserts, updates, deletes, key changes, rollbacks, savepoints and large values arrive as they are', async () => {
    const { reason } = await captureDuring(async () => {
      await insertEvents(300);
      await source.query("update engagement_events set event_ts = event_ts - interval '1 day', raw_payload = null where id % 9 = 0");
      await source.query('delete from engagement_events where id % 11 = 0');
      await source.query('update engagement_events set id = id + 1000000 where id % 13 = 0');
      await source.query('begin');
      await insertEvents(50);
      await source.query('rollback');
      await source.query('begin');
      await insertEvents(20);
      await source.query('savepoint s');
      await source.query('delete from engagement_events where id % 2 = 0');
      await source.query('rollback to s');
      await insertEvents(5);
      await source.query('commit');
      // out-of-line storage: the update below does not send it again
      await source.query(`update engagement_events set raw_payload = (select jsonb_build_object('big', string_agg(md5(g::text), '')) from generate_series(1, 5000) g) where id = 1`);
      await source.query("update engagement_events set device = 'touched' where id = 1");
    });
    expect(reason).toBe('stopped');
    await expectEqual();
    expect(fold.rows.get('1')!.row['raw_payload']!.length).toBeGreaterThan(100_000);
  });

  test('E16: rows get the dimension version of their place in the stream', async () => {
    await captureDuring(async () => {
      await source.query("insert into content values ('00000000-0000-4000-8000-000000000001', 'moving', 'First', 'video', 10, now())");
      const insert = () => source.query("insert into engagement_events (content_id, event_type, event_ts, duration_ms, device) values ('00000000-0000-4000-8000-000000000001', 'play', now(), 5000, 'e16')");
      await insert();
      await source.query('begin');
      await insert();
      await source.query("update content set title = 'Second', length_seconds = 0 where slug = 'moving'");
      await insert();
      await source.query('commit');
    });
    // a restarted capture goes on with that state, not with today's table
    await captureDuring(async () => {
      await source.query("insert into engagement_events (content_id, event_type, event_ts, duration_ms, device) values ('00000000-0000-4000-8000-000000000001', 'play', now(), 5000, 'e16')");
    });
    const titles = [...fold.rows.values()].filter(({ row }) => row['device'] === 'e16').map(({ row }) => [row['title'], row['engagement_pct']]);
    expect(titles).toEqual([['First', '50'], ['First', '50'], ['Second', null], ['Second', null]]);
    await expectEqual();
  });

  test('E8: TRUNCATE is an event at its place', async () => {
    await captureDuring(async () => {
      await source.query('begin');
      await insertEvents(10);
      await source.query('truncate engagement_events');
      await insertEvents(7);
      await source.query('commit');
    });
    expect(fold.rows.size).toBe(7);
    await expectEqual();
  });

  test('I5, E3: the chain has no gap and no fork, each capture begins with its claim, and a second capture ends the first', async () => {
    let second: Promise<CaptureResult> | undefined;
    const stop = new AbortController();
    const first = await captureDuring(async () => {
      const other = await openSegmentLog({ directory, shard: pipeline.name });
      const takeOver = async (): Promise<CaptureResult> => capture({
        pipeline, log: other, connect: () => connectSource(database.url, pipeline, shard.tables), clock: systemClock, captureId: crypto.randomUUID(), shard, readConfirmed: async () => shard.confirmed, recordConfirmed: async (confirmed) => void (shard = { ...shard, confirmed }), start: (await log.tail())?.to ?? start, after: await log.tail(), reached: (await log.tail())?.to ?? start,
        dimensionsAt: async () => new Map(Object.entries(pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)])),
        fences: () => new Map(), columns: noRecord, signal: stop.signal, onProgress: () => {},
      }).catch((error: Error) => {
        // the first one took the slot after the second had looked: tried again, as every step is
        if (/is active for PID/.test(error.message)) return takeOver();
        throw error;
      });
      second = takeOver();
      second.catch(() => {});
      await insertEvents(20);
    }).catch((error: unknown) => error);
    // it lost an append, or the connection that the second one took over
    expect(first instanceof Error || (first as CaptureResult).reason === 'superseded' || (first as CaptureResult).reason === 'stopped').toBe(true);
    stop.abort();
    await second;
    const whole = await openSegmentLog({ directory, shard: pipeline.name });
    let at = start;
    const claims = [];
    const controller = new AbortController();
    while (at < (await whole.tail())!.to) {
      for (const { header } of await whole.read(at, { maxRows: 1e6 }, controller.signal)) {
        if (header.kind === 'claim') claims.push(header.captureId);
        if (header.kind === 'events' && header.to > at) {
          expect(header.from).toBe(at);
          at = header.to;
        }
      }
    }
    expect(new Set(claims).size).toBe(claims.length);
  });

  test('a definition that does not fit the source parks with what to type', async () => {
    const attempt = async (more: Partial<typeof shard> = {}, url = database.url, begin: Partial<CaptureOptions> = {}) =>
      capture({
        pipeline, log, connect: () => connectSource(url, pipeline, { ...shard, ...more }.tables), clock: systemClock, captureId: crypto.randomUUID(), shard: { ...shard, ...more }, readConfirmed: async () => ({ ...shard, ...more }).confirmed, recordConfirmed: async (confirmed) => void (shard = { ...shard, confirmed }), start: (await log.tail())?.to ?? start, after: await log.tail(), reached: (await log.tail())?.to ?? start,
        dimensionsAt: async () => new Map(), fences: () => new Map(), columns: noRecord, signal: AbortSignal.timeout(10_000), onProgress: () => {}, ...begin,
      });
    await source.query('alter table engagement_events replica identity default');
    await expect(attempt()).rejects.toThrow(/ALTER TABLE .*engagement_events REPLICA IDENTITY FULL/);
    await source.query('alter table engagement_events replica identity full');
    // E1: another server, or a past that it no longer has
    await expect(attempt({ systemIdentifier: '1' })).rejects.toThrow(/another server/);
    // E6: the slot was moved by somebody else; the spool that had what was confirmed is gone
    await source.query("insert into engagement_events (event_type, event_ts) values ('pause', now())");
    await source.query("select pg_replication_slot_advance('sluice_engagement', pg_current_wal_lsn())");
    await expect(attempt()).rejects.toThrow(/advanced it or made it again/);
    // nor is a spool given up for what the source does not have
    const startsOver = { startsOver: true, start, after: undefined };
    await expect(attempt({ confirmed: { ...shard.confirmed!, to: start } }, database.url, startsOver)).rejects.toThrow(/advanced it or made it again/);
    // what the source had still when it was decided, another capture may have let it forget meanwhile
    await expect(attempt({}, database.url, startsOver)).rejects.toThrow(/another capture .* has let its source forget more/);
    expect(await log.tail()).toBeDefined();
    await expect(attempt({ confirmed: { lsn: 1n << 60n, to: 'f'.repeat(32) as Position, timeline: undefined } })).rejects.toThrow(/the spool was lost/);
    // what the publication leaves out never comes
    await source.query('alter publication sluice_engagement drop table engagement_events');
    await expect(attempt()).rejects.toThrow(/publication sluice_engagement does not have table public.engagement_events/);
    await source.query("alter publication sluice_engagement add table engagement_events where (id > 0)");
    await expect(attempt()).rejects.toThrow(/leaves out a part/);
    await source.query('alter publication sluice_engagement set table engagement_events, content');
    await expect(attempt({ tables: { ...shard.tables, 'public.content': 1 } })).rejects.toThrow(/not the one that was loaded/);
    // a role that lost its rights
    await source.query('create role without_rights login password $$secret$$');
    const url = Object.assign(new URL(database.url), { username: 'without_rights', password: 'secret' }).href;
    const refused: unknown = await attempt({}, url).catch((reason: unknown) => reason);
    await source.query('drop role without_rights');
    expect(refused).toBeInstanceOf(ConfigurationError);
    expect(String(refused)).toMatch(/source of pipeline engagement: permission denied.*GRANT/s);
    await source.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', ['sluice_engagement']);
    await expect(attempt()).rejects.toThrow(/slot sluice_engagement .* is gone/);
  });
});
