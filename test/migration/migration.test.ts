import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient, type ClickHouseClient } from '@clickhouse/client';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { followBackfill } from '../../client/backfills.ts';
import { decideMigration, listMigrations } from '../../client/migrations.ts';
import { pausePipeline, resumePipeline } from '../../client/pipelines.ts';
import { verifyPipeline } from '../../client/verify.ts';
import type { Config } from '../../core/config.ts';
import { throwAwayDatabase, type ThrowAway } from '../embedded/services.ts';
import { Product } from './product.ts';

/** The product as its users run it, with every kind of sink, while they change the tables of its source. */
describe('DDL in the source', { timeout: 120_000 }, () => {
  let database: ThrowAway;
  let product: Product;
  let source: Client;
  let content: string;
  let config: Config;

  beforeAll(async () => {
    database = await throwAwayDatabase();
    product = await Product.up(database.url);
    ({ source, content, config } = product);
    await write('device');
  }, 120_000);

  afterAll(async () => {
    await product?.[Symbol.asyncDispose]();
    await database?.[Symbol.asyncDispose]();
  });

  function connectClickhouse(): ClickHouseClient & AsyncDisposable {
    const client = createClient({ url: config.clickhouseUrl });
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
  }

  /** Some inserts, updates and deletes; `device`: what that column is called now, `durations`: which there may be. */
  async function write(device: string | undefined, durations = [1_000, 90_000], more: Readonly<Record<string, string>> = {}): Promise<void> {
    const columns = { content_id: `'${content}'`, event_type: "(array['play', 'finish', 'click'])[1 + g % 3]", event_ts: "now() - g * interval '100 ms'", duration_ms: `(array[${durations.join()}]::bigint[])[1 + g % ${durations.length}]`, ...(device === undefined ? {} : { [device]: "'d' || g" }), ...more };
    await source.query(`insert into engagement_events (${Object.keys(columns).join()}) select ${Object.values(columns).join()} from generate_series(1, 200) g`);
    await source.query("update engagement_events set event_type = 'finish' where id % 17 = 0; delete from engagement_events where id % 23 = 0");
  }

  /** What the panes from then on have counted of `duration_ms`, for an hour. */
  async function secondsOf(from: Date): Promise<string> {
    const state = new Client({ connectionString: config.stateUrl });
    await state.connect();
    try {
      const { rows: [found] } = await state.query<{ seconds: string }>('select coalesce(sum(seconds), 0)::text as seconds from sluice.panes_engagement_top10m where pane_ms >= $1 and pane_ms < $1 + 3600000', [from.getTime()]);
      return found!.seconds;
    } finally {
      await state.end();
    }
  }

  test('an added column that the definition does not name is on record, and nothing stops', async () => {
    await source.query('alter table engagement_events add column more text');
    await write('device', undefined, { more: "'x'" });
    await product.expectVerified();
    const { changes, text } = await product.newest(1, 'unneeded');
    expect(changes).toEqual([{ table: 'events', changes: [{ kind: 'added', column: 'more', type: 'text', typeName: 'text' }] }]);
    expect(text).toBeNull();
  });

  test('a wider type is followed without asking, also if the worker dies while a table is changed', async () => {
    await using clickhouse = connectClickhouse();
    const open = async () => (await clickhouse.query({ query: "SELECT command FROM system.mutations WHERE table = 'engagement_enriched' AND NOT is_done", format: 'JSONEachRow' })).json();
    await clickhouse.command({ query: 'SYSTEM STOP MERGES engagement_enriched' });
    await source.query('alter table engagement_events alter column duration_ms type bigint');
    await write('device', [3_000_000_000, 5]);
    await expect.poll(async () => (await open()).length, { timeout: 20_000 }).toBe(1);
    product.killWorker();
    await clickhouse.command({ query: 'SYSTEM START MERGES engagement_enriched' });
    await product.newest(2, 'done');
    await product.expectVerified();
  });

  test('a renamed column waits, lanes have what came before, and approved it is read by its new name', async () => {
    await source.query('alter table engagement_events rename column device to gadget');
    await write('gadget');
    const { text } = await product.newest(3, 'waiting');
    expect(text).toContain('column device was renamed to gadget');
    await expect(verifyPipeline(config, 'engagement')).rejects.toThrow(/migrating \(migration 3 of its source's columns is not over: \.\/sluice migrations engagement\)/);
    expect(await product.sluice('reconcile', 'engagement')).toMatchObject({ code: 2, output: expect.stringMatching(/^Migration 3 of its source's columns waits for a decision\. Compare it after that: \.\/sluice migrations engagement$/m) as string });
    expect((await product.sluice('status')).output).toContain("migration 3 of its source's columns waits for your decision: ./sluice migrations engagement");
    const behind = /events\.duration_ms is bigint now; events\.device is gadget now, which pipelines\/engagement\.ts does not say\. Change it there before \.\/sluice destroy engagement/;
    expect(await product.sluice('approve', 'engagement')).toMatchObject({ code: 0, output: expect.stringMatching(behind) as string });
    await product.newest(3, 'done');
    expect(await product.sluice('migrations', 'engagement')).toMatchObject({ code: 0, output: expect.stringMatching(behind) as string });
    expect(await product.sluice('approve', 'engagement', '--number', '3')).toMatchObject({ code: 2, output: expect.stringMatching(/^Migration 3 of engagement is done \(approve\), and only one that waits can be decided\. See: \.\/sluice migrations engagement$/m) as string });
    expect(await product.sluice('reject', 'engagement', '--number', '99')).toMatchObject({ code: 2, output: expect.stringMatching(/^engagement has no migration 99\. See/m) as string });
    await product.expectVerified();
  });

  test('in a transaction between its rows, twice in a row', async () => {
    await source.query('begin');
    await write('gadget');
    await source.query('alter table engagement_events rename column gadget to thing');
    await write('thing');
    await source.query('alter table engagement_events rename column thing to device');
    await write('device');
    await source.query('commit');
    await product.newest(4, 'waiting');
    await product.decide(4, 'approve');
    await product.newest(5, 'waiting');
    await product.decide(5, 'approve');
    await product.expectVerified();
  });

  test('while the capture is down, and another column has got the name', async () => {
    await pausePipeline(config, 'engagement');
    await write('device');
    await source.query('alter table engagement_events rename column device to old_device; alter table engagement_events add column device text');
    await write('old_device', undefined, { device: "'new'" });
    await resumePipeline(config, 'engagement');
    const { text } = await product.newest(6, 'waiting');
    expect(text).toContain('column device was renamed to old_device');
    await product.decide(6, 'approve');
    await product.expectVerified();
  });

  test('a rename that was rejected leaves the column empty, and whoever renames it back is asked whether it is read again; that and a dimension\'s, without a row that shows them, within 30 s', async () => {
    await source.query('alter table engagement_events rename column old_device to third');
    await write('third');
    await product.newest(7, 'waiting');
    await product.decide(7, 'reject');
    await write('third');
    await product.expectVerified();
    await source.query('alter table engagement_events rename column third to old_device; alter table content rename column title to headline');
    const startedAt = performance.now();
    const { text } = await product.newest(8, 'waiting');
    expect(performance.now() - startedAt).toBeLessThan(30_000);
    expect(text).toContain('events.device is read again');
    expect(text).toContain('content.title is read from headline');
    await product.decide(8, 'approve');
    await source.query('update engagement_events set old_device = old_device');
    await product.expectVerified();
  });

  test('another type of a mere value, which its sink refuses as long as rows have other values', async () => {
    await using clickhouse = connectClickhouse();
    // older versions of the rows stay
    await clickhouse.command({ query: 'SYSTEM STOP MERGES engagement_enriched' });
    await source.query("update engagement_events set old_device = '7' where old_device is not null");
    await source.query('alter table engagement_events alter column old_device type integer using old_device::integer');
    await source.query("insert into engagement_events (content_id, event_type, event_ts, old_device) select $1, 'play', now(), g from generate_series(1, 50) g", [content]);
    const { text } = await product.newest(9, 'waiting');
    expect(text).toContain('events.device is NULL from there on; rows of enriched can no more be repaired or written again alone, but only by a load of everything');
    expect(text).toContain('ALTER TABLE `engagement_enriched` MODIFY COLUMN `device` Nullable(Int32)');
    await decideMigration(config, 'engagement', 'approve', 9);
    await expect.poll(async () => (await listMigrations(config, 'engagement'))[0]!.error, { timeout: 20_000 }).toMatch(/rows have values of device that Nullable\(Int32\) cannot hold/);
    await clickhouse.command({ query: 'SYSTEM START MERGES engagement_enriched' });
    await product.decide(9, 'reject');
    await product.expectVerified();
    expect(await product.sluice('recover', 'engagement', '--lane', 'enriched', '--yes')).toMatchObject({ code: 1, output: expect.stringMatching(/^Rows of enriched cannot be written again alone: the source of engagement has no more what device had before, .*: \.\/sluice recover engagement$/m) as string });
  });

  test('a dropped column is removed from rows and tables', async () => {
    await source.query('alter table engagement_events drop column raw_payload');
    await write(undefined);
    await product.newest(10, 'waiting');
    await product.decide(10, 'approve');
    await using clickhouse = connectClickhouse();
    const there = async () => (await clickhouse.query({ query: "SELECT name FROM system.columns WHERE table = 'engagement_enriched'", format: 'JSONEachRow' })).json<{ name: string }>();
    await expect.poll(async () => (await there()).map(({ name }) => name), { timeout: 20_000 }).not.toContain('raw_payload');
    await product.expectVerified();
  });

  test('a column of a dimension that is rejected enriches nothing any more', async () => {
    await source.query('alter table content rename column content_type to kind');
    await source.query("update content set kind = 'podcast', headline = 'Second'");
    await product.newest(11, 'waiting');
    await product.decide(11, 'reject');
    await write(undefined);
    await product.expectVerified();
  });

  test('a load that finds other columns than the pipeline has is refused with the reason, and ends the migration', async () => {
    await source.query('alter table engagement_events rename column duration_ms to length_ms');
    await source.query("insert into engagement_events (content_id, event_type, event_ts, length_ms) values ($1, 'play', now(), 7)", [content]);
    await product.newest(12, 'waiting');
    // that its columns are others is what the migration asks about, not a mistake of the definition
    expect((await product.sluice('apply', 'engagement')).output).toMatch(/migration 12 of its source's columns is not over.*\n +mend: \.\/sluice migrations engagement\n[^]*has no column duration_ms/);
    const { code, output } = await product.sluice('recover', 'engagement', '--yes');
    expect({ code, output }).toMatchObject({ code: 1, output: expect.stringMatching(/Migration 12 .* is not over[^]*has no column duration_ms/) as string });
    await product.newest(12, 'cancelled');
    await source.query('alter table engagement_events rename column length_ms to duration_ms');
    await resumePipeline(config, 'engagement');
    await product.expectVerified();
  });

  test('a backfill that goes on meanwhile does not take from panes what a rejected column has counted', async () => {
    const next = await product.nextNumber();
    const longAgo = new Date(Math.floor(Date.now() / 3_600_000 - 2) * 3_600_000);
    await source.query("insert into engagement_events (content_id, event_type, event_ts, duration_ms) select $1, 'play', $2::timestamptz + g * interval '1 s', 1000 from generate_series(1, 2000) g", [content, longAgo]);
    await product.expectVerified();
    const range = ['--from', longAgo.toISOString(), '--to', new Date(longAgo.getTime() + 3_600_000).toISOString()];
    expect(await product.sluice('backfill', 'engagement', ...range, '--views', 'top10m')).toMatchObject({ code: 0 });
    const before = await secondsOf(longAgo);
    expect(before).toBe('2000000');
    const { code, output } = await product.sluice('backfill', 'engagement', ...range, '--views', 'top10m', '--chunk-rows', '10', '--speed', '10', '--detach', '--json');
    expect({ code, output }).toMatchObject({ code: 0 });
    await source.query(`alter table engagement_events rename column duration_ms to length_ms; insert into engagement_events (content_id, event_type, event_ts, length_ms) values ('${content}', 'play', '${longAgo.toISOString()}', 7)`);
    await product.newest(next, 'waiting');
    await product.decide(next, 'reject');
    const { workflowId } = JSON.parse(output) as { workflowId: string };
    await expect(followBackfill(config, workflowId, () => {})).rejects.toThrow(/cannot be computed anew: they count by a column that the source/);
    expect(await secondsOf(longAgo)).toBe(before);
    await source.query('alter table engagement_events rename column length_ms to duration_ms');
    await product.newest(next + 1, 'waiting');
    await product.decide(next + 1, 'approve');
    // the time between has it after a backfill, as the migration said, and rows of elsewhere with their next change
    expect(await product.sluice('backfill', 'engagement', ...range, '--views', 'top10m,leaderboard')).toMatchObject({ code: 0 });
    expect(await secondsOf(longAgo)).toBe(String(Number(before) + 7));
    await source.query('update engagement_events set duration_ms = duration_ms where duration_ms = 7');
    await product.expectVerified();
  });

  test('a lane that lacks what the spool has lost does not keep a migration waiting for ever', async () => {
    const next = await product.nextNumber();
    expect(await product.sluice('pause', 'engagement', '--lane', 'enriched')).toMatchObject({ code: 0 });
    await write(undefined);
    await source.query('alter table engagement_events rename column duration_ms to length_ms');
    await source.query("insert into engagement_events (content_id, event_type, event_ts, length_ms) values ($1, 'play', now(), 7)", [content]);
    await product.newest(next, 'waiting');
    await decideMigration(config, 'engagement', 'approve', next);
    await expect.poll(async () => (await listMigrations(config, 'engagement'))[0]!.error, { timeout: 20_000 }).toMatch(/waiting until all that came before the change is in enriched/);
    product.killWorker();
    await rm(join(product.dataDir, 'spool', 'engagement'), { recursive: true });
    const { error } = await product.newest(next, 'cancelled');
    expect(error).toMatch(/^enriched will never have what came before the change: the spool has lost it/);
    await resumePipeline(config, 'engagement');
    expect(await product.sluice('resume', 'engagement', '--lane', 'enriched')).toMatchObject({ code: 0 });
    await product.newest(next, 'waiting');
    await product.decide(next, 'approve');
    await product.expectVerified();
    await source.query('alter table engagement_events rename column length_ms to duration_ms');
    await product.newest(next + 1, 'waiting');
    await product.decide(next + 1, 'approve');
  });

  test('what nobody can follow parks the pipeline with the reason', async () => {
    const next = await product.nextNumber();
    await source.query('alter table engagement_events drop column event_ts');
    await source.query("insert into engagement_events (content_id, event_type) values ($1, 'play')", [content]);
    await product.newest(next, 'impossible');
    await expect.poll(async () => (await product.sluice('status')).output, { timeout: 20_000 }).toMatch(/it is the event time.*\.\/sluice recover engagement/);
    expect((await product.sluice('approve', 'engagement')).code).toBe(2);
  });
});
