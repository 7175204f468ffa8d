import { setTimeout as wait } from 'node:timers/promises';
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

/**
 * Waits until what a slot would have to decode again is little. A reader that stops just after it has caught up begins
 * hundreds of megabytes before that place: a slot follows what is confirmed to it only from time to time.
 */
export async function slotFollowed(client: Client, slot: string, signal: AbortSignal): Promise<void> {
  for (const startedAt = performance.now(); performance.now() - startedAt < mostFollowMs; ) {
    const { rows } = await client.query<{ bytes: string }>('select (confirmed_flush_lsn - restart_lsn)::text as bytes from pg_replication_slots where slot_name = $1', [slot]);
    if (Number(rows[0]?.bytes ?? 0) < littleBytes) return;
    await wait(200, undefined, { signal });
  }
}

const littleBytes = 32 << 20;
/** Of itself, a server lets slots follow every 15 seconds. */
const mostFollowMs = 40_000;
