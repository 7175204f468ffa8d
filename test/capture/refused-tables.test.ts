import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensurePublication, readSourceCatalog } from '../../connectors/postgres/source-catalog.ts';
import { bigint, clickhouse, definePipeline, other, postgres, table, text, timestamptz } from '../../core/define-pipeline.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { Columns } from '../../core/define/tables.ts';
import { throwAwayDatabase, type ThrowAway } from '../embedded/services.ts';

describe('tables that cannot be captured are refused with what to type', () => {
  let database: ThrowAway;
  let source: Client;

  beforeAll(async () => {
    database = await throwAwayDatabase();
    source = new Client({ connectionString: database.url });
    await source.connect();
    await source.query("create type mood as enum ('ok'); create domain word as text; create domain words as text[]");
  });

  afterAll(async () => {
    await source?.end();
    await database?.[Symbol.asyncDispose]();
  });

  const definitionOf = (more: Columns) =>
    definePipeline({
      name: 'refused',
      source: postgres({ events: table('t', { id: bigint(), at: timestamptz(), ...more }, { key: 'id', eventTime: 'at' }) }),
      sinks: { rows: clickhouse({ table: 'rows', orderBy: ['at', 'id'], partitionBy: 'at' }) },
    });

  /** A table with this body, and whether a pipeline of it fits. */
  async function catalogOf(body: string, more: Columns = {}, after: readonly string[] = ['alter table t replica identity full']) {
    await source.query('drop table if exists t');
    await source.query(`create table t ${body}`);
    for (const each of after) await source.query(each);
    return readSourceCatalog(source, resolve(definitionOf(more), {}), { columns: true });
  }

  test.each([
    ['no key at all', '(id bigint, at timestamptz)'],
    ['a key of two columns', '(id bigint, at timestamptz, primary key (id, at))'],
    ['unique in a part only', '(id bigint not null, at timestamptz, exclude (id with =) where (id > 0))'],
    ['unique at the end of a transaction only', '(id bigint unique deferrable, at timestamptz)'],
  ])('%s', async (_, body) => {
    await expect(catalogOf(body)).rejects.toThrow(/^Table public\.t has no primary key or unique index on id alone.*ALTER TABLE public\.t ADD PRIMARY KEY \(id\)/);
  });

  test('a unique index is as good as a primary key, and a partitioned table may need its partition columns in it', async () => {
    await catalogOf('(id bigint unique not null, at timestamptz)');
    await catalogOf('(id bigint, at timestamptz, primary key (id, at)) partition by range (at)');
    await expect(catalogOf('(id bigint, part int, at timestamptz, primary key (id, part, at)) partition by range (at)')).rejects.toThrow(/no primary key/);
  });

  test('a partition without its own REPLICA IDENTITY FULL is named', async () => {
    const full = ['alter table t replica identity full', 'create table t1 partition of t default'];
    const partitioned = '(id bigint primary key, at timestamptz) partition by hash (id)';
    const body = partitioned.replace('hash', 'range');
    await expect(catalogOf(body, {}, full)).rejects.toThrow(/^Table t1 does not have REPLICA IDENTITY FULL.*ALTER TABLE t1 REPLICA IDENTITY FULL/);
    await catalogOf(body, {}, [...full, 'alter table t1 replica identity full']);
  });

  test('nobody waits for who alters a partition', async () => {
    const altering = new Client({ connectionString: database.url });
    await altering.connect();
    await catalogOf('(id bigint primary key, at timestamptz) partition by range (id)', {}, ['alter table t replica identity full', 'create table t1 partition of t default partition by hash (id)', 'alter table t1 replica identity full', 'create table t2 partition of t1 for values with (modulus 1, remainder 0)', 'alter table t2 replica identity full']);
    await source.query("set lock_timeout = '1s'");
    try {
      await altering.query('begin; lock table only t2 in access exclusive mode');
      await readSourceCatalog(source, resolve(definitionOf({}), {}), { columns: true });
    } finally {
      await source.query('reset lock_timeout');
      await altering.end();
    }
  });

  test('a virtual generated column is refused, though nobody declared it: the source would refuse its own updates', async () => {
    const body = '(id bigint primary key, at timestamptz, twice text generated always as (id::text || id::text) virtual)';
    await expect(catalogOf(body)).rejects.toThrow(/^Column twice of table public\.t is generated and not stored: .*DROP COLUMN twice/);
  });

  test('a stored one is published, declared or not, so that updates go on', async () => {
    const body = '(id bigint primary key, at timestamptz, twice text generated always as (id::text || id::text) stored)';
    await catalogOf(body, { twice: text() });
    await catalogOf(body);
    await source.query('insert into t values (1, now())');
    const update = () => source.query('update t set at = now()');
    await source.query('create publication plain for table t');
    await expect(update()).rejects.toThrow('cannot update table');
    await source.query('drop publication plain');
    await ensurePublication(source, resolve(definitionOf({}), {}));
    await update();
    await source.query('alter publication sluice_refused set (publish_generated_columns = none)');
    await expect(update()).rejects.toThrow('cannot update table');
    await ensurePublication(source, resolve(definitionOf({}), {}));
    await update();
    await source.query('drop publication sluice_refused');
  });

  test('enums and domains are what they are made of; everything else is other(), and the stream is sent as text', async () => {
    const body = '(id bigint primary key, at timestamptz, feeling mood, word word, words words, span int4range, took interval)';
    expect((await catalogOf(body, { feeling: text(), word: text() })).binary).toBe(true);
    expect((await catalogOf(body, { words: other(), span: other(), took: other() })).binary).toBe(false);
    await expect(catalogOf(body, { span: text() })).rejects.toThrow('Column span of table public.t is other in the source (int4range), which is declared as other(), and the definition says text.');
    await expect(catalogOf(body, { feeling: other() })).rejects.toThrow(/Column feeling .* is text in the source, and the definition says other/);
  });
});
