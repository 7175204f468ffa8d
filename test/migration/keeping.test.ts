import { execFile } from 'node:child_process';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { decideMigration, listMigrations } from '../../client/migrations.ts';
import { pipelineStatuses } from '../../client/pipelines.ts';
import { verifyPipeline } from '../../client/verify.ts';
import type { Config } from '../../core/config.ts';
import { parseLsn } from '../../core/position.ts';
import { verificationText } from '../../core/verification.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { configOf, readInstance } from '../../infra/supervisor/instance.ts';
import { OwnServer } from '../capture/own-server.ts';

const portBase = inject('portBase') + 50;
const dataDir = join(checkout, '.sluice', 'test', String(portBase));

/** The product as its users run it, with a source that keeps little WAL, while somebody makes up his mind. */
describe('while a migration waits', { timeout: 180_000 }, () => {
  let server: OwnServer;
  let source: Client;
  let config: Config;
  let content = '';

  beforeAll(async () => {
    await rm(dataDir, { recursive: true, force: true });
    // of what it keeps for a slot, a pipeline lets half be kept
    server = await OwnServer.make(40);
    await server.start({ max_slot_wal_keep_size: '256MB' });
    source = new Client({ connectionString: server.url });
    await source.connect();
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    const { rows } = await source.query<{ id: string }>("insert into content (id, slug, title, content_type, publish_ts) values (gen_random_uuid(), 'first', 'First', 'video', now()) returning id::text");
    content = rows[0]!.id;
    const { code, output } = await sluice('up', '--detach', '--port-base', String(portBase), '--rate', '0');
    if (code !== 0) throw new Error(output);
    config = configOf(dataDir);
    await write('device', 200);
  }, 180_000);

  afterAll(async () => {
    await sluice('down');
    await source?.end();
    await server?.[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });

  function sluice(...args: string[]): Promise<{ code: number; output: string }> {
    return new Promise((resolve) => {
      execFile(join(checkout, 'sluice'), [...args, '--data', dataDir], { env: { ...process.env, SLUICE_SOURCE_URL: server.url }, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, output: error ? stdout + stderr : stdout });
      });
    });
  }

  /** Inserts, updates and deletes; `device`: what that column is called now. */
  async function write(device: string, count: number): Promise<void> {
    await source.query(`insert into engagement_events (content_id, event_type, event_ts, duration_ms, ${device}) select $1, (array['play', 'finish', 'click'])[1 + g % 3], now() - g % 100 * interval '100 ms', 1000 + g, 'd' || g from generate_series(1, $2::int) g`, [content, count]);
    await source.query("update engagement_events set event_type = 'finish' where id % 17 = 0 and event_ts > now() - interval '20 s'; delete from engagement_events where id % 23 = 0");
  }

  async function waits(number: number): Promise<void> {
    await expect.poll(async () => stateOf(number), { timeout: 40_000, interval: 200 }).toBe('waiting');
  }

  async function stateOf(number: number): Promise<string | undefined> {
    return (await listMigrations(config, 'engagement')).find((each) => each.number === number)?.state;
  }

  async function nextNumber(): Promise<number> {
    return ((await listMigrations(config, 'engagement'))[0]?.number ?? 0) + 1;
  }

  async function decide(number: number, decision: 'approve' | 'reject'): Promise<void> {
    await decideMigration(config, 'engagement', decision, number);
    await expect.poll(async () => stateOf(number), { timeout: 40_000, interval: 50 }).toBe('done');
  }

  /** The source may forget what is committed now. */
  async function untilForgotten(): Promise<void> {
    const { rows: [now] } = await source.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
    // nothing that any pipeline wants to know of, and more than may be kept
    for (let written = 0; written < 136; written += 8) await source.query("select pg_logical_emit_message(false, 'other', repeat('x', 1 << 20)) from generate_series(1, 8)");
    const forgotten = async () => {
      const { rows: [slot] } = await source.query<{ lsn: string; status: string }>("select confirmed_flush_lsn::text as lsn, wal_status as status from pg_replication_slots where slot_name = 'sluice_engagement'");
      return slot!.status !== 'lost' && parseLsn(slot!.lsn) >= parseLsn(now!.lsn);
    };
    await expect.poll(forgotten, { timeout: 60_000, interval: 200 }).toBe(true);
  }

  function killWorker(): void {
    process.kill(readInstance(dataDir)!.processes.find(({ name }) => name === 'worker')!.pid, 'SIGKILL');
  }

  async function expectVerified(): Promise<void> {
    await expect.poll(async () => (await pipelineStatuses(config, ['engagement'])).map(({ state, capture }) => [state, capture?.state]), { timeout: 40_000 }).toEqual([['running', 'running']]);
    const verification = await verifyPipeline(config, 'engagement');
    if (!verification.equal) throw new Error(`${verificationText(verification)}\n${(await sluice('status')).output}\n${(await sluice('migrations', 'engagement')).output}`);
  }

  async function keptBytes(): Promise<number> {
    const directory = join(dataDir, 'spool', 'engagement', 'undecided');
    const names = (await readdir(directory)).filter((name) => name.endsWith('.segment'));
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  test.each(['approve', 'reject'] as const)('10,000 changes are kept, also by a worker that is killed, the source forgets them, and after %s all is equal', async (decision) => {
    const number = await nextNumber();
    const [before, after] = number === 1 ? ['device', 'gadget'] : ['gadget', 'thing'];
    await source.query(`alter table engagement_events rename column ${before} to ${after}`);
    await write(after!, 5_000);
    await waits(number);
    await untilForgotten();
    killWorker();
    await write(after!, 5_000);
    await untilForgotten();
    expect(await stateOf(number)).toBe('waiting');
    expect(await keptBytes()).toBeGreaterThan(500_000);
    await decide(number, decision);
    killWorker();
    await expectVerified();
    expect(await keptBytes()).toBeLessThan(64 << 10);
    await write(after!, 200);
    await expectVerified();
  });

  test('another change that comes meanwhile is asked about where it is', async () => {
    const number = await nextNumber();
    await source.query('alter table engagement_events rename column duration_ms to length_ms');
    const insert = (columns: string, values: string) => source.query(`insert into engagement_events (content_id, event_type, event_ts, ${columns}) select $1, 'play', now(), ${values} from generate_series(1, 2000) g`, [content]);
    await insert('length_ms', 'g');
    await waits(number);
    const seen = async () => {
      const { rows: [slot] } = await source.query<{ active: boolean }>("select active from pg_replication_slots where slot_name = 'sluice_engagement'");
      return [(await pipelineStatuses(config, ['engagement']))[0]!.capture?.state, slot!.active];
    };
    expect(await sluice('pause', 'engagement', '--lane', 'capture')).toMatchObject({ code: 0 });
    expect(await seen()).toEqual(['paused', false]);
    expect(await sluice('resume', 'engagement', '--lane', 'capture')).toMatchObject({ code: 0 });
    await expect.poll(seen, { timeout: 20_000 }).toEqual(['migrating', true]);
    await source.query('begin');
    await insert('length_ms', 'g + 1');
    await source.query('alter table engagement_events rename column length_ms to took_ms');
    await insert('took_ms', 'g + 2');
    await source.query('commit');
    await source.query('alter table content rename column title to headline');
    await source.query("update content set headline = 'Second'");
    await insert('took_ms', 'g + 3');
    await untilForgotten();
    await decide(number, 'approve');
    await waits(number + 1);
    await insert('took_ms', 'g + 4');
    await untilForgotten();
    await decide(number + 1, 'approve');
    await waits(number + 2);
    killWorker();
    await insert('took_ms', 'g + 5');
    await decide(number + 2, 'reject');
    await expectVerified();
  });
});
