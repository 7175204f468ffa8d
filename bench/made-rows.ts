import type { Client } from 'pg';
import type { Lsn } from '../core/position.ts';
import { defaultSpreadMs, jitterMs, transactionRows, writeLast } from './fill.ts';

/** A table whose rows the server makes by itself. `columns`: SQL of each, of the row's number `g`; event time is `event_ts`. */
export type MadeTable = { readonly sql: string; readonly relation: string; readonly columns: Readonly<Record<string, string>> };

/** As `fill`: transactions of 1,000, event time ascending to now. */
export async function fillMade(client: Client, { relation, columns }: MadeTable, rows: number, signal: AbortSignal): Promise<Lsn> {
  const names = Object.keys(columns).join(', ');
  const time = `clock_timestamp() - interval '1 ms' * (${defaultSpreadMs} * (1 - g::float8 / ${rows}) + (g * 7919::bigint) % ${jitterMs})`;
  const insert = (from: string, to: string) => `insert into ${relation} (event_ts, ${names}) select ${time}, ${Object.values(columns).join(', ')} from generate_series(${from}, ${to}) g`;
  for (let first = 0; first < rows - 1; first += rowsAtOnce) {
    signal.throwIfAborted();
    const last = Math.min(first + rowsAtOnce, rows - 1) - 1;
    await client.query(`do $$ begin for row_from in ${first}..${last} by ${transactionRows} loop ${insert('row_from', `least(row_from + ${transactionRows - 1}, ${last})`)}; commit; end loop; end $$`);
  }
  return writeLast(client, () => client.query(insert(String(rows - 1), String(rows - 1))));
}

/** By one statement, between which a stop is noticed. */
const rowsAtOnce = 50_000;
