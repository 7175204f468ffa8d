import type { Client } from 'pg';
import { canaryPrefix } from './pgoutput/decoder.ts';

/**
 * Writes a message into the stream: it lets the slot advance over a quiet table, and carries the idle clock, which no
 * transaction that is still running can undercut: its start, if it has written something (E13). A role that may not see
 * others' transactions gets no idle clock.
 */
export async function emitCanary(client: Client, pipeline: string): Promise<void> {
  await client.query(
    `select pg_logical_emit_message(true, $1, case when pg_has_role(current_user, 'pg_read_all_stats', 'usage') then
        (extract(epoch from least(clock_timestamp(),
          (select min(xact_start) from pg_stat_activity where backend_xid is not null and datname = current_database() and pid <> pg_backend_pid()),
          (select min(prepared) from pg_prepared_xacts where database = current_database()))) * 1000000)::bigint::text
        else 'none' end)`,
    [canaryPrefix(pipeline)],
  );
}
