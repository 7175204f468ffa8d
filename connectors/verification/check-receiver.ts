import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { Client } from 'pg';
import { rowSchema } from '../../core/define/row-schema.ts';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Check } from '../../core/verification.ts';
import { quote } from '../postgres/source-catalog.ts';
import { columnDefinitions } from './columns.ts';
import type { ComparedColumn } from './columns.ts';
import { compare } from './compare.ts';
import { withoutLetters } from './dead-letters.ts';
import { enrichedColumns, expectedRows, positionColumn } from './enriched-rows.ts';
import { fillTable, makeTable } from './working-database.ts';

type Definition = Extract<SinkDefinition, { kind: 'http' }>;

/** What the receiver that comes with Sluice has, folded by key. Another external system cannot be asked. */
export async function checkReceiver(database: Client, pipeline: Pipeline, sink: string, { url, initialLoad }: Definition, signal: AbortSignal): Promise<Check> {
  const address = new URL('/folded', url);
  const what = `events at ${address.host}, folded by key`;
  const response = await fetch(address, { signal, redirect: 'manual', headers: { accept: 'application/x-ndjson' } });
  if (response.status !== 200 || !response.body || !/ndjson/.test(response.headers.get('content-type') ?? '')) {
    await response.body?.cancel();
    return notAsked(sink, what, `not comparable: ${address.href} answers ${response.status}, so it is not the receiver that comes with Sluice`);
  }
  const columns = enrichedColumns(pipeline).map((column) => ({ ...column, type: jsonSafe(pipeline, column) }));
  await makeTable(database, 'receiver lines', [{ name: 'line', type: 'jsonb' }]);
  await fillTable(database, 'receiver lines', Readable.fromWeb(response.body as ReadableStream), 'lines', signal);
  await database.query(`create temporary table "receiver rows" (${columnDefinitions([positionColumn, ...columns])})`);
  await database.query(`insert into pg_temp."receiver rows" select line ->> 'position', ${columns.map((column) => received(column)).join(', ')}
    from pg_temp."receiver lines", jsonb_to_record(line -> 'row') as received (${columnDefinitions(columns.map((column) => ({ ...column, type: textual(column.type) })))})`);
  await database.query('analyze pg_temp."receiver rows"');
  const expected = columns.map(({ name, type }) => (type === 'jsonb' ? `nullif(${quote(name)}::jsonb, 'null') as ${quote(name)}` : quote(name)));
  const key = quote(pipeline.source.events.key);
  const compared = withoutLetters(sink, columns[0]!, 'receiver rows');
  const sent = initialLoad ? '' : ` and ${key} in (select ${key} from pg_temp."receiver rows")`;
  const check = await compare(database, {
    sink,
    what,
    ...(initialLoad ? {} : { note: 'rows of the first load are not sent there, so only rows that it has are compared' }),
    columns,
    keys: 1,
    expected: `select ${expected.join(', ')} from (${expectedRows(pipeline, 'receiver rows')}) enriched where ${compared}${sent}`,
    actual: `select ${columns.map(({ name }) => quote(name)).join(', ')} from pg_temp."receiver rows" where ${compared}`,
  });
  await database.query('drop table pg_temp."receiver lines"; drop table pg_temp."receiver rows"');
  return check;
}

/** json as a value: what stores it may write it with other blanks. JSON's null and SQL's cannot be told apart there. */
function jsonSafe(pipeline: Pipeline, { name, type }: ComparedColumn): string {
  const declared = rowSchema(pipeline)[name]!.type;
  return declared === 'json' || declared === 'jsonb' ? 'jsonb' : type;
}

/** The form of values is that of json-column.ts. */
function received({ name, type }: ComparedColumn): string {
  const value = `received.${quote(name)}`;
  if (type === 'jsonb') return `nullif(${value}, 'null')`;
  return type === 'bytea' ? `decode(${value}, 'base64')` : value;
}

function textual(type: string): string {
  return type === 'bytea' ? 'text' : type;
}

function notAsked(sink: string, what: string, note: string): Check {
  const nothing = { rows: 0, checksum: '0'.repeat(16) };
  return { sink, what, expected: nothing, actual: nothing, equal: true, differences: [], note };
}
