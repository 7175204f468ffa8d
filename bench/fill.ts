import type { Client } from 'pg';
import type { Workload } from './load/workload.ts';

/**
 * Writes `rows` events in transactions of 1,000. Event time ascends to now, as fast as the clock lets it without being
 * late: a pipeline that was paused must not find what it missed beyond its allowed lateness.
 */
export async function fill(client: Client, workload: Workload, rows: number): Promise<void> {
  for (let written = 0; written < rows; ) {
    const count = Math.min(transactionRows, rows - written);
    const now = Date.now() - spreadMs * (1 - written / rows);
    await workload.insert(client, Array.from({ length: count }, (_, index) => now - ((index * 7919) % jitterMs)));
    written += count;
  }
}

export const transactionRows = 1_000;
const spreadMs = 40_000;
const jitterMs = 15_000;
