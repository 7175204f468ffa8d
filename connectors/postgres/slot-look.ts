import type { Client } from 'pg';
import type { Lsn } from '../../core/position.ts';
import { parseLsn } from '../../core/position.ts';
import type { SlotLook } from '../../core/slot-forecast.ts';
import { sourceNames } from './source-catalog.ts';

/** What the source says of these pipelines' slots, by pipeline; one without a slot is missing. */
export async function readSlotLooks(client: Client, pipelines: readonly string[], nowMs: number): Promise<ReadonlyMap<string, SlotLook>> {
  const { rows } = await client.query<SlotRow>(
    `select slot_name as slot, pg_current_wal_lsn() - '0/0' as wal_end, restart_lsn - '0/0' as restart, confirmed_flush_lsn - '0/0' as confirmed, active, wal_status as status,
            safe_wal_size::text as safe, (select setting::int from pg_settings where name = 'max_slot_wal_keep_size') as keep_mib
       from pg_replication_slots where slot_name = any($1)`,
    [pipelines.map((name) => sourceNames(name).slot)],
  );
  const looks = new Map<string, SlotLook>();
  for (const name of pipelines) {
    const row = rows.find(({ slot }) => slot === sourceNames(name).slot);
    if (row) looks.set(name, lookOf(row, nowMs));
  }
  return looks;
}

export async function readWalEnd(client: Client): Promise<Lsn> {
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  return parseLsn(rows[0]!.lsn);
}

/** Also of what is not written yet: a commit that others see already may wait for it. */
export async function readWalInsertEnd(client: Client): Promise<Lsn> {
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  return parseLsn(rows[0]!.lsn);
}

type SlotRow = {
  readonly slot: string;
  readonly wal_end: string;
  readonly restart: string | null;
  readonly confirmed: string | null;
  readonly active: boolean;
  readonly status: SlotLook['status'] | null;
  readonly safe: string | null;
  readonly keep_mib: number;
};

function lookOf({ wal_end, restart, confirmed, active, status, safe, keep_mib }: SlotRow, atMs: number): SlotLook {
  const walEnd = Number(wal_end);
  return {
    atMs,
    walEnd,
    restart: Number(restart ?? walEnd),
    confirmed: Number(confirmed ?? walEnd),
    reading: active,
    status: status ?? 'lost',
    keepBytes: keep_mib < 0 ? undefined : keep_mib * 2 ** 20,
    safeBytes: safe === null ? undefined : Number(safe),
  };
}
