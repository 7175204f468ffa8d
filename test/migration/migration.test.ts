import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ListedMigration } from '../../client/migrations.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { throwAwayDatabase, type ThrowAway } from '../embedded/services.ts';

const portBase = inject('portBase') + 50;
const dataDir = join(checkout, '.sluice', 'test', String(portBase));

/** The product as its users run it, with every kind of sink, while they change the tables of its source. */
describe('DDL in the source', { timeout: 120_000 }, () => {
  let database: ThrowAway;
  let source: Client;
  let content = '';

  beforeAll(async () => {
    await rm(dataDir, { recursive: true, force: true });
    database = await throwAwayDatabase();
    source = new Client({ connectionString: database.url });
    await source.connect();
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    const { rows } = await source.query<{ id: string }>("insert into content (id, slug, title, content_type, publish_ts) values (gen_random_uuid(), 'first', 'First', 'video', now()) returning id::text");
    content = rows[0]!.id;
    const { code, output } = await sluice('up', '--detach', '--port-base', String(portBase), '--rate', '0');
    if (code !== 0) throw new Error(output);
    await write('device');
  }, 120_000);

  afterAll(async () => {
    await sluice('down');
    await source?.end();
    await database?.[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });

  function sluice(...args: string[]): Promise<{ code: number; output: string }> {
    return new Promise((resolve) => {
      execFile(join(checkout, 'sluice'), [...args, '--data', dataDir], { env: { ...process.env, SLUICE_SOURCE_URL: database.url }, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, output: error ? stdout + stderr : stdout });
      });
    });
  }

  /** Some inserts, updates and deletes; `device`: what that column is called now, `durations`: which there may be. */
  async function write(device: string | undefined, durations = [1_000, 90_000], more: Readonly<Record<string, string>> = {}): Promise<void> {
    const columns = { content_id: `'${content}'`, event_type: "(array['play', 'finish', 'click'])[1 + g % 3]", event_ts: "now() - g * interval '100 ms'", duration_ms: `(array[${durations.join()}]::bigint[])[1 + g % ${durations.length}]`, ...(device === undefined ? {} : { [device]: "'d' || g" }), ...more };
    await source.query(`insert into engagement_events (${Object.keys(columns).join()}) select ${Object.values(columns).join()} from generate_series(1, 200) g`);
    await source.query("update engagement_events set event_type = 'finish' where id % 17 = 0; delete from engagement_events where id % 23 = 0");
  }

  async function expectVerified(): Promise<void> {
    const { code, output } = await sluice('verify', 'engagement');
    if (code !== 0) throw new Error(`verify ended with ${code}:\n${output}\n${(await sluice('status')).output}\n${(await sluice('migrations', 'engagement')).output}`);
  }

  async function migrations(): Promise<ListedMigration[]> {
    return JSON.parse((await sluice('migrations', 'engagement', '--json')).output) as ListedMigration[];
  }

  /** The newest change, once it is in this state. */
  async function newest(number: number, state: ListedMigration['state']): Promise<ListedMigration> {
    let found: ListedMigration | undefined;
    await expect.poll(async () => ((found = (await migrations())[0])?.number === number ? found.state : `number ${found?.number}`), { timeout: 40_000, interval: 300 }).toBe(state);
    return found!;
  }

  async function decide(decision: 'approve' | 'reject'): Promise<void> {
    expect(await sluice(decision, 'engagement')).toMatchObject({ code: 0 });
  }

  test('an added column that the definition does not name is on record, and nothing stops', async () => {
    await source.query('alter table engagement_events add column more text');
    await write('device', undefined, { more: "'x'" });
    await expectVerified();
    const { changes, text } = await newest(1, 'unneeded');
    expect(changes).toEqual([{ table: 'events', changes: [{ kind: 'added', column: 'more', type: 'text', typeName: 'text' }] }]);
    expect(text).toBeNull();
  });

  test('a wider type is followed without asking', async () => {
    await source.query('alter table engagement_events alter column duration_ms type bigint');
    await write('device', [3_000_000_000, 5]);
    await newest(2, 'done');
    await expectVerified();
  });

  test('a renamed column waits, lanes have what came before, and approved it is read by its new name', async () => {
    await source.query('alter table engagement_events rename column device to gadget');
    await write('gadget');
    const { text } = await newest(3, 'waiting');
    expect(text).toContain('column device was renamed to gadget');
    expect((await sluice('verify', 'engagement')).output).toContain('migrating');
    expect((await sluice('status')).output).toMatch(/migrat/);
    await decide('approve');
    await newest(3, 'done');
    await expectVerified();
  });

  test('in a transaction between its rows, twice in a row', async () => {
    await source.query('begin');
    await write('gadget');
    await source.query('alter table engagement_events rename column gadget to thing');
    await write('thing');
    await source.query('alter table engagement_events rename column thing to device');
    await write('device');
    await source.query('commit');
    await newest(4, 'waiting');
    await decide('approve');
    await newest(5, 'waiting');
    await decide('approve');
    await newest(5, 'done');
    await expectVerified();
  });

  test('another type of a mere value, which its sink refuses as long as rows have other values', async () => {
    await source.query("update engagement_events set device = '7' where device is not null");
    await source.query('alter table engagement_events alter column device type integer using device::integer');
    await source.query("insert into engagement_events (content_id, event_type, event_ts, device) select $1, 'play', now(), g from generate_series(1, 50) g", [content]);
    const { text } = await newest(6, 'waiting');
    expect(text).toContain('ALTER TABLE `engagement_enriched` MODIFY COLUMN `device` Nullable(Int32)');
    await decide('approve');
    await expect.poll(async () => (await migrations())[0]!.error, { timeout: 20_000 }).toMatch(/rows have values of device that Nullable\(Int32\) cannot hold/);
    await decide('reject');
    await newest(6, 'done');
    await expectVerified();
  });

  test('a dropped column is removed from rows and tables', async () => {
    await source.query('alter table engagement_events drop column raw_payload');
    await write(undefined);
    await newest(7, 'waiting');
    await decide('approve');
    await newest(7, 'done');
    await expectVerified();
  });

  test('a change that no row shows is seen within 30 s, also of a dimension; what is counted by it can only stay empty', async () => {
    await source.query('alter table content rename column content_type to kind');
    const startedAt = performance.now();
    await newest(8, 'waiting');
    expect(performance.now() - startedAt).toBeLessThan(30_000);
    await decide('approve');
    await newest(8, 'done');
    await source.query("update content set kind = 'podcast', title = 'Second'");
    await write(undefined);
    await expectVerified();
  });

  test('what nobody can follow parks the pipeline with the reason', async () => {
    await source.query('alter table engagement_events drop column event_ts');
    await source.query("insert into engagement_events (content_id, event_type) values ($1, 'play')", [content]);
    await newest(9, 'impossible');
    await expect.poll(async () => (await sluice('status')).output, { timeout: 20_000 }).toContain('it is the event time');
    expect((await sluice('approve', 'engagement')).code).toBe(2);
  });
});
