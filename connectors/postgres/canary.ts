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

/**
 * A slot keeps, and its next reader decodes again, all WAL from a place on where the server has written down which
 * transactions run: of its own accord every 15 seconds, which may be hundreds of megabytes. So this has it written down
 * when the slot's is far behind. From PostgreSQL 16 on, for a role that may (it can be granted); else nothing happens.
 */
export class SlotFollower {
  readonly #client: Client;
  readonly #slot: string;
  /** What was confirmed when it was last written down: a long transaction keeps the slot where it is, however often it is. */
  #writtenAt = '0/0';

  constructor(client: Client, slot: string) {
    this.#client = client;
    this.#slot = slot;
  }

  async look(): Promise<void> {
    const { rows } = await this.#client.query<{ confirmed: string }>(
      `select confirmed_flush_lsn::text as confirmed from pg_replication_slots
        where slot_name = $1 and confirmed_flush_lsn - greatest(restart_lsn, $2::pg_lsn) > $3
          and exists (select from pg_proc where proname = 'pg_log_standby_snapshot' and pronamespace = 'pg_catalog'::regnamespace and has_function_privilege(oid, 'execute'))`,
      [this.#slot, this.#writtenAt, farBehindBytes],
    );
    if (!rows[0]) return;
    this.#writtenAt = rows[0].confirmed;
    await this.#client.query('select pg_log_standby_snapshot()');
  }
}

const farBehindBytes = 16 << 20;
