import type { Readable } from 'node:stream';
import type { Client } from 'pg';
import type { ColumnType } from '../../core/columns/vector.ts';
import { rowSchema } from '../../core/define/row-schema.ts';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Check } from '../../core/verification.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { sinkTable } from '../clickhouse/clickhouse-sink.ts';
import { connect, thoroughMs } from '../clickhouse/insert.ts';
import { quoted, tableName } from '../clickhouse/table.ts';
import { quote } from '../postgres/source-catalog.ts';
import { compare, type Comparison } from './compare.ts';
import { withoutLetters } from './dead-letters.ts';
import { enrichedColumns, expectedRows, positionColumn } from './enriched-rows.ts';
import { fillTable, makeTable } from './working-database.ts';

type Definition = Extract<SinkDefinition, { kind: 'clickhouse' }>;

/** ClickHouse's rows (FINAL) and the source's. */
export async function checkClickHouse(database: Client, pipeline: Pipeline, sink: string, definition: Definition, url: string, signal: AbortSignal): Promise<Check> {
  await copyClickHouseRows(database, pipeline, definition, url, signal);
  const check = await compareClickHouseRows(database, pipeline, sink, definition);
  await database.query(`drop table pg_temp.${quote(clickhouseRows)}`);
  return check;
}

/** The temporary table of ClickHouse's rows, with their positions. */
export const clickhouseRows = 'clickhouse rows';

/**
 * TabSeparated is what COPY reads, so the server's answer goes into a temporary table as it comes, and Postgres compares.
 * `within`: only rows that have such an event time.
 */
export async function copyClickHouseRows(database: Client, pipeline: Pipeline, definition: Definition, url: string, signal: AbortSignal, within?: PaneRange): Promise<void> {
  const columns = enrichedColumns(pipeline);
  const schema = rowSchema(pipeline);
  await makeTable(database, clickhouseRows, [positionColumn, ...columns]);
  const values = columns.map(({ name }) => selectedValue(quoted(name), schema[name]!.type));
  const time = quoted(pipeline.source.events.eventTime);
  const where = within ? `WHERE ${time} >= fromUnixTimestamp64Milli({from:Int64}) AND ${time} < fromUnixTimestamp64Milli({to:Int64})` : '';
  const client = connect(url, thoroughMs);
  try {
    const { stream } = await client.exec({
      query: `SELECT leftPad(lower(hex(_position)), 32, '0'), ${values.join(', ')} FROM ${tableName(sinkTable(pipeline, definition))} FINAL ${where} FORMAT TabSeparated`,
      // what a row was before is no row
      ...(within && { query_params: { from: within.fromMs, to: within.toMs }, clickhouse_settings: { optimize_move_to_prewhere_if_final: 0 } }),
      abort_signal: signal,
    });
    await fillTable(database, clickhouseRows, stream as Readable, 'text', signal);
  } finally {
    await client.close();
  }
}

/** Those of which `where` holds. */
export function compareClickHouseRows(database: Client, pipeline: Pipeline, sink: string, definition: Definition, where = 'true', more: Pick<Comparison, 'listed' | 'windowOf'> = {}): Promise<Check> {
  const columns = enrichedColumns(pipeline);
  const schema = rowSchema(pipeline);
  const inner = expectedRows(pipeline, clickhouseRows);
  const stored = columns.map(({ name }) => `${storedValue(quote(name), schema[name]!.type)} as ${quote(name)}`);
  const compared = `${where} and ${withoutLetters(sink, columns[0]!, clickhouseRows)}`;
  return compare(database, {
    sink,
    what: `rows of ${definition.table}`,
    columns,
    keys: 1,
    expected: `select ${stored.join(', ')} from (${inner}) enriched where ${compared}`,
    actual: `select ${columns.map(({ name }) => quote(name)).join(', ')} from pg_temp.${quote(clickhouseRows)} where ${compared}`,
    ...more,
  });
}

/** As COPY reads it. */
export function selectedValue(column: string, type: ColumnType): string {
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
