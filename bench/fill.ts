import type { Client } from 'pg';
import { type Lsn, parseLsn } from '../core/position.ts';
import type { Workload } from './load/workload.ts';

/**
 * Writes `rows` events in transactions of 1,000, the last event in one of its own, and returns a place in the WAL before
 * that one's commit: a fence at or above it has everything. Event time ascends to now and is spread over the panes of a
 * minute and more, within the allowed lateness: a pipeline that was paused meanwhile finds nothing late.
 */
export async function fill(client: Client, workload: Workload, rows: number, signal: AbortSignal): Promise<Lsn> {
  for (let written = 0; written < rows - 1; ) {
    signal.throwIfAborted();
    const count = Math.min(transactionRows, rows - 1 - written);
    const until = Date.now() - spreadMs * (1 - written / rows);
    await workload.insert(client, Array.from({ length: count }, (_, index) => until - ((index * 7919) % jitterMs)));
    written += count;
  }
  await client.query('begin');
  await workload.insert(client, [Date.now()]);
  const { rows: [last] } = await client.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  await client.query('commit');
  return parseLsn(last!.lsn);
}

const transactionRows = 1_000;
const spreadMs = 40_000;
const jitterMs = 15_000;
