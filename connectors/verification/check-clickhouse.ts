import type { Readable } from 'node:stream';
import type { Client } from 'pg';
import type { ColumnType } from '../../core/columns/vector.ts';
import { rowSchema } from '../../core/define/row-schema.ts';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Check } from '../../core/verification.ts';
import { connect, thoroughMs } from '../clickhouse/insert.ts';
import { quoted, tableName } from '../clickhouse/table.ts';
import { quote } from '../postgres/source-catalog.ts';
import { compare } from './compare.ts';
import { withoutLetters } from './dead-letters.ts';
import { enrichedColumns, expectedRows, positionColumn } from './enriched-rows.ts';
import { fillTable, makeTable } from './working-database.ts';

type Definition = Extract<SinkDefinition, { kind: 'clickhouse' }>;

/**
 * ClickHouse's rows (FINAL) and the source's. TabSeparated is what COPY reads, so the server's answer goes into a
 * temporary table as it comes, and Postgres compares.
 */
export async function checkClickHouse(database: Client, pipeline: Pipeline, sink: string, definition: Definition, url: string, signal: AbortSignal): Promise<Check> {
  const columns = enrichedColumns(pipeline);
  const schema = rowSchema(pipeline);
  const rows = 'clickhouse rows';
  await makeTable(database, rows, [positionColumn, ...columns]);
  const values = columns.map(({ name }) => selected(quoted(name), schema[name]!.type));
  const table = { name: definition.table, columns: schema, orderBy: definition.orderBy, partitionBy: definition.partitionBy };
  const client = connect(url, thoroughMs);
  try {
    const { stream } = await client.exec({
      query: `SELECT leftPad(lower(hex(_position)), 32, '0'), ${values.join(', ')} FROM ${tableName(table)} FINAL FORMAT TabSeparated`,
      abort_signal: signal,
    });
    await fillTable(database, rows, stream as Readable, 'text', signal);
  } finally {
    await client.close();
  }
  const inner = expectedRows(pipeline, rows);
  const stored = columns.map(({ name }) => `${storedValue(quote(name), schema[name]!.type)} as ${quote(name)}`);
  const compared = withoutLetters(sink, columns[0]!, rows);
  const check = await compare(database, {
    sink,
    what: `rows of ${definition.table}`,
    columns,
    keys: 1,
    expected: `select ${stored.join(', ')} from (${inner}) enriched where ${compared}`,
    actual: `select ${columns.map(({ name }) => quote(name)).join(', ')} from pg_temp.${quote(rows)} where ${compared}`,
  });
  await database.query(`drop table pg_temp.${quote(rows)}`);
  return check;
}

function selected(column: string, type: ColumnType): string {
  // a String of any bytes
  return type === 'bytea' ? `concat('\\\\x', hex(${column}))` : column;
}

/** ClickHouse holds times from 1900 to 2299: what lies outside, infinities and BC included, is the nearest inside. */
function storedValue(value: string, type: ColumnType): string {
  switch (type) {
    case 'timestamp':
    case 'timestamptz':
      return `case when ${value} is not null then least(greatest(${value}, '1900-01-01 00:00:00+00'::${type}), '2299-12-31 23:59:59.999999+00'::${type}) end`;
    case 'date':
      return `case when ${value} is not null then least(greatest(${value}, '1900-01-01'::date), '2299-12-31'::date) end`;
    default:
      return value;
  }
}
