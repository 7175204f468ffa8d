import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pipelineStatuses } from '../../client/pipelines.ts';
import { parseLsn } from '../../core/position.ts';
import { OwnServer } from '../capture/own-server.ts';
import { Product } from './product.ts';

/** The product as its users run it, with a source that keeps little WAL, while somebody makes up his mind. */
describe('while a migration waits', { timeout: 180_000 }, () => {
  let server: OwnServer;
  let product: Product;

  beforeAll(async () => {
    // of what it keeps for a slot, a pipeline lets half be kept
    server = await OwnServer.make(40);
    await server.start({ max_slot_wal_keep_size: '256MB' });
    product = await Product.up(server.url);
    await write('device', 200);
  }, 180_000);

  afterAll(async () => {
    await product?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  /** Inserts, updates and deletes; `device`: what that column is called now. */
  async function write(device: string, count: number): Promise<void> {
    await product.source.query(`insert into engagement_events (content_id, event_type, event_ts, duration_ms, ${device}) select $1, (array['play', 'finish', 'click'])[1 + g % 3], now() - g % 100 * interval '100 ms', 1000 + g, 'd' || g from generate_series(1, $2::int) g`, [product.content, count]);
    await product.source.query("update engagement_events set event_type = 'finish' where id % 17 = 0 and event_ts > now() - interval '20 s'; delete from engagement_events where id % 23 = 0");
  }

  /** The source may forget what is committed now. */
  async function untilForgotten(): Promise<void> {
    const { rows: [now] } = await product.source.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
    // nothing that any pipeline wants to know of, and more than may be kept
    for (let written = 0; written < 136; written += 8) await product.source.query("select pg_logical_emit_message(false, 'other', repeat('x', 1 << 20)) from generate_series(1, 8)");
    const forgotten = async () => {
      const { rows: [slot] } = await product.source.query<{ lsn: string; status: string }>("select confirmed_flush_lsn::text as lsn, wal_status as status from pg_replication_slots where slot_name = 'sluice_engagement'");
      return slot!.status !== 'lost' && parseLsn(slot!.lsn) >= parseLsn(now!.lsn);
    };
    await expect.poll(forgotten, { timeout: 60_000, interval: 200 }).toBe(true);
  }

  async function keptBytes(): Promise<number> {
    const directory = join(product.dataDir, 'spool', 'engagement', 'undecided');
    const names = (await readdir(directory)).filter((name) => name.endsWith('.segment'));
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  test.each(['approve', 'reject'] as const)('10,000 changes are kept, also by a worker that is killed, the source forgets them, and after %s all is equal', async (decision) => {
    const number = await product.nextNumber();
    const [before, after] = number === 1 ? ['device', 'gadget'] : ['gadget', 'thing'];
    await product.source.query(`alter table engagement_events rename column ${before} to ${after}`);
    await write(after!, 5_000);
    await product.newest(number, 'waiting');
    await untilForgotten();
    product.killWorker();
    await write(after!, 5_000);
    await untilForgotten();
    await product.newest(number, 'waiting');
    expect(await keptBytes()).toBeGreaterThan(500_000);
    await product.decide(number, decision);
    product.killWorker();
    await product.expectVerified();
    expect(await keptBytes()).toBeLessThan(64 << 10);
    await write(after!, 200);
    await product.expectVerified();
  });

  test('another change that comes meanwhile is asked about where it is', async () => {
    const number = await product.nextNumber();
    await product.source.query('alter table engagement_events rename column duration_ms to length_ms');
    const insert = (columns: string, values: string) => product.source.query(`insert into engagement_events (content_id, event_type, event_ts, ${columns}) select $1, 'play', now(), ${values} from generate_series(1, 2000) g`, [product.content]);
    await insert('length_ms', 'g');
    await product.newest(number, 'waiting');
    const seen = async () => {
      const { rows: [slot] } = await product.source.query<{ active: boolean }>("select active from pg_replication_slots where slot_name = 'sluice_engagement'");
      return [(await pipelineStatuses(product.config, ['engagement']))[0]!.capture?.state, slot!.active];
    };
    expect(await product.sluice('pause', 'engagement', '--lane', 'capture')).toMatchObject({ code: 0 });
    expect(await seen()).toEqual(['paused', false]);
    expect(await product.sluice('resume', 'engagement', '--lane', 'capture')).toMatchObject({ code: 0 });
    await expect.poll(seen, { timeout: 20_000 }).toEqual(['migrating', true]);
    await product.source.query('begin');
    await insert('length_ms', 'g + 1');
    await product.source.query('alter table engagement_events rename column length_ms to took_ms');
    await insert('took_ms', 'g + 2');
    await product.source.query('commit');
    await product.source.query('alter table content rename column title to headline');
    await product.source.query("update content set headline = 'Second'");
    await insert('took_ms', 'g + 3');
    await untilForgotten();
    await product.decide(number, 'approve');
    await product.newest(number + 1, 'waiting');
    await insert('took_ms', 'g + 4');
    await untilForgotten();
    await product.decide(number + 1, 'approve');
    await product.newest(number + 2, 'waiting');
    product.killWorker();
    await insert('took_ms', 'g + 5');
    await product.decide(number + 2, 'reject');
    await product.expectVerified();
  });
});
