import { Client } from 'pg';
import { expect, test } from 'vitest';
import { throwAwayDatabase } from '../../test/embedded/services.ts';
import { emitCanary } from './canary.ts';

async function connected(url: string, stack: AsyncDisposableStack): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  stack.defer(() => client.end());
  return client;
}

test('E13: the idle clock is never beyond the beginning of a transaction that has written, and a role that may not see them gives none', async () => {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await throwAwayDatabase());
  const [admin, client, writer, reader] = [await connected(database.url, stack), await connected(database.url, stack), await connected(database.url, stack), await connected(database.url, stack)];
  const nowUs = async () => Number((await admin.query<{ us: string }>('select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as us')).rows[0]!.us);
  await admin.query('create table t (id int)');
  await admin.query("select pg_create_logical_replication_slot('canaries', 'pgoutput')");
  stack.defer(async () => void (await admin.query("select pg_drop_replication_slot('canaries')")));
  /** The clock of a canary that is written now, as it comes out of the stream: microseconds, or none. */
  const clock = async () => {
    await emitCanary(client, 'p');
    const { rows } = await admin.query<{ data: Buffer }>("select data from pg_logical_slot_get_binary_changes('canaries', null, null, 'proto_version', '1', 'publication_names', 'nothing', 'messages', 'true')");
    return /(\d+|none)$/.exec(rows.map(({ data }) => data.toString('latin1')).find((data) => data.startsWith('M'))!)![0];
  };

  const before = await nowUs();
  const idle = Number(await clock());
  expect(idle).toBeGreaterThan(before);
  expect(idle).toBeLessThanOrEqual(await nowUs());

  await writer.query('begin');
  const { rows: [begun] } = await writer.query<{ us: string }>('insert into t values (1) returning (extract(epoch from now()) * 1000000)::bigint::text as us');
  expect(await clock()).toBe(begun!.us);
  await writer.query('rollback');

  // one that has only read will commit no event
  await reader.query('begin isolation level repeatable read');
  await reader.query('select from t');
  const { rows: [read] } = await reader.query<{ us: string }>('select (extract(epoch from now()) * 1000000)::bigint::text as us');
  expect(Number(await clock())).toBeGreaterThan(Number(read!.us));
  await reader.query('commit');

  const role = `canary_${process.pid}`;
  await admin.query(`create role ${role}`);
  stack.defer(async () => void (await admin.query(`drop role ${role}`)));
  await client.query(`set role ${role}`);
  expect(await clock()).toBe('none');
});
