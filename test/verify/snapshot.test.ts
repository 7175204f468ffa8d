import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { SourceSnapshot } from '../../connectors/verification/source-snapshot.ts';
import { openWorkingDatabase } from '../../connectors/verification/working-database.ts';
import { resolve } from '../../core/define/resolve.ts';
import definition from '../../pipelines/trending.ts';
import { until } from '../capture/captured-source.ts';
import { throwAwayDatabase } from '../embedded/services.ts';

test.each([
  ['and its slot came in time', 20_000],
  ['and its slot comes too late', 300],
])('a snapshot whose connection was lost while it waited, %s, leaves no slot in the source', async (_, waitMs) => {
  await using database = await throwAwayDatabase();
  await using stack = new AsyncDisposableStack();
  const connect = async () => {
    const client = stack.adopt(new Client({ connectionString: database.url }), (each) => each.end());
    await client.connect();
    return client;
  };
  const [source, writer] = [await connect(), await connect()];
  await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
  const pipeline = resolve(definition, {});
  const slots = async () => (await source.query("select from pg_replication_slots where slot_name like 'sluice_verify_%' and database = current_database()")).rowCount;
  await writer.query('begin; select pg_current_xact_id()');
  const taking = SourceSnapshot.take(database.url, pipeline, waitMs);
  const ended = taking.then(() => 'taken', (error: Error) => error.message);
  await until(async () => (await slots()) === 1, 'its slot waits for the transaction');
  await source.query("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and application_name = $1", [`sluice ${pipeline.name} verify`]);
  if (waitMs < 1_000) await ended;
  await writer.query('commit');
  expect(await ended).toMatch(/terminat|not queryable/);
  await until(async () => (await slots()) === 0, 'the slot is gone');
});

test('a column that the source has no more is named, and what to look at', async () => {
  await using database = await throwAwayDatabase();
  await using stack = new AsyncDisposableStack();
  const source = stack.adopt(new Client({ connectionString: database.url }), (each) => each.end());
  await source.connect();
  await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
  const pipeline = resolve(definition, {});
  await source.query(`alter table ${pipeline.source.events.relation} rename column viewed_at to seen_at`);
  const snapshot = stack.adopt(await SourceSnapshot.take(database.url, pipeline, 20_000), (each) => each.close());
  const working = stack.adopt(await openWorkingDatabase(database.url), (each) => each.end());
  await expect(snapshot.copy(pipeline.source.events, working, 'rows', new AbortController().signal)).rejects.toThrow(/^Table (?:public\.)?post_views is not as trending knows it: column "viewed_at" does not exist\. Compare it when its stream has followed: see \.\/sluice status, and \.\/sluice migrations trending$/);
});
