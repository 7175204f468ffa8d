import type { Client } from 'pg';
import { canaryPrefix } from './pgoutput/decoder.ts';
import { sourceNames } from './source-catalog.ts';

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

/**
 * A slot keeps, and its next reader decodes again, all WAL from a place on where the server has written down which
 * transactions run: of its own accord every 15 seconds, which may be hundreds of megabytes. So this has it written down
 * when the slot's is far behind. From PostgreSQL 16 on, for a role that may (it can be granted); else nothing happens.
 */
export async function letSlotFollow(client: Client, pipeline: string): Promise<void> {
  const { rows } = await client.query<{ behind: boolean }>(
    `select confirmed_flush_lsn - restart_lsn > $2 as behind from pg_replication_slots
      where slot_name = $1 and exists (select from pg_proc where proname = 'pg_log_standby_snapshot' and pronamespace = 'pg_catalog'::regnamespace and has_function_privilege(oid, 'execute'))`,
    [sourceNames(pipeline).slot, farBehindBytes],
  );
  if (rows[0]?.behind) await client.query('select pg_log_standby_snapshot()');
}

const farBehindBytes = 16 << 20;
