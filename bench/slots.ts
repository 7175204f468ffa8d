import type { Client } from 'pg';
import { type Lsn, parseLsn } from '../core/position.ts';

/** Makes the slot anew and returns where it begins. */
export async function freshSlot(client: Client, slot: string): Promise<Lsn> {
  await dropSlot(client, slot);
  const { rows } = await client.query<{ lsn: string }>("select lsn::text from pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
  return parseLsn(rows[0]!.lsn);
}

/** Its reader may have left a moment ago: Postgres lets go of a slot only when the walsender has noticed. */
export async function dropSlot(client: Client, slot: string): Promise<void> {
  await client.query('select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = $1 and active', [slot]);
  await client.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [slot]);
}

/** Ends a backlog: a message that a plain reader can wait for. Returns the end of WAL behind it. */
export async function writeMarker(client: Client, marker: string): Promise<Lsn> {
  await client.query("select pg_logical_emit_message(true, $1, '')", [marker]);
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  return parseLsn(rows[0]!.lsn);
}
