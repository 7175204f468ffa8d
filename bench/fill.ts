import type { Client } from 'pg';
import { type Lsn, parseLsn } from '../core/position.ts';
import type { Workload } from './load/workload.ts';

/**
 * Writes `rows` events in transactions of 1,000, the last event in one of its own (`writeLast`). Event time ascends to now
 * and is spread over the panes of a minute and more, within the allowed lateness: a pipeline that was paused meanwhile
 * finds nothing late. `spreadMs`: over how much of event time.
 */
export async function fill(client: Client, workload: Workload, rows: number, signal: AbortSignal, spreadMs = defaultSpreadMs): Promise<Lsn> {
  for (let written = 0; written < rows - 1; ) {
    signal.throwIfAborted();
    const count = Math.min(transactionRows, rows - 1 - written);
    await workload.insert(client, eventTimes(count, Date.now() - spreadMs * (1 - written / rows)));
    written += count;
  }
  return writeLast(client, () => workload.insert(client, [Date.now()]));
}

/** Of a transaction: not in order, but near to each other. */
export function eventTimes(count: number, until: number): number[] {
  return Array.from({ length: count }, (_, index) => until - ((index * 7919) % jitterMs));
}

/** Writes in a transaction of its own and returns a place in the WAL before that one's commit: a fence at or above it has everything. */
export async function writeLast(client: Client, write: () => Promise<unknown>): Promise<Lsn> {
  await client.query('begin');
  await write();
  const { rows: [last] } = await client.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  await client.query('commit');
  return parseLsn(last!.lsn);
}

export const transactionRows = 1_000;
export const defaultSpreadMs = 40_000;
export const jitterMs = 15_000;
