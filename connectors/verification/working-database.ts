import { Readable } from 'node:stream';
import { pipeline as pipe } from 'node:stream/promises';
import { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { keptAlive } from '../postgres/keep-alive.ts';
import { quote } from '../postgres/source-catalog.ts';
import type { ComparedColumn } from './columns.ts';
import { columnDefinitions } from './columns.ts';

/** The one connection to the state database on which everything is compared, in temporary tables. */
export async function openWorkingDatabase(url: string, name = 'sluice verify', statementMs = 0): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: name, connectionTimeoutMillis: 10_000, ...keptAlive, options: `-c statement_timeout=${statementMs} -c timezone=UTC -c datestyle=ISO -c extra_float_digits=1 -c bytea_output=hex` });
  client.on('error', () => {}); // the next query says it
  await client.connect();
  // temp_buffers only before the first temporary table
  await client.query(`set temp_buffers = '64MB'; set work_mem = '64MB'; set jit = off; set default_statistics_target = 10`);
  return client;
}

export async function makeTable(database: Client, table: string, columns: readonly ComparedColumn[]): Promise<void> {
  await database.query(`drop table if exists pg_temp.${quote(table)}`);
  await database.query(`create temporary table ${quote(table)} (${columnDefinitions(columns)})`);
}

/** Fills a table with a stream of COPY data: Postgres' text format, its binary one, or a line a row for its one column. */
export async function fillTable(database: Client, table: string, data: Readable, format: keyof typeof formats, signal: AbortSignal): Promise<void> {
  await pipe(data, database.query(copyFrom(`copy pg_temp.${quote(table)} from stdin (${formats[format]})`)), { signal });
  await database.query(`analyze pg_temp.${quote(table)}`);
}

const formats = {
  text: 'format text',
  binary: 'format binary',
  // control characters that no JSON holds as they are
  lines: "format csv, quote e'\\x01', delimiter e'\\x02', null e'\\x03'",
} as const;

/** Makes a table out of rows of texts; null is NULL. */
export async function tableOfRows(
  database: Client,
  table: string,
  columns: readonly ComparedColumn[],
  rows: AsyncIterable<readonly (string | null)[]> | Iterable<readonly (string | null)[]>,
  signal: AbortSignal,
): Promise<void> {
  await makeTable(database, table, columns);
  await fillTable(database, table, Readable.from(copyChunks(rows)), 'text', signal);
}

async function* copyChunks(rows: AsyncIterable<readonly (string | null)[]> | Iterable<readonly (string | null)[]>): AsyncGenerator<string> {
  let chunk = '';
  for await (const row of rows) {
    chunk += `${row.map(copyText).join('\t')}\n`;
    if (chunk.length < 65_536) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}

function copyText(value: string | null): string {
  return value === null ? '\\N' : value.replace(/[\\\t\n\r]/g, (character) => escapes[character]!);
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
