import { createClient } from '@clickhouse/client';
import { expect, test } from 'vitest';
import type { ColumnSchema } from '../../core/pipeline.ts';
import { throwAwayClickhouse } from '../../test/embedded/services.ts';
import { dropColumns, reshapeTable } from './reshape-table.ts';
import { columnsThere, createTable, type SinkTable } from './table.ts';

const column = (type: ColumnSchema['type'], nullable = false): ColumnSchema => ({ type, nullable, interned: false });
const withColumns = (columns: SinkTable['columns']): SinkTable => ({ name: 't', columns: { id: column('int8'), at: column('timestamptz'), ...columns }, orderBy: ['at', 'id'], partitionBy: 'at' });

const before = withColumns({ device: column('text', true), note: column('text') });
const approved = withColumns({ device: column('int4', true) });
const rejected = withColumns({ device: column('text', true), note: column('text', true) });
const forms = [before, approved, rejected];

async function tableOf(table: SinkTable) {
  const database = await throwAwayClickhouse();
  const client = createClient({ url: database.url });
  await createTable(client, table);
  return {
    url: database.url,
    types: async () => Object.fromEntries([...(await columnsThere(client, table))].filter(([name]) => ['device', 'note', 'extra'].includes(name))),
    command: (query: string) => client.command({ query }),
    async [Symbol.asyncDispose]() {
      await client.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

test('a table has what rows of both forms need until what no row has is dropped; done again, nothing changes', async () => {
  await using table = await tableOf(before);
  for (const _ of [1, 2]) await reshapeTable(table.url, forms, approved);
  expect(await table.types()).toEqual({ device: 'Nullable(Int32)', note: 'String' });
  for (const _ of [1, 2]) await dropColumns(table.url, forms, approved);
  expect(await table.types()).toEqual({ device: 'Nullable(Int32)' });
});

test('one that was dropped is left for whoever makes it', async () => {
  await using table = await tableOf(before);
  await table.command('DROP TABLE t');
  await reshapeTable(table.url, forms, approved);
  await dropColumns(table.url, forms, approved);
  expect(await table.types()).toEqual({});
});

test('what another decision had begun is taken back', async () => {
  await using table = await tableOf(before);
  await reshapeTable(table.url, forms, approved);
  await dropColumns(table.url, forms, approved);
  await reshapeTable(table.url, forms, rejected);
  expect(await table.types()).toEqual({ device: 'Nullable(String)', note: 'Nullable(String)' });
});

test('what has room for NULL keeps it, and a column that somebody has given another type is not touched', async () => {
  await using table = await tableOf(rejected);
  await table.command('ALTER TABLE t MODIFY COLUMN device LowCardinality(Nullable(String))');
  await table.command("INSERT INTO t (id, at, note) VALUES (1, now(), NULL)");
  await reshapeTable(table.url, [rejected, before], before);
  expect(await table.types()).toEqual({ device: 'LowCardinality(Nullable(String))', note: 'Nullable(String)' });
  await reshapeTable(table.url, [rejected], withColumns({ device: column('text', true), note: column('int4') }));
  expect(await table.types()).toMatchObject({ note: 'Nullable(Int32)' });
});

test('values that the new type cannot hold are said before anything is changed', async () => {
  await using table = await tableOf(before);
  await table.command("INSERT INTO t (id, at, device, note) VALUES (1, now(), '7', ''), (2, now(), 'd5', '')");
  await expect(reshapeTable(table.url, forms, approved)).rejects.toThrow(/1 rows have values of device that Nullable\(Int32\) cannot hold, such as "d5"\. Nothing was changed/);
  expect(await table.types()).toEqual({ device: 'Nullable(String)', note: 'String' });
});
