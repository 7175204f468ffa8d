import { Client } from 'pg';
import { expect, test } from 'vitest';
import { resolve } from '../../core/define/resolve.ts';
import engagement from '../../pipelines/engagement.ts';
import { throwAwayDatabase } from '../../test/embedded/services.ts';
import { readExpectedRows } from './expected-rows.ts';

const pipeline = resolve(engagement, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1:1/events', SLUICE_EXTERNAL_SECRET: 'whsec_c2VjcmV0' });

test('so many rows are expected, whether a table was ever analysed or not; of one that is gone or held nothing is said', async () => {
  await using database = await throwAwayDatabase();
  await using stack = new AsyncDisposableStack();
  const [client, other] = [new Client({ connectionString: database.url }), new Client({ connectionString: database.url })];
  for (const each of [client, other]) {
    await each.connect();
    stack.defer(() => each.end());
  }
  // by nobody but us
  await client.query('create table engagement_events (id int, device text) with (autovacuum_enabled = false)');
  await client.query("insert into engagement_events select n, repeat('x', 100) from generate_series(1, 20000) n");
  expect(await readExpectedRows(client, pipeline)).toBeNull();

  await client.query('create table content (id int, title text) with (autovacuum_enabled = false)');
  const { rows: [known] } = await client.query<{ reltuples: number }>("select reltuples from pg_class where oid = 'engagement_events'::regclass");
  expect(known!.reltuples).toBe(-1);
  const guessed = await readExpectedRows(client, pipeline);
  expect(guessed).toBeGreaterThan(10_000);
  expect(guessed).toBeLessThan(200_000);

  await client.query("insert into content select n, 'title' from generate_series(1, 500) n");
  await client.query('analyze engagement_events, content');
  expect(await readExpectedRows(client, pipeline)).toBe(20_500);

  await other.query('begin; lock table content in access exclusive mode');
  expect(await readExpectedRows(client, pipeline)).toBeNull();
  await other.query('rollback');
  expect(await readExpectedRows(client, pipeline)).toBe(20_500);
});
