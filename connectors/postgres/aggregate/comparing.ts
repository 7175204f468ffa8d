import type { Client } from 'pg';
import type { Queryable } from '../state/state.ts';

/*
 * While lanes are held to be compared, a backfill must not go on: it would change panes and say new revisions, which no
 * relay publishes. Advisory locks of the state database, as a comparison that dies must hold up nobody.
 */

const lock = "hashtextextended('sluice.comparing ' || $1::text, 0)";

/** Until that connection ends. Waits for panes that are being replaced just now. */
export async function keepPanes(connection: Client, pipeline: string): Promise<void> {
  await connection.query(`select pg_advisory_lock(${lock})`, [pipeline]);
}

/** For the rest of the transaction. */
export async function mayReplacePanes(transaction: Queryable, pipeline: string): Promise<boolean> {
  const { rows } = await transaction.query<{ may: boolean }>(`select pg_try_advisory_xact_lock_shared(${lock}) as may`, [pipeline]);
  return rows[0]!.may;
}
